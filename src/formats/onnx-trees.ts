/**
 * Tree ensembles in ONNX: the operators TreeEnsembleClassifier and TreeEnsembleRegressor (ai.onnx.ml 1 and 3), whose
 * attributes list all nodes of all trees, and TreeEnsemble (ai.onnx.ml 5), which numbers splits and leaves apart.
 * Source: docs/Operators-ml.md of onnx/onnx.
 */
import { inputError } from '../base/index.js';
import type { AttributeValue, Graph, GraphNode, Tensor } from './model.js';
import { Attributes, splitNode } from './onnx-tree-attributes.js';
import { splitForest } from './onnx-tree-splits.js';
import type { Comparison, TreeEnsemble } from './trees.js';
import { type NodePlaces, type StoredNode, treesBuilder } from './trees-builder.js';

const DOMAIN = 'ai.onnx.ml';
const OLDER = new Map([
  ['TreeEnsembleClassifier', 'class'],
  ['TreeEnsembleRegressor', 'target'],
]);

/** An ensemble, and how its node states it. */
export interface FoundTrees {
  readonly ensemble: TreeEnsemble;
  readonly places: NodePlaces;
  /** The attribute that holds thresholds as a tensor, null where they are a list of floats. */
  readonly thresholds: Tensor | null;
}

/** Every ensemble of the graph, by the names of their nodes, in their order. @throws `TREES_…` */
export async function treesOfGraph(graph: Graph): Promise<readonly FoundTrees[]> {
  const found: FoundTrees[] = [];
  const taken = new Set<string>();
  for (const [index, node] of nodesOf(graph).entries()) {
    const leaves = OLDER.get(node.op);
    if (!isTrees(node)) continue;
    const given = node.name === '' ? `${node.op}_${index}` : node.name;
    const name = taken.has(given) ? `${given}#${index}` : given;
    taken.add(name);
    const attributes = new Attributes(node, `node ${name.slice(0, 200)}`);
    found.push(await (leaves === undefined ? splitForest(attributes, name) : listedForest(attributes, leaves, name)));
  }
  return found;
}

export const isTrees = ({ op, domain }: Pick<GraphNode, 'op' | 'domain'>): boolean =>
  domain === DOMAIN && (OLDER.has(op) || op === 'TreeEnsemble');

function nodesOf(graph: Graph): readonly GraphNode[] {
  const inside = graph.nodes.flatMap((node) => [...node.attributes.values()].flatMap(graphsIn).flatMap(nodesOf));
  return [...graph.nodes, ...inside];
}

function graphsIn(value: AttributeValue): readonly Graph[] {
  if (Array.isArray(value)) return value.filter((item): item is Graph => typeof item === 'object' && 'nodes' in item);
  return typeof value === 'object' && 'nodes' in value ? [value as Graph] : [];
}

const MODES: ReadonlyMap<string, Comparison> = new Map([
  ['LEAF', 'leaf'],
  ['BRANCH_LT', '<'],
  ['BRANCH_LEQ', '<='],
  ['BRANCH_GT', '>'],
  ['BRANCH_GTE', '>='],
  ['BRANCH_EQ', 'in'],
  ['BRANCH_NEQ', 'not in'],
]);

const AGGREGATES: ReadonlyMap<string, TreeEnsemble['aggregate']> = new Map([
  ['SUM', 'sum'],
  ['AVERAGE', 'average'],
  ['MIN', 'min'],
  ['MAX', 'max'],
]);

