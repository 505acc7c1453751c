/** The answer, by the rules of docs/theory.md §11, in words that a lawyer can read. */
import { testedGroups } from '../align/index.js';
import type { SharedConstant } from './constants.js';
import { type Explanation, withoutTensors } from './explain.js';
import { CONDITIONAL_LEVEL, orderStatistic, speaksBeyondBase } from './order.js';
import type { Permuted } from './permuted.js';
import { hasPower, type PowerOfTweak } from './power.js';
import type { Identical } from './shared.js';
import { elementsOf } from './subject.js';
import type { Tested } from './tested.js';
import type { Verdict } from './types.js';

export interface Facts {
  readonly tested: Tested;
  readonly explanation: Explanation | null;
  readonly identical: readonly Identical[];
  readonly permuted: Permuted | null;
  readonly power: readonly PowerOfTweak[];
  readonly constants: readonly SharedConstant[];
  /** Share of the larger model's learned parameters that was compared. */
  readonly comparable: number;
}

export interface Decision {
  readonly verdict: Verdict;
  readonly reason: string;
  /** Which view of the suspect the diagnosis may describe. */
  readonly describe: 'order' | 'alignment' | 'nothing';
}

/** Below this share `no-evidence` would speak of a model that was hardly looked at. */
const MIN_COMPARABLE = 0.5;
/** More agreement than this is not `no-evidence`, though it is not enough for `related`. */
const DOUBT = -3;

export function decide(facts: Facts): Decision {
  const { tested, explanation } = facts;
  const groups = testedGroups(tested.plan);
  if (groups.length === 0) return nothingToTest(facts);
  const { log10p } = tested.order;
  if (log10p <= CONDITIONAL_LEVEL) return explanation === null ? agreement(facts) : explained(facts, explanation);
  if (facts.permuted !== null) {
    return {
      verdict: 'inconclusive',
      reason: `After the units are put in another order the weights agree (mean cosine ${facts.permuted.similarity.toFixed(2)}, over ${percent(facts.comparable)} of the learned parameters): this looks like a permuted copy. Without a release there is no exact test for that; a committed release, or trainings of the owner from other seeds as controls, would tell.`,
      describe: 'alignment',
    };
  }
  if (log10p <= DOUBT) {
    return {
      verdict: 'inconclusive',
      reason: `More units agree than chance explains easily (log10 p ${log10p.toFixed(1)}), yet fewer than the level of ${CONDITIONAL_LEVEL} asks for.`,
      describe: 'nothing',
    };
  }
  if (facts.identical.length > 0) return component(facts);
  if (facts.comparable < MIN_COMPARABLE) {
    return {
      verdict: 'inconclusive',
      reason: `Only ${percent(facts.comparable)} of the learned parameters have a counterpart in the other model. What could be compared agrees no more than chance; nothing is said of the rest.${constantsSentence(facts.constants)}`,
      describe: 'nothing',
    };
  }
  return hasPower(facts.power) ? noEvidence(facts) : weak(facts);
}

function nothingToTest({ tested, constants, identical }: Facts): Decision {
  const named = constantsSentence(constants);
  const parts =
    identical.length > 0
      ? ` ${identical.length} tensors are equal in every value; a public component would be too.`
      : '';
  const paired = tested.pairing.names.size;
  const reason =
    paired === 0
      ? 'The two models have no tensor in common by name or by place and shape, so there is nothing that the order test could see.'
      : 'No tensor that both models have lies on hidden units whose order is free, so the order test has nothing to count.';
  return { verdict: 'inconclusive', reason: `${reason}${parts}${named}`, describe: 'nothing' };
}

/** Share of what was compared that lies in tensors equal in every value. */
function equalShare({ tested, identical }: Facts): number {
  const equal = identical.reduce((sum, { elements }) => sum + elements, 0);
  const all = tested.plan.tensors.reduce((sum, tensor) => sum + elementsOf(tensor.shape), 0);
  return all === 0 ? 0 : equal / all;
}

