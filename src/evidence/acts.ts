/** Time and the order of acts: stamps over what the log extends, and commitment, stamp, beacon and release in that order. */
import { evidenceError, fromBase64, fromUtf8, sha256, utf8 } from '../base/index.js';
import {
  parseCheckpoint,
  roundAfter,
  verifyBeacon,
  verifyConsistency,
  verifyNote,
  verifyTimestamp,
} from '../ledger/index.js';
import {
  type CommitmentFact,
  commitmentsOf,
  drandRecord,
  type ReleaseFact,
  releasesOf,
  timestampRecord,
} from '../mark/index.js';
import { bundlePaths } from './bundle.js';
import type { CheckFact } from './check-fact.js';
import { logKeys, type Opened, type Outcome, readBytes } from './opened-bundle.js';
import { type Trust, trustedChain } from './trust.js';

export interface VerifiedStamp {
  readonly token: string;
  readonly time: Date;
  readonly authority: string;
  readonly size: number;
}

/** Each token over its checkpoint, that checkpoint signed by the log, and the log extending it. */
export async function readStamps({
  dir,
  trust,
  about,
  checkpoint,
  statements,
}: Opened): Promise<readonly VerifiedStamp[]> {
  const stated = statements.filter((one) => one.kind === 'timestamp');
  // An earlier stamp left out would hide for how long a beacon round, or a token, could be waited for.
  const hidden = stated.find((one) => !about.tokens.includes(String(one.predicate.token)));
  if (hidden !== undefined) {
    throw evidenceError('STAMP_LEFT_OUT', 'a stamp that the log holds is left out of the bundle', {
      where: `entry ${hidden.index}`,
      todo: 'ask the owner for a bundle with every stamp',
    });
  }
  const stamps: VerifiedStamp[] = [];
  for (const token of about.tokens) {
    const where = bundlePaths.token(token);
    const note = fromUtf8(await readBytes(dir, bundlePaths.stamped(token)), bundlePaths.stamped(token));
    const response = await readBytes(dir, where);
    const roots =
      trust !== null && trust.authorities.length > 0
        ? trust.authorities
        : certificatesIn(fromUtf8(await readBytes(dir, bundlePaths.roots)));
    const { time, authority, token: digest } = verifyTimestamp(response, sha256(utf8(note)), roots, { where });
    const older = parseCheckpoint(
      verifyNote(note, await logKeys(dir, trust), bundlePaths.stamped(token)),
      bundlePaths.stamped(token),
    );
    const extension = fromUtf8(await readBytes(dir, bundlePaths.extends(token)))
      .split('\n')
      .slice(0, -1)
      .map(fromBase64);
    if (
      digest !== token ||
      older.origin !== checkpoint.origin ||
      !verifyConsistency(older.size, checkpoint.size, extension, older.root, checkpoint.root)
    ) {
      throw evidenceError('LOG_FORK', 'the log does not extend the checkpoint that was stamped', { where });
    }
    if (!stated.some((one) => one.predicate.token === token))
      throw evidenceError('STAMP_NOT_LOGGED', 'a stamp is not in the log', { where });
    stamps.push({ token, time, authority, size: older.size });
  }
  return stamps;
}

const certificatesIn = (pem: string): readonly string[] =>
  pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];

/** theory §1: commitment, stamp, beacon, release, in this order, or the assumption says what is missing. */
export function checkOrder(
  { statements, trust }: Opened,
  stamps: readonly VerifiedStamp[],
): readonly [Outcome, string] {
  const releases = releasesOf(statements).filter((one) => typeof one.release === 'string');
  if (releases.length === 0) return ['unknown', 'no release is shown'];
  const said: string[] = [];
  let outcome: Outcome = 'holds';
  for (const release of releases) {
    const commitment = commitmentsOf(statements).find((one) => one.release === release.release);
    if (
      commitment === undefined ||
      commitment.statement.sha256 !== release.commitment ||
      commitment.statement.index >= release.statement.index
    ) {
      throw evidenceError('ORDER_OF_ACTS', 'a release was not committed before it was made', {
        where: release.release,
      });
    }
    const first = stamps
      .filter((stamp) => stamp.size > commitment.statement.index)
      .reduce<VerifiedStamp | null>((best, one) => (best === null || one.time < best.time ? one : best), null);
    said.push(
      `${release.release}: committed (entry ${commitment.statement.index})${first === null ? '' : `, stamped ${first.time.toISOString()}`}, ${checkBeacon(release, commitment, first, stamps, trust)}, released (entry ${release.statement.index})`,
    );
    const bound = stamps.find((one) => release.beacon.kind === 'timestamp' && one.token === release.beacon.token);
    const uncounted = bound !== undefined && tokensToChooseFrom(bound, commitment, stamps) > release.beacon.choices;
    // A round that only the owner's clock puts after the commitment, and a stamp whose root only he vouches for, show no order.
    const unstamped = release.beacon.kind === 'drand' && !release.beacon.stamped;
    if (release.beacon.kind === 'none' || uncounted || unstamped || !(trust !== null && trust.authorities.length > 0))
      outcome = 'unknown';
  }
  return [outcome, said.join('; ')];
}

