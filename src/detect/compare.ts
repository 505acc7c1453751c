/** `compare`: two models, no room: what they share, with which chance, what was done, and what cannot be told. */
import { needsSampling, type TestPlan, testedGroups } from '../align/index.js';
import { sharedConstants } from './constants.js';
import { type DiagnosisInput, diagnose } from './diagnose.js';
import { baseExplains, type Explanation } from './explain.js';
import { CONDITIONAL_LEVEL, LOOKS_WITH_BASE, orderLine, speaksBeyondBase } from './order.js';
import { sharePaired } from './paired-plan.js';
import { type Permuted, permutedLike } from './permuted.js';
import { type PowerOfTweak, showPower } from './power.js';
import { sharedSeed } from './seeds.js';
import { identicalTensors, relatedTensors, sharedList } from './shared.js';
import type { Subject, SubjectTensor } from './subject.js';
import { type Tested, testOrder } from './tested.js';
import type { Comparison, EvidenceLine } from './types.js';
import { decide } from './verdict.js';

export interface CompareOptions {
  /** A model that both may have started from; it can explain agreement, never prove independence. */
  readonly base?: Subject;
  readonly onStep?: (done: number, of: number, what: string) => void;
}

const STEPS = 5;

/**
 * Compares two models. The reference is `a`, or `b` where only `b` has a graph: the null rests on the exchangeable
 * units of one of the two, whichever it is (docs/theory.md §6).
 * @throws `COMPARE_NOTHING_LEFT` where NaN or infinities leave no tensor to compare
 */
export async function compareSubjects(
  a: Subject,
  b: Subject,
  { base, onStep = () => {} }: CompareOptions = {},
): Promise<Omit<Comparison, 'bytesRead' | 'seconds'>> {
  const swapped = !a.fromGraph && b.fromGraph;
  const [reference, suspect] = swapped ? [b, a] : [a, b];
  onStep(0, STEPS, 'reading the weights');
  const tested = await testOrder(reference, suspect);
  const constants = await sharedConstants(reference, suspect, tested.pairing.names);
  onStep(1, STEPS, 'looking for a common start');
  const identical = identicalTensors(tested.ours, tested.theirs);
  const explanation = await explain(tested, base);
  onStep(2, STEPS, 'aligning');
  const permuted = explanation === null && tested.order.log10p > CONDITIONAL_LEVEL ? permutedLike(tested) : null;
  onStep(3, STEPS, 'showing what would have been found');
  const power = tested.order.log10p > CONDITIONAL_LEVEL ? showPower(tested.plan, tested.ours, CONDITIONAL_LEVEL) : [];
  const share = (...plans: TestPlan[]) =>
    sharePaired(reference, suspect, new Set(plans.flatMap(({ tensors }) => tensors.map(({ name }) => name))));
  const decision = decide({
    tested,
    explanation,
    identical,
    permuted,
    power,
    constants,
    comparable: share(tested.full),
  });
  onStep(4, STEPS, 'describing');
  const related = relatedTensors(tested, decision.verdict === 'related' || explanation !== null);
  const tweaks = describe(tested, permuted, decision.describe);
  const shared = sharedList(tested, related, constants, identical, explanation);
  onStep(STEPS, STEPS, 'done');
  const lines = linesOf(tested, power, explanation, swapped);
  const decisive = lines.at(-1);
  return {
    verdict: decision.verdict,
    log10p: decisive?.log10p ?? null,
    kind: decisive?.kind ?? null,
    reason: decision.reason,
    scope: {
      comparable: share(tested.full, tested.plan),
      related: decision.verdict === 'related' ? sharePaired(reference, suspect, related) : 0,
    },
    correspondence: swapped
      ? tested.pairing.pairs.map((pair) => ({ ...pair, a: pair.b, b: pair.a }))
      : tested.pairing.pairs,
    shared: swapped ? shared.map(({ a: x, b: y, nature }) => ({ a: y, b: x, nature })) : shared,
    tweaks,
    lines,
    leftOut: leftOut(tested),
  };
}

/** The order line, and after it the line of the groups that a base does not explain, where they decide. */
function linesOf(
  tested: Tested,
  power: readonly PowerOfTweak[],
  explanation: Explanation | null,
  swapped: boolean,
): readonly EvidenceLine[] {
  if (testedGroups(tested.plan).length === 0) return [];
  const line = orderLine(tested.order, 'conditional');
  const detail = {
    ...line.detail,
    reference: swapped ? 'second' : 'first',
    sampled: needsSampling(tested.full),
    ...(power.length > 0 ? { power } : {}),
    ...(explanation === null ? {} : { explanation }),
  };
  const beyond = explanation?.kind === 'base' ? explanation.beyond : null;
  if (!speaksBeyondBase(beyond)) return [{ ...line, detail }];
  return [
    { ...line, detail },
    { ...orderLine(beyond, 'conditional', LOOKS_WITH_BASE), test: 'order beyond the base' },
  ];
}

/** Why agreement may not mean derivation, asked only where there is agreement to explain. */
async function explain(tested: Tested, base: Subject | undefined): Promise<Explanation | null> {
  if (tested.order.log10p > CONDITIONAL_LEVEL) return null;
  if (base !== undefined) {
    const explained = await baseExplains(tested, base);
    if (explained !== null) return explained;
  }
  const seed = await sharedSeed(tested.full, tested.reference, tested.suspect, tested.pairing.names);
  return seed === null ? null : { kind: 'seed', ...seed };
}

function describe(
  tested: Tested,
  permuted: Permuted | null,
  wanted: 'order' | 'alignment' | 'nothing',
): Comparison['tweaks'] {
  if (wanted === 'nothing') return [];
  const { plan, ours, theirs, suspect, reference, pairing } = tested;
  const alignment = wanted === 'alignment' ? permuted?.alignment : undefined;
  return diagnose({
    plan,
    reference: ours,
    stored: theirs,
    aligned: alignment?.aligned ?? theirs,
    groups: alignment?.groups ?? [],
    stated: (name) => statedOf(suspect.tensors.get(pairing.names.get(name) ?? name)),
    formats: { reference: formatOf(reference), suspect: formatOf(suspect) },
  });
}

/** Codings of blocks have a scale each; TensorFlow.js has one a tensor. Their scales are among the bits. */
function statedOf(tensor: SubjectTensor | undefined): ReturnType<NonNullable<DiagnosisInput['stated']>> {
  const packed = tensor?.packed ?? null;
  if (packed === null) return tensor?.quantisation ?? null;
  return { bits: Math.floor(packed.bits), granularity: packed.as.startsWith('uint') ? 'tensor' : 'block' };
}

function formatOf(subject: Subject): string {
  const weights = [...subject.tensors.values()].filter((tensor) => tensor.role === 'weight');
  const dtypes = [...new Set(weights.map(({ packed, dtype }) => packed?.as ?? dtype))].sort();
  return `${subject.format} ${dtypes.slice(0, 3).join('+')}`;
}

function leftOut(tested: Tested): Comparison['leftOut'] {
  const listed = new Map<string, string>();
  for (const { tensor, reason } of [...tested.reference.leftOut, ...tested.suspect.leftOut, ...tested.plan.leftOut]) {
    if (!listed.has(tensor)) listed.set(tensor, reason);
  }
  return [...listed].map(([tensor, reason]) => ({ tensor, reason }));
}
