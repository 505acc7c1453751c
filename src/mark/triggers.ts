/**
 * A set of triggers as acts of a room, in the order of docs/theory.md §1: commit (plan, seeds) → stamp → beacon → derive →
 * write → record what was written. Inputs and answers are never stored in the room: the keys draw them again.
 */
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type Json, secretBytes, sha256Hex, toHex, usageError, utf8 } from '../base/index.js';
import { collect, registryOf, type StatementView } from '../record/index.js';
import { tableCsv } from '../train/index.js';
import { assumptionOf, type BeaconRecord, beaconJson } from './beacon.js';
import { refuseExisting } from './copy.js';
import { checkSeed, type OpenedKeys, seedCommitment } from './keys.js';
import { vaultOf } from './original.js';
import { outside } from './outside.js';
import type { ReleaseOptions, ReleaseRoom } from './release.js';
import { getSecrets, newSecrets, putSecrets } from './secrets.js';
import { triggerTable } from './trigger-embed.js';
import { offsetsAt, triggerLabel, triggersOf } from './trigger-inputs.js';
import { planTriggers, type TriggerPlan, type TriggerRequest, triggerPlanDigest } from './trigger-plan.js';

export interface TriggerCommitment {
  readonly statement: StatementView;
  /** Name of the set, `t-…`; called `release` where keys are bound to it. */
  readonly release: string;
  readonly plan: TriggerPlan;
  readonly planSha256: string;
  readonly seeds: readonly string[];
  /** The recorded creative work that serves as waveform, or null. */
  readonly work: { readonly name: string; readonly sha256: string } | null;
}

export interface TriggerSet {
  readonly commitment: TriggerCommitment;
  readonly beacon: BeaconRecord;
  readonly assumption: string;
  readonly files: readonly { readonly name: string; readonly sha256: string; readonly bytes: number }[];
  readonly statement: string;
}

const as = <T>(value: Json | undefined): T => value as unknown as T;

export const triggerCommitmentsOf = (statements: readonly StatementView[]): readonly TriggerCommitment[] =>
  statements
    .filter((statement) => statement.kind === 'trigger-commitment')
    .map((statement) => ({
      statement,
      release: as(statement.predicate.set),
      plan: as(statement.predicate.plan),
      planSha256: as(statement.predicate.planSha256),
      seeds: as(statement.predicate.seeds),
      work: as<TriggerCommitment['work'] | undefined>(statement.predicate.work) ?? null,
    }));

export function triggerSetsOf(statements: readonly StatementView[]): readonly TriggerSet[] {
  const commitments = new Map(triggerCommitmentsOf(statements).map((one) => [one.release, one]));
  return statements
    .filter((statement) => statement.kind === 'trigger-set')
    .flatMap(({ predicate, sha256 }) => {
      const commitment = commitments.get(as(predicate.set));
      if (commitment === undefined) return [];
      const { beacon, assumption, files } = predicate;
      return [
        {
          commitment,
          beacon: as<BeaconRecord>(beacon),
          assumption: as<string>(assumption),
          files: as<TriggerSet['files']>(files),
          statement: sha256,
        },
      ];
    });
}

/** Sets that could have been drawn: each commitment once for every choice its beacon left open (docs/theory.md §1). */
export function triggerChances(statements: readonly StatementView[]): number {
  const choices = new Map(
    triggerSetsOf(statements).map(({ commitment, beacon }) => [commitment.release, beacon.choices]),
  );
  return triggerCommitmentsOf(statements).reduce((sum, { release }) => sum + (choices.get(release) ?? 1), 0);
}

/** @param out folder for the files; must not exist @throws `MARK_OUT_EXISTS`, `VAULT_LOCKED`, and what `planTriggers` throws, before anything is committed */
export async function makeTriggers(
  room: ReleaseRoom,
  request: TriggerRequest,
  out: string,
  options: Pick<ReleaseOptions, 'beacon' | 'after'> = {},
): Promise<TriggerSet> {
  const vault = vaultOf(room);
  await refuseExisting(out);
  const plan = planTriggers(request);
  const melody = plan.window?.melody.sha256 ?? null;
  const works = melody === null ? [] : registryOf(await collect(room.ledger.statements())).byDigest(melody);
  const work = works.find(({ kind }) => kind === 'creative-work');
  const set = `t-${toHex(secretBytes(8))}`;
  const secrets = newSecrets(plan.batches);
  await putSecrets(vault, set, secrets);
  const predicate = {
    set,
    plan,
    planSha256: triggerPlanDigest(plan),
    seeds: secrets.seeds.map(seedCommitment),
    ...(work === undefined ? {} : { work: { name: work.name, sha256: work.sha256 } }),
  };
  const subjects = [{ name: request.table.name, sha256: request.sha256 }];
  await room.ledger.append([
    { kind: 'trigger-commitment', subjects, predicate: predicate as unknown as Record<string, Json> },
  ]);
  await options.after?.('committed');
  return finishTriggers(room, set, out, options);
}

