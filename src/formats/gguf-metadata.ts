/** The typed keys and values at the head of a GGUF file. Source: docs/gguf.md of ggml-org/ggml, versions 2 and 3. */
import type { Cursor } from '../base/index.js';
import type { ForwardReader } from './forward-reader.js';
import { MAX_GGUF_KEY, MAX_GGUF_KEYS, MAX_GGUF_LISTED, MAX_GGUF_STRINGS, MAX_TEXT } from './limits.js';

export type GgufScalar = number | bigint | boolean | string;

export interface GgufList {
  /** What its elements are. */
  readonly of: string;
  readonly length: number;
  /** The elements; null for a list that was too long to keep. */
  readonly items: readonly GgufScalar[] | null;
}
export type GgufValue = GgufScalar | GgufList;

interface ScalarType {
  readonly name: string;
  readonly bytes: number;
  read(cursor: Cursor): number | bigint | boolean;
}

const signed =
  (bits: number) =>
  (value: number): number =>
    (value << (32 - bits)) >> (32 - bits);
const u16 = (cursor: Cursor): number => cursor.u8() + 256 * cursor.u8();

/** `gguf_metadata_value_type`; 8 is a text, 9 a list. */
const SCALARS: Readonly<Record<number, ScalarType>> = {
  0: { name: 'uint8', bytes: 1, read: (c) => c.u8() },
  1: { name: 'int8', bytes: 1, read: (c) => signed(8)(c.u8()) },
  2: { name: 'uint16', bytes: 2, read: u16 },
  3: { name: 'int16', bytes: 2, read: (c) => signed(16)(u16(c)) },
  4: { name: 'uint32', bytes: 4, read: (c) => c.u32() },
  5: { name: 'int32', bytes: 4, read: (c) => signed(32)(c.u32()) },
  6: { name: 'float32', bytes: 4, read: (c) => c.f32() },
  7: { name: 'bool', bytes: 1, read: readBool },
  10: { name: 'uint64', bytes: 8, read: (c) => c.u64() },
  11: { name: 'int64', bytes: 8, read: (c) => BigInt.asIntN(64, c.u64()) },
  12: { name: 'float64', bytes: 8, read: (c) => c.f64() },
};
const STRING = 8;
const LIST = 9;

function readBool(cursor: Cursor): boolean {
  const byte = cursor.u8();
  if (byte > 1) cursor.fail('METADATA', 'a truth value is neither 0 nor 1', { got: String(byte) });
  return byte === 1;
}

/** What the head of one file may still hold. */
interface Budget {
  text: number;
  strings: number;
}

/**
 * @param count as the header claims
 * @throws `GGUF_METADATA`, `GGUF_TOO_MANY`, `GGUF_TEXT`, `GGUF_NESTED_LIST`, `GGUF_TRUNCATED`, `UTF8_INVALID`
 */
export async function readMetadata(reader: ForwardReader, count: number): Promise<ReadonlyMap<string, GgufValue>> {
  if (count > MAX_GGUF_KEYS) {
    reader.fail('TOO_MANY', 'the header claims more keys than any real one', {
      expected: `at most ${MAX_GGUF_KEYS}`,
      got: String(count),
    });
  }
  const budget: Budget = { text: MAX_TEXT, strings: MAX_GGUF_STRINGS };
  const values = new Map<string, GgufValue>();
  for (let i = 0; i < count; i++) {
    const key = await readText(reader, MAX_GGUF_KEY, budget);
    if (values.has(key)) reader.fail('METADATA', 'a key comes twice', { got: key.slice(0, 100) });
    values.set(key, await readValue(reader, (await reader.take(4)).u32(), budget));
  }
  return values;
}

/** A text after its length (u64). @throws `GGUF_TEXT` above `maximum` bytes */
export async function readText(
  reader: ForwardReader,
  maximum: number,
  budget: { text: number } = { text: maximum },
): Promise<string> {
  const length = (await reader.take(8)).safeU64();
  const most = Math.min(maximum, budget.text);
  if (length > most && length <= reader.remaining) {
    reader.fail('TEXT', 'a name or text is longer than any real one', {
      expected: `at most ${most} bytes`,
      got: String(length),
    });
  }
  budget.text -= length;
  return (await reader.take(length)).text(length);
}

async function readValue(reader: ForwardReader, type: number, budget: Budget): Promise<GgufValue> {
  if (type === STRING) return readText(reader, MAX_TEXT, budget);
  if (type === LIST) return readList(reader, budget);
  const scalar = SCALARS[type];
  if (scalar === undefined) {
    return reader.fail('METADATA', 'a value has a type that the format does not know', { got: `type ${type}` });
  }
  return scalar.read(await reader.take(scalar.bytes));
}

/** Lists of lists are allowed by the specification, written by nobody and refused by llama.cpp. */
async function readList(reader: ForwardReader, budget: Budget): Promise<GgufList> {
  const head = await reader.take(12);
  const type = head.u32();
  const length = head.safeU64();
  if (type === LIST) {
    reader.fail('NESTED_LIST', 'a list holds lists, which no program writes', {
      expected: 'a list of numbers, truth values or texts',
      got: `${length} lists`,
      todo: 'the file is damaged or made to exhaust memory; fetch it again',
    });
  }
  const keep = length <= MAX_GGUF_LISTED;
  const items: GgufScalar[] = [];
  if (type === STRING) {
    budget.strings -= length;
    if (budget.strings < 0) {
      reader.fail('TOO_MANY', 'the lists hold more texts than any vocabulary', {
        expected: `at most ${MAX_GGUF_STRINGS}`,
      });
    }
    if (!keep) await reader.skipRuns(length);
    else for (let i = 0; i < length; i++) items.push(await readText(reader, MAX_TEXT, budget));
    return { of: 'string', length, items: keep ? items : null };
  }
  const scalar = SCALARS[type];
  if (scalar === undefined) {
    return reader.fail('METADATA', 'a list has elements of a type that the format does not know', {
      got: `type ${type}`,
    });
  }
  if (!keep) reader.skip(length * scalar.bytes);
  else {
    const cursor = await reader.take(length * scalar.bytes);
    for (let i = 0; i < length; i++) items.push(scalar.read(cursor));
  }
  return { of: scalar.name, length, items: keep ? items : null };
}

/** As text: a text as it is, a list in brackets, a long one by its length alone. */
export function textOf(value: GgufValue): string {
  if (typeof value !== 'object') return String(value);
  if (value.items === null) return `[${value.length} × ${value.of}]`;
  return `[${value.items.map((item) => (typeof item === 'string' ? JSON.stringify(item) : String(item))).join(', ')}]`;
}
