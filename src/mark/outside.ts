/** What comes from outside between commitment and keys: the stamp, then the beacon (docs/theory.md §1). */
import { inputError } from '../base/index.js';
import {
  type BeaconRecord,
  type BeaconSource,
  drandRecord,
  noBeacon,
  type StampFact,
  timestampRecord,
} from './beacon.js';
import { vaultOf } from './original.js';
import type { ReleaseOptions, ReleaseRoom } from './release.js';
import { getStamps, putStamps } from './secrets.js';
import type { CommitmentFact } from './statements.js';

/** What was committed, and by which statement. */
type Committed = Pick<CommitmentFact, 'release' | 'statement'>;

/** Stamp, then beacon. Stamps once obtained are used again: asking anew would be drawing anew. */
export async function outside(
  room: ReleaseRoom,
  commitment: Committed,
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
  commitment: Committed,
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
