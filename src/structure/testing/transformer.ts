/** Small transformers of seeded numbers, and a plain forward pass in float64 to see what a permutation does to the outputs. */
import { seededRandom } from '../../base/index.js';

export interface Weight {
  readonly shape: readonly number[];
  readonly values: Float64Array;
}
/** Outputs first, by names of this file's own. */
export type Weights = ReadonlyMap<string, Weight>;

export interface Architecture {
  readonly layers: number;
  readonly width: number;
  readonly keyValueHeads: number;
  /** Query heads that share a key and value head. */
  readonly sharing: number;
  readonly headWidth: number;
  readonly units: number;
  /** 1: a plain feed-forward block. */
  readonly experts: number;
  readonly vocabulary: number;
  readonly positions: 'rotary' | 'learned' | 'alibi';
  readonly biases: boolean;
}

export const SMALL: Architecture = {
  layers: 2,
  width: 24,
  keyValueHeads: 8,
  sharing: 4,
  headWidth: 4,
  units: 12,
  experts: 4,
  vocabulary: 30,
  positions: 'rotary',
  biases: false,
};

export const MAX_POSITIONS = 8;

export function weightsOf(architecture: Architecture, seed: number): Weights {
  const { layers, width, keyValueHeads, sharing, headWidth, units, experts, vocabulary } = architecture;
  const found = new Map<string, Weight>();
  const add = (name: string, mean: number, ...shape: readonly number[]): void => {
    const random = seededRandom(seed, name);
    const size = shape.reduce((all, one) => all * one, 1);
    found.set(name, {
      shape,
      values: Float64Array.from({ length: size }, () => mean + Math.fround(random.unit() - 0.5)),
    });
  };
  const linear = (name: string, rows: number, columns: number): void => {
    add(`${name}.weight`, 0, rows, columns);
    if (architecture.biases) add(`${name}.bias`, 0, rows);
  };
  const norm = (name: string): void => {
    add(`${name}.weight`, 1, width);
    if (architecture.biases) add(`${name}.bias`, 0, width);
  };
  add('embedding.weight', 0, vocabulary, width);
  if (architecture.positions === 'learned') add('positions.weight', 0, MAX_POSITIONS, width);
  for (let l = 0; l < layers; l++) {
    norm(`${l}.before`);
    linear(`${l}.q`, keyValueHeads * sharing * headWidth, width);
    linear(`${l}.k`, keyValueHeads * headWidth, width);
    linear(`${l}.v`, keyValueHeads * headWidth, width);
    linear(`${l}.o`, width, keyValueHeads * sharing * headWidth);
    norm(`${l}.between`);
    if (experts > 1) add(`${l}.router.weight`, 0, experts, width);
    for (let e = 0; e < experts; e++) {
      linear(`${l}.${e}.gate`, units, width);
      linear(`${l}.${e}.up`, units, width);
      linear(`${l}.${e}.down`, width, units);
    }
  }
  norm('last');
  add('output.weight', 0, vocabulary, width);
  return found;
}

const dot = (weights: Weights, name: string, x: readonly number[]): number[] => {
  const { shape, values } = weights.get(`${name}.weight`)!;
  const bias = weights.get(`${name}.bias`)?.values;
  return Array.from({ length: shape[0]! }, (_, row) => {
    let sum = bias?.[row] ?? 0;
    for (let k = 0; k < shape[1]!; k++) sum += values[row * shape[1]! + k]! * x[k]!;
    return sum;
  });
};

function normalised(weights: Weights, name: string, x: readonly number[]): number[] {
  const gain = weights.get(`${name}.weight`)!.values;
  const bias = weights.get(`${name}.bias`)?.values;
  const scale = Math.sqrt(x.reduce((sum, one) => sum + one * one, 0) / x.length + 1e-6);
  return x.map((one, k) => (one / scale) * gain[k]! + (bias?.[k] ?? 0));
}

const softmax = (x: readonly number[]): number[] => {
  const top = Math.max(...x);
  const all = x.map((one) => Math.exp(one - top));
  const sum = all.reduce((a, b) => a + b, 0);
  return all.map((one) => one / sum);
};

const silu = (x: number): number => x / (1 + Math.exp(-x));

