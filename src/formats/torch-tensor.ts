/**
 * What a PyTorch pickle says of a tensor: a storage, and sizes and strides over it. Source: torch/_utils.py
 * (`_rebuild_tensor_v2` and its kin), torch/serialization.py (`persistent_id`).
 */
import { type ErrorFacts, inputError } from '../base/index.js';
import { BITS } from './elements.js';
import { MAX_EXPANDED, MAX_RANK } from './limits.js';
import type { DType } from './model.js';
import {
  describe,
  isGlobal,
  isList,
  isObject,
  isPersistent,
  type PickleObject,
  type PickleValue,
} from './pickle-value.js';
import { elementsOf } from './stored-tensor.js';
import { reachOf } from './strided.js';
import { COMPLEX_STORAGES, DTYPES, QUANTISED_STORAGES, STORAGES } from './torch-globals.js';

export type TorchDType = Exclude<DType, 'STRING' | 'I4' | 'U4'>;

export interface StorageReference {
  /** The record that holds it: `data/<key>` in an archive. */
  readonly key: string;
  readonly dtype: TorchDType;
  /** Elements of `dtype`. */
  readonly elements: number;
  /** Elements before this view of it begins (legacy files only). */
  readonly offset: number;
}

export interface TorchTensor {
  readonly storage: StorageReference;
  readonly dtype: TorchDType;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  /** Elements of `dtype` before the first. */
  readonly offset: number;
}

const refuse = (code: string, message: string, where: string, facts: ErrorFacts = {}): never => {
  throw inputError(`TORCH_${code}`, message, { where, ...facts });
};

const WRAPPERS: ReadonlySet<string> = new Set([
  'torch._utils._rebuild_parameter',
  'torch._utils._rebuild_parameter_with_state',
  'torch.nn.parameter.Parameter',
  'torch.nn.parameter.Buffer',
]);
const PLAIN: ReadonlySet<string> = new Set(['torch._utils._rebuild_tensor', 'torch._utils._rebuild_tensor_v2']);
const TYPED = 'torch._utils._rebuild_tensor_v3';
const WITH_TYPE = 'torch._tensor._rebuild_from_type_v2';

/** The nested wrappers of one tensor: a parameter of a subclass of a tensor. */
const MAX_WRAPPERS = 4;

/**
 * @returns null for what is no tensor
 * @throws `TORCH_QUANTISED`, `TORCH_SPARSE`, `TORCH_DTYPE`, `TORCH_TENSOR`, `TORCH_SHAPE`, `TORCH_BOUNDS`, `TORCH_EXPANDED`
 */
export function tensorIn(value: PickleValue, where: string): TorchTensor | null {
  let inner: PickleValue = value;
  for (let depth = 0; depth <= MAX_WRAPPERS; depth++) {
    if (!isObject(inner)) return null;
    if (inner.of === 'torch._utils._rebuild_qtensor') return refuseQuantised(where);
    if (inner.of === 'torch._utils._rebuild_sparse_tensor') {
      return refuse('SPARSE', 'a sparse tensor is not read', where, { todo: 'save it dense: tensor.to_dense()' });
    }
    if (PLAIN.has(inner.of)) return rebuilt(inner, null, where);
    if (inner.of === TYPED) return rebuilt(inner, inner.args[6] ?? null, where);
    const next: PickleValue | undefined = WRAPPERS.has(inner.of) ? inner.args[0] : typedInner(inner);
    if (next === undefined) return null;
    inner = next;
  }
  return refuse('TENSOR', 'a tensor is wrapped more often than any real one', where);
}

/** `_rebuild_from_type_v2(function, type, arguments, state)` stands for `function(*arguments)`. */
function typedInner({ of, args: [callee = null, , args = null] }: PickleObject): PickleValue | undefined {
  if (of !== WITH_TYPE || !isGlobal(callee) || !isList(args)) return undefined;
  return { kind: 'object', of: callee.name, args: args.items, state: null, entries: null, items: null };
}

const refuseQuantised = (where: string): never =>
  refuse('QUANTISED', 'a quantised tensor of PyTorch is not read', where, {
    todo: 'dequantise it where you trust the file (tensor.dequantize()), or export the model to ONNX',
  });

