/**
 * Attention blocks by the names that their families use, and their numbers of heads. Names are those after fused
 * projections were taken apart (`fused.ts`), so that one table serves fused and split files.
 */
import type { NamedShape } from './names.js';
import { ggufArchitecture, headCount, headWidth, type Metadata, setting } from './settings.js';

/**
 * How a block knows positions. `rotary`: dimensions of queries and keys turn in pairs at fixed speeds, so none can be
 * exchanged. `fixed`: every head has a constant of its own (ALiBi, a bias that layers share), so heads cannot be
 * exchanged. `free`: positions are added to the residual stream, if at all. `unknown`: perhaps rotary. `closed`: one of
 * the first two, and names do not tell which.
 */
export type Positions = 'rotary' | 'fixed' | 'free' | 'unknown' | 'closed';

interface Family {
  readonly family: string;
  /** After a common beginning: query, key, value and output, without `.weight`. */
  readonly parts: readonly [q: string, k: string, v: string, o: string];
  /** What the family does, where settings and tensors do not say otherwise. */
  readonly positions: Positions;
  /** Normalisations of single heads: their width is that of a head. */
  readonly norms?: readonly [q: string, k: string];
  /** One number a query head. */
  readonly sinks?: string;
  /** Common beginnings of this family alone. */
  readonly prefix?: RegExp;
}

const quartet = (q: string, k: string, v: string, o: string) => [q, k, v, o] as const;

const FAMILIES: readonly Family[] = [
  {
    family: 'Llama, Mistral, Qwen, Gemma',
    parts: quartet('self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj', 'self_attn.o_proj'),
    positions: 'rotary',
    norms: ['self_attn.q_norm.weight', 'self_attn.k_norm.weight'],
    sinks: 'self_attn.sinks',
  },
  {
    family: 'Phi-2',
    parts: quartet('self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj', 'self_attn.dense'),
    positions: 'rotary',
  },
  {
    family: 'Whisper, BART, OPT, CLIP',
    parts: quartet('self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj', 'self_attn.out_proj'),
    positions: 'free',
  },
  {
    family: 'Whisper, BART (encoder)',
    parts: quartet('encoder_attn.q_proj', 'encoder_attn.k_proj', 'encoder_attn.v_proj', 'encoder_attn.out_proj'),
    positions: 'free',
  },
  {
    family: 'torch.nn.MultiheadAttention (memory)',
    parts: quartet(
      'multihead_attn.q_proj',
      'multihead_attn.k_proj',
      'multihead_attn.v_proj',
      'multihead_attn.out_proj',
    ),
    positions: 'free',
  },
  {
    family: 'GPT-J',
    parts: quartet('attn.q_proj', 'attn.k_proj', 'attn.v_proj', 'attn.out_proj'),
    positions: 'rotary',
    prefix: /(^|\.)h\.\d+\.$/,
  },
  {
    family: 'torch.nn.MultiheadAttention',
    parts: quartet('attn.q_proj', 'attn.k_proj', 'attn.v_proj', 'attn.out_proj'),
    positions: 'free',
  },
  {
    family: 'GPT-Neo',
    parts: quartet(
      'attn.attention.q_proj',
      'attn.attention.k_proj',
      'attn.attention.v_proj',
      'attn.attention.out_proj',
    ),
    positions: 'free',
  },
  {
    family: 'BERT, RoBERTa',
    parts: quartet('attention.self.query', 'attention.self.key', 'attention.self.value', 'attention.output.dense'),
    positions: 'free',
  },
  {
    family: 'ViT',
    parts: quartet(
      'attention.attention.query',
      'attention.attention.key',
      'attention.attention.value',
      'attention.output.dense',
    ),
    positions: 'free',
  },
  {
    family: 'DistilBERT',
    parts: quartet('attention.q_lin', 'attention.k_lin', 'attention.v_lin', 'attention.out_lin'),
    positions: 'free',
  },
  {
    family: 'T5',
    parts: quartet('SelfAttention.q', 'SelfAttention.k', 'SelfAttention.v', 'SelfAttention.o'),
    positions: 'fixed',
  },
  {
    family: 'T5 (encoder)',
    parts: quartet('EncDecAttention.q', 'EncDecAttention.k', 'EncDecAttention.v', 'EncDecAttention.o'),
    positions: 'free',
  },
  {
    family: 'GPT-2, StarCoder',
    parts: quartet('attn.c_attn.q', 'attn.c_attn.k', 'attn.c_attn.v', 'attn.c_proj'),
    positions: 'free',
  },
  {
    family: 'GPT-NeoX',
    parts: quartet('attention.query', 'attention.key', 'attention.value', 'attention.dense'),
    positions: 'rotary',
  },
  {
    family: 'BLOOM, Falcon, ChatGLM',
    parts: quartet('self_attention.query', 'self_attention.key', 'self_attention.value', 'self_attention.dense'),
    positions: 'rotary',
  },
  {
    family: 'InternLM2, Meta’s Llama, Mistral',
    parts: quartet('attention.wq', 'attention.wk', 'attention.wv', 'attention.wo'),
    positions: 'rotary',
  },
  { family: 'MPT', parts: quartet('attn.Wq', 'attn.Wk', 'attn.Wv', 'attn.out_proj'), positions: 'fixed' },
  { family: 'timm', parts: quartet('attn.q', 'attn.k', 'attn.v', 'attn.proj'), positions: 'unknown' },
  {
    family: 'GGUF',
    parts: quartet('attn_q', 'attn_k', 'attn_v', 'attn_output'),
    positions: 'rotary',
    norms: ['attn_q_norm.weight', 'attn_k_norm.weight'],
    sinks: 'attn_sinks.weight',
  },
];

