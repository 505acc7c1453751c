/** Signed agreements: what each lacks, and which clauses a court may strike out. */
import type { Terms } from './register.js';

export interface TermsFinding {
  /** The measure that it weakens. */
  readonly measure: 'M05' | 'M06' | 'M07' | 'M08';
  readonly text: string;
  readonly authority: string;
}

/** A confidentiality clause over "everything, for ever" may be void: BAG, 17 October 2024, 8 AZR 172/23. */
const CATCH_ALL =
  /\b(all|any|every)\b[^.]{0,40}\b(information|data|matters?|affairs|knowledge|documents?)\b|\beverything\b|\bs(ä|ae)mtliche\b[^.]{0,40}\b(informationen|angelegenheiten|vorg(ä|ae)nge)\b|\balle\b[^.]{0,40}\b(informatie|gegevens|informationen|angelegenheiten)\b/iu;
const UNLIMITED =
  /\b(perpetual(ly)?|in perpetuity|for ever|forever|indefinite(ly)?|unlimited in time|without limit(ation)? (of|in) time|unbefristet|zeitlich unbegrenzt|voor onbepaalde tijd)\b/iu;

/** What is weak about terms, as facts of the register and the wording of the scope show it. */
export function lintTerms(terms: Terms): readonly TermsFinding[] {
  if (terms.kind === 'employment' || terms.kind === 'assignment') return scopeFindings(terms);
  const missing = (
    [
      ['reverseEngineering', 'reverse engineering'],
      ['extraction', 'extraction through answers'],
      ['distillation', 'training on outputs'],
      ['returnOrDestroy', 'return or destruction at the end'],
    ] as const
  ).flatMap(([clause, words]) => (terms.clauses[clause] === true ? [] : [words]));
  const findings: TermsFinding[] = [...scopeFindings(terms)];
  if (missing.length > 0) {
    findings.push({
      measure: 'M07',
      text: `says nothing on ${missing.join(', ')}`,
      authority: 'Dir. (EU) 2016/943 art. 3(1)(b): reverse engineering is lawful unless a valid duty forbids it',
    });
  }
  if (terms.until !== null && terms.secrecyUntil === null) {
    findings.push({
      measure: 'M05',
      text: `the duty of confidence is not said to outlast ${terms.until}`,
      authority: 'NL explanatory memorandum to the trade-secrets act: confidentiality clauses in contracts',
    });
  }
  if (terms.governingLaw === 'US' && terms.clauses.whistleBlowerNotice !== true) {
    findings.push({
      measure: 'M08',
      text: 'lacks the notice of 18 USC 1833(b), without which exemplary damages and fees cannot be claimed from this party',
      authority: '18 USC 1833(b) (unverified)',
    });
  }
  return findings;
}

function scopeFindings({ clauses, scope }: Terms): readonly TermsFinding[] {
  const findings: TermsFinding[] = [];
  const authority =
    'BAG, 17 October 2024, 8 AZR 172/23; LAG Baden-Württemberg, 3 July 2025, 8 Ta 1/25: not fatal in every case';
  const words = scope ?? '';
  if (clauses.specific === false || (clauses.specific !== true && CATCH_ALL.test(words))) {
    findings.push({ measure: 'M06', text: 'a catch-all: it names no particular secret', authority });
  } else if (scope === null) {
    findings.push({
      measure: 'M06',
      text: 'its scope is not recorded, so nobody can see which secrets it names',
      authority,
    });
  }
  if (UNLIMITED.test(words)) {
    findings.push({ measure: 'M06', text: 'unlimited in time by its own words', authority });
  }
  return findings;
}
