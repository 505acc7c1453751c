import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { memorySource, randomPermutation, seededRandom } from '../base/index.js';
import { buildSafetensors, openModel, writeModel } from '../formats/index.js';
import { type CanonicalModel, canonicalise, permuteGroup, type UnitGroup } from './index.js';
import {
  type Architecture,
  answer,
  BLOOM,
  fused,
  GPT2,
  inBlocks,
  inGroups,
  LLAMA_NAMES,
  MIXTRAL,
  type Naming,
  named,
  SMALL,
  type Stored,
  transposed,
  type Weight,
  type Weights,
  weightsOf,
} from './testing/transformer.js';

const TOKENS = [3, 14, 1, 5, 9];

async function opened(weights: Weights, naming: Naming, settings: Readonly<Record<string, string>>) {
  const tensors = Object.fromEntries(
    [...weights].map(([name, weight]) => [naming(name), { dtype: 'F64' as const, ...weight }]),
  );
  return canonicalise(await openModel(memorySource(buildSafetensors(tensors, settings), 'model.safetensors')), {
    settings: true,
  });
}

const settingsOf = ({ keyValueHeads, sharing }: Architecture) => ({
  'config.num_attention_heads': String(keyValueHeads * sharing),
});

/** The model's own weights with some replaced by their stored names. */
async function changed(
  canonical: CanonicalModel,
  weights: Weights,
  naming: Naming,
  changes: ReadonlyMap<string, Float64Array>,
): Promise<Weights> {
  const out = new Map(weights);
  for (const [name, { shape }] of weights) {
    const values = changes.get(canonical.tensors.get(naming(name))!.stored);
    if (values !== undefined) out.set(name, { shape, values });
  }
  return out;
}

const apart = (a: readonly number[], b: readonly number[]): number =>
  Math.max(...a.map((one, k) => Math.abs(one - b[k]!))) / Math.max(...a.map(Math.abs));

function shuffle(group: UnitGroup): Uint32Array {
  for (let seed = 1; ; seed++) {
    const order = randomPermutation(group.size, seededRandom(seed, group.label));
    if (order.some((one, k) => one !== k)) return order;
  }
}

