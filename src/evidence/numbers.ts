/** The numbers of an expert bundle, made again from what it opens. */
import { evidenceError } from '../base/index.js';
import type { EvidenceLine } from '../detect/index.js';
import { commitmentsOf, releasesOf } from '../mark/index.js';
import { bundlePaths, type Claims, type Expert } from './bundle.js';
import type { CheckFact } from './check-fact.js';
import { expertMultiplicity, requireCounted } from './multiplicity.js';
import { type Opened, readJson, requireAllFields } from './opened-bundle.js';
import { pairingChoices } from './pairing.js';
import { type GroupPoints, unitPoints } from './points.js';
import { compareLines, recompute } from './recompute.js';
import { requireOpening } from './release-steps.js';
import { treeLines } from './tree-expert.js';

export interface RecomputedNumbers {
  readonly lines: readonly EvidenceLine[];
  readonly claims: Claims;
  readonly plots: readonly GroupPoints[];
  readonly suspect: Expert['suspect'];
  readonly check: CheckFact;
}

/** @throws `BUNDLE_INCOMPLETE`, `BUNDLE_OPENING`, `BUNDLE_UNCOUNTED`, `BUNDLE_PAIRING`, `BUNDLE_WITHHELD`, and what `recompute` throws */
export async function recomputeNumbers(
  { dir, about, statements }: Opened,
  check: CheckFact | null,
): Promise<RecomputedNumbers> {
  const release = releasesOf(statements).find((one) => one.release === about.release);
  const commitment = commitmentsOf(statements).find((one) => one.release === about.release);
  if (check === null || release === undefined || commitment === undefined) {
    throw evidenceError('BUNDLE_INCOMPLETE', 'an expert bundle must show its check, its release and its commitment', {
      where: about.about.id,
    });
  }
  requireAllFields(statements, [check, release, commitment]);
  const expert: Expert = {
    claims: await readJson(dir, bundlePaths.claims),
    keys: await readJson(dir, bundlePaths.keys),
    original: await readJson(dir, bundlePaths.original),
    suspect: await readJson(dir, bundlePaths.suspect),
    alignment: await readJson(dir, bundlePaths.alignment),
  };
  const { batch } = expert.keys;
  requireOpening(
    statements.filter((one) => one.predicate.check === check.check),
    release.release,
    batch,
  );
  requireCounted(check, commitment, release);
  const { plan, original } = commitment;
  if (plan.trees !== undefined) {
    const multiplicity = expertMultiplicity(check, plan.batches);
    const lines = treeLines(expert, commitment, release, check.suspect, multiplicity);
    compareLines(lines, expert.claims.lines);
    return { lines, claims: { ...expert.claims, ...multiplicity, lines }, plots: [], suspect: expert.suspect, check };
  }
  const pairings = pairingChoices(plan.test, expert.keys.names, original, check.suspect);
  const multiplicity = expertMultiplicity(check, plan.batches, pairings);
  const { lines } = await recompute(expert, commitment, release, check.suspect, multiplicity);
  return {
    lines,
    claims: { ...expert.claims, ...multiplicity, lines },
    plots: await unitPoints({ expert, commitment, release }),
    suspect: expert.suspect,
    check,
  };
}