export interface AttentionBlock {
  readonly family: string;
  readonly prefix: string;
  /** Names without `.weight`. */
  readonly q: string;
  readonly k: string;
  readonly v: string;
  readonly o: string;
  readonly sinks: string | null;
  /** Normalisations of heads, shared by all of them. */
  readonly norms: readonly string[];
  readonly positions: Positions;
  /** Null where neither settings nor shapes tell. */
  readonly heads: Heads | null;
}

export interface Heads {
  readonly query: number;
  /** Divides the query heads: each has as many of them. */
  readonly keyValue: number;
  /** Dimensions of a query or key head. */
  readonly width: number;
  /** Dimensions of a value head. */
  readonly valueWidth: number;
}

/** Every attention block of the model, in natural order of names. Shapes are canonical. */
export function attentionBlocks(tensors: readonly NamedShape[], metadata: Metadata): readonly AttentionBlock[] {
  const shapes = new Map(tensors.map(({ name, shape }) => [name, shape]));
  const found = new Map<string, AttentionBlock>();
  for (const name of shapes.keys()) {
    for (const family of FAMILIES) {
      const [q, k, v, o] = family.parts;
      if (!name.endsWith(`${q}.weight`)) continue;
      const prefix = name.slice(0, -`${q}.weight`.length);
      const names = [q, k, v, o].map((part) => `${prefix}${part}`);
      const isWhole = names.every((one) => shapes.get(`${one}.weight`)?.length === 2);
      const isOwn = (prefix === '' || /[./]$/.test(prefix)) && (family.prefix?.test(prefix) ?? true);
      if (!isWhole || !isOwn || found.has(name)) continue;
      const present = (part: string | undefined): readonly string[] =>
        part !== undefined && shapes.has(`${prefix}${part}`) ? [`${prefix}${part}`] : [];
      found.set(name, {
        family: family.family,
        prefix,
        q: names[0]!,
        k: names[1]!,
        v: names[2]!,
        o: names[3]!,
        sinks: present(family.sinks)[0] ?? null,
        norms: (family.norms ?? []).flatMap(present),
        positions: positionsOf(family, prefix, shapes, metadata),
        heads: headsOf(
          [q, k, v, o].map((part) => shapes.get(`${prefix}${part}.weight`)!),
          (family.norms ?? []).flatMap(present).map((norm) => shapes.get(norm)!),
          prefix,
          metadata,
        ),
      });
    }
  }
  return [...found.values()].sort((a, b) => a.prefix.localeCompare(b.prefix, 'en', { numeric: true }));
}

