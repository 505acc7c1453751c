/** Unit groups of plain stacks without a graph: names of torch and Keras, canonical shapes. An assumption, and vouched so. */
import type { Segment, UnitGroup } from './types.js';
import type { Role } from './walk.js';

/** A tensor as far as names and shapes tell: canonical, outputs first. */
export interface NamedShape {
  readonly name: string;
  readonly shape: readonly number[];
}

const stem = (name: string) =>
  name.replace(
    /[./]?((depthwise_|pointwise_)?(kernel|filter)s?|weights?|bias(es)?|running_mean|running_var|gamma|beta|moving_mean|moving_variance)(:0)?$/,
    '',
  );

export function roleFromName({ name, shape }: NamedShape): Role {
  if (/weight_hh|recurrent_kernel/.test(name)) return 'recurrent';
  if (shape.length >= 2) return /weight|kernel|filter/.test(name) ? 'weight' : 'other';
  if (/(bias(es)?|beta)(:0)?$/.test(name)) return 'bias';
  const norm = /(weights?|gamma|running_mean|running_var|moving_mean|moving_variance)(:0)?$/.test(name);
  return shape.length === 1 && norm ? 'norm' : 'other';
}

const plain = (tensor: string, axis: number, repeat = 1): Segment => ({
  tensor,
  axis,
  start: 0,
  unitStride: repeat,
  repeat,
  repeatStride: 1,
});

/**
 * Roles of all tensors of a model without a graph. Formats that compile their models (TFLite) name tensors after
 * operations: where no name speaks of weights, every array of two or more axes is one, and what has one axis a bias.
 */
export function rolesFromNames(tensors: readonly NamedShape[]): (tensor: NamedShape) => Role {
  if (tensors.some((tensor) => roleFromName(tensor) === 'weight')) return roleFromName;
  return ({ shape }) => (shape.length >= 2 ? 'weight' : shape.length === 1 ? 'bias' : 'other');
}

/**
 * Each weight of two or more axes is a layer, in natural order of names; its outputs feed the next one, flattened where
 * the widths say so. Groups of equal width are one unless the owner vouches, since a residual may tie them.
 */
export function groupsFromNames(tensors: readonly NamedShape[], plainStack: boolean): readonly UnitGroup[] {
  const roleOf = rolesFromNames(tensors);
  const ordered = [...tensors].sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
  const layers: NamedShape[] = [];
  const depthwise = new Set<NamedShape>();
  for (const tensor of ordered) {
    if (roleOf(tensor) !== 'weight') continue;
    if (isDepthwise(tensor, layers.at(-1))) depthwise.add(tensor);
    else layers.push(tensor);
  }
  const groups: UnitGroup[] = [];
  for (let l = 0; l + 1 < layers.length; l++) {
    const [layer, next] = [layers[l]!, layers[l + 1]!];
    const size = layer.shape[0]!;
    const repeat = next.shape[1]! / size;
    const flattens = repeat === 1 || (layer.shape.length > 2 && next.shape.length === 2);
    if (size < 2 || !Number.isInteger(repeat) || repeat < 1 || !flattens) continue;
    const between = ordered.filter(
      (tensor) =>
        tensor.shape[0] === size &&
        (depthwise.has(tensor)
          ? isBetween(tensor.name, layer.name, next.name)
          : tensor.shape.length === 1 &&
            (stem(tensor.name) === stem(layer.name) ||
              (isBetween(tensor.name, layer.name, next.name) &&
                roleOf(tensor) !== 'other' &&
                stem(tensor.name) !== stem(next.name)))),
    );
    groups.push({
      id: `g${groups.length}`,
      size,
      vouched: plainStack ? 'owner' : 'names',
      incoming: [plain(layer.name, 0), ...between.map((tensor) => plain(tensor.name, 0))],
      outgoing: [plain(next.name, 1, repeat)],
      scaling: 'positive',
      label: stem(layer.name),
    });
  }
  return plainStack ? groups : merged(groups);
}

/** One filter per channel of the layer before: it hands the channels on as they are. */
const isDepthwise = ({ shape }: NamedShape, before: NamedShape | undefined): boolean =>
  shape.length > 2 && shape[1] === 1 && before !== undefined && shape[0] === before.shape[0];

const isBetween = (name: string, before: string, after: string) =>
  name.localeCompare(before, 'en', { numeric: true }) > 0 && name.localeCompare(after, 'en', { numeric: true }) < 0;

function merged(groups: readonly UnitGroup[]): readonly UnitGroup[] {
  const bySize = new Map<number, UnitGroup>();
  for (const group of groups) {
    const known = bySize.get(group.size);
    bySize.set(
      group.size,
      known === undefined
        ? { ...group, id: `g${bySize.size}` }
        : {
            ...known,
            incoming: [...known.incoming, ...group.incoming],
            outgoing: [...known.outgoing, ...group.outgoing],
            label: `${known.label}, ${group.label}`,
          },
    );
  }
  return [...bySize.values()];
}
