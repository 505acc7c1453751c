/** Which statement makes a fact known, for one asset; looked up when somebody asks, since a matrix of many assets needs few. */
import { factOf, type KnownFact, type Setting, type Subject } from './derive.js';
import type { FactSpec, Law } from './law.js';

export interface Evidence {
  readonly spec: FactSpec;
  /** null: not known. */
  readonly known: KnownFact | null;
}

/** Where no asset of a kind is recorded, only answers for the room are known; the row does not matter then. */
const NOTHING: Subject = { asset: null, attribute: null, row: 'system' };

export const evidenceFor =
  (law: Law, setting: Setting) =>
  (subject: Subject | null, fact: string): Evidence => {
    const spec = law.facts.get(fact)!;
    return { spec, known: factOf(spec, subject ?? NOTHING, setting) };
  };
