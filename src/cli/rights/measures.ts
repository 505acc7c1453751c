/** `rights measures` and `rights measure`. */
import path from 'node:path';
import { usageError } from '../../base/index.js';
import { type Asset, collect } from '../../record/index.js';
import {
  addMeasure,
  checkDay,
  judgeMeasures,
  lintTerms,
  loadMeasures,
  type MeasureJudgement,
  registerOf,
  targetOf,
} from '../../rights/index.js';
import type { Answer, Call } from '../command.js';
import { openRoomFor, stampRoom } from '../open-room.js';
import { flagOption, textOption, textsOption } from '../options.js';

const dayOf = (call: Call, name: string): string =>
  checkDay(textOption(call, name) ?? call.clock.now().toISOString().slice(0, 10));

export async function showMeasures(call: Call): Promise<Answer> {
  const room = await openRoomFor(call, { unlock: false });
  const statements = await collect(room.ledger.statements());
  const register = registerOf(statements);
  const measures = loadMeasures();
  const today = dayOf(call, 'as-of');
  const chosen = textsOption(call, 'asset').map((term) => targetOf(statements, term).asset);
  const assets = chosen.length > 0 ? chosen : register.registry.assets.filter(isSecret);
  const judged = assets.map((asset) => ({ asset, measures: judgeMeasures(measures, asset, register, today) }));
  const findings = register.terms.all.flatMap((terms) =>
    lintTerms(terms).map((one) => ({ ...one, statement: terms.statement.index, parties: terms.parties })),
  );
  const { bold, warn } = call.style;
  const text = [
    ...(assets.length === 0
      ? [
          'no asset is recorded as secret or confidential; name one with --asset, or record it with --confidentiality secret',
        ]
      : []),
    ...judged.flatMap(({ asset, measures: list }) => [
      bold(`${asset.name} (${asset.kind}): ${count(list)}`),
      ...list.filter((one) => one.state !== 'not-asked').map((one) => measureLine(one, call)),
      '',
    ]),
    ...(findings.length > 0 ? [bold('Terms that are weak')] : []),
    ...findings.map(
      (one) =>
        `  statement ${one.statement}, ${one.parties.join(', ')}: ${one.text} [${one.measure}; ${one.authority}]`,
    ),
    'To record one: muniment rights measure M11 --text "…" [--asset NAME] [--evidence FILE]',
    warn(
      'Information, not legal advice. No statute counts these measures; each is judged for each secret by itself. † unverified',
    ),
  ].join('\n');
  const json = {
    asOf: today,
    assets: judged.map(({ asset, measures: list }) => ({
      name: asset.name,
      kind: asset.kind,
      sha256: asset.sha256,
      measures: list.map((one) => ({
        id: one.measure.id,
        name: one.measure.name,
        state: one.state,
        why: one.why(),
        core: one.measure.core,
        statements: one.statements.map((statement) => statement.index),
        authority: one.measure.authority,
      })),
    })),
    terms: findings,
  };
  return { json, text };
}

const isSecret = (asset: Asset): boolean => {
  const { level } = (asset.predicate.confidentiality ?? {}) as { level?: string };
  return level === 'secret' || level === 'confidential';
};

function count(list: readonly MeasureJudgement[]): string {
  const of = (state: MeasureJudgement['state']): number => list.filter((one) => one.state === state).length;
  return `${of('met')} met, ${of('stale')} stale, ${of('missing')} missing, ${of('not-asked')} without object`;
}

function measureLine({ measure, state, why, statements }: MeasureJudgement, call: Call): string {
  const { good, warn, bad } = call.style;
  const word = { met: good('met    '), stale: warn('stale  '), missing: bad('missing'), 'not-asked': 'none   ' }[state];
  const authority = measure.authority.map((one) => `${one.cite}${one.verified ? '' : ' †'}`).join('; ');
  const by = statements.length === 0 ? '' : ` (statement ${statements.map((one) => one.index).join(', ')})`;
  return `  ${measure.id}${measure.core ? '*' : ' '} ${word} ${measure.name}: ${why()}${by} [${authority}]`;
}

export async function stateMeasure(call: Call, words: readonly string[]): Promise<Answer> {
  const [measure, ...rest] = words;
  if (measure === undefined || rest.length > 0) {
    throw usageError('ARGUMENT_MISSING', 'name the measure', { expected: 'muniment rights measure M11 [--text …]' });
  }
  const room = await openRoomFor(call, { unlock: true });
  const [text, until, by] = ['text', 'until', 'by'].map((name) => textOption(call, name));
  const stated = await addMeasure(room, loadMeasures(), {
    measure,
    state: flagOption(call, 'ended') ? 'ended' : 'in-force',
    on: dayOf(call, 'on'),
    ...(until === undefined ? {} : { until }),
    ...(text === undefined ? {} : { text }),
    ...(by === undefined ? {} : { by }),
    assets: textsOption(call, 'asset'),
    files: textsOption(call, 'evidence').map((file) => path.resolve(call.cwd, file)),
    ...(textsOption(call, 'person').length === 0 ? {} : { persons: textsOption(call, 'person') }),
  });
  await stampRoom(room, call);
  return {
    json: { ...stated, measure },
    text: `recorded as statement ${stated.index}: ${measure} ${flagOption(call, 'ended') ? 'ended' : 'in force'}`,
  };
}
