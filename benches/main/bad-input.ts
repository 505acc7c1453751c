/**
 * Input that is damaged or lies: refused by one clear message and exit 3, or compared without what is poisoned; never
 * with much memory. Each is one run of the command in a process of its own.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { crc32, deflateRawSync, gzipSync } from 'node:zlib';
import { concatBytes, secretBytes, seededRandom, utf8 } from '../../src/base/index.js';
import { commandWords } from '../../src/cli/testing/process.js';
import { buildOnnx, buildSafetensors } from '../../src/formats/index.js';
import { gaussian } from './nets.js';
import { type Figures, tally, type Workplace } from './section.js';

interface BadCase {
  readonly name: string;
  /** A file or folder, made in the folder of the bench. */
  readonly file: string;
  /** Refused with exit 3 and one of these codes, or compared (exit 0) with this tensor named as left out. */
  readonly refused?: RegExp;
  readonly leftOut?: string;
}

const WIDTHS = [8, 64, 48, 2];
const MEGABYTE = 2 ** 20;

/** @param quick leaves out cases that are like another, and those that need long */
export async function badInput({ folder, seed, say }: Workplace, quick: boolean): Promise<Figures> {
  const counted = tally(say);
  const good = path.join(folder, 'good.safetensors');
  await writeFile(good, safetensors(seed));
  const cases = await makeCases(folder, seed);
  let peak = 0;
  const queue = cases.filter(({ name }) => !quick || ESSENTIAL.has(name));
  const worker = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const { name, file, refused, leftOut } = next;
      const ran = await compareInChild(file, good);
      peak = Math.max(peak, ran.peakBytes);
      const problem = refused === undefined ? notCompared(ran, leftOut!) : notRefused(ran, refused);
      const came = `${problem}; exit ${ran.code}, ${(ran.peakBytes / MEGABYTE).toFixed(0)} MB\n${ran.stderr.slice(0, 500)}`;
      counted.expect(`bad input, ${name}`, problem === null, came);
      say(
        `bad input, ${name}: exit ${ran.code}, ${codeOf(ran) ?? 'compared'}, ${(ran.peakBytes / MEGABYTE).toFixed(0)} MB`,
      );
    }
  };
  await Promise.all(Array.from({ length: Math.min(4, os.availableParallelism()) }, worker));
  return {
    bad_input_wrong: { value: counted.wrong, n: counted.n, interval95: null },
    bad_input_peak_mb: { value: Math.round(peak / MEGABYTE), n: counted.n, interval95: null },
  };
}

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly peakBytes: number;
}

interface Answer {
  readonly error?: { readonly code: string; readonly message: string };
  readonly verdict?: string;
  readonly leftOut?: readonly { readonly tensor: string; readonly reason: string }[];
}

function answerOf({ stdout }: Ran): Answer | null {
  try {
    return JSON.parse(stdout) as Answer;
  } catch {
    return null;
  }
}

const codeOf = (ran: Ran): string | undefined => answerOf(ran)?.error?.code;

/** Exit 3, one JSON document with the error, one message on stderr and no stack. */
function notRefused(ran: Ran, codes: RegExp): string | null {
  const code = codeOf(ran);
  if (ran.code !== 3) return 'exit 3 was expected';
  if (code === undefined || !codes.test(code)) return `a refusal ${codes} was expected, came ${code}`;
  if ((ran.stderr.match(/^error: /gm) ?? []).length !== 1) return 'not one message';
  return /^\s+at .*:\d+:\d+\)?$/m.test(ran.stderr) ? 'a stack is shown' : null;
}

function notCompared(ran: Ran, leftOut: string): string | null {
  const answer = answerOf(ran);
  if (ran.code !== 0 || answer?.verdict === undefined) return 'a comparison was expected';
  return answer.leftOut?.some(({ tensor }) => tensor === leftOut) ? null : `${leftOut} is not named as left out`;
}

const start = commandWords();
const meter = new URL('./peak-memory.mjs', import.meta.url).href;

async function compareInChild(bad: string, good: string): Promise<Ran> {
  const words = ['compare', bad, good, '--json'];
  const child = spawn(process.execPath, ['--import', meter, ...start, ...words], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    timeout: 60_000,
  });
  const said = ['', '', ''];
  [child.stdout, child.stderr, child.stdio[3]].forEach((stream, k) => {
    stream!.on('data', (chunk) => {
      said[k] += String(chunk);
    });
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code: code ?? -1, stdout: said[0]!, stderr: said[1]!, peakBytes: Number(said[2]) };
}

function stack(seed: number): readonly (readonly [name: string, shape: number[], values: Float32Array])[] {
  const random = seededRandom(seed, 'a good net');
  const normal = (n: number) => Float32Array.from({ length: n }, () => gaussian(random));
  return WIDTHS.slice(1).flatMap((width, l) => [
    [`fc${l}.weight`, [width, WIDTHS[l]!], normal(width * WIDTHS[l]!)] as const,
    [`fc${l}.bias`, [width], normal(width)] as const,
  ]);
}

