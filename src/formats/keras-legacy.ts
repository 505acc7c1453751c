/**
 * Weights as Keras 1, 2 and (on request) 3 write them into one .h5: a group for each layer, whose attribute
 * `weight_names` gives their order. Source: `legacy/saving/legacy_h5_format.py` of Keras 3.
 */
import type { Attributes, Hdf5, Hdf5Dataset, Hdf5Group } from './hdf5.js';
import { type KerasConfig, type KerasLayer, refuseKeras } from './keras-config.js';
import type { KerasWeight } from './keras-weight.js';
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
  const found: KerasWeight[] = [];
  const names = [...(await listOf(h5, group.attributes, 'layer_names'))];
  if (group.members.has(TOP_LEVEL) && !names.includes(TOP_LEVEL)) names.push(TOP_LEVEL);
  for (const name of names) {
    const member = memberAt(group, name.split('/'));
    if (member?.kind !== 'group') return refuseMissing(h5, group, `layer ${name}`);
    const layer = layers.get(name) ?? null;
    for (const [full, dataset] of await weightsOf(h5, member)) {
      found.push({ dataset, ...named(full, name, layer) });
    }
  }
  return found;
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
  for (const name of await listOf(h5, group.attributes, 'weight_names')) {
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

/** @param full the weight's name: `dense/kernel:0`, `bi/forward_lstm/lstm_cell/kernel`, `inner/dense/kernel:0` */
function named(full: string, layerName: string, layer: KerasLayer | null): Omit<KerasWeight, 'dataset'> {
  const name = full.replace(/:\d+$/, '');
  const parts = name.split('/');
  const inner = layer?.model ? layerIn(layer.model, parts.slice(0, -1)) : null;
  if (layer !== null && inner !== null) {
    const { path, at } = inner;
    const within = parts.slice(at + 1);
    const fullName = [layerName, ...path.map((one) => one.name), ...within].join('/');
    const owner = path.at(-1)!;
    return {
      name,
      fullName,
      layer: [layerName, ...path.map((one) => one.name)].join('/'),
      within,
      kinds: kindsOf(owner),
    };
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

/** The layer of a nested model that a path names, at whatever depth, and where in the path it stands. */
function layerIn(
  model: KerasConfig,
  path: readonly string[],
): { readonly path: readonly KerasLayer[]; readonly at: number } | null {
  for (const [at, part] of path.entries()) {
    for (const layer of model.layers) {
      if (layer.name !== part) continue;
      if (layer.model === null) return { path: [layer], at };
      const deeper = layerIn(layer.model, path.slice(at + 1));
      if (deeper !== null) return { path: [layer, ...deeper.path], at: at + 1 + deeper.at };
    }
  }
  for (const layer of model.layers) {
    const deeper = layer.model === null ? null : layerIn(layer.model, path);
    if (deeper !== null) return { path: [layer, ...deeper.path], at: deeper.at };
  }
  return null;
}
