/** Every release of one model of decision trees as a candidate: first all lines, then the verdicts. */
import { fromUtf8, utf8 } from '../base/index.js';
import type { Model } from '../formats/index.js';
import {
  type CommitmentFact,
  checkGaps,
  getGaps,
  getSecrets,
  openOriginal,
  type ReleaseFact,
  type ReleaseRoom,
} from '../mark/index.js';
import type { Asset } from '../record/index.js';
import type { Multiplicity } from './exact.js';
import type { ExactTrials } from './exact-power.js';
import { EXACT_LEVEL } from './order.js';
import { decideTreeRelease, type TreeRelease, testTreeRelease } from './tree-release.js';
import type { Candidate, Comparison } from './types.js';

export interface TreeReleases {
  readonly asset: Asset;
  /** With the commitment of each, whose plan has `trees`. */
  readonly releases: readonly (readonly [ReleaseFact, CommitmentFact])[];
  /** The suspect against the unmarked original. */
  readonly conditional: Comparison;
  readonly multiplicity: Multiplicity;
  /** When the statement was first stamped. */
  earliest(commitment: CommitmentFact): string | null;
}

const powerName = (release: string): string => `release/${release}/power`;

/** @param sha256 of the suspect's file */
export async function treeCandidates(
  room: ReleaseRoom,
  { asset, releases, conditional, multiplicity, earliest }: TreeReleases,
  suspect: Model,
  sha256: string,
): Promise<readonly Candidate[]> {
  const [first] = releases;
  if (first === undefined) return [];
  const vault = room.vault!;
  const { model: original, canonical, close } = await openOriginal(room, asset, first[1].structure, first[0].release);
  try {
    const subjects: TreeRelease[] = [];
    for (const [release, commitment] of releases) {
      const { seeds, originalSalt } = await getSecrets(vault, release.release);
      const gaps = await getGaps(vault, release.release);
      await checkGaps(canonical, commitment, gaps, originalSalt);
      const keys = {
        release: release.release,
        original: commitment.original.root,
        beacon: release.beacon.value,
        seeds: new Map(seeds.map((seed, batch) => [batch, seed])),
      };
      subjects.push({ commitment, release, keys, gaps, original });
    }
    const tested = subjects.map((subject) => {
      const start = performance.now();
      return { subject, start, test: testTreeRelease(subject, suspect, multiplicity) };
    });
    const fired = tested.some(({ test }) => test !== null && test.line.log10p <= EXACT_LEVEL);
    const unmarked =
      !fired && conditional.tweaks.length > 0
        ? `The suspect's trees are those of ${asset.name}, and its thresholds do not lie where a release put them: a copy of the unmarked original, or one whose thresholds were set anew.`
        : null;
    const out: Candidate[] = [];
    for (const { subject, test, start } of tested) {
      const { release, commitment } = subject;
      const kept = await vault.get(powerName(release.release));
      let fresh: ExactTrials | null = null;
      const power = {
        kept: kept === null ? null : (JSON.parse(fromUtf8(kept)) as ExactTrials),
        keep: (trials: ExactTrials) => {
          fresh = trials;
        },
      };
      const decided = decideTreeRelease(
        subject,
        suspect,
        test,
        unmarked,
        multiplicity.factor,
        power,
        release.files[0]!.sha256 === sha256,
      );
      if (fresh !== null) await vault.put(powerName(release.release), utf8(JSON.stringify(fresh)));
      out.push({
        model: asset.name,
        release: release.release,
        recipient: release.recipient,
        earliestTimestamp: earliest(commitment),
        ...decided,
        shared: [],
        correspondence: [],
        leftOut: [],
        bytesRead: 0,
        seconds: (performance.now() - start) / 1000,
      });
    }
    return out;
  } finally {
    await close();
  }
}
