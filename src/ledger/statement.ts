/**
 * Statements: in-toto Statement v1 whose predicate holds only salted hashes of its fields. The salts and values (the
 * openings) lie beside it, so that one fact can be shown and the rest withheld, or erased, without breaking the log.
 */
import {
  canonicalBytes,
  evidenceError,
  fromUtf8,
  type Json,
  parseStrictJson,
  secretBytes,
  sha256Hex,
  toHex,
} from '../base/index.js';

export const STATEMENT_TYPE = 'https://in-toto.io/Statement/v1';
/** Bytes of an envelope, and of a file of openings: a list of 200,000 files fits, and a hostile one cannot fill the memory. */
export const MAX_STATEMENT = 32 * 1024 * 1024;
const PREDICATE = /^urn:muniment:([a-z][a-z0-9-]{0,63}):v1$/;

export interface Subject {
  readonly name: string;
  /** Lower-case hex. */
  readonly sha256: string;
}

export interface StatementInput {
  readonly kind: string;
  readonly subjects: readonly Subject[];
  readonly predicate: Readonly<Record<string, Json>>;
}

/** What a signed payload says, before any opening. */
export interface StatementPayload {
  readonly kind: string;
  readonly subjects: readonly Subject[];
  /** 128 bits, hex: makes the entry's hash reveal nothing. */
  readonly nonce: string;
  /** The signer's own clock, RFC 3339 UTC. Self-asserted. */
  readonly time: string;
  /** SHA-256(JCS([salt, name, value])) of each field, hex, sorted. */
  readonly fields: readonly string[];
}

/** Salt (128 bits, hex) and value of each field that is disclosed. */
export type Openings = Readonly<Record<string, { readonly salt: string; readonly value: Json }>>;

export const fieldHash = (salt: string, name: string, value: Json): string =>
  sha256Hex(canonicalBytes([salt, name, value]));

export function makeStatement(input: StatementInput, time: Date): { payload: Uint8Array; openings: Openings } {
  const openings = Object.fromEntries(
    Object.entries(input.predicate).map(([name, value]) => [name, { salt: toHex(secretBytes(16)), value }]),
  );
  const payload = canonicalBytes({
    _type: STATEMENT_TYPE,
    subject: input.subjects.map((subject) => ({ name: subject.name, digest: { sha256: subject.sha256 } })),
    predicateType: `urn:muniment:${input.kind}:v1`,
    predicate: {
      nonce: toHex(secretBytes(16)),
      time: time.toISOString(),
      fields: Object.entries(openings)
        .map(([name, { salt, value }]) => fieldHash(salt, name, value))
        .sort(),
    },
  });
  return { payload, openings };
}

const isObject = (value: Json | undefined): value is { readonly [name: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isHex = (value: unknown, digits: number): value is string =>
  typeof value === 'string' && value.length === digits && /^[0-9a-f]*$/.test(value);

/** @throws `STATEMENT_INVALID` naming what is wrong */
export function readPayload(bytes: Uint8Array, where: string): StatementPayload {
  const refuse = (what: string): never => {
    throw evidenceError('STATEMENT_INVALID', `a statement has ${what}`, { where });
  };
  const value = parseStrictJson(fromUtf8(bytes, where), where);
  if (!isObject(value) || value._type !== STATEMENT_TYPE) return refuse('a type other than in-toto Statement v1');
  const kind = PREDICATE.exec(String(value.predicateType))?.[1];
  const predicate = value.predicate;
  if (kind === undefined) return refuse('an unknown predicate type');
  if (!Array.isArray(value.subject) || !isObject(predicate)) return refuse('no subject list or no predicate');
  const subjects = (value.subject as readonly Json[]).map((subject) => {
    const digest = isObject(subject) && isObject(subject.digest) ? subject.digest.sha256 : undefined;
    const name = isObject(subject) ? subject.name : undefined;
    if (!isHex(digest, 64) || typeof name !== 'string') return refuse('a subject without a SHA-256');
    return { name, sha256: digest };
  });
  const { nonce, time, fields } = predicate;
  if (!isHex(nonce, 32)) return refuse('no 128-bit nonce');
  if (typeof time !== 'string' || Number.isNaN(Date.parse(time)) || new Date(time).toISOString() !== time)
    return refuse('no valid time');
  if (!Array.isArray(fields) || !fields.every((field) => isHex(field, 64))) return refuse('no list of field hashes');
  return { kind, subjects, nonce, time, fields: fields as string[] };
}

export interface OpenedPredicate {
  readonly predicate: Readonly<Record<string, Json>>;
  /** Hashes of fields whose openings were not given: withheld or erased. */
  readonly withheld: readonly string[];
}

/** Opens what the openings allow. @throws `OPENING_MISMATCH` for an opening that is not of this statement */
export function openFields(payload: StatementPayload, openings: Openings, where: string): OpenedPredicate {
  const closed = new Set(payload.fields);
  const shown: [string, Json][] = [];
  for (const [name, opening] of Object.entries(openings)) {
    if (!closed.delete(fieldHash(opening.salt, name, opening.value))) {
      throw evidenceError('OPENING_MISMATCH', 'an opened field is not what was signed', {
        expected: 'a name, value and salt whose hash the statement holds',
        got: `another ${name}`,
        where,
        todo: 'the file of openings was changed after it was made; ask for it again',
      });
    }
    shown.push([name, opening.value]);
  }
  // fromEntries defines members, where an assignment to `__proto__` would hide one.
  return { predicate: Object.fromEntries(shown), withheld: [...closed] };
}

export const encodeOpenings = (openings: Openings): Uint8Array => canonicalBytes(openings as unknown as Json);

/** @throws `OPENING_INVALID` */
export function decodeOpenings(bytes: Uint8Array, where: string): Openings {
  const value = parseStrictJson(fromUtf8(bytes, where), where);
  const valid = isObject(value) && Object.values(value).every((o) => isObject(o) && isHex(o.salt, 32) && 'value' in o);
  if (!valid) throw evidenceError('OPENING_INVALID', 'not a file of openings', { where });
  return value as unknown as Openings;
}
