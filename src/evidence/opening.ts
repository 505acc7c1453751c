/** What a bundle opens of a release's keys, put on record before anything is shown. */
import { usageError } from '../base/index.js';
import type { LedgerStatement } from '../ledger/index.js';
import { commitmentsOf } from '../mark/index.js';
import type { Room } from '../room/index.js';
import type { CheckFact } from './check-fact.js';
import { type ExpertChoice, type ExpertPart, expertPart } from './expert.js';
import { type OpenedRelease, openRelease } from './opened-release.js';
import type { Target } from './target.js';

export interface OpeningRequest extends ExpertChoice {
  readonly target: string;
  readonly expert?: boolean;
  readonly allBatches?: boolean;
}

/** What is opened: the rows and one batch behind a check's numbers, or every batch of a release, or both. */
export interface Opening {
  readonly release: string;
  readonly batches: readonly number[];
  readonly part: ExpertPart | null;
  readonly whole: OpenedRelease | null;
}

/** Null where nothing is. @throws `PROVE_RELEASE_WHOLE`, `PROVE_RELEASE_ALONE`, `PROVE_EXPERT_NEEDS_CHECK`, and `expertPart`'s */
export async function openingOf(
  room: Room,
  statements: readonly LedgerStatement[],
  target: Target,
  request: OpeningRequest,
): Promise<Opening | null> {
  const { expert = false, allBatches = false } = request;
  if (target.kind === 'release' ? !(expert && allBatches) : allBatches && !expert) {
    throw usageError('PROVE_RELEASE_WHOLE', 'a release is proved by opening every batch of its keys', {
      expected: '--expert --all-batches',
      got: request.target,
      todo: 'give both, where no other court will need these keys; else prove a check of a suspect, without --all-batches',
    });
  }
  if (!expert) return null;
  if (target.kind === 'release') {
    const { release } = target.release;
    if (request.batch !== undefined || request.suspect !== undefined || (request.release ?? release) !== release) {
      throw usageError('PROVE_RELEASE_ALONE', 'a release is opened whole, by itself', {
        expected: 'neither --batch nor --suspect nor another --release',
        got: request.target,
        todo: 'leave them out; or prove a check of the suspect',
      });
    }
    const whole = await openRelease(room, commitmentsOf(statements).find((one) => one.release === release)!);
    return { release, batches: whole.seeds.map((_, batch) => batch), part: null, whole };
  }
  const part = await expertPart(room, statements, checkFor(target), request);
  const { release, batch } = part.expert.keys;
  if (!allBatches) return { release, batches: [batch], part, whole: null };
  const whole = await openRelease(room, part.commitment);
  return { release, batches: whole.seeds.map((_, index) => index), part, whole };
}

function checkFor(target: Target): CheckFact {
  if (target.kind === 'check') return target.check;
  throw usageError('PROVE_EXPERT_NEEDS_CHECK', 'an expert bundle is about a check', {
    got: target.kind === 'model' ? target.name : target.release.release,
    todo: 'muniment check SUSPECT first, then prove its id with --expert',
  });
}

/** Before anything is shown: an opening that is not on record could be denied later. */
export async function recordOpening(room: Room, { release, batches }: Opening, target: Target): Promise<void> {
  const check = target.kind === 'check' ? { check: target.check.check } : {};
  await room.ledger.append(
    batches.map((batch) => ({ kind: 'opening', subjects: [], predicate: { release, batch, ...check } })),
  );
}
