/** `rights independence` and `rights search`. */
import { usageError } from '../../base/index.js';
import { collect } from '../../record/index.js';
import { addSearch, checkDay, independenceOf, registerOf, targetOf } from '../../rights/index.js';
import { earliestStamp, stampsOf } from '../../room/index.js';
import type { Answer, Call } from '../command.js';
import { openRoomFor, stampRoom } from '../open-room.js';
import { textOption, textsOption } from '../options.js';

export async function showIndependence(call: Call, words: readonly string[]): Promise<Answer> {
  const [term, ...rest] = words;
  if (term === undefined || rest.length > 0) {
    throw usageError('ARGUMENT_MISSING', 'name the model', { expected: 'muniment rights independence MODEL' });
  }
  const room = await openRoomFor(call, { unlock: false });
  const statements = await collect(room.ledger.statements());
  const stamps = stampsOf(statements);
  const file = independenceOf(registerOf(statements), targetOf(statements, term).asset, (index) =>
    earliestStamp(stamps, index),
  );
  const { bold, good, bad, warn, dim } = call.style;
  const missing = file.items.filter((one) => one.state === 'missing').length;
  const text = [
    bold(`Creation log of ${file.model.name} (${file.model.sha256.slice(0, 16)}…)`),
    ...file.steps.map((step) => {
      const day = step.made.to ?? step.made.from ?? step.firstStated.slice(0, 10);
      const vouched = step.stamp === null ? 'self-asserted' : `stamped ${step.stamp.time.slice(0, 10)}`;
      const way = step.path.length === 0 ? 'the model' : step.path.join(' › ');
      return `  ${day}  ${step.asset.kind.padEnd(20)} ${step.asset.name}  ${dim(`${way}; statement ${step.statement.index}, ${vouched}; ${step.by.join(', ') || 'nobody named'}; ${step.asset.sha256.slice(0, 12)}…`)}`;
    }),
    ...file.dangling.map((one) =>
      warn(`  ${one.from} names ${one.sha256.slice(0, 12)}… as ${one.relation}, which is not recorded`),
    ),
    '',
    bold(`What a court would ask for (${missing} of ${file.items.length} missing)`),
    ...file.items.map(
      (one) =>
        `  ${one.state === 'shown' ? good('shown  ') : bad('missing')} ${one.asks} ${one.says}${one.statements.length === 0 ? '' : ` (statement ${one.statements.map((statement) => statement.index).join(', ')})`} ${dim(`[${one.authority}]`)}`,
    ),
    '',
    bold('Searches for earlier publications'),
    ...(file.searches.length === 0
      ? ['  none recorded: muniment rights search --where DATABASE --term QUERY --asset MODEL']
      : file.searches.map(
          (one) =>
            `  ${String(one.predicate.on)}: ${(one.predicate.where as readonly string[]).join(', ')}; ${(one.predicate.found as readonly unknown[]).length} found (statement ${one.index})`,
        )),
    warn(
      'Information, not legal advice. Days without a stamp rest on the owner’s word; the log proves what was stated, not that it is complete.',
    ),
  ].join('\n');
  const view = (one: (typeof file.steps)[number]) => ({
    day: one.made.to ?? one.made.from ?? one.firstStated.slice(0, 10),
    kind: one.asset.kind,
    name: one.asset.name,
    sha256: one.asset.sha256,
    path: one.path,
    statement: one.statement.index,
    firstStated: one.firstStated,
    stamp: one.stamp,
    by: one.by,
  });
  const json = {
    model: { name: file.model.name, sha256: file.model.sha256 },
    steps: file.steps.map(view),
    dangling: file.dangling,
    items: file.items.map((one) => ({ ...one, statements: one.statements.map((statement) => statement.index) })),
    searches: file.searches.map((one) => ({ statement: one.index, ...one.predicate })),
  };
  return { json, text };
}

export async function stateSearch(call: Call): Promise<Answer> {
  const where = textsOption(call, 'where');
  const terms = textsOption(call, 'term');
  if (where.length === 0 || terms.length === 0) {
    throw usageError('ARGUMENT_MISSING', 'a search says where it looked, and for what', {
      expected: 'muniment rights search --where DATABASE --term QUERY [--found TITLE]',
    });
  }
  const assets = textsOption(call, 'asset');
  const by = textOption(call, 'by');
  const room = await openRoomFor(call, { unlock: true });
  const stated = await addSearch(room, {
    on: checkDay(textOption(call, 'on') ?? call.clock.now().toISOString().slice(0, 10)),
    where,
    terms,
    found: textsOption(call, 'found').map((what) => ({ what })),
    ...(by === undefined ? {} : { by }),
    ...(assets[0] === undefined ? {} : { asset: assets[0] }),
  });
  await stampRoom(room, call);
  return { json: stated, text: `recorded as statement ${stated.index}: a search of ${where.join(', ')}` };
}
