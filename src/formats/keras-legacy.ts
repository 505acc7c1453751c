/**
 * Weights as Keras 1, 2 and (on request) 3 write them into one .h5: a group for each layer, whose attribute
 * `weight_names` gives their order. Source: `legacy/saving/legacy_h5_format.py` of Keras 3.
 */
import type { Attributes, Hdf5, Hdf5Dataset, Hdf5Group } from './hdf5.js';
import { type KerasConfig, type KerasLayer, refuseKeras } from './keras-config.js';
import { addWeight, type Gathered, type KerasWeight } from './keras-weight.js';
import { MAX_TENSORS } from './limits.js';

/** The group of the layers; null where the file is none of these. */
export function legacyLayers(h5: Hdf5): Hdf5Group | null {
  const inside = h5.root.members.get('model_weights');
  if (inside?.kind === 'group') return inside;
  return listed(h5.root.attributes, 'layer_names') ? h5.root : null;
}

const listed = (attributes: Attributes, name: string): boolean => attributes.has(name) || attributes.has(`${name}0`);

/** Lists too long for one attribute are cut: `layer_names0`, `layer_names1`, … */
async function listOf(h5: Hdf5, attributes: Attributes, name: string): Promise<readonly string[]> {
  const whole = await h5.texts(attributes, name);
  if (whole !== null) return whole;
  const parts: string[] = [];
  for (let i = 0; i < MAX_TENSORS; i++) {
    const part = await h5.texts(attributes, `${name}${i}`);
    if (part === null) break;
    for (const text of part) parts.push(text);
  }
  return parts;
}

/** @throws `KERAS_WEIGHTS` where a list names what is not there */
export async function legacyWeights(
  h5: Hdf5,
  group: Hdf5Group,
  config: KerasConfig | null,
): Promise<readonly KerasWeight[]> {
  const layers = new Map(config?.layers.map((layer) => [layer.name, layer]));
  const found: Gathered = { list: [], text: 0 };
  const names = [...(await listOf(h5, group.attributes, 'layer_names'))];
  const seen = new Set<string>();
  if (group.members.has(TOP_LEVEL) && !names.includes(TOP_LEVEL)) names.push(TOP_LEVEL);
  for (const name of names) {
    const member = memberAt(group, name.split('/'));
    if (member?.kind !== 'group') return refuseMissing(h5, group, `layer ${name}`);
    if (seen.has(name)) refuseTwice(h5, group, `layer ${name}`);
    seen.add(name);
    const layer = layers.get(name) ?? null;
    const inner = layer?.model ? layersIn(layer.model) : null;
    for (const [full, dataset] of await weightsOf(h5, member)) {
      addWeight(found, { dataset, ...named(full, name, layer, inner) });
    }
  }
  return found.list;
}

const TOP_LEVEL = 'top_level_model_weights';

/** State of the optimiser: `optimizer/adam/iteration`. */
export async function legacyOptimizer(h5: Hdf5): Promise<readonly KerasWeight[]> {
  const group = h5.root.members.get('optimizer_weights');
  if (group?.kind !== 'group') return [];
  return [...(await weightsOf(h5, group))].map(([full, dataset]) => {
    const name = `optimizer/${full.replace(/:\d+$/, '')}`;
    return { dataset, name, fullName: name, layer: null, within: [], kinds: ['optimizer'] };
  });
}

async function weightsOf(h5: Hdf5, group: Hdf5Group): Promise<readonly (readonly [string, Hdf5Dataset])[]> {
  const found: (readonly [string, Hdf5Dataset])[] = [];
  const seen = new Set<string>();
  for (const name of await listOf(h5, group.attributes, 'weight_names')) {
    if (seen.has(name)) refuseTwice(h5, group, `weight ${name}`);
    seen.add(name);
    const dataset = memberAt(group, name.split('/'));
    if (dataset?.kind !== 'dataset') return refuseMissing(h5, group, `weight ${name}`);
    found.push([name, dataset]);
  }
  return found;
}

