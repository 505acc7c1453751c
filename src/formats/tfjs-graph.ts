/** The graph of a TensorFlow.js graph model (a GraphDef in JSON) in ONNX's terms. */
import { inputError, type Json } from '../base/index.js';
import { MAX_GRAPH_ITEMS, MAX_NODES } from './limits.js';
import type { DType, Graph, GraphNode, Tensor, ValueInfo } from './model.js';
import { nodeSink } from './onnx-terms.js';
import { TF_TRANSLATIONS, type TfOperation } from './tfjs-operators.js';

type JsonRecord = { readonly [name: string]: Json };
const isRecord = (value: Json | undefined): value is JsonRecord =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const listOf = (value: Json | undefined): readonly Json[] => (Array.isArray(value) ? (value as readonly Json[]) : []);

const MAX_INTS = 64;
const TYPES: Readonly<Record<string, DType>> = {
  DT_FLOAT: 'F32',
  '1': 'F32',
  DT_HALF: 'F16',
  '19': 'F16',
  DT_INT32: 'I32',
  '3': 'I32',
  DT_BOOL: 'BOOL',
  '10': 'BOOL',
  DT_UINT8: 'U8',
  '4': 'U8',
};

interface Step {
  readonly name: string;
  readonly op: string;
  /** Data inputs: the first output of a node bears the node's name, others `name:1`, …. */
  readonly inputs: readonly string[];
  readonly attributes: JsonRecord;
}

/**
 * @returns null where the topology is no GraphDef
 * @throws `TFJS_TOO_MANY`
 */
export async function graphOfTfjs(
  topology: Json | undefined,
  tensors: ReadonlyMap<string, Tensor>,
  where: string,
): Promise<Graph | null> {
  if (!isRecord(topology) || !Array.isArray(topology.node)) return null;
  const steps = ordered(stepsOf(topology.node as readonly Json[], where));
  const outputsOf = countedOutputs(steps, where);
  const constants = constantsIn(steps, tensors);
  const nodes: GraphNode[] = [];
  for (const step of steps) {
    // Constants are the weights of the manifest; without bytes there nothing is known of one.
    if (step.op === 'Const' || step.op.startsWith('Placeholder')) continue;
    nodes.push(...(await translated(step, outputsOf(step.name), constants)));
  }
  const taken = new Set(steps.flatMap(({ inputs }) => inputs));
  const ends = steps.filter(
    ({ name, op }) => op !== 'Const' && op !== 'NoOp' && !outputsOf(name).some((output) => taken.has(output)),
  );
  return {
    name: 'graph',
    inputs: steps.filter(({ op }) => op.startsWith('Placeholder')).map(inputInfo),
    outputs: ends.map(({ name }) => ({ name, dtype: null, shape: null })),
    valueInfo: [],
    nodes,
    initialisers: new Map(
      steps.flatMap(({ name, op }) => (op === 'Const' && tensors.has(name) ? [[name, tensors.get(name)!]] : [])),
    ),
  };
}

function stepsOf(nodes: readonly Json[], where: string): readonly Step[] {
  if (nodes.length > MAX_NODES) tooMany('the graph has more nodes than any real one', MAX_NODES, nodes.length, where);
  return nodes.filter(isRecord).flatMap(({ name, op, input, attr }) => {
    if (typeof name !== 'string' || typeof op !== 'string') return [];
    const inputs = listOf(input).filter((from): from is string => typeof from === 'string' && !from.startsWith('^'));
    return [
      { name, op, inputs: inputs.map((from) => from.replace(/:0$/, '')), attributes: isRecord(attr) ? attr : {} },
    ];
  });
}

function tooMany(message: string, most: number, got: number, where: string): never {
  throw inputError('TFJS_TOO_MANY', message, { expected: `at most ${most}`, got: String(got), where });
}

/** Weights by the value that holds them: of the Const itself, and of what hands it on. */
function constantsIn(steps: readonly Step[], tensors: ReadonlyMap<string, Tensor>): ReadonlyMap<string, Tensor> {
  const found = new Map<string, Tensor>();
  for (const { name, op, inputs } of steps) {
    const tensor = op === 'Const' ? tensors.get(name) : op === 'Identity' ? found.get(inputs[0] ?? '') : undefined;
    if (tensor !== undefined) found.set(name, tensor);
  }
  return found;
}

const producerOf = (value: string): string => value.replace(/:\d+$/, '');

