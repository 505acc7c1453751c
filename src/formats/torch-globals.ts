/**
 * The only classes and functions that a PyTorch pickle may name. None is ever called: those that build tensors are
 * understood in `torch-tensor.ts`, the others stay inert records. Source: torch/serialization.py, torch/_utils.py,
 * torch/_weights_only_unpickler.py, and torch/csrc/jit/serialization/pickler.cpp (TorchScript).
 */
import type { DType } from './model.js';

/** Storage classes of `torch` and `torch.cuda`, with the type of what they hold. */
export const STORAGES: Readonly<Record<string, DType>> = {
  DoubleStorage: 'F64',
  FloatStorage: 'F32',
  HalfStorage: 'F16',
  BFloat16Storage: 'BF16',
  LongStorage: 'I64',
  IntStorage: 'I32',
  ShortStorage: 'I16',
  CharStorage: 'I8',
  ByteStorage: 'U8',
  BoolStorage: 'BOOL',
  UntypedStorage: 'U8',
};

/** `torch.<name>` of the types that have no storage class of their own, and of all others. */
export const DTYPES: Readonly<Record<string, DType>> = {
  float64: 'F64',
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
  float8_e4m3fn: 'F8_E4M3',
  float8_e5m2: 'F8_E5M2',
  int64: 'I64',
  int32: 'I32',
  int16: 'I16',
  int8: 'I8',
  uint64: 'U64',
  uint32: 'U32',
  uint16: 'U16',
  uint8: 'U8',
  bool: 'BOOL',
};

/** Named so that they can be refused for what they are (`TORCH_QUANTISED`, `TORCH_SPARSE`, `TORCH_DTYPE`). */
export const QUANTISED_STORAGES: ReadonlySet<string> = new Set([
  'QInt8Storage',
  'QUInt8Storage',
  'QInt32Storage',
  'QUInt4x2Storage',
  'QUInt2x4Storage',
]);
export const COMPLEX_STORAGES: ReadonlySet<string> = new Set(['ComplexFloatStorage', 'ComplexDoubleStorage']);

const UTILS = ['_rebuild_tensor', '_rebuild_tensor_v2', '_rebuild_tensor_v3', '_rebuild_parameter'];
const REFUSED_LATER = ['_rebuild_qtensor', '_rebuild_sparse_tensor'];

const named = (module: string, ...names: readonly string[]): readonly string[] =>
  names.map((name) => `${module}.${name}`);

const EXACT: ReadonlySet<string> = new Set([
  ...named('torch._utils', ...UTILS, ...REFUSED_LATER, '_rebuild_parameter_with_state'),
  ...named('torch', ...Object.keys(STORAGES), ...QUANTISED_STORAGES, ...COMPLEX_STORAGES, ...Object.keys(DTYPES)),
  ...named('torch.cuda', ...Object.keys(STORAGES)),
  ...named('torch', 'complex64', 'complex128', 'qint8', 'quint8', 'qint32'),
  ...named('torch', 'Size', 'device', 'Tensor', 'per_tensor_affine', 'per_channel_affine', 'strided'),
  ...named('torch.storage', 'UntypedStorage', 'TypedStorage'),
  ...named('torch.serialization', '_get_layout'),
  ...named('torch.nn.parameter', 'Parameter', 'Buffer'),
  ...named('torch._tensor', '_rebuild_from_type_v2'),
  ...named('torch.jit._pickle', 'build_intlist', 'build_tensorlist', 'build_doublelist', 'build_boollist'),
  ...named('torch.jit._pickle', 'restore_type_tag'),
  ...named('collections', 'OrderedDict', 'defaultdict', 'Counter'),
  // Types named by defaultdict and by settings kept in checkpoints.
  ...['builtins', '__builtin__'].flatMap((module) =>
    named(
      module,
      'set',
      'frozenset',
      'int',
      'float',
      'bool',
      'str',
      'list',
      'dict',
      'tuple',
      'bytes',
      'bytearray',
      'complex',
    ),
  ),
  ...['builtins', '__builtin__'].flatMap((module) => named(module, 'slice', 'range', 'object')),
  ...named('copyreg', '_reconstructor'),
  ...named('copy_reg', '_reconstructor'),
  ...named('_codecs', 'encode'),
  ...['numpy.core.multiarray', 'numpy._core.multiarray'].flatMap((module) => named(module, 'scalar', '_reconstruct')),
  ...named('numpy', 'dtype', 'ndarray'),
  ...named('argparse', 'Namespace'),
  ...named('pathlib', 'PosixPath', 'WindowsPath', 'PurePosixPath', 'PureWindowsPath', 'Path'),
  ...named('pathlib._local', 'PosixPath', 'WindowsPath'),
  ...named('datetime', 'datetime', 'date', 'timedelta'),
]);

/** Layers of torch's own, in models that were pickled whole: what `state_dict()` would walk. */
export const isLayer = (name: string): boolean => /^torch\.nn\.modules\.[a-z_]+\.[A-Z][A-Za-z0-9]*$/.test(name);
const isScriptClass = (name: string): boolean => /^__torch__\.[\w.]+$/.test(name);
const isNumpyDType = (name: string): boolean => /^numpy\.dtypes\.[A-Z][A-Za-z0-9]*DType$/.test(name);

/** What weights saved by `torch.save` may name. */
export const allowedInTorch = (name: string): boolean => EXACT.has(name) || isLayer(name) || isNumpyDType(name);

/** What a TorchScript archive may name besides: its own classes, compiled from the code that it carries. */
export const allowedInScript = (name: string): boolean => allowedInTorch(name) || isScriptClass(name);

/** True for objects whose state may hold tensors. */
export const hasAttributes = (of: string): boolean => isLayer(of) || isScriptClass(of) || of === 'argparse.Namespace';
