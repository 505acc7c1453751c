/**
 * Keras models: one .h5 with `model_config`, weights alone (`.weights.h5`, an .h5 of `save_weights`), and `.keras`
 * archives of `config.json`, `metadata.json` and `model.weights.h5`. Other HDF5 files are read as named arrays. Layers
 * that hold code (Lambda) are named in the metadata; nothing is executed.
 */
import { type ByteSource, inputError, type Json } from '../base/index.js';
import { parseBoundedJson } from './bounded-json.js';
import { type Hdf5, openHdf5 } from './hdf5.js';
import {
  isRecord,
  type JsonRecord,
  type KerasConfig,
  type KerasWeights,
  readKerasConfig,
  refuseKeras,
} from './keras-config.js';
import { graphOfKeras } from './keras-graph.js';
import type { Dialect } from './keras-graph-build.js';
import { legacyLayers, legacyOptimizer, legacyWeights } from './keras-legacy.js';
import { isSaved, savedWeights } from './keras-saved.js';
import { tensorsOf } from './keras-weight.js';
import { MAX_KERAS_CONFIG, MAX_PICKLE_METADATA } from './limits.js';
import type { Model } from './model.js';
import { type Found, type ModelFiles, modelOf } from './opened.js';
import type { StoredTensor } from './stored-tensor.js';
import { storedEntry, type ZipArchive } from './zip.js';

/** @throws those of `openHdf5`, `KERAS_…`, `JSON_…`, `HDF5_DTYPE` */
export async function openHdf5Model(source: ByteSource, files: ModelFiles): Promise<Model> {
  const h5 = await openHdf5(source);
  const { root } = h5;
  const layers = legacyLayers(h5);
  const settings = new Map<string, string>();
  for (const group of [root, layers ?? root]) {
    for (const key of ['keras_version', 'backend']) await addText(h5, group.attributes, key, settings);
  }
  const [text] = (await h5.texts(root.attributes, 'model_config')) ?? [];
  const json = text === undefined ? null : parseBoundedJson(Buffer.from(text), `${source.name}, model_config`);
  if (json === null && layers === null && !isSaved(root)) return modelOf(files, await plainArrays(h5));
  const [training] = (await h5.texts(root.attributes, 'training_config')) ?? [];
  if (training !== undefined) {
    const told = parseBoundedJson(Buffer.from(training), `${source.name}, training_config`);
    addClass(isRecord(told) ? told.optimizer_config : undefined, 'optimizer', settings);
  }
  return modelOf(files, await kerasModel(h5, json, settings));
}

/** @returns null for an archive of something else. @throws as `openHdf5Model`, `ZIP_…` */
export async function openKerasArchive(archive: ZipArchive, files: ModelFiles): Promise<Model | null> {
  if (!archive.entries.has('config.json') || !archive.entries.has('metadata.json')) return null;
  const file = files.main.name;
  if (!archive.entries.has('model.weights.h5')) {
    return refuseKeras('WEIGHTS', 'the archive holds no weights in HDF5', {
      expected: 'model.weights.h5',
      got: [...archive.entries.keys()].slice(0, 10).join(', '),
      where: file,
      todo: 'save the model again with model.save("MODEL.keras")',
    });
  }
  const json = await jsonEntry(archive, 'config.json');
  const about = await jsonEntry(archive, 'metadata.json');
  const settings = new Map<string, string>();
  for (const key of ['keras_version', 'date_saved']) {
    const value = isRecord(about) ? about[key] : undefined;
    if (typeof value === 'string') settings.set(key, value.slice(0, MAX_SETTING));
  }
  const compiled = isRecord(json) ? json.compile_config : undefined;
  addClass(isRecord(compiled) ? compiled.optimizer : undefined, 'optimizer', settings);
  const source = archive.open('model.weights.h5');
  const h5 = await openHdf5(source);
  // What is compressed in the archive cannot be changed in place.
  return modelOf(files, await kerasModel(h5, json, settings, storedEntry(source) !== null));
}

async function jsonEntry(archive: ZipArchive, name: string): Promise<Json> {
  const source = archive.open(name);
  if (source.byteLength > MAX_KERAS_CONFIG) {
    throw inputError('KERAS_TOO_LARGE', 'a configuration is longer than any real one', {
      expected: `at most ${MAX_KERAS_CONFIG} bytes`,
      got: `${source.byteLength} bytes`,
      where: source.name,
    });
  }
  return parseBoundedJson(await source.slice(0, source.byteLength), source.name);
}

