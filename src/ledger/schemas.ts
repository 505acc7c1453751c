/** The committed JSON Schema (2020-12) of each statement kind, `schemas/<kind>.v1.json`; opened predicates are held to it. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { environmentError, inputError, type Json } from '../base/index.js';

/** `src/ledger` and `dist/ledger` both lie two folders below the package's root. */
const FOLDER = new URL('../../schemas/', import.meta.url);

const ajv = new Ajv2020({ allErrors: false, strict: true, allowUnionTypes: true, validateFormats: false });
const compiled = new Map<string, ValidateFunction>();
/** What a schema asks of the whole predicate: cannot be held against one of which a part is shown. */
const OF_THE_WHOLE = [
  'required',
  'dependentRequired',
  'dependentSchemas',
  'minProperties',
  'anyOf',
  'oneOf',
  'allOf',
  'not',
  'if',
  'then',
  'else',
];

function schemaOf(kind: string, complete: boolean): ValidateFunction {
  const name = `${kind} ${complete}`;
  const known = compiled.get(name);
  if (known !== undefined) return known;
  const file = new URL(`${kind}.v1.json`, FOLDER);
  if (!/^[a-z][a-z0-9-]*$/.test(kind) || !existsSync(file)) {
    throw inputError('STATEMENT_KIND_UNKNOWN', 'there is no schema for this kind of statement', {
      got: kind,
      todo: 'a newer version may know it',
    });
  }
  try {
    const schema = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
    const part = Object.fromEntries(Object.entries(schema).filter(([key]) => !OF_THE_WHOLE.includes(key)));
    const validate = ajv.compile(complete ? schema : { ...part, $id: `${String(schema.$id)}:part` });
    compiled.set(name, validate);
    return validate;
  } catch (cause) {
    throw environmentError('SCHEMA_BROKEN', 'a statement schema of this installation cannot be read', {
      where: fileURLToPath(file),
      cause,
    });
  }
}

/**
 * Holds an opened predicate to its schema.
 * @param complete false where fields are withheld: then missing members are no fault
 * @throws `STATEMENT_KIND_UNKNOWN`, `STATEMENT_SCHEMA`
 */
export function checkPredicate(kind: string, predicate: Readonly<Record<string, Json>>, complete = true): void {
  const validate = schemaOf(kind, complete);
  if (validate(predicate)) return;
  const error = validate.errors?.[0];
  throw inputError('STATEMENT_SCHEMA', `a ${kind} statement does not fit its schema`, {
    expected: `${error?.message ?? 'the schema'} ${JSON.stringify(error?.params ?? {})}`,
    where: `${kind}${error?.instancePath ?? ''}`,
  });
}
