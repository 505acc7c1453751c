/** Two large safetensors files: how much of them `compare` reads, and how long it takes. */
import { createCipheriv } from 'node:crypto';
import { type FileHandle, open, statfs } from 'node:fs/promises';
import path from 'node:path';
import { sha256, utf8 } from '../../src/base/index.js';
import { compareFiles } from '../../src/detect/index.js';
import type { Figures, Workplace } from './section.js';

const WIDTH = 8192;
/** Widths differ a little, so that each layer's units are a group of their own though no graph says so. */
const GROWTH = 8;
const CHUNK_BYTES = 2 ** 24;
/** Weights are uniform on ±LARGEST. */
const LARGEST = 0.03125;

/** @param layers 16 of 8192 × 8192 and a little more are some 4 GB a file */
export async function bigFiles(
  { folder, seed, say }: Workplace,
  layers: number,
  width = WIDTH,
): Promise<Figures | { readonly notMeasured: string }> {
  const header = headerOf(layers, width);
  const bytes = header.length + header.dataBytes;
  const { bavail, bsize } = await statfs(folder);
  const needed = 2 * bytes + 2 ** 30;
  if (bavail * bsize < needed) {
    return {
      notMeasured: `needs ${(needed / 1e9).toFixed(1)} GB of free disk; ${((bavail * bsize) / 1e9).toFixed(1)} GB are free`,
    };
  }
  const [own, copy] = ['own', 'int8'].map((name) => path.join(folder, `${name}.safetensors`)) as [string, string];
  const started = performance.now();
  await writeBoth(header, seed, own, copy);
  say(`two files of ${(bytes / 1e9).toFixed(2)} GB written in ${((performance.now() - started) / 1000).toFixed(0)} s`);
  // Once to load the code, as a running program has it; the second reading is of cached pages like the first.
  const cold = await compareFiles(own, copy);
  const answer = await compareFiles(own, copy);
  const right = answer.verdict === 'related' && answer.tweaks.some(({ kind }) => kind === 'quantised');
  if (!right) say(`WRONG large files: ${answer.verdict}, ${JSON.stringify(answer.tweaks)}: ${answer.reason}`);
  const share = answer.bytesRead / (2 * bytes);
  say(
    `large files: ${answer.verdict}, log10 p ${answer.log10p?.toFixed(1)}, ${(100 * share).toFixed(3)} % read, ${cold.seconds} s at first, then ${answer.seconds} s`,
  );
  const n = 2 * bytes;
  return {
    big_bytes_share: { value: share, n, interval95: null },
    big_seconds: { value: Math.max(cold.seconds, answer.seconds), n: 2, interval95: null },
    big_related: { value: right ? 1 : 0, n: 1, interval95: null },
  };
}

interface Header {
  /** With the eight bytes of its length. */
  readonly bytes: Uint8Array;
  readonly length: number;
  readonly dataBytes: number;
}

function headerOf(layers: number, width: number): Header {
  const entries: Record<string, unknown> = {};
  let at = 0;
  for (let l = 0; l < layers; l++) {
    const shape = [width + GROWTH * (l + 1), width + GROWTH * l];
    const size = 4 * shape[0]! * shape[1]!;
    entries[`layers.${l}.weight`] = { dtype: 'F32', shape, data_offsets: [at, at + size] };
    at += size;
  }
  const text = JSON.stringify(entries);
  const json = utf8(text.padEnd(Math.ceil(text.length / 8) * 8));
  const bytes = new Uint8Array(8 + json.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  return { bytes, length: bytes.length, dataBytes: at };
}

/** Random weights, and the same rounded to 255 steps; streamed, never whole in memory. */
async function writeBoth(header: Header, seed: number, own: string, copy: string): Promise<void> {
  const handles = [await open(own, 'wx'), await open(copy, 'wx')] as const;
  try {
    for (const handle of handles) await handle.write(header.bytes);
    const cipher = createCipheriv('aes-256-ctr', sha256(utf8(`large files ${seed}`)), new Uint8Array(16));
    const zeros = new Uint8Array(CHUNK_BYTES);
    const [values, rounded] = [new Float32Array(CHUNK_BYTES / 4), new Float32Array(CHUNK_BYTES / 4)];
    const step = LARGEST / 127;
    for (let at = 0; at < header.dataBytes; at += CHUNK_BYTES) {
      const random = cipher.update(zeros);
      const integers = new Int32Array(random.buffer, random.byteOffset, CHUNK_BYTES / 4);
      for (let k = 0; k < values.length; k++) {
        const value = (integers[k]! / 2147483648) * LARGEST;
        values[k] = value;
        rounded[k] = Math.round(value / step) * step;
      }
      const length = Math.min(CHUNK_BYTES, header.dataBytes - at);
      await Promise.all([write(handles[0], values, length), write(handles[1], rounded, length)]);
    }
  } finally {
    await Promise.all(handles.map((handle) => handle.close()));
  }
}

async function write(handle: FileHandle, values: Float32Array, length: number): Promise<void> {
  const bytes = new Uint8Array(values.buffer, 0, length);
  for (let at = 0; at < length; ) at += (await handle.write(bytes, at, length - at)).bytesWritten;
}
