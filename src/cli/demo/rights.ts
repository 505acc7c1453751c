/** The chapter on rights: what the law protects of the maker's work as things stand, and after a week of good practice. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { collect, recordAssets } from '../../record/index.js';
import {
  addMeasure,
  addTerms,
  answerQuestion,
  loadLaw,
  loadMeasures,
  type Matrix,
  matrixOf,
  noticesOf,
  type Right,
  rulesDay,
} from '../../rights/index.js';
import type { Room } from '../../room/index.js';
import { movesBetween } from '../rights/ask.js';
import { rightNames } from '../rights/words.js';
import type { Narrator } from './journey.js';

export interface RightsTold {
  /** The EU database right in the fleet's data, and why. */
  readonly fleetDatabaseRight: { readonly answer: string; readonly decides: readonly string[] };
  readonly raised: readonly {
    readonly asset: string;
    readonly right: string;
    readonly from: string;
    readonly to: string;
    readonly places: readonly string[];
  }[];
}

interface World {
  readonly room: Room;
  readonly folder: string;
  readonly customers: readonly string[];
}

/** @param world the fleet's data and the model are recorded, and the model is released to every customer */
export async function rightsChapter(world: World, tell: Narrator): Promise<RightsTold> {
  const { room } = world;
  tell.step('Which right protects what, where?', 'muniment rights');
  const before = await matrix(room);
  const fleet = cell(before, 'fleet.csv', 'database-right', 'EU');
  tell.say(
    'The machines were sold to customers and report what they measure, so their data come from connected products (the story says so; the record repeats it).',
  );
  tell.say(
    `Database right in fleet.csv, EU: ${words(fleet)}. ${fleet.reasons.find((one) => fleet.decides.includes(one.id))?.why[0]}.`,
  );
  for (const place of ['UK', 'US', 'KR']) {
    const other = cell(before, 'fleet.csv', 'database-right', place);
    const why = other.reasons.find((one) => other.decides.includes(one.id))?.why[0];
    tell.say(`The same in ${place}: ${words(other)}. ${why}.`);
  }
  for (const place of ['EU', 'DE', 'US', 'CN'])
    tell.say(`Trade secret in pump.onnx, ${place}: ${words(cell(before, 'pump.onnx', 'trade-secret', place))}.`);

  tell.step(
    'What would raise that, done and recorded',
    'muniment rights ask; muniment rights measure M11; muniment terms add nda.txt',
  );
  await goodPractice(world);
  const after = await matrix(room);
  // What is settled by it, of the two assets that the story is about.
  const raised = movesBetween(before, after).filter(
    (one) => ['fleet.csv', 'fleet.csv/raw', 'pump.onnx'].includes(one.asset) && !one.to.startsWith('unknown'),
  );
  tell.say(
    'Answered: nothing is published, nobody else knows it. Recorded: who made the model and chose what; need-to-know access, briefed staff, encryption; signed terms with both customers (all invented for the story).',
  );
  for (const one of raised)
    tell.say(`${rightNames[one.right]} in ${one.asset}: ${one.from} → ${one.to}: ${one.places.join(' ')}`);
  tell.say(noticesOf(after, rulesDay(loadLaw())).slice(0, 3).join(' '));
  return { fleetDatabaseRight: { answer: fleet.answer, decides: fleet.decides }, raised };
}

async function matrix(room: Room): Promise<Matrix> {
  const asOf = room.clock.now().toISOString().slice(0, 10);
  return matrixOf(loadLaw(), loadMeasures(), await collect(room.ledger.statements()), { asOf });
}

function cell(from: Matrix, asset: string, right: Right, place: string) {
  const row = from.rows.find((one) => one.subjects.some((subject) => subject.asset?.name === asset))!;
  return row.cells.find((one) => one.rule.right === right && one.rule.jurisdiction === place)!;
}

const words = ({ answer, range, attainable }: ReturnType<typeof cell>): string =>
  answer === 'unknown'
    ? `unknown, ${['no', 'unlikely', 'arguable', 'likely', 'yes'].slice(range.low, range.high + 1).join(' or ')}`
    : answer === attainable
      ? answer
      : `${answer} (could be ${attainable})`;

async function goodPractice({ room, folder, customers }: World): Promise<void> {
  const law = loadLaw();
  const measures = loadMeasures();
  const today = room.clock.now().toISOString().slice(0, 10);
  for (const [fact, value] of [
    ['published', 'no'],
    ['generally-known', 'no'],
    ['legitimate-interest', 'yes'],
    ['maker-place', 'NL'],
  ] as const) {
    await answerQuestion(room, law, { fact, value, asset: null });
  }
  for (const [measure, text] of [
    ['M03', 'access for four named engineers, reviewed each quarter'],
    ['M04', 'yearly briefing, signed by each'],
    ['M11', 'encrypted disks; keys in a hardware module'],
  ] as const) {
    await addMeasure(room, measures, { measure, state: 'in-force', on: today, text });
  }
  const nda = path.join(folder, 'nda.txt');
  await writeFile(nda, 'Stands for the signed agreements of the story.\n');
  await addTerms(room, {
    kind: 'maintenance',
    parties: customers,
    file: nda,
    signed: today,
    scope: 'the pump-failure model and the data it was trained on',
    clauses: { reverseEngineering: true, extraction: true, distillation: true, returnOrDestroy: true, specific: true },
    governingLaw: 'NL',
  });
  const authors = [
    { name: 'Ada Example', relation: 'employee' as const, part: 'chose sensors, labels and architecture' },
  ];
  await recordAssets(room, [
    { kind: 'training-set', paths: [path.join(folder, 'fleet.csv')], facts: { authors, reason: 'who made it' } },
    {
      kind: 'model',
      paths: [path.join(folder, 'pump.onnx')],
      facts: { name: 'pump.onnx', authors, reason: 'who made it' },
    },
  ]);
}
