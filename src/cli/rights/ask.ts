/** `rights ask` and `rights answer`. */
import { usageError } from '../../base/index.js';
import { collect } from '../../record/index.js';
import { answerQuestion, loadLaw, loadMeasures, matrixOf, type Question, questionsOf } from '../../rights/index.js';
import type { Answer, Call } from '../command.js';
import { openRoomFor, stampRoom } from '../open-room.js';
import { textOption, textsOption } from '../options.js';
import { ask } from './inquiry.js';
import { rightNames } from './words.js';

const SHOWN = 7;

export async function askQuestions(call: Call): Promise<Answer> {
  const { law, matrix } = await ask(call);
  const questions = questionsOf(law, matrix);
  const json = {
    questions: questions.map((one) => ({
      fact: one.fact.id,
      question: one.fact.question,
      why: one.fact.why,
      of: one.subjects.map(
        (subject) => `${subject.asset!.name}${subject.attribute === null ? '' : `/${subject.attribute}`}`,
      ),
      values: one.values,
      toShow: one.toShow ? (one.fact.follows ?? null) : null,
      cells: one.cells,
      change: one.change,
      effortMinutes: one.fact.effort,
      effects: one.effects,
    })),
  };
  if (questions.length === 0) return { json, text: 'nothing to ask: no answer would change a cell' };
  const text = [
    `${questions.length} questions could change an answer; the most valuable first (change expected for a minute's effort).`,
    '',
    ...questions.slice(0, SHOWN).flatMap((one, index) => questionLines(one, index + 1, call)),
    ...(questions.length > SHOWN ? [call.style.dim(`${questions.length - SHOWN} more with --json`)] : []),
  ].join('\n');
  return { json, text };
}

function questionLines(question: Question, number: number, call: Call): readonly string[] {
  const { fact, subjects } = question;
  const first = subjects[0];
  const of =
    first === undefined ? 'the room' : `${first.asset!.name}${first.attribute === null ? '' : `/${first.attribute}`}`;
  const values =
    fact.type === 'boolean'
      ? 'yes|no'
      : fact.type === 'choice'
        ? fact.values!.join('|')
        : fact.type === 'date'
          ? 'YYYY-MM-DD'
          : 'COUNTRY';
  return [
    `${number}. ${call.style.bold(fact.question)}`,
    `   of ${of}${subjects.length > 1 ? ` and ${subjects.length - 1} more` : ''}; about ${fact.effort} min; it bears on ${question.cells} answers (${question.rights.map((one) => rightNames[one]).join(', ')})`,
    `   ${fact.why}`,
    question.toShow
      ? `   to be shown, not answered: ${fact.follows}`
      : `   muniment rights answer ${fact.id} ${values}${first === undefined ? '' : ` --asset ${quoted(of)}`}`,
    '',
  ];
}

const quoted = (text: string): string => (/^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

export async function answer(call: Call, words: readonly string[]): Promise<Answer> {
  const [fact, value, ...rest] = words;
  if (fact === undefined || value === undefined || rest.length > 0) {
    throw usageError('ARGUMENT_MISSING', 'an answer names the fact and its value', {
      expected: 'muniment rights answer FACT VALUE [--asset NAME]',
      got: words.join(' '),
    });
  }
  const law = loadLaw();
  const assets = textsOption(call, 'asset');
  if (assets.length > 1)
    throw usageError('RIGHTS_ASSET', 'one answer is about one asset, or the room', { got: assets.join(', ') });
  const room = await openRoomFor(call, { unlock: true });
  const measures = loadMeasures();
  const asOf = room.clock.now().toISOString().slice(0, 10);
  const before = matrixOf(law, measures, await collect(room.ledger.statements()), { asOf });
  const reason = textOption(call, 'reason');
  const by = textOption(call, 'by');
  const stated = await answerQuestion(room, law, {
    fact,
    value,
    asset: assets[0] ?? null,
    ...(reason === undefined ? {} : { reason }),
    ...(by === undefined ? {} : { by }),
  });
  const after = matrixOf(law, measures, await collect(room.ledger.statements()), { asOf });
  const moves = movesBetween(before, after);
  await stampRoom(room, call);
  return {
    json: { ...stated, fact, value, asset: assets[0] ?? null, moves },
    text: [
      `recorded as statement ${stated.index}: ${fact} = ${value} of ${assets[0] ?? 'the room'}`,
      ...moves.map(
        (one) => `  ${one.asset}: ${rightNames[one.right]} in ${one.places.join(' ')}: ${one.from} → ${one.to}`,
      ),
      ...(moves.length === 0 ? ['  no answer changes'] : []),
      'a later answer takes its place; VALUE unknown takes it back',
    ].join('\n'),
  };
}

type Matrix = ReturnType<typeof matrixOf>;

/** Cells whose answer changed, by asset and right. */
export function movesBetween(before: Matrix, after: Matrix) {
  const moves = new Map<string, { asset: string; right: string; from: string; to: string; places: string[] }>();
  const earlier = new Map<string, string>();
  const each = (matrix: Matrix, visit: (name: string, right: string, place: string, words: string) => void): void => {
    for (const row of matrix.rows) {
      for (const subject of row.subjects) {
        const name = `${subject.asset!.name}${subject.attribute === null ? '' : `/${subject.attribute}`}`;
        for (const cell of row.cells) {
          const { low, high } = cell.range;
          const words = cell.answer === 'unknown' ? `unknown (${WORDS[low]} to ${WORDS[high]})` : cell.answer;
          visit(name, cell.rule.right, cell.rule.jurisdiction, words);
        }
      }
    }
  };
  each(before, (name, right, place, words) => earlier.set(`${name} ${right} ${place}`, words));
  each(after, (name, right, place, words) => {
    const from = earlier.get(`${name} ${right} ${place}`);
    if (from === undefined || from === words) return;
    const key = `${name} ${right} ${from} ${words}`;
    const move = moves.get(key) ?? { asset: name, right, from, to: words, places: [] };
    move.places.push(place);
    moves.set(key, move);
  });
  return [...moves.values()];
}

const WORDS = ['no', 'unlikely', 'arguable', 'likely', 'yes'];
