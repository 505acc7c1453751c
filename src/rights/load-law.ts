/** Reads `law/`: YAML against `law/schema.json`, then every reference (fact, country set, source) against what it points at. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { parseDocument } from 'yaml';
import { inputError } from '../base/index.js';
import { type Condition, factsIn } from './condition.js';
import {
  type Citation,
  type Defence,
  defences,
  type FactSpec,
  jurisdictions,
  type Law,
  type Remedy,
  type Rule,
  remedies,
  rights,
  rowKinds,
  type Title,
} from './law.js';

/** A rule is a few pages of text; a file beyond this is something else. */
const MAX_BYTES = 512 * 1024;

/** `law/` lies two folders up from `src/rights` and from `dist/rights` alike. */
export const lawFolder = (): string => fileURLToPath(new URL('../../law', import.meta.url));

/** The source of what the rules base infers, or does not record. */
export const RULES_BASE = 'rules-base';
const inferred: readonly Citation[] = [{ of: RULES_BASE, verified: false }];

let own: Law | undefined;

/**
 * The law that comes with Muniment is read once a process: half a second.
 * @throws `LAW_NOT_YAML`, `LAW_INVALID`, `LAW_REFERENCE`, `LAW_MISSING`, each with file and place
 */
export function loadLaw(folder?: string): Law {
  if (folder !== undefined) return readLaw(folder);
  own ??= readLaw(lawFolder());
  return own;
}

function readLaw(folder: string): Law {
  const { facts, sets } = readFactSpecs(path.join(folder, 'facts.yaml'));
  const validate = new Ajv2020({ strict: false, allErrors: false, validateFormats: false }).compile(
    JSON.parse(readFileSync(path.join(folder, 'schema.json'), 'utf8')) as Record<string, unknown>,
  );
  const raw = new Map<string, RawRule>();
  for (const file of ruleFiles(folder)) {
    const rule = readYaml(path.join(folder, file)) as RawRule;
    if (!validate(rule)) {
      // The branches of an anyOf all complain; the deepest complaint is the one about what was meant.
      const error = [...validate.errors!].sort((a, b) => b.instancePath.length - a.instancePath.length)[0]!;
      throw inputError('LAW_INVALID', `this rule does not fit the schema: ${error.message}`, {
        where: `${file} ${error.instancePath}`,
        got: JSON.stringify(error.params),
        todo: 'see law/schema.json',
      });
    }
    if (file !== `${rule.jurisdiction.toLowerCase()}/${rule.right}.yaml`) {
      throw inputError('LAW_INVALID', 'a rule lies where its jurisdiction and right say', {
        expected: `${rule.jurisdiction.toLowerCase()}/${rule.right}.yaml`,
        got: file,
      });
    }
    raw.set(`${rule.jurisdiction}/${rule.right}`, rule);
  }
  const rules = [...raw.entries()].map(([key, rule]) => {
    const whole = complete(key, rule.extends === undefined ? rule : inherit(rule, raw, key));
    checkReferences(key, whole, facts, sets);
    return whole;
  });
  const order = (rule: Rule): number =>
    jurisdictions.indexOf(rule.jurisdiction) * rights.length + rights.indexOf(rule.right);
  return { rules: rules.sort((a, b) => order(a) - order(b)), facts, sets };
}

type RawTitle = Partial<Title> & { readonly id: string };
type RawRule = Omit<Rule, 'titles'> & { readonly titles: readonly RawTitle[] };

function ruleFiles(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap((entry) =>
      readdirSync(path.join(folder, entry.name))
        .filter((name) => name.endsWith('.yaml') && !name.endsWith('.test.yaml'))
        .map((name) => `${entry.name}/${name}`),
    )
    .sort();
}

export function readYaml(file: string): unknown {
  const text = readFileSync(file, 'utf8');
  if (text.length > MAX_BYTES) {
    throw inputError('LAW_INVALID', 'a file of the law is not this long', { got: String(text.length), where: file });
  }
  const document = parseDocument(text, { uniqueKeys: true });
  const error = document.errors[0];
  if (error !== undefined) {
    throw inputError('LAW_NOT_YAML', error.message.split('\n')[0]!, {
      where: `${file}:${error.linePos?.[0].line ?? 1}`,
    });
  }
  return document.toJS({ maxAliasCount: 100 }) as unknown;
}

