/** How good a model is on a labelled table, in one number: for comparing a copy with its original. */
import { inputError } from '../base/index.js';
import { createSession, type Output } from '../compute/index.js';
import { openModel } from '../formats/index.js';
import { type ModelCard, readCard } from './card.js';
import { argmax } from './cross-fit.js';
import { predictTable } from './predict.js';
import { columnNamed, type Table, textAt } from './table.js';

export interface Score {
  /** `accuracy`: share of right answers. `rmse`: root of the mean squared error, in the target's unit. */
  readonly metric: 'accuracy' | 'rmse';
  readonly value: number;
  /** Rows that were scored. */
  readonly n: number;
}

/** Rows per call. */
const BATCH = 4_096;

/**
 * A model from `muniment train` by its own description; another ONNX model with one float input [rows, columns] by the
 * table's other columns in their order, where the target is the index of the largest output, or the only output.
 * @param target column of the truth; by default the one that the model names, else the table's last
 * @throws `SCORE_UNFIT` where table and model do not fit; `TABLE_NO_COLUMN`
 */
export async function scoreTable(model: string, table: Table, target?: string): Promise<Score> {
  const opened = await openModel(model);
  try {
    const card = readCard(opened.metadata, model);
    if (card !== null) return await scoreOurs(model, card, table, target ?? card.target);
    const input = opened.graph?.inputs.filter(({ name }) => !opened.graph!.initialisers.has(name)) ?? [];
    const width = input[0]?.shape?.[1];
    if (input.length !== 1 || input[0]!.dtype !== 'F32' || input[0]!.shape?.length !== 2) {
      throw unfit(model, 'an ONNX model with one float input [rows, columns]', `${input.length} inputs`);
    }
    return await scorePlain(model, input[0]!.name, typeof width === 'number' ? width : null, table, target);
  } finally {
    await opened.close();
  }
}

async function scoreOurs(model: string, card: ModelCard, table: Table, target: string): Promise<Score> {
  const truth = columnNamed(table, target);
  const { header, rows, tableRows } = await predictTable(model, table, { every: true });
  const at = header.indexOf(card.target);
  if (card.task === 'forecast') {
    return rmse(
      rows.map((row) => row[at] as number | null),
      Array.from(tableRows, (row) => truth.numbers[row]!),
      model,
    );
  }
  let right = 0;
  rows.forEach((row, index) => {
    if (row[at] === textAt(truth, tableRows[index]!)) right++;
  });
  return { metric: 'accuracy', value: right / rows.length, n: rows.length };
}

async function scorePlain(
  model: string,
  input: string,
  width: number | null,
  table: Table,
  target: string = table.columns.at(-1)!.name,
): Promise<Score> {
  const truth = columnNamed(table, target).numbers;
  const columns = table.columns.filter(({ name }) => name !== target);
  if (width !== null && width !== columns.length) {
    throw unfit(table.name, `${width} columns beside '${target}'`, `${columns.length}`);
  }
  const bad = [...columns, columnNamed(table, target)].find(({ numbers }) => numbers.some(Number.isNaN));
  if (bad !== undefined) throw unfit(table.name, 'numbers in every cell', `a cell of '${bad.name}' that is none`);
  const session = await createSession(model, { threads: 1 });
  try {
    const answers: number[] = [];
    let classes = false;
    for (let start = 0; start < table.rows; start += BATCH) {
      const count = Math.min(BATCH, table.rows - start);
      const data = Float32Array.from(
        { length: count * columns.length },
        (_, k) => columns[k % columns.length]!.numbers[start + Math.floor(k / columns.length)]!,
      );
      const outputs = Object.values(await session.run({ [input]: { data, shape: [count, columns.length] } }));
      const floats = outputs.find(({ data: values }) => values instanceof Float32Array);
      const per = (floats?.data.length ?? 0) / count;
      if (floats === undefined || !Number.isInteger(per))
        throw unfit(model, 'float outputs, as many for every row', '');
      classes = per > 1;
      answers.push(...answersOf(floats, count, per));
    }
    if (!classes) return rmse(answers, Array.from(truth), model);
    const right = answers.filter((answer, row) => answer === truth[row]).length;
    return { metric: 'accuracy', value: right / table.rows, n: table.rows };
  } finally {
    await session.close();
  }
}

const answersOf = ({ data }: Output, count: number, per: number): number[] =>
  Array.from({ length: count }, (_, row) =>
    per === 1 ? Number(data[row]) : argmax(data as Float32Array, row * per, per),
  );

function rmse(said: readonly (number | null)[], truth: readonly number[], where: string): Score {
  let squares = 0;
  let n = 0;
  said.forEach((value, index) => {
    const error = (value ?? Number.NaN) - truth[index]!;
    if (Number.isNaN(error)) return;
    squares += error * error;
    n++;
  });
  if (n === 0) throw unfit(where, 'at least one row with an answer and its truth', 'none');
  return { metric: 'rmse', value: Math.sqrt(squares / n), n };
}

const unfit = (where: string, expected: string, got: string): Error =>
  inputError('SCORE_UNFIT', 'this table cannot score this model', {
    where,
    expected,
    got,
    todo: 'give a table with the model’s inputs in their order and the truth as its last column, or name it with --target',
  });
