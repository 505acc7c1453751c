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