function memberAt(group: Hdf5Group, path: readonly string[]): Hdf5Group | Hdf5Dataset | undefined {
  let at: Hdf5Group | Hdf5Dataset | undefined = group;
  for (const part of path) at = at?.kind === 'group' ? at.members.get(part) : undefined;
  return at;
}

const refuseMissing = (h5: Hdf5, group: Hdf5Group, what: string): never =>
  refuseKeras('WEIGHTS', 'the file lists a layer or weight that it does not hold', {
    got: what.slice(0, 200),
    where: `${h5.file.source.name}, group /${group.path.slice(0, 200)}`,
  });

const refuseTwice = (h5: Hdf5, group: Hdf5Group, what: string): never =>
  refuseKeras('WEIGHTS', 'the file lists a layer or weight twice', {
    got: what.slice(0, 200),
    where: `${h5.file.source.name}, group /${group.path.slice(0, 200)}`,
  });

/** @param full the weight's name: `dense/kernel:0`, `bi/forward_lstm/lstm_cell/kernel`, `inner/dense/kernel:0` */
function named(
  full: string,
  layerName: string,
  layer: KerasLayer | null,
  inner: InnerLayers | null,
): Omit<KerasWeight, 'dataset'> {
  const name = full.replace(/:\d+$/, '');
  const parts = name.split('/');
  const found = inner === null ? null : layerOf(inner, parts);
  if (found !== null) {
    const within = parts.slice(found.at + 1);
    const path = [layerName, ...found.path].join('/');
    return { name, fullName: `${path}/${within.join('/')}`, layer: path, within, kinds: kindsOf(found.layer) };
  }
  const depth = layerName.split('/').length;
  const hasLayer = parts.length > depth && parts.slice(0, depth).join('/') === layerName;
  const within = hasLayer ? parts.slice(depth) : parts;
  return {
    name,
    fullName: [layerName, ...within].join('/'),
    layer: layerName === TOP_LEVEL ? null : layerName,
    // The scope may be another than the layer, which was renamed or shared.
    within: !hasLayer && layer !== null && layer.model === null && parts.length > 1 ? parts.slice(1) : within,
    kinds: layer === null ? [] : kindsOf(layer),
  };
}

/** The inner layer of a wrapper has the weights. */
function kindsOf({ className, config }: KerasLayer): readonly string[] {
  const { layer } = config;
  const inner = typeof layer === 'object' && layer !== null && !Array.isArray(layer) ? layer : {};
  const kind = 'class_name' in inner ? inner.class_name : undefined;
  return typeof kind === 'string' ? [kind.replace(/^.*>/, ''), className] : [className];
}

/** Layers of a nested model at whatever depth, by name and by the name of the model around them before it. */
type InnerLayers = ReadonlyMap<string, { readonly path: readonly string[]; readonly layer: KerasLayer }>;

function layersIn(model: KerasConfig): InnerLayers {
  const found = new Map<string, { readonly path: readonly string[]; readonly layer: KerasLayer }>();
  const add = (key: string, path: readonly string[], layer: KerasLayer): void => {
    if (!found.has(key)) found.set(key, { path, layer });
  };
  const visit = ({ name: around, layers }: KerasConfig, path: readonly string[]): void => {
    for (const layer of layers) {
      const own = [...path, layer.name];
      if (layer.model === null) {
        add(layer.name, own, layer);
        add(`${around}/${layer.name}`, own, layer);
      } else visit(layer.model, own);
    }
  };
  visit(model, []);
  return found;
}

/** The layer that a weight's path names, and where in the path. */
function layerOf(
  layers: InnerLayers,
  parts: readonly string[],
): { readonly path: readonly string[]; readonly layer: KerasLayer; readonly at: number } | null {
  for (let at = 0; at < parts.length - 1; at++) {
    const found = layers.get(`${parts[at - 1]}/${parts[at]}`) ?? layers.get(parts[at]!);
    if (found !== undefined) return { ...found, at };
  }
  return null;
}
