/**
 * What one file stores fused and another split, as the same canonical tensors: queries, keys and values in one
 * projection, gate and up in one, all experts in one array; and rows of rotary heads that a converter interleaved.
 */
import { MAX_TENSORS, type Model, type Part, partOfTensor, sharesBytes, type Tensor } from '../formats/index.js';
import { expertParts } from './fused-experts.js';
import { ggufArchitecture, headCount, type Metadata } from './settings.js';

/** A fused projection: its name and that of the output projection whose inputs are as many as the queries. */
interface Fused {
  readonly fused: string;
  readonly output: string;
  readonly to: readonly [q: string, k: string, v: string];
  /** `blocks`: all queries, all keys, all values. `groups`: for every key and value head its queries, itself, its values. */
  readonly order: 'blocks' | 'groups';
  /** Between the name and `weight` or `bias`. */
  readonly joint?: '.' | '_';
  readonly prefix?: RegExp;
}

const proj = (stem: string) => [`${stem}q_proj`, `${stem}k_proj`, `${stem}v_proj`] as const;
const words = (stem: string) => [`${stem}query`, `${stem}key`, `${stem}value`] as const;
const letters = (stem: string) => [`${stem}q`, `${stem}k`, `${stem}v`] as const;

const PROJECTIONS: readonly Fused[] = [
  // Phi-3
  { fused: 'self_attn.qkv_proj', output: 'self_attn.o_proj', to: proj('self_attn.'), order: 'blocks' },
  // torch.nn.MultiheadAttention
  { fused: 'self_attn.in_proj', output: 'self_attn.out_proj', to: proj('self_attn.'), order: 'blocks', joint: '_' },
  {
    fused: 'multihead_attn.in_proj',
    output: 'multihead_attn.out_proj',
    to: proj('multihead_attn.'),
    order: 'blocks',
    joint: '_',
  },
  { fused: 'attn.in_proj', output: 'attn.out_proj', to: proj('attn.'), order: 'blocks', joint: '_' },
  // GPT-2 and StarCoder
  { fused: 'attn.c_attn', output: 'attn.c_proj', to: letters('attn.c_attn.'), order: 'blocks' },
  // GPT-NeoX
  { fused: 'attention.query_key_value', output: 'attention.dense', to: words('attention.'), order: 'groups' },
  // BLOOM and Falcon
  {
    fused: 'self_attention.query_key_value',
    output: 'self_attention.dense',
    to: words('self_attention.'),
    order: 'groups',
    prefix: /(^|\.)h\.\d+\.$/,
  },
  // ChatGLM
  {
    fused: 'self_attention.query_key_value',
    output: 'self_attention.dense',
    to: words('self_attention.'),
    order: 'blocks',
    prefix: /(^|\.)encoder\.layers\.\d+\.$/,
  },
  // InternLM2
  {
    fused: 'attention.wqkv',
    output: 'attention.wo',
    to: ['attention.wq', 'attention.wk', 'attention.wv'],
    order: 'groups',
  },
  { fused: 'attn.Wqkv', output: 'attn.out_proj', to: ['attn.Wq', 'attn.Wk', 'attn.Wv'], order: 'blocks' },
  // timm
  { fused: 'attn.qkv', output: 'attn.proj', to: letters('attn.'), order: 'blocks' },
  { fused: 'attn_qkv', output: 'attn_output', to: ['attn_q', 'attn_k', 'attn_v'], order: 'blocks' },
];

/** Gate and up in one tensor, one after the other. */
const GATES = [
  {
    fused: 'mlp.gate_up_proj.weight',
    down: 'mlp.down_proj.weight',
    to: ['mlp.gate_proj.weight', 'mlp.up_proj.weight'],
  },
  { fused: 'ffn_up.weight', down: 'ffn_down.weight', to: ['ffn_gate.weight', 'ffn_up.weight'] },
] as const;

