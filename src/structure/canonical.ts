/** A model in one layout whatever wrote it: linear weights out × in, convolutions OIHW, dequantised. */
import { inputError } from '../base/index.js';
import { type DType, type Graph, type Model, type Tensor, treeTensorNames } from '../formats/index.js';
import { type CanonicalTensor, canonicalTensor } from './canonical-tensor.js';
import { axesOfFamily } from './families.js';
import { withParts } from './fused.js';
import { groupsOf, pinsOf } from './groups.js';
import { withoutSingles } from './layout.js';
import { groupsFromNames, rolesFromNames } from './names.js';
import { quantisationOf, scalesByName } from './quantisation.js';
import { withoutSettings } from './settings.js';
import { transformerGroups } from './transformer.js';
import type { UnitGroup } from './types.js';
import { type BatchNormFold, subgraphsOf, walkGraph } from './walk.js';

export interface CanonicalModel {
  /** The tensors by the names in `stored`: fused ones as their parts. What is written is written by this model. */
  readonly model: Model;
  readonly tensors: ReadonlyMap<string, CanonicalTensor>;
  readonly groups: readonly UnitGroup[];
  /** γ/√(var + ε) of the batch normalisation that follows, per canonical row. */
  foldFactors(name: string): Promise<Float64Array | null>;
  /** Learned tensors in no group, with what pins each axis; tensors that no operator uses. */
  readonly leftOut: readonly { readonly tensor: string; readonly reason: string }[];
  readonly fromGraph: boolean;
}

export interface CanonicaliseOptions {
  /** A model of the same tensors whose graph vouches for the groups. */
  readonly graph?: Model;
  /** The owner vouches that layers follow each other by name, with no hidden residuals. */
  readonly plainStack?: boolean;
  /**
   * Settings beside the weights (`config.json`) may tell how heads lie. For describing and comparing; never where the
   * canonical form is committed to, since whoever verifies may hold the weights alone. A GGUF file's keys are its own.
   */
  readonly settings?: boolean;
}

const MAX_INTS = 64;

/** @throws `STRUCTURE_GRAPH_DIFFERS` where `graph` has not the same tensors */
export async function canonicalise(model: Model, options: CanonicaliseOptions = {}): Promise<CanonicalModel> {
  const graphModel = options.graph ?? model;
  if (graphModel.graph === null) {
    return fromNames(options.settings === true ? model : withoutSettings(model), options.plainStack === true);
  }
  const walked = walkGraph(graphModel.graph, await smallInts(graphModel.graph));
  const names = new Map<string, string>();
  const tensors = new Map<string, CanonicalTensor>();
  const stored = (tensor: Tensor): Tensor => model.tensors.get(tensor.name) ?? tensor;
  for (const use of walked.uses.values()) {
    const tensor = model.tensors.get(use.tensor.name);
    if (tensor === undefined || tensor.shape.join() !== use.tensor.shape.join()) {
      throw inputError('STRUCTURE_GRAPH_DIFFERS', 'the graph given is of another model', {
        expected: `${use.tensor.name} ${use.tensor.shape.join(' × ')}`,
        got: tensor === undefined ? 'no such tensor' : tensor.shape.join(' × '),
      });
    }
    const quantisation = await quantisationOf(tensor, use.perm, walked.scales.get(tensor.name), stored);
    const plain = quantisation === null ? tensor.name : tensor.name.replace(/_quantized$/, '');
    const name = tensors.has(plain) ? tensor.name : plain;
    names.set(tensor.name, name);
    const prepares = walked.preparing.has(tensor.name);
    tensors.set(name, await canonicalTensor(tensor, use, name, quantisation, prepares ? 'input preparation' : null));
  }
  const folds = new Map([...walked.folds].map(([stored, fold]) => [names.get(stored) ?? stored, fold]));
  const groups = groupsOf(walked, (name) => names.get(name)!);
  const trees = treeTensorNames(model);
  const unused = [...model.tensors.keys()]
    .filter((name) => !names.has(name) && !trees.has(name))
    .map((tensor) => ({ tensor, reason: 'no operator uses it as numbers' }));
  return {
    model,
    tensors,
    groups,
    foldFactors: async (name) => {
      const fold = folds.get(name);
      return fold === undefined ? null : factors(model, fold);
    },
    leftOut: [...learnedOutside(groups, tensors, pinsOf(walked)), ...unused],
    fromGraph: true,
  };
}

