import path from 'node:path';
import { usageError } from '../../base/index.js';
import { collect } from '../../record/index.js';
import { addTerms, bindsOn, lintTerms, registerOf, type Terms, type TermsClauses } from '../../rights/index.js';
import type { Answer, Call, Command } from '../command.js';
import { openRoomFor, stampRoom } from '../open-room.js';
import { textOption, textsOption } from '../options.js';

const kinds = ['confidentiality', 'licence', 'maintenance', 'employment', 'assignment', 'terms-of-service'] as const;
/** As typed after `--clause`, and as stated. */
const clauses: Readonly<Record<string, keyof TermsClauses>> = {
  'reverse-engineering': 'reverseEngineering',
  extraction: 'extraction',
  distillation: 'distillation',
  'return-or-destroy': 'returnOrDestroy',
  'whistle-blower-notice': 'whistleBlowerNotice',
  assignment: 'assignment',
  specific: 'specific',
};

export const command: Command = {
  name: 'terms',
  summary: 'register signed agreements: who is bound, to what, until when',
  usage: 'terms [add FILE --party NAME --signed DATE]',
  description: `Without a word: the agreements in force and ended, and what is weak about each. add registers a signed one: the
file stays where it is, the ledger gets its SHA-256 and what you say about it. Names of parties are those of releases and
of --shared, so that every recipient can be held against terms in force.`,
  examples: [
    'muniment terms add nda-beispiel.pdf --party "Beispiel GmbH" --signed 2026-03-02 --until 2029-03-01 --secrecy-until 2034-03-01 --scope "the bearing-failure model and its training data" --clause reverse-engineering --clause extraction --clause distillation --clause return-or-destroy --law DE --penalty "25,000 EUR a breach"',
    'muniment terms',
  ],
  options: {
    kind: { type: 'string', choices: kinds, value: 'KIND', help: 'what kind of agreement (default: confidentiality)' },
    party: { type: 'string', multiple: true, value: 'NAME', help: 'who is bound, apart from the owner' },
    signed: { type: 'string', value: 'DATE', help: 'day of the last signature' },
    from: { type: 'string', value: 'DATE', help: 'first day in force (default: the day of signature)' },
    until: { type: 'string', value: 'DATE', help: 'last day in force (default: no end stated)' },
    'secrecy-until': { type: 'string', value: 'DATE', help: 'last day of the duty of confidence' },
    scope: { type: 'string', value: 'TEXT', help: 'what it covers, in its own words' },
    asset: {
      type: 'string',
      multiple: true,
      value: 'NAME',
      help: 'an asset that it covers (default: all of the room)',
    },
    clause: {
      type: 'string',
      multiple: true,
      choices: Object.keys(clauses),
      value: 'CLAUSE',
      help: 'what it says; what is not named, it does not say',
    },
    purpose: { type: 'string', value: 'TEXT', help: 'what the party may use it for' },
    penalty: { type: 'string', value: 'TEXT', help: 'contractual penalty, in its own words' },
    law: { type: 'string', value: 'COUNTRY', help: 'governing law, two letters' },
    notes: { type: 'string', value: 'TEXT', help: 'anything else' },
    'as-of': { type: 'string', value: 'DATE', help: 'what is in force on that day (default: today)' },
  },
  positionals: { names: ['add', 'FILE'], min: 0, max: 2, choices: ['add'] },
  async run(call) {
    const [word, file] = call.positionals;
    if (word === undefined) return list(call);
    if (word === 'add' && file !== undefined) return add(call, file);
    throw usageError('ARGUMENT_EXTRA', 'terms lists, or adds one signed file', {
      expected: 'muniment terms, or muniment terms add FILE --party NAME --signed DATE',
      got: call.positionals.join(' '),
    });
  },
};

async function add(call: Call, file: string): Promise<Answer> {
  const parties = textsOption(call, 'party');
  const signed = textOption(call, 'signed');
  if (parties.length === 0 || signed === undefined) {
    throw usageError('ARGUMENT_MISSING', 'terms name who is bound and when they were signed', {
      expected: '--party NAME --signed DATE',
    });
  }
  const said = textsOption(call, 'clause');
  const optional = {
    from: textOption(call, 'from'),
    until: textOption(call, 'until'),
    secrecyUntil: textOption(call, 'secrecy-until'),
    scope: textOption(call, 'scope'),
    purpose: textOption(call, 'purpose'),
    penalty: textOption(call, 'penalty'),
    governingLaw: textOption(call, 'law')?.toUpperCase(),
    notes: textOption(call, 'notes'),
  };
  const room = await openRoomFor(call, { unlock: true });
  const stated = await addTerms(room, {
    kind: (textOption(call, 'kind') ?? 'confidentiality') as Terms['kind'],
    parties,
    file: path.resolve(call.cwd, file),
    signed,
    assets: textsOption(call, 'asset'),
    clauses: Object.fromEntries(said.map((one) => [clauses[one]!, true])),
    ...(Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined)) as Record<
      string,
      string
    >),
  });
  const register = registerOf(await collect(room.ledger.statements()));
  const terms = register.terms.all.find((one) => one.statement.sha256 === stated.sha256)!;
  const findings = lintTerms(terms);
  await stampRoom(room, call);
  return {
    json: { ...stated, findings },
    text: [
      `recorded as statement ${stated.index}: ${terms.kind} with ${terms.parties.join(', ')}`,
      ...findings.map((one) => call.style.warn(`  weak: ${one.text} [${one.measure}; ${one.authority}]`)),
      ...(findings.length === 0
        ? ['  nothing weak found by what is recorded; the wording itself is for counsel to read']
        : []),
    ].join('\n'),
  };
}

async function list(call: Call): Promise<Answer> {
  const room = await openRoomFor(call, { unlock: false });
  const register = registerOf(await collect(room.ledger.statements()));
  const today = textOption(call, 'as-of') ?? call.clock.now().toISOString().slice(0, 10);
  const lines = register.terms.all.map((terms) => ({
    statement: terms.statement.index,
    kind: terms.kind,
    parties: terms.parties,
    scope: terms.scope,
    signed: terms.signed,
    until: terms.until,
    secrecyUntil: terms.secrecyUntil,
    inForce: bindsOn(terms, today),
    clauses: terms.clauses,
    penalty: terms.penalty,
    governingLaw: terms.governingLaw,
    findings: lintTerms(terms),
  }));
  const { good, bad, warn } = call.style;
  const text = lines.flatMap((one) => [
    `${String(one.statement).padStart(4)}  ${one.inForce ? good('in force') : bad('ended   ')}  ${one.kind}: ${one.parties.join(', ')}; signed ${one.signed}, ${one.until === null ? 'no end stated' : `until ${one.until}`}`,
    ...one.findings.map((finding) => warn(`      weak: ${finding.text} [${finding.measure}; ${finding.authority}]`)),
  ]);
  return {
    json: { asOf: today, terms: lines },
    text: text.length === 0 ? 'no terms are registered: muniment terms add FILE' : text.join('\n'),
  };
}
