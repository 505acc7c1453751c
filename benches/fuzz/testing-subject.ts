/** Stands for the readers in the test of the fuzzer: dies of one mutant, is slow with another, and refuses the rest. */
import { type ByteSource, inputError } from '../../src/base/index.js';
import type { Model } from '../../src/formats/index.js';

/** By the bytes alone, so that a mutant does the same when it is looked at again. */
export const subjectDies = (bytes: number): boolean => bytes % 7 === 1;
export const subjectIsSlow = (bytes: number): boolean => bytes % 7 === 2;

export async function openModel({ byteLength, close }: ByteSource): Promise<Model> {
  // `process.exit` would be noticed.
  if (subjectDies(byteLength)) (process as unknown as { reallyExit(code: number): never }).reallyExit(1);
  if (subjectIsSlow(byteLength)) await new Promise((resolve) => setTimeout(resolve, 2100));
  await close();
  throw inputError('SUBJECT_REFUSES', 'this is no model');
}
