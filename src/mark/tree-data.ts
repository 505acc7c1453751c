/** The training table of a tree ensemble: for each input that is split on, the values that training saw. */
import { inputError, usageError } from '../base/index.js';
import { MISSING_IS_ZERO, type TreeEnsemble } from '../formats/index.js';
import { readTable, type Table, type TableColumn } from '../train/index.js';

export interface TrainingValues {
  /** Of an input of one of the model's ensembles: ascending, each value once, missing ones left out. */
  of(ensemble: number, feature: number): Float64Array;
  readonly sha256: string;
  readonly rows: number;
}

export interface TrainingData {
  /** CSV or Parquet, one column for each input, as the model saw them. */
  readonly path: string;
  /** Names of its columns in the order of the model's inputs, for a model that names none. */
  readonly columns?: readonly string[];
}

/**
 * @throws `MARK_TREE_DATA` where none is given; `MARK_TREE_UNNAMED` where the model does not name its inputs and nobody
 *   else does; `MARK_TREE_COLUMN` for a column that is missing, twice, or holds texts; what `readTable` throws
 */
export async function trainingValues(
  ensembles: readonly TreeEnsemble[],
  data: TrainingData | null | undefined,
): Promise<TrainingValues> {
  if (data == null) {
    throw usageError('MARK_TREE_DATA', 'a tree ensemble is marked in the gaps of its training data', {
      expected: 'the table that it was trained on',
      todo: 'give it: muniment release MODEL --to RECIPIENT --data train.csv',
    });
  }
  const { table, sha256 } = await readTable(data.path);
  const known = new Map<string, Float64Array>();
  return {
    sha256,
    rows: table.rows,
    of(ensemble, feature) {
      const { featureNames, missing } = ensembles[ensemble]!;
      const column = columnOf(table, feature, data.columns ?? featureNames, data.columns !== undefined);
      const zeros = missing.some((bits) => (bits & MISSING_IS_ZERO) !== 0);
      const key = `${column.name} ${zeros}`;
      const values = known.get(key) ?? distinct(column, table, zeros);
      known.set(key, values);
      return values;
    },
  };
}

/** Trainers put an underscore for what they do not allow in names. */
const plain = (name: string): string => name.replace(/[^\p{L}\p{N}]+/gu, '_').replace(/^_|_$/g, '');

function columnOf(table: Table, feature: number, names: readonly string[] | null, given: boolean): TableColumn {
  const name = names?.[feature];
  if (name === undefined) {
    throw usageError(
      'MARK_TREE_UNNAMED',
      'the model does not name its inputs, so it is not known which column is which',
      {
        expected: `a name for input ${feature}`,
        got: names === null ? 'no names' : `${names.length} names`,
        todo: 'name the columns of the table in the order of the model’s inputs: --columns NAME,NAME,…',
      },
    );
  }
  const exact = table.columns.filter((column) => column.name === name);
  const alike = exact.length > 0 ? exact : table.columns.filter((column) => plain(column.name) === plain(name));
  const [column] = alike;
  const facts = {
    got: table.columns
      .slice(0, 20)
      .map((one) => one.name)
      .join(', '),
    where: table.name,
  };
  if (column === undefined || alike.length > 1) {
    throw inputError(
      'MARK_TREE_COLUMN',
      `${alike.length === 0 ? 'no' : 'more than one'} column of the training table is the input '${name}'`,
      {
        expected: `one column named '${name}'`,
        ...facts,
        todo: given
          ? 'name columns that the table has'
          : 'rename the columns, or name them in the order of the model’s inputs: --columns NAME,NAME,…',
      },
    );
  }
  if (column.codes.some((code) => code > 0 || code === -2)) {
    throw inputError(
      'MARK_TREE_COLUMN',
      `the column '${column.name}' holds texts, and the model compares it with numbers`,
      {
        expected: 'the table as the model saw it, texts turned into numbers',
        got: column.texts.slice(0, 5).join(', '),
        where: table.name,
      },
    );
  }
  return column;
}

/** @param zeros where the trainer read a missing value as 0 */
function distinct({ numbers, codes }: TableColumn, { rows }: Table, zeros: boolean): Float64Array {
  const values = new Float64Array(rows + 1);
  let length = 0;
  let missing = false;
  for (let row = 0; row < rows; row++) {
    if (codes[row] === 0) values[length++] = numbers[row]! === 0 ? 0 : numbers[row]!;
    else missing = true;
  }
  if (missing && zeros) values[length++] = 0;
  const sorted = values.subarray(0, length).sort();
  return sorted.filter((value, k) => k === 0 || value !== sorted[k - 1]);
}
