/** CSV and Parquet files → tables. Told apart by content, never by the file's name. */
import { type AsyncBuffer, parquetMetadataAsync, parquetRead } from 'hyparquet';
import Papa from 'papaparse';
import {
  type ByteSource,
  equalBytes,
  fileSource,
  fromUtf8,
  inputError,
  MunimentError,
  sha256OfSource,
  utf8,
} from '../base/index.js';
import { MAX_CELLS, MAX_COLUMNS, type Table, type TableWriter, tableWriter } from './table.js';

/** A CSV file is decoded whole: text of this size and its table stay under 512 MB together. */
const MAX_CSV_BYTES = 64 * 1024 * 1024;
/** What a Parquet file may claim to unpack to, by its own metadata. */
const MAX_PARQUET_BYTES = 256 * 1024 * 1024;
const HEAD = 64 * 1024;
const PARQUET_MAGIC = utf8('PAR1');

export interface TableFile {
  readonly table: Table;
  readonly sha256: string;
  readonly format: 'csv' | 'parquet';
}

/** @throws `TABLE_…` for what is not a table, with line and reason */
export async function readTable(path: string): Promise<TableFile> {
  const source = await fileSource(path);
  try {
    const head = await source.slice(0, Math.min(4, source.byteLength));
    if (head.length === 0) throw inputError('TABLE_EMPTY', 'the file is empty', { where: path });
    const parquet = equalBytes(head, PARQUET_MAGIC);
    const table = parquet ? await readParquet(source) : await readCsv(source);
    return { table, sha256: await sha256OfSource(source), format: parquet ? 'parquet' : 'csv' };
  } finally {
    await source.close();
  }
}

async function readCsv(source: ByteSource): Promise<Table> {
  if (source.byteLength > MAX_CSV_BYTES) {
    throw inputError('TABLE_TOO_LARGE', 'this CSV file is too large', {
      expected: `at most ${MAX_CSV_BYTES} bytes`,
      got: `${source.byteLength}`,
      where: source.name,
      todo: 'convert it to Parquet, or train on a sample of the rows',
    });
  }
  return parseCsv(fromUtf8(await source.slice(0, source.byteLength), source.name), source.name);
}

/** RFC 4180 with a header line; comma, semicolon or tab by inspection. */
export function parseCsv(text: string, name: string): Table {
  let writer: TableWriter | undefined;
  let line = 0;
  let failure: unknown;
  if (text.includes('\0')) {
    throw inputError('TABLE_NOT_TEXT', 'this is a binary file, not a CSV table', {
      where: name,
      expected: 'CSV or Parquet',
    });
  }
  Papa.parse<string[]>(text.startsWith('\uFEFF') ? text.slice(1) : text, {
    // Fast mode splits the whole text into lines at once (2.5 GB for 64 MB); chunks make an open quote quadratic.
    fastMode: false,
    delimiter: delimiterOf(text),
    skipEmptyLines: 'greedy',
    step(result, parser) {
      line += 1;
      try {
        const quote = result.errors.find(({ type }) => type === 'Quotes');
        if (quote !== undefined) {
          throw inputError('TABLE_ROW', 'a quote is not closed or stands inside a cell', {
            where: `${name}, row ${line}`,
          });
        }
        if (writer === undefined) writer = tableWriter(name, result.data);
        else writer.push(result.data, `${name}, row ${line}`);
      } catch (error) {
        failure = error;
        parser.abort();
      }
    },
  });
  if (failure !== undefined) throw failure;
  if (writer === undefined) throw inputError('TABLE_EMPTY', 'the file holds no rows', { where: name });
  return writer.finish();
}

/** By the first lines alone: guessing reads all that it is given, in fast mode. */
const delimiterOf = (text: string): string =>
  Papa.parse(text.slice(0, HEAD), { preview: 10, delimitersToGuess: [',', ';', '\t'] }).meta.delimiter;

async function readParquet(source: ByteSource): Promise<Table> {
  const file: AsyncBuffer = {
    byteLength: source.byteLength,
    async slice(start, end = source.byteLength) {
      const from = start < 0 ? source.byteLength + start : start;
      const bytes = await source.slice(from, end);
      // A copy: a view may lie in a larger buffer.
      return Uint8Array.from(bytes).buffer;
    },
  };
  try {
    const metadata = await parquetMetadataAsync(file);
    const names = metadata.schema.filter(({ num_children }) => num_children === undefined).map(({ name }) => name);
    // The row groups are what is read; the total in the header may say otherwise.
    const rows = metadata.row_groups.reduce((sum, group) => sum + Math.max(0, Number(group.num_rows)), 0);
    const unpacked = metadata.row_groups.reduce((sum, group) => sum + Number(group.total_byte_size), 0);
    if (rows * names.length > MAX_CELLS || names.length > MAX_COLUMNS || unpacked > MAX_PARQUET_BYTES) {
      throw inputError('TABLE_TOO_LARGE', 'this Parquet file is too large for training in memory', {
        expected: `at most ${MAX_CELLS} cells and ${MAX_PARQUET_BYTES} bytes unpacked`,
        got: `${rows} rows × ${names.length} columns, ${unpacked} bytes`,
        where: source.name,
      });
    }
    const writer = tableWriter(source.name, names);
    let row = 0;
    // Row group by row group, so that only one is held as values.
    let start = 0;
    for (const group of metadata.row_groups) {
      const end = start + Number(group.num_rows);
      await parquetRead({
        file,
        metadata,
        rowStart: start,
        rowEnd: end,
        onComplete(part: unknown[][]) {
          for (const cells of part) {
            row += 1;
            writer.push(cells.map(cellOf), `${source.name}, row ${row}`);
          }
        },
      });
      start = end;
    }
    return writer.finish();
  } catch (cause) {
    if (cause instanceof MunimentError) throw cause;
    throw inputError('TABLE_PARQUET_INVALID', 'this Parquet file cannot be read', {
      where: source.name,
      got: cause instanceof Error ? cause.message.slice(0, 200) : String(cause),
      todo: 'write it again uncompressed or with Snappy, with flat columns',
      cause,
    });
  }
}

function cellOf(value: unknown): string | number | null {
  if (value === null || value === undefined) return null;
  if (typeof value === 'number' || typeof value === 'string') return value;
  if (typeof value === 'bigint') return Number(value);
  if (typeof value === 'boolean') return value ? 1 : 0;
  if (value instanceof Date) return value.getTime() / 1000;
  throw inputError('TABLE_PARQUET_INVALID', 'a Parquet column is nested or binary', {
    expected: 'flat columns of numbers, texts, booleans or times',
    got: Array.isArray(value) ? 'a list' : typeof value,
  });
}
