/**
 * Coded errors: what was expected, what came, where, and what to do.
 *
 * Three ways to say no are kept apart everywhere: a function returns `null` for "not mine",
 * throws a `MunimentError` for "mine but bad", and returns a value that says `unknown` or
 * `inconclusive` for "cannot tell".
 */

/** What kind of refusal an error is; the command's exit code follows from it alone (see `exitCodeOf`). */
export type ErrorKind = 'evidence' | 'usage' | 'input' | 'environment' | 'internal';

export interface ErrorFacts {
  /** What a correct input would have had here. */
  readonly expected?: string;
  /** What was found instead. */
  readonly got?: string;
  /** File, tensor, byte offset, field or statement. */
  readonly where?: string;
  /** The next thing a person should do. */
  readonly todo?: string;
  readonly cause?: unknown;
}

/** Every error that Muniment throws on purpose. `code` is stable, upper snake case, and begins with its area: `SAFETENSORS_TRUNCATED`. */
export class MunimentError extends Error {
  readonly kind: ErrorKind;
  readonly code: string;
  readonly facts: ErrorFacts;

  constructor(kind: ErrorKind, code: string, message: string, facts: ErrorFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.name = 'MunimentError';
    this.kind = kind;
    this.code = code;
    this.facts = facts;
  }
}

/** Input refused: the bytes or values given are not what they should be. Exit code 3. */
export const inputError = (code: string, message: string, facts?: ErrorFacts) =>
  new MunimentError('input', code, message, facts);
/** The call itself is wrong. Exit code 2. */
export const usageError = (code: string, message: string, facts?: ErrorFacts) =>
  new MunimentError('usage', code, message, facts);
/** Something outside the input is missing: key, permission, disk, an optional part. Exit code 4. */
export const environmentError = (code: string, message: string, facts?: ErrorFacts) =>
  new MunimentError('environment', code, message, facts);
/** Evidence was read and is bad. Exit code 1. */
export const evidenceError = (code: string, message: string, facts?: ErrorFacts) =>
  new MunimentError('evidence', code, message, facts);

const EXIT_CODES: Readonly<Record<ErrorKind, number>> = {
  evidence: 1,
  usage: 2,
  input: 3,
  environment: 4,
  internal: 70,
};

/** Exit code for anything thrown: 70 (our own fault) unless it is a `MunimentError` or a known condition of the file system. */
export function exitCodeOf(error: unknown): number {
  return EXIT_CODES[toMunimentError(error).kind];
}

const ENVIRONMENT_ERRNO: Readonly<Record<string, string>> = {
  ENOSPC: 'free some disk space and run the command again',
  EDQUOT: 'the disk quota is used up; free some space and run the command again',
  EACCES: 'check the permissions of this path',
  EPERM: 'check the permissions of this path',
  EROFS: 'this file system is read-only; choose another folder',
  EMFILE: 'too many open files; raise the limit (ulimit -n)',
  EIO: 'the disk reported an error; check it before you try again',
};

/** Any thrown value as a `MunimentError`, so that one printer and one exit-code table serve all. */
export function toMunimentError(error: unknown): MunimentError {
  if (error instanceof MunimentError) return error;
  if (error instanceof Error) {
    const errno = (error as NodeJS.ErrnoException).code;
    const where = (error as NodeJS.ErrnoException).path;
    const place = where === undefined ? {} : { where };
    if (errno !== undefined && errno in ENVIRONMENT_ERRNO) {
      const todo = ENVIRONMENT_ERRNO[errno] ?? '';
      return new MunimentError('environment', `FILE_${errno}`, error.message, { ...place, todo, cause: error });
    }
    if (errno === 'ENOENT') {
      return new MunimentError('input', 'FILE_NOT_FOUND', `no such file or folder: ${where ?? error.message}`, {
        ...place,
        todo: 'check the path',
        cause: error,
      });
    }
    if (errno === 'EISDIR' || errno === 'ENOTDIR') {
      return new MunimentError('input', `FILE_${errno}`, error.message, { ...place, cause: error });
    }
    return new MunimentError('internal', 'INTERNAL', error.message, {
      todo: 'this is a fault of Muniment; please report it with the command that led here',
      cause: error,
    });
  }
  return new MunimentError('internal', 'INTERNAL', String(error));
}
