/** Opens any model file that is read, recognised by its content; says why not where it is not. */
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import {
  type ByteSource,
  fileSource,
  httpSource,
  inputError,
  isUrl,
  MunimentError,
  spooledSource,
  toMunimentError,
} from '../base/index.js';
import { withConfig } from './config.js';
import { looksLikeGguf, openGguf } from './gguf.js';
import { looksLikeHdf5 } from './hdf5.js';
import { openHdf5Model, openKerasArchive } from './keras.js';
import { looksLikeLightgbm, openLightgbm } from './lightgbm.js';
import type { Model } from './model.js';
import { looksLikeNumpy, openNumpy, openNumpyArchive } from './numpy.js';
import { openOnnx } from './onnx.js';
import { type Beside, modelFiles } from './opened.js';
import { looksLikeXml, openOpenvino } from './openvino.js';
import { withPlaceAndTodo } from './refusal.js';
import { looksLikeSafetensors, openSafetensors, openSharded } from './safetensors.js';
import { openTfjs } from './tfjs.js';
import { looksLikeTflite, openTflite } from './tflite.js';
import { looksLikeLegacyTorch, openLegacyTorch, openShardedTorch, openTorchArchive } from './torch.js';
import { looksLikeUbj } from './ubj-document.js';
import { openXgboost } from './xgboost.js';
import { openZip } from './zip.js';

/** For messages. */
const READ = 'ONNX, safetensors, PyTorch, Keras, GGUF, TensorFlow.js, TFLite, OpenVINO, NumPy, XGBoost or LightGBM';

interface Foreign {
  readonly name: string;
  readonly todo: string;
  matches(head: Uint8Array, name: string): boolean;
}

const starts = (head: Uint8Array, ...bytes: readonly number[]): boolean => bytes.every((byte, i) => head[i] === byte);
const ascii = (head: Uint8Array, at: number, text: string): boolean =>
  [...text].every((c, i) => head[at + i] === c.charCodeAt(0));

const contains = (head: Uint8Array, text: string): boolean => Buffer.from(head).includes(text);

/** Formats that are recognised but not read, each with the way to one that is. The first match is named. */
const FOREIGN: readonly Foreign[] = [
  {
    name: 'ONNX Runtime’s own format (.ort)',
    matches: (h) => ascii(h, 4, 'ORTM'),
    todo: 'use the .onnx file that it was made from',
  },
  {
    name: 'a zip archive that is neither PyTorch (.pt, .pth), NumPy (.npz) nor Keras (.keras)',
    matches: (h) => starts(h, 0x50, 0x4b),
    todo: 'export to ONNX (torch.onnx.export, tf2onnx) or save the weights as safetensors (safetensors.torch.save_file)',
  },
  {
    name: 'a Python pickle that torch.save did not write (scikit-learn)',
    matches: (h) => h[0] === 0x80 && h[1] !== undefined && h[1] >= 2 && h[1] <= 5,
    todo: 'load it where you trust it, and export to ONNX (torch.onnx.export, skl2onnx) or safetensors',
  },
  { name: 'a gzip file', matches: (h) => starts(h, 0x1f, 0x8b), todo: 'decompress it first' },
  {
    name: 'PMML',
    matches: (h) => looksLikeXml(h) && contains(h, '<PMML'),
    todo: 'export the model to ONNX where it was trained (skl2onnx, onnxmltools)',
  },
  {
    name: 'XML that is no OpenVINO model',
    matches: looksLikeXml,
    todo: 'name the .xml of an OpenVINO model, or use the ONNX file that the model was converted from',
  },
  {
    name: 'JSON without weights (a configuration, a dump of a model)',
    matches: (h, n) => h[0] === 0x7b && !n.endsWith('.index.json'),
    todo: 'name the file that holds the weights; save tree models with save_model',
  },
];

