import { stat } from 'node:fs/promises';
import path from 'node:path';
import { usageError } from '../../base/index.js';
import { type StrengthStudy, type StudyRequest, studyForRelease } from '../../detect/index.js';
import {
  beaconSource,
  outputDrift,
  type Released,
  release,
  releaseRoom,
  resumeRelease,
  type TrainingData,
} from '../../mark/index.js';
import type { Answer, Call, Command } from '../command.js';
import { openRoomFor } from '../open-room.js';
import { flagOption, numberOption, textOption } from '../options.js';
import { table } from '../table.js';

export const command: Command = {
  name: 'release',
  summary: 'make a marked copy of a recorded model for one recipient',
  usage: 'release MODEL --to RECIPIENT [--out FILE] [--strength S | --test FILE] [--beacon FILE|URL]',
  description: `Commits the original and secret seeds in the ledger, has that stamped, binds the keys to a value that came later,
and only then draws a secret order of the hidden units and a faint mark in the weights. If anything fails, no copy is
left and the commitment stays and counts; --resume finishes it. The model must be recorded with --keep full.

Without --strength, trial copies are made and run first: the faintest mark is taken that is found in every trial, within
what it may cost on your test set (--test), or in drift of the outputs. The table of that study is shown before anything
is committed, and kept, so that every recipient's copy bears the same; --study shows it and stops.

Decision trees (XGBoost, LightGBM, ONNX) are marked by where their thresholds lie between two values of the training
data (--data): every row of it goes the way it went.`,
  examples: [
    'muniment release net.onnx --to "Example Works BV" --out net-example.onnx',
    'muniment release net.onnx --study --test held-out.csv --target failure',
    'muniment release net.safetensors --graph net.onnx --to acme --out acme.safetensors',
    'muniment release net.onnx --to acme --beacon https://api.drand.sh/52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971',
    'muniment release trees.ubj --data train.csv --to acme --out acme.ubj',
    'muniment release --resume r-0123456789abcdef --beacon round.json --out acme.onnx',
  ],
  options: {
    to: { type: 'string', value: 'RECIPIENT', help: 'for whom the copy is' },
    out: {
      type: 'string',
      value: 'FILE',
      help: 'where it goes, a folder for a model in several files (default: beside the model, named after the recipient)',
    },
    strength: {
      type: 'string',
      value: 'S',
      help: 'of the mark, in standard deviations of each tensor; 0 draws an order only (default: measured)',
    },
    test: { type: 'string', value: 'FILE', help: 'labelled table on which the cost of the mark is measured' },
    target: {
      type: 'string',
      value: 'COLUMN',
      help: 'its column of the truth (default: the one the model names, or the last)',
    },
    'most-cost': {
      type: 'string',
      value: 'X',
      help: 'what the mark may cost there: points of accuracy (default 0.1), or per cent of the RMSE (default 1)',
    },
    study: { type: 'boolean', help: 'show what each strength costs and buys, and release nothing' },
    data: {
      type: 'string',
      value: 'FILE',
      help: 'for decision trees: the table that they were trained on, CSV or Parquet',
    },
    columns: {
      type: 'string',
      value: 'NAME,…',
      help: 'its columns in the order of the model’s inputs, for a model that names none',
    },
    batches: { type: 'string', value: 'N', help: 'key batches, of which one can be opened in court (default 2)' },
    beacon: { type: 'string', value: 'FILE|URL', help: 'drand round, or the address of a chain (quicknet)' },
    graph: { type: 'string', value: 'FILE', help: 'ONNX file of the same network, for a model without a graph' },
    'plain-stack': { type: 'boolean', help: 'the model is a plain stack of layers, each used by the next alone' },
    resume: { type: 'boolean', help: 'finish a release that was committed; MODEL is then its name, r-…' },
  },
  positionals: { names: ['MODEL'], min: 0, max: 1 },
  async run(call) {
    const room = releaseRoom(await openRoomFor(call, { unlock: true }));
    const named = textOption(call, 'beacon');
    const beacon =
      named === undefined ? null : beaconSource(/^https?:/.test(named) ? named : path.resolve(call.cwd, named));
    const options = { beacon, progress: (label: string) => call.progress(label) };
    const [model] = call.positionals;
    if (flagOption(call, 'resume')) {
      const out = textOption(call, 'out');
      if (out === undefined) {
        throw usageError('OPTION_VALUE', '--resume needs --out FILE', { expected: 'where the copy goes' });
      }
      return answerOf(call, await resumeRelease(room, model ?? null, path.resolve(call.cwd, out), options), null);
    }
    const to = textOption(call, 'to');
    const only = flagOption(call, 'study');
    if (model === undefined || (to === undefined && !only)) {
      throw usageError('ARGUMENT_MISSING', 'release needs a MODEL and --to RECIPIENT', {
        todo: 'muniment release --help shows examples',
      });
    }
    const file = path.resolve(call.cwd, model);
    const isFile = (await stat(file).catch(() => null)) !== null;
    const out = path.resolve(
      call.cwd,
      textOption(call, 'out') ?? besideModel(isFile ? model : `${model}.onnx`, to ?? 'study'),
    );
    const strength = numberOption(call, 'strength');
    const batches = numberOption(call, 'batches', { integer: true });
    const graph = textOption(call, 'graph');
    const request = {
      model: isFile ? file : model,
      graph: graph === undefined ? null : path.resolve(call.cwd, graph),
      plainStack: flagOption(call, 'plain-stack'),
      ...(batches === undefined ? {} : { batches }),
    };
    const study =
      strength === undefined || only
        ? await studyForRelease(room, { ...request, ...testOptions(call), workshop: path.dirname(out) }, call.progress)
        : null;
    if (only && study === null) {
      throw usageError('MARK_TREE_STUDY', 'there is no study of strength for decision trees', {
        todo: 'release it; a copy decides every training row as the original does: muniment release MODEL --to RECIPIENT --data train.csv',
      });
    }
    if (study !== null && (only || to === undefined)) return { json: studyJson(study), text: studyText(study) };
    if (study !== null) for (const line of studyText(study).split('\n')) call.note(line);
    const released = await release(
      room,
      {
        ...request,
        recipient: to!,
        out,
        ...trainingData(call),
        ...(strength === undefined && study === null ? {} : { strength: strength ?? study!.chosen }),
        ...(study?.strengths == null ? {} : { strengths: study.strengths }),
      },
      options,
    );
    return answerOf(call, released, isFile ? file : null, study);
  },
};

