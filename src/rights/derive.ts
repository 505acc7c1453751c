/**
 * How facts follow from statements, one function a fact. An answer about the asset goes before what follows from
 * statements, that before an answer for the whole room. A fact that the ledger has to show is never answered.
 */
import type { Asset, StatementView } from '../record/index.js';
import type { Facts, FactValue } from './condition.js';
import type { Attribute, FactSpec, Law, RowKind } from './law.js';
import type { MeasureJudgement, Protection } from './measures.js';
import { type AnswerGiven, answerAbout, bindsOn, type Register, sameParty, type Terms } from './register.js';
import { lintTerms } from './terms.js';

/** What the facts are asked of: an asset, of data sets one part of it; null stands for an asset that is not recorded. */
export interface Subject {
  readonly asset: Asset | null;
  readonly attribute: Attribute | null;
  readonly row: RowKind;
}

export interface Setting {
  readonly register: Register;
  /** `YYYY-MM-DD` */
  readonly today: string;
  /** How far the measures in force protect one asset. */
  readonly protection: (asset: Asset | null) => Protection;
  /** The judgement of each measure, with its statements. */
  readonly judged: (asset: Asset | null) => readonly MeasureJudgement[];
  /** `--what-if`: taken instead of whatever is known. */
  readonly supposed: ReadonlyMap<string, FactValue>;
}

export interface KnownFact {
  readonly value: FactValue;
  readonly how: 'stated' | 'answered' | 'shown' | 'not-shown' | 'supposed';
  /** The statements that it rests on. */
  readonly statements: readonly StatementView[];
  /** The field that says so. */
  readonly field: string | null;
}

/** Encryption, and unique accounts. */
const ACCESS: ReadonlySet<string> = new Set(['M11', 'M12']);

interface Made {
  readonly value: FactValue;
  /** The measures that it rests on; their statements are looked up when somebody asks. */
  readonly measures?: readonly string[];
  readonly field?: string;
  readonly statements?: readonly StatementView[];
}
type Deriver = (subject: Subject, setting: Setting) => Made | null;

type Found = Made | AnswerGiven;

type Answers = ReadonlyMap<string, AnswerGiven> | undefined;

const answersAbout = ({ asset }: Subject, { register }: Setting): Answers =>
  asset === null ? undefined : register.answers.get(asset.sha256);

/**
 * What makes a fact known: an answer, or what follows from statements; null where nothing does.
 * @param own answers about the asset @param room answers for all of the room
 */
function sourceOf(spec: FactSpec, subject: Subject, setting: Setting, own: Answers, room: Answers): Found | null {
  const derive = derivers[spec.id];
  const mayAnswer = derive === undefined || spec.shownOrNot !== true;
  if (mayAnswer && own !== undefined) {
    const given = answerAbout(own, spec.id, subject.attribute);
    if (given !== null) return given;
  }
  const made = derive === undefined ? null : derive(subject, setting);
  return made ?? (mayAnswer ? answerAbout(room, spec.id, null) : null);
}

/** A fact with the statements that it rests on; null where it is not known. */
export function factOf(spec: FactSpec, subject: Subject, setting: Setting): KnownFact | null {
  const supposed = setting.supposed.get(spec.id);
  if (supposed !== undefined) return { value: supposed, how: 'supposed', statements: [], field: null };
  const room = setting.register.answers.get('');
  const found = sourceOf(spec, subject, setting, answersAbout(subject, setting), room);
  if (found === null) {
    if (!countsAsAbsent(spec, subject)) return null;
    return { value: notShown(spec), how: 'not-shown', statements: [], field: null };
  }
  if ('fact' in found) return { value: found.value, how: 'answered', statements: [found.statement], field: 'value' };
  const { measures } = found;
  const own =
    measures !== undefined
      ? setting.judged(subject.asset).flatMap((one) => (measures.includes(one.measure.id) ? one.statements : []))
      : subject.asset === null
        ? []
        : [subject.asset.statement];
  const how = spec.shownOrNot === true ? 'shown' : 'stated';
  return { value: found.value, how, statements: found.statements ?? own, field: found.field ?? null };
}

