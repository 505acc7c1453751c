/** `check`: a suspect against every release and every recorded original of a room; every look is a statement and is counted. */
import path from 'node:path';
import {
  environmentError,
  fileSource,
  fromUtf8,
  type Json,
  noProgress,
  type Progress,
  secretBytes,
  sha256OfSource,
  toHex,
  utf8,
} from '../base/index.js';
import { type Model, openModel } from '../formats/index.js';
import {
  commitModel,
  commitmentsOf,
  committable,
  getSecrets,
  openOriginal,
  type ReleaseRoom,
  releaseChances,
  releasesOf,
} from '../mark/index.js';
import { type Asset, collect, openReference, registryOf, type StatementView } from '../record/index.js';
import { earliestStamp, stampsOf } from '../room/index.js';
import { bonferroni, lookCost } from '../stats/index.js';
import { type CanonicalModel, canonicalise } from '../structure/index.js';
import { compareSubjects } from './compare.js';
import type { Multiplicity } from './exact.js';
import type { ExactTrials } from './exact-power.js';
import { subjectOfCanonical } from './open-subject.js';
import { CONDITIONAL_LEVEL } from './order.js';
import {
  decideRelease,
  type PreparedTest,
  prepareTest,
  type ReleaseSubject,
  type ReleaseTest,
  testRelease,
} from './release-candidate.js';
import { learnedElements, type Subject } from './subject.js';
import { treeCandidates } from './tree-candidates.js';
import { compareTreeModels } from './trees.js';
import type { Candidate, CheckAnswer, Comparison } from './types.js';

export interface Custody {
  readonly obtainedOn?: string;
  readonly obtainedFrom?: string;
  readonly by?: string;
}

export interface CheckOptions {
  readonly custody?: Custody;
  /** Keep the suspect's files in the vault, so that `prove --expert` can open rows of it later. */
  readonly keep?: boolean;
  readonly progress?: (label: string) => Progress;
}

export interface RoomCheck extends CheckAnswer {
  /** Statement of this check. */
  readonly statement: string;
  /** How many checks the room has made, this one included. */
  readonly look: number;
}

/** Exact lines look at two statistics of each release. */
const RULES = 2;

/** @throws what opening or canonicalising the suspect throws; `VAULT_LOCKED` */
export async function checkSuspect(room: ReleaseRoom, file: string, options: CheckOptions = {}): Promise<RoomCheck> {
  const statements = await collect(room.ledger.statements());
  const look = registryOf(statements).checks.length + 1;
  const id = `c-${toHex(secretBytes(8))}`;
  const model = await openModel(file);
  try {
    const canonical = await canonicalise(model);
    const suspect = await subjectOfCanonical(canonical, file);
    const files = await digests(model);
    const candidates = await allCandidates(room, statements, look, { subject: suspect, model, files }, options);
    const answer = { id, suspect: { name: path.basename(file), sha256: files[0]!.sha256 }, candidates };
    const statement = await record(room, model, canonical, { ...answer, look }, files, statements, options);
    return { ...answer, look, statement };
  } finally {
    await model.close();
  }
}

/** What is checked. */
interface Suspect {
  readonly subject: Subject;
  readonly model: Model;
  readonly files: readonly FileDigest[];
}

interface FileDigest {
  readonly name: string;
  readonly sha256: string;
}

async function digests(model: Model): Promise<readonly FileDigest[]> {
  return Promise.all(
    model.sources.map(async (source) => ({
      name: path.basename(source.name),
      sha256: await sha256OfSource(source),
    })),
  );
}

async function allCandidates(
  room: ReleaseRoom,
  statements: readonly StatementView[],
  look: number,
  suspect: Suspect,
  options: CheckOptions,
): Promise<readonly Candidate[]> {
  const registry = registryOf(statements);
  // A model may be withdrawn from the record; copies of it that were released are still out there.
  const released = new Set(releasesOf(statements).map((release) => release.model.sha256));
  const models = [
    ...registry.models,
    ...registry.withdrawn.filter((asset) => asset.kind === 'model' && released.has(asset.sha256)),
  ];
  const bar = options.progress?.('comparing with what the room holds') ?? noProgress;
  const out: Candidate[] = [];
  let done = 0;
  for (const asset of models) {
    bar.update(done++, models.length, asset.name);
    out.push(...(await candidatesOf(room, statements, look, asset, models.length, suspect)));
  }
  bar.update(models.length, models.length);
  return out.sort(better);
}