/** Formats without a mark of their own, recognised by the file's name once nothing else fits. */
const BY_NAME: readonly (readonly [string, string, string])[] = [
  ['.pb', 'TensorFlow (.pb)', 'export to ONNX: python -m tf2onnx.convert --saved-model FOLDER --output MODEL.onnx'],
  ['.mlmodel', 'Core ML', 'use the model that it was converted from, as ONNX or safetensors'],
  [
    '.bin',
    'raw weights (.bin) of TensorFlow.js, OpenVINO or ncnn',
    'name the model.json or the .xml beside it, or use the ONNX file that they were converted from',
  ],
  ['.pkl', 'a Python pickle', 'load it where you trust it, and export to ONNX (skl2onnx) or safetensors'],
];

/**
 * Opens a model lazily: headers and graph are read, values are not.
 * @param where a path of a file or folder, an `https://` address (read by ranges), `-` for standard input, or bytes
 * @param beside where the bytes of shards and external data come from, when the model is given as bytes
 * @throws `MODEL_FORMAT_NOT_READ` (recognised, not read), `MODEL_FORMAT_UNKNOWN`, `MODEL_EMPTY`, `MODEL_FOLDER`, and each format's own
 */
export async function openModel(where: string | ByteSource, beside?: Beside): Promise<Model> {
  try {
    if (typeof where !== 'string') return await openSource(where, beside ?? null);
    if (where === '-') return await openSource(await spooledSource(process.stdin, 'standard input'), null);
    if (isUrl(where)) return await openSource(await httpSource(where), besideUrl(where));
    const file = (await stat(where)).isDirectory() ? await modelFileIn(where) : where;
    return await openSource(await fileSource(file), path.dirname(file));
  } catch (error) {
    throw toMunimentError(error);
  }
}

/** Parts of a model behind an address lie below the same folder of the same server. */
const besideUrl =
  (address: string): Beside =>
  (relative) => {
    const url = new URL(address);
    url.pathname = url.pathname.replace(/[^/]*$/, relative.split(path.sep).map(encodeURIComponent).join('/'));
    return httpSource(url.href);
  };

async function openSource(source: ByteSource, folder: string | Beside | null): Promise<Model> {
  const files = modelFiles(source, folder);
  try {
    return await withConfig(await recognise(files), files);
  } catch (error) {
    await files.close();
    throw withPlaceAndTodo(error, source.name);
  }
}

async function recognise(files: ReturnType<typeof modelFiles>): Promise<Model> {
  const { main } = files;
  if (main.byteLength === 0)
    throw inputError('MODEL_EMPTY', 'the file is empty', { where: main.name, todo: 'fetch it again' });
  const head = await main.slice(0, Math.min(128, main.byteLength));
  if (main.name.endsWith('.bin.index.json')) return openShardedTorch(main, files);
  if (main.name.endsWith('.index.json')) return openSharded(main, files);
  // Its first bytes are a length, and some lengths (640, 896, …) spell the mark of another format.
  if (looksLikeSafetensors(head)) return openSafetensors(main, files);
  if (main.name.endsWith('.safetensors')) {
    refuseForeign(head, main.name);
    return openSafetensors(main, files);
  }
  const own = await openMarked(head, files);
  if (own !== null) return own;
  refuseForeign(head, main.name);
  const model = await openAsOnnx(files);
  if (model !== null) return model;
  const named = BY_NAME.find(([ending]) => main.name.toLowerCase().endsWith(ending));
  if (named !== undefined) refuse(named[1], named[2], main.name);
  throw inputError('MODEL_FORMAT_UNKNOWN', 'this is no model file that is known here', {
    expected: READ,
    got: `bytes ${[...head.subarray(0, 8)].map((b) => b.toString(16).padStart(2, '0')).join(' ')} …`,
    where: main.name,
    todo: 'export the model to ONNX or safetensors',
  });
}

