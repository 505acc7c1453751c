/**
 * The residual stream of a transformer: its places carry no meaning where every tensor that lies on it moves too, since
 * normalisations treat them alike and heads, gates and experts read them through weights alone. One group over all layers,
 * embedding included.
 *
 * It is only made where every tensor of the model is accounted for: one that is not known might tie a place down, as
 * sinusoidal positions do.
 */
import type { AttentionBlock } from './attention.js';
import type { NamedShape } from './names.js';
import type { Segment, TensorNature, UnitGroup } from './types.js';

/** Tensors by the residual's own places: which axis lies along it. Of each, what follows the last known prefix. */
const ENDS: readonly (readonly [pattern: RegExp, axis: number, side: 'in' | 'out'])[] = [
  [
    /(^|[._])(embed_tokens|wte|wpe|word_embeddings|position_embeddings|token_type_embeddings|embed_in|tok_embeddings)\.weight$/,
    1,
    'in',
  ],
  [/^(token_embd|position_embd|token_types)\.weight$/, 1, 'in'],
  [/(^|\.)(lm_head|embed_out|output)\.weight$/, 1, 'out'],
];

/** Normalisations: one number a place. */
const NORM =
  /(^|[._])(norm[123]?|ln_f|ln_[12]|final_layer_norm|final_layernorm|input_layernorm|post_attention_layernorm|pre_feedforward_layernorm|post_feedforward_layernorm|layer_norm|self_attn_layer_norm|attention_norm|ffn_norm|attn_norm|output_norm|post_attention_norm|post_ffw_norm|word_embeddings_layernorm|ln_attn|ln_mlp|LayerNorm|token_embd_norm|attn_output_norm|layer_output_norm)\.(weight|bias|gamma|beta)$/;

/** What no place of the residual lies on: masks, rotary factors, a bias over the vocabulary. */
const ASIDE =
  /(inv_freq|rope_freqs|rope_factors_(long|short)|masked_bias|position_ids|(^|\.)(attn|attention)\.bias|lm_head\.bias)(\.weight)?$/;

interface Place {
  readonly axis: number;
  readonly side: 'in' | 'out';
}

export interface Accounted {
  readonly attention: readonly AttentionBlock[];
  /** Feed-forward blocks: tensors that read the residual by columns, and the one that writes it by rows. */
  readonly feedForward: readonly {
    readonly up: readonly string[];
    readonly down: string;
    readonly others: readonly string[];
  }[];
  /** Routers of mixtures: experts × residual; and numbers of experts. */
  readonly routers: readonly string[];
  readonly beside: readonly string[];
}

/** Null where a tensor is not known, has another width, or is constant in more than one value. */
export function residualGroup(
  tensors: readonly (NamedShape & { readonly nature: TensorNature })[],
  { attention, feedForward, routers, beside }: Accounted,
): UnitGroup | null {
  const [first] = attention;
  if (first === undefined || attention.some(({ heads }) => heads === null)) return null;
  const shapes = new Map(tensors.map(({ name, shape }) => [name, shape]));
  const width = shapes.get(`${first.q}.weight`)?.[1];
  if (width === undefined || width < 2) return null;
  const places = new Map<string, Place | null>();
  const reads = (name: string): unknown => places.set(name, { axis: 1, side: 'out' });
  const writes = (stem: string): void => {
    places.set(`${stem}.weight`, { axis: 0, side: 'in' });
    places.set(`${stem}.bias`, { axis: 0, side: 'in' });
  };
  for (const { q, k, v, o, norms, sinks } of attention) {
    for (const stem of [q, k, v]) {
      reads(`${stem}.weight`);
      places.set(`${stem}.bias`, null);
    }
    writes(o);
    for (const name of [...norms, ...(sinks === null ? [] : [sinks])]) places.set(name, null);
  }
  for (const { up, down, others } of feedForward) {
    for (const name of up) reads(name);
    for (const name of others) places.set(name, null);
    writes(down.replace(/\.weight$/, ''));
  }
  for (const router of routers) reads(router);
  for (const name of beside) places.set(name, null);
  const group: { incoming: Segment[]; outgoing: Segment[] } = { incoming: [], outgoing: [] };
  for (const { name, shape, nature } of tensors) {
    const known = places.get(name);
    const place: Place | null | undefined = known === undefined ? placeByName(name, shape, width) : known;
    if (place === undefined) return null;
    if (place === null) continue;
    if (shape[place.axis] !== width || (nature.kind === 'constant' && !isOneValue(nature.what))) return null;
    const segment = { tensor: name, axis: place.axis, start: 0, unitStride: 1, repeat: 1, repeatStride: 1 };
    (place.side === 'in' ? group.incoming : group.outgoing).push(segment);
  }
  if (group.incoming.length === 0 || group.outgoing.length === 0) return null;
  return { id: 'residual', size: width, vouched: 'names', ...group, scaling: 'none', label: 'residual stream' };
}

/** undefined: not known. */
function placeByName(name: string, shape: readonly number[], width: number): Place | null | undefined {
  if (ASIDE.test(name)) return null;
  if (shape.length === 1 && shape[0] === width && NORM.test(name)) return { axis: 0, side: 'in' };
  const end = ENDS.find(([pattern]) => pattern.test(name));
  return end === undefined || shape.length !== 2 ? undefined : { axis: end[1], side: end[2] };
}

/** A normalisation that training left at 1, a bias at 0: the same wherever the places go. */
const isOneValue = (what: string): boolean => what === 'one value';