function safetensors(seed: number, spoil: (values: Float32Array, name: string) => void = () => {}): Uint8Array {
  const entries = stack(seed).map(([name, shape, values]) => {
    spoil(values, name);
    return [name, { dtype: 'F32' as const, shape, values }] as const;
  });
  return buildSafetensors(Object.fromEntries(entries));
}

function onnx(seed: number, spoil: (values: Float32Array, name: string) => void = () => {}): Uint8Array {
  const layers = WIDTHS.length - 1;
  return buildOnnx({
    graph: {
      name: 'net',
      inputs: [{ name: 'a0', dtype: 'F32', shape: ['n', WIDTHS[0]!] }],
      outputs: [{ name: `h${layers - 1}`, dtype: 'F32', shape: ['n', WIDTHS[layers]!] }],
      nodes: Array.from({ length: layers }, (_, l) => [
        {
          op: 'Gemm',
          inputs: [`a${l}`, `fc${l}.weight`, `fc${l}.bias`],
          outputs: [`h${l}`],
          attributes: { transB: { int: 1 } },
        },
        ...(l + 1 < layers ? [{ op: 'Relu', inputs: [`h${l}`], outputs: [`a${l + 1}`] }] : []),
      ]).flat(),
      initialisers: stack(seed).map(([name, shape, values]) => {
        spoil(values, name);
        return { name, dtype: 'F32', shape, values };
      }),
    },
  });
}

/** A safetensors file with this header, whatever it says, and so many bytes of data. */
function withHeader(header: string, dataBytes: number, saidLength = utf8(header).length): Uint8Array {
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(saidLength), true);
  return concatBytes(length, utf8(header), new Uint8Array(dataBytes));
}

const headerFor = (shape: readonly number[], end: number): string =>
  JSON.stringify({ 'fc0.weight': { dtype: 'F32', shape, data_offsets: [0, end] } });

/** One member of zeros, deflated: 200 MB from 200 kB. The layout of APPNOTE 4.3. */
function zipBomb(member: string): Uint8Array {
  const plain = new Uint8Array(200 * MEGABYTE);
  const packed = deflateRawSync(plain);
  const name = utf8(member);
  const fields = (signature: number, more: readonly [offset: number, value: number, bytes: 2 | 4][], size: number) => {
    const view = new DataView(new ArrayBuffer(size));
    view.setUint32(0, signature, true);
    for (const [offset, value, bytes] of more) {
      if (bytes === 2) view.setUint16(offset, value, true);
      else view.setUint32(offset, value, true);
    }
    return new Uint8Array(view.buffer);
  };
  const sum = crc32(plain);
  const local = concatBytes(
    fields(
      0x04034b50,
      [
        [4, 20, 2],
        [8, 8, 2],
        [14, sum, 4],
        [18, packed.length, 4],
        [22, plain.length, 4],
        [26, name.length, 2],
      ],
      30,
    ),
    name,
    packed,
  );
  const central = concatBytes(
    fields(
      0x02014b50,
      [
        [4, 20, 2],
        [6, 20, 2],
        [10, 8, 2],
        [16, sum, 4],
        [20, packed.length, 4],
        [24, plain.length, 4],
        [28, name.length, 2],
      ],
      46,
    ),
    name,
  );
  const end = fields(
    0x06054b50,
    [
      [8, 1, 2],
      [10, 1, 2],
      [12, central.length, 4],
      [16, local.length, 4],
    ],
    22,
  );
  return concatBytes(local, central, end);
}

/** In `npm test` too. */
const ESSENTIAL: ReadonlySet<string> = new Set([
  'safetensors cut in its header',
  'ONNX cut in the middle',
  'header that lies about sizes',
  'one NaN weight (ONNX)',
  'all NaN',
  'directory without a model',
  'empty file',
  '10^9 × 10^9 (safetensors)',
  '10^9 × 10^9 (ONNX)',
  'zip bomb',
]);

