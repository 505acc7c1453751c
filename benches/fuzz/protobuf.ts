/** Takes bytes apart as a protobuf message, changes one field somewhere in the tree, and puts it together with right lengths, or one wrong. */
import type { RandomStream } from '../../src/base/index.js';
import { type Mutation, pick, strangeInteger } from './bytes.js';

interface Field {
  readonly number: number;
  readonly wire: number;
  /** Of varints. */
  readonly integer: bigint;
  /** Of fixed and length-delimited fields. */
  readonly bytes: Uint8Array;
  /** Where the bytes of a length-delimited field are themselves a message. */
  readonly fields: readonly Field[] | null;
}

const MOST_FIELDS = 50_000;
const DEEPEST = 8;

/** Null where the bytes are no message to their end. */
function parse(bytes: Uint8Array, depth: number, budget: { left: number }): Field[] | null {
  const out: Field[] = [];
  let at = 0;
  const varint = (): bigint | null => {
    let value = 0n;
    for (let shift = 0n; shift < 70n && at < bytes.length; shift += 7n) {
      const byte = bytes[at++]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return null;
  };
  while (at < bytes.length) {
    if (--budget.left < 0) return null;
    const tag = varint();
    if (tag === null || tag < 8n || tag > 8n * 2n ** 16n) return null;
    const wire = Number(tag & 7n);
    const base = { number: Number(tag >> 3n), wire, integer: 0n, bytes: new Uint8Array(0), fields: null };
    if (wire === 0) {
      const integer = varint();
      if (integer === null) return null;
      out.push({ ...base, integer });
      continue;
    }
    const size = wire === 5 ? 4 : wire === 1 ? 8 : wire === 2 ? varint() : null;
    if (size === null || Number(size) > bytes.length - at) return null;
    const held = bytes.subarray(at, at + Number(size));
    at += held.length;
    const inner = wire === 2 && held.length > 1 && depth < DEEPEST ? parse(held, depth + 1, budget) : null;
    out.push({ ...base, bytes: held, fields: inner });
  }
  return out;
}

function spellVarint(value: bigint): Buffer {
  const out: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest > 0x7fn; rest >>= 7n) out.push(Number(rest & 0x7fn) | 0x80);
  return Buffer.of(...out, Number(rest));
}

/** @param lie the field whose length is said wrong, and by how much */
function spell(fields: readonly Field[], lie?: { of: Field; by: bigint }): Buffer {
  return Buffer.concat(
    fields.flatMap((field) => {
      const tag = spellVarint(BigInt(field.number) * 8n + BigInt(field.wire));
      if (field.wire === 0) return [tag, spellVarint(field.integer)];
      if (field.wire !== 2) return [tag, field.bytes];
      const inner = field.fields === null ? field.bytes : spell(field.fields, lie);
      const length = BigInt(inner.length) + (lie?.of === field ? lie.by : 0n);
      return [tag, spellVarint(length), inner];
    }),
  );
}

/** The message with one list of fields, chosen at random from the tree, changed by `change`. */
function inTree(
  fields: readonly Field[],
  random: RandomStream,
  change: (list: readonly Field[]) => readonly Field[],
): readonly Field[] {
  const inner = fields.flatMap((field, i) => (field.fields !== null && field.fields.length > 0 ? [i] : []));
  if (inner.length === 0 || random.below(4) === 0) return change(fields);
  const chosen = pick(random, inner);
  return fields.map((field, i) => (i === chosen ? { ...field, fields: inTree(field.fields!, random, change) } : field));
}

const every = (fields: readonly Field[]): readonly Field[] =>
  fields.flatMap((field) => [field, ...(field.fields === null ? [] : every(field.fields))]);

function changeOne(
  list: readonly Field[],
  whole: readonly Field[],
  length: number,
  random: RandomStream,
): readonly Field[] {
  const at = random.below(list.length);
  const field = list[at]!;
  const put = (...by: readonly Field[]): readonly Field[] => [...list.slice(0, at), ...by, ...list.slice(at + 1)];
  switch (random.below(7)) {
    case 0:
      return put();
    case 1:
      return put(field, field);
    case 2: {
      // A part of the tree in another place, inside itself too.
      const other = pick(random, every(whole));
      return random.below(2) === 0 ? put(other) : put({ ...field, wire: 2, fields: [...(field.fields ?? []), other] });
    }
    case 3:
      return put({ ...field, number: 1 + random.below(30) });
    case 4:
      return put({ ...field, wire: pick(random, [0, 1, 2, 3, 5]) });
    default: {
      if (field.wire === 0) return put({ ...field, integer: strangeInteger(8, length, random) });
      const shorter = random.below(2) === 0 ? field.bytes.subarray(random.below(field.bytes.length + 1)) : null;
      return put({
        ...field,
        fields: null,
        bytes: shorter ?? Buffer.concat([field.bytes, Buffer.alloc(random.below(64))]),
      });
    }
  }
}

export const protobufMutation: Mutation = (bytes, random) => {
  const fields = parse(bytes, 0, { left: MOST_FIELDS });
  if (fields === null || fields.length === 0) return null;
  if (random.below(4) === 0) {
    const long = every(fields).filter(({ wire }) => wire === 2);
    if (long.length === 0) return null;
    const by = random.below(2) === 0 ? BigInt(random.below(32)) - 16n : strangeInteger(8, bytes.length, random);
    return spell(fields, { of: pick(random, long), by });
  }
  return spell(inTree(fields, random, (list) => changeOne(list, fields, bytes.length, random)));
};