function component(facts: Facts): Decision {
  return {
    verdict: 'inconclusive',
    reason: `What agrees lies in ${facts.identical.length} tensors that are equal in every value (${percent(equalShare(facts))} of what was compared), and the rest agrees no more than chance: an identical component, perhaps a public one.${constantsSentence(facts.constants)}`,
    describe: 'nothing',
  };
}

function agreement(facts: Facts): Decision {
  const { tested, identical } = facts;
  if (identical.length > 0 && equalShare(facts) < 0.5) {
    const same = new Set(identical.map(({ tensor }) => tensor));
    const rest = orderStatistic(withoutTensors(tested.plan, same), tested.ours, tested.theirs);
    if (rest.log10p > CONDITIONAL_LEVEL) return component(facts);
  }
  const { hits, n, log10p } = tested.order;
  return {
    verdict: 'related',
    reason: `${hits} of ${n} hidden units point at their own place in the other model. Shared start, base, seed or constants, or derivation: if the two were initialised independently, the chance of this is at most 10^${log10p.toFixed(1)}. That sentence is conditional and is no odds of copying; who was first is a matter for the ledger.${byNames(tested)}`,
    describe: 'order',
  };
}

function explained({ tested }: Facts, explanation: Explanation): Decision {
  if (explanation.kind === 'seed') {
    return {
      verdict: 'inconclusive',
      reason: `Both models started from the popular seed ${explanation.seed} of ${explanation.framework}: that alone makes ${tested.order.hits} of ${tested.order.n} units agree, so the agreement shows no copying, and does not exclude it.`,
      describe: 'nothing',
    };
  }
  if (speaksBeyondBase(explanation.beyond)) {
    return {
      verdict: 'related',
      reason: `Both models derive from the base, and they also agree in unit groups that the base does not have (conditional log10 p ${explanation.beyond.log10p.toFixed(1)} there): shared start, seed or constants, or derivation, beyond the base.`,
      describe: 'order',
    };
  }
  return {
    verdict: 'inconclusive',
    reason: `Both models depend on the base that was named (log10 p ${explanation.log10p[0].toFixed(1)} and ${explanation.log10p[1].toFixed(1)}): it explains the agreement. Subtracting it restores no test, so whether one also derives from the other stays open.`,
    describe: 'nothing',
  };
}

function noEvidence(facts: Facts): Decision {
  const { tested, power } = facts;
  const { hits, n, log10p } = tested.order;
  const low = Math.min(...power.map((tweak) => tweak.interval95[0]));
  const tweaks = power.map((tweak) => tweak.tweak).join(', ');
  return {
    verdict: 'no-evidence',
    reason: `${hits} of ${n} hidden units agree, which is chance (log10 p ${log10p.toFixed(1)}). Unpermuted copies of the first model (${tweaks}) were found in ${power[0]!.trials} of ${power[0]!.trials} trials each (95 % interval from ${percent(low)}). Without a committed release a copy with re-ordered units, or one extracted through answers, is not excluded.${constantsSentence(facts.constants)}${byNames(tested)}`,
    describe: 'nothing',
  };
}

function weak({ power, tested, constants }: Facts): Decision {
  const missed = power
    .filter((tweak) => tweak.found < tweak.trials)
    .map((tweak) => `${tweak.tweak}: ${tweak.found} of ${tweak.trials}`);
  const units = tested.order.n;
  return {
    verdict: 'inconclusive',
    reason: `The test had too little power on these ${units} hidden units: copies of the first model were not always found (${missed.join('; ')}). Finding no agreement therefore shows nothing.${constantsSentence(constants)}`,
    describe: 'nothing',
  };
}

function constantsSentence(constants: readonly SharedConstant[]): string {
  if (constants.length === 0) return '';
  const named = constants.slice(0, 3).map(({ a, what }) => `${a} (${what})`);
  return ` Both hold the same constants, which come from the method or from preparing the same data in the same way: ${named.join(', ')}${constants.length > 3 ? ', …' : ''}.`;
}

const byNames = ({ plan }: Tested): string =>
  plan.groups.some((group) => group.vouched === 'names')
    ? ' Which units are exchangeable was read from names and shapes, not from a graph.'
    : '';

const percent = (share: number): string => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
