/**
 * `release`: the order of acts of docs/theory.md §1. Commit (original, seeds, plan) → stamp → beacon → derive → write →
 * commit the copy. Whatever fails, no copy without its statement is left at the place that was asked for, and the
 * commitment stays and counts; `resumeRelease` takes up where it stopped and gives the same bytes.
 */
import { mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import {
  environmentError,
  fileSource,
  inputError,
  type Json,
  noProgress,
  type Progress,
  secretBytes,
  sha256OfSource,
  toHex,
  usageError,
} from '../base/index.js';
import { type Model, openModel, writeModel } from '../formats/index.js';
import { type Asset, collect, digestPaths, openReference, type RecordingRoom, registryOf } from '../record/index.js';
import { type CanonicalModel, canonicalise } from '../structure/index.js';
import {
  assumptionOf,
  type BeaconRecord,
  type BeaconSource,
  beaconJson,
  drandRecord,
  noBeacon,
  type StampFact,
  timestampRecord,
} from './beacon.js';
import { committable, releasedValues } from './canonical.js';
import { commitModel } from './commitment.js';
import { checkSeed, type OpenedKeys, seedCommitment } from './keys.js';
import { type PlanOptions, planDigest, planRelease } from './plan.js';
import {
  getSecrets,
  getStamps,
  graphName,
  newSecrets,
  putSecrets,
  putStamps,
  type ReleaseSecrets,
  type SecretStore,
} from './secrets.js';
import {
  type CommitmentFact,
  commitmentsOf,
  type ReleaseFact,
  releasesOf,
  type StructureSource,
} from './statements.js';

/** What a release needs of a room. */
export interface ReleaseRoom extends RecordingRoom {
  readonly ledger: RecordingRoom['ledger'] & {
    /** Runs work while nobody else can append. */
    exclusively<T>(work: (append: RecordingRoom['ledger']['append']) => Promise<T>): Promise<T>;
  };
  readonly vault: (NonNullable<RecordingRoom['vault']> & SecretStore) | null;
  /** Time stamps of a checkpoint that holds the statement with this index, by every authority that the room names; [] where it names none. */
  stampFacts(index: number): Promise<readonly StampFact[]>;
}

export interface ReleaseRequest extends PlanOptions {
  /** A path to the recorded model, or its name or digest. */
  readonly model: string;
  readonly recipient: string;
  /** Where the copy goes; must not exist. */
  readonly out: string;
  /** An ONNX file of the same network, for a model without a graph. */
  readonly graph?: string | null;
  /** The owner vouches that the file is a plain stack of layers, each used by the next alone. */
  readonly plainStack?: boolean;
}

/** After which act a hook is called, for tests of failure. */
export type Act = 'committed' | 'stamped' | 'beacon' | 'written' | 'read-back' | 'recorded';

export interface ReleaseOptions {
  readonly beacon?: BeaconSource | null;
  readonly progress?: (label: string) => Progress;
  readonly after?: (act: Act) => void | Promise<void>;
}

export interface Released {
  readonly release: string;
  readonly recipient: string;
  readonly model: { readonly name: string; readonly sha256: string };
  readonly out: string;
  readonly sha256: string;
  readonly groups: number;
  readonly units: number;
  readonly markedWeights: number;
  readonly strength: number;
  readonly beacon: BeaconRecord;
  readonly assumption: string;
  readonly stamps: readonly StampFact[];
  readonly statements: { readonly commitment: string; readonly release: string };
}

/**
 * @throws `MARK_OUT_EXISTS`, `MARK_MODEL_UNKNOWN`, `MARK_KEEP_FULL`, `MARK_NOTHING`, `VAULT_LOCKED` before anything is
 *   committed; afterwards what stamps, the beacon, the disk or the ledger throw, with the commitment standing
 */
export async function release(
  room: ReleaseRoom,
  request: ReleaseRequest,
  options: ReleaseOptions = {},
): Promise<Released> {
  const vault = vaultOf(room);
  if (request.recipient.trim() === '') throw usageError('MARK_RECIPIENT', 'the recipient has no name');
  await refuseExisting(request.out);
  const asset = await findModel(room, request.model, options.progress);
  const structure: StructureSource = {
    graph: request.graph == null ? null : (await digestPaths([request.graph])).sha256,
    plainStack: request.plainStack ?? false,
  };
  const release = `r-${toHex(secretBytes(8))}`;
  if (request.graph != null) {
    const source = await fileSource(request.graph);
    try {
      await vault.putFile(source, graphName(release));
    } finally {
      await source.close();
    }
  }
  const { model, canonical, close } = await openOriginal(room, asset, structure, release);
  try {
    const plan = planRelease(canonical, request);
    const secrets = newSecrets(plan.batches);
    const bar = options.progress?.('committing the original') ?? noProgress;
    const { root, layout } = await commitModel(await committable(canonical), secrets.originalSalt, (done, total) =>
      bar.update(done, total),
    );
    await putSecrets(vault, release, secrets);
    const predicate = {
      release,
      recipient: request.recipient,
      model: { name: asset.name, sha256: asset.sha256 },
      original: { root, layout },
      seeds: secrets.seeds.map(seedCommitment),
      plan,
      planSha256: planDigest(plan),
      structure,
    };
    const subjects = [{ name: asset.name, sha256: asset.sha256 }];
    await room.ledger.append([
      { kind: 'release-commitment', subjects, predicate: predicate as unknown as Record<string, Json> },
    ]);
    await options.after?.('committed');
    const commitment = await pendingCommitment(room, release);
    return await finish(room, commitment, request.out, { model, canonical, secrets }, options);
  } finally {
    await close();
  }
}

/**
 * Finishes a release that was committed: the same keys, hence the same bytes. Where the statement exists and only the
 * file is missing, the file is written again.
 * @param release null: the only one that is unfinished
 * @throws `MARK_NOTHING_TO_RESUME`, `MARK_RESUME_WHICH`
 */
export async function resumeRelease(
  room: ReleaseRoom,
  release: string | null,
  out: string,
  options: ReleaseOptions = {},
): Promise<Released> {
  const vault = vaultOf(room);
  await refuseExisting(out);
  const statements = await collect(room.ledger.statements());
  const done = releasesOf(statements);
  const all = commitmentsOf(statements);
  const open = all.filter((one) => done.every((other) => other.release !== one.release));
  const wanted = release === null ? open : all.filter((one) => one.release === release);
  if (wanted.length !== 1) {
    const code = wanted.length === 0 ? 'MARK_NOTHING_TO_RESUME' : 'MARK_RESUME_WHICH';
    throw usageError(code, wanted.length === 0 ? 'no such unfinished release' : 'several releases are unfinished', {
      got: open.map((one) => `${one.release} for ${one.recipient}`).join(', ') || 'none is unfinished',
      todo: 'muniment release --resume RELEASE --out FILE',
    });
  }
  const commitment = wanted[0]!;
  const asset = await findModel(room, commitment.model.sha256, options.progress);
  const secrets = await getSecrets(vault, commitment.release);
  const { model, canonical, close } = await openOriginal(room, asset, commitment.structure, commitment.release);
  try {
    const before = done.find((one) => one.release === commitment.release) ?? null;
    return await finish(room, commitment, out, { model, canonical, secrets }, options, before);
  } finally {
    await close();
  }
}

interface Original {
  readonly model: Model;
  readonly canonical: CanonicalModel;
  readonly secrets: ReleaseSecrets;
}

async function finish(
  room: ReleaseRoom,
  commitment: CommitmentFact,
  out: string,
  { model, canonical, secrets }: Original,
  options: ReleaseOptions,
  before: ReleaseFact | null = null,
): Promise<Released> {
  const { release, plan } = commitment;
  secrets.seeds.forEach((seed, batch) => {
    checkSeed(seed, commitment.seeds[batch]!, batch);
  });
  const { beacon, stamps } = before ?? (await outside(room, commitment, options));
  const keys: OpenedKeys = {
    release,
    original: commitment.original.root,
    beacon: beacon.value,
    seeds: new Map(secrets.seeds.map((seed, batch) => [batch, seed])),
  };
  const folder = path.dirname(path.resolve(out));
  await mkdir(folder, { recursive: true });
  const hidden = await mkdtemp(path.join(folder, '.muniment-release-'));
  try {
    const draft = path.join(hidden, path.basename(out));
    await writeModel(model, releasedValues(canonical, plan, keys), draft, options.progress?.('writing the copy'));
    await options.after?.('written');
    const files = await filesIn(hidden, path.basename(out));
    const copy = await commitCopy(room, commitment, draft, secrets.copySalt);
    await options.after?.('read-back');
    const assumption = assumptionOf(beacon);
    const statement =
      before === null
        ? await appendRelease(room, commitment, { files, copy, beacon, stamps, assumption })
        : same(before, files);
    await options.after?.('recorded');
    for (const file of [...files].reverse()) {
      const target = path.join(folder, file.name);
      await mkdir(path.dirname(target), { recursive: true });
      await rename(path.join(hidden, file.name), target);
    }
    return {
      release,
      recipient: commitment.recipient,
      model: commitment.model,
      out,
      sha256: files[0]!.sha256,
      groups: plan.groups.length,
      units: plan.groups.reduce((sum, group) => sum + group.size, 0),
      markedWeights: plan.marked.reduce(
        (sum, one) => sum + Math.min(one.rows, one.perBatch * plan.batches) * one.width,
        0,
      ),
      strength: plan.strength,
      beacon,
      assumption,
      stamps,
      statements: { commitment: commitment.statement.sha256, release: statement },
    };
  } finally {
    await rm(hidden, { recursive: true, force: true });
  }
}

/** Stamp, then beacon. Stamps once obtained are used again: asking anew would be drawing anew. */
async function outside(
  room: ReleaseRoom,
  commitment: CommitmentFact,
  options: ReleaseOptions,
): Promise<{ beacon: BeaconRecord; stamps: readonly StampFact[] }> {
  const vault = vaultOf(room);
  let kept = await getStamps(vault, commitment.release);
  if (kept.stamps.length === 0) {
    kept = { requested: kept.requested + 1, stamps: [] };
    await putStamps(vault, commitment.release, kept);
    kept = { ...kept, stamps: await room.stampFacts(commitment.statement.index) };
    await putStamps(vault, commitment.release, kept);
  }
  await options.after?.('stamped');
  const { stamps, requested } = kept;
  const beacon = await bind(commitment, stamps, requested, options.beacon ?? null);
  await options.after?.('beacon');
  return { beacon, stamps };
}

async function bind(
  commitment: CommitmentFact,
  stamps: readonly StampFact[],
  requested: number,
  source: BeaconSource | null,
): Promise<BeaconRecord> {
  if (source === null) return stamps[0] === undefined ? noBeacon : timestampRecord(stamps[0], requested);
  const times = [commitment.statement.time, ...stamps.map((stamp) => stamp.time)].map((time) => Date.parse(time));
  // Any stamp proves that the commitment existed by then; the earliest is the sharpest bound.
  const notBefore = new Date(stamps.length === 0 ? times[0]! : Math.min(...times.slice(1)));
  const round = await source(notBefore);
  if (!(round.time > notBefore && round.round >= round.first)) {
    throw inputError('MARK_BEACON_EARLY', 'this beacon round was known before the commitment was stamped', {
      expected: `round ${round.first} or later`,
      got: `round ${round.round} of ${round.time.toISOString()}, stamp of ${notBefore.toISOString()}`,
      todo: `fetch round ${round.first} and run: muniment release --resume ${commitment.release} --beacon FILE`,
    });
  }
  return drandRecord(round, stamps.length > 0);
}

interface ReleaseFields {
  readonly files: ReleaseFact['files'];
  readonly copy: ReleaseFact['copy'];
  readonly beacon: BeaconRecord;
  readonly stamps: readonly StampFact[];
  readonly assumption: string;
}

async function appendRelease(room: ReleaseRoom, commitment: CommitmentFact, fields: ReleaseFields): Promise<string> {
  const predicate = {
    release: commitment.release,
    recipient: commitment.recipient,
    commitment: commitment.statement.sha256,
    model: commitment.model,
    ...fields,
    beacon: beaconJson(fields.beacon),
  };
  const subjects = fields.files.map(({ name, sha256 }) => ({ name, sha256 }));
  const [receipt] = await room.ledger.append([
    { kind: 'release', subjects, predicate: predicate as unknown as Record<string, Json> },
  ]);
  return receipt!.sha256;
}

function same(before: ReleaseFact, files: ReleaseFact['files']): string {
  const digests = (list: ReleaseFact['files']): string => list.map((file) => file.sha256).join();
  if (digests(before.files) !== digests(files)) {
    throw environmentError('MARK_NOT_REPRODUCED', 'the copy made again is not the one that was recorded', {
      expected: before.files[0]!.sha256,
      got: files[0]!.sha256,
      where: before.release,
      todo: 'this is a fault of Muniment or of this machine; please report it',
    });
  }
  return before.statement.sha256;
}

async function commitCopy(
  room: ReleaseRoom,
  commitment: CommitmentFact,
  file: string,
  salt: Uint8Array,
): Promise<ReleaseFact['copy']> {
  const model = await openModel(file);
  try {
    const graph = await openGraph(room, commitment.structure, commitment.release);
    try {
      const canonical = await canonicalise(model, structureOptions(commitment.structure, graph));
      const { root, layout } = await commitModel(await committable(canonical), salt);
      return { root, layout };
    } finally {
      await graph?.close();
    }
  } finally {
    await model.close();
  }
}

/** The main file first, then its parts, by path relative to the folder. */
async function filesIn(folder: string, main: string): Promise<ReleaseFact['files']> {
  const names = (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)).split(path.sep).join('/'))
    .sort((a, b) => (a === main ? -1 : b === main ? 1 : a < b ? -1 : 1));
  return Promise.all(
    names.map(async (name) => {
      const source = await fileSource(path.join(folder, name));
      try {
        return { name, sha256: await sha256OfSource(source), bytes: source.byteLength };
      } finally {
        await source.close();
      }
    }),
  );
}