/** Shapes, axes and indices that operators take; no numbers that a model computes with. */
const isArgument = ({ role, dtype, quantisation }: CanonicalTensor): boolean =>
  role === 'other' && quantisation === null && /^[IU](32|64)$/.test(dtype);

/** Learned tensors that lie in no group, and why. */
function learnedOutside(
  groups: readonly UnitGroup[],
  tensors: ReadonlyMap<string, CanonicalTensor>,
  pins: ReadonlyMap<string, string>,
): CanonicalModel['leftOut'] {
  const inside = new Set(groups.flatMap((group) => [...group.incoming, ...group.outgoing].map(({ tensor }) => tensor)));
  return [...tensors.values()]
    .filter((tensor) => tensor.nature.kind === 'learned' && !inside.has(tensor.name) && !isArgument(tensor))
    .map(({ name, stored }) => ({ tensor: name, reason: pins.get(stored) || 'no axis with exchangeable units' }));
}

async function factors(model: Model, { gamma, variance, epsilon }: BatchNormFold): Promise<Float64Array> {
  const g = await model.tensors.get(gamma.name)!.read(0, gamma.elements);
  const v = await model.tensors.get(variance.name)!.read(0, variance.elements);
  return g.map((value, k) => value / Math.sqrt(v[k]! + epsilon));
}

/** Wide integers are shapes and indices; narrow ones may be quantised weights. */
const isNumeric = ({ dtype }: { readonly dtype: DType }): boolean => !/^[IU](32|64)$/.test(dtype);

/** Factors of rotary turns that exporters store: a formula of the settings. */
const ROTARY = /(^|[._])(inv_freq|rope_freqs|rope_factors_(long|short))(\.weight)?$/;

async function fromNames(opened: Model, plainStack: boolean): Promise<CanonicalModel> {
  const model = withParts(opened);
  const tensors = new Map<string, CanonicalTensor>();
  const axesOf = axesOfFamily(model.tensors);
  const roleOf = rolesFromNames([...model.tensors.values()].filter(isNumeric));
  const trees = treeTensorNames(model);
  for (const tensor of model.tensors.values()) {
    // Nodes of trees are no units: `structure/trees.ts` reads them.
    if (trees.has(tensor.name)) continue;
    const role = isNumeric(tensor) ? roleOf(tensor) : ('other' as const);
    const order = tensor.outputsFirst ?? axesOf(tensor.name) ?? tensor.shape.map((_, k) => k);
    const perm = withoutSingles(tensor.shape, order, role === 'weight' || role === 'recurrent');
    const use = {
      tensor,
      role,
      perm,
      node: tensor.name,
    };
    const quantisation = await quantisationOf(tensor, use.perm, scalesByName(model, tensor), (scale) => scale);
    const constant = ROTARY.test(tensor.name) ? 'rotary frequencies' : null;
    tensors.set(tensor.name, await canonicalTensor(tensor, use, tensor.name, quantisation, constant));
  }
  const transformer = transformerGroups([...tensors.values()], model.metadata);
  return {
    model,
    tensors,
    groups: transformer?.groups ?? groupsFromNames([...tensors.values()].filter(isNumeric), plainStack),
    foldFactors: async () => null,
    leftOut: transformer?.leftOut ?? [],
    fromGraph: false,
  };
}

/** Shapes, axes and slices are given as small integer tensors; without them no Reshape could be followed. */
async function smallInts(graph: Graph): Promise<ReadonlyMap<string, readonly number[]>> {
  const found = new Map<string, readonly number[]>();
  for (const tensor of graph.initialisers.values()) {
    if (tensor.elements > MAX_INTS || tensor.shape.length > 1 || !/^[IU](32|64)$/.test(tensor.dtype)) continue;
    found.set(tensor.name, [...(await tensor.read(0, tensor.elements))]);
  }
  for (const inner of graph.nodes.flatMap(subgraphsOf)) {
    for (const [name, values] of await smallInts(inner)) found.set(name, values);
  }
  return found;
}
