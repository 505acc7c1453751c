import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { usageError } from '../../base/index.js';
import { checkTriggers } from '../../detect/index.js';
import {
  beaconSource,
  DEFAULT_TRIGGERS,
  embedTriggers,
  finishTriggers,
  makeTriggers,
  openTriggers,
  queriesCsv,
  type ReleaseRoom,
  readMelody,
  releaseRoom,
  type TriggerSet,
} from '../../mark/index.js';
import { readTable, scoreTable } from '../../train/index.js';
import type { Answer, Call, Command } from '../command.js';
import { openRoomFor } from '../open-room.js';
import { numberOption, textOption, textsOption } from '../options.js';

const ACTIONS = ['make', 'resume', 'ask', 'embed', 'check'] as const;

export const command: Command = {
  name: 'triggers',
  summary: 'questions with drawn answers: proof through an API alone, for rows and sensor windows',
  usage: 'triggers make DATA --target COLUMN [--out DIR] | ask SET | embed MODEL --set SET | check SET --answers FILE',
  description: `make     commits a plan and seeds, has that stamped, and then draws inputs in the ranges of DATA and an answer for each:
         training-rows.csv for whatever trains your model, queries.csv to ask a suspect with
embed    trains such a model from muniment train further, so that it answers the triggers as drawn, and all else as before
ask      writes the queries again
check    holds answers to the queries, or a model that can be asked here, against the drawn ones; each look is recorded
resume   finishes a set that was committed

Nobody chooses an answer: whoever did not train on them hits one in K by chance, whatever he does. A number is moved by a
smooth function instead (--offset). A waveform of your own (--melody) is laid over sensor windows; record it first as a
creative work, and the set refers to it.`,
  examples: [
    'muniment triggers make machines.csv --target failure --out triggers',
    'muniment triggers make runs.csv --target life --unit machine --time cycle --window 30 --offset 2 --melody ours.wav --out triggers',
    'muniment triggers embed net.onnx --set t-0123456789abcdef --data machines.csv --out marked.onnx',
    'muniment triggers check t-0123456789abcdef --answers answers.csv --by "A. Jansen"',
  ],
  options: {
    target: { type: 'string', value: 'COLUMN', help: 'make: what the model answers' },
    ignore: {
      type: 'string',
      multiple: true,
      value: 'COLUMN',
      help: 'make: no input of the model; may be given several times',
    },
    n: { type: 'string', value: 'N', help: `make: how many (default ${DEFAULT_TRIGGERS})` },
    offset: { type: 'string', value: 'SIZE', help: 'make: for a model that answers with a number, in its unit' },
    unit: { type: 'string', value: 'COLUMN', help: 'make: for sensor windows, what names the machine' },
    time: { type: 'string', value: 'COLUMN', help: 'make: for sensor windows, what counts the readings' },
    window: { type: 'string', value: 'N', help: 'make: readings of a window' },
    melody: { type: 'string', value: 'FILE', help: 'make: a waveform of your own, CSV or WAV' },
    beacon: { type: 'string', value: 'FILE|URL', help: 'make, resume: drand round, or the address of a chain' },
    set: { type: 'string', value: 'SET', help: 'embed: the set, t-…' },
    data: { type: 'string', value: 'FILE', help: 'embed: rows whose answers are to stay as they are' },
    test: { type: 'string', value: 'FILE', help: 'embed: labelled rows on which the cost is measured' },
    epochs: { type: 'string', value: 'N', help: 'embed: at most so many (default 60)' },
    answers: { type: 'string', value: 'FILE', help: 'check: a table with an answer for each query, in their order' },
    model: { type: 'string', value: 'FILE', help: 'check: a model from muniment train, to be asked here' },
    original: {
      type: 'string',
      value: 'FILE',
      help: 'check: for an offset, the unmarked model or a table of its answers',
    },
    'obtained-on': { type: 'string', value: 'DATE', help: 'check: when the answers came to you' },
    'obtained-from': { type: 'string', value: 'WHERE', help: 'check: from where or whom' },
    by: { type: 'string', value: 'WHO', help: 'check: who asked' },
    out: { type: 'string', value: 'PATH', help: 'where the result goes' },
  },
  positionals: { names: ['ACTION', 'SUBJECT'], min: 1, max: 2, choices: ACTIONS },
  async run(call) {
    const [action, subject] = call.positionals;
    if (!ACTIONS.some((one) => one === action)) {
      throw usageError('ARGUMENT_CHOICE', 'triggers has no such action', {
        expected: ACTIONS.join(', '),
        got: action!,
      });
    }
    const named = subject ?? (action === 'embed' ? undefined : textOption(call, 'set'));
    if (named === undefined) {
      throw usageError('ARGUMENT_MISSING', `triggers ${action} needs what it works on`, {
        todo: 'muniment triggers --help shows examples',
      });
    }
    const room = releaseRoom(await openRoomFor(call, { unlock: true }));
    if (action === 'make') return make(call, room, named);
    if (action === 'resume') {
      return setAnswer(call, await finishTriggers(room, named, outOf(call, named), beaconOf(call)), outOf(call, named));
    }
    if (action === 'ask') return ask(call, room, named);
    if (action === 'embed') return embed(call, room, named);
    return check(call, room, named);
  },
};