/** Formats with a mark of their own. */
async function openMarked(head: Uint8Array, files: ReturnType<typeof modelFiles>): Promise<Model | null> {
  if (looksLikeLegacyTorch(head)) return openLegacyTorch(files.main, files);
  if (looksLikeTflite(head)) return openTflite(files.main, files);
  if (looksLikeHdf5(head)) return openHdf5Model(files.main, files);
  if (looksLikeGguf(head)) return openGguf(files.main, files);
  if (looksLikeNumpy(head)) return openNumpy(files.main, files);
  if (looksLikeLightgbm(head)) return openLightgbm(files.main, files);
  if (looksLikeXml(head)) return openOpenvino(files.main, files);
  if (looksLikeUbj(head)) return openXgboost(files.main, files);
  // Its first member, as XGBoost sorts them: the weights of TensorFlow.js are not looked for in a large file.
  if (ascii(head, 0, '{"learner"')) return openXgboost(files.main, files);
  if (head[0] === 0x7b || head[0] === 0x5b)
    return (await openTfjs(files.main, files)) ?? (await openXgboost(files.main, files));
  if (!ascii(head, 0, 'PK\x03\x04')) return null;
  const archive = await openZip(files.main);
  return (
    (await openTorchArchive(archive, files)) ??
    (await openNumpyArchive(archive, files)) ??
    openKerasArchive(archive, files)
  );
}

/** ONNX has no magic number: bytes that do not even parse as protobuf are unknown, unless the name claims otherwise. */
async function openAsOnnx(files: ReturnType<typeof modelFiles>): Promise<Model | null> {
  const claimed = /\.(onnx|ort)$/i.test(files.main.name);
  try {
    const model = await openOnnx(files);
    if (model === null && claimed) {
      throw inputError('ONNX_MALFORMED', 'the file holds no graph', {
        where: files.main.name,
        todo: 'the file is truncated or not ONNX; export it again',
      });
    }
    return model;
  } catch (error) {
    if (
      !claimed &&
      error instanceof MunimentError &&
      error.code === 'ONNX_MALFORMED' &&
      files.main.bytesRead < 256 * 1024
    )
      return null;
    throw error;
  }
}

function refuseForeign(head: Uint8Array, name: string): void {
  const foreign = FOREIGN.find((format) => format.matches(head, name));
  if (foreign !== undefined) refuse(foreign.name, foreign.todo, name);
}

function refuse(format: string, todo: string, where: string): never {
  throw inputError('MODEL_FORMAT_NOT_READ', `this is ${format}, a format that is not read yet`, {
    expected: READ,
    got: format,
    where,
    todo,
  });
}

/** The one model in a folder, as the hubs lay them out. */
async function modelFileIn(folder: string): Promise<string> {
  const all = (await readdir(folder)).sort();
  // An .xml may be anything, but for one with weights beside it.
  const names = all.filter((name) => !name.endsWith('.xml') || all.includes(name.replace(/xml$/, 'bin')));
  const choices = [
    /\.safetensors\.index\.json$/,
    /^model\.safetensors$/,
    /^model\.onnx$/,
    /\.safetensors$/,
    /\.onnx$/,
    /-00001-of-\d{5}\.gguf$/,
    /\.gguf$/,
    /\.tflite$/,
    /^openvino_model\.xml$/,
    /\.xml$/,
    /^model\.json$/,
    /weights_manifest\.json$/,
    /^pytorch_model\.bin\.index\.json$/,
    /^pytorch_model\.bin$/,
    /\.pth?$/,
    /\.npz$/,
    /\.keras$/,
    /\.weights\.h5$/,
    /\.h5$/,
    /\.ubj$/,
  ];
  for (const pattern of choices) {
    const found = names.filter((name) => pattern.test(name));
    if (found.length === 1) return path.join(folder, found[0]!);
    if (found.length > 1) {
      throw inputError('MODEL_FOLDER', 'the folder holds more than one model', {
        got: found.slice(0, 10).join(', '),
        where: folder,
        todo: 'name one of them',
      });
    }
  }
  throw inputError('MODEL_FOLDER', 'the folder holds no model', {
    expected: `one file of ${READ}, or shards with their .index.json`,
    got: names.slice(0, 10).join(', ') || 'an empty folder',
    where: folder,
  });
}
