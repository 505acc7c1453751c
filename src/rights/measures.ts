/**
 * The reasonable-steps measures, each judged for each asset by itself: a court asks what was done for this secret, not
 * how many boxes are ticked. No statute gives points, so there is no percentage.
 */
import path from 'node:path';
import { inputError } from '../base/index.js';
import type { Asset, StatementView } from '../record/index.js';
import { moveMonths } from './condition.js';
import { lawFolder, readYaml } from './load-law.js';
import { bindsOn, type MeasureStated, type Register, sameParty, type Terms } from './register.js';
import { lintTerms } from './terms.js';

export interface Authority {
  readonly cite: string;
  readonly url?: string;
  readonly verified: boolean;
}

export interface Measure {
  readonly id: string;
  readonly name: string;
  /** What has to be there, as a sentence. */
  readonly text: string;
  readonly authority: readonly Authority[];
  /** What a person files to show it. */
  readonly evidence: string;
  /** How the ledger shows it by itself; absent where a `measure` statement has to. */
  readonly follows?: string;
  /** Our own default for how long an observation counts; no law names it. */
  readonly staleAfterMonths: number;
  readonly appliesWhen?: string;
  /** Of those without which hardly any court found the steps reasonable. */
  readonly core: boolean;
}

export interface MeasureJudgement {
  readonly measure: Measure;
  /** `not-asked`: it has no object here, such as terms for an asset that nobody received. */
  readonly state: 'met' | 'missing' | 'stale' | 'not-asked';
  /** One sentence, made when somebody reads it: a matrix of many assets needs the states only. */
  why(): string;
  readonly statements: readonly StatementView[];
  /** Met by recording alone, which keeps nobody out. */
  readonly byItself: boolean;
}

/** @throws `LAW_INVALID` */
export function loadMeasures(folder: string = lawFolder()): readonly Measure[] {
  const file = path.join(folder, 'measures.yaml');
  const { measures } = readYaml(file) as { measures: readonly (Omit<Measure, 'core'> & { readonly core?: boolean })[] };
  return measures.map((one) => {
    const whole =
      /^M\d\d$/.test(one.id) &&
      [one.name, one.text, one.evidence].every((text) => typeof text === 'string' && text.length > 0) &&
      Array.isArray(one.authority) &&
      one.authority.length > 0 &&
      one.authority.every((by) => typeof by.cite === 'string' && typeof by.verified === 'boolean') &&
      Number.isInteger(one.staleAfterMonths) &&
      one.staleAfterMonths > 0;
    if (!whole) throw inputError('LAW_INVALID', 'this measure lacks something', { where: `${file} ${one.id}` });
    return { ...one, core: one.core === true };
  });
}

interface Found {
  readonly state: MeasureJudgement['state'];
  readonly why: string | (() => string);
  readonly statements?: readonly StatementView[];
  readonly byItself?: true;
}
/** null: the ledger cannot tell by itself, a `measure` statement has to. */
type Judge = (asset: Asset, register: Register, today: string) => Found | null;

/** In the order of the measures. An asset that is not recorded has no measures. */
export function judgeMeasures(
  measures: readonly Measure[],
  asset: Asset | null,
  register: Register,
  today: string,
): readonly MeasureJudgement[] {
  if (asset === null) return [];
  const latest = latestFor(asset, register, today);
  return measures.map((measure) => {
    const found = judge(measure, asset, register, today, latest);
    return {
      measure,
      state: found.state,
      why: () => (typeof found.why === 'string' ? found.why : found.why()),
      statements: found.statements ?? [],
      byItself: found.byItself === true,
    };
  });
}

export interface Protection {
  /** `core`: all of the core measures that have an object here are met, and one of those that keep people out. */
  readonly level: 'core' | 'some' | 'none';
  /** `M03 M11` */
  readonly met: readonly string[];
}

const UNPROTECTED: Protection = { level: 'none', met: [] };

