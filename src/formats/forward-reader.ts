/** Reads a header of unknown length front to back: little is fetched at a time, and long runs are passed over unread. */
import { type ByteSource, Cursor, type ErrorFacts, inputError } from '../base/index.js';

/** The first read suits small headers, later ones those with a vocabulary of megabytes. */
const FIRST_WINDOW = 16 * 1024;
const MAX_WINDOW = 1024 * 1024;

export class ForwardReader {
  readonly source: ByteSource;
  readonly #area: string;
  #window: Uint8Array = new Uint8Array(0);
  #base = 0;
  #offset = 0;
  #next = FIRST_WINDOW;

  /** @param area prefix of error codes, e.g. `GGUF` */
  constructor(source: ByteSource, area: string) {
    this.source = source;
    this.#area = area;
  }

  /** Offset in the file of the next byte. */
  get offset(): number {
    return this.#offset;
  }
  get remaining(): number {
    return this.source.byteLength - this.#offset;
  }

  fail(code: string, message: string, facts: ErrorFacts = {}): never {
    throw inputError(`${this.#area}_${code}`, message, {
      where: `${this.source.name} byte ${this.#offset}`,
      ...facts,
    });
  }

  /** The next `length` bytes. @throws `<area>_TRUNCATED` */
  async take(length: number): Promise<Cursor> {
    const at = this.#pass(length);
    if (at < this.#base || at + length > this.#base + this.#window.length) await this.#fetch(at, length);
    return new Cursor(this.#window.subarray(at - this.#base, at - this.#base + length), this.#area, at);
  }

  /** Passes over `length` bytes. @throws `<area>_TRUNCATED` */
  skip(length: number): void {
    this.#pass(length);
  }

  /** Passes over `count` texts or other runs, each after its length in 4 or 8 bytes. @throws `<area>_TRUNCATED` */
  async skipRuns(count: number, width: 4 | 8 = 8): Promise<void> {
    for (let i = 0; i < count; i++) {
      const at = this.#pass(width);
      if (at < this.#base || at + width > this.#base + this.#window.length) await this.#fetch(at, width);
      const view = new DataView(this.#window.buffer, this.#window.byteOffset + at - this.#base, width);
      this.#pass(view.getUint32(0, true) + (width === 8 ? view.getUint32(4, true) * 2 ** 32 : 0));
    }
  }

  #pass(length: number): number {
    if (!(length <= this.remaining)) {
      this.fail('TRUNCATED', 'the file ends too early, or a length in it is false', {
        expected: `${length} more bytes`,
        got: `${this.remaining} bytes`,
        todo: 'the file is truncated or damaged; fetch it again',
      });
    }
    const at = this.#offset;
    this.#offset += length;
    return at;
  }

  async #fetch(at: number, length: number): Promise<void> {
    const end = Math.min(this.source.byteLength, at + Math.max(length, this.#next));
    this.#window = await this.source.slice(at, end);
    this.#base = at;
    this.#next = Math.min(MAX_WINDOW, this.#next * 2);
  }
}