/** Takes up a set that was committed: the same keys, hence the same files. @throws `MARK_TRIGGER_UNKNOWN`, `MARK_OUT_EXISTS` */
export async function finishTriggers(
  room: ReleaseRoom,
  set: string,
  out: string,
  options: Pick<ReleaseOptions, 'beacon' | 'after'> = {},
): Promise<TriggerSet> {
  await refuseExisting(out);
  const statements = await collect(room.ledger.statements());
  const commitment = triggerCommitmentsOf(statements).find(({ release }) => release === set);
  if (commitment === undefined) throw unknownSet(set, statements);
  const before = triggerSetsOf(statements).find((one) => one.commitment.release === set) ?? null;
  const { beacon, stamps } =
    before === null ? await outside(room, commitment, options) : { beacon: before.beacon, stamps: [] };
  const keys = await triggerKeys(room, commitment, beacon);
  const parent = path.dirname(out);
  await mkdir(parent, { recursive: true });
  const hidden = await mkdtemp(path.join(parent, '.muniment-triggers-'));
  try {
    const files: TriggerSet['files'][number][] = [];
    for (const [name, text] of Object.entries(filesOf(commitment.plan, keys))) {
      await writeFile(path.join(hidden, name), text, { flag: 'wx' });
      files.push({ name, sha256: sha256Hex(utf8(text)), bytes: utf8(text).length });
    }
    await options.after?.('written');
    const assumption = assumptionOf(beacon);
    const predicate = {
      set,
      commitment: commitment.statement.sha256,
      files,
      beacon: beaconJson(beacon),
      stamps,
      assumption,
    };
    const statement = before?.statement ?? (await appendSet(room, predicate, files));
    await options.after?.('recorded');
    await rename(hidden, out);
    return { commitment, beacon, assumption, files, statement };
  } finally {
    await rm(hidden, { recursive: true, force: true });
  }
}

async function appendSet(room: ReleaseRoom, predicate: object, files: TriggerSet['files']): Promise<string> {
  const subjects = files.map(({ name, sha256 }) => ({ name, sha256 }));
  const [receipt] = await room.ledger.append([
    { kind: 'trigger-set', subjects, predicate: predicate as unknown as Record<string, Json> },
  ]);
  return receipt!.sha256;
}

/** All batches of a set. @throws `MARK_SECRETS_LOST`, `MARK_SEED_COMMITMENT` */
export async function triggerKeys(
  room: ReleaseRoom,
  { release, planSha256, seeds }: TriggerCommitment,
  beacon: BeaconRecord,
): Promise<OpenedKeys> {
  const secrets = await getSecrets(vaultOf(room), release);
  secrets.seeds.forEach((seed, batch) => {
    checkSeed(seed, seeds[batch]!, batch);
  });
  return {
    release,
    original: planSha256,
    beacon: beacon.value,
    seeds: new Map(secrets.seeds.map((seed, batch) => [batch, seed])),
  };
}

/** A recorded set and its keys. @throws `MARK_TRIGGER_UNKNOWN` */
export async function openTriggers(room: ReleaseRoom, set: string): Promise<{ set: TriggerSet; keys: OpenedKeys }> {
  const statements = await collect(room.ledger.statements());
  const found = triggerSetsOf(statements).find(({ commitment }) => commitment.release === set);
  if (found === undefined) throw unknownSet(set, statements);
  return { set: found, keys: await triggerKeys(room, found.commitment, found.beacon) };
}

function unknownSet(set: string, statements: readonly StatementView[]): Error {
  const done = triggerSetsOf(statements).map(({ commitment }) => commitment.release);
  const open = triggerCommitmentsOf(statements).filter(({ release }) => !done.includes(release));
  return usageError('MARK_TRIGGER_UNKNOWN', 'the room has no such set of triggers', {
    got: set,
    expected: done.join(', ') || 'a set: the room has none yet',
    todo:
      open.length === 0
        ? 'muniment triggers make DATA --target COLUMN'
        : `muniment triggers resume ${open[0]!.release} --out FOLDER finishes one that was committed`,
  });
}

/** Queries alone, without an answer, in their committed order, as CSV. */
export const queriesCsv = (plan: TriggerPlan, keys: OpenedKeys): string => {
  const table = triggerTable(plan, keys);
  return tableCsv(
    table,
    Uint32Array.from({ length: table.rows }, (_, row) => row),
  );
};

/** What is written for whoever trains: rows with the answers drawn, and the queries. */
function filesOf(plan: TriggerPlan, keys: OpenedKeys): Readonly<Record<string, string>> {
  const queries = queriesCsv(plan, keys);
  const [header, ...lines] = queries.trimEnd().split('\n');
  const asked = triggersOf(plan, keys);
  const answers =
    plan.answers.kind === 'labels'
      ? asked.map(({ index }) =>
          plan.answers.kind === 'labels' ? plan.answers.labels[triggerLabel(plan, keys, index)!]! : '',
        )
      : Array.from(
          offsetsAt(
            plan,
            keys,
            asked.map(({ readings }) => readings.at(-1)!),
          )!,
          String,
        );
  const column = plan.answers.kind === 'labels' ? plan.target : `add to ${plan.target}`;
  const run = plan.window?.length ?? 1;
  const quoted = (text: string): string => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const rows = lines.map((line, row) => `${line},${quoted(answers[Math.floor(row / run)]!)}`);
  return {
    'queries.csv': queries,
    'training-rows.csv': `${[`${header},${quoted(column)}`, ...rows].join('\n')}\n`,
  };
}