function trainingData(call: Call): { data?: TrainingData } {
  const data = textOption(call, 'data');
  const columns = textOption(call, 'columns');
  if (data === undefined) return {};
  return {
    data: {
      path: path.resolve(call.cwd, data),
      ...(columns === undefined ? {} : { columns: columns.split(',').map((name) => name.trim()) }),
    },
  };
}

function testOptions(call: Call): Pick<StudyRequest, 'test' | 'target' | 'mostCost'> {
  const test = textOption(call, 'test');
  const mostCost = numberOption(call, 'most-cost');
  return {
    test: test === undefined ? null : path.resolve(call.cwd, test),
    target: textOption(call, 'target') ?? null,
    ...(mostCost === undefined ? {} : { mostCost }),
  };
}

const studyJson = ({ strengths, ...study }: StrengthStudy) => ({
  ...study,
  strengths: strengths === null ? null : Object.fromEntries(strengths),
});

/** One line a strength: what it costs, what it buys. */
function studyText(study: StrengthStudy): string {
  const { original, offers, chosen, strengths, reason } = study;
  const unit = original?.metric === 'rmse' ? '% RMSE' : 'points';
  const rows = offers.map(({ strength, cost, drift, power, verdict }) => [
    `  ${strength}`,
    cost === null ? '–' : `${cost.mean.toFixed(2)} ± ${cost.error.toFixed(2)} ${unit}`,
    drift === null ? '–' : `${(100 * drift.rms).toFixed(2)} %`,
    power === null ? 'not tried: too large' : `10^${power.worst.toFixed(0)}`,
    verdict,
  ]);
  const weakest = offers.find(({ power }) => power !== null)?.power;
  return [
    ...(original === null
      ? []
      : [
          original.metric === 'accuracy'
            ? `The original answers ${(100 * original.value).toFixed(2)} % of ${original.n} rows rightly.`
            : `The original errs by ${original.value.toPrecision(4)} (RMSE) on ${original.n} rows.`,
        ]),
    table([
      ['  strength', 'cost', 'outputs differ', weakest == null ? 'power' : `worst p of ${weakest.trials} trials`, ''],
      ...rows,
    ]),
    `Strength ${chosen}: ${reason}.`,
    ...(weakest == null
      ? []
      : [`A trial permutes, rescales, drifts by 30 %, prunes half and rounds to 4 bits, on the same copy.`]),
    ...(strengths === null
      ? []
      : [
          `Spread by what each tensor does to the outputs: ${[...strengths].map(([name, one]) => `${name} ${one}`).join(', ')}.`,
        ]),
  ].join('\n');
}

const drawnText = ({ gaps, strength, units, groups, markedWeights }: Released): string =>
  gaps > 0
    ? `thresholds in ${gaps} gaps of the training data at strength ${strength}; every row of it goes the way it went`
    : `order of ${units} units in ${groups} groups, mark in ${markedWeights} weights at strength ${strength}`;

function besideModel(model: string, recipient: string): string {
  const slug = recipient
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');
  // Shards go to a folder: their index is no file that stands alone.
  const { dir, name, ext } = path.parse(model.replace(/\.safetensors\.index\.json$/, ''));
  return path.join(dir, `${name}.${slug === '' ? 'copy' : slug}${ext}`);
}

async function answerOf(
  call: Call,
  released: Released,
  original: string | null,
  study: StrengthStudy | null = null,
): Promise<Answer> {
  const drift = original === null ? null : await outputDrift(original, released.out);
  const shown = path.relative(call.cwd, released.out) || released.out;
  const lines = [
    `${released.release}: a copy of ${released.model.name} for ${released.recipient}`,
    `  file        ${shown}`,
    `  sha256      ${released.sha256}`,
    `  drawn       ${drawnText(released)}`,
    `  assumption  ${released.assumption}`,
  ];
  if (drift !== null) {
    const same = drift.sameClass === null ? '' : `; same class in ${(100 * drift.sameClass).toFixed(0)} %`;
    lines.push(
      `  outputs     differ by ${(100 * drift.rms).toFixed(2)} % (rms) on ${drift.inputs} random inputs${same}`,
    );
  }
  return {
    json: { ...released, drift, ...(study === null ? {} : { study: studyJson(study) }) },
    text: lines.join('\n'),
  };
}