const VERDICTS = ['related', 'inconclusive', 'no-evidence'];
const KINDS = ['exact', 'conditional', 'calibrated'];

/** Related first, exact before conditional, then by p; the rest by p. */
function better(a: Candidate, b: Candidate): number {
  const related = Number(b.verdict === 'related') - Number(a.verdict === 'related');
  if (related !== 0) return related;
  if (a.verdict === 'related') {
    const kind = KINDS.indexOf(a.kind ?? '') - KINDS.indexOf(b.kind ?? '');
    if (kind !== 0) return kind;
    return (a.log10p ?? 0) - (b.log10p ?? 0);
  }
  const verdict = VERDICTS.indexOf(a.verdict) - VERDICTS.indexOf(b.verdict);
  return verdict !== 0 ? verdict : (a.log10p ?? 0) - (b.log10p ?? 0);
}

/** The original by the conditional test, and each release of it by the exact ones. */
async function candidatesOf(
  room: ReleaseRoom,
  statements: readonly StatementView[],
  look: number,
  asset: Asset,
  originals: number,
  suspect: Suspect,
): Promise<readonly Candidate[]> {
  const { files } = suspect;
  const stamps = stampsOf(statements);
  const earliest = (statement: StatementView): string | null => earliestStamp(stamps, statement.index)?.time ?? null;
  const base = { model: asset.name, release: null, recipient: null, earliestTimestamp: earliest(asset.first) };
  const conditional = await againstOriginal(room, asset, suspect, originals * lookCost(look));
  const original: Candidate = { ...base, ...conditional };
  const releases = releasesOf(statements).filter((release) => release.model.sha256 === asset.sha256);
  if (releases.length === 0) return [original];

  const multiplicity = exactMultiplicity(statements, look);
  const commitments = new Map(commitmentsOf(statements).map((one) => [one.release, one]));
  const isTree = ({ release }: { release: string }): boolean => commitments.get(release)?.plan.trees !== undefined;
  const trees = await treeCandidates(
    room,
    {
      asset,
      releases: releases.filter(isTree).map((release) => [release, commitments.get(release.release)!] as const),
      conditional,
      multiplicity,
      earliest: ({ statement }) => earliest(statement),
    },
    suspect.model,
    files[0]!.sha256,
  );
  const others = releases.filter((release) => !isTree(release));
  const tested = await testReleases(room, statements, asset, others, suspect.subject, multiplicity);
  const fired = tested.some(({ test }) => test?.lines.some((line) => line.log10p <= -6) === true);
  const copyOfOriginal =
    !fired && (conditional.verdict === 'related' || conditional.tweaks.length > 0)
      ? `The suspect agrees with the unmarked original of ${asset.name} and with no release of it: an unmarked copy carries nothing that this release could be told by.`
      : null;
  const out: Candidate[] = [];
  for (const { subject, test, start } of tested) {
    const { release } = subject;
    const shared = {
      model: asset.name,
      release: release.release,
      recipient: release.recipient,
      earliestTimestamp: earliest(subject.commitment.statement),
      shared: [],
      bytesRead: 0,
    };
    if (test === null) {
      const reason = 'The model is too large for the exact lines in this version; no test was made.';
      out.push({ ...shared, ...nothing('inconclusive', reason), seconds: seconds(start) });
      continue;
    }
    const { planDigest } = subject.commitment;
    const kept = await keptTrials(room, planDigest);
    let fresh: ExactTrials | null = null;
    const sameFile = release.files[0]!.sha256 === files[0]!.sha256;
    const decided = decideRelease(
      subject,
      test,
      copyOfOriginal,
      multiplicity.factor,
      {
        kept,
        keep: (trials) => {
          fresh = trials;
        },
      },
      sameFile,
    );
    if (fresh !== null) await room.vault!.put(powerName(planDigest), utf8(JSON.stringify(fresh)));
    const related = decided.verdict === 'related';
    out.push({
      ...shared,
      ...decided,
      kind: 'exact',
      scope: { comparable: test.comparable, related: related ? test.comparable : 0 },
      correspondence: test.correspondence,
      shared: related ? markedPairs(test) : [],
      lines: test.lines,
      leftOut: test.leftOut,
      seconds: seconds(start),
    });
  }
  return [original, ...mixed(out), ...mixed(trees)];
}

