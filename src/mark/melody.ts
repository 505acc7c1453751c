/** An owner's short waveform, from a CSV column of numbers or a WAV file (RIFF, PCM of 16 bits): samples from −1 to 1. */
import { fileSource, fromUtf8, inputError, sha256Hex } from '../base/index.js';
import { parseCsv } from '../train/index.js';
import type { Melody } from './trigger-plan.js';

/** Samples kept of a waveform: more than any window has readings. */
const KEPT = 64;
/** A waveform, not a recording. */
const MAX_BYTES = 16 * 2 ** 20;

/** @throws `MARK_MELODY` */
export async function readMelody(file: string): Promise<Melody> {
  const source = await fileSource(file);
  try {
    if (source.byteLength > MAX_BYTES) throw bad(file, `at most ${MAX_BYTES} bytes`, `${source.byteLength} bytes`);
    const bytes = await source.slice(0, source.byteLength);
    const isWav = bytes.length > 12 && fromUtf8(bytes.subarray(0, 4), file) === 'RIFF';
    const samples = isWav ? wavSamples(bytes, file) : csvSamples(fromUtf8(bytes, file), file);
    const most = samples.reduce((high, one) => Math.max(high, Math.abs(one)), 0);
    if (samples.length < 2 || !(most > 0) || !Number.isFinite(most)) {
      throw bad(file, 'at least two samples that are not all 0', `${samples.length}`);
    }
    return { samples: thinned(samples).map((one) => Number((one / most).toFixed(4))), sha256: sha256Hex(bytes) };
  } finally {
    await source.close();
  }
}

const bad = (where: string, expected: string, got: string): Error =>
  inputError('MARK_MELODY', 'this file holds no waveform', {
    where,
    expected,
    got,
    todo: 'give a CSV file with a column of numbers, or a WAV file of 16-bit PCM',
  });

function csvSamples(text: string, file: string): readonly number[] {
  const column = parseCsv(text, file).columns.find(({ numbers }) => !numbers.some(Number.isNaN));
  if (column === undefined) throw bad(file, 'a column of numbers', 'none');
  return Array.from(column.numbers);
}

/** First channel of the data chunk. */
function wavSamples(bytes: Uint8Array, file: string): readonly number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let [channels, bits] = [0, 0];
  for (let at = 12; at + 8 <= bytes.length; ) {
    const name = String.fromCharCode(...bytes.subarray(at, at + 4));
    const size = view.getUint32(at + 4, true);
    const start = at + 8;
    const end = Math.min(bytes.length, start + size);
    if (name === 'fmt ' && end - start >= 16) {
      channels = view.getUint16(start + 2, true);
      bits = view.getUint16(start + 14, true);
      if (view.getUint16(start, true) !== 1 || bits !== 16 || channels < 1)
        throw bad(file, '16-bit PCM', `${bits} bits`);
    }
    if (name === 'data' && channels > 0) {
      const frames = Math.floor((end - start) / (2 * channels));
      return Array.from({ length: frames }, (_, frame) => view.getInt16(start + 2 * channels * frame, true) / 32_768);
    }
    at = start + size + (size % 2);
  }
  throw bad(file, 'a format chunk, and then a data chunk', 'neither');
}

/** As many means of equal stretches. */
function thinned(samples: readonly number[]): readonly number[] {
  if (samples.length <= KEPT) return samples;
  return Array.from({ length: KEPT }, (_, k) => {
    const part = samples.slice(Math.floor((k * samples.length) / KEPT), Math.floor(((k + 1) * samples.length) / KEPT));
    return part.reduce((sum, one) => sum + one, 0) / part.length;
  });
}
