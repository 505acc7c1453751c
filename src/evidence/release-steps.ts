/**
 * The steps of `verify` about the release itself: every batch opened by its committed seed, the beacon as someone else
 * got it, the released file, and the release made again from the original, bit for bit (docs/theory.md §1).
 */
import { stat } from 'node:fs/promises';
import { evidenceError, noProgress, type Progress, toMunimentError, usageError } from '../base/index.js';
import {
  type BeaconRecord,
  type CommitmentFact,
  checkReleased,
  commitmentsOf,
  namedRound,
  type ReleaseFact,
  recomputeRelease,
  releasesOf,
} from '../mark/index.js';
import type { StatementView } from '../record/index.js';
import { bundlePaths } from './bundle.js';
import { type Opened, readJson, requireAllFields } from './opened-bundle.js';
import { type OpenedRelease, secretsOf } from './opened-release.js';
import { type Trust, trustedChain } from './trust.js';

/** What the verifier has besides the bundle. */
export interface GivenFiles {
  /** The unmarked original: the release is made again from it. */
  readonly original?: string;
  /** The copy as it was delivered. */
  readonly released?: string;
  /** The ONNX file whose graph the release was committed with, where it names one. */
  readonly graph?: string;
  /** A drand round: a file, or the address of a relay. */
  readonly beacon?: string;
  /** Where the release is made again; default the system's folder for temporary files. Nothing is left in it. */
  readonly workshop?: string;
  readonly progress?: (label: string) => Progress;
}

export interface ReleaseAnswer {
  readonly id: string;
  readonly recipient: string;
  readonly model: ReleaseFact['model'];
  readonly files: ReleaseFact['files'];
  readonly beacon: BeaconRecord;
  /** True where these files were made again here, bit for bit. */
  readonly recomputed: boolean;
}

interface Steps {
  starts(step: string): void;
  holds(step: string, says: string): void;
  unknown(step: string, says: string): void;
}

const BOUND_TO: Readonly<Record<BeaconRecord['kind'], string>> = {
  drand: ' and the beacon round',
  timestamp: ' and the time-stamp token',
  none: '',
};

const isAddress = (named: string): boolean => /^https?:\/\//.test(named);

/** What does not fit together or leads nowhere is the caller's fault, not the bundle's. @throws `RECOMPUTE_GRAPH_ALONE`, `FILE_NOT_FOUND` */
export async function checkGiven({ original, released, graph, beacon }: GivenFiles, suspect?: string): Promise<void> {
  if (graph !== undefined && original === undefined) {
    throw usageError('RECOMPUTE_GRAPH_ALONE', 'a graph is of use only with the original', {
      expected: '--original FILE --graph FILE',
      got: '--graph',
      todo: 'give both, or neither',
    });
  }
  const files = [original, released, graph, suspect, beacon !== undefined && isAddress(beacon) ? undefined : beacon];
  for (const file of files) {
    if (file === undefined) continue;
    await stat(file).catch((error: unknown) => {
      throw toMunimentError(error);
    });
  }
}