function readFactSpecs(file: string): Pick<Law, 'facts' | 'sets'> {
  const { facts, sets } = readYaml(file) as {
    facts: Readonly<Record<string, Omit<FactSpec, 'id'>>>;
    sets: Law['sets'];
  };
  for (const [id, spec] of Object.entries(facts)) {
    const fault =
      !['boolean', 'choice', 'date', 'country'].includes(spec.type) ||
      !['room', 'asset'].includes(spec.scope) ||
      (spec.type === 'choice') !== Array.isArray(spec.values) ||
      typeof spec.question !== 'string' ||
      typeof spec.why !== 'string' ||
      typeof spec.effort !== 'number' ||
      !(spec.assets ?? []).every((row) => rowKinds.includes(row));
    if (fault)
      throw inputError('LAW_INVALID', 'this fact lacks something or says too much', { where: `${file} ${id}` });
  }
  return { facts: new Map(Object.entries(facts).map(([id, spec]) => [id, { id, ...spec }])), sets };
}

/** A member state's rule: the union's, with the titles it names changed field by field, lists of things with an id by id. */
function inherit(rule: RawRule, all: ReadonlyMap<string, RawRule>, key: string): RawRule {
  const parent = all.get(rule.extends!);
  if (parent === undefined || parent.extends !== undefined) {
    throw inputError('LAW_REFERENCE', 'a rule extends a rule of the union that extends none', {
      where: key,
      got: rule.extends!,
    });
  }
  return { ...rule, sources: { ...parent.sources, ...rule.sources }, titles: mergeById(parent.titles, rule.titles) };
}

interface WithId {
  readonly id: string;
}

function mergeById<T extends WithId>(base: readonly T[], changes: readonly T[]): readonly T[] {
  const merged = new Map(base.map((one) => [one.id, one]));
  for (const change of changes) {
    const before = merged.get(change.id);
    merged.set(change.id, before === undefined ? change : mergeFields(before, change));
  }
  return [...merged.values()];
}

function mergeFields<T extends WithId>(before: T, change: T): T {
  const out = { ...before } as Record<string, unknown>;
  for (const [name, value] of Object.entries(change)) {
    const old = out[name];
    if (name === 'cite' && Array.isArray(old)) out[name] = [...(value as Citation[]), ...(old as Citation[])];
    else if (hasIds(old) && hasIds(value)) out[name] = mergeById(old, value);
    else if (name === 'defences' || name === 'remedies') out[name] = { ...(old as object), ...(value as object) };
    else out[name] = value;
  }
  return out as T;
}

const hasIds = (value: unknown): value is readonly WithId[] =>
  Array.isArray(value) && value.every((one) => typeof (one as WithId | null)?.id === 'string');

const NOT_RECORDED = 'Not recorded in the rules base';

function complete(key: string, rule: RawRule): Rule {
  return { ...rule, titles: rule.titles.map((title) => completeTitle(`${key} ${title.id}`, title)) };
}

function completeTitle(where: string, title: RawTitle): Title {
  const need = <K extends 'name' | 'cite' | 'assets' | 'requirements' | 'limits'>(
    name: K,
  ): NonNullable<RawTitle[K]> => {
    const value = title[name];
    if (value === undefined) throw inputError('LAW_INVALID', `this title needs ${name}`, { where });
    return value as NonNullable<RawTitle[K]>;
  };
  const unknown = { text: NOT_RECORDED, cite: inferred };
  return {
    id: title.id,
    name: need('name'),
    cite: need('cite'),
    ...(title.inForce === undefined ? {} : { inForce: title.inForce }),
    assets: need('assets'),
    requirements: need('requirements').map((one) => {
      if (one.text === undefined || one.cite === undefined || one.grades === undefined || one.otherwise === undefined) {
        throw inputError('LAW_INVALID', 'a requirement needs text, cite, grades and otherwise', {
          where: `${where} ${one.id}`,
        });
      }
      return { ...one, owner: one.owner ?? 'given' };
    }),
    term: title.term ?? unknown,
    formality: title.formality ?? { kind: 'unknown', ...unknown },
    stops: title.stops ?? [unknown],
    defences: Object.fromEntries(
      defences.map((name): [string, Defence] => [name, title.defences?.[name] ?? { answer: 'unknown', ...unknown }]),
    ) as unknown as Title['defences'],
    remedies: Object.fromEntries(
      remedies.map((name): [string, Remedy] => [name, title.remedies?.[name] ?? { answer: 'unknown', ...unknown }]),
    ) as unknown as Title['remedies'],
    cases: title.cases ?? [],
    limits: need('limits'),
  };
}

