/**
 * Weights as Keras 3 (and `.keras` files of Keras 2.12 to 2.15) store them: groups follow the attributes of objects,
 * variables are numbered in `vars`. Names come from the configuration, from the names that newer versions put beside
 * `vars`, else from the groups. Source: `_save_state` and `_save_container_state` in keras/src/saving/saving_lib.py.
 */
import type { Attributes, Hdf5, Hdf5Dataset, Hdf5Group } from './hdf5.js';
import { isRecord, type JsonRecord, type KerasConfig, type KerasLayer, refuseKeras } from './keras-config.js';
import { classOfGroup, type LayerPart, partOf, partsOf, snakeCase, variablesOf } from './keras-layers.js';
import { addWeight, type Gathered, type KerasWeight } from './keras-weight.js';
import { MAX_HDF5_DEPTH } from './limits.js';

/** A group of the file; names of Keras 2.12 that hold a path are taken apart. */
interface Place {
  readonly groups: Map<string, Place>;
  readonly arrays: Map<string, Hdf5Dataset>;
  attributes: Attributes;
}

function placeOf(group: Hdf5Group): Place {
  const root: Place = { groups: new Map(), arrays: new Map(), attributes: group.attributes };
  for (const [name, member] of group.members) {
    const parts = name.split('\\');
    if (parts.length > MAX_HDF5_DEPTH) {
      refuseKeras('TOO_DEEP', 'groups are nested deeper than in any real model', { where: group.path.slice(0, 200) });
    }
    let at = root;
    for (const part of parts.slice(0, -1)) at = enter(at, part);
    const last = parts.at(-1)!;
    if (member.kind === 'dataset') at.arrays.set(last, member);
    else merge(enter(at, last), placeOf(member));
  }
  return root;
}

function enter(place: Place, name: string): Place {
  const known = place.groups.get(name) ?? { groups: new Map(), arrays: new Map(), attributes: new Map() };
  place.groups.set(name, known);
  return known;
}

function merge(into: Place, from: Place): void {
  into.attributes = from.attributes;
  for (const [name, dataset] of from.arrays) into.arrays.set(name, dataset);
  for (const [name, place] of from.groups) merge(enter(into, name), place);
}

const LAYERS = ['layers', '_layer_checkpoint_dependencies'];

/** Whether the groups are those of Keras 3. */
export const isSaved = ({ members }: Hdf5Group): boolean =>
  members.has('vars') || [...members.keys()].some((name) => LAYERS.includes(name.split('\\')[0]!));

/** Where a walk stands. */
interface Standing extends LayerPart {
  /** Of the variables' path, as Keras would give it, and with all models around. */
  readonly path: readonly string[];
  readonly fullPath: readonly string[];
  /** The layer of the configuration that this is, or is a part of, and the path in it. */
  readonly layer: readonly string[] | null;
  readonly within: readonly string[];
  readonly kinds: readonly string[];
  /** Its layers, where it is a model. */
  readonly model: KerasConfig | null;
}

export async function savedWeights(h5: Hdf5, config: KerasConfig | null): Promise<readonly KerasWeight[]> {
  const found: Gathered = { list: [], text: 0 };
  const isScope = config !== null && config.kind !== 'Functional';
  const root: Standing = {
    name: config?.name ?? null,
    className: config?.className ?? null,
    config: null,
    path: isScope ? [config.name] : [],
    fullPath: [],
    layer: config === null ? null : [],
    within: [],
    kinds: [],
    model: config,
  };
  await visit(h5, placeOf(h5.root), root, found);
  return found.list;
}

async function visit(h5: Hdf5, place: Place, standing: Standing, found: Gathered): Promise<void> {
  const vars = place.groups.get('vars');
  if (vars !== undefined) addVariables(vars, standing, found);
  for (const [key, child] of place.groups) {
    if (key === 'vars' || (key === 'optimizer' && standing.fullPath.length === 0)) continue;
    const part = partOf(standing.className, standing.config, key);
    if (isList(child, key, part)) await visitList(h5, child, key, standing, found);
    else await visit(h5, child, await entered(h5, child, key, part, standing), found);
  }
  const optimizer = standing.fullPath.length === 0 ? place.groups.get('optimizer') : undefined;
  if (optimizer !== undefined) addOptimizer(optimizer, ['optimizer'], found);
}

const PART = /^(cell|layer|_.*|.*_(layer|dense|norm|cell))$/;

/** Lists of layers and cells have no variables of their own; nor have some layers that are made of others. */
const isList = (place: Place, key: string, part: LayerPart): boolean =>
  !place.groups.has('vars') &&
  place.arrays.size === 0 &&
  (LAYERS.includes(key) || (part.className === null && !PART.test(key)));

