/**
 * The one tensor model that every format becomes. Nothing above `formats/` sees a vendor's format.
 * Reading is lazy: opening a model reads its headers, `read` fetches only the elements asked for.
 */
import type { ByteSource } from '../base/index.js';
import type { TreeEnsemble } from './trees.js';

/** Storage types as the safetensors header spells them, plus sub-byte integers that ONNX has. */
export type DType =
  | 'F64'
  | 'F32'
  | 'F16'
  | 'BF16'
  | 'F8_E4M3'
  | 'F8_E5M2'
  | 'I64'
  | 'I32'
  | 'I16'
  | 'I8'
  | 'I4'
  | 'U64'
  | 'U32'
  | 'U16'
  | 'U8'
  | 'U4'
  | 'BOOL'
  | 'STRING';

export interface Tensor {
  /** Unique in the model. An initialiser inside an ONNX subgraph is `node/branch/name`. */
  readonly name: string;
  readonly dtype: DType;
  /** Row-major, as stored. [] for a scalar. */
  readonly shape: readonly number[];
  /** Product of the shape. */
  readonly elements: number;
  /**
   * Where the format lays weights out otherwise than outputs first (linear out × in, convolution OIHW): the stored axis
   * of each canonical axis, such as [1, 0] for in × out and [3, 2, 0, 1] for HWIO. Absent: as stored.
   */
  readonly outputsFirst?: readonly number[];
  /**
   * Where the runtime sees `dtype` but the file holds codes of fewer bits that only expansion makes numbers of (GGUF's
   * blocks, TensorFlow.js): the format's own name of the coding, and its bits per element, block scales included.
   * `read` gives the expanded values, as the format's own runtime computes them.
   */
  readonly packed?: { readonly as: string; readonly bits: number };
  /**
   * Elements [start, end) in row-major order as float64 (exact for every float type and for integers below 2^53).
   * Raw stored values: no dequantisation, but see `packed`.
   * @throws `TENSOR_RANGE`; the format's `…_TRUNCATED` where the bytes are missing
   */
  read(start: number, end: number): Promise<Float64Array>;
  /**
   * Of `packed` values that can be written: the distance between neighbouring codes at elements [start, end). Values
   * written between codes are rounded to the nearest, and clamped to the last.
   */
  steps?(start: number, end: number): Promise<Float64Array>;
  /** A number that no file holds, made of settings (a shape, a factor): in a graph's initialisers, in no model's tensors. */
  readonly implied?: true;
  /** True where `write.ts` can store changed values of this tensor. */
  readonly writable: boolean;
}

export type AttributeValue =
  | number
  | string
  | bigint
  | readonly number[]
  | readonly string[]
  | Tensor
  | Graph
  | readonly Graph[];

export interface GraphNode {
  readonly name: string;
  readonly op: string;
  /** '' for the standard ONNX domain. */
  readonly domain: string;
  /** '' marks an absent optional input. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, AttributeValue>;
}

export interface ValueInfo {
  readonly name: string;
  readonly dtype: DType | null;
  /** A number is a fixed size, a string a named one, null unknown; the whole is null when no shape is given. */
  readonly shape: readonly (number | string | null)[] | null;
}

export interface Graph {
  readonly name: string;
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly valueInfo: readonly ValueInfo[];
  readonly nodes: readonly GraphNode[];
  /** Value name in this graph's scope → tensor (initialisers, and Constant nodes' values under the output's name). */
  readonly initialisers: ReadonlyMap<string, Tensor>;
}

export interface Model {
  readonly format:
    | 'onnx'
    | 'safetensors'
    | 'pytorch'
    | 'torchscript'
    | 'numpy'
    | 'gguf'
    | 'tfjs'
    | 'tflite'
    | 'openvino'
    | 'keras'
    | 'hdf5'
    | 'xgboost'
    | 'lightgbm';
  /** Every stored tensor, those of subgraphs and Constant nodes included, in file order. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** Null where the format carries no graph. */
  readonly graph: Graph | null;
  readonly opset: number | null;
  readonly metadata: ReadonlyMap<string, string>;
  /** Ensembles of decision trees, absent where there are none; `tensors` shows the same numbers. */
  readonly trees?: readonly TreeEnsemble[];
  /** What the bytes were read from; several for shards and external data. First the file that was named. */
  readonly sources: readonly ByteSource[];
  /** Bytes fetched so far over all sources. */
  readonly bytesRead: number;
  close(): Promise<void>;
}
