/** Builds ONNX bytes from a graph made in memory: for training steps, exported networks and tests. */
import { concatBytes } from '../base/index.js';
import { encodeElements } from './elements.js';
import type { DType } from './model.js';
import { ONNX_DTYPES } from './onnx-tensor.js';
import { wire } from './protobuf.js';

export interface ExternalValues {
  /** Relative to the model's folder. */
  readonly location: string;
  readonly offset: number;
  /** Bytes. */
  readonly length: number;
}

export interface TensorSpec {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Rounded once to the type; or the packed little-endian bytes themselves; or where they lie in a file beside the model. */
  readonly values: ArrayLike<number> | { readonly bytes: Uint8Array } | ExternalValues;
}

export interface ValueSpec {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly (number | string)[];
}

export type AttributeSpec =
  | { readonly int: number }
  | { readonly float: number }
  | { readonly string: string }
  | { readonly strings: readonly string[] }
  | { readonly ints: readonly number[] }
  | { readonly floats: readonly number[] }
  | { readonly tensor: TensorSpec }
  | { readonly graph: GraphSpec };

export interface NodeSpec {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly name?: string;
  readonly domain?: string;
  readonly attributes?: Readonly<Record<string, AttributeSpec>>;
}

export interface GraphSpec {
  readonly name: string;
  readonly inputs: readonly ValueSpec[];
  readonly outputs: readonly ValueSpec[];
  readonly nodes: readonly NodeSpec[];
  readonly initialisers: readonly TensorSpec[];
}

export interface OnnxSpec {
  readonly graph: GraphSpec;
  /** Default 17. */
  readonly opset?: number;
  readonly metadata?: Readonly<Record<string, string>>;
}

const CODES = new Map(Object.entries(ONNX_DTYPES).map(([code, dtype]) => [dtype, Number(code)]));
const codeOf = (dtype: DType): number => CODES.get(dtype)!;

const tensorProto = (tensor: TensorSpec, number: number): Uint8Array =>
  wire.message(
    number,
    ...tensor.shape.map((size) => wire.integer(1, size)),
    wire.integer(2, codeOf(tensor.dtype)),
    wire.text(8, tensor.name),
    ...('location' in tensor.values
      ? externalData(tensor.values)
      : [
          wire.message(9, 'bytes' in tensor.values ? tensor.values.bytes : encodeElements(tensor.dtype, tensor.values)),
        ]),
  );

const externalData = (values: ExternalValues): readonly Uint8Array[] => [
  ...(['location', 'offset', 'length'] as const).map((key) =>
    wire.message(13, wire.text(1, key), wire.text(2, String(values[key]))),
  ),
  wire.integer(14, 1),
];

const valueProto = (value: ValueSpec, number: number): Uint8Array =>
  wire.message(
    number,
    wire.text(1, value.name),
    wire.message(
      2,
      wire.message(
        1,
        wire.integer(1, codeOf(value.dtype)),
        wire.message(
          2,
          ...value.shape.map((size) =>
            wire.message(1, typeof size === 'number' ? wire.integer(1, size) : wire.text(2, size)),
          ),
        ),
      ),
    ),
  );

function attributeBody(attribute: AttributeSpec): readonly Uint8Array[] {
  if ('int' in attribute) return [wire.integer(3, attribute.int), wire.integer(20, 2)];
  if ('float' in attribute) return [wire.float(2, attribute.float), wire.integer(20, 1)];
  if ('strings' in attribute) return [...attribute.strings.map((value) => wire.text(9, value)), wire.integer(20, 8)];
  if ('string' in attribute) return [wire.text(4, attribute.string), wire.integer(20, 3)];
  if ('ints' in attribute) return [...attribute.ints.map((value) => wire.integer(8, value)), wire.integer(20, 7)];
  if ('floats' in attribute) return [...attribute.floats.map((value) => wire.float(7, value)), wire.integer(20, 6)];
  if ('tensor' in attribute) return [tensorProto(attribute.tensor, 5), wire.integer(20, 4)];
  return [wire.message(6, ...graphBody(attribute.graph)), wire.integer(20, 5)];
}

const nodeProto = (node: NodeSpec, index: number): Uint8Array =>
  wire.message(
    1,
    ...node.inputs.map((input) => wire.text(1, input)),
    ...node.outputs.map((output) => wire.text(2, output)),
    wire.text(3, node.name ?? `${node.op}_${index}`),
    wire.text(4, node.op),
    ...Object.entries(node.attributes ?? {}).map(([name, attribute]) =>
      wire.message(5, wire.text(1, name), ...attributeBody(attribute)),
    ),
    ...(node.domain === undefined ? [] : [wire.text(7, node.domain)]),
  );

const graphBody = (graph: GraphSpec): readonly Uint8Array[] => [
  ...graph.nodes.map(nodeProto),
  wire.text(2, graph.name),
  ...graph.initialisers.map((tensor) => tensorProto(tensor, 5)),
  ...graph.inputs.map((value) => valueProto(value, 11)),
  ...graph.outputs.map((value) => valueProto(value, 12)),
];

/** IR version 8 (ONNX 1.10 and later read it). */
export function buildOnnx({ graph, opset = 17, metadata = {} }: OnnxSpec): Uint8Array {
  const domains = [...new Set(graph.nodes.map((node) => node.domain ?? ''))].filter((domain) => domain !== '');
  return concatBytes(
    wire.integer(1, 8),
    wire.text(2, 'muniment'),
    wire.message(7, ...graphBody(graph)),
    wire.message(8, wire.text(1, ''), wire.integer(2, opset)),
    ...domains.map((domain) => wire.message(8, wire.text(1, domain), wire.integer(2, 1))),
    ...Object.entries(metadata).map(([key, value]) => wire.message(14, wire.text(1, key), wire.text(2, value))),
  );
}