function checkReferences(key: string, rule: Rule, facts: Law['facts'], sets: Law['sets']): void {
  const refuse = (where: string, what: string): never => {
    throw inputError('LAW_REFERENCE', what, { where: `${key} ${where}` });
  };
  if ((rule.titles.length === 0) !== (rule.notRecognised !== undefined || rule.notModelled !== undefined)) {
    refuse('', 'a rule has titles, or says why it has none');
  }
  const cited = (where: string, value: unknown): void => {
    if (Array.isArray(value)) for (const one of value) cited(where, one);
    else if (value !== null && typeof value === 'object') {
      const { of } = value as Partial<Citation>;
      if (of !== undefined && of !== RULES_BASE && !(of in rule.sources)) refuse(where, `there is no source ${of}`);
      for (const inner of Object.values(value)) cited(where, inner);
    }
  };
  cited('notRecognised', rule.notRecognised);
  cited('notModelled', rule.notModelled);
  for (const title of rule.titles) {
    cited(title.id, title);
    const named = title.assets.flatMap((one) => one.rows);
    if (new Set(named).size !== named.length) refuse(title.id, 'a row is named twice');
    for (const fact of title.term.from ?? [])
      if (!facts.has(fact)) refuse(`${title.id} term`, `there is no fact ${fact}`);
    for (const requirement of title.requirements) {
      const where = `${title.id} ${requirement.id}`;
      for (const grade of requirement.grades) checkCondition(grade.when, (what) => refuse(where, what), facts, sets);
    }
  }
}

function checkCondition(
  condition: Condition,
  refuse: (what: string) => void,
  facts: Law['facts'],
  sets: Law['sets'],
): void {
  for (const fact of factsIn(condition)) if (!facts.has(fact)) refuse(`there is no fact ${fact}`);
  const walk = (one: Condition): void => {
    if ('all' in one || 'any' in one || 'not' in one) {
      for (const inner of 'all' in one ? one.all : 'any' in one ? one.any : [one.not]) walk(inner);
      return;
    }
    const spec = facts.get(one.fact)!;
    if ('in' in one) {
      if (!(one.in in sets)) refuse(`there is no set of countries ${one.in}`);
      return;
    }
    if ('onOrBefore' in one || 'onOrAfter' in one) {
      if (spec.type !== 'date') refuse(`${one.fact} is no date`);
      return;
    }
    const allowed: readonly unknown[] =
      spec.type === 'choice' ? spec.values! : spec.type === 'boolean' ? [true, false] : [];
    for (const value of [one.is ?? true].flat()) {
      if (spec.type !== 'country' && !allowed.includes(value)) refuse(`${one.fact} is never ${String(value)}`);
    }
  };
  walk(condition);
}

/** Every (jurisdiction, right) has its file. @throws `LAW_MISSING` */
export function ruleOf(law: Law, jurisdiction: Rule['jurisdiction'], right: Rule['right']): Rule {
  const rule = law.rules.find((one) => one.jurisdiction === jurisdiction && one.right === right);
  if (rule !== undefined) return rule;
  throw inputError('LAW_MISSING', `the rules base has no file for ${right} in ${jurisdiction}`, {
    expected: `one of ${rights.join(', ')}`,
  });
}
