/** The one bounds-checked cursor over bytes that every parser uses. Little-endian unless the name says otherwise. */
import { fromUtf8 } from './bytes.js';
import { type ErrorFacts, inputError } from './errors.js';

export class Cursor {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #area: string;
  readonly #base: number;
  #at = 0;

  /**
   * @param area prefix of error codes, e.g. `ONNX`
   * @param base offset of `bytes` in the file, so that messages give file offsets
   */
  constructor(bytes: Uint8Array, area: string, base = 0) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#area = area;
    this.#base = base;
  }

  get position(): number {
    return this.#at;
  }
  /** Offset in the file. */
  get offset(): number {
    return this.#base + this.#at;
  }
  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  fail(code: string, message: string, facts: ErrorFacts = {}): never {
    throw inputError(`${this.#area}_${code}`, message, { where: `byte ${this.offset}`, ...facts });
  }

  #take(length: number): number {
    if (!Number.isSafeInteger(length) || length < 0 || length > this.remaining) {
      this.fail('TRUNCATED', 'the data ends too early, or a length in it is false', {
        expected: `${length} more bytes`,
        got: `${this.remaining} bytes`,
      });
    }
    const at = this.#at;
    this.#at += length;
    return at;
  }

  bytes(length: number): Uint8Array {
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }
  skip(length: number): void {
    this.#take(length);
  }
  text(length: number): string {
    const where = `byte ${this.offset}`;
    return fromUtf8(this.bytes(length), where);
  }
  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }
  u16be(): number {
    return this.#view.getUint16(this.#take(2));
  }
  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }
  f32(): number {
    return this.#view.getFloat32(this.#take(4), true);
  }
  f64(): number {
    return this.#view.getFloat64(this.#take(8), true);
  }
  u64(): bigint {
    return this.#view.getBigUint64(this.#take(8), true);
  }
  /** A u64 that is used as a size or offset. */
  safeU64(): number {
    const value = this.u64();
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
      this.fail('SIZE_RANGE', 'a size is beyond what any file can hold', { expected: '< 2^53', got: String(value) });
    }
    return Number(value);
  }
}