/** Of an asset that is not recorded nothing can be shown yet, so nothing counts as absent either. */
const countsAsAbsent = (spec: FactSpec, subject: Subject): boolean =>
  spec.shownOrNot === true && subject.asset !== null;

/** What a fact that has to be shown is while nothing shows it. */
export const notShown = (spec: FactSpec): FactValue =>
  spec.type === 'choice' ? (spec.id === 'recipients-bound' ? 'not-shared' : 'none') : false;

/** What is the same for every asset of a row, worked out once. */
export interface FactReader {
  read(subject: Subject, facts?: Map<string, FactValue>): Facts;
}

/**
 * Reads the facts of the subjects of one row.
 * @param specs those that are asked of the row
 */
export function factReader(specs: readonly FactSpec[], setting: Setting): FactReader {
  const room = setting.register.answers.get('');
  const asked = specs.map((spec) => {
    const derive = derivers[spec.id];
    const mayAnswer = derive === undefined || spec.shownOrNot !== true;
    return {
      id: spec.id,
      derive,
      mayAnswer,
      supposed: setting.supposed.get(spec.id),
      room: mayAnswer ? answerAbout(room, spec.id, null)?.value : undefined,
      absent: spec.shownOrNot === true ? notShown(spec) : undefined,
    };
  });
  return {
    read(subject, facts = new Map()) {
      facts.clear();
      const own = answersAbout(subject, setting);
      for (const { id, derive, mayAnswer, supposed, room: forAll, absent } of asked) {
        let value = supposed;
        if (value === undefined && mayAnswer && own !== undefined)
          value = answerAbout(own, id, subject.attribute)?.value;
        if (value === undefined && derive !== undefined) value = derive(subject, setting)?.value;
        if (value === undefined) value = forAll;
        if (value === undefined && subject.asset !== null) value = absent;
        if (value !== undefined) facts.set(id, value);
      }
      return facts;
    },
  };
}

/** The facts that are asked of a row. */
export const specsOf = (law: Pick<Law, 'facts'>, row: RowKind): readonly FactSpec[] =>
  [...law.facts.values()].filter((spec) => spec.assets?.includes(row) ?? true);

interface Said {
  readonly how?: { readonly way?: string; readonly choices?: string };
  readonly authors?: readonly { readonly name: string; readonly relation?: string; readonly part?: string }[];
  readonly effort?: Readonly<
    Record<string, { readonly hours?: number; readonly cost?: number; readonly compute?: { readonly hours: number } }>
  >;
  readonly columns?: readonly string[];
  readonly country?: string;
  readonly made?: { readonly to?: string };
  readonly published?: string;
  readonly nature?: 'factual' | 'judgement';
  readonly confidentiality?: {
    readonly level?: string;
    readonly shared?: readonly { readonly with: string; readonly on?: string; readonly under?: string }[];
  };
  readonly parts?: Readonly<Partial<Record<Attribute, Said>>>;
}

const saidOf = (subject: Subject): Said => (subject.asset?.predicate ?? {}) as Said;
/** Of the part where it says something of its own, else of the whole set. */
function field<K extends keyof Said>(subject: Subject, name: K): Said[K] {
  const said = saidOf(subject);
  const own = subject.attribute === null ? undefined : said.parts?.[subject.attribute]?.[name];
  return own ?? said[name];
}

const ORIGINS: Readonly<Record<string, FactValue>> = {
  made: 'created',
  'own-sensors': 'measured',
  'connected-product': 'measured',
  collected: 'collected',
  'user-generated': 'user-generated',
  simulated: 'simulated',
  bought: 'bought',
  licensed: 'licensed',
  public: 'public',
};
const CONNECTED: Readonly<Record<string, boolean>> = {
  'connected-product': true,
  collected: false,
  'user-generated': false,
  simulated: false,
};

