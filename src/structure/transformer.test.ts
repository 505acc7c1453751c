import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memorySource, randomPermutation, seededRandom } from '../base/index.js';
import { buildSafetensors, openModel } from '../formats/index.js';
import { type CanonicalModel, canonicalise, permuteGroup, type UnitGroup } from './index.js';
import {
  type Architecture,
  answer,
  LLAMA_NAMES,
  MIXTRAL,
  type Naming,
  SMALL,
  type Weights,
  weightsOf,
} from './testing/transformer.js';

const TOKENS = [3, 14, 1, 5, 9];

async function opened(weights: Weights, naming: Naming, settings: Readonly<Record<string, string>>) {
  const tensors = Object.fromEntries(
    [...weights].map(([name, weight]) => [naming(name), { dtype: 'F64' as const, ...weight }]),
  );
  return canonicalise(await openModel(memorySource(buildSafetensors(tensors, settings), 'model.safetensors')));
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