/** What the judgements come to, without a sentence for each: the matrix asks it of every asset. */
export function protectionOf(
  measures: readonly Measure[],
  asset: Asset | null,
  register: Register,
  today: string,
): Protection {
  if (asset === null) return UNPROTECTED;
  const latest = latestFor(asset, register, today);
  let core = true;
  const met: string[] = [];
  for (const measure of measures) {
    const found = judge(measure, asset, register, today, latest);
    // What recording alone meets (the register of secrets) is no step that keeps anyone out.
    if (found.state === 'met' && found.byItself !== true) met.push(measure.id);
    else if (measure.core && found.state !== 'met' && found.state !== 'not-asked') core = false;
  }
  return met.length === 0 ? UNPROTECTED : { level: core ? 'core' : 'some', met };
}

/**
 * What the judgement of an asset depends on, where nothing in the ledger is about this asset in particular: no measure
 * and no terms that name it, no one who received it. Null otherwise.
 */
export function situationOf(asset: Asset, register: Register): string | null {
  const particular =
    !nobodyHas(asset, register) ||
    register.measures.naming(asset).length > 0 ||
    register.terms.naming(asset).length > 0;
  if (particular) return null;
  const { level, marked } = keptOf(asset);
  return `${asset.kind === 'model'} ${level} ${marked}`;
}

const judge = (measure: Measure, asset: Asset, register: Register, today: string, latest: Latest): Found =>
  judges[measure.id]?.(asset, register, today) ?? stated(measure, latest.get(measure.id), today);

type Latest = ReadonlyMap<string, MeasureStated>;

/** The last statement about each measure up to a day. What reaches every asset is worked out once. */
const everywhere = new WeakMap<readonly MeasureStated[], { readonly today: string; readonly latest: Latest }>();

function latestFor(asset: Asset, { measures }: Register, today: string): Latest {
  let base = everywhere.get(measures.everywhere);
  if (base?.today !== today) {
    base = { today, latest: latestOf(measures.everywhere, new Map(), today) };
    everywhere.set(measures.everywhere, base);
  }
  const naming = measures.naming(asset);
  return naming.length === 0 ? base.latest : latestOf(naming, base.latest, today);
}

function latestOf(stated: readonly MeasureStated[], before: Latest, today: string): Latest {
  const latest = new Map(before);
  for (const one of stated) {
    const other = latest.get(one.measure);
    if (one.on <= today && (other === undefined || other.statement.index < one.statement.index))
      latest.set(one.measure, one);
  }
  return latest;
}

const nothing: Found = { state: 'missing', why: 'nothing in the ledger shows it' };

function stated(measure: Measure, said: MeasureStated | undefined, today: string): Found {
  if (said === undefined) return nothing;
  const statements = [said.statement];
  if (said.state === 'ended') return { state: 'missing', why: () => `ended on ${said.on}`, statements };
  const due = said.until ?? moveMonths(said.on, measure.staleAfterMonths);
  if (due < today)
    return { state: 'stale', why: () => `last seen on ${said.on}, to be looked at again by ${due}`, statements };
  return { state: 'met', why: () => `${said.text ?? 'in force'} (seen on ${said.on}, good until ${due})`, statements };
}

interface Kept {
  readonly level?: string;
  readonly marked?: boolean;
  readonly shared?: readonly { readonly with: string; readonly on?: string }[];
}
const keptOf = (asset: Asset): Kept => (asset.predicate.confidentiality ?? {}) as Kept;

/** Everyone whom the ledger shows to have received the asset. */
function recipientsOf(asset: Asset, register: Register): readonly string[] {
  const shared = (keptOf(asset).shared ?? []).map((one) => one.with);
  const released = (register.deliveries.get(asset.sha256) ?? []).map((one) => one.recipient);
  return [...new Set([...shared, ...released])];
}

const nobodyHas = (asset: Asset, register: Register): boolean =>
  (keptOf(asset).shared?.length ?? 0) === 0 && !register.deliveries.has(asset.sha256);

const given = (asset: Asset, register: Register, today: string): readonly Terms[] =>
  register.terms
    .over(asset)
    .filter((one) => one.kind !== 'employment' && one.kind !== 'assignment' && bindsOn(one, today));

