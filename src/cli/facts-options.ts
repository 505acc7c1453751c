/** Facts from options: the short way beside `--from facts.yaml`. */
import { usageError } from '../base/index.js';
import {
  type EffortBucket,
  effortBuckets,
  type Facts,
  type How,
  type LinkTo,
  type Measured,
  type Relation,
  relations,
  type Scalar,
  type Spent,
} from '../record/index.js';
import type { Call, OptionSpec } from './command.js';
import { textOption, textsOption } from './options.js';
import { nearest } from './parse.js';

const WAYS = [
  'made',
  'own-sensors',
  'connected-product',
  'collected',
  'user-generated',
  'simulated',
  'bought',
  'licensed',
  'public',
] as const satisfies readonly How['way'][];
const LEVELS = ['secret', 'confidential', 'internal', 'public'] as const;
const PARTS = ['raw', 'labels', 'synthetic'] as const;

export const factsOptions: Readonly<Record<string, OptionSpec>> = {
  name: { type: 'string', value: 'TEXT', help: 'what people call it (default: the file name)' },
  description: { type: 'string', value: 'TEXT', help: 'what it is and what it is for' },
  author: { type: 'string', multiple: true, value: 'NAME', help: 'a person who made it' },
  employer: { type: 'string', value: 'NAME', help: 'who employed the authors at the time' },
  'made-from': { type: 'string', value: 'DAY', help: 'first day of making it, YYYY-MM-DD' },
  'made-to': { type: 'string', value: 'DAY', help: 'day it was complete, YYYY-MM-DD' },
  how: { type: 'string', choices: WAYS, value: 'WAY', help: 'how it was obtained or made' },
  source: { type: 'string', value: 'TEXT', help: 'from whom or where (with --how)' },
  terms: { type: 'string', value: 'TEXT', help: 'licence or contract it came under (with --how)' },
  country: { type: 'string', value: 'CC', help: 'where the maker is established, two letters' },
  effort: {
    type: 'string',
    multiple: true,
    value: 'BUCKET=…',
    help: `hours, money and machine time: obtaining=120h,5000EUR,8xGPU; buckets ${effortBuckets.join(', ')}`,
  },
  quality: {
    type: 'string',
    multiple: true,
    value: 'METRIC=VALUE@TESTSET',
    help: 'a figure and the test set it was measured on',
  },
  confidentiality: { type: 'string', choices: LEVELS, value: 'LEVEL', help: 'who may see it' },
  part: { type: 'string', multiple: true, choices: PARTS, value: 'PART', help: 'of a data set: what it is made of' },
  parameter: { type: 'string', multiple: true, value: 'NAME=VALUE', help: 'a training parameter' },
  link: {
    type: 'string',
    multiple: true,
    value: 'RELATION=WHAT',
    help: `${relations.join(', ')}; WHAT is a digest, a recorded name or a path`,
  },
  notes: { type: 'string', value: 'TEXT', help: 'anything else' },
  reason: { type: 'string', value: 'TEXT', help: 'why an earlier statement is corrected or withdrawn' },
};

