/** What a pickle's opcodes build: inert data. A call is recorded, never made. */

export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleList
  | PickleDict
  | PickleGlobal
  | PickleObject
  | PicklePersistent;

/** Lists, tuples, sets and frozensets. */
export interface PickleList {
  readonly kind: 'list' | 'tuple' | 'set';
  readonly items: PickleValue[];
}

/** Keys and values in the order in which they were set; a key may occur twice. */
export interface PickleDict {
  readonly kind: 'dict';
  readonly keys: PickleValue[];
  readonly values: PickleValue[];
}

/** The name of a class or function. */
export interface PickleGlobal {
  readonly kind: 'global';
  /** `module.name` */
  readonly name: string;
}

/** What calling `of` with `args` would have made, and what was then put into it. */
export interface PickleObject {
  readonly kind: 'object';
  readonly of: string;
  readonly args: readonly PickleValue[];
  /** BUILD's argument. */
  state: PickleValue;
  /** SETITEMS into it, where it is a dictionary. */
  entries: PickleDict | null;
  /** APPENDS into it, where it is a list. */
  items: PickleValue[] | null;
}

/** A reference to something outside the pickle: for PyTorch, a storage. */
export interface PicklePersistent {
  readonly kind: 'persistent';
  readonly id: PickleValue;
}

const kindOf = (value: PickleValue): string | null =>
  typeof value === 'object' && value !== null && !(value instanceof Uint8Array) ? value.kind : null;

export const isList = (value: PickleValue): value is PickleList => {
  const kind = kindOf(value);
  return kind === 'list' || kind === 'tuple' || kind === 'set';
};
export const isDict = (value: PickleValue): value is PickleDict => kindOf(value) === 'dict';
export const isGlobal = (value: PickleValue): value is PickleGlobal => kindOf(value) === 'global';
export const isObject = (value: PickleValue): value is PickleObject => kindOf(value) === 'object';
export const isPersistent = (value: PickleValue): value is PicklePersistent => kindOf(value) === 'persistent';

/** Few words on a value, for messages. */
export function describe(value: PickleValue): string {
  if (value === null) return 'None';
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (isObject(value)) return value.of;
  if (isGlobal(value)) return value.name;
  if (typeof value === 'object') return `a ${value.kind}`;
  return String(value).slice(0, 60);
}
