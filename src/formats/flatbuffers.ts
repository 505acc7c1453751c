/**
 * FlatBuffers, walked lazily and with every offset checked: tables with their field lists (vtables), vectors, texts and
 * unions. Source: flatbuffers.dev/internals. Offsets point forwards, so the one loop that can be written is an offset
 * of 0; it is refused, and what is reached often is counted against a budget, since parts may be shared.
 */
import { type ByteSource, type ErrorFacts, fromUtf8, inputError } from '../base/index.js';
import { MAX_FLATBUFFER_PARTS, MAX_TEXT } from './limits.js';

/** Tables lie between the weights: small pages fetch few of those. */
const PAGE = 4096;
const PAGES = 2048;
/** The schemas read here have some twenty fields a table. */
const MAX_FIELDS = 128;

/** `length` elements from byte `at` on. */
export interface Vector {
  readonly at: number;
  readonly length: number;
}

export class Flatbuffer {
  readonly source: ByteSource;
  readonly #area: string;
  readonly #pages = new Map<number, Uint8Array>();
  #parts = 0;
  #text = 0;

  /** @param area prefix of error codes, e.g. `TFLITE` */
  constructor(source: ByteSource, area: string) {
    this.source = source;
    this.#area = area;
  }

  fail(message: string, at: number, facts: ErrorFacts = {}, code = 'MALFORMED'): never {
    throw inputError(`${this.#area}_${code}`, message, {
      where: `${this.source.name} byte ${at}`,
      todo: 'the file is damaged or truncated; fetch or export it again',
      ...facts,
    });
  }

  /** One more part reached. @throws `<area>_TOO_MANY` */
  count(at: number, parts = 1): void {
    this.#parts += parts;
    if (this.#parts > MAX_FLATBUFFER_PARTS) {
      this.fail(
        'the file names more parts than any real one',
        at,
        { expected: `at most ${MAX_FLATBUFFER_PARTS}` },
        'TOO_MANY',
      );
    }
  }

  /** @throws `<area>_TRUNCATED` where the bytes leave the file */
  async bytes(at: number, length: number): Promise<Uint8Array> {
    this.#inside(at, length);
    const first = Math.floor(at / PAGE);
    const last = Math.floor((at + length - 1) / PAGE);
    if (length === 0) return new Uint8Array(0);
    if (last - first > 1) return this.source.slice(at, at + length);
    const start = await this.#page(first);
    if (last === first) return start.subarray(at - first * PAGE, at - first * PAGE + length);
    const rest = await this.#page(last);
    return Buffer.concat([start.subarray(at - first * PAGE), rest.subarray(0, at + length - last * PAGE)]);
  }

  async u32(at: number): Promise<number> {
    const bytes = await this.bytes(at, 4);
    return (bytes[0]! | (bytes[1]! << 8) | (bytes[2]! << 16) | (bytes[3]! << 24)) >>> 0;
  }

  /** The table that the file begins with. */
  async root(): Promise<Table> {
    return this.table(await this.#target(0));
  }

  /** @throws `<area>_MALFORMED` where the table or its list of fields is impossible */
  async table(at: number): Promise<Table> {
    this.count(at);
    const list = at - ((await this.u32(at)) | 0);
    if (list < 0 || list + 4 > this.source.byteLength) {
      this.fail('a table’s list of fields lies outside the file', at, { got: `byte ${list}` });
    }
    const sizes = await this.u32(list);
    const listBytes = sizes & 0xffff;
    const bytes = sizes >>> 16;
    if (listBytes < 4 || listBytes % 2 !== 0 || bytes < 4 || listBytes > 4 + 2 * MAX_FIELDS) {
      this.fail('a table has an impossible list of fields', at, { got: `${listBytes} bytes for a table of ${bytes}` });
    }
    this.#inside(at, bytes);
    return new Table(this, at, bytes, await this.bytes(list + 4, listBytes - 4));
  }

  /** A vector at the end of the offset that lies at `at`, of elements of `width` bytes. */
  async vectorFrom(at: number, width: number): Promise<Vector> {
    const start = await this.#target(at);
    const length = await this.u32(start);
    this.#inside(start + 4, length * width);
    return { at: start + 4, length };
  }

  async textFrom(at: number): Promise<string> {
    const { at: start, length } = await this.vectorFrom(at, 1);
    this.#text += length;
    if (this.#text > MAX_TEXT) {
      this.fail(
        'the file has more names and text than any real one',
        start,
        { expected: `at most ${MAX_TEXT} bytes` },
        'TOO_MANY',
      );
    }
    return fromUtf8(await this.bytes(start, length), `${this.source.name} byte ${start}`);
  }

  async tableFrom(at: number): Promise<Table> {
    return this.table(await this.#target(at));
  }

  async #target(at: number): Promise<number> {
    const offset = await this.u32(at);
    if (offset < 4) this.fail('an offset points to itself', at, { got: String(offset) });
    this.#inside(at + offset, 4);
    return at + offset;
  }

  #inside(at: number, length: number): void {
    if (at >= 0 && at + length <= this.source.byteLength) return;
    this.fail(
      'an offset or a length leaves the file',
      at,
      { expected: `at most ${this.source.byteLength} bytes`, got: `${at + length}` },
      'TRUNCATED',
    );
  }

