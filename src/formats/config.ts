/**
 * The settings that hubs lay beside the weights, `config.json` (Hugging Face) or `params.json` (Meta, Mistral): what the
 * shapes of the tensors do not tell, such as the number of attention heads. They become metadata of the model.
 */
import type { ByteSource, Json } from '../base/index.js';
import { MunimentError } from '../base/index.js';
import { parseBoundedJson } from './bounded-json.js';
import { MAX_CONFIG_ENTRIES, MAX_CONFIG_JSON, MAX_CONFIG_TEXT } from './limits.js';
import type { Model } from './model.js';
import type { ModelFiles } from './opened.js';

const FILES = ['config.json', 'params.json'] as const;

/** Formats without a graph whose files say nothing of the architecture. */
const BARE: ReadonlySet<Model['format']> = new Set(['safetensors', 'pytorch', 'numpy']);

/** Only projections of attention need settings; for other models nothing is fetched. */
const ATTENTION = /attn|attention|in_proj_weight|\.wq\.|q_lin|SelfAttention/;

/**
 * The model with its settings as metadata `config.NAME` (nested ones `config.OUTER.NAME`). A file that is no settings is
 * left alone and said so under `config`: the weights are what they are.
 */
export async function withConfig(model: Model, files: ModelFiles): Promise<Model> {
  if (model.graph !== null || !BARE.has(model.format)) return model;
  if (![...model.tensors.keys()].some((name) => ATTENTION.test(name))) return model;
  for (const file of FILES) {
    const source = await files.aside(file);
    if (source === null) continue;
    const found = await settingsOf(source, file);
    await source.close();
    return described(model, new Map([...found, ...model.metadata]));
  }
  return model;
}

/** A getter that counts what was read must go on counting. */
const described = (model: Model, metadata: ReadonlyMap<string, string>): Model =>
  Object.defineProperties({} as Model, {
    ...Object.getOwnPropertyDescriptors(model),
    metadata: { value: metadata, enumerable: true },
  });

async function settingsOf(source: ByteSource, file: string): Promise<ReadonlyMap<string, string>> {
  if (source.byteLength > MAX_CONFIG_JSON) return new Map([['config', `${file} is too long to be settings`]]);
  try {
    const parsed = parseBoundedJson(await source.slice(0, source.byteLength), source.name);
    const found = new Map<string, string>();
    collect('config', parsed, 0, found);
    return found;
  } catch (error) {
    if (!(error instanceof MunimentError)) throw error;
    return new Map([['config', `${file} was not read: ${error.message}`]]);
  }
}

/** Numbers, truth values and short texts on three levels (`text_config.rope_scaling.type`). */
function collect(name: string, value: Json, depth: number, found: Map<string, string>): void {
  if (found.size >= MAX_CONFIG_ENTRIES || name.length > MAX_CONFIG_TEXT) return;
  if (typeof value === 'number' || typeof value === 'boolean') found.set(name, String(value));
  else if (typeof value === 'string' && value.length <= MAX_CONFIG_TEXT) found.set(name, value);
  else if (Array.isArray(value)) {
    const texts = value.filter((one): one is string => typeof one === 'string' && one.length <= MAX_CONFIG_TEXT);
    if (texts.length > 0 && texts.length === value.length && texts.length <= 16) found.set(name, texts.join(', '));
  } else if (typeof value === 'object' && value !== null && depth < 3) {
    for (const [key, inner] of Object.entries(value)) collect(`${name}.${key}`, inner as Json, depth + 1, found);
  }
}
