/** The expert part of a bundle: one batch of keys, and the rows that the exact lines are made of, opened. */
import { type Alignment, correspond } from '../align/index.js';
import { environmentError, inputError, sha256OfSource, toHex } from '../base/index.js';
import {
  prepareTest,
  type Subject,
  subjectOfCanonical,
  suspectName,
  suspectSalt,
  testRelease,
} from '../detect/index.js';
import { type Model, openModel } from '../formats/index.js';
import {
  type CommitmentFact,
  type CommittableTensor,
  commitModel,
  commitmentsOf,
  committable,
  foldName,
  gapRows,
  getGaps,
  getSecrets,
  openOriginal,
  type ReleaseFact,
  releaseRoom,
  releasesOf,
} from '../mark/index.js';
import { registryOf, type StatementView } from '../record/index.js';
import type { Room } from '../room/index.js';
import { type CanonicalModel, canonicalise } from '../structure/index.js';
import type { AlignmentFile, Expert } from './bundle.js';
import type { CheckFact } from './check-fact.js';
import { expertMultiplicity, requireCounted } from './multiplicity.js';
import { openTensors } from './opened-rows.js';
import { type Pairs, pairingChoices } from './pairing.js';
import { openedOfOriginal, openedOfSuspect, treeLines } from './tree-expert.js';

export interface ExpertChoice {
  /** Default: the release that the check found the suspect to depend on most. */
  readonly release?: string;
  /** Default: the first batch that was not opened before. */
  readonly batch?: number;
  /** The suspect's file, where the check did not keep it. */
  readonly suspect?: string;
}

export interface ExpertPart {
  readonly expert: Expert;
  readonly commitment: CommitmentFact;
  readonly release: ReleaseFact;
}

/** @throws `PROVE_NO_RELEASE`, `BUNDLE_UNCOUNTED`, `PROVE_BATCHES_SPENT`, `PROVE_SUSPECT_NOT_KEPT`, `PROVE_SUSPECT_DIFFERS`, `PROVE_TOO_LARGE` */
export async function expertPart(
  room: Room,
  statements: readonly StatementView[],
  check: CheckFact,
  choice: ExpertChoice,
): Promise<ExpertPart> {
  const { release, commitment } = chosenRelease(statements, check, choice.release);
  requireCounted(check, commitment, release);
  const batch = choice.batch ?? freshBatch(statements, commitment);
  const owner = releaseRoom(room);
  const asset = registryOf(statements).models.find((one) => one.digests.includes(commitment.model.sha256));
  if (asset === undefined)
    throw inputError('PROVE_NO_RELEASE', 'the model of this release is not recorded any more', {
      got: commitment.model.name,
    });
  const secrets = await getSecrets(owner.vault!, release.release);
  const seed = secrets.seeds[batch];
  if (seed === undefined) {
    throw inputError('PROVE_BATCHES_SPENT', 'the release has no such batch', {
      expected: `0 to ${secrets.seeds.length - 1}`,
      got: String(batch),
    });
  }
  const original = await openOriginal(owner, asset, commitment.structure, release.release);
  const suspectModel = await openSuspect(room, check, choice.suspect);
  try {
    const suspect = await canonicalise(suspectModel);
    const ours = await subjectOfCanonical(original.canonical, asset.name);
    const theirs = await subjectOfCanonical(suspect, check.suspect.name);
    const keys = {
      release: release.release,
      original: commitment.original.root,
      beacon: release.beacon.value,
      seeds: new Map([[batch, seed]]),
    };
    if (commitment.plan.trees !== undefined) {
      const gaps = gapRows(await getGaps(owner.vault!, release.release));
      const shown = {
        keys: { release: release.release, batch, seed: toHex(seed), beacon: release.beacon.value, names: {} },
        original: await opened(original.canonical, secrets.originalSalt, openedOfOriginal(commitment.original), [gaps]),
        suspect: await opened(suspect, await saltOf(room, check), openedOfSuspect(check.suspect)),
      };
      const multiplicity = expertMultiplicity(check, commitment.plan.batches);
      const lines = treeLines(shown, commitment, release, check.suspect, multiplicity);
      const claims = { release: release.release, batch, ...multiplicity, lines };
      return { release, commitment, expert: { ...shown, claims, alignment: { steps: [] } } };
    }
    const names = await pairsOf(commitment, ours, theirs);
    const pairings = pairingChoices(commitment.plan.test, names, commitment.original, check.suspect);
    const multiplicity = expertMultiplicity(check, commitment.plan.batches, pairings);
    const prepared = await prepareTest(commitment.plan, ours, theirs);
    if (prepared?.alignment == null) {
      throw inputError('PROVE_TOO_LARGE', 'this model is too large for its rows to be opened and recomputed', {
        got: asset.name,
        todo: 'make a public bundle: leave out --expert',
      });
    }
    const test = testRelease({ commitment, release, keys }, prepared, multiplicity);
    const planned = commitment.plan.test.tensors.map(({ name }) => name);
    return {
      release,
      commitment,
      expert: {
        claims: { release: release.release, batch, ...multiplicity, lines: test.lines },
        keys: { release: release.release, batch, seed: toHex(seed), beacon: release.beacon.value, names },
        original: await opened(original.canonical, secrets.originalSalt, planned),
        suspect: await opened(suspect, await saltOf(room, check), Object.values(names)),
        alignment: alignmentFile(prepared.alignment),
      },
    };
  } finally {
    await suspectModel.close();
    await original.close();
  }
}