  async #page(index: number): Promise<Uint8Array> {
    const known = this.#pages.get(index);
    if (known !== undefined) return known;
    if (this.#pages.size >= PAGES) this.#pages.delete(this.#pages.keys().next().value!);
    const page = await this.source.slice(index * PAGE, Math.min(this.source.byteLength, (index + 1) * PAGE));
    this.#pages.set(index, page);
    return page;
  }
}

/** A table's fields by their number in the schema; an absent one is its default, or null. */
export class Table {
  readonly file: Flatbuffer;
  readonly at: number;
  readonly #bytes: number;
  readonly #slots: Uint8Array;

  constructor(file: Flatbuffer, at: number, bytes: number, slots: Uint8Array) {
    this.file = file;
    this.at = at;
    this.#bytes = bytes;
    this.#slots = slots;
  }

  /** Where a field of `width` bytes lies; null where it is absent. */
  place(field: number, width: number): number | null {
    const offset = (this.#slots[field * 2] ?? 0) + 256 * (this.#slots[field * 2 + 1] ?? 0);
    if (offset === 0) return null;
    if (offset < 4 || offset + width > this.#bytes) {
      this.file.fail('a field leaves its table', this.at, { got: `field ${field} at ${offset} of ${this.#bytes}` });
    }
    return this.at + offset;
  }

  async u8(field: number): Promise<number> {
    const at = this.place(field, 1);
    return at === null ? 0 : (await this.file.bytes(at, 1))[0]!;
  }
  async i32(field: number): Promise<number> {
    return (await this.u32(field)) | 0;
  }
  async u32(field: number): Promise<number> {
    const at = this.place(field, 4);
    return at === null ? 0 : this.file.u32(at);
  }
  /** @throws `<area>_MALFORMED` from 2^53 on */
  async u64(field: number): Promise<number> {
    const at = this.place(field, 8);
    if (at === null) return 0;
    const value = (await this.file.u32(at)) + (await this.file.u32(at + 4)) * 2 ** 32;
    if (!Number.isSafeInteger(value))
      this.file.fail('a size is beyond what any file can hold', at, { expected: '< 2^53' });
    return value;
  }

  async text(field: number): Promise<string | null> {
    const at = this.place(field, 4);
    return at === null ? null : this.file.textFrom(at);
  }

  async table(field: number): Promise<Table | null> {
    const at = this.place(field, 4);
    return at === null ? null : this.file.tableFrom(at);
  }

  async vector(field: number, width: number): Promise<Vector | null> {
    const at = this.place(field, 4);
    return at === null ? null : this.file.vectorFrom(at, width);
  }

  /** A vector of int32. @param most longer ones are no real list of this kind */
  async integers(field: number, most: number): Promise<readonly number[]> {
    const vector = await this.vector(field, 4);
    if (vector === null) return [];
    const { at, length } = vector;
    if (length > most)
      this.file.fail(
        'a list is longer than any real one',
        at,
        { expected: `at most ${most}`, got: String(length) },
        'TOO_MANY',
      );
    this.file.count(at, length);
    const view = Buffer.from(await this.file.bytes(at, length * 4));
    return Array.from({ length }, (_, i) => view.readInt32LE(i * 4));
  }

  /** The tables of a vector, one after the other. */
  async *tables(field: number): AsyncGenerator<Table> {
    const { at, length } = (await this.vector(field, 4)) ?? { at: 0, length: 0 };
    for (let i = 0; i < length; i++) yield this.file.tableFrom(at + i * 4);
  }

  /** A union: its member's number and table. @throws `<area>_MALFORMED` where one comes without the other */
  async union(typeField: number, field: number): Promise<{ readonly type: number; readonly table: Table } | null> {
    const type = await this.u8(typeField);
    const table = await this.table(field);
    if ((type === 0) !== (table === null)) {
      this.file.fail('a union has a member without a type, or a type without a member', this.at, {
        got: `type ${type}`,
      });
    }
    return table === null ? null : { type, table };
  }
}