/** Halves of a head turn together, as Hugging Face stores them. */
function turned(head: readonly number[], position: number): number[] {
  const half = head.length / 2;
  return head.map((_, k) => {
    const angle = position * 100 ** (-(k % half) / half);
    const other = k < half ? -head[k + half]! : head[k - half]!;
    return head[k]! * Math.cos(angle) + other * Math.sin(angle);
  });
}

/** Logits behind each of some tokens. */
export function answer(architecture: Architecture, weights: Weights, tokens: readonly number[]): number[] {
  const { layers, width, keyValueHeads, sharing, headWidth, experts, positions } = architecture;
  const row = (name: string, k: number): number[] => [
    ...weights.get(name)!.values.subarray(k * width, (k + 1) * width),
  ];
  let states = tokens.map((token, t) =>
    row('embedding.weight', token).map(
      (one, k) => one + (positions === 'learned' ? row('positions.weight', t)[k]! : 0),
    ),
  );
  const add = (a: readonly number[], b: readonly number[]): number[] => a.map((one, k) => one + b[k]!);
  const place = (head: readonly number[], t: number): readonly number[] =>
    positions === 'rotary' ? turned(head, t) : head;
  for (let l = 0; l < layers; l++) {
    const read = states.map((x) => normalised(weights, `${l}.before`, x));
    const [q, k, v] = ['q', 'k', 'v'].map((one) => read.map((x) => dot(weights, `${l}.${one}`, x)));
    const mixed = states.map((_, t) => {
      const out: number[] = [];
      for (let h = 0; h < keyValueHeads * sharing; h++) {
        const own = Math.floor(h / sharing);
        const at = (x: readonly number[], head: number): number[] => x.slice(head * headWidth, (head + 1) * headWidth);
        const query = place(at(q![t]!, h), t);
        const scores = Array.from({ length: t + 1 }, (_unused, s) => {
          const key = place(at(k![s]!, own), s);
          const slope = positions === 'alibi' ? 2 ** (-(h + 1) / 2) : 0;
          return query.reduce((sum, one, i) => sum + one * key[i]!, 0) - slope * (t - s);
        });
        const shares = softmax(scores);
        for (let i = 0; i < headWidth; i++) {
          out.push(shares.reduce((sum, share, s) => sum + share * v![s]![own * headWidth + i]!, 0));
        }
      }
      return dot(weights, `${l}.o`, out);
    });
    states = states.map((x, t) => add(x, mixed[t]!));
    states = states.map((x) => {
      const input = normalised(weights, `${l}.between`, x);
      const shares = experts > 1 ? softmax(dot(weights, `${l}.router`, input)) : [1];
      const chosen = [...shares.keys()].sort((a, b) => shares[b]! - shares[a]!).slice(0, 2);
      return chosen.reduce((sum, e) => {
        const gate = dot(weights, `${l}.${e}.gate`, input);
        const up = dot(weights, `${l}.${e}.up`, input);
        const hidden = up.map((one, u) => silu(gate[u]!) * one);
        return add(
          sum,
          dot(weights, `${l}.${e}.down`, hidden).map((one) => one * shares[e]!),
        );
      }, x);
    });
  }
  return states.flatMap((x) => dot(weights, 'output', normalised(weights, 'last', x)));
}

/** This file's names → those of a family: how its files name the same weights. */
export type Naming = (name: string) => string;

const replaced =
  (rules: readonly (readonly [RegExp, string])[]): Naming =>
  (name) => {
    const rule = rules.find(([pattern]) => pattern.test(name));
    if (rule === undefined) throw new Error(`no name for ${name}`);
    return name.replace(rule[0], rule[1]);
  };

const LLAMA: readonly (readonly [RegExp, string])[] = [
  [/^embedding/, 'model.embed_tokens'],
  [/^(\d+)\.before/, 'model.layers.$1.input_layernorm'],
  [/^(\d+)\.between/, 'model.layers.$1.post_attention_layernorm'],
  [/^(\d+)\.([qkvo])\./, 'model.layers.$1.self_attn.$2_proj.'],
  [/^last/, 'model.norm'],
  [/^output/, 'lm_head'],
];

export const MIXTRAL = replaced([
  ...LLAMA,
  [/^(\d+)\.router/, 'model.layers.$1.block_sparse_moe.gate'],
  [/^(\d+)\.(\d+)\.gate/, 'model.layers.$1.block_sparse_moe.experts.$2.w1'],
  [/^(\d+)\.(\d+)\.down/, 'model.layers.$1.block_sparse_moe.experts.$2.w2'],
  [/^(\d+)\.(\d+)\.up/, 'model.layers.$1.block_sparse_moe.experts.$2.w3'],
]);