/** @param leaves prefix of the attributes of leaf values: `class` or `target` */
async function listedForest(attributes: Attributes, leaves: string, name: string): Promise<FoundTrees> {
  const { where } = attributes;
  const modes = attributes.texts('nodes_modes', attributes.numbers('nodes_treeids', null).length);
  const size = modes.length;
  const list = (of: string): readonly number[] => attributes.numbers(of, size);
  const [treeIds, nodeIds, feature, yes, no] = [
    list('nodes_treeids'),
    list('nodes_nodeids'),
    list('nodes_featureids'),
    list('nodes_truenodeids'),
    list('nodes_falsenodeids'),
  ];
  const tracks = attributes.has('nodes_missing_value_tracks_true') ? list('nodes_missing_value_tracks_true') : [];
  const doubles = await attributes.tensor('nodes_values_as_tensor');
  const values = doubles?.values ?? list('nodes_values');
  if (values.length !== size)
    attributes.fail('the thresholds are not as many as the nodes', { got: String(values.length) });
  const places = placesOf(attributes, treeIds, nodeIds);
  const child = (at: number, id: number): number => {
    const place = places.get(treeIds[at]!)!.get(id);
    if (place !== undefined) return place;
    throw inputError('TREES_CHILD', 'a node that does not exist is named', {
      got: `tree ${treeIds[at]}, node ${id}`,
      where: `${where}, tree ${treeIds[at]}, node ${nodeIds[at]}`,
    });
  };
  const comparison = modes.map(
    (mode) => MODES.get(mode) ?? attributes.fail('a mode is not known', { got: mode.slice(0, 40) }),
  );
  const roots = rootsOf(attributes, treeIds, (at) =>
    comparison[at] === 'leaf' ? [] : [child(at, yes[at]!), child(at, no[at]!)],
  );
  const votes = await votesOf(attributes, leaves, places, comparison);
  const builder = treesBuilder();
  builder.add({
    where,
    size,
    roots,
    weight: 1,
    node(at): StoredNode {
      const kind = comparison[at]!;
      if (kind === 'leaf') return { comparison: 'leaf', ...votes(at) };
      const children = { left: child(at, yes[at]!), right: child(at, no[at]!) };
      return splitNode(kind, feature[at]!, values[at]!, tracks[at] === 1, children);
    },
  });
  const base = await attributes.tensor('base_values_as_tensor');
  const aggregate = attributes.text('aggregate_function', 'SUM');
  const ensemble = builder.done(
    {
      name,
      precision: doubles?.isDouble === true ? 'F64' : 'F32',
      features: null,
      featureNames: null,
      aggregate:
        AGGREGATES.get(aggregate) ?? attributes.fail('an aggregate that is not known', { got: aggregate.slice(0, 40) }),
      objective: attributes.text('post_transform', 'NONE'),
      base: base?.values ?? Float64Array.from(attributes.numbers('base_values', null)),
      baseIs: 'margin',
    },
    where,
  );
  const thresholds = doubles === null ? null : attributes.storedTensor('nodes_values_as_tensor');
  return { ensemble, places: builder.places(), thresholds };
}

type Places = ReadonlyMap<number, ReadonlyMap<number, number>>;

/** Tree → node → place in the lists. */
function placesOf(attributes: Attributes, treeIds: readonly number[], nodeIds: readonly number[]): Places {
  const places = new Map<number, Map<number, number>>();
  for (const [at, tree] of treeIds.entries()) {
    let own = places.get(tree);
    if (own === undefined) {
      own = new Map();
      places.set(tree, own);
    }
    const id = nodeIds[at]!;
    if (own.has(id)) attributes.fail('a tree has two nodes of one number', { got: `tree ${tree}, node ${id}` });
    own.set(id, at);
  }
  return places;
}

/** The node of each tree that is nobody's child, in the order in which the trees begin. @throws `TREES_ROOT` */
function rootsOf(
  { where }: Attributes,
  treeIds: readonly number[],
  childrenOf: (at: number) => readonly number[],
): readonly number[] {
  const isChild = new Uint8Array(treeIds.length);
  for (let at = 0; at < treeIds.length; at++) for (const child of childrenOf(at)) isChild[child] = 1;
  const roots = new Map<number, number>(treeIds.map((tree) => [tree, -1]));
  for (const [at, tree] of treeIds.entries()) {
    if (isChild[at] === 1) continue;
    if (roots.get(tree) !== -1) {
      throw inputError('TREES_ROOT', 'a tree has two nodes that are no node’s child', { got: `tree ${tree}`, where });
    }
    roots.set(tree, at);
  }
  for (const [tree, root] of roots) {
    if (root === -1)
      throw inputError('TREES_ROOT', 'every node of a tree is a child: it has no root', { got: `tree ${tree}`, where });
  }
  return [...roots.values()];
}

/** The values of each leaf, gathered from lists over all leaves and outputs. */
async function votesOf(
  attributes: Attributes,
  leaves: string,
  places: Places,
  comparison: readonly Comparison[],
): Promise<(at: number) => { readonly outputs: readonly number[]; readonly values: readonly number[] }> {
  const treeIds = attributes.numbers(`${leaves}_treeids`, null);
  const list = (name: string): readonly number[] => attributes.numbers(`${leaves}_${name}`, treeIds.length);
  const [nodeIds, outputs] = [list('nodeids'), list('ids')];
  const weights = (await attributes.tensor(`${leaves}_weights_as_tensor`))?.values ?? list('weights');
  const gathered = new Map<number, { readonly outputs: number[]; readonly values: number[] }>();
  for (const [k, tree] of treeIds.entries()) {
    const at = places.get(tree)?.get(nodeIds[k]!);
    if (at === undefined || comparison[at] !== 'leaf' || weights[k] === undefined) {
      attributes.fail('a value is of no leaf', { got: `tree ${tree}, node ${nodeIds[k]}` });
    }
    let own = gathered.get(at);
    if (own === undefined) {
      own = { outputs: [], values: [] };
      gathered.set(at, own);
    }
    own.outputs.push(outputs[k]!);
    own.values.push(weights[k]!);
  }
  return (at) => gathered.get(at) ?? { outputs: [], values: [] };
}
