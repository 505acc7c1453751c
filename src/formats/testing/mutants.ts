/** Real files changed at random: whatever comes out is a model or a coded refusal, soon and in little memory. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { MunimentError, memorySource } from '../../base/index.js';
import { scriptWords } from '../../base/testing/script.js';
import { type Model, openModel } from '../index.js';
import { readAll } from './files.js';

/** `npm run fuzz` looks at 100,000 of each reader. */
export const MUTANTS = process.env.MUNIMENT_FULL === '1' ? 500 : 200;

/** More than any mutant of a small file may take, and half of what any file may. */
const MILLISECONDS = 2000;
const MEMORY = 512 * 2 ** 20;

const edit = (length: number) =>
  fc.record({
    at: fc.nat(length - 1),
    by: fc.integer({ min: 1, max: 255 }),
    kind: fc.constantFrom('flip', 'flip', 'flip', 'cut', 'insert', 'remove'),
  });
type Edit = ReturnType<typeof edit> extends fc.Arbitrary<infer T> ? T : never;

function edited(original: Uint8Array, edits: readonly Edit[]): Buffer {
  let bytes = Buffer.from(original);
  for (const { at, by, kind } of edits) {
    const place = Math.min(at, bytes.length - 1);
    if (kind === 'flip' && place >= 0) bytes[place]! ^= by;
    if (kind === 'cut') bytes = bytes.subarray(0, place);
    if (kind === 'insert') bytes = Buffer.concat([bytes.subarray(0, place), Buffer.of(by), bytes.subarray(place)]);
    if (kind === 'remove') bytes = Buffer.concat([bytes.subarray(0, place), bytes.subarray(place + by)]);
  }
  return bytes;
}

export interface MutantOptions {
  /** What refusals may be called. */
  readonly codes: RegExp;
  readonly runs?: number;
  readonly seed?: number;
  /** Opens the changed bytes; `openModel` on them alone where there is nothing beside. */
  readonly open?: (bytes: Uint8Array) => Promise<Model>;
}

/** Opens and reads `runs` (`MUTANTS`) mutants whole. @returns how many were refused */
export async function surviveMutants(
  original: Uint8Array,
  name: string,
  { codes, runs = MUTANTS, seed = 17, open = (bytes) => openModel(memorySource(bytes, name)) }: MutantOptions,
): Promise<number> {
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(edit(original.length), { minLength: 1, maxLength: 4 }), async (edits) => {
      const begun = performance.now();
      try {
        await readAll(await open(edited(original, edits)));
      } catch (error) {
        if (!(error instanceof MunimentError) || error.kind !== 'input') throw error;
        assert.match(error.code, codes);
        refused++;
      }
      assert.ok(performance.now() - begun < MILLISECONDS, `${performance.now() - begun} ms`);
    }),
    { seed, numRuns: runs },
  );
  assert.ok(process.memoryUsage.rss() < MEMORY, `${process.memoryUsage.rss() / 2 ** 20} MiB`);
  return refused;
}

/** Every file cut short is refused. */
export async function refuseEveryCut(original: Uint8Array, name: string, step = 1): Promise<void> {
  for (let length = 0; length < original.length; length += step) {
    await assert.rejects(
      openModel(memorySource(original.subarray(0, length), name)),
      (error) => error instanceof MunimentError && error.kind === 'input',
      `${length} of ${original.length} bytes`,
    );
  }
}

/** Why a file is refused; null where it is read whole. */
export async function refusalOf(file: string): Promise<MunimentError | null> {
  try {
    const model = await openModel(file);
    await readAll(model).finally(() => model.close());
    return null;
  } catch (error) {
    if (error instanceof MunimentError && error.kind === 'input') return error;
    throw error;
  }
}

/** Opens files in a process of their own: what came of each, how long it took, and the peak memory so far. */
export async function openedApart(
  files: readonly string[],
): Promise<readonly { readonly code: string; readonly milliseconds: number; readonly peak: number }[]> {
  const words = scriptWords('./opened', import.meta.url);
  const { stdout } = await promisify(execFile)(process.execPath, [...words, ...files]);
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { code: string; milliseconds: number; peak: number });
}