export const LLAMA_NAMES = replaced([...LLAMA, [/^(\d+)\.0\.(gate|up|down)/, 'model.layers.$1.mlp.$2_proj']]);

/** GPT-2's names, but for a feed-forward block with a gate. */
export const GPT2 = replaced([
  [/^embedding/, 'transformer.wte'],
  [/^positions/, 'transformer.wpe'],
  [/^(\d+)\.before/, 'transformer.h.$1.ln_1'],
  [/^(\d+)\.between/, 'transformer.h.$1.ln_2'],
  [/^(\d+)\.([qkv])\./, 'transformer.h.$1.attn.c_attn.$2.'],
  [/^(\d+)\.o\./, 'transformer.h.$1.attn.c_proj.'],
  [/^(\d+)\.0\.(gate|up|down)/, 'transformer.h.$1.mlp.$2_proj'],
  [/^last/, 'transformer.ln_f'],
  [/^output/, 'lm_head'],
]);

export const BLOOM = replaced([
  [/^embedding/, 'transformer.word_embeddings'],
  [/^(\d+)\.before/, 'transformer.h.$1.input_layernorm'],
  [/^(\d+)\.between/, 'transformer.h.$1.post_attention_layernorm'],
  [/^(\d+)\.q\./, 'transformer.h.$1.self_attention.query.'],
  [/^(\d+)\.k\./, 'transformer.h.$1.self_attention.key.'],
  [/^(\d+)\.v\./, 'transformer.h.$1.self_attention.value.'],
  [/^(\d+)\.o\./, 'transformer.h.$1.self_attention.dense.'],
  [/^(\d+)\.0\.(gate|up|down)/, 'transformer.h.$1.mlp.$2_proj'],
  [/^last/, 'transformer.ln_f'],
  [/^output/, 'lm_head'],
]);

/** Tensors by their names in a file. */
export type Stored = Record<string, Weight>;

export const named = (weights: Weights, naming: Naming): Stored =>
  Object.fromEntries([...weights].map(([name, weight]) => [naming(name), weight]));

const columnsOf = ({ shape }: Weight): number => shape.slice(1).reduce((all, size) => all * size, 1);

/** Blocks of rows one after the other, each given by tensor, first row and number of rows. */
export function stacked(blocks: readonly (readonly [weight: Weight, start: number, rows: number])[]): Weight {
  const [first] = blocks[0]!;
  const columns = columnsOf(first);
  const rows = blocks.reduce((sum, [, , count]) => sum + count, 0);
  return {
    shape: [rows, ...first.shape.slice(1)],
    values: Float64Array.from(
      blocks.flatMap(([{ values }, start, count]) => [...values.subarray(start * columns, (start + count) * columns)]),
    ),
  };
}

export function transposed({ shape: [rows = 1, columns = 1], values }: Weight): Weight {
  return {
    shape: [columns, rows],
    values: Float64Array.from(values, (_, at) => values[(at % rows) * columns + Math.floor(at / rows)]!),
  };
}

/** A copy of the file's tensors in which some are replaced by one. */
export function fused(
  stored: Stored,
  names: readonly string[],
  name: string,
  make: (parts: readonly Weight[]) => Weight,
): Stored {
  const parts = names.map((one) => stored[one]).filter((one) => one !== undefined);
  if (parts.length < names.length) return stored;
  const rest = Object.fromEntries(Object.entries(stored).filter(([one]) => !names.includes(one)));
  return { ...rest, [name]: make(parts) };
}

/** All rows of each, one after the other. */
export const inBlocks = (parts: readonly Weight[]): Weight =>
  stacked(parts.map((part) => [part, 0, part.shape[0]!] as const));

/** For every key and value head its query heads, itself, its values. */
export const inGroups =
  ({ keyValueHeads, sharing, headWidth }: Architecture) =>
  ([q, k, v]: readonly Weight[]): Weight =>
    stacked(
      Array.from({ length: keyValueHeads }, (_, head) => [
        [q!, head * sharing * headWidth, sharing * headWidth] as const,
        [k!, head * headWidth, headWidth] as const,
        [v!, head * headWidth, headWidth] as const,
      ]).flat(),
    );
