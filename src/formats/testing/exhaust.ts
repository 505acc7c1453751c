/**
 * Opens files made to exhaust memory, one after the other, and prints for each its refusal and this
 * process's peak memory in MiB so far. Run as a process of its own, so that the peak is that of the reader alone.
 */
import { open } from 'node:fs/promises';
import path from 'node:path';
import { MunimentError } from '../../base/index.js';
import { openModel } from '../index.js';
import { wire } from '../protobuf.js';

type Part = readonly [bytes: Uint8Array, times: number];
const text = (value: string): Uint8Array => Buffer.from(value, 'latin1');

async function writeParts(file: string, parts: readonly Part[]): Promise<void> {
  const handle = await open(file, 'w');
  for (const [bytes, times] of parts) {
    const block = Buffer.alloc(Math.min(times, Math.ceil(2 ** 20 / bytes.length)) * bytes.length, bytes);
    for (let left = times * bytes.length; left > 0; left -= block.length)
      await handle.write(block, 0, Math.min(left, block.length));
  }
  await handle.close();
}

const header = (length: number): Part => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(length));
  return [bytes, 1];
};
/** A length-delimited field whose payload is `unit` repeated. */
const run = (number: number, unit: Uint8Array, times: number): { parts: Part[]; length: number } => {
  const tag = wire.integer(number, unit.length * times);
  tag[0] = number * 8 + 2;
  return {
    parts: [
      [tag, 1],
      [unit, times],
    ],
    length: tag.length + unit.length * times,
  };
};
const within = (number: number, inner: { parts: Part[]; length: number }): { parts: Part[]; length: number } => {
  const tag = wire.integer(number, inner.length);
  tag[0] = number * 8 + 2;
  return { parts: [[tag, 1], ...inner.parts], length: tag.length + inner.length };
};
const model = (graph: { parts: Part[] }): Part[] => [
  [wire.integer(1, 8), 1],
  ...graph.parts,
  [wire.message(8, wire.text(1, ''), wire.integer(2, 17)), 1],
];
const node = wire.message(1, wire.text(2, 'y'), wire.text(4, 'Relu'));
const megabytes = (count: number, unit: Uint8Array): number => Math.floor((count * 1e6) / unit.length);

/** An object of a PyTorch file of the older form, whose pickles may have any length. */
const torch = (...object: readonly Part[]): Part[] => [
  [Buffer.from('80028a0a6cfc9c46f9206aa850192e80024de9032e80027d2e8002', 'hex'), 1],
  ...object,
];

const FILES: Readonly<Record<string, readonly Part[]>> = {
  'lists.safetensors': [header(99_000_001), [text('{'), 1], [text('[],'), 33_000_000]],
  'values.safetensors': [header(99_000_006), [text('{"a":['), 1], [text('0,'), 49_500_000]],
  'name.safetensors': [header(90_000_002), [text('{"'), 1], [text('a'), 90_000_000]],
  'deep.safetensors': [header(90_000_001), [text('{'), 1], [text('['), 90_000_000]],
  'shards.safetensors.index.json': [
    [text('{"weight_map":{'), 1],
    [text('"":{},'), 10_000_000],
  ],
  'nodes.onnx': model(run(7, node, megabytes(20, node))),
  'integers.onnx': model(within(7, within(1, within(5, run(8, text('\x01'), 12_000_000))))),
  'lone-floats.onnx': model(within(7, within(5, { parts: [[wire.float(4, 1), 4_000_000]], length: 20_000_000 }))),
  'metadata.onnx': [
    [wire.integer(1, 8), 1],
    [wire.message(14, wire.text(1, 'a'.repeat(4000))), 10_000],
  ],
  'lists.pth': torch([text('('), 1], [text(']'), 60_000_000]),
  'remembered.pth': torch([text('('), 1], [text('K\x01\x94'), 20_000_000]),
  'numbers.pth': torch([text('('), 1], [text('G12345678'), 7_000_000]),
  'marks.pth': torch([text('('), 60_000_000]),
  'nothing.pth': torch([text('('), 1], [text('N'), 60_000_000]),
  'texts.pth': torch([text('('), 1], [text('\x8c\x0f0123456789abcde'), 3_600_000]),
  'all.pth': torch([text('('), 1], [text('}\x94'), 1_599_999], [text('N'), 2_700_000], [text('('), 100_000_000]),
  'scattered.pth': torch([text('('), 1], [text('Kar\x00\x00\x00\x01'), 1], [text('K\x00\x94'), 5_000_000]),
  'long-texts.pth': torch([text('('), 1], [text('X\x00\x00\x10\x00'.concat('a'.repeat(2 ** 20))), 100]),
  'encoded.pth': torch(
    [text('c_codecs\nencode\nq\x00X\x00\x00\x10\x00'.concat('a'.repeat(2 ** 20), 'q\x010')), 1],
    [text('h\x00h\x01\x85R'), 1000],
  ),
};

const folder = process.argv[2] ?? '';
for (const [name, parts] of Object.entries(FILES)) {
  const file = path.join(folder, name);
  await writeParts(file, parts);
  let refusal = 'opened';
  try {
    await (await openModel(file)).close();
  } catch (error) {
    refusal = error instanceof MunimentError ? `${error.code}: ${error.message}` : String(error);
  }
  await (await open(file, 'w')).close();
  // Else the peak would be that of several files' garbage.
  globalThis.gc?.();
  process.stdout.write(
    `${JSON.stringify({ name, refusal, peak: Math.round(process.resourceUsage().maxRSS / 1024) })}\n`,
  );
}