/** Numbers of heads that settings or the normalisation of single heads tell, and that all four shapes bear out. */
export function headsOf(
  [q, k, v, o]: readonly (readonly number[])[],
  norms: readonly (readonly number[])[],
  prefix: string,
  metadata: Metadata,
): Heads | null {
  const rows = q![0]!;
  const said = headCount(metadata, prefix);
  const width = headWidth(metadata, prefix) ?? widthOfNorm(norms, rows);
  const query = said ?? (width === null ? null : rows / width);
  if (query === null) return null;
  const heads = { query, width: rows / query, keyValue: 0, valueWidth: 0 };
  if (width !== null && heads.width !== width) return null;
  heads.keyValue = k![0]! / heads.width;
  heads.valueWidth = v![0]! / heads.keyValue;
  const fits =
    [heads.query, heads.width, heads.keyValue, heads.valueWidth, heads.query / heads.keyValue].every(
      (one) => Number.isInteger(one) && one >= 1,
    ) && o![1] === heads.query * heads.valueWidth;
  return fits ? heads : null;
}

function widthOfNorm(norms: readonly (readonly number[])[], rows: number): number | null {
  const [width] = norms[0] ?? [];
  const isOne = width !== undefined && norms.every((shape) => shape.length === 1 && shape[0] === width);
  return isOne && width < rows && rows % width === 0 ? width : null;
}

/** Learned absolute positions by the names that families give them; sinusoids are written under them too, but are constants. */
const ABSOLUTE = /(position_embeddings?|embed_positions|wpe|pos_embed|position_embd|positional_embedding)(\.weight)?$/;

const ALIBI_OF_GGUF = new Set(['bloom', 'mpt', 'refact', 'jina-bert-v2', 't5', 't5encoder', 'jais']);
/** Rotary with 32 layers, ALiBi with 40. */
const EITHER_OF_GGUF = new Set(['baichuan']);
const FREE_OF_GGUF = new Set(['gpt2', 'starcoder', 'bert', 'clip']);

function positionsOf(
  { positions, family }: Family,
  prefix: string,
  shapes: ReadonlyMap<string, readonly number[]>,
  metadata: Metadata,
): Positions {
  const architecture = ggufArchitecture(metadata);
  if (architecture !== null) {
    const alibi = Number(metadata.get(`${architecture}.attention.max_alibi_bias`) ?? 0) > 0;
    if (EITHER_OF_GGUF.has(architecture)) return 'closed';
    if (alibi || ALIBI_OF_GGUF.has(architecture)) return 'fixed';
    return FREE_OF_GGUF.has(architecture) && hasAbsolute(shapes) ? 'free' : 'rotary';
  }
  if (isAlibi(family, prefix, shapes, metadata)) return 'fixed';
  if (positions !== 'free') return positions;
  const turned = [...shapes.keys()].some((name) => /rotary|inv_freq|rope|relative|distance_embedding/i.test(name));
  const said = setting(metadata, ['position_embedding_type'], prefix) ?? 'absolute';
  return !turned && said === 'absolute' && hasAbsolute(shapes) ? 'free' : 'unknown';
}

const hasAbsolute = (shapes: ReadonlyMap<string, readonly number[]>): boolean =>
  [...shapes.keys()].some((name) => ABSOLUTE.test(name));

function isAlibi(
  family: string,
  prefix: string,
  shapes: ReadonlyMap<string, readonly number[]>,
  metadata: Metadata,
): boolean {
  const kind = setting(metadata, ['model_type'], prefix);
  if (kind === 'bloom' || kind === 'mpt') return true;
  if (setting(metadata, ['alibi', 'use_alibi'], prefix) === 'true') return true;
  if (family !== 'BLOOM, Falcon, ChatGLM') return false;
  return [...shapes.keys()].some((name) => /word_embeddings_layernorm/.test(name));
}