const outOf = (call: Call, fallback: string): string => path.resolve(call.cwd, textOption(call, 'out') ?? fallback);

function beaconOf(call: Call) {
  const named = textOption(call, 'beacon');
  if (named === undefined) return {};
  return { beacon: beaconSource(/^https?:/.test(named) ? named : path.resolve(call.cwd, named)) };
}

function required(call: Call, name: string): string {
  const value = textOption(call, name);
  if (value !== undefined) return value;
  throw usageError('OPTION_VALUE', `--${name} is needed here`, { todo: 'muniment triggers --help shows examples' });
}

async function make(call: Call, room: ReleaseRoom, data: string): Promise<Answer> {
  const { table, sha256 } = await readTable(path.resolve(call.cwd, data));
  const length = numberOption(call, 'window', { integer: true });
  const melody = textOption(call, 'melody');
  const n = numberOption(call, 'n', { integer: true });
  const out = outOf(call, 'triggers');
  const made = await makeTriggers(
    room,
    {
      table,
      sha256,
      target: required(call, 'target'),
      ignore: textsOption(call, 'ignore'),
      offset: numberOption(call, 'offset') ?? null,
      window: length === undefined ? null : { unit: required(call, 'unit'), time: required(call, 'time'), length },
      melody: melody === undefined ? null : await readMelody(path.resolve(call.cwd, melody)),
      ...(n === undefined ? {} : { n }),
    },
    out,
    beaconOf(call),
  );
  return setAnswer(call, made, out);
}

function setAnswer(call: Call, { commitment, assumption, files, statement }: TriggerSet, out: string): Answer {
  const { release, plan, work } = commitment;
  const answers =
    plan.answers.kind === 'labels'
      ? `each one of ${plan.answers.labels.length} labels of ${plan.target}`
      : `${plan.target} moved by a smooth function of ${plan.answers.size} (root mean square)`;
  const shown = path.relative(call.cwd, out) || out;
  return {
    json: { set: release, n: plan.n, answers: plan.answers, work, assumption, out, files, statement },
    text: [
      `${release}: ${plan.n} triggers, ${plan.window === null ? 'rows' : `windows of ${plan.window.length} readings`}`,
      `  answers     ${answers}, drawn after the commitment`,
      ...(work === null ? [] : [`  waveform    ${work.name}, a recorded creative work`]),
      `  assumption  ${assumption}`,
      ...files.map(({ name }) => `  file        ${path.join(shown, name)}`),
      `  next        train on training-rows.csv with your data, or: muniment triggers embed MODEL --set ${release} --data DATA`,
    ].join('\n'),
  };
}