/** As `testRelease` pairs them: those of one shape. */
async function pairsOf({ plan }: CommitmentFact, ours: Subject, theirs: Subject): Promise<Pairs> {
  const { names } = await correspond(ours, theirs);
  return Object.fromEntries(
    plan.test.tensors.flatMap(({ name, full }) => {
      const other = names.get(name);
      const shape = other === undefined ? undefined : theirs.tensors.get(other)?.shape;
      return other !== undefined && shape?.join() === full.join() ? [[name, other]] : [];
    }),
  );
}

async function opened(
  model: CanonicalModel,
  salt: Uint8Array,
  names: readonly string[],
  more: readonly CommittableTensor[] = [],
) {
  const parts = new Map([...(await committable(model)), ...more].map((tensor) => [tensor.name, tensor]));
  const tree = await commitModel([...parts.values()], salt);
  const wanted = names.flatMap((name) => [name, foldName(name)]);
  return openTensors(tree, salt, wanted, async (name) => {
    const part = parts.get(name);
    return part === undefined ? null : part.rows(0, part.shape[0] ?? 1);
  });
}

async function saltOf(room: Room, check: CheckFact): Promise<Uint8Array> {
  const salt = await suspectSalt(releaseRoom(room), check.check);
  if (salt !== null) return salt;
  throw environmentError('PROVE_SALT_LOST', 'the vault does not hold what opens the suspect of this check', {
    where: check.check,
    todo: 'check the suspect again, then prove that check',
  });
}

const alignmentFile = (alignment: Alignment): AlignmentFile => ({
  steps: alignment.steps.map(({ pass, group, assignment, u, v }) => ({
    pass,
    group,
    assignment: Array.from(assignment),
    u: Array.from(u),
    v: Array.from(v),
  })),
});

function chosenRelease(statements: readonly StatementView[], check: CheckFact, wanted: string | undefined) {
  const named = wanted ?? check.candidates.find((candidate) => candidate.release !== null)?.release;
  const release = releasesOf(statements).find((one) => one.release === named);
  const commitment = commitmentsOf(statements).find((one) => one.release === named);
  if (release !== undefined && commitment !== undefined) return { release, commitment };
  throw inputError('PROVE_NO_RELEASE', 'this check has no release whose keys could be opened', {
    got: wanted ?? check.check,
    todo: 'an expert bundle needs a release; make a public bundle: leave out --expert',
  });
}

/** A batch that was shown to anyone is burnt; the next one serves. */
function freshBatch(statements: readonly StatementView[], commitment: CommitmentFact): number {
  const spent = new Set(
    statements
      .filter((one) => one.kind === 'opening' && one.predicate.release === commitment.release)
      .map((one) => one.predicate.batch),
  );
  const fresh = commitment.seeds.findIndex((_, batch) => !spent.has(batch));
  if (fresh >= 0) return fresh;
  throw inputError('PROVE_BATCHES_SPENT', 'every batch of this release was opened before', {
    got: `${commitment.seeds.length} of ${commitment.seeds.length} opened`,
    where: commitment.release,
    todo: 'name one with --batch to show it again to someone who has not seen it; next time release with more --batches',
  });
}

async function openSuspect(room: Room, check: CheckFact, file: string | undefined): Promise<Model> {
  const wanted = check.suspect.files.map((one) => one.sha256);
  if (file !== undefined) {
    const model = await openModel(file);
    const found = await Promise.all(model.sources.map((source) => sha256OfSource(source)));
    if (found.join() === wanted.join()) return model;
    await model.close();
    throw inputError('PROVE_SUSPECT_DIFFERS', 'this is not the file that was checked', {
      expected: wanted.join(', '),
      got: found.join(', '),
      where: file,
    });
  }
  const vault = releaseRoom(room).vault!;
  if (!check.suspect.kept) {
    throw inputError('PROVE_SUSPECT_NOT_KEPT', 'the check did not keep the suspect', {
      where: check.check,
      todo: 'give the file: --suspect FILE; or check it again with --keep',
    });
  }
  const index = new Map(check.suspect.files.map((one, i) => [one.name, i]));
  return openModel(await vault.openFile(suspectName(check.check, 0)), async (name) => {
    const i = index.get(name);
    return i === undefined ? null : vault.openFile(suspectName(check.check, i));
  });
}
