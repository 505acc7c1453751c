import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { usageError } from '../../base/index.js';
import {
  type AssetKind,
  type AssetRequest,
  assetKinds,
  type Facts,
  isAssetKind,
  type Keep,
  keeps,
  type Recorded,
  readFacts,
  recordAssets,
  templateOf,
  withdraw,
} from '../../record/index.js';
import type { Answer, Call, Command } from '../command.js';
import { factsFrom, factsOptions } from '../facts-options.js';
import { openRoomFor, stampRoom } from '../open-room.js';
import { flagOption, textOption } from '../options.js';
import { nearest } from '../parse.js';

export const command: Command = {
  name: 'record',
  summary: 'record what you made or obtained: data, models, code, documents, systems',
  usage: 'record KIND [PATH…] [OPTIONS]',
  description: `KIND is one of ${assetKinds.join(', ')}.
Files stay where they are; the ledger gets their SHA-256 and what you say about them. A folder counts as one asset.
A model is also kept, encrypted, in the vault, so that copies can be recognised later. Recording the same thing again
with other facts corrects the earlier statement; nothing is deleted.`,
  examples: [
    'muniment record training-set data/train.csv --author "Ada Lovelace" --how own-sensors --effort obtaining=120h,5000EUR',
    'muniment record model gearbox.onnx --quality f1=0.81@data/test.csv --link trained-on=data/train.csv --keep full',
    'muniment record training-parameters --parameter epochs=50 --parameter seed=817',
    'muniment record --template model > model.yaml',
    'muniment record --from model.yaml',
    'muniment record --withdraw 7 --reason "wrong file"',
  ],
  options: {
    ...factsOptions,
    keep: {
      type: 'string',
      choices: keeps,
      value: 'HOW',
      help: 'of a model: what the vault keeps (default full up to 1 GiB, else sample); release needs full, none makes later checks inconclusive',
    },
    from: { type: 'string', value: 'FILE', help: 'facts in YAML; several documents are recorded all or nothing' },
    template: { type: 'boolean', help: 'print a facts file to fill in, for KIND' },
    withdraw: {
      type: 'string',
      value: 'N|DIGEST',
      help: 'take back a statement; it stays in the log, and so does this',
    },
  },
  positionals: { names: ['KIND', 'PATH'], min: 0, max: 1000, choices: assetKinds },
  async run(call) {
    if (flagOption(call, 'template')) return template(call);
    const taken = textOption(call, 'withdraw');
    if (taken !== undefined) return takeBack(call, taken);
    const requests = await requestsOf(call);
    const room = await openRoomFor(call, { unlock: true });
    const recorded = await recordAssets(room, requests, { progress: (label) => call.progress(label) });
    if (recorded.some((one) => one.state !== 'already-recorded')) await stampRoom(room, call);
    return { json: { recorded }, text: recorded.map((one) => lineOf(one, call)).join('\n') };
  },
};

function template(call: Call): Answer {
  const kind = kindOf(call.positionals[0] ?? 'model');
  const text = templateOf(kind);
  return { json: { kind, template: text }, text };
}

async function takeBack(call: Call, target: string): Promise<Answer> {
  const reason = textOption(call, 'reason');
  if (reason === undefined || call.positionals.length > 0) {
    throw usageError('OPTION_VALUE', '--withdraw takes a statement and a reason, and nothing else', {
      expected: 'muniment record --withdraw N --reason TEXT',
      todo: 'muniment log shows the numbers',
    });
  }
  const room = await openRoomFor(call, { unlock: true });
  const { withdrawn, receipt } = await withdraw(room, target, reason);
  await stampRoom(room, call);
  return {
    json: { withdrawn: withdrawn.index, statement: receipt.sha256, index: receipt.index },
    text: `withdrew ${withdrawn.kind} ${withdrawn.subjects[0]?.name ?? ''} (statement ${withdrawn.index}) by statement ${receipt.index}`,
  };
}