async function refuseExisting(out: string): Promise<void> {
  const there = await stat(out).catch(() => null);
  if (there !== null) {
    throw usageError('MARK_OUT_EXISTS', 'there is something at the place of the copy already', {
      where: out,
      todo: 'name another --out; nothing is ever overwritten',
    });
  }
}

async function pendingCommitment(room: ReleaseRoom, release: string): Promise<CommitmentFact> {
  const all = commitmentsOf(await collect(room.ledger.statements()));
  return all.find((one) => one.release === release)!;
}

function vaultOf(room: ReleaseRoom): NonNullable<ReleaseRoom['vault']> {
  if (room.vault !== null) return room.vault;
  throw environmentError('VAULT_LOCKED', 'the vault is locked; a release draws its keys there', {
    expected: 'MUNIMENT_PASSPHRASE or --key-file FILE',
  });
}

/** The recorded model meant by a path, a name or a digest, kept in full. */
export async function findModel(
  room: RecordingRoom,
  model: string,
  progress?: (label: string) => Progress,
): Promise<Asset> {
  const registry = registryOf(await collect(room.ledger.statements()));
  const isFile = (await stat(model).catch(() => null)) !== null;
  const digest = isFile ? await digestOf(model, progress?.('hashing the model') ?? noProgress) : model;
  const found = [...registry.byDigest(digest), ...(isFile ? [] : registry.byName(model))].filter(
    (asset) => asset.kind === 'model',
  );
  const asset = found.at(-1);
  if (asset === undefined) {
    throw inputError('MARK_MODEL_UNKNOWN', 'this model is not recorded in the room', {
      where: model,
      todo: `record it first: muniment record model ${isFile ? model : 'FILE'} --keep full`,
    });
  }
  if (asset.keep !== 'full') {
    throw inputError('MARK_KEEP_FULL', 'a release needs the whole original in the vault', {
      expected: '--keep full',
      got: `--keep ${asset.keep ?? 'none'}`,
      where: asset.name,
      todo: `muniment record model ${isFile ? model : 'FILE'} --keep full`,
    });
  }
  return asset;
}

