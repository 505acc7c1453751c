import { access, open, rename, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { MunimentError, usageError } from '../../base/index.js';
import { recordAssets } from '../../record/index.js';
import type { Room } from '../../room/index.js';
import {
  measuresOf,
  readTable,
  type Trained,
  type TrainSettings,
  tableCsv,
  trainingAssets,
  trainModel,
} from '../../train/index.js';
import type { Call, Command } from '../command.js';
import { factsFrom, factsOptions } from '../facts-options.js';
import { openRoomFor } from '../open-room.js';
import { flagOption, numberOption, textOption, textsOption } from '../options.js';
import { table } from '../table.js';

const CLASS_WEIGHTS = ['none', 'root', 'balanced'] as const;
const TASKS = ['classify', 'forecast'] as const;
/** Facts about the model that only people know; data sets have a command of their own. */
const FACTS = ['name', 'description', 'author', 'employer', 'country', 'effort', 'confidentiality', 'notes'] as const;

export const command: Command = {
  name: 'train',
  summary: 'train a model on a table or on sensor windows, and record all of it',
  usage: 'train DATA --target COLUMN [--task classify|forecast] [OPTIONS]',
  description: `DATA is CSV or Parquet with a header. Writes an ONNX model that takes raw columns, its test set and a training report,
and records training set, test set, training parameters, architecture and model in the room.
Several nets are tried; the choice, the epochs and the threshold come from held-out training data, and the test set is
used once, at the end. A training that was interrupted goes on where it stood when the command is given again.`,
  examples: [
    'muniment train machines.csv --target failure --ignore serial --out failure.onnx',
    'muniment train runs.csv --task forecast --target remaining_life --run-to-failure --unit machine --time cycle --life-cap 125',
    'muniment train machines.parquet --target failure --hidden 64,64 --seed 817 --author "Ada Lovelace" --effort creation=40h',
    'muniment train machines.csv --target failure --no-record',
  ],
  options: {
    target: { type: 'string', value: 'COLUMN', help: 'what to tell from the other columns' },
    task: { type: 'string', choices: TASKS, value: 'TASK', help: 'classes or a number (default: classify)' },
    out: { type: 'string', value: 'FILE', help: 'the model (default: DATA with .onnx)' },
    force: { type: 'boolean', help: 'write over an existing model' },
    ignore: { type: 'string', multiple: true, value: 'COLUMN', help: 'a column that must not be an input' },
    unit: { type: 'string', value: 'COLUMN', help: 'sensor windows: which column names the machine' },
    time: { type: 'string', value: 'COLUMN', help: 'sensor windows: which column is time or cycles' },
    window: { type: 'string', value: 'N', help: 'readings per window (default 30)' },
    'run-to-failure': {
      type: 'boolean',
      help: 'the last reading of every unit is its failure: the target is the time left, not a column',
    },
    'life-cap': { type: 'string', value: 'TIME', help: 'longer lives count as this (with --run-to-failure)' },
    hidden: { type: 'string', value: 'N,N', help: 'widths of the hidden layers, instead of trying several' },
    channels: { type: 'string', value: 'N,N', help: 'sensor windows: channels of the convolutions' },
    plain: { type: 'boolean', help: 'no logarithms and differences of columns as further features' },
    epochs: { type: 'string', value: 'N', help: 'most epochs (default 60; windows 30)' },
    patience: { type: 'string', value: 'N', help: 'stop after so many epochs without gain (default 20; windows 8)' },
    batch: { type: 'string', value: 'N', help: 'examples per step (default 64; windows 128)' },
    rate: { type: 'string', value: 'R', help: 'learning rate (default 0.005; windows 0.001)' },
    decay: { type: 'string', value: 'D', help: 'weight decay (default 0)' },
    'class-weights': {
      type: 'string',
      choices: CLASS_WEIGHTS,
      value: 'HOW',
      help: 'what rare classes count more by (default root)',
    },
    'test-share': { type: 'string', value: 'S', help: 'share of rows or units held out for the test (default 0.2)' },
    seed: { type: 'string', value: 'N', help: 'repeats a training; drawn at random when not given, and recorded' },
    'no-record': { type: 'boolean', help: 'only train: no room, no record' },
    ...Object.fromEntries(FACTS.map((name) => [name, factsOptions[name]!])),
  },
  positionals: { names: ['DATA'], min: 1, max: 1 },
  async run(call) {
    const files = filesOf(call);
    if (!flagOption(call, 'force')) await refuseExisting(files.model);
    // Before the work, so that a missing room or passphrase does not cost a training.
    const room = flagOption(call, 'no-record') ? null : await roomFor(call);
    const data = await readTable(files.data);
    const trained = await trainModel({
      ...settingsOf(call),
      ...data,
      checkpoint: files.checkpoint,
      progress: call.progress('training'),
    });
    await writeWhole(files.test, tableCsv(data.table, trained.testRows));
    await writeWhole(files.report, `${JSON.stringify(trained.record, null, 2)}\n`);
    await writeWhole(files.model, trained.model);
    const recorded = room === null ? null : await recordAll(call, room, trained, files);
    for (const hint of trained.record.hints) call.note(hint);
    return {
      json: { model: files.model, test: files.test, report: files.report, training: trained.record, recorded },
      text: summaryOf(call, trained, files, recorded !== null),
    };
  },
};

interface Files {
  readonly data: string;
  readonly model: string;
  readonly test: string;
  readonly report: string;
  readonly checkpoint: string;
}

function filesOf(call: Call): Files {
  const data = path.resolve(call.cwd, call.positionals[0]!);
  const stem = path.join(call.cwd, path.basename(data).replace(/\.(csv|tsv|txt|parquet)$/i, ''));
  const model = path.resolve(call.cwd, textOption(call, 'out') ?? `${stem}.onnx`);
  const base = model.replace(/\.onnx$/i, '');
  return {
    data,
    model,
    test: `${base}.test.csv`,
    report: `${base}.training.json`,
    checkpoint: `${base}.checkpoint`,
  };
}

async function refuseExisting(file: string): Promise<void> {
  const exists = await access(file).then(
    () => true,
    () => false,
  );
  if (exists) {
    throw usageError('TRAIN_OUT_EXISTS', 'there is a file of this name already', {
      where: file,
      todo: 'name another with --out, or add --force',
    });
  }
}

async function roomFor(call: Call): Promise<Room> {
  try {
    return await openRoomFor(call, { unlock: true });
  } catch (error) {
    if (!(error instanceof MunimentError) || error.code !== 'ROOM_NOT_FOUND') throw error;
    throw usageError('ROOM_NOT_FOUND', 'there is no room here to record the training in', {
      ...error.facts,
      todo: 'muniment init makes one; --no-record trains without',
      cause: error,
    });
  }
}

function settingsOf(call: Call): Omit<TrainSettings, 'table' | 'sha256'> {
  const target = textOption(call, 'target');
  if (target === undefined) {
    throw usageError('OPTION_MISSING', 'train needs to know what to tell', { expected: '--target COLUMN' });
  }
  const whole = (name: string, max: number) => numberOption(call, name, { min: 1, max, integer: true });
  const seed = numberOption(call, 'seed', { min: 0, max: Number.MAX_SAFE_INTEGER, integer: true });
  const weights = textOption(call, 'class-weights') as (typeof CLASS_WEIGHTS)[number] | undefined;
  return {
    task: (textOption(call, 'task') ?? 'classify') as (typeof TASKS)[number],
    target,
    ignore: textsOption(call, 'ignore'),
    derive: !flagOption(call, 'plain'),
    ...windowOf(call),
    ...given('hidden', widths(call, 'hidden')),
    ...given('channels', widths(call, 'channels')),
    ...given('epochs', whole('epochs', 100_000)),
    ...given('patience', whole('patience', 100_000)),
    ...given('batch', whole('batch', 65_536)),
    ...given('rate', numberOption(call, 'rate', { min: 1e-9, max: 10 })),
    ...given('decay', numberOption(call, 'decay', { min: 0, max: 10 })),
    ...given('testShare', numberOption(call, 'test-share', { min: 0.01, max: 0.9 })),
    ...given('classWeights', weights),
    ...given('seed', seed),
  };
}

const given = <K extends string, V>(key: K, value: V | undefined): Partial<Record<K, V>> =>
  (value === undefined ? {} : { [key]: value }) as Partial<Record<K, V>>;

function windowOf(call: Call): Pick<TrainSettings, 'window' | 'life'> {
  const [unit, time] = [textOption(call, 'unit'), textOption(call, 'time')];
  const length = numberOption(call, 'window', { min: 2, max: 10_000, integer: true });
  const toFailure = flagOption(call, 'run-to-failure');
  const cap = numberOption(call, 'life-cap', { min: Number.MIN_VALUE }) ?? null;
  if ((unit === undefined) !== (time === undefined) || (unit === undefined && (length !== undefined || toFailure))) {
    throw usageError('OPTION_VALUE', 'sensor windows need the column of the machine and the column of time', {
      expected: '--unit COLUMN --time COLUMN',
    });
  }
  if (cap !== null && !toFailure) {
    throw usageError('OPTION_VALUE', '--life-cap goes with --run-to-failure', { got: `--life-cap ${cap}` });
  }
  if (unit === undefined || time === undefined) return {};
  return { window: { unit, time, length: length ?? 30 }, ...(toFailure ? { life: { cap } } : {}) };
}

function widths(call: Call, name: string): readonly number[] | undefined {
  const text = textOption(call, name);
  if (text === undefined) return undefined;
  const numbers = text.split(',').map((part) => (/^\s*\d+\s*$/.test(part) ? Number(part) : 0));
  if (numbers.length > 16 || numbers.some((width) => width < 1 || width > 16_384)) {
    throw usageError('OPTION_VALUE', `--${name} is not a list of widths`, {
      expected: 'up to 16 whole numbers from 1 to 16,384: 64,64',
      got: text,
    });
  }
  return numbers;
}

/** A file is there whole or not at all. */
async function writeWhole(file: string, content: string | Uint8Array): Promise<void> {
  const temporary = `${file}.${process.pid}.tmp`;
  try {
    const handle = await open(temporary, 'w');
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

function recordAll(call: Call, room: Room, trained: Trained, files: Files) {
  const facts = factsFrom(call);
  const name = facts.name ?? path.basename(files.model);
  const machine = `${os.availableParallelism()} × ${os.cpus()[0]?.model.trim() ?? os.arch()}`;
  const requests = trainingAssets(trained, { ...files, name, machine, facts });
  return recordAssets(room, requests, { progress: (label) => call.progress(label) });
}

function summaryOf(call: Call, { record }: Trained, files: Files, recorded: boolean): string {
  const { style } = call;
  const quality = measuresOf(record.quality).map(({ metric, value }) => `${metric} ${value.toFixed(3)}`);
  const tried = record.alternatives.map((one) => [
    one.chosen ? style.good('chosen') : '',
    one.net,
    `${one.metric} ${one.score.toFixed(3)}`,
    `${one.parameters} parameters`,
    `${(1000 * one.latency.milliseconds).toFixed(0)} µs`,
    one.chosen ? '' : one.reason,
  ]);
  const left = record.dropped.filter(({ reason }) => reason !== 'ignored as asked');
  return [
    `${style.bold(files.model)}: ${record.task === 'classify' ? 'tells' : 'forecasts'} ${record.target} from ${record.inputs.length} columns`,
    `on ${record.quality.n} test examples: ${quality.join(', ')}`,
    `tried, on held-out training data:\n${table(tried)}`,
    ...(left.length === 0 ? [] : [`left out: ${left.map(({ name, reason }) => `${name} (${reason})`).join('; ')}`]),
    `seed ${record.parameters.seed}, ${record.parameters.epochs} epochs, ${record.seconds.toFixed(1)} s; report in ${files.report}`,
    recorded
      ? 'recorded: training set, test set, training parameters, architecture, model'
      : 'not recorded (--no-record)',
  ].join('\n');
}