/** From options alone, from a facts file, or from both: an option says more than the file. */
async function requestsOf(call: Call): Promise<readonly AssetRequest[]> {
  const [first, ...rest] = call.positionals;
  const given = factsFrom(call);
  const keep = (textOption(call, 'keep') as Keep | undefined) ?? null;
  const from = textOption(call, 'from');
  if (from === undefined) {
    if (first === undefined) {
      throw usageError('ARGUMENT_MISSING', 'record needs a KIND, or --from FILE', {
        expected: assetKinds.join(', '),
        todo: 'muniment record --help shows examples',
      });
    }
    const kind = kindOf(first);
    checkKeep(kind, keep);
    return [{ kind, paths: rest, facts: given, keep, base: call.cwd }];
  }
  const file = path.resolve(call.cwd, from);
  const documents = readFacts(await readFile(file, 'utf8'), from);
  if (documents.length > 1 && (first !== undefined || keep !== null || Object.keys(given).length > 0)) {
    throw usageError('ARGUMENT_EXTRA', 'a facts file with several documents takes no further facts', {
      got: call.positionals.join(' ') || 'options',
      todo: 'write them into the file',
    });
  }
  return documents.map((document) => {
    const kind = first === undefined ? document.kind : kindOf(first);
    if (kind === null || (document.kind !== null && document.kind !== kind)) {
      throw usageError('ARGUMENT_MISSING', 'the kind of asset is not clear', {
        expected: `kind: one of ${assetKinds.join(', ')}`,
        got: kind === null ? 'none' : `${kind} on the command line, ${document.kind} in the file`,
        where: document.where(['kind']),
      });
    }
    checkKeep(kind, keep ?? document.keep);
    // Paths on the command line are relative to the working folder, those in the file to the file.
    const folder = path.dirname(file);
    const paths = rest.length > 0 ? rest.map((one) => path.resolve(call.cwd, one)) : document.paths;
    const facts: Facts = { ...document.facts, ...anchored(given, call.cwd) };
    return { kind, paths, facts, keep: keep ?? document.keep, base: folder, where: document.where };
  });
}

/** Files named by options, by their whole path: what they are relative to is not what the facts file is relative to. */
function anchored(facts: Facts, cwd: string): Facts {
  const whole = (term: string): string => (existsSync(path.resolve(cwd, term)) ? path.resolve(cwd, term) : term);
  const { links, quality } = facts;
  return {
    ...facts,
    ...(links === undefined ? {} : { links: links.map((link) => ({ ...link, to: whole(link.to) })) }),
    ...(quality === undefined
      ? {}
      : { quality: quality.map((one) => (one.on === undefined ? one : { ...one, on: whole(one.on) })) }),
  };
}

function kindOf(word: string): AssetKind {
  if (isAssetKind(word)) return word;
  const near = nearest(word, assetKinds);
  throw usageError('RECORD_KIND', `no kind of asset is called ${JSON.stringify(word)}`, {
    expected: assetKinds.join(', '),
    got: word,
    ...(near === null ? {} : { todo: `did you mean ${near}?` }),
  });
}

function checkKeep(kind: AssetKind, keep: Keep | null): void {
  if (keep === null || kind === 'model') return;
  throw usageError('OPTION_VALUE', `--keep is for models; of a ${kind} only the digest is kept`, { got: keep });
}

const VERB = { recorded: 'recorded', corrected: 'corrected', 'already-recorded': 'already recorded' } as const;

function lineOf(one: Recorded, call: Call): string {
  const keep = one.keep === null ? '' : `, kept ${one.keep === 'none' ? 'by digest only' : `as ${one.keep}`}`;
  const verb = one.state === 'already-recorded' ? call.style.dim(VERB[one.state]) : call.style.good(VERB[one.state]);
  return `${verb}: ${one.kind} ${one.name} ${call.style.dim(`${one.sha256.slice(0, 16)}…`)} as statement ${one.index}${keep}`;
}