async function kerasModel(
  h5: Hdf5,
  json: Json | null,
  settings: Map<string, string>,
  isWritable = true,
): Promise<Found> {
  const { name } = h5.file.source;
  const config = json === null ? null : readKerasConfig(json, name);
  const { tensors, weights } = await kerasTensors(h5, config, isWritable);
  if (config !== null) describe(config, settings);
  const found = config === null ? null : graphOfKeras(config, weights, name, dialectOf(settings.get('keras_version')));
  if (found === null) settings.set('graph', withoutGraph(config));
  return {
    format: 'keras',
    tensors: found === null ? tensors : tensors.map((tensor) => found.views.get(tensor.name) ?? tensor),
    graph: found?.graph ?? null,
    opset: null,
    metadata: settings,
  };
}

function withoutGraph(config: KerasConfig | null): string {
  if (config === null) return 'none: the file holds weights alone';
  if (config.isKeras) return 'none: the configuration lists no layers';
  return `none: the model is of a class of its author’s (${config.className.slice(0, 100)}), and only its code tells what it computes`;
}

/** Keras 3 changed the slope of `hard_sigmoid`; TensorFlow 1.14 (Keras 2.2.4-tf) put pixels at halves. */
function dialectOf(version = ''): Dialect {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const isEarly = major < 2 || (major === 2 && minor < 3 && !version.includes('-tf'));
  return { hardSlope: major >= 3 ? 1 / 6 : 0.2, halfPixels: !isEarly };
}

/** All arrays of the file as tensors, and those of layers by layer. @throws `KERAS_WEIGHTS`, `KERAS_TOO_MANY`, `HDF5_DTYPE` */
export async function kerasTensors(
  h5: Hdf5,
  config: KerasConfig | null,
  isWritable = true,
): Promise<{ readonly tensors: readonly StoredTensor[]; readonly weights: KerasWeights }> {
  const layers = legacyLayers(h5);
  if (layers === null) return tensorsOf(h5, await savedWeights(h5, config), isWritable);
  const weights = [...(await legacyWeights(h5, layers, config)), ...(await legacyOptimizer(h5))];
  return tensorsOf(h5, weights, isWritable);
}

/** Texts are settings and dates; longer ones are documents. */
const MAX_SETTING = 1000;

async function addText(
  h5: Hdf5,
  attributes: Parameters<Hdf5['texts']>[0],
  key: string,
  settings: Map<string, string>,
): Promise<void> {
  const texts = await h5.texts(attributes, key);
  if (texts?.length === 1) settings.set(key, texts[0]!.slice(0, MAX_SETTING));
}

function addClass(json: Json | undefined, key: string, settings: Map<string, string>): void {
  if (isRecord(json) && typeof json.class_name === 'string') settings.set(key, json.class_name.slice(0, MAX_SETTING));
}

/** The model's class and name, its layers by class, and those that hold code. */
function describe(config: KerasConfig, settings: Map<string, string>): void {
  const counts = new Map<string, number>();
  const code: string[] = [];
  const visit = ({ layers }: KerasConfig, around: string): void => {
    for (const { name, className, config: own, model } of layers) {
      counts.set(className, (counts.get(className) ?? 0) + 1);
      if (holdsCode(className, own)) code.push(around + name);
      if (model !== null) visit(model, `${around}${name}/`);
    }
  };
  visit(config, '');
  settings.set('class', config.className.slice(0, MAX_SETTING));
  settings.set('name', config.name.slice(0, MAX_SETTING));
  const summary = [...counts].map(([kind, count]) => `${kind.slice(0, 100)} ${count}`);
  if (summary.length > 0) settings.set('layers', summary.slice(0, MAX_PICKLE_METADATA).join(', '));
  if (code.length > 0) {
    settings.set('layers with code (not executed)', code.slice(0, MAX_PICKLE_METADATA).join(', '));
  }
}

/** Marshalled Python in a Lambda, or in a place of any layer that takes a function. */
function holdsCode(className: string, config: JsonRecord): boolean {
  return (
    className === 'Lambda' ||
    Object.values(config).some((value) => isRecord(value) && value.class_name === '__lambda__')
  );
}

/** HDF5 of any other program: its arrays by their paths, its root's settings as metadata. */
async function plainArrays(h5: Hdf5): Promise<Found> {
  const { tensors } = await tensorsOf(h5, []);
  const metadata = new Map<string, string>();
  for (const key of [...h5.root.attributes.keys()].slice(0, MAX_PICKLE_METADATA)) {
    await addText(h5, h5.root.attributes, key, metadata);
    const numbers = h5.numbers(h5.root.attributes, key);
    if (numbers?.length === 1) metadata.set(key, String(numbers[0]));
  }
  return { format: 'hdf5', tensors, graph: null, opset: null, metadata };
}
