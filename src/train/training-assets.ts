/** A training as the assets that `record` keeps: training set, test set, training parameters, model. */
import type { AssetRequest, Facts, Measured } from '../record/index.js';
import type { Quality } from './quality.js';
import type { Trained, TrainingRecord } from './train-model.js';

export interface TrainingFiles {
  readonly data: string;
  readonly model: string;
  /** The test set as a file of its own. */
  readonly test: string;
  /** What the model is called in the record. */
  readonly name: string;
  /** Processor and the like, for latency. */
  readonly machine: string;
  /** Authors, effort and the rest that only people know; of the model. */
  readonly facts?: Facts;
}

/** In the order in which they point at one another. */
export function trainingAssets({ record }: Trained, files: TrainingFiles): readonly AssetRequest[] {
  const test = `test set of ${files.name}`;
  const parameters = `training parameters of ${files.name}`;
  const { authors } = files.facts ?? {};
  const people = authors === undefined ? {} : { authors };
  return [
    {
      kind: 'training-set',
      paths: [files.data],
      facts: {
        ...people,
        rows: record.data.rows,
        columns: [...record.inputs, record.target],
        notes: `${record.split.training.examples} examples were trained on (row numbers: SHA-256 ${record.split.training.rows})`,
      },
    },
    {
      kind: 'test-set',
      paths: [files.test],
      facts: {
        ...people,
        name: test,
        rows: record.split.test.examples,
        columns: [...record.inputs, record.target],
        links: [{ relation: 'part-of', to: files.data }],
        notes: `held out by ${record.split.by} before training (row numbers: SHA-256 ${record.split.test.rows})`,
      },
    },
    {
      kind: 'training-parameters',
      paths: [],
      facts: { ...people, name: parameters, parameters: record.parameters },
    },
    {
      kind: 'model',
      paths: [files.model],
      facts: { ...files.facts, ...modelFacts(record, files, test, parameters) },
    },
  ];
}

function modelFacts(record: TrainingRecord, files: TrainingFiles, test: string, parameters: string): Facts {
  const rejected = record.alternatives.filter((one) => !one.chosen);
  return {
    name: files.name,
    quality: measuresOf(record.quality).map((one) => ({ ...one, on: files.test })),
    latency: { milliseconds: record.latency.milliseconds, batch: 1, machine: files.machine },
    ...(rejected.length === 0
      ? {}
      : {
          alternatives: rejected.map((one) => ({
            what: `${one.net}: ${one.parameters} parameters, ${one.operations} operations`,
            quality: [{ metric: one.metric, value: one.score, note: 'on held-out training data' }],
            milliseconds: one.latency.milliseconds,
            reason: one.reason,
          })),
        }),
    links: [
      ...(files.facts?.links ?? []),
      { relation: 'trained-on', to: files.data },
      { relation: 'evaluated-on', to: test },
      { relation: 'parameters', to: parameters },
    ],
  };
}

/** The figures of a quality with their names. */
export function measuresOf(quality: Quality): readonly Measured[] {
  const { n } = quality;
  const all: Readonly<Record<string, number>> =
    quality.kind === 'binary'
      ? {
          f1: quality.f1,
          precision: quality.precision,
          recall: quality.recall,
          'pr-auc': quality.prAuc,
          accuracy: quality.accuracy,
        }
      : quality.kind === 'classes'
        ? { 'macro-f1': quality.macroF1, accuracy: quality.accuracy }
        : { rmse: quality.rmse, mae: quality.mae, r2: quality.r2 };
  return Object.entries(all).map(([metric, value]) => ({ metric, value, n }));
}