function rebuilt({ args }: PickleObject, type: PickleValue, where: string): TorchTensor {
  const storage = storageIn(args[0] ?? null, where);
  const offset = sizeIn(args[1], 'offset', where);
  const shape = sizesIn(args[2], 'size', where);
  const strides = sizesIn(args[3], 'stride', where);
  const dtype = type === null ? storage.dtype : dtypeIn(type, where);
  const elements = elementsOf(shape, 'TORCH', where);
  const facts = { got: `size [${shape}], stride [${strides}], offset ${offset}`, where };
  if (strides.length !== shape.length)
    return refuse('TENSOR', 'a tensor has not one stride for each axis', where, facts);
  // Typed tensors lie over untyped bytes.
  const room = (storage.elements * BITS[storage.dtype]) / BITS[dtype];
  const reach = reachOf(shape, strides);
  if (elements > 0 && !(storage.offset + offset + reach <= room)) {
    return refuse('BOUNDS', 'a tensor reaches beyond its storage', where, {
      ...facts,
      expected: `at most ${Math.floor(room)} elements`,
      todo: 'do not load this file elsewhere: it was made to read memory that is not its own, or it is damaged',
    });
  }
  if (elements > reach && elements > MAX_EXPANDED) {
    return refuse('EXPANDED', 'a tensor repeats few stored values more often than any real one', where, {
      ...facts,
      expected: `at most ${MAX_EXPANDED} elements`,
      todo: 'save it without repetition: tensor.contiguous()',
    });
  }
  return { storage, dtype, shape, strides, offset: storage.offset + offset };
}

function sizeIn(value: PickleValue | undefined, what: string, where: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    return refuse('TENSOR', `a tensor has no valid ${what}`, where, { got: describe(value ?? null) });
  }
  return value;
}

/** A tuple of sizes; `torch.Size` wraps one. */
function sizesIn(value: PickleValue | undefined, what: string, where: string): readonly number[] {
  const list = value !== undefined && isObject(value) && value.of === 'torch.Size' ? value.args[0] : value;
  if (list === undefined || !isList(list) || list.items.length > MAX_RANK) {
    return refuse('TENSOR', `a tensor has no valid ${what}`, where, { got: describe(list ?? null) });
  }
  return list.items.map((size) => sizeIn(size, what, where));
}

const shortName = (value: PickleValue): string =>
  isGlobal(value) ? value.name.slice(value.name.lastIndexOf('.') + 1) : '';

function dtypeIn(value: PickleValue, where: string): TorchDType {
  const name = shortName(value);
  const dtype = Object.hasOwn(DTYPES, name) ? DTYPES[name] : undefined;
  return (dtype ?? refuseType(describe(value), where)) as TorchDType;
}

const refuseType = (got: string, where: string): never =>
  refuse('DTYPE', 'a tensor has a type that is not read', where, { expected: Object.keys(DTYPES).join(', '), got });

/** `('storage', class, key, device, elements[, view])`, which the pickle holds as a persistent reference. */
export function storageIn(value: PickleValue, where: string): StorageReference {
  const parts = isPersistent(value) && isList(value.id) ? value.id.items : [];
  const [tag, type = null, key, , count, view = null] = parts;
  if (tag !== 'storage' || (typeof key !== 'string' && typeof key !== 'number')) {
    return refuse('STORAGE', 'a tensor has no storage', where, { got: describe(value) });
  }
  const name = shortName(type);
  if (QUANTISED_STORAGES.has(name)) return refuseQuantised(where);
  if (COMPLEX_STORAGES.has(name)) return refuseType(describe(type), where);
  const dtype = Object.hasOwn(STORAGES, name) ? STORAGES[name] : undefined;
  if (dtype === undefined) return refuse('STORAGE', 'a storage has no known type', where, { got: describe(type) });
  const elements = sizeIn(count, 'storage size', where);
  return { key: String(key), dtype: dtype as TorchDType, elements, offset: viewOffset(view, elements, where) };
}

/** Legacy files may store one storage as a view of another: `(key, offset, elements)`. */
function viewOffset(view: PickleValue, elements: number, where: string): number {
  if (view === null) return 0;
  const [, offset, size] = isList(view) ? view.items : [];
  const start = sizeIn(offset, 'view', where);
  if (start + sizeIn(size, 'view', where) > elements) {
    return refuse('BOUNDS', 'a storage is a view beyond another', where, { expected: `at most ${elements} elements` });
  }
  return start;
}