/** Inputs before what takes them: a GraphDef's nodes stand in any order. Loops keep theirs. */
function ordered(steps: readonly Step[]): readonly Step[] {
  const byName = new Map(steps.map((step) => [step.name, step]));
  const out: Step[] = [];
  const seen = new Set<Step>();
  for (const start of steps) {
    // Depth first, without recursion: a chain as long as the graph would exhaust the stack.
    const path: { readonly step: Step; next: number }[] = [];
    const enter = (step: Step | undefined): void => {
      if (step === undefined || seen.has(step)) return;
      seen.add(step);
      path.push({ step, next: 0 });
    };
    enter(start);
    while (path.length > 0) {
      const top = path.at(-1)!;
      const input = top.step.inputs[top.next++];
      if (input !== undefined) enter(byName.get(producerOf(input)));
      else out.push(path.pop()!.step);
    }
  }
  return out;
}

/** Outputs of a node that anything takes, and those before them. */
function countedOutputs(steps: readonly Step[], where: string): (name: string) => readonly string[] {
  const most = new Map<string, number>();
  for (const value of steps.flatMap(({ inputs }) => inputs)) {
    const number = Number(/:(\d{1,4})$/.exec(value)?.[1] ?? 0);
    const name = producerOf(value);
    most.set(name, Math.max(most.get(name) ?? 0, number));
  }
  const all = [...most.values()].reduce((sum, number) => sum + number, 0);
  if (all > MAX_GRAPH_ITEMS) tooMany('the nodes have more outputs than any real ones', MAX_GRAPH_ITEMS, all, where);
  return (name) => Array.from({ length: 1 + (most.get(name) ?? 0) }, (_, k) => (k === 0 ? name : `${name}:${k}`));
}

async function translated(
  step: Step,
  outputs: readonly string[],
  constants: ReadonlyMap<string, Tensor>,
): Promise<readonly GraphNode[]> {
  const { name, op, inputs, attributes } = step;
  const own: GraphNode[] = [];
  const tensorOf = (input: number): Tensor | undefined => constants.get(inputs[input] ?? '');
  const list = (key: string, kind: string): readonly Json[] => {
    const found = attributes[key];
    return listOf(isRecord(found) && isRecord(found.list) ? found.list[kind] : undefined);
  };
  const single = (key: string, kind: string): Json | undefined => {
    const found = attributes[key];
    return isRecord(found) ? found[kind] : undefined;
  };
  const operation: TfOperation = {
    ...nodeSink(own, name, outputs),
    inputs,
    shape: (input) => tensorOf(input)?.shape ?? null,
    ints: async (input) => {
      const tensor = tensorOf(input);
      if (tensor?.dtype !== 'I32' || tensor.elements > MAX_INTS) return null;
      return [...(await tensor.read(0, tensor.elements))];
    },
    text: (key) => textOf(single(key, 's')),
    texts: (key) => list(key, 's').map(textOf),
    flag: (key) => single(key, 'b') === true,
    integer: (key) => integerOf(single(key, 'i')),
    integers: (key) => list(key, 'i').flatMap((value) => integerOf(value) ?? []),
    float: (key) => {
      const value = single(key, 'f');
      return typeof value === 'number' ? value : null;
    },
  };
  const translation = Object.hasOwn(TF_TRANSLATIONS, op) ? TF_TRANSLATIONS[op] : undefined;
  if (inputs.length > 0 && translation !== undefined && (await translation(operation))) return own;
  return [{ name, op, domain: 'tensorflow', inputs, outputs, attributes: new Map() }];
}

/** Texts are base64 of their bytes. */
const textOf = (value: Json | undefined): string =>
  typeof value === 'string' ? Buffer.from(value, 'base64').toString('latin1') : '';
/** 64-bit integers are texts. */
const integerOf = (value: Json | undefined): number | null => {
  const number = typeof value === 'string' && /^-?\d{1,15}$/.test(value) ? Number(value) : value;
  return typeof number === 'number' && Number.isSafeInteger(number) ? number : null;
};

function inputInfo({ name, attributes }: Step): ValueInfo {
  const type = isRecord(attributes.dtype) ? attributes.dtype.type : undefined;
  const shape = isRecord(attributes.shape) && isRecord(attributes.shape.shape) ? attributes.shape.shape : {};
  const sizes = listOf(shape.dim).map((size) => (isRecord(size) ? integerOf(size.size) : null));
  return {
    name,
    dtype: TYPES[String(type)] ?? null,
    shape:
      Array.isArray(shape.dim) && shape.unknownRank !== true
        ? sizes.map((size) => (size !== null && size >= 0 ? size : null))
        : null,
  };
}