/**
 * Converters to GGUF of these architectures put the two halves of every rotary head in turns, row by row, since ggml turns
 * neighbours (`permute` of llama.cpp's convert_hf_to_gguf.py); Meta's own files are so too. Hugging Face keeps halves.
 */
const TURNS_OF_GGUF = new Set([
  'llama',
  'mistral3',
  'deci',
  'olmo',
  'baichuan',
  'xverse',
  'minicpm',
  'internlm2',
  'granite',
  'granitemoe',
  'granitehybrid',
  'chameleon',
  'arctic',
  'smollm3',
  'arcee',
  'bailingmoe',
  'llada',
  'deepseek',
  'nanbeige',
]);

/** The model with fused tensors as their parts; itself where there is nothing to take apart. */
export function withParts(model: Model): Model {
  const parts = partsOf(model);
  const tied = tiedOutput(model);
  if (parts.size === 0 && tied === null) return model;
  const tensors = new Map<string, Tensor>();
  for (const [name, tensor] of model.tensors) {
    if (name === tied) continue;
    const own = parts.get(name);
    if (own === undefined) tensors.set(name, tensor);
    else for (const part of own) tensors.set(part.name, partOfTensor(tensor, part));
  }
  return Object.defineProperties({} as Model, {
    ...Object.getOwnPropertyDescriptors(model),
    tensors: { value: tensors, enumerable: true },
  });
}

/** Stored name → parts. A part of the name of another tensor is none: such a file is not what its names say. */
export function partsOf({ tensors, metadata }: Model): ReadonlyMap<string, readonly Part[]> {
  const found = new Map<string, readonly Part[]>();
  const taken = new Set<string>();
  let count = 0;
  const add = (stored: string, parts: readonly Part[]): void => {
    const isFree = parts.every(({ name }) => name === stored || (!tensors.has(name) && !taken.has(name)));
    if (!isFree || found.has(stored) || count + parts.length > MAX_TENSORS) return;
    for (const { name } of parts) taken.add(name);
    count += parts.length;
    found.set(stored, parts);
  };
  for (const name of tensors.keys()) {
    for (const family of PROJECTIONS)
      for (const [stored, parts] of projection(family, name, tensors, metadata)) add(stored, parts);
    for (const { fused, down, to } of GATES) {
      if (!name.endsWith(fused)) continue;
      const prefix = name.slice(0, -fused.length);
      const width = tensors.get(`${prefix}${down}`)?.shape[1];
      const shape = tensors.get(name)!.shape;
      if (width === undefined || shape.length !== 2 || shape[0] !== 2 * width) continue;
      add(
        name,
        to.map((part, k) => rows(`${prefix}${part}`, range(k * width, width))),
      );
    }
    const turned = turnedRows(name, tensors, metadata);
    if (turned !== null) add(name, [rows(name, turned)]);
  }
  for (const [stored, parts] of expertParts(tensors)) add(stored, parts);
  return found;
}

const rows = (name: string, positions: readonly number[]): Part => ({ name, index: null, axis: 0, positions });

const range = (start: number, count: number): readonly number[] => Array.from({ length: count }, (_, k) => start + k);

function projection(
  { fused, output, to, order, joint = '.', prefix: own }: Fused,
  name: string,
  tensors: ReadonlyMap<string, Tensor>,
  metadata: Metadata,
): readonly (readonly [string, readonly Part[]])[] {
  const ending = `${fused}${joint}weight`;
  if (!name.endsWith(ending)) return [];
  const prefix = name.slice(0, -ending.length);
  if (!(prefix === '' || /[./]$/.test(prefix)) || !(own?.test(prefix) ?? true)) return [];
  const shape = tensors.get(name)!.shape;
  const outShape = tensors.get(`${prefix}${output}.weight`)?.shape;
  if (shape.length !== 2 || outShape?.length !== 2) return [];
  // GPT-2's own linear layer is stored in × out; queries, keys and values together are always more than the inputs.
  const turned = fused === 'attn.c_attn' && shape[1]! > shape[0]!;
  const queries = outShape[turned ? 0 : 1]!;
  const whole = shape[turned ? 1 : 0]!;
  const places = order === 'blocks' ? blocks(whole, queries) : groups(whole, queries, headCount(metadata, prefix));
  if (places === null) return [];
  const weight = to.map(
    (part, k): Part => ({
      name: `${prefix}${part}.weight`,
      index: null,
      axis: turned ? 1 : 0,
      positions: places[k]!,
      ...(turned ? { outputsFirst: [1, 0] } : {}),
    }),
  );
  const bias = `${prefix}${fused}${joint}bias`;
  const hasBias = tensors.get(bias)?.shape.join() === String(whole);
  return [
    [name, weight],
    ...(hasBias ? ([[bias, to.map((part, k) => rows(`${prefix}${part}.bias`, places[k]!))]] as const) : []),
  ];
}

