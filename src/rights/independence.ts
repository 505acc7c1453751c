/**
 * The creation log of a model, for the case where its owner is the one accused: what was made when, by whom, from what,
 * every item bound by digest to the model, and what a court would still ask for. Independent creation defeats a claim
 * of copying only if the log leads to the disputed model itself (in Douyin v Yiruike, 31 March 2025, the defendant's
 * development records could not be linked to it).
 */
import { inputError } from '../base/index.js';
import type { Asset, Registry, Relation, StatementView } from '../record/index.js';
import type { Register } from './register.js';

export interface CreationStep {
  readonly asset: Asset;
  /** How one gets here from the model: `trained-on`, or several relations. */
  readonly path: readonly Relation[];
  readonly statement: StatementView;
  /** When it was first stated; `null` stamp where only the owner vouches for the day. */
  readonly firstStated: string;
  readonly stamp: { readonly time: string; readonly authority: string } | null;
  readonly made: { readonly from: string | null; readonly to: string | null };
  readonly by: readonly string[];
}

export interface CourtItem {
  readonly id: string;
  /** What is asked for. */
  readonly asks: string;
  readonly authority: string;
  readonly state: 'shown' | 'missing';
  /** What shows it, or what to record. */
  readonly says: string;
  readonly statements: readonly StatementView[];
}

export interface IndependenceFile {
  readonly model: Asset;
  /** Oldest first. */
  readonly steps: readonly CreationStep[];
  readonly items: readonly CourtItem[];
  /** Recorded searches for earlier publications, this model's first. */
  readonly searches: readonly StatementView[];
  /** Assets that a link names by digest but that are not recorded. */
  readonly dangling: readonly { readonly from: string; readonly relation: Relation; readonly sha256: string }[];
}

export type StampOf = (index: number) => { readonly time: string; readonly authority: string } | null;

/** @throws `INDEPENDENCE_NOT_A_MODEL` */
export function independenceOf(register: Register, model: Asset, stampOf: StampOf): IndependenceFile {
  if (model.kind !== 'model') {
    throw inputError('INDEPENDENCE_NOT_A_MODEL', 'a creation log is made for a model', {
      expected: 'a recorded model',
      got: `${model.kind} ${model.name}`,
    });
  }
  const { steps, dangling } = walk(register.registry, model, stampOf);
  const searches = [...register.searches].sort(
    (a, b) =>
      Number(b.predicate.asset === model.sha256) - Number(a.predicate.asset === model.sha256) || a.index - b.index,
  );
  return {
    model,
    steps: [...steps].sort((a, b) => dayOf(a).localeCompare(dayOf(b)) || a.statement.index - b.statement.index),
    items: courtItems.map((item) => ask(item, model, steps, register)),
    searches,
    dangling,
  };
}

const dayOf = (step: CreationStep): string => step.made.to ?? step.made.from ?? step.firstStated;

function walk(registry: Registry, model: Asset, stampOf: StampOf) {
  const steps: CreationStep[] = [];
  const dangling: { from: string; relation: Relation; sha256: string }[] = [];
  const seen = new Set<string>();
  const open: { asset: Asset; path: readonly Relation[] }[] = [{ asset: model, path: [] }];
  for (let next = open.shift(); next !== undefined; next = open.shift()) {
    const { asset, path } = next;
    if (seen.has(asset.statement.sha256)) continue;
    seen.add(asset.statement.sha256);
    const { made, authors } = asset.predicate as {
      made?: { readonly from?: string; readonly to?: string };
      authors?: readonly { readonly name: string; readonly relation?: string }[];
    };
    steps.push({
      asset,
      path,
      statement: asset.statement,
      firstStated: asset.first.time,
      stamp: stampOf(asset.first.index),
      made: { from: made?.from ?? null, to: made?.to ?? null },
      by: (authors ?? []).map((one) => (one.relation === undefined ? one.name : `${one.name} (${one.relation})`)),
    });
    for (const { relation, sha256 } of asset.links) {
      const far = registry.byDigest(sha256);
      if (far.length === 0) dangling.push({ from: asset.name, relation, sha256 });
      for (const one of far) open.push({ asset: one, path: [...path, relation] });
    }
    // Code and documents point at what they are part of, not the other way round.
    for (const one of registry.assets) {
      const back = one.links.find(
        (link) => ['part-of', 'documents'].includes(link.relation) && asset.digests.includes(link.sha256),
      );
      if (back !== undefined) open.push({ asset: one, path: [...path, back.relation] });
    }
  }
  return { steps, dangling };
}

