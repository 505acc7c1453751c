/**
 * Protocol-buffer wire format (protobuf.dev/programming-guides/encoding), read lazily: a field's payload is a range
 * of the file, so a 2 GB tensor is skipped, not loaded. Also the few lines that write it.
 */
import { type ByteSource, concatBytes, fromUtf8, inputError, utf8 } from '../base/index.js';
import { MAX_GRAPH_ITEMS, MAX_TEXT } from './limits.js';

export interface Field {
  readonly number: number;
  readonly wire: 0 | 1 | 2 | 5;
  /** Varint value for wire type 0. */
  readonly value: bigint;
  /** Payload range in the file, for wire types 1, 2 and 5. */
  readonly start: number;
  readonly end: number;
  /** Where the field's tag lies. */
  readonly at: number;
}

/** One read fetches this much, so that a graph of many small fields costs few reads. */
const WINDOW = 16 * 1024;

/** Reads fields from one source through a sliding window, and counts what becomes objects in memory. */
export class WireReader {
  readonly source: ByteSource;
  #window: Uint8Array = new Uint8Array(0);
  #base = 0;
  #items = 0;
  #text = 0;

  constructor(source: ByteSource) {
    this.source = source;
  }

  /** One more object made of the field at `at`. */
  count(at: number): void {
    if (++this.#items > MAX_GRAPH_ITEMS) this.fail(`the model has more than ${MAX_GRAPH_ITEMS} parts`, at);
  }

  fail(message: string, at: number, got?: string): never {
    throw inputError('ONNX_MALFORMED', message, {
      ...(got === undefined ? {} : { got }),
      where: `${this.source.name} byte ${at}`,
      todo: 'the file is damaged, truncated or not ONNX; export it again',
    });
  }

  /** Bytes [start, end), at most one window long. */
  async #near(start: number, end: number): Promise<Uint8Array> {
    if (start < this.#base || end > this.#base + this.#window.length) {
      this.#window = await this.source.slice(start, Math.min(start + WINDOW, this.source.byteLength));
      this.#base = start;
    }
    return this.#window.subarray(start - this.#base, end - this.#base);
  }

  /** The base-128 number at `at`, within a message that ends at `limit`. */
  async varint(at: number, limit: number): Promise<{ value: bigint; next: number }> {
    const bytes = await this.#near(at, Math.min(at + 10, limit));
    let small = 0;
    for (let i = 0; i < Math.min(7, bytes.length); i++) {
      small += (bytes[i]! & 127) * 2 ** (7 * i);
      if (bytes[i]! < 128) return { value: BigInt(small), next: at + i + 1 };
    }
    let value = BigInt(small);
    for (let i = 7; i < bytes.length; i++) {
      value |= BigInt(bytes[i]! & 127) << BigInt(7 * i);
      if (bytes[i]! < 128 && value < 2n ** 64n) return { value, next: at + i + 1 };
    }
    return bytes.length < 10
      ? this.fail('a message ends inside a field', at)
      : this.fail('a number does not fit 64 bits', at);
  }

  /** The fields of the message that fills [start, end). */
  async *fields(start: number, end: number): AsyncGenerator<Field> {
    let at = start;
    while (at < end) {
      const tag = await this.varint(at, end);
      const number = Number(tag.value >> 3n);
      const wire = Number(tag.value & 7n);
      if (number < 1 || number > 536870911) this.fail('a field has an impossible number', at, String(number));
      let payload = tag.next;
      let next: number;
      let value = 0n;
      if (wire === 0) {
        ({ value, next } = await this.varint(tag.next, end));
      } else if (wire === 1 || wire === 5) {
        next = tag.next + (wire === 1 ? 8 : 4);
      } else if (wire === 2) {
        const length = await this.varint(tag.next, end);
        payload = length.next;
        if (length.value > BigInt(end - payload)) {
          this.fail('a length leaves its message', tag.next, `${length.value} bytes, ${end - payload} remain`);
        }
        next = payload + Number(length.value);
      } else {
        return this.fail('an unknown wire type', at, String(wire));
      }
      if (next > end) this.fail('a message ends inside a field', at);
      yield { number, wire, value, start: payload, end: next, at };
      at = next;
    }
  }

  async bytes(field: Field, maximum: number): Promise<Uint8Array> {
    if (field.wire !== 2) this.fail('a field has the wrong wire type', field.at, String(field.wire));
    if (field.end - field.start > maximum) {
      this.fail(
        'a field is longer than any real one',
        field.at,
        `${field.end - field.start} bytes, at most ${maximum}`,
      );
    }
    return field.end - field.start <= WINDOW
      ? this.#near(field.start, field.end)
      : this.source.slice(field.start, field.end);
  }

  /** Calls `visit` with one base-128 number, or with each of a packed run of them. */
  async eachNumber(field: Field, visit: (value: bigint) => void): Promise<void> {
    if (field.wire === 0) return visit(field.value);
    if (field.wire !== 2) this.fail('a number has the wrong wire type', field.at);
    let value = 0n;
    let digits = 0;
    for (let at = field.start; at < field.end; at += WINDOW) {
      for (const byte of await this.#near(at, Math.min(at + WINDOW, field.end))) {
        value |= BigInt(byte & 127) << BigInt(7 * digits++);
        if (byte < 128 && value < 2n ** 64n) {
          visit(value);
          value = 0n;
          digits = 0;
        } else if (digits >= 10) this.fail('a number does not fit 64 bits', at);
      }
    }
    if (digits > 0) this.fail('a field ends inside a number', field.at);
  }

  /** @throws `UTF8_INVALID`; `ONNX_MALFORMED` past `MAX_TEXT` */
  async text(field: Field): Promise<string> {
    return fromUtf8(await this.textBytes(field), `${this.source.name} byte ${field.at}`);
  }

  async textBytes(field: Field): Promise<Uint8Array> {
    const bytes = await this.bytes(field, MAX_TEXT);
    this.#text += bytes.length;
    if (this.#text > MAX_TEXT) this.fail(`the model has more than ${MAX_TEXT} bytes of names and text`, field.at);
    return bytes;
  }
}

const varint = (value: number | bigint): Uint8Array => {
  let rest = BigInt.asUintN(64, BigInt(value));
  const out: number[] = [];
  while (rest > 127n) {
    out.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  out.push(Number(rest));
  return Uint8Array.from(out);
};

/** Writes one field: a varint, a length-delimited payload (bytes, text, or a message's fields), or a float. */
export const wire = {
  integer: (number: number, value: number | bigint): Uint8Array => concatBytes(varint(number * 8), varint(value)),
  message: (number: number, ...fields: readonly Uint8Array[]): Uint8Array => {
    const body = concatBytes(...fields);
    return concatBytes(varint(number * 8 + 2), varint(body.length), body);
  },
  text: (number: number, value: string): Uint8Array => wire.message(number, utf8(value)),
  float: (number: number, value: number): Uint8Array => {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    return concatBytes(varint(number * 8 + 5), bytes);
  },
};
