/**
 * Bytes of an HDF5 file with the sizes that its superblock declares. Source of this and the other `hdf5-*` files: HDF5
 * File Format Specification 3.0 and 4.0 (The HDF Group), whose sections are named. Any part may point anywhere, so every
 * part that holds pointers may be reached once only, and what is reached is counted.
 */
import { type ByteSource, type ErrorFacts, fromUtf8, inputError } from '../base/index.js';
import { MAX_HDF5_PARTS, MAX_HDF5_STRUCTURE, MAX_TEXT } from './limits.js';

/** Headers lie between the weights: small pages fetch few of those. */
const PAGE = 4096;
const PAGES = 2048;

export class Hdf5File {
  readonly source: ByteSource;
  /** Bytes of an address and of a length (§II.A): 2, 4 or 8. */
  readonly offsetSize: number;
  readonly lengthSize: number;
  /** Parts whose checksums were found right, without them. See `hdf5-checksum.ts`. */
  readonly checked = new Map<number, Uint8Array>();
  readonly #pages = new Map<number, Uint8Array>();
  readonly #reached = new Set<number>();
  #parts = 0;
  #text = 0;
  #large = 0;
  #isOpen = false;

  constructor(source: ByteSource, offsetSize: number, lengthSize: number) {
    this.source = source;
    this.offsetSize = offsetSize;
    this.lengthSize = lengthSize;
  }

  fail(code: string, message: string, at: number, facts: ErrorFacts = {}): never {
    throw inputError(`HDF5_${code}`, message, {
      where: `${this.source.name} byte ${at}`,
      todo: 'the file is damaged, or made to mislead; fetch it again, or save the model anew',
      ...facts,
    });
  }

  /** One more part reached. @throws `HDF5_TOO_MANY` */
  count(at: number, parts = 1): void {
    this.#parts += parts;
    if (this.#parts > MAX_HDF5_PARTS) {
      this.fail('TOO_MANY', 'the file has more parts than any real one', at, { expected: `at most ${MAX_HDF5_PARTS}` });
    }
  }

  /** Text and attributes kept. @throws `HDF5_TOO_MANY` */
  keep(at: number, bytes: number): void {
    this.#text += bytes;
    if (this.#text > MAX_TEXT) {
      this.fail('TOO_MANY', 'the file has more names and text than any real one', at, {
        expected: `at most ${MAX_TEXT} bytes`,
      });
    }
  }