/** A model's digest covers all its files, shards and external data too. */
async function digestOf(file: string, progress: Progress): Promise<string> {
  const model = await openModel(file);
  const paths = [...new Set(model.sources.map((source) => path.resolve(source.name)))];
  await model.close();
  return (await digestPaths(paths, progress)).sha256;
}

const structureOptions = (structure: StructureSource, graph: Model | null) => ({
  ...(graph === null ? {} : { graph }),
  ...(structure.plainStack ? { plainStack: true } : {}),
});

async function openGraph(room: ReleaseRoom, structure: StructureSource, release: string): Promise<Model | null> {
  return structure.graph === null ? null : openModel(await vaultOf(room).openFile(graphName(release)));
}

/** The unmarked original from the vault, laid out as it was committed. */
export async function openOriginal(
  room: ReleaseRoom,
  asset: Asset,
  structure: StructureSource,
  release: string,
): Promise<{ model: Model; canonical: CanonicalModel; close(): Promise<void> }> {
  const reference = await openReference(room, asset);
  if (reference === null || !reference.complete) {
    throw inputError('MARK_KEEP_FULL', 'the vault does not hold the whole original', { where: asset.name });
  }
  const graph = await openGraph(room, structure, release);
  const close = async (): Promise<void> => {
    await graph?.close();
    await reference.model.close();
  };
  try {
    const canonical = await canonicalise(reference.model, structureOptions(structure, graph));
    return { model: reference.model, canonical, close };
  } catch (error) {
    await close();
    throw error;
  }
}