/** @throws `OPTION_VALUE` with the form that was expected */
export function factsFrom(call: Call): Facts {
  const text = (name: string) => textOption(call, name);
  const only = <K extends string, V>(key: K, value: V | undefined) =>
    (value === undefined ? {} : { [key]: value }) as Partial<Record<K, V>>;
  const employer = text('employer');
  const authors = textsOption(call, 'author').map((name) => ({ name, ...only('employer', employer) }));
  if (employer !== undefined && authors.length === 0) refuse('employer', '--author NAME beside it', employer);
  const made = { ...only('from', text('made-from')), ...only('to', text('made-to')) };
  const how = text('how') as How['way'] | undefined;
  if (how === undefined) {
    for (const name of ['source', 'terms'])
      if (text(name) !== undefined) refuse(name, `--how beside it: ${WAYS.join(', ')}`, text(name)!);
  }
  const effort = Object.fromEntries(textsOption(call, 'effort').map(effortOf));
  const quality = textsOption(call, 'quality').map(qualityOf);
  const links = textsOption(call, 'link').map(linkOf);
  const parameters = Object.fromEntries(textsOption(call, 'parameter').map(parameterOf));
  const level = text('confidentiality') as (typeof LEVELS)[number] | undefined;
  const parts = Object.fromEntries(textsOption(call, 'part').map((part) => [part, {}]));
  const some = (value: object) => Object.keys(value).length > 0;
  return {
    ...only('name', text('name')),
    ...only('description', text('description')),
    ...(authors.length > 0 ? { authors } : {}),
    ...(some(made) ? { made } : {}),
    ...(how === undefined
      ? {}
      : { how: { way: how, ...only('from', text('source')), ...only('terms', text('terms')) } }),
    ...only('country', text('country')),
    ...(some(effort) ? { effort } : {}),
    ...(quality.length > 0 ? { quality } : {}),
    ...(level === undefined ? {} : { confidentiality: { level } }),
    ...(some(parts) ? { parts } : {}),
    ...(some(parameters) ? { parameters } : {}),
    ...(links.length > 0 ? { links } : {}),
    ...only('notes', text('notes')),
    ...only('reason', text('reason')),
  };
}

function refuse(option: string, expected: string, got: string): never {
  throw usageError('OPTION_VALUE', `--${option} is not in its form`, { expected, got });
}

/** `obtaining=120h,5000EUR,8xGPU`: hours of people, money, device hours. */
function effortOf(given: string): [EffortBucket, Spent] {
  const form = 'BUCKET=120h,5000EUR,8xGPU: hours, money with its three-letter currency, hours x device; any of them';
  const [bucket, rest] = split(given, '=', 'effort', form);
  if (!(effortBuckets as readonly string[]).includes(bucket)) {
    const near = nearest(bucket, effortBuckets);
    refuse('effort', `${effortBuckets.join(', ')}${near === null ? '' : `; did you mean ${near}?`}`, bucket);
  }
  const spent: { -readonly [K in keyof Spent]: Spent[K] } = {};
  for (const item of rest.split(',')) {
    const match = /^\s*(\d+(?:\.\d+)?)\s*(?:(h)|([A-Z]{3})|x\s*(.+?))\s*$/.exec(item);
    if (match === null) return refuse('effort', form, item);
    const amount = Number(match[1]);
    if (match[2] !== undefined) spent.hours = amount;
    else if (match[3] !== undefined) {
      spent.cost = amount;
      spent.currency = match[3];
    } else spent.compute = { hours: amount, device: match[4]! };
  }
  return [bucket as EffortBucket, spent];
}

function qualityOf(given: string): Measured {
  const form = 'METRIC=VALUE@TESTSET, for example f1=0.81@test.csv';
  const [metric, rest] = split(given, '=', 'quality', form);
  const at = rest.indexOf('@');
  const number = at === -1 ? rest : rest.slice(0, at);
  if (!/^[+-]?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(number)) refuse('quality', form, given);
  if (at === rest.length - 1) refuse('quality', form, given);
  return { metric, value: Number(number), ...(at === -1 ? {} : { on: rest.slice(at + 1) }) };
}

function linkOf(given: string): LinkTo {
  const form = `RELATION=WHAT, RELATION one of ${relations.join(', ')}`;
  const [relation, to] = split(given, '=', 'link', form);
  if (!(relations as readonly string[]).includes(relation)) refuse('link', form, given);
  return { relation: relation as Relation, to };
}

/** Numbers, true and false become what they look like; everything else stays text. */
function parameterOf(given: string): [string, Scalar] {
  const [name, value] = split(given, '=', 'parameter', 'NAME=VALUE, for example epochs=50');
  if (value === 'true' || value === 'false') return [name, value === 'true'];
  return [name, /^-?(0|[1-9]\d*)(\.\d+)?(e[+-]?\d+)?$/i.test(value) ? Number(value) : value];
}

function split(given: string, mark: string, option: string, form: string): [string, string] {
  const at = given.indexOf(mark);
  if (at < 1 || at === given.length - 1) refuse(option, form, given);
  return [given.slice(0, at).trim(), given.slice(at + 1).trim()];
}