const kinds = (groups: readonly UnitGroup[]): Record<string, number> => {
  const found: Record<string, number> = {};
  for (const { label } of groups) {
    const kind = label
      .replace(/^.*\d\.(block_sparse_moe\.(experts\.\d+\.)?|mlp\.|attn\.)?/, '')
      .replace(/ \(.*$/, '')
      .replace(/\d+/g, 'n');
    found[kind] = (found[kind] ?? 0) + 1;
  }
  return found;
};

test('a mixture with grouped heads: every level is a group, and every group may be permuted', async () => {
  const weights = weightsOf(SMALL, 1);
  const canonical = await opened(weights, MIXTRAL, settingsOf(SMALL));
  assert.deepEqual(kinds(canonical.groups), {
    'residual stream': 1,
    'key and value heads': 2,
    'query heads of key and value head n': 16,
    'value dimensions of head n': 16,
    experts: 2,
    'feed-forward': 8,
  });
  const before = answer(SMALL, weights, TOKENS);
  for (const group of canonical.groups) {
    const order = shuffle(group);
    const after = answer(
      SMALL,
      await changed(canonical, weights, MIXTRAL, await permuteGroup(canonical, group, order)),
      TOKENS,
    );
    assert.ok(apart(before, after) < 1e-12, `${group.label}: ${apart(before, after)}`);
    const half = { ...group, outgoing: [], ...(group.members === undefined ? {} : { members: [] }) };
    const broken = answer(
      SMALL,
      await changed(canonical, weights, MIXTRAL, await permuteGroup(canonical, half, order)),
      TOKENS,
    );
    assert.ok(apart(before, broken) > 1e-4, `${group.label}: half of it changes nothing`);
  }
});

test('permuting query and key dimensions that turn would change the outputs, so no group offers it', async () => {
  const plain: Architecture = { ...SMALL, experts: 1, sharing: 1, keyValueHeads: 3 };
  const weights = weightsOf(plain, 2);
  const canonical = await opened(weights, LLAMA_NAMES, settingsOf(plain));
  assert.ok(canonical.groups.every(({ label }) => !label.includes('query and key dimensions')));
  const order = [1, 0, 2, 3, ...Array.from({ length: 8 }, (_, k) => 4 + k)];
  const moved = new Map(weights);
  for (const part of ['q', 'k']) {
    for (const kind of ['weight', 'bias']) {
      const weight = moved.get(`0.${part}.${kind}`);
      if (weight === undefined) continue;
      const width = weight.shape[1] ?? 1;
      const values = Float64Array.from(
        weight.values,
        (_, at) => weight.values[order[Math.floor(at / width)]! * width + (at % width)]!,
      );
      moved.set(`0.${part}.${kind}`, { ...weight, values });
    }
  }
  const before = answer(plain, weights, TOKENS);
  assert.ok(apart(before, answer(plain, moved, TOKENS)) > 1e-3);
  const unturned = { ...plain, positions: 'learned' as const };
  const withPositions = (some: Weights): Weights => new Map([...weightsOf(unturned, 2), ...some]);
  assert.ok(
    apart(answer(unturned, withPositions(weights), TOKENS), answer(unturned, withPositions(moved), TOKENS)) < 1e-12,
  );
});

const stem = (naming: Naming, l: number, part: string) => naming(`${l}.${part}.weight`).replace(/\.weight$/, '');

/** Queries, keys and values of every layer in one tensor. */
function withFused(
  stored: Stored,
  architecture: Architecture,
  naming: Naming,
  to: string,
  make: (parts: readonly Weight[]) => Weight,
) {
  let out = stored;
  for (let l = 0; l < architecture.layers; l++) {
    for (const kind of ['weight', 'bias']) {
      const names = ['q', 'k', 'v'].map((part) => `${stem(naming, l, part)}.${kind}`);
      out = fused(out, names, `${to.replace('#', String(l))}${kind}`, make);
    }
  }
  return out;
}

async function openStored(stored: Stored, settings: Readonly<Record<string, string>> = {}): Promise<CanonicalModel> {
  const tensors = Object.fromEntries(
    Object.entries(stored).map(([name, weight]) => [name, { dtype: 'F64' as const, ...weight }]),
  );
  return canonicalise(await openModel(memorySource(buildSafetensors(tensors, settings), 'model.safetensors')), {
    settings: true,
  });
}

/** Canonical values by this test's own names. */
async function read(canonical: CanonicalModel, weights: Weights, naming: Naming): Promise<Weights> {
  const out = new Map<string, Weight>();
  for (const name of weights.keys()) {
    const { shape, ...tensor } = canonical.tensors.get(naming(name))!;
    out.set(name, { shape, values: await tensor.read() });
  }
  return out;
}

const GPT: Architecture = {
  ...SMALL,
  width: 15,
  keyValueHeads: 3,
  sharing: 1,
  headWidth: 5,
  experts: 1,
  positions: 'learned',
  biases: true,
};

function gpt2File(weights: Weights): Stored {
  let stored = withFused(named(weights, GPT2), GPT, GPT2, 'transformer.h.#.attn.c_attn.', inBlocks);
  for (let l = 0; l < GPT.layers; l++) {
    for (const part of ['c_attn', 'c_proj']) {
      const name = `transformer.h.${l}.attn.${part}.weight`;
      stored = { ...stored, [name]: transposed(stored[name]!) };
    }
  }
  return stored;
}

test('GPT-2: fused and stored in × out; dimensions of queries and keys may be permuted too, and parts are written', async () => {
  const weights = weightsOf(GPT, 3);
  const canonical = await openStored(gpt2File(weights), { 'config.n_head': '3' });
  assert.deepEqual(await read(canonical, weights, GPT2), new Map(weights));
  assert.deepEqual(kinds(canonical.groups), {
    'residual stream': 1,
    heads: 2,
    'value dimensions of head n': 6,
    'query and key dimensions of head n': 6,
    'feed-forward': 2,
  });
  const before = answer(GPT, weights, TOKENS);
  const folder = await mkdtemp(path.join(os.tmpdir(), 'gpt2-'));
  try {
    for (const group of canonical.groups) {
      const out = path.join(folder, `${group.id}.safetensors`);
      // From memory there is no file to copy: the model's own bytes are its source.
      await writeModel(canonical.model, await permuteGroup(canonical, group, shuffle(group)), out);
      const model = await openModel(out);
      const moved = await read(await canonicalise(model, { settings: true }), weights, GPT2);
      await model.close();
      assert.notDeepEqual(moved, new Map(weights), group.label);
      assert.ok(apart(before, answer(GPT, moved, TOKENS)) < 1e-12, group.label);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('BLOOM: every head has a constant of its own, so heads stay; what lies within them may be permuted', async () => {
  const bloom: Architecture = { ...GPT, positions: 'alibi' };
  const weights = weightsOf(bloom, 4);
  const stored = withFused(
    named(weights, BLOOM),
    bloom,
    BLOOM,
    'transformer.h.#.self_attention.query_key_value.',
    inGroups(bloom),
  );
  const canonical = await openStored(stored, { 'config.n_head': '3', 'config.model_type': 'bloom' });
  assert.deepEqual(await read(canonical, weights, BLOOM), new Map(weights));
  assert.deepEqual(kinds(canonical.groups), {
    'residual stream': 1,
    'value dimensions of head n': 6,
    'query and key dimensions of head n': 6,
    'feed-forward': 2,
  });
  assert.ok(canonical.groups.every(({ within }) => within === undefined));
  const before = answer(bloom, weights, TOKENS);
  for (const group of canonical.groups) {
    const after = await changed(canonical, weights, BLOOM, await permuteGroup(canonical, group, shuffle(group)));
    assert.ok(apart(before, answer(bloom, after, TOKENS)) < 1e-12, group.label);
  }
  const swapped = await permuteGroup(canonical, { ...canonical.groups[0]!, ...headsOf(BLOOM, 5) }, [1, 0, 2]);
  assert.ok(apart(before, answer(bloom, await changed(canonical, weights, BLOOM, swapped), TOKENS)) > 1e-4);
});

/** What the group of heads of the first layer would be. */
function headsOf(naming: Naming, width: number): Pick<UnitGroup, 'size' | 'incoming' | 'outgoing'> {
  const place = { start: 0, unitStride: width, repeat: width, repeatStride: 1 };
  const rows = ['q', 'k', 'v'].flatMap((part) =>
    ['weight', 'bias'].map((kind) => ({ tensor: naming(`0.${part}.${kind}`), axis: 0, ...place })),
  );
  return { size: 3, incoming: rows, outgoing: [{ tensor: naming('0.o.weight'), axis: 1, ...place }] };
}
