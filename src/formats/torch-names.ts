/**
 * Every tensor of an unpickled value under a dotted name: dictionaries by key, lists by index, modules by attribute, as
 * `state_dict()` would name them.
 */
import { inputError } from '../base/index.js';
import { MAX_PICKLE_METADATA, MAX_TENSORS, MAX_TORCH_DEPTH, MAX_TORCH_NAMES, MAX_TORCH_VISITS } from './limits.js';
import {
  describe,
  isDict,
  isList,
  isObject,
  type PickleDict,
  type PickleObject,
  type PickleValue,
} from './pickle-value.js';
import { type PickledArray, pickledArray } from './pickled-array.js';
import { hasAttributes, isLayer } from './torch-globals.js';
import { type TorchTensor, tensorIn } from './torch-tensor.js';

export interface NamedTensors {
  readonly tensors: readonly (readonly [name: string, tensor: TorchTensor | PickledArray])[];
  /** Numbers and short texts beside them, by dotted name: an epoch, a version. */
  readonly settings: ReadonlyMap<string, string>;
}

/** Attributes of a module that `state_dict()` passes through without naming them. */
const TRANSPARENT: ReadonlySet<string> = new Set(['_parameters', '_buffers', '_modules']);
const LONGEST_SETTING = 200;

/**
 * @param file for messages
 * @throws `TORCH_CYCLE`, `TORCH_DEPTH`, `TORCH_TOO_MANY`, `TORCH_KEY`, and what `tensorIn` throws
 */
export function namedTensors(root: PickleValue, file: string): NamedTensors {
  const tensors: (readonly [string, TorchTensor | PickledArray])[] = [];
  const settings = new Map<string, string>();
  const open = new Set<PickleValue>();
  let visits = 0;
  let text = 0;

  const whereOf = (name: string): string => `${file}, tensor ${name.slice(0, 200)}`;
  const visit = (value: PickleValue, name: string, depth: number): void => {
    text += name.length;
    if (++visits > MAX_TORCH_VISITS || text > MAX_TORCH_NAMES) {
      throw inputError('TORCH_TOO_MANY', 'the file holds more, or one thing more often, than any real model', {
        where: whereOf(name),
      });
    }
    if (typeof value !== 'object' || value === null) note(value, name);
    if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return;
    const where = whereOf(name);
    const tensor = tensorIn(value, where) ?? pickledArray(value, where);
    if (tensor !== null) {
      if (tensors.length >= MAX_TENSORS)
        throw inputError('TORCH_TOO_MANY', `more than ${MAX_TENSORS} tensors`, { where });
      tensors.push([name, tensor]);
      return;
    }
    if (open.has(value)) {
      throw inputError('TORCH_CYCLE', 'something in the file contains itself', { got: describe(value), where });
    }
    if (depth >= MAX_TORCH_DEPTH) {
      throw inputError('TORCH_DEPTH', `the file nests deeper than ${MAX_TORCH_DEPTH} levels`, { where });
    }
    open.add(value);
    descend(value, name, depth + 1);
    open.delete(value);
  };

  const descend = (value: PickleValue, name: string, depth: number): void => {
    const step = (key: string, item: PickleValue): void => visit(item, name === '' ? key : `${name}.${key}`, depth);
    if (isDict(value)) eachEntry(value, name, step);
    else if (isList(value)) eachItem(value.items, step);
    else if (isObject(value)) descendObject(value, name, depth, step);
  };

  const descendObject = (value: PickleObject, name: string, depth: number, step: Step): void => {
    if (value.entries !== null) eachEntry(value.entries, name, step);
    if (value.items !== null) eachItem(value.items, step);
    const [content = null] = value.args;
    if (value.of === ORDERED) eachEntry(dictOfPairs(content), name, step);
    else if (LISTS.has(value.of)) visit(content, name, depth);
    else if (!hasAttributes(value.of) || value.state === null) return;
    else if (!isDict(value.state)) visit(value.state, name, depth);
    else if (!isLayer(value.of)) eachEntry(value.state, name, step);
    // The other attributes of a layer are settings, and hooks that refer back to it.
    else eachEntry(value.state, name, (key, item) => void (TRANSPARENT.has(key) && visit(item, name, depth)));
  };

  const eachEntry = (dict: PickleDict, name: string, each: Step): void => {
    for (const [i, key] of dict.keys.entries()) each(keyName(key, whereOf(name)), dict.values[i]!);
  };

  const note = (value: PickleValue, name: string): void => {
    if (value === null || settings.size >= MAX_PICKLE_METADATA || name === '') return;
    const spelt = String(value);
    if (spelt.length <= LONGEST_SETTING) settings.set(name, spelt);
  };

  visit(root, '', 0);
  return { tensors, settings };
}

const ORDERED = 'collections.OrderedDict';
/** Calls whose first argument is the content. */
const LISTS: ReadonlySet<string> = new Set([
  'torch.jit._pickle.build_tensorlist',
  'torch.jit._pickle.restore_type_tag',
]);

type Step = (key: string, item: PickleValue) => void;

const eachItem = (items: readonly PickleValue[], step: Step): void => {
  for (const [i, item] of items.entries()) step(String(i), item);
};

/** Python 2 pickled an `OrderedDict` as a list of pairs. */
function dictOfPairs(content: PickleValue): PickleDict {
  const pairs = isList(content) ? content.items.filter(isList).filter(({ items }) => items.length === 2) : [];
  return { kind: 'dict', keys: pairs.map(({ items }) => items[0]!), values: pairs.map(({ items }) => items[1]!) };
}

function keyName(key: PickleValue, where: string): string {
  if (typeof key === 'string' || typeof key === 'number' || typeof key === 'bigint' || typeof key === 'boolean') {
    return String(key);
  }
  if (isList(key) && key.items.length <= 8) return key.items.map((part) => describe(part)).join(',');
  throw inputError('TORCH_KEY', 'a dictionary has a key that makes no name', {
    expected: 'text, numbers or short tuples of them',
    got: describe(key),
    where,
  });
}