/**
 * The first token of its authority that covers the commitment is what an owner who chooses nothing takes; each sooner
 * one in the log was one more to choose from. Two processes that stamp at once leave one too, so it is said, not refused.
 */
const tokensToChooseFrom = (
  bound: VerifiedStamp,
  { statement }: CommitmentFact,
  stamps: readonly VerifiedStamp[],
): number =>
  1 +
  stamps.filter(
    ({ authority, size, time }) =>
      authority === bound.authority &&
      size > statement.index &&
      (size < bound.size || (size === bound.size && time < bound.time)),
  ).length;

function checkBeacon(
  release: ReleaseFact,
  commitment: CommitmentFact,
  first: VerifiedStamp | null,
  stamps: readonly VerifiedStamp[],
  trust: Trust | null,
): string {
  const { beacon } = release;
  const wrong = (what: string): never => {
    throw evidenceError('ORDER_OF_ACTS', what, { where: release.release });
  };
  if (beacon.kind === 'none') return 'no outside value: the owner drew honestly is assumed';
  if (beacon.kind === 'timestamp') {
    const stamp = stamps.find((one) => one.token === beacon.token);
    if (stamp === undefined || stamp.size <= commitment.statement.index)
      return wrong('the time-stamp token that a release is bound to does not cover its commitment');
    const expected = timestampRecord(
      { authority: stamp.authority, time: stamp.time.toISOString(), token: stamp.token },
      beacon.choices,
    );
    if (expected.value !== beacon.value) return wrong('a release is bound to another value than its token gives');
    const had = tokensToChooseFrom(stamp, commitment, stamps);
    const more =
      had > beacon.choices ? `, but the log holds ${had} that could have been taken: that was not corrected for` : '';
    return `bound to token ${beacon.token.slice(0, 12)}… (${beacon.choices} requested by the owner’s count${more})`;
  }
  const chain = trustedChain(trust, beacon.chain, release.release);
  const round = verifyBeacon({ round: beacon.round, signature: beacon.signature }, chain, release.release);
  const expected = drandRecord({ ...round, first: beacon.round }, beacon.stamped);
  if (expected.value !== beacon.value) return wrong('a release is bound to another value than its beacon round gives');
  if (first !== null && beacon.choices < beacon.round - roundAfter(first.time, chain) + 1)
    return wrong('the owner could have waited for more beacon rounds than were corrected for');
  if (beacon.stamped && (first === null || round.time <= first.time))
    return wrong('the beacon round was published before the commitment was stamped');
  const clock = beacon.stamped ? '' : ', which no outside stamp puts after the commitment';
  return `bound to beacon round ${beacon.round} of ${round.time.toISOString()}${clock}`;
}

/** Where the whole log is shown, releases and looks are counted from the kinds of all its entries. */
export function countChances(
  { about, checkpoint, statements }: Opened,
  check: CheckFact,
): { whole: boolean; says: string } {
  const claimed = `${check.chances} releases and look ${check.look}`;
  const whole =
    about.wholeLog && statements.length === checkpoint.size && statements.every((one, i) => one.index === i);
  if (about.wholeLog && !whole)
    throw evidenceError('BUNDLE_LOG_INCOMPLETE', 'the bundle claims to show the whole log, and does not', {
      expected: `${checkpoint.size} statements`,
      got: String(statements.length),
    });
  if (!whole) return { whole, says: `${claimed} are the owner’s count: the whole log is not shown` };
  const before = statements.filter((one) => one.index < check.statement.index);
  const open = releasesOf(before).filter((one) => typeof one.release === 'string');
  const extra = open.reduce((sum, one) => sum + one.beacon.choices - 1, 0);
  const closed = before.filter((one) => one.kind === 'release').length - open.length;
  const commitments = before.filter((one) => one.kind === 'release-commitment').length + extra;
  const looks = before.filter((one) => one.kind === 'check').length + 1;
  if (check.chances < commitments || check.look !== looks) {
    throw evidenceError('BUNDLE_MULTIPLICITY', 'the log holds more releases or looks than were corrected for', {
      expected: `at least ${commitments} releases, look ${looks}`,
      got: claimed,
    });
  }
  const word =
    closed === 0
      ? ''
      : `; of ${closed} releases that are not opened here, how many beacon values each had to choose from is the owner’s count`;
  return { whole, says: `${claimed}, counted from all ${checkpoint.size} entries${word}` };
}