const nobody: Found = { state: 'not-asked', why: 'the ledger shows no one who received it' };

function everyTerms(
  asset: Asset,
  register: Register,
  today: string,
  fault: (terms: Terms) => string | null,
  good: string,
): Found {
  if (nobodyHas(asset, register)) return nobody;
  const over = given(asset, register, today);
  if (over.length === 0) return { state: 'missing', why: 'no terms in force cover it' };
  const bad = over.flatMap((one) => {
    const what = fault(one);
    return what === null ? [] : [`terms of ${one.signed} with ${one.parties.join(', ')}: ${what}`];
  });
  const statements = over.map((one) => one.statement);
  return bad.length > 0
    ? { state: 'missing', why: bad.join('; '), statements }
    : { state: 'met', why: good, statements };
}

const judges: Readonly<Record<string, Judge>> = {
  M01: (asset) => {
    const { level } = keptOf(asset);
    if (level === 'secret' || level === 'confidential') {
      const why = (): string => `registered as ${level} with its SHA-256`;
      return { state: 'met', why, statements: [asset.statement], byItself: true };
    }
    return { state: 'missing', why: 'recorded, but not as secret or confidential', statements: [asset.statement] };
  },
  M05: (asset, register, today) => {
    if (nobodyHas(asset, register)) return nobody;
    const recipients = recipientsOf(asset, register);
    const over = given(asset, register, today);
    const bare = recipients.filter((name) => !over.some((one) => one.parties.some((party) => sameParty(party, name))));
    if (bare.length > 0) return { state: 'missing', why: `no terms in force with ${bare.join(', ')}` };
    return {
      state: 'met',
      why: `terms in force with every recipient (${recipients.length})`,
      statements: over.map((one) => one.statement),
    };
  },
  M06: (asset, register, today) =>
    everyTerms(
      asset,
      register,
      today,
      (terms) => lintTerms(terms).find((one) => one.measure === 'M06')?.text ?? null,
      'no catch-all clause and no unlimited one',
    ),
  M07: (asset, register, today) =>
    everyTerms(
      asset,
      register,
      today,
      (terms) => lintTerms(terms).find((one) => one.measure === 'M07')?.text ?? null,
      'reverse engineering, extraction and training on outputs are forbidden, copies come back',
    ),
  M08: (asset, register, today) => {
    const american = given(asset, register, today).filter((one) => one.governingLaw === 'US');
    if (american.length === 0) return { state: 'not-asked', why: 'no terms in force under US law cover it' };
    const bare = american.filter((one) => one.clauses.whistleBlowerNotice !== true);
    const statements = american.map((one) => one.statement);
    if (bare.length === 0) return { state: 'met', why: 'every agreement under US law carries the notice', statements };
    return { state: 'missing', why: `without it: ${bare.flatMap((one) => one.parties).join(', ')}`, statements };
  },
  M09: (asset) => {
    if (keptOf(asset).marked !== true)
      return { state: 'missing', why: 'not recorded as marked', statements: [asset.statement] };
    return { state: 'met', why: 'recorded as marked confidential', statements: [asset.statement] };
  },
  M17: (asset, register) => {
    if (asset.kind !== 'model') return { state: 'not-asked', why: 'only models are released in marked copies' };
    const copies = register.deliveries.get(asset.sha256) ?? [];
    if (copies.length > 0) {
      const why = `${copies.length} marked ${copies.length === 1 ? 'copy' : 'copies'}, one for each recipient`;
      return { state: 'met', why, statements: copies.map((one) => one.statement) };
    }
    return nobodyHas(asset, register) ? nobody : { state: 'missing', why: 'given out without a marked copy' };
  },
  M20: (asset, register) => {
    const shared = keptOf(asset).shared ?? [];
    const copies = register.deliveries.get(asset.sha256) ?? [];
    if (shared.length + copies.length === 0) return null;
    const statements = [...(shared.length > 0 ? [asset.statement] : []), ...copies.map((one) => one.statement)];
    return { state: 'met', why: 'the ledger says who received it, and when', statements };
  },
};