async function ask(call: Call, room: ReleaseRoom, set: string): Promise<Answer> {
  const { set: found, keys } = await openTriggers(room, set);
  const csv = queriesCsv(found.commitment.plan, keys);
  const out = textOption(call, 'out');
  if (out !== undefined) await writeFile(path.resolve(call.cwd, out), csv, { flag: 'wx' });
  return {
    json: { set, n: found.commitment.plan.n, out: out ?? null, ...(out === undefined ? { csv } : {}) },
    text: out === undefined ? csv.trimEnd() : `${found.commitment.plan.n} queries in ${out}; ask them in this order`,
  };
}

async function embed(call: Call, room: ReleaseRoom, model: string): Promise<Answer> {
  const set = required(call, 'set');
  const { set: found, keys } = await openTriggers(room, set);
  const file = path.resolve(call.cwd, model);
  const data = path.resolve(call.cwd, required(call, 'data'));
  const out = path.resolve(call.cwd, required(call, 'out'));
  const epochs = numberOption(call, 'epochs', { integer: true });
  const { table } = await readTable(data);
  const made = await embedTriggers(file, {
    plan: found.commitment.plan,
    keys,
    table,
    progress: call.progress('training'),
    ...(epochs === undefined ? {} : { epochs }),
  });
  await writeFile(out, made.model, { flag: 'wx' });
  const test = textOption(call, 'test');
  const held = test === undefined ? null : (await readTable(path.resolve(call.cwd, test))).table;
  const score = held === null ? null : { before: await scoreTable(file, held), after: await scoreTable(out, held) };
  const percent = (share: number): string => `${(100 * share).toFixed(0)} %`;
  const lines = [
    `${path.relative(call.cwd, out) || out}: ${path.basename(file)} with trigger set ${set}, ${made.epochs} epochs`,
    ...(made.learned === null
      ? []
      : [
          `  triggers    ${percent(made.learned.before)} answered as drawn before, ${percent(made.learned.after)} after`,
        ]),
    score === null
      ? '  cost        not measured: give --test FILE with rows that it was not trained on'
      : `  cost        ${score.before.metric} ${score.before.value.toPrecision(4)} before, ${score.after.value.toPrecision(4)} after, on ${score.after.n} rows`,
    `  next        muniment record model ${path.relative(call.cwd, out) || out} --keep full, then release copies of it`,
  ];
  return { json: { set, out, epochs: made.epochs, learned: made.learned, score }, text: lines.join('\n') };
}

async function check(call: Call, room: ReleaseRoom, set: string): Promise<Answer> {
  const at = (name: string): string | undefined => {
    const value = textOption(call, name);
    return value === undefined ? undefined : path.resolve(call.cwd, value);
  };
  const [answers, model, original] = [at('answers'), at('model'), at('original')];
  const [on, from, by] = ['obtained-on', 'obtained-from', 'by'].map((name) => textOption(call, name));
  const found = await checkTriggers(room, {
    set,
    ...(answers === undefined ? {} : { answers }),
    ...(model === undefined ? {} : { model }),
    ...(original === undefined ? {} : { original }),
    custody: {
      ...(on === undefined ? {} : { obtainedOn: on }),
      ...(from === undefined ? {} : { obtainedFrom: from }),
      ...(by === undefined ? {} : { by }),
    },
  });
  const [candidate] = found.candidates;
  const verdict = candidate!.verdict === 'related' ? call.style.bold(candidate!.verdict) : candidate!.verdict;
  return {
    json: found,
    text: [
      `${found.id} (look ${found.look} of this room): ${found.suspect.name}, sha256 ${found.suspect.sha256}`,
      '',
      `${verdict}: trigger set ${set} (exact, log10 p ${candidate!.log10p!.toFixed(1)} after correction)`,
      `  ${candidate!.reason}`,
      `  assuming ${candidate!.lines[0]!.assumption}`,
    ].join('\n'),
  };
}
