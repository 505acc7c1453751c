/** TreeEnsemble of ai.onnx.ml 5: splits and leaves in lists of their own, several leaves may be one. */
import { inputError } from '../base/index.js';
import { type Attributes, splitNode } from './onnx-tree-attributes.js';
import type { FoundTrees } from './onnx-trees.js';
import type { Comparison, TreeEnsemble } from './trees.js';
import { type StoredNode, treesBuilder } from './trees-builder.js';

const MODES: readonly (Exclude<Comparison, 'leaf'> | 'member')[] = ['<=', '<', '>=', '>', 'in', 'not in', 'member'];
const AGGREGATES: readonly TreeEnsemble['aggregate'][] = ['average', 'sum', 'min', 'max'];

/**
 * A leaf that two splits name is written twice, since it is a value and no place. Numbers for the builder: splits as
 * they are, and behind them a left and a right leaf for each split. A split whose children are one and the same leaf is
 * how the operator writes a tree of a single leaf, and becomes that leaf.
 * @throws `TREES_LIST` and what the builder throws
 */
export async function splitForest(attributes: Attributes, name: string): Promise<FoundTrees> {
  const { where } = attributes;
  const splits = await needed(attributes, 'nodes_splits', null);
  const size = splits.values.length;
  const modes = (await needed(attributes, 'nodes_modes', size)).values;
  const list = (of: string): readonly number[] => attributes.numbers(of, size);
  const [feature, yes, no, yesIsLeaf, noIsLeaf] = [
    list('nodes_featureids'),
    list('nodes_truenodeids'),
    list('nodes_falsenodeids'),
    list('nodes_trueleafs'),
    list('nodes_falseleafs'),
  ];
  const tracks = attributes.has('nodes_missing_value_tracks_true') ? list('nodes_missing_value_tracks_true') : [];
  const outputs = attributes.numbers('leaf_targetids', null);
  const leaves = (await needed(attributes, 'leaf_weights', outputs.length)).values;
  const members = membersOf(modes, (await attributes.tensor('membership_values'))?.values ?? new Float64Array(0));
  const leaf = (id: number): StoredNode => {
    if (!(id >= 0 && id < leaves.length)) attributes.fail('a leaf that does not exist is named', { got: String(id) });
    return { comparison: 'leaf', outputs: [outputs[id]!], values: [leaves[id]!] };
  };
  const roots = attributes.numbers('tree_roots', null);
  const beyond = roots.find((root) => root >= size);
  if (beyond !== undefined)
    throw inputError('TREES_CHILD', 'a root that does not exist is named', { got: String(beyond), where });
  const builder = treesBuilder();
  builder.add({
    where,
    size: 3 * size,
    roots,
    weight: 1,
    node(at): StoredNode {
      if (at >= size) return leaf((at - size) % 2 === 0 ? yes[(at - size) >> 1]! : no[(at - size) >> 1]!);
      const [left, right] = [yesIsLeaf[at] !== 0, noIsLeaf[at] !== 0];
      if (left && right && yes[at] === no[at]) return leaf(yes[at]!);
      const mode = MODES[modes[at]!] ?? attributes.fail('a mode is not known', { got: String(modes[at]) });
      const child = (isLeaf: boolean, id: number, side: number): number =>
        isLeaf ? size + 2 * at + side : id < size ? id : -1;
      const children = { left: child(left, yes[at]!, 0), right: child(right, no[at]!, 1) };
      const tracksTrue = tracks[at] === 1;
      if (mode !== 'member') return splitNode(mode, feature[at]!, splits.values[at]!, tracksTrue, children);
      const set = members.get(at) ?? attributes.fail('a split has no members', { got: `node ${at}` });
      return splitNode('in', feature[at]!, 0, tracksTrue, children, set);
    },
  });
  const aggregate = attributes.number('aggregate_function', 1);
  const transform = attributes.number('post_transform', 0);
  const ensemble = builder.done(
    {
      name,
      precision: splits.isDouble ? 'F64' : 'F32',
      features: null,
      featureNames: null,
      aggregate: AGGREGATES[aggregate] ?? attributes.fail('an aggregate that is not known', { got: String(aggregate) }),
      objective: ['NONE', 'SOFTMAX', 'LOGISTIC', 'SOFTMAX_ZERO', 'PROBIT'][transform] ?? String(transform),
      base: new Float64Array(0),
      baseIs: 'margin',
    },
    where,
  );
  return { ensemble, places: builder.places(), thresholds: attributes.storedTensor('nodes_splits') };
}

async function needed(attributes: Attributes, name: string, length: number | null) {
  const tensor = await attributes.tensor(name);
  if (tensor === null || (length !== null && tensor.values.length !== length)) {
    return attributes.fail(`${name} is missing, or of another length than the lists beside it`, {
      expected: length === null ? 'a tensor' : `${length} elements`,
      got: tensor === null ? 'nothing' : String(tensor.values.length),
    });
  }
  return tensor;
}

/** The sets of the splits by membership, one after the other, each ended by NaN. */
function membersOf(modes: Float64Array, values: Float64Array): ReadonlyMap<number, Float64Array> {
  const members = new Map<number, Float64Array>();
  let start = 0;
  for (const [at, mode] of modes.entries()) {
    if (MODES[mode] !== 'member') continue;
    let end = start;
    while (end < values.length && !Number.isNaN(values[end])) end++;
    if (end === start) continue;
    members.set(at, values.subarray(start, end));
    start = end + 1;
  }
  return members;
}
