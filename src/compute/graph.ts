/** A small builder of ONNX graphs: names values, collects nodes and constants. */
import type { GraphSpec, NodeSpec, TensorSpec, ValueSpec } from '../formats/index.js';

type Attributes = NonNullable<NodeSpec['attributes']>;

export interface GraphBuilder {
  /** Adds a node with one output and returns the output's name. Names are made up where none is given. */
  node(op: string, inputs: readonly string[], attributes?: Attributes, output?: string, name?: string): string;
  /** Adds a node with several outputs. */
  nodes(op: string, inputs: readonly string[], count: number, attributes?: Attributes): readonly string[];
  floats(values: readonly number[] | Float32Array, shape?: readonly number[], name?: string): string;
  scalar(value: number): string;
  integers(values: readonly number[], shape?: readonly number[]): string;
  build(name: string, inputs: readonly ValueSpec[], outputs: readonly ValueSpec[]): GraphSpec;
}

/** @param prefix keeps the names of a subgraph apart from those of the graph around it */
export function graphBuilder(prefix = ''): GraphBuilder {
  const nodes: NodeSpec[] = [];
  const initialisers: TensorSpec[] = [];
  let counter = 0;
  const fresh = (hint: string): string => `${prefix}${hint}_${++counter}`;
  const push = (
    op: string,
    inputs: readonly string[],
    outputs: readonly string[],
    attributes: Attributes = {},
    name = `n${nodes.length}`,
  ): void => {
    nodes.push({ name: `${prefix}${name}`, op, inputs: [...inputs], outputs, attributes });
  };
  const builder: GraphBuilder = {
    node(op, inputs, attributes, output = fresh(op), name = undefined) {
      push(op, inputs, [output], attributes, name);
      return output;
    },
    nodes(op, inputs, count, attributes) {
      const outputs = Array.from({ length: count }, () => fresh(op));
      push(op, inputs, outputs, attributes);
      return outputs;
    },
    floats(values, shape = [values.length], name = fresh('const')) {
      initialisers.push({
        name,
        dtype: 'F32',
        shape,
        values: values instanceof Float32Array ? values : Float32Array.from(values),
      });
      return name;
    },
    scalar: (value) => builder.floats([value], []),
    integers(values, shape = [values.length]) {
      const name = fresh('const');
      initialisers.push({ name, dtype: 'I64', shape, values });
      return name;
    },
    build: (name, inputs, outputs) => ({ name, inputs, outputs, nodes, initialisers }),
  };
  return builder;
}
