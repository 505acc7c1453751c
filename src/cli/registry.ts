/** The verbs, in the order of the journey. A command's module is loaded when it is called, so that `verify` and `log` load little. */
import { usageError } from '../base/index.js';
import type { Command } from './command.js';
import { nearest } from './parse.js';

export interface Registered {
  readonly name: string;
  /** The command's own summary, repeated so that the list of commands loads none of them; a test holds them equal. */
  readonly summary: string;
  load(): Promise<{ readonly command: Command }>;
}

export const registry: readonly Registered[] = [
  {
    name: 'init',
    summary: 'open a room: the ledger, the vault and the keys, in one folder',
    load: () => import('./commands/init.js'),
  },
  {
    name: 'record',
    summary: 'record what you made or obtained: data, models, code, documents, systems',
    load: () => import('./commands/record.js'),
  },
  {
    name: 'rights',
    summary: 'which law protects which part of the model, where, and what is missing',
    load: () => import('./commands/rights.js'),
  },
  {
    name: 'terms',
    summary: 'register signed agreements: who is bound, to what, until when',
    load: () => import('./commands/terms.js'),
  },
  {
    name: 'train',
    summary: 'train a model on a table or on sensor windows, and record all of it',
    load: () => import('./commands/train.js'),
  },
  {
    name: 'predict',
    summary: 'let a trained model answer for a table',
    load: () => import('./commands/predict.js'),
  },
  {
    name: 'release',
    summary: 'make a marked copy of a recorded model for one recipient',
    load: () => import('./commands/release.js'),
  },
  {
    name: 'triggers',
    summary: 'questions with drawn answers: proof through an API alone, for rows and sensor windows',
    load: () => import('./commands/triggers.js'),
  },
  {
    name: 'inspect',
    summary: 'what a model file holds: layers, storage, unit groups, constants, a digest of its weights',
    load: () => import('./commands/inspect.js'),
  },
  {
    name: 'compare',
    summary: 'compare two models: what they share, by what chance, and what was done to the copy',
    load: () => import('./commands/compare.js'),
  },
  {
    name: 'check',
    summary: 'is this model one of ours, and whose copy is it?',
    load: () => import('./commands/check.js'),
  },
  {
    name: 'prove',
    summary: 'make a bundle of evidence that others verify without us',
    load: () => import('./commands/prove.js'),
  },
  {
    name: 'verify',
    summary: 'check a bundle of evidence, offline, without the room',
    load: () => import('./commands/verify.js'),
  },
  {
    name: 'log',
    summary: 'list what the room has stated; check the log itself',
    load: () => import('./commands/log.js'),
  },
  {
    name: 'demo',
    summary: 'walk the whole journey on a simulated fleet, with real numbers',
    load: () => import('./commands/demo.js'),
  },
  {
    name: 'completion',
    summary: 'print shell completion for bash, zsh or fish',
    load: () => import('./commands/completion.js'),
  },
];

/** @throws `COMMAND_UNKNOWN` with the nearest verb */
export async function loadCommand(name: string): Promise<Command> {
  const entry = registry.find((candidate) => candidate.name === name);
  if (entry === undefined) {
    const near = nearest(
      name,
      registry.map((candidate) => candidate.name),
    );
    throw usageError('COMMAND_UNKNOWN', `muniment has no command ${JSON.stringify(name)}`, {
      got: name,
      todo: `${near === null ? '' : `did you mean ${near}? `}muniment help lists the commands`,
    });
  }
  return (await entry.load()).command;
}

export const loadAll = (): Promise<readonly Command[]> =>
  Promise.all(registry.map(async (entry) => (await entry.load()).command));
