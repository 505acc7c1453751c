/** Graphs of other formats in ONNX's terms, so that one set of rules reads every graph. */
import type { AttributeValue, GraphNode } from './model.js';

export type Attributes = Readonly<Record<string, AttributeValue>>;

/** Where the nodes of one operator go. */
export interface NodeSink {
  readonly outputs: readonly string[];
  /** Adds a node. @param output a new name where none is given. @returns the output's name */
  node(op: string, inputs: readonly string[], attributes?: Attributes, output?: string): string;
}

/** In place of an output's name: the node gives all outputs of its operator. */
export const ALL_OUTPUTS = '*';

/** @param name of the operator, unique in its graph */
export function nodeSink(nodes: GraphNode[], name: string, outputs: readonly string[]): NodeSink {
  return {
    outputs,
    node(op, inputs, attributes = {}, output = `${outputs[0]}/${name}.${nodes.length}`) {
      nodes.push({
        name: nodes.length === 0 ? name : `${name}.${nodes.length}`,
        op,
        domain: '',
        inputs,
        outputs: output === ALL_OUTPUTS ? outputs : [output],
        attributes: new Map(Object.entries(attributes)),
      });
      return output;
    },
  };
}

/** The node that gives the operator's output, with the activation fused into it, if any. */
export function lastNode(
  sink: NodeSink,
  activation: string | undefined,
  op: string,
  inputs: readonly string[],
  attributes: Attributes = {},
): true {
  const [output] = sink.outputs;
  if (activation === undefined) sink.node(op, inputs, attributes, output);
  else sink.node(activation, [sink.node(op, inputs, attributes)], {}, output);
  return true;
}

const channelsFirst = (rank: number): readonly number[] => [
  0,
  rank - 1,
  ...Array.from({ length: rank - 2 }, (_, k) => k + 1),
];
const channelsLast = (rank: number): readonly number[] => [0, ...Array.from({ length: rank - 2 }, (_, k) => k + 2), 1];

/** `op` on images whose channels lie last: turned channels first, and back; the activation comes last. */
export function onImages(
  sink: NodeSink,
  x: string,
  rank: number,
  op: string,
  others: readonly string[],
  attributes: Attributes,
  activation?: string,
): true {
  const turned = sink.node('Transpose', [x], { perm: channelsFirst(rank) });
  const y = sink.node(op, [turned, ...others], attributes);
  return lastNode(sink, activation, 'Transpose', [y], { perm: channelsLast(rank) });
}

/** Parts put one after the other along a new axis. */
export function packedNodes(sink: NodeSink, inputs: readonly string[], axis: number): true {
  const parts = inputs.map((input) => sink.node('Unsqueeze', [input], { axes: [axis] }));
  return lastNode(sink, undefined, 'Concat', parts, { axis });
}

/** @param given before and behind, axis by axis, where ONNX has all before and then all behind */
export function paddedNodes(sink: NodeSink, x: string, given: readonly number[] | null): boolean {
  if (given === null) return false;
  const pads = [...given.filter((_, k) => k % 2 === 0), ...given.filter((_, k) => k % 2 === 1)];
  return lastNode(sink, undefined, 'Pad', [x], { pads });
}

/** TensorFlow's StridedSlice: bits of the masks stand for axes. */
export interface StridedSlice {
  readonly begin: readonly number[] | null;
  readonly end: readonly number[] | null;
  readonly steps: readonly number[] | null;
  /** From the start and to the end, whatever is given; axes of one position that are dropped. */
  readonly fromStart: number;
  readonly toEnd: number;
  readonly dropped: number;
  /** New axes and an ellipsis: of these nothing is claimed. */
  readonly others: number;
}

const END = 2 ** 31 - 1;
const has = (mask: number, axis: number): boolean => ((mask >> axis) & 1) === 1;

export function slicedNodes(sink: NodeSink, x: string, slice: StridedSlice): boolean {
  const { begin, end, steps, fromStart, toEnd, dropped, others } = slice;
  if (!begin || !end || !steps || others !== 0 || steps.some((step) => step !== 1)) return false;
  const starts = begin.map((at, axis) => (has(fromStart, axis) ? 0 : at));
  const ends = end.map((at, axis) => {
    if (has(dropped, axis)) return starts[axis] === -1 ? END : starts[axis]! + 1;
    return has(toEnd, axis) ? END : at;
  });
  const axes = begin.flatMap((_, axis) => (has(dropped, axis) ? [axis] : []));
  if (axes.length === 0) return lastNode(sink, undefined, 'Slice', [x], { starts, ends });
  return lastNode(sink, undefined, 'Squeeze', [sink.node('Slice', [x], { starts, ends })], { axes });
}