async function visitList(h5: Hdf5, list: Place, key: string, standing: Standing, found: Gathered): Promise<void> {
  const isLayers = LAYERS.includes(key);
  const inside = isLayers ? standing : { ...standing, fullPath: [...standing.fullPath, key] };
  const layers = isLayers && standing.model !== null ? byGroup(standing.model) : new Map<string, KerasLayer>();
  const names = new Map(isLayers ? standing.model?.layers.map((layer) => [layer.name, layer]) : []);
  const parts = new Map(grouped(partsOf(standing.config, key), ({ className }) => className ?? ''));
  const known = new Map<KerasLayer, Place>();
  for (const [name, child] of list.groups) {
    const layer = layers.has(name) ? (names.get((await nameBeside(h5, child)) ?? '') ?? layers.get(name)) : undefined;
    if (layer !== undefined && !known.has(layer)) known.set(layer, child);
    else if (isList(child, name, NO_PART)) await visitList(h5, child, name, inside, found);
    else await visit(h5, child, await entered(h5, child, name, parts.get(name) ?? NO_PART, inside), found);
  }
  // As the configuration lists them.
  for (const layer of layers.values()) {
    const child = known.get(layer);
    if (child !== undefined) await visit(h5, child, enteredLayer(layer, standing), found);
  }
}

const NO_PART: LayerPart = { name: null, className: null, config: null };

const byGroup = (model: KerasConfig): ReadonlyMap<string, KerasLayer> =>
  new Map(grouped(model.layers, ({ className }) => className));

/** Names of the groups of a list: each class in snake case, from the second on with a number. */
function grouped<T>(items: readonly T[], classOf: (item: T) => string): readonly (readonly [string, T])[] {
  const counts = new Map<string, number>();
  return items.map((item) => {
    const name = snakeCase(classOf(item));
    const before = counts.get(name) ?? 0;
    counts.set(name, before + 1);
    return [before === 0 ? name : `${name}_${before}`, item];
  });
}

async function nameBeside(h5: Hdf5, place: Place): Promise<string | null> {
  const attributes = place.groups.get('vars')?.attributes;
  return attributes === undefined ? null : ((await h5.texts(attributes, 'name'))?.[0] ?? null);
}

/** A layer of the model that `standing` is. */
function enteredLayer(layer: KerasLayer, standing: Standing): Standing {
  const { name, className, config, model } = layer;
  // Layers of a functional model are built on their own, those of a sequential one or of an author's class inside it.
  const path = model === null ? [...standing.path, name] : model.kind === 'Functional' ? [] : [name];
  return {
    name,
    className,
    config,
    path,
    fullPath: [...standing.fullPath, name],
    layer: standing.layer === null ? null : [...standing.layer, name],
    within: [],
    kinds: model === null ? [className] : [],
    model,
  };
}

/** A part of what `standing` is. */
async function entered(h5: Hdf5, place: Place, key: string, part: LayerPart, standing: Standing): Promise<Standing> {
  const told = await nameBeside(h5, place);
  const name = part.name ?? told ?? key;
  // Cells are called after their class unless their author called them otherwise.
  const className = part.className ?? classOfGroup(key === 'cell' ? (told ?? '') : key);
  const isModel = className === 'Functional' || className === 'Sequential';
  return {
    name,
    className,
    config: part.config,
    path: isModel ? (className === 'Functional' ? [] : [name]) : [...standing.path, name],
    fullPath: [...standing.fullPath, name],
    layer: standing.layer,
    within: [...standing.within, name],
    kinds: isModel || className === null ? standing.kinds : [className, ...standing.kinds],
    model: null,
  };
}

function addVariables(vars: Place, standing: Standing, found: Gathered): void {
  const numbered = [...vars.arrays].sort(([a], [b]) => Number(a) - Number(b));
  const names = variablesOf(standing.className ?? '', settingsOf(standing), numbered.length);
  for (const [index, [number, dataset]] of numbered.entries()) {
    const variable = names?.[index] ?? number;
    addWeight(found, {
      dataset,
      name: [...standing.path, variable].join('/'),
      fullName: [...standing.fullPath, variable].join('/'),
      layer: standing.layer === null || standing.layer.length === 0 ? null : standing.layer.join('/'),
      within: [...standing.within, variable],
      kinds: standing.kinds,
    });
  }
}

const settingsOf = ({ config }: Standing): JsonRecord | null => (isRecord(config ?? undefined) ? config : null);

/** Numbered as they are: what they belong to is told nowhere. */
function addOptimizer(place: Place, path: readonly string[], found: Gathered): void {
  for (const [name, dataset] of place.arrays) {
    const full = [...path, name].join('/');
    addWeight(found, { dataset, name: full, fullName: full, layer: null, within: [], kinds: ['optimizer'] });
  }
  for (const [name, child] of place.groups) addOptimizer(child, name === 'vars' ? path : [...path, name], found);
}
