/**
 * `release`: the order of acts of docs/theory.md §1. Commit (original, seeds, plan) → stamp → beacon → derive → write →
 * commit the copy. Whatever fails, no copy without its statement is left at the place that was asked for, and the
 * commitment stays and counts; `resumeRelease` takes up where it stopped and gives the same bytes.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import {
  environmentError,
  fileSource,
  type Json,
  noProgress,
  type Progress,
  secretBytes,
  toHex,
  usageError,
} from '../base/index.js';
import { writeModel } from '../formats/index.js';
import { collect, digestPaths, type RecordingRoom } from '../record/index.js';
import type { CanonicalModel } from '../structure/index.js';
import { assumptionOf, type BeaconRecord, type BeaconSource, beaconJson, type StampFact } from './beacon.js';
import { committable, releasedValues } from './canonical.js';
import { commitModel } from './commitment.js';
import { type CopyPlace, commitCopy, filesIn, moveCopy, placeOf, refuseExisting, refuseTaken } from './copy.js';
import { checkSeed, type OpenedKeys, seedCommitment } from './keys.js';
import { findModel, openGraph, openOriginal, vaultOf } from './original.js';
import { outside } from './outside.js';
import { markedWeights, type PlanOptions, planDigest, planRelease } from './plan.js';
import {
  getGaps,
  getSecrets,
  graphName,
  newSecrets,
  putGaps,
  putSecrets,
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
import { gapRows } from './tree-commit.js';
import type { TrainingData } from './tree-data.js';
import { checkCopyUnmoved, checkGaps, releasedThresholds } from './tree-mark.js';
import { planTrees } from './tree-plan.js';

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
  /** Where the copy goes; must not exist. A folder for a model in several files (`placeOf`). */
  readonly out: string;
  /** An ONNX file of the same network, for a model without a graph. */
  readonly graph?: string | null;
  /** The owner vouches that the file is a plain stack of layers, each used by the next alone. */
  readonly plainStack?: boolean;
  /** What a model of decision trees was trained on: its thresholds move in the gaps of this table. */
  readonly data?: TrainingData | null;
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
  /** The copy's main file; its parts, where it has some, lie beside it. */
  readonly out: string;
  /** Of the main file; the statement has every part's. */
  readonly sha256: string;
  readonly groups: number;
  readonly units: number;
  readonly markedWeights: number;
  /** Gaps of the training data in which thresholds were moved; 0 for a model without trees. */
  readonly gaps: number;
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
    const place = placeOf(request.out, model);
    await refuseTaken(place);
    const trees = model.trees === undefined ? null : await planTrees(model, request);
    const plan = trees?.plan ?? planRelease(canonical, request);
    const secrets = newSecrets(plan.batches);
    const bar = options.progress?.('committing the original') ?? noProgress;
    const committed = [...(await committable(canonical)), ...(trees === null ? [] : [gapRows(trees.gaps)])];
    const { root, layout } = await commitModel(committed, secrets.originalSalt, (done, total) =>
      bar.update(done, total),
    );
    await putSecrets(vault, release, secrets);
    if (trees !== null) await putGaps(vault, release, trees.gaps);
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
    return await finish(room, commitment, place, { canonical, secrets }, options);
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
    const place = placeOf(out, model);
    await refuseTaken(place);
    return await finish(room, commitment, place, { canonical, secrets }, options, before);
  } finally {
    await close();
  }
}

interface Original {
  readonly canonical: CanonicalModel;
  readonly secrets: ReleaseSecrets;
}

async function finish(
  room: ReleaseRoom,
  commitment: CommitmentFact,
  place: CopyPlace,
  { canonical, secrets }: Original,
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
  await mkdir(place.workshop, { recursive: true });
  const gaps = plan.trees === undefined ? [] : await getGaps(vaultOf(room), release);
  if (plan.trees !== undefined) await checkGaps(canonical, commitment, gaps, secrets.originalSalt);
  const hidden = await mkdtemp(path.join(place.workshop, '.muniment-release-'));
  try {
    const draft = path.join(hidden, place.main);
    await writeModel(
      canonical.model,
      plan.trees === undefined
        ? releasedValues(canonical, plan, keys)
        : releasedThresholds(canonical.model, gaps, plan, keys),
      draft,
      options.progress?.('writing the copy'),
    );
    await options.after?.('written');
    const files = await filesIn(hidden, place.main);
    const copy = await readBack(room, commitment, draft, secrets.copySalt);
    if (plan.trees !== undefined) await checkCopyUnmoved(canonical.model, draft, gaps);
    await options.after?.('read-back');
    const assumption = assumptionOf(beacon);
    const statement =
      before === null
        ? await appendRelease(room, commitment, { files, copy, beacon, stamps, assumption })
        : same(before, files);
    await options.after?.('recorded');
    await moveCopy(hidden, place, files);
    return {
      release,
      recipient: commitment.recipient,
      model: commitment.model,
      out: path.join(place.folder, place.main),
      sha256: files[0]!.sha256,
      groups: plan.groups.length,
      units: plan.groups.reduce((sum, group) => sum + group.size, 0),
      markedWeights: markedWeights(plan),
      gaps: gaps.length,
      strength: plan.trees?.strength ?? plan.strength,
      beacon,
      assumption,
      stamps,
      statements: { commitment: commitment.statement.sha256, release: statement },
    };
  } finally {
    await rm(hidden, { recursive: true, force: true });
  }
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

async function pendingCommitment(room: ReleaseRoom, release: string): Promise<CommitmentFact> {
  const all = commitmentsOf(await collect(room.ledger.statements()));
  return all.find((one) => one.release === release)!;
}

async function readBack(
  room: ReleaseRoom,
  { structure, release }: CommitmentFact,
  file: string,
  salt: Uint8Array,
): Promise<ReleaseFact['copy']> {
  const graph = await openGraph(room, structure, release);
  try {
    return await commitCopy(file, structure, graph, salt);
  } finally {
    await graph?.close();
  }
}
