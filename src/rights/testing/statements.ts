/** Statements as the ledger gives them, made by hand. */
import { type Json, sha256Hex, utf8 } from '../../base/index.js';
import type { StatementView } from '../../record/index.js';

export interface Said {
  readonly kind: string;
  readonly name?: string;
  readonly predicate: Record<string, Json>;
}

export const digestOf = (name: string): string => sha256Hex(utf8(`file ${name}`));

/** Digest of the statement at an index, as `ledgerOf` numbers them. */
export const statementOf = (index: number): string => sha256Hex(utf8(`statement ${index}`));

export function ledgerOf(said: readonly Said[], time = '2026-03-01T00:00:00Z'): StatementView[] {
  return said.map(({ kind, name, predicate }, index) => ({
    index,
    sha256: statementOf(index),
    kind,
    time,
    subjects: name === undefined ? [] : [{ name, sha256: digestOf(name) }],
    predicate: name === undefined ? predicate : { name, ...predicate },
  }));
}

export const answer = (fact: string, value: Json, asset?: string): Said => ({
  kind: 'answer',
  predicate: { fact, value, ...(asset === undefined ? {} : { asset: digestOf(asset) }) },
});
