/**
 * Mixtures of experts: the order of a layer's experts carries no meaning, since the router names them by its own rows.
 * Each expert is a block of tensors stored apart; its hidden units are a group within it (`families.ts`).
 */
import type { NamedShape } from './names.js';
import { expertGroups, type Metadata } from './settings.js';
import type { Segment, UnitGroup } from './types.js';

interface Mixture {
  readonly family: string;
  /** One row an expert, after a common beginning. */
  readonly router: string;
  /** One number an expert. */
  readonly biases: readonly string[];
  /** What expert e is named by, after the common beginning: `before` e `after`. */
  readonly before: string;
  readonly after: readonly string[];
}

const PROJECTIONS = ['gate_proj', 'up_proj', 'down_proj'].flatMap((part) => [`.${part}.weight`, `.${part}.bias`]);

const MIXTURES: readonly Mixture[] = [
  {
    family: 'Mixtral',
    router: 'block_sparse_moe.gate.weight',
    biases: [],
    before: 'block_sparse_moe.experts.',
    after: ['.w1.weight', '.w2.weight', '.w3.weight'],
  },
  {
    family: 'Granite',
    router: 'block_sparse_moe.router.layer.weight',
    biases: [],
    before: 'block_sparse_moe.experts.',
    after: PROJECTIONS,
  },
  {
    family: 'Qwen, OLMoE, DeepSeek',
    router: 'mlp.gate.weight',
    biases: ['mlp.gate.e_score_correction_bias'],
    before: 'mlp.experts.',
    after: PROJECTIONS,
  },
  {
    family: 'gpt-oss',
    router: 'mlp.router.weight',
    biases: ['mlp.router.bias'],
    before: 'mlp.experts.',
    after: PROJECTIONS,
  },
  {
    family: 'Llama 4',
    router: 'feed_forward.router.weight',
    biases: [],
    before: 'feed_forward.experts.',
    after: PROJECTIONS,
  },
  {
    family: 'GGUF',
    router: 'ffn_gate_inp.weight',
    biases: ['ffn_gate_inp.bias', 'exp_probs_b.bias'],
    before: 'experts.',
    after: ['ffn_gate', 'ffn_up', 'ffn_down'].flatMap((part) => [`.${part}.weight`, `.${part}.bias`]),
  },
];

export interface ExpertGroup {
  readonly group: UnitGroup;
  /** Beginning of the names of a tensor of expert e, and e: which unit a hidden unit lies within. */
  readonly unitOf: ReadonlyMap<string, number>;
  readonly prefix: string;
}

export function expertGroupsOf(tensors: readonly NamedShape[], metadata: Metadata): readonly ExpertGroup[] {
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const found: ExpertGroup[] = [];
  for (const { name, shape } of tensors) {
    if (shape.length !== 2) continue;
    for (const { family, router, biases, before, after } of MIXTURES) {
      if (!name.endsWith(router)) continue;
      const prefix = name.slice(0, -router.length);
      const membersOf = (expert: number) => after.map((part) => `${prefix}${before}${expert}${part}`);
      const group = groupOf(
        name,
        shape[0]!,
        biases.map((one) => `${prefix}${one}`),
        membersOf,
        byName,
        prefix,
        metadata,
      );
      if (group !== null) found.push(group(`${prefix}experts (${family})`));
    }
  }
  return found.sort((a, b) => a.prefix.localeCompare(b.prefix, 'en', { numeric: true }));
}

/** DeepSeek's routers choose among groups of experts first; how many these are, only settings tell. */
const mayGroup = (prefix: string, byName: ReadonlyMap<string, NamedShape>): boolean =>
  ['mlp.gate.e_score_correction_bias', 'mlp.shared_experts.up_proj.weight', 'exp_probs_b.bias'].some((part) =>
    byName.has(`${prefix}${part}`),
  );

/** Null where an expert lacks a tensor that another has, shapes differ, or the router chooses among groups of them. */
function groupOf(
  router: string,
  experts: number,
  biases: readonly string[],
  membersOf: (expert: number) => readonly string[],
  byName: ReadonlyMap<string, NamedShape>,
  prefix: string,
  metadata: Metadata,
): ((label: string) => ExpertGroup) | null {
  const first = membersOf(0).map((name) => byName.get(name)?.shape.join());
  if (experts < 2 || first.filter((shape) => shape !== undefined).length < 2) return null;
  if ((expertGroups(metadata, prefix) ?? (mayGroup(prefix, byName) ? 2 : 1)) > 1) return null;
  const members: string[][] = [];
  for (let expert = 0; expert < experts; expert++) {
    const names = membersOf(expert);
    if (names.some((name, k) => byName.get(name)?.shape.join() !== first[k])) return null;
    members.push(names.filter((_, k) => first[k] !== undefined));
  }
  const own = biases.filter((bias) => byName.get(bias)?.shape.join() === String(experts));
  const row = (tensor: string): Segment => ({
    tensor,
    axis: 0,
    start: 0,
    unitStride: 1,
    repeat: 1,
    repeatStride: 1,
  });
  return (label) => ({
    prefix,
    unitOf: new Map(members.flatMap((names, expert) => names.map((name) => [name, expert] as const))),
    group: {
      id: `experts ${router}`,
      size: experts,
      vouched: 'names',
      incoming: [router, ...own].map(row),
      outgoing: [],
      members,
      scaling: 'none',
      label,
    },
  });
}