async function makeCases(folder: string, seed: number): Promise<readonly BadCase[]> {
  const file = async (name: string, bytes: Uint8Array): Promise<string> => {
    const out = path.join(folder, name);
    await writeFile(out, bytes);
    return out;
  };
  const weights = safetensors(seed);
  const headerLength = 8 + Number(new DataView(weights.buffer, weights.byteOffset).getBigUint64(0, true));
  const graph = onnx(seed);
  const nan = (values: Float32Array, name: string): void => {
    if (name === 'fc1.weight') values[7] = Number.NaN;
  };
  const empty = path.join(folder, 'no-model');
  await mkdir(empty);
  await writeFile(path.join(empty, 'notes.txt'), 'no model here\n');
  const huge = 1_000_000_000;
  const hugeOnnx = buildOnnx({
    graph: {
      name: 'huge',
      inputs: [{ name: 'x', dtype: 'F32', shape: ['n', huge] }],
      outputs: [{ name: 'y', dtype: 'F32', shape: ['n', huge] }],
      nodes: [{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }],
      initialisers: [{ name: 'w', dtype: 'F32', shape: [huge, huge], values: { bytes: new Uint8Array(64) } }],
    },
  });
  const safe = /^(SAFETENSORS|SOURCE|JSON)_/;
  const protobuf = /^(ONNX|PROTOBUF|SOURCE)_/;
  const foreign = /^MODEL_FORMAT_NOT_READ$/;
  return [
    {
      name: 'safetensors cut in its header',
      file: await file('cut-header.safetensors', weights.subarray(0, headerLength - 20)),
      refused: safe,
    },
    {
      name: 'safetensors cut in its data',
      file: await file('cut-data.safetensors', weights.subarray(0, weights.length - 100)),
      refused: safe,
    },
    { name: 'safetensors of five bytes', file: await file('five.safetensors', weights.subarray(0, 5)), refused: safe },
    {
      name: 'ONNX cut in the middle',
      file: await file('cut.onnx', graph.subarray(0, graph.length >> 1)),
      refused: protobuf,
    },
    {
      name: 'ONNX cut by one byte',
      file: await file('cut-one.onnx', graph.subarray(0, graph.length - 1)),
      refused: protobuf,
    },
    {
      name: 'header that lies about sizes',
      file: await file('lies.safetensors', withHeader(headerFor([64, 8], 64), 64)),
      refused: safe,
    },
    {
      name: 'header that points beyond the file',
      file: await file('beyond.safetensors', withHeader(headerFor([64, 8], 2048), 64)),
      refused: safe,
    },
    {
      name: 'header said to be 2^60 bytes',
      file: await file('long.safetensors', withHeader('{}', 64, 2 ** 60)),
      refused: safe,
    },
    {
      name: 'header of 90 MB of brackets',
      file: await file('deep.safetensors', withHeader('['.repeat(90_000_000), 0)),
      refused: safe,
    },
    {
      name: 'header of 1,200,000 tensors',
      file: await file('many.safetensors', withHeader(manyTensors(1_200_000), 0)),
      refused: safe,
    },
    { name: 'ONNX tensor with too few bytes', file: await file('short.onnx', shortTensor()), refused: protobuf },
    { name: 'one NaN weight (ONNX)', file: await file('nan.onnx', onnx(seed, nan)), leftOut: 'fc1.weight' },
    {
      name: 'one NaN weight (safetensors)',
      file: await file('nan.safetensors', safetensors(seed, nan)),
      leftOut: 'fc1.weight',
    },
    {
      name: 'all NaN',
      file: await file(
        'all-nan.safetensors',
        safetensors(seed, (values) => values.fill(Number.NaN)),
      ),
      refused: /^COMPARE_NOTHING_LEFT$/,
    },
    {
      name: 'all infinite (ONNX)',
      file: await file(
        'all-inf.onnx',
        onnx(seed, (values) => values.fill(Number.POSITIVE_INFINITY)),
      ),
      refused: /^COMPARE_NOTHING_LEFT$/,
    },
    { name: 'directory without a model', file: empty, refused: /^MODEL_/ },
    { name: 'no such file', file: path.join(folder, 'nowhere.onnx'), refused: /^FILE_NOT_FOUND$/ },
    { name: 'empty file', file: await file('empty.onnx', new Uint8Array(0)), refused: /^MODEL_/ },
    { name: 'empty safetensors', file: await file('empty.safetensors', new Uint8Array(0)), refused: /^MODEL_/ },
    {
      name: '10^9 × 10^9 (safetensors)',
      file: await file('huge.safetensors', withHeader(headerFor([huge, huge], 64), 64)),
      refused: safe,
    },
    { name: '10^9 × 10^9 (ONNX)', file: await file('huge.onnx', hugeOnnx), refused: protobuf },
    { name: 'zip bomb', file: await file('bomb.pt', zipBomb('archive/data.pkl')), refused: /^ZIP_BOMB$/ },
    { name: 'zip bomb named as a model', file: await file('bomb.onnx', zipBomb('model.onnx')), refused: foreign },
    { name: 'gzip bomb', file: await file('bomb.gz', gzipSync(new Uint8Array(200 * MEGABYTE))), refused: /^MODEL_/ },
    { name: 'random bytes', file: await file('random.bin', secretBytes(4096)), refused: /^MODEL_/ },
  ];
}

function manyTensors(count: number): string {
  const entries: string[] = [];
  for (let k = 0; k < count; k++) entries.push(`"t${k}":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`);
  return `{${entries.join(',')}}`;
}

function shortTensor(): Uint8Array {
  return buildOnnx({
    graph: {
      name: 'short',
      inputs: [{ name: 'x', dtype: 'F32', shape: ['n', 64] }],
      outputs: [{ name: 'y', dtype: 'F32', shape: ['n', 64] }],
      nodes: [{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }],
      initialisers: [{ name: 'w', dtype: 'F32', shape: [64, 64], values: { bytes: new Uint8Array(4096) } }],
    },
  });
}