  /** The part at `at`, for the one time that it may be reached. @throws `HDF5_LOOP` */
  reach(at: number, what: string): void {
    this.count(at);
    if (this.#reached.has(at)) this.fail('LOOP', `${what} is reached twice: the file points into itself`, at);
    this.#reached.add(at);
  }

  /** @throws `HDF5_TRUNCATED` where the bytes leave the file */
  async bytes(at: number, length: number): Promise<Uint8Array> {
    if (!(at >= 0 && length >= 0 && at + length <= this.source.byteLength)) {
      this.fail('TRUNCATED', 'the file ends too early, or an address in it is false', at, {
        expected: `${length} bytes`,
        got: `a file of ${this.source.byteLength} bytes`,
        todo: 'the file is truncated or damaged; fetch it again',
      });
    }
    if (length === 0) return new Uint8Array(0);
    const first = Math.floor(at / PAGE);
    const last = Math.floor((at + length - 1) / PAGE);
    if (last - first > 1) {
      // Parts of a page or two are counted one by one.
      this.#large += length;
      if (length > MAX_TEXT || (!this.#isOpen && this.#large > MAX_HDF5_STRUCTURE)) {
        this.fail('TOO_MANY', 'the file’s headers are larger than those of any real one', at, {
          expected: `at most ${MAX_HDF5_STRUCTURE} bytes, ${MAX_TEXT} in one piece`,
        });
      }
      return this.source.slice(at, at + length);
    }
    const start = await this.#page(first);
    if (last === first) return start.subarray(at - first * PAGE, at - first * PAGE + length);
    const rest = await this.#page(last);
    return Buffer.concat([start.subarray(at - first * PAGE), rest.subarray(0, at + length - last * PAGE)]);
  }

  /** What is read from now on is no longer bounded by the size of all headers. */
  opened(): void {
    this.#isOpen = true;
  }

  async fields(at: number, length: number): Promise<Fields> {
    return new Fields(this, await this.bytes(at, length), at);
  }

  async #page(index: number): Promise<Uint8Array> {
    const known = this.#pages.get(index);
    if (known !== undefined) return known;
    const start = index * PAGE;
    const page = await this.source.slice(start, Math.min(this.source.byteLength, start + PAGE));
    if (this.#pages.size >= PAGES) this.#pages.delete(this.#pages.keys().next().value!);
    this.#pages.set(index, page);
    return page;
  }
}

/** A bounds-checked walk over the bytes of one part. Little-endian, as all structure of HDF5 is. */
export class Fields {
  readonly file: Hdf5File;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #base: number;
  #at = 0;

  /** @param base where `bytes` lie in the file */
  constructor(file: Hdf5File, bytes: Uint8Array, base: number) {
    this.file = file;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#base = base;
  }

  /** Offset in the file of the next byte. */
  get at(): number {
    return this.#base + this.#at;
  }
  get position(): number {
    return this.#at;
  }
  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  fail(message: string, facts: ErrorFacts = {}, code = 'MALFORMED'): never {
    return this.file.fail(code, message, this.at, facts);
  }

  #take(length: number): number {
    if (!(length <= this.remaining)) {
      this.fail('a part is shorter than what it holds', {
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
  /** The next bytes as fields of their own. */
  part(length: number): Fields {
    const at = this.at;
    return new Fields(this.file, this.bytes(length), at);
  }
  /** The same bytes, from their start. */
  again(): Fields {
    return new Fields(this.file, this.#bytes, this.#base);
  }
  skip(length: number): void {
    this.#take(length);
  }
  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }
  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }
  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }
  /** An unsigned integer of 1 to 8 bytes. @throws `HDF5_SIZE_RANGE` beyond 2^53 */
  unsigned(bytes: number): number {
    const at = this.#take(bytes);
    let value = 0;
    for (let i = bytes - 1; i >= 0; i--) value = value * 256 + this.#bytes[at + i]!;
    if (value > Number.MAX_SAFE_INTEGER) {
      this.fail('a size is beyond what any file can hold', { expected: '< 2^53' }, 'SIZE_RANGE');
    }
    return value;
  }
  length(): number {
    return this.unsigned(this.file.lengthSize);
  }
  /** Null for the undefined address, all of whose bits are set. */
  address(): number | null {
    const { offsetSize } = this.file;
    const bytes = this.#bytes.subarray(this.#at, this.#at + offsetSize);
    if (bytes.length === offsetSize && bytes.every((byte) => byte === 0xff)) {
      this.#take(offsetSize);
      return null;
    }
    return this.unsigned(offsetSize);
  }
  /** An address that must be defined. */
  place(what: string): number {
    return this.address() ?? this.fail(`there is no address of ${what}`);
  }
  text(length: number): string {
    const where = `${this.file.source.name} byte ${this.at}`;
    return fromUtf8(this.bytes(length), where);
  }
  /** Text up to a zero byte, which is passed over. */
  textToZero(): string {
    const end = this.#bytes.indexOf(0, this.#at);
    if (end < 0) this.fail('a name has no end');
    const text = this.text(end - this.#at);
    this.skip(1);
    return text;
  }
  signature(expected: string, what: string): void {
    const { at } = this;
    const got = Buffer.from(this.bytes(4)).toString('latin1');
    if (got !== expected) {
      this.file.fail('MALFORMED', `there is no ${what} where one should be`, at, {
        expected: JSON.stringify(expected),
        got: JSON.stringify(got),
      });
    }
  }
  version(most: number, what: string, least = 0): number {
    const { at } = this;
    const version = this.u8();
    if (version < least || version > most) {
      this.file.fail('VERSION', `${what} has a version that is not read`, at, {
        expected: least === most ? String(most) : `${least} to ${most}`,
        got: String(version),
        todo: 'write the file again with h5py, libver="earliest"',
      });
    }
    return version;
  }
}