const derivers: Readonly<Record<string, Deriver>> = {
  'connected-product': (subject) => {
    const value = CONNECTED[field(subject, 'how')?.way ?? ''];
    return value === undefined ? null : { value, field: 'how.way' };
  },
  'data-origin': (subject) => {
    if (subject.attribute === 'synthetic') return { value: 'simulated', field: 'parts.synthetic' };
    const value = ORIGINS[field(subject, 'how')?.way ?? ''];
    return value === undefined ? null : { value, field: 'how.way' };
  },
  'systematic-arrangement': (subject) =>
    (field(subject, 'columns')?.length ?? 0) > 0 ? { value: true, field: 'columns' } : null,
  'investment-recorded': (subject) => {
    const bucket = ['obtaining', 'verification', 'presentation', 'labelling'].find((name) =>
      spent(field(subject, 'effort')?.[name]),
    );
    return bucket === undefined ? null : { value: true, field: `effort.${bucket}` };
  },
  'maker-place': (subject) => {
    const country = saidOf(subject).country;
    return country === undefined ? null : { value: country, field: 'country' };
  },
  'completed-on': ({ asset }) => {
    if (asset === null) return null;
    const to = (asset.predicate as Said).made?.to;
    return to === undefined
      ? { value: asset.first.time.slice(0, 10), field: 'time', statements: [asset.first] }
      : { value: to, field: 'made.to' };
  },
  'labels-nature': (subject) => {
    const nature = subject.attribute === 'labels' ? saidOf(subject).parts?.labels?.nature : undefined;
    if (nature === undefined) return null;
    return { value: nature === 'judgement' ? 'subjective' : 'factual', field: 'parts.labels.nature' };
  },
  'electronic-access-control': ({ asset }, setting) => {
    const technical = setting.protection(asset).met.find((id) => ACCESS.has(id));
    return technical === undefined ? null : { value: true, field: technical, measures: [technical] };
  },
  'human-authors-named': (subject) =>
    (field(subject, 'authors')?.length ?? 0) > 0 ? { value: true, field: 'authors' } : null,
  'human-choices-recorded': (subject) => {
    if (field(subject, 'authors')?.some((one) => one.part !== undefined) === true)
      return { value: true, field: 'authors.part' };
    return field(subject, 'how')?.choices === undefined ? null : { value: true, field: 'how.choices' };
  },
  'made-by': ({ asset, row }) => (asset !== null && row === 'model' ? { value: 'machine', field: 'kind' } : null),
  'authors-bound': (subject, setting) => authorsBound(subject, setting),
  'patent-filed': (subject, setting) => {
    const filed = answerOn('patent-filed-on', subject, setting);
    if (filed === null || String(filed.value) > setting.today) return null;
    return { value: true, field: 'patent-filed-on', statements: [filed.statement] };
  },
  'priority-date': (subject, setting) => {
    const filed = answerOn('patent-filed-on', subject, setting);
    if (filed === null || String(filed.value) > setting.today) return { value: setting.today, statements: [] };
    return { value: filed.value, field: 'patent-filed-on', statements: [filed.statement] };
  },
  published: (subject, { today }) => {
    const { published, confidentiality } = saidOf(subject);
    if (published !== undefined) return { value: published <= today, field: 'published' };
    const level = confidentiality?.level;
    if (level === 'public') return { value: true, field: 'confidentiality.level' };
    if (level === 'secret' || level === 'confidential') return { value: false, field: 'confidentiality.level' };
    return null;
  },
  'published-on': (subject) => {
    const day = saidOf(subject).published;
    return day === undefined ? null : { value: day, field: 'published' };
  },
  'generally-known': (subject, setting) => {
    const published = derivers.published!(subject, setting);
    return published?.value === true ? published : null;
  },
  'commercial-value': (subject) => {
    const bucket = Object.entries(field(subject, 'effort') ?? {}).find(([, one]) => spent(one));
    return bucket === undefined ? null : { value: true, field: `effort.${bucket[0]}` };
  },
  'reasonable-measures': ({ asset }, setting) => {
    const { level, met } = setting.protection(asset);
    return level === 'none' ? null : { value: level, field: met.join(' '), measures: met };
  },
  'recipients-bound': (subject, setting) => recipientsBound(subject, setting),
  'shipped-in-clear': (subject, setting) => {
    const first = subject.asset === null ? undefined : setting.register.deliveries.get(subject.asset.sha256)?.[0];
    if (first !== undefined) return { value: true, field: 'files', statements: [first.statement] };
    const runs = answerOn('runs-where', subject, setting);
    if (runs?.value !== 'own-servers') return null;
    return { value: false, field: 'runs-where', statements: [runs.statement] };
  },
  'reverse-engineering-clause': ({ asset }, { register, today }) => {
    const over = register.terms.over(asset).filter((one) => givesOut(one) && bindsOn(one, today));
    if (over.length === 0 || !over.every((one) => one.clauses.reverseEngineering === true)) return null;
    return { value: true, field: 'clauses.reverseEngineering', statements: over.map((one) => one.statement) };
  },
  'terms-specific': ({ asset }, { register, today }) => {
    const over = register.terms.over(asset).filter((one) => bindsOn(one, today));
    if (over.length === 0) return null;
    const vague = over.filter((one) => lintTerms(one).some((finding) => finding.measure === 'M06'));
    const statements = (vague.length > 0 ? vague : over).map((one) => one.statement);
    return { value: vague.length === 0, field: 'scope', statements };
  },
};