/** Where several releases of one model fire, copies were mixed: each of them says so, and of whose. */
function mixed(candidates: readonly Candidate[]): readonly Candidate[] {
  const fired = candidates.filter(({ verdict }) => verdict === 'related');
  if (fired.length < 2) return candidates;
  return candidates.map((one) => {
    if (one.verdict !== 'related') return one;
    const others = fired
      .filter((other) => other !== one)
      .map(({ release, recipient }) => `${release} for ${recipient}`);
    return {
      ...one,
      reason: `${one.reason} The file depends on ${others.length} other ${others.length === 1 ? 'release' : 'releases'} of this model too (${others.join('; ')}): copies were mixed.`,
      tweaks: [...one.tweaks.filter(({ kind }) => kind !== 'exact-copy'), { kind: 'mixed', copies: fired.length }],
    };
  });
}

function markedPairs({ input, correspondence }: ReleaseTest): Comparison['shared'] {
  const marked = new Set(input.plan.marked.map(({ tensor }) => tensor));
  return correspondence.flatMap(({ a, b }) => (marked.has(a) ? [{ a, b, nature: 'learned' as const }] : []));
}

const seconds = (start: number): number => (performance.now() - start) / 1000;
/** Power depends on the plan, not on which keys were drawn: one set of trials serves all its releases. */
const powerName = (planDigest: string): string => `plan/${planDigest}/power`;

async function keptTrials(room: ReleaseRoom, planDigest: string): Promise<ExactTrials | null> {
  const bytes = await room.vault!.get(powerName(planDigest));
  return bytes === null ? null : (JSON.parse(fromUtf8(bytes)) as ExactTrials);
}

/**
 * Bonferroni over releases, rules and all looks that were or will be made (docs/theory.md §8, §11).
 * @param batches where one of several batches was chosen to be tested alone: how many there were to choose from
 */
export function exactMultiplicity(statements: readonly StatementView[], look: number, batches = 1): Multiplicity {
  const chances = Math.max(1, releaseChances(statements));
  const choice = batches === 1 ? '' : ` × ${batches} batches of which one was chosen`;
  return {
    factor: chances * RULES * lookCost(look) * batches,
    how: `${chances} releases that could have fired × ${RULES} rules × ${look}·${look + 1} for look ${look} of this room${choice}`,
  };
}

interface TestedRelease {
  readonly subject: ReleaseSubject;
  readonly test: ReleaseTest | null;
  readonly start: number;
}

async function testReleases(
  room: ReleaseRoom,
  statements: readonly StatementView[],
  asset: Asset,
  releases: ReturnType<typeof releasesOf>,
  suspect: Subject,
  multiplicity: Multiplicity,
): Promise<readonly TestedRelease[]> {
  const commitments = new Map(commitmentsOf(statements).map((one) => [one.release, one]));
  // Opening, pairing and aligning see no key, and cost far more than reading one release's mark: once for each plan.
  const prepared = new Map<string, PreparedTest | null>();
  const out: TestedRelease[] = [];
  for (const release of releases) {
    const start = performance.now();
    const commitment = commitments.get(release.release)!;
    const { plan, planDigest, structure } = commitment;
    const secrets = await getSecrets(room.vault!, release.release);
    const subject: ReleaseSubject = {
      commitment,
      release,
      keys: {
        release: release.release,
        original: commitment.original.root,
        beacon: release.beacon.value,
        seeds: new Map(secrets.seeds.map((seed, batch) => [batch, seed])),
      },
    };
    const key = JSON.stringify([planDigest, structure]);
    if (!prepared.has(key)) {
      const { canonical, close } = await openOriginal(room, asset, structure, release.release);
      try {
        prepared.set(key, await prepareTest(plan, await subjectOfCanonical(canonical, asset.name), suspect));
      } finally {
        await close();
      }
    }
    const own = prepared.get(key) ?? null;
    out.push({ subject, test: own === null ? null : testRelease(subject, own, multiplicity), start });
  }
  return out;
}

const nothing = (verdict: Comparison['verdict'], reason: string): Omit<Comparison, 'bytesRead' | 'seconds'> => ({
  verdict,
  log10p: null,
  kind: null,
  reason,
  scope: { comparable: 0, related: 0 },
  correspondence: [],
  shared: [],
  tweaks: [],
  lines: [],
  leftOut: [],
});

