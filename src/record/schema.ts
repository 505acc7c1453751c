/** The committed schemas of the asset kinds, and what they say about a statement before it is signed. */
import { readFileSync } from 'node:fs';
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import { inputError, type Json } from '../base/index.js';
import type { AssetKind } from './kinds.js';

export interface SchemaNode {
  readonly title?: string;
  readonly description?: string;
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly examples?: readonly Json[];
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly additionalProperties?: boolean | SchemaNode;
  readonly required?: readonly string[];
  readonly items?: SchemaNode;
  readonly pattern?: string;
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, SchemaNode>>;
}

const schemas = new Map<AssetKind, SchemaNode>();
const validators = new Map<AssetKind, ValidateFunction>();

export function schemaOf(kind: AssetKind): SchemaNode {
  let schema = schemas.get(kind);
  if (schema === undefined) {
    // `schemas/` lies two folders up from `src/record` and from `dist/record` alike.
    const url = new URL(`../../schemas/${kind}.v1.json`, import.meta.url);
    schema = JSON.parse(readFileSync(url, 'utf8')) as SchemaNode;
    schemas.set(kind, schema);
  }
  return schema;
}

/**
 * The first thing wrong with a predicate, as the path to it and a sentence; null when it is as the schema says.
 */
export function faultIn(kind: AssetKind, predicate: unknown): { path: readonly string[]; says: string } | null {
  let validate = validators.get(kind);
  if (validate === undefined) {
    validate = new Ajv2020({ strict: true, verbose: true, validateFormats: false }).compile(
      schemaOf(kind) as Record<string, unknown>,
    );
    validators.set(kind, validate);
  }
  if (validate(predicate)) return null;
  const error = validate.errors![0]!;
  const path = error.instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  if (error.keyword === 'additionalProperties') path.push(String(error.params.additionalProperty));
  return { path, says: sentence(error) };
}

function sentence(error: ErrorObject): string {
  const params = error.params as Record<string, unknown>;
  switch (error.keyword) {
    case 'additionalProperties': {
      const known = Object.keys((error.parentSchema as SchemaNode).properties ?? {});
      return `no such field here; there are ${known.join(', ')}`;
    }
    case 'enum':
      return `one of ${(params.allowedValues as readonly string[]).join(', ')}`;
    case 'required':
      return `needs ${String(params.missingProperty)}`;
    case 'type':
      return `must be ${String(params.type)}`;
    case 'pattern': {
      const { description, examples } = error.parentSchema as SchemaNode;
      const example = examples?.[0] === undefined ? '' : `, for example ${String(examples[0])}`;
      if (String(params.pattern).includes('\\d{4}')) return `a day as YYYY-MM-DD${example}`;
      return `${description ?? `must match ${String(params.pattern)}`}${example}`;
    }
    default:
      return error.message ?? error.keyword;
  }
}

/** @throws `FACTS_INVALID` naming the field */
export function checkPredicate(kind: AssetKind, predicate: unknown, where?: (path: readonly string[]) => string): void {
  const fault = faultIn(kind, predicate);
  if (fault === null) return;
  const field = fault.path.join('.') || kind;
  const value = fault.path.reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], predicate);
  throw inputError('FACTS_INVALID', `what is said of this ${kind} does not fit: ${field}`, {
    expected: fault.says,
    ...(value === undefined ? {} : { got: JSON.stringify(value).slice(0, 200) }),
    where: where === undefined ? field : where(fault.path),
    todo: `muniment record --template ${kind} shows every field`,
  });
}
