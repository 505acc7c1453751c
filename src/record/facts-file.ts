/** `--from facts.yaml`: one document an asset, several in a stream recorded all or nothing. */
import { type Document, LineCounter, parseAllDocuments } from 'yaml';
import { inputError, type Json } from '../base/index.js';
import type { Facts } from './facts.js';
import { type AssetKind, assetKinds, isAssetKind, type Keep, keeps } from './kinds.js';

/** Facts are written by people; a file beyond this is something else, and parsing it would cost gigabytes. */
const MAX_BYTES = 4 * 1024 * 1024;

export interface FactsDocument {
  readonly kind: AssetKind | null;
  readonly paths: readonly string[];
  readonly keep: Keep | null;
  readonly facts: Facts;
  /** `facts.yaml:12 (effort.obtaining)` for a message about that field. */
  readonly where: (path: readonly string[]) => string;
}

/**
 * @param text YAML 1.2 (so JSON too)
 * @throws `FACTS_NOT_YAML` with line and column, `FACTS_INVALID`
 */
export function readFacts(text: string, name: string): readonly FactsDocument[] {
  if (text.length > MAX_BYTES) {
    throw inputError('FACTS_TOO_LONG', 'a facts file is not this long', {
      expected: `at most ${MAX_BYTES} characters`,
      got: String(text.length),
      where: name,
    });
  }
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter: lines, uniqueKeys: true, prettyErrors: true });
  const list: readonly Document[] = Array.isArray(documents) ? documents : [];
  const read = list.flatMap((document) => {
    const error = document.errors[0];
    if (error !== undefined) {
      const at = error.linePos?.[0];
      throw inputError('FACTS_NOT_YAML', `not readable as YAML: ${error.message.split('\n')[0]}`, {
        where: at === undefined ? name : `${name}:${at.line}:${at.col}`,
        todo: 'muniment record --template shows a file to start from',
      });
    }
    let value: unknown;
    try {
      value = document.toJS({ maxAliasCount: 100 });
    } catch (cause) {
      throw inputError('FACTS_NOT_YAML', 'the YAML refers to itself too often', { where: name, cause });
    }
    return value === null ? [] : [asDocument(value, whereIn(document, lines, name))];
  });
  if (read.length === 0) {
    throw inputError('FACTS_INVALID', 'the facts file says nothing', {
      where: name,
      todo: 'muniment record --template shows what it may say',
    });
  }
  return read;
}

function asDocument(value: unknown, where: (path: readonly string[]) => string): FactsDocument {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw inputError('FACTS_INVALID', 'a facts document is a list of fields with values', {
      got: Array.isArray(value) ? 'a list' : typeof value,
      where: where([]),
    });
  }
  const { kind, paths, path, keep, ...facts } = value as Record<string, Json>;
  if (kind !== undefined && (typeof kind !== 'string' || !isAssetKind(kind))) {
    throw inputError('FACTS_INVALID', 'no such kind of asset', {
      expected: assetKinds.join(', '),
      got: String(kind),
      where: where(['kind']),
    });
  }
  if (keep !== undefined && !(keeps as readonly unknown[]).includes(keep)) {
    throw inputError('FACTS_INVALID', 'no such way to keep a model', {
      expected: keeps.join(', '),
      got: String(keep),
      where: where(['keep']),
    });
  }
  const given = paths ?? path ?? [];
  const list = Array.isArray(given) ? given : [given];
  if (!list.every((item): item is string => typeof item === 'string' && item !== '')) {
    throw inputError('FACTS_INVALID', 'paths are a list of texts', { where: where(['paths']) });
  }
  return {
    kind: (kind as AssetKind | undefined) ?? null,
    paths: list,
    keep: (keep as Keep | undefined) ?? null,
    facts: facts as Facts,
    where,
  };
}

function whereIn(document: Document, lines: LineCounter, name: string): (path: readonly string[]) => string {
  return (path) => {
    for (let length = path.length; length > 0; length--) {
      const keys = path.slice(0, length).map((key) => (/^\d+$/.test(key) ? Number(key) : key));
      const node = document.getIn(keys, true) as { range?: readonly [number, number, number] } | undefined;
      if (node?.range) return `${name}:${lines.linePos(node.range[0]).line} (${path.join('.')})`;
    }
    return path.length === 0 ? name : `${name} (${path.join('.')})`;
  };
}