/** Query, key and value rows one after the other; as many keys as values. */
function blocks(whole: number, queries: number): readonly (readonly number[])[] | null {
  const keys = (whole - queries) / 2;
  if (!Number.isInteger(keys) || keys < 1 || keys > queries) return null;
  return [range(0, queries), range(queries, keys), range(queries + keys, keys)];
}

/** For every key head: its query heads, the key, the value. Without the number of heads nobody can tell. */
function groups(whole: number, queries: number, heads: number | null): readonly (readonly number[])[] | null {
  if (heads === null) return null;
  const width = queries / heads;
  const keys = (whole / width - heads) / 2;
  const each = heads / keys;
  if (![width, keys, each].every((one) => Number.isInteger(one) && one >= 1)) return null;
  const pick = (from: number, count: number): readonly number[] =>
    range(0, keys).flatMap((group) => range((group * (each + 2) + from) * width, count * width));
  return [pick(0, each), pick(each, 1), pick(each + 1, 1)];
}

/** Where canonical row (head, half, i) is stored: (head, i, half). Null where rows lie as they are. */
function turnedRows(name: string, tensors: ReadonlyMap<string, Tensor>, metadata: Metadata): readonly number[] | null {
  const architecture = ggufArchitecture(metadata);
  const found =
    architecture === null
      ? /^(.*attention\.)w([qk])\.(?:weight|bias)$/.exec(name)
      : /^(.*)attn_([qk])\.(?:weight|bias)$/.exec(name);
  if (found === null || (architecture !== null && !TURNS_OF_GGUF.has(architecture))) return null;
  const [, prefix, which] = found;
  const [queryName, fusedName] =
    architecture === null ? ['wq.weight', 'wqkv.weight'] : ['attn_q.weight', 'attn_qkv.weight'];
  // InternLM2 names its split projections so too, but keeps the order of Hugging Face.
  if (tensors.has(`${prefix}${fusedName}`)) return null;
  const queries = tensors.get(`${prefix}${queryName}`)?.shape[0];
  const heads = headCount(metadata, prefix!);
  const all = tensors.get(name)!.shape[0]!;
  const width = (queries ?? Number.NaN) / (heads ?? Number.NaN);
  if (!Number.isInteger(width / 2) || !Number.isInteger(all / width) || which === undefined) return null;
  return Array.from({ length: all }, (_, row) => {
    const [head, within] = [Math.floor(row / width), row % width];
    const [half, i] = [Math.floor(within / (width / 2)), within % (width / 2)];
    return head * width + 2 * i + half;
  });
}

/** An output layer that is the embedding under a second name: the same bytes. */
function tiedOutput({ tensors }: Model): string | null {
  const output = [...tensors.keys()].find((name) => /(^|\.)(lm_head|output|embed_out)\.weight$/.test(name));
  if (output === undefined) return null;
  const own = tensors.get(output)!;
  const isTwin = (name: string): boolean =>
    /(embed_tokens|wte|word_embeddings|token_embd|embed_in|shared)\.weight$/.test(name);
  return [...tensors].some(([name, tensor]) => isTwin(name) && sharesBytes(own, tensor)) ? output : null;
}
