/** In which precision the inputs of trees are compared: that of the thresholds, unless an ONNX graph brings them otherwise. */
import { inputError } from '../base/index.js';
import type { Graph, GraphNode, Model, TreeEnsemble } from '../formats/index.js';

type Precision = TreeEnsemble['precision'];

/** Operators that hand numbers on; of `Cast`, only to floats. */
const UNCHANGED: ReadonlySet<string> = new Set(['Identity', 'Cast', 'Concat', 'FeatureVectorizer']);
/** TensorProto.DataType of the casts that keep what is compared. */
const CASTS: Readonly<Record<number, Precision>> = { 1: 'F32', 11: 'F64' };

/**
 * The ensembles with the precision in which they compare: a converted ensemble may hold float32 thresholds and be given
 * float64 inputs, and a training value then lies on the other side of the threshold that is its own float32.
 * @throws `MARK_TREE_PREPARED` where other operators stand before the trees, so that a table does not show what they compare
 */
export function readingOf({ graph, trees = [] }: Model): readonly TreeEnsemble[] {
  if (graph === null) return trees;
  const nodes = graph.nodes.filter(({ op }) => op.startsWith('TreeEnsemble'));
  if (nodes.length !== trees.length) refuse('a tree operator in a branch or a loop', 'TreeEnsemble');
  return trees.map((ensemble, index) =>
    ensemble.precision === 'F64' ? ensemble : { ...ensemble, precision: precisionBefore(graph, nodes[index]!) },
  );
}

function precisionBefore(graph: Graph, node: GraphNode): Precision {
  const makers = new Map(graph.nodes.flatMap((one) => one.outputs.map((output) => [output, one] as const)));
  const given = new Map(graph.inputs.map(({ name, dtype }) => [name, dtype]));
  const found = new Set<Precision>();
  // [value, coarsest precision from there on]
  const open: (readonly [string, Precision])[] = [[node.inputs[0] ?? '', 'F64']];
  const seen = new Set<string>();
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [value, precision] = next;
    if (seen.has(value)) continue;
    seen.add(value);
    const dtype = given.get(value);
    if (dtype !== undefined) {
      if (dtype !== 'F32' && dtype !== 'F64') return refuse(`an input of type ${dtype ?? 'unknown'}`, node.op);
      found.add(dtype === 'F32' ? 'F32' : precision);
      continue;
    }
    const maker = makers.get(value);
    if (maker === undefined || !UNCHANGED.has(maker.op)) return refuse(maker?.op ?? value, node.op);
    const cast = maker.op === 'Cast' ? CASTS[Number(maker.attributes.get('to'))] : 'F64';
    if (cast === undefined) return refuse('a cast to whole numbers', node.op);
    for (const input of maker.inputs) open.push([input, cast === 'F32' ? 'F32' : precision]);
  }
  const [one, other] = found;
  return one === undefined || other !== undefined ? refuse('inputs of two precisions', node.op) : one;
}

function refuse(got: string, op: string): never {
  throw inputError('MARK_TREE_PREPARED', 'the graph computes what the trees compare, so the table does not show it', {
    expected: 'trees that read the model’s inputs as they come, as float32 or float64',
    got: `${got} before ${op}`,
    todo: 'mark the trees before they are put behind other operators, with the table that they were trained on',
  });
}