/** @param factor originals × the cost of the look */
async function againstOriginal(room: ReleaseRoom, asset: Asset, suspect: Suspect, factor: number): Promise<Comparison> {
  const start = performance.now();
  const reference = await openReference(room, asset);
  if (reference === null) {
    const reason = `Nothing of ${asset.name} was kept (--keep none), so nothing can be compared.`;
    return { ...nothing('inconclusive', reason), bytesRead: 0, seconds: 0 };
  }
  try {
    const subject = await subjectOfCanonical(await canonicalise(reference.model), asset.name);
    const onlyTrees = learnedElements(subject) === 0 || learnedElements(suspect.subject) === 0;
    const compared =
      (onlyTrees ? compareTreeModels(reference.model, suspect.model) : null) ??
      (await compareSubjects(subject, suspect.subject));
    const found = corrected(compared, factor);
    const same = asset.digests.includes(suspect.files[0]!.sha256);
    const answer = same
      ? {
          ...found,
          reason: `This is the unmarked original of ${asset.name}, byte for byte. ${found.reason}`,
          tweaks: [{ kind: 'exact-copy' }],
        }
      : found;
    return { ...answer, bytesRead: reference.model.bytesRead, seconds: seconds(start) };
  } finally {
    await reference.model.close();
  }
}

type Compared = Awaited<ReturnType<typeof compareSubjects>>;

function corrected(found: Compared, factor: number): Compared {
  const lines = found.lines.map((line) => ({
    ...line,
    log10p: bonferroni(line.log10p, factor),
    detail: { ...line.detail, looks: factor },
  }));
  const log10p = found.log10p === null ? null : bonferroni(found.log10p, factor);
  if (found.verdict !== 'related' || log10p === null || log10p <= CONDITIONAL_LEVEL) return { ...found, lines, log10p };
  const reason = `More units agree than chance explains easily (log10 p ${log10p.toFixed(1)} after correction for ${factor} looks), yet fewer than the level of ${CONDITIONAL_LEVEL} asks for.`;
  return { ...found, lines, log10p, verdict: 'inconclusive', reason };
}

const saltName = (id: string): string => `check/${id}/salt`;
/** Where the vault keeps the suspect's files of a check; index as in the statement's `suspect.files`. */
export const suspectName = (id: string, index: number): string => `check/${id}/suspect-${index}`;
/** Secret of the salts of the suspect's commitment. */
export const suspectSalt = (room: ReleaseRoom, id: string): Promise<Uint8Array | null> => room.vault!.get(saltName(id));

async function record(
  room: ReleaseRoom,
  model: Model,
  canonical: CanonicalModel,
  answer: CheckAnswer & { look: number },
  files: readonly FileDigest[],
  statements: readonly StatementView[],
  options: CheckOptions,
): Promise<string> {
  const salt = secretBytes(32);
  await room.vault!.put(saltName(answer.id), salt);
  const { root, layout } = await commitModel(await committable(canonical), salt);
  if (options.keep === true) {
    for (const [index, source] of model.sources.entries()) {
      const own = await fileSource(source.name);
      try {
        await room.vault!.putFile(own, suspectName(answer.id, index));
      } finally {
        await own.close();
      }
    }
  }
  const { custody } = options;
  const predicate = {
    check: answer.id,
    look: answer.look,
    chances: releaseChances(statements),
    suspect: { ...answer.suspect, files, root, layout, kept: options.keep === true },
    candidates: answer.candidates,
    ...(custody === undefined || Object.keys(custody).length === 0 ? {} : { custody }),
  };
  return room.ledger.exclusively(async (append) => {
    const looks = registryOf(await collect(room.ledger.statements())).checks.length;
    if (looks + 1 !== answer.look) {
      throw environmentError('CHECK_RACED', 'another check was recorded in this room meanwhile', {
        expected: `look ${answer.look}`,
        got: `look ${looks + 1}`,
        todo: 'run it again, so that the correction counts both looks',
      });
    }
    const [receipt] = await append([
      {
        kind: 'check',
        subjects: [{ name: answer.suspect.name, sha256: answer.suspect.sha256 }],
        // Plain JSON: what is undefined in a line's detail is left out, as JSON does.
        predicate: JSON.parse(JSON.stringify(predicate)) as Record<string, Json>,
      },
    ]);
    return receipt!.sha256;
  });
}