export const derivedFacts: ReadonlySet<string> = new Set(Object.keys(derivers));

/** Terms under which something is given to others, rather than work is done for the owner. */
const givesOut = (terms: Terms): boolean => terms.kind !== 'employment' && terms.kind !== 'assignment';

const spent = (one: { hours?: number; cost?: number; compute?: { hours: number } } | undefined): boolean =>
  (one?.hours ?? 0) > 0 || (one?.cost ?? 0) > 0 || (one?.compute?.hours ?? 0) > 0;

function answerOn(fact: string, { asset, attribute }: Subject, { register, supposed }: Setting) {
  const value = supposed.get(fact);
  if (value !== undefined && asset !== null) return { value, statement: asset.statement };
  const own = asset === null ? null : answerAbout(register.answers.get(asset.sha256), fact, attribute);
  return own ?? answerAbout(register.answers.get(''), fact, null);
}

function authorsBound(subject: Subject, { register, today }: Setting): Made | null {
  const authors = field(subject, 'authors') ?? [];
  if (authors.length === 0 || subject.asset === null) return null;
  const statements: StatementView[] = [subject.asset.statement];
  for (const { name, relation } of authors) {
    if (relation === 'employee' || relation === 'founder') continue;
    const assigned = register.terms
      .over(subject.asset)
      .find(
        (one) =>
          (one.kind === 'assignment' || one.clauses.assignment === true) &&
          one.from <= today &&
          one.parties.some((party) => sameParty(party, name)),
      );
    // An assignment may exist that nobody registered, so this is asked, not denied.
    if (assigned === undefined) return null;
    statements.push(assigned.statement);
  }
  return { value: true, field: 'authors.relation', statements };
}

function recipientsBound(subject: Subject, { register, today }: Setting): Made | null {
  const { asset } = subject;
  if (asset === null) return null;
  const shared = saidOf(subject).confidentiality?.shared ?? [];
  const recipients = [
    ...shared.map((one) => one.with),
    ...(register.deliveries.get(asset.sha256) ?? []).map((one) => one.recipient),
  ];
  if (recipients.length === 0) return null;
  const over = register.terms.over(asset).filter((one) => bindsOn(one, today));
  const used = new Set<StatementView>();
  for (const recipient of recipients) {
    const terms = over.find((one) => one.parties.some((party) => sameParty(party, recipient)));
    if (terms === undefined) return { value: 'some-unbound', field: `no terms in force with ${recipient}` };
    used.add(terms.statement);
  }
  return { value: 'all-bound', field: 'parties', statements: [...used] };
}