/** @returns null where the bundle opens no keys */
export async function releaseSteps(opened: Opened, given: GivenFiles, steps: Steps): Promise<ReleaseAnswer | null> {
  const { about, statements } = opened;
  const asked = Object.entries({ original: given.original, beacon: given.beacon, released: given.released });
  if (about.release === null) {
    const [wanted] = asked.find(([, value]) => value !== undefined) ?? [];
    if (wanted !== undefined) refuseUnopened(about.about.id, wanted);
    return null;
  }
  steps.starts('seeds');
  const release = releasesOf(statements).find((one) => one.release === about.release);
  const commitment = commitmentsOf(statements).find((one) => one.release === about.release);
  if (release === undefined || commitment === undefined) {
    throw evidenceError('BUNDLE_INCOMPLETE', 'a bundle that opens keys must show their release and its commitment', {
      expected: `release and release-commitment of ${about.release}`,
      got: `${release === undefined ? 'no' : 'a'} release, ${commitment === undefined ? 'no' : 'a'} commitment`,
      where: about.about.id,
      todo: 'ask the owner for a whole bundle',
    });
  }
  requireAllFields(statements, [release, commitment]);
  const secrets = about.allBatches ? await checkSeeds(opened, commitment) : null;
  if (secrets !== null) {
    steps.holds(
      'seeds',
      `all ${secrets.seeds.length} batches of ${release.release} are opened, by the committed seeds`,
    );
  }
  if (given.beacon !== undefined) {
    steps.starts('beacon');
    steps.holds('beacon', await checkRound(release, given.beacon, opened.trust));
  }
  if (given.released !== undefined) {
    steps.starts('released file');
    await checkReleased(given.released, release, given.progress);
    steps.holds('released file', `the file given is the one that ${release.release} names`);
  }
  steps.starts('release');
  const recomputed = secrets !== null && given.original !== undefined;
  if (recomputed) {
    const { files, bytes } = await recomputeRelease(commitment, release, {
      original: given.original,
      graph: given.graph ?? null,
      opened: secrets,
      ...(given.workshop === undefined ? {} : { workshop: given.workshop }),
      progress: given.progress ?? (() => noProgress),
    });
    steps.holds(
      'release',
      `${release.release} was made again from the original, the plan, every seed${BOUND_TO[release.beacon.kind]}: ${bytes} bytes, SHA-256 ${files.map((file) => file.sha256).join(', ')}, as released`,
    );
  } else if (given.original !== undefined) refuseUnopened(release.release, 'original');
  else steps.unknown('release', notRecomputed(commitment, secrets !== null));
  const { recipient, model, files, beacon } = release;
  return { id: release.release, recipient, model, files, beacon, recomputed };
}

const notRecomputed = ({ release, structure }: CommitmentFact, isOpen: boolean): string =>
  isOpen
    ? `${release} was not recomputed: give the unmarked original with --original FILE${structure.graph === null ? '' : ' and its graph with --graph FILE'}`
    : `${release} was not recomputed: that takes every batch’s seed (muniment prove ${release} --expert --all-batches) and --original FILE`;

function refuseUnopened(where: string, option: string): never {
  throw usageError('RECOMPUTE_NOT_OPENED', 'this bundle does not open the keys that this takes', {
    expected: 'a bundle with every batch of a release',
    got: `--${option}`,
    where,
    todo: 'ask the owner for one: muniment prove RELEASE --expert --all-batches --out FOLDER',
  });
}

async function checkSeeds({ dir, statements }: Opened, commitment: CommitmentFact) {
  const secrets = secretsOf(await readJson<OpenedRelease>(dir, bundlePaths.release), commitment);
  for (const batch of secrets.seeds.keys()) requireOpening(statements, commitment.release, batch);
  return secrets;
}

/** An opening that is not on record could be denied later. @throws `BUNDLE_OPENING` */
export function requireOpening(statements: readonly StatementView[], release: string, batch: number): void {
  const logged = statements.some(
    (one) => one.kind === 'opening' && one.predicate.release === release && one.predicate.batch === batch,
  );
  if (logged) return;
  throw evidenceError('BUNDLE_OPENING', 'the opening of this batch is not in the log', {
    expected: `an opening statement of batch ${batch}`,
    got: 'none',
    where: release,
    todo: 'ask the owner for a bundle whose openings are recorded',
  });
}

/** The statement's own signature was verified with the order of acts; this is the round as the verifier got it. */
async function checkRound({ release, beacon }: ReleaseFact, named: string, trust: Trust | null): Promise<string> {
  if (beacon.kind !== 'drand') {
    throw usageError('RECOMPUTE_NO_BEACON', 'this release is bound to no beacon round', {
      expected: beacon.kind === 'timestamp' ? `its time-stamp token ${beacon.token}` : 'no outside value',
      got: named,
      where: release,
      todo: 'leave out --beacon',
    });
  }
  const chain = trustedChain(trust, beacon.chain, release);
  const round = await namedRound(named, beacon.round, chain);
  if (round.round !== beacon.round || round.signature !== beacon.signature) {
    throw evidenceError('BEACON_OTHER_ROUND', 'the beacon round given is not the one that the release is bound to', {
      expected: `round ${beacon.round}, signature ${beacon.signature}`,
      got: `round ${round.round}, signature ${round.signature}`,
      where: named,
      todo: `fetch round ${beacon.round} of ${chain.name}`,
    });
  }
  return `round ${round.round} of ${chain.name}, signed by its network, is the same in ${named} and in the bundle`;
}