interface CourtQuestion {
  readonly id: string;
  readonly asks: string;
  readonly authority: string;
  readonly todo: string;
  find(
    model: Asset,
    steps: readonly CreationStep[],
    register: Register,
  ): { says: string; statements: readonly StatementView[] } | null;
}

function ask(question: CourtQuestion, model: Asset, steps: readonly CreationStep[], register: Register): CourtItem {
  const found = question.find(model, steps, register);
  return {
    id: question.id,
    asks: question.asks,
    authority: question.authority,
    state: found === null ? 'missing' : 'shown',
    says: found?.says ?? question.todo,
    statements: found?.statements ?? [],
  };
}

const RUN_RECORD = 'rules base: records of each run, bound by hash to the shipped weights (inference, unverified)';

/** Assets of a kind that the model's chain reaches. */
const ofKind = (steps: readonly CreationStep[], ...kinds: readonly string[]) =>
  steps.filter((step) => kinds.includes(step.asset.kind));
const shown = (steps: readonly CreationStep[], says: string) =>
  steps.length === 0 ? null : { says, statements: steps.map((step) => step.statement) };
const names = (steps: readonly CreationStep[]): string => steps.map((step) => step.asset.name).join(', ');

const courtItems: readonly CourtQuestion[] = [
  {
    id: 'training-set',
    asks: 'Which data was it trained on, by digest?',
    authority: RUN_RECORD,
    todo: 'record the training set and link the model to it: --link trained-on=FILE',
    find: (_, steps) => shown(ofKind(steps, 'training-set'), names(ofKind(steps, 'training-set'))),
  },
  {
    id: 'data-source',
    asks: 'Where do the data come from, and under which terms?',
    authority: 'Datatang v Yinmu, (2024) Jing 73 Min Zhong 546, 28 June 2024: lawful holding and the licence decided',
    todo: 'record how the training set was obtained, and its terms: how.way, how.from, how.terms',
    find: (_, steps) => {
      const sets = ofKind(steps, 'training-set').filter((step) => step.asset.predicate.how !== undefined);
      if (sets.length === 0 || sets.length < ofKind(steps, 'training-set').length) return null;
      return shown(
        sets,
        sets.map((step) => `${step.asset.name}: ${(step.asset.predicate.how as { way: string }).way}`).join('; '),
      );
    },
  },
  {
    id: 'code',
    asks: 'Which code made it, at which commit?',
    authority: RUN_RECORD,
    todo: 'record the training code with its commit, and link the model to it: --link made-with=FOLDER',
    find: (_, steps) => {
      const code = ofKind(steps, 'code').filter((step) => typeof step.asset.predicate.commit === 'string');
      return shown(
        code,
        code.map((step) => `${step.asset.name} at ${String(step.asset.predicate.commit).slice(0, 12)}`).join(', '),
      );
    },
  },
  {
    id: 'training-parameters',
    asks: 'With which training parameters and seed?',
    authority: RUN_RECORD,
    todo: 'record the training parameters, the seed among them',
    find: (_, steps) => {
      const with_ = ofKind(steps, 'training-parameters').filter(
        (step) => (step.asset.predicate.parameters as Record<string, unknown> | undefined)?.seed !== undefined,
      );
      return shown(with_, names(with_));
    },
  },
  {
    id: 'environment',
    asks: 'On which software and hardware?',
    authority: RUN_RECORD,
    todo: 'record the system and link the model to it: --link made-with=…',
    find: (model, steps) => {
      const systems = ofKind(steps, 'system');
      const inline = steps.filter((step) => step.asset.predicate.environment !== undefined);
      return shown(
        [...systems, ...inline],
        [...systems, ...inline].map((step) => step.asset.name || model.name).join(', '),
      );
    },
  },
  {
    id: 'period',
    asks: 'When did training begin and end?',
    authority: RUN_RECORD,
    todo: 'record when the model was made: made.from, made.to',
    find: (_, steps) => {
      const dated = steps.filter((step) => step.path.length === 0 && step.made.to !== null);
      return shown(dated, `${dated[0]?.made.from ?? '?'} to ${dated[0]?.made.to ?? '?'}`);
    },
  },
  {
    id: 'operator',
    asks: 'Who ran it?',
    authority: RUN_RECORD,
    todo: 'record the authors of the model and what each did',
    find: (_, steps) => {
      const named = steps.filter((step) => step.path.length === 0 && step.by.length > 0);
      return shown(named, named[0]?.by.join(', ') ?? '');
    },
  },
  {
    id: 'choices',
    asks: 'Which choices did people make: labels, selection, design, alternatives rejected?',
    authority: 'human-contribution log: originality in the EU, UK, US and Canada (inference, unverified)',
    todo: 'record choices: how.choices, the part of each author, alternatives tried',
    find: (_, steps) => {
      const said = steps.filter((step) => {
        const { how, authors, alternatives } = step.asset.predicate as {
          how?: { choices?: string };
          authors?: readonly { part?: string }[];
          alternatives?: readonly unknown[];
        };
        return (
          how?.choices !== undefined ||
          authors?.some((one) => one.part !== undefined) === true ||
          (alternatives?.length ?? 0) > 0
        );
      });
      return shown(said, names(said));
    },
  },
  {
    id: 'checkpoints',
    asks: 'Intermediate checkpoints or earlier versions, so that the way to the final weights can be seen?',
    authority: RUN_RECORD,
    todo: 'record checkpoints as models and link them: --link derived-from=…',
    find: (_, steps) => {
      const earlier = steps.filter((step) => step.path.includes('derived-from'));
      return shown(earlier, names(earlier));
    },
  },
  {
    id: 'base',
    asks: 'Was it built on somebody else’s model, and under which licence?',
    authority: 'rules base: third-party data and model licences (inference, unverified)',
    todo: 'record the base model with how.way licensed or public and its terms; or state in the model’s notes that there is none',
    find: (_, steps) => {
      const bases = steps.filter(
        (step) =>
          step.path.includes('derived-from') &&
          ['licensed', 'public', 'bought'].includes(
            (step.asset.predicate.how as { way?: string } | undefined)?.way ?? '',
          ),
      );
      if (bases.length > 0) return shown(bases, names(bases));
      const denied = steps.filter(
        (step) => step.path.length === 0 && (step.asset.predicate.how as { way?: string } | undefined)?.way === 'made',
      );
      return shown(denied, 'the model is recorded as made by the owner');
    },
  },
  {
    id: 'outside-time',
    asks: 'Does someone else vouch for the day?',
    authority: 'eIDAS (EU) 910/2014 art. 41: a qualified stamp is presumed right; others are evidence',
    todo: 'name a time-stamp authority: muniment init --tsa',
    find: (_, steps) => {
      const stamped = steps.filter((step) => step.path.length === 0 && step.stamp !== null);
      return shown(stamped, stamped.map((step) => `${step.stamp!.authority}, ${step.stamp!.time}`).join(', '));
    },
  },
  {
    id: 'ownership',
    asks: 'Does the work of everyone who made it belong to the owner?',
    authority: 'rules base: contractors’ work is not the principal’s by itself (unverified)',
    todo: 'record each author’s relation (employee, founder, contractor) and register assignments: muniment terms add',
    find: (_, steps) => {
      const people = steps.flatMap((step) => (step.asset.predicate.authors ?? []) as readonly { relation?: string }[]);
      if (people.length === 0 || people.some((one) => one.relation === undefined)) return null;
      return shown(
        steps.filter((step) => step.by.length > 0),
        `${people.length} entries, each with a relation to the owner`,
      );
    },
  },
  {
    id: 'custodian',
    asks: 'A declaration of who keeps these records, how, and that this is regular practice',
    authority: '12 V.S.A. 1913; FRE 902(13), (14) (unverified): machine records with a sworn declaration',
    todo: 'record it as documentation that documents the model: muniment record documentation declaration.pdf --link documents=MODEL',
    find: (_, steps) => {
      const documents = ofKind(steps, 'documentation').filter((step) => /custod|declar/i.test(step.asset.name));
      return shown(documents, names(documents));
    },
  },
];
