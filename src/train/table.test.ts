import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { chooseColumns, leakHints, parseCsv, readTable, tableFromRows, textAt } from './index.js';

const folder = await mkdtemp(path.join(os.tmpdir(), 'muniment-table-'));
after(() => rm(folder, { recursive: true, force: true }));

async function file(name: string, content: string | Uint8Array): Promise<string> {
  const where = path.join(folder, name);
  await writeFile(where, content);
  return where;
}

test('CSV: numbers, texts, missing cells, quotes, semicolons and a byte order mark', () => {
  const table = parseCsv('\uFEFFa;b;c\n1.5;"x;y";NA\n-2e3;"say ""hi""";inf\n;z;7\n\n', 'memory');
  assert.deepEqual(Array.from(table.columns[0]!.numbers), [1.5, -2000, Number.NaN]);
  assert.deepEqual(
    [0, 1, 2].map((row) => textAt(table.columns[1]!, row)),
    ['x;y', 'say "hi"', 'z'],
  );
  assert.deepEqual(
    [0, 1, 2].map((row) => textAt(table.columns[2]!, row)),
    [null, null, '7'],
  );
});

test('Parquet and CSV of the same rows give the same table, whatever the file is called', async () => {
  const rows = 700;
  const speed = Float64Array.from({ length: rows }, (_, i) => i / 8);
  const type = Array.from({ length: rows }, (_, i) => ['L', 'M', 'H'][i % 3]!);
  const count = BigInt64Array.from({ length: rows }, (_, i) => BigInt(i % 7));
  const parquet = parquetWriteBuffer({
    columnData: [
      { name: 'speed', data: speed, type: 'DOUBLE' },
      { name: 'type', data: type, type: 'STRING' },
      { name: 'count', data: count, type: 'INT64' },
    ],
  });
  const a = await readTable(await file('table.csv', new Uint8Array(parquet)));
  const csv = `speed,type,count\n${type.map((text, i) => `${speed[i]},${text},${count[i]}`).join('\n')}\n`;
  const b = await readTable(await file('table.parquet', csv));
  assert.deepEqual([a.format, b.format], ['parquet', 'csv']);
  assert.deepEqual(a.table.columns, b.table.columns);
  assert.notEqual(a.sha256, b.sha256);
});

describe('what is not a table is refused by name', () => {
  const bad: readonly [string, string | Uint8Array, string][] = [
    ['empty', '', 'TABLE_EMPTY'],
    ['header only', 'a,b\n', 'TABLE_EMPTY'],
    ['ragged', 'a,b\n1,2\n3\n', 'TABLE_ROW'],
    ['same name twice', 'a,a\n1,2\n', 'TABLE_HEADER'],
    ['nameless column', 'a,\n1,2\n', 'TABLE_HEADER'],
    ['open quote', `a,b\n1,"${'x'.repeat(50)}\n2,3\n`, 'TABLE_ROW'],
    ['binary', 'a,b\n1,\0\n', 'TABLE_NOT_TEXT'],
    ['not UTF-8', Uint8Array.of(97, 44, 98, 10, 0xff, 44, 49, 10), 'UTF8_INVALID'],
    ['Parquet cut short', Uint8Array.from([...Buffer.from('PAR1'), 1, 2, 3]), 'TABLE_PARQUET_INVALID'],
    [
      'Parquet whose footer lies',
      Uint8Array.from([...Buffer.from('PAR1'), 0xff, 0xff, 0xff, 0x7f, ...Buffer.from('PAR1')]),
      'TABLE_PARQUET_INVALID',
    ],
    ['a line without end', 'x'.repeat(1_000_000), 'TABLE_HEADER'],
    ['too many columns', `${Array.from({ length: 5_000 }, (_, i) => `c${i}`).join(',')}\n`, 'TABLE_HEADER'],
  ];
  for (const [name, content, code] of bad) {
    test(name, async () => {
      await assert.rejects(readTable(await file(name.replaceAll(' ', '-'), content)), { code });
    });
  }
});

test('columns: counters, identifiers, constants and mostly empty ones are left out with the reason', () => {
  const rows = Array.from({ length: 100 }, (_, i) => [
    i + 1,
    `serial ${i}`,
    i % 2 === 0 ? 'a' : 'b',
    Math.sin(i),
    7,
    i < 30 ? i : null,
    i % 3,
  ]);
  const header = ['row', 'serial', 'kind', 'reading', 'fixed', 'sparse', 'target'];
  const choice = chooseColumns(tableFromRows('t', header, rows), ['target']);
  assert.deepEqual(choice.inputs, [
    { name: 'kind', kind: 'category' },
    { name: 'reading', kind: 'number' },
  ]);
  assert.deepEqual(
    choice.dropped.map(({ name }) => name),
    ['row', 'serial', 'fixed', 'sparse'],
  );
});

test('a column that gives the outcome away is pointed out', () => {
  const rows = Array.from({ length: 400 }, (_, i) => [i % 10 === 0 ? 1 : 0, i % 20 === 0 ? 1 : 0, i % 7]);
  const table = tableFromRows('t', ['target', 'told afterwards', 'reading'], rows);
  const labels = Int32Array.from(rows, (row) => row[0]!);
  const hints = leakHints(table, chooseColumns(table, ['target']), labels, ['0', '1']);
  assert.equal(hints.length, 1);
  assert.match(hints[0]!, /told afterwards = 1/);
});
