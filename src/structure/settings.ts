/**
 * What a model says of its own attention beside its weights: `config.json` of Hugging Face and `params.json` of Meta and
 * Mistral (metadata `config.…`), or the keys of a GGUF file. Where nothing is said the answer is null.
 */
import type { Model } from '../formats/index.js';

export type Metadata = ReadonlyMap<string, string>;

/** The model as its own file describes it, whatever lies beside that. */
export const withoutSettings = (model: Model): Model =>
  Object.defineProperties({} as Model, {
    ...Object.getOwnPropertyDescriptors(model),
    metadata: { value: new Map([...model.metadata].filter(([key]) => !key.startsWith('config.'))), enumerable: true },
  });

const HEADS = ['num_attention_heads', 'n_head', 'num_heads', 'n_heads'] as const;
const HEAD_WIDTH = ['head_dim', 'd_kv', 'attention_head_size'] as const;

/** The architecture that a GGUF file names, such as `llama`; null for other formats. */
export const ggufArchitecture = (metadata: Metadata): string | null => metadata.get('general.architecture') ?? null;

/** A setting for the block whose names begin so: models of several towers keep one section each. */
export function setting(metadata: Metadata, names: readonly string[], prefix: string): string | null {
  for (const section of sectionsFor(metadata, prefix)) {
    for (const name of names) {
      const found = metadata.get(`${section}.${name}`);
      if (found !== undefined) return found;
    }
  }
  return null;
}

function sectionsFor(metadata: Metadata, prefix: string): readonly string[] {
  const has = (section: string): boolean => [...metadata.keys()].some((key) => key.startsWith(`${section}.`));
  const own = /vision|visual/.test(prefix)
    ? 'config.vision_config'
    : /audio/.test(prefix)
      ? 'config.audio_config'
      : 'config.text_config';
  if (has(own)) return own === 'config.text_config' ? [own, 'config'] : [own];
  return ['config'];
}

/** Of a GGUF key that may be one number or one for each layer. */
function ofLayer(value: string | undefined, prefix: string): number | null {
  if (value === undefined) return null;
  if (!value.startsWith('[')) return whole(value);
  const layer = Number(/(?:^|\.)blk\.(\d+)\./.exec(prefix)?.[1] ?? Number.NaN);
  return whole(value.slice(1, -1).split(', ')[layer]);
}

function whole(value: string | undefined | null): number | null {
  const number = Number(value ?? Number.NaN);
  return Number.isSafeInteger(number) && number > 0 ? number : null;
}

/** Number of query heads of the attention block whose names begin so. */
export function headCount(metadata: Metadata, prefix: string): number | null {
  const architecture = ggufArchitecture(metadata);
  if (architecture !== null) return ofLayer(metadata.get(`${architecture}.attention.head_count`), prefix);
  const side = /(^|\.)decoder\./.test(prefix)
    ? ['decoder_attention_heads']
    : /(^|\.)encoder\./.test(prefix)
      ? ['encoder_attention_heads']
      : [];
  return whole(setting(metadata, [...side, ...HEADS], prefix));
}

/** Width of one query or key head, where it is said apart from the number of heads. */
export function headWidth(metadata: Metadata, prefix: string): number | null {
  const architecture = ggufArchitecture(metadata);
  if (architecture !== null) return ofLayer(metadata.get(`${architecture}.attention.key_length`), prefix);
  return whole(setting(metadata, HEAD_WIDTH, prefix));
}

/** Groups of experts among which the router chooses first (DeepSeek). */
export function expertGroups(metadata: Metadata, prefix: string): number | null {
  const architecture = ggufArchitecture(metadata);
  const said =
    architecture === null
      ? setting(metadata, ['n_group'], prefix)
      : (metadata.get(`${architecture}.expert_group_count`) ?? null);
  return whole(said);
}
