/** An open room as a release needs it. */
import { environmentError } from '../base/index.js';
import { collect } from '../record/index.js';
import { type Room, stampsOf } from '../room/index.js';
import type { StampFact } from './beacon.js';
import type { ReleaseRoom } from './release.js';

/** @see ReleaseRoom */
export const releaseRoom = (room: Room): ReleaseRoom => ({
  ledger: {
    append: (inputs) => room.ledger.append(inputs),
    statements: () => room.ledger.statements(),
    exclusively: (work) => room.ledger.exclusively((append) => work((inputs) => append(inputs))),
  },
  vault: room.vault,
  stampFacts: (index) => stampsFor(room, index),
});

/** The stamps that first covered a statement; asked for now where there are none. */
async function stampsFor(room: Room, index: number): Promise<readonly StampFact[]> {
  const covering = stampsOf(await collect(room.ledger.statements())).filter((stamp) => stamp.size > index);
  if (covering.length > 0) {
    const first = Math.min(...covering.map((stamp) => stamp.size));
    return covering.filter((stamp) => stamp.size === first).map(factOf);
  }
  const { stamps, failures } = await room.stamp();
  const [failure] = failures;
  if (stamps.length === 0 && failure !== undefined) {
    throw environmentError('MARK_NO_STAMP', 'no time-stamp authority answered; the commitment stands', {
      where: failure.url,
      got: failure.error.message,
      todo: 'when one answers again: muniment release --resume --out FILE',
      cause: failure.error,
    });
  }
  return stamps.map(factOf);
}

const factOf = ({ authority, time, token }: StampFact): StampFact => ({ authority, time, token });
