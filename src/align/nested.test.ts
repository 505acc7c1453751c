/** Groups within units of others: power and null of one level after the other (docs/theory.md §4). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memorySource, type RandomStream, randomPermutation, seededRandom } from '../base/index.js';
import { buildSafetensors, type Model, openModel, type Tensor } from '../formats/index.js';
import { log10PooledHits } from '../stats/index.js';
import { type CanonicalModel, canonicalise, permuteGroup } from '../structure/index.js';
import { MIXTRAL, named, SMALL, weightsOf } from '../structure/testing/transformer.js';
import { alignTables, checkAlignment } from './alignment.js';
import { countHits, matchUnits } from './match.js';
import { planGroups, type TestPlan, testedGroups } from './plan.js';
import { samplePlan } from './sample.js';
import { loadTable, type WeightTable } from './table.js';

const SETTINGS = { 'config.num_attention_heads': String(SMALL.keyValueHeads * SMALL.sharing) };

async function mixture(seed: number): Promise<CanonicalModel> {
  const tensors = Object.fromEntries(
    Object.entries(named(weightsOf(SMALL, seed), MIXTRAL)).map(([name, weight]) => [
      name,
      { dtype: 'F64' as const, ...weight },
    ]),
  );
  return canonicalise(await openModel(memorySource(buildSafetensors(tensors, SETTINGS), 'model.safetensors')), {
    settings: true,
  });
}

/** Every group in another order, inner ones first, as they lie in the reference. */
async function permuted(
  canonical: CanonicalModel,
  plan: TestPlan,
  random: RandomStream,
): Promise<{ table: WeightTable; sigma: ReadonlyMap<string, Uint32Array> }> {
  const sigma = new Map(canonical.groups.map((group) => [group.id, randomPermutation(group.size, random)]));
  let current = canonical;
  for (const group of [...canonical.groups].reverse()) {
    const changes = await permuteGroup(current, group, sigma.get(group.id)!);
    current = {
      ...current,
      tensors: new Map(
        [...current.tensors].map(([name, tensor]) => {
          const values = changes.get(tensor.stored);
          if (values === undefined) return [name, tensor];
          const width = tensor.shape.slice(1).reduce((all, size) => all * size, 1);
          return [
            name,
            {
              ...tensor,
              read: async () => values,
              readRaw: async () => values,
              readRows: async (rows: readonly number[]) =>
                Float64Array.from(rows.flatMap((row) => [...values.subarray(row * width, (row + 1) * width)])),
            },
          ];
        }),
      ),
    };
  }
  return { table: await loadTable(current, plan), sigma };
}

const noisy = (table: WeightTable, share: number): WeightTable => {
  const random = seededRandom(9, 'noise');
  return {
    tensors: new Map(
      [...table.tensors].map(([name, { shape, values }]) => [
        name,
        { shape, values: values.map((value) => value + share * (random.unit() - 0.5)) },
      ]),
    ),
  };
};

test('a mixture with grouped heads, permuted at every level, is aligned completely', async () => {
  const canonical = await mixture(5);
  const plan = planGroups(canonical);
  const ours = await loadTable(canonical, plan);
  const { table, sigma } = await permuted(canonical, plan, seededRandom(6, 'orders'));
  for (const suspect of [table, noisy(table, 0.1)]) {
    const found = alignTables(plan, ours, suspect, 1);
    for (const { id, assignment } of found.groups) {
      assert.deepEqual([...assignment], [...sigma.get(id)!], plan.groups.find((group) => group.id === id)!.label);
    }
    assert.deepEqual(checkAlignment(plan, ours, suspect, found.steps).groups, found.groups);
  }
  const { aligned } = alignTables(plan, ours, table, 1);
  for (const [name, { values }] of ours.tensors) assert.deepEqual(aligned.tensors.get(name)!.values, values, name);
});

test('given the orders of outer levels every unit of the next is found', async () => {
  const canonical = await mixture(7);
  const plan = planGroups(canonical);
  const ours = await loadTable(canonical, plan);
  const { table, sigma } = await permuted(canonical, plan, seededRandom(8, 'orders'));
  assert.deepEqual(
    testedGroups(plan).map(({ id }) => id),
    canonical.groups.map(({ id }) => id),
    'every level is tested',
  );
  for (const match of matchUnits(plan, ours, table, sigma)) {
    const size = canonical.groups.find(({ id }) => id === match.group)!.size;
    assert.equal(countHits(match, sigma.get(match.group)), size, match.group);
  }
});

test('null: another model under random orders of every level hits no more than the bound allows', async () => {
  const plan = planGroups(await mixture(10));
  const ours = await loadTable(await mixture(10), plan);
  const theirs = await loadTable(await mixture(11), plan);
  const G = testedGroups(plan).length;
  const random = seededRandom(12, 'null');
  let total = 0;
  const draws = 12;
  for (let draw = 0; draw < draws; draw++) {
    const sigma = new Map(plan.groups.map(({ id, size }) => [id, randomPermutation(size, random)]));
    const hits = matchUnits(plan, ours, theirs, sigma).map((match) => countHits(match, sigma.get(match.group)));
    const T = hits.reduce((sum, one) => sum + one, 0);
    assert.ok(log10PooledHits(T, G) > -6);
    total += T;
  }
  assert.ok(total / draws < G + 4 * Math.sqrt(G), `${total / draws} hits a draw over ${G} groups`);
});

/**
 * The rule of one draw: the worst one may think of. For the outer level any map; for each inner one a map that is chosen
 * with the outer order known, and that may send several units to one.
 */
function hitsOfDraw(random: RandomStream, outer: number, inner: number, greedy: boolean): number {
  const sigma = randomPermutation(outer, random);
  let hits = 0;
  for (let i = 0; i < outer; i++) if (sigma[i] === (greedy ? i : 0)) hits++;
  for (let g = 0; g < outer; g++) {
    const own = randomPermutation(inner, random);
    const shift = sigma[g]!;
    for (let i = 0; i < inner; i++) if (own[i] === (greedy ? (i + shift) % inner : shift % inner)) hits++;
  }
  return hits;
}

test('null: 20,000 draws of heads and query heads within them, whatever the rule, stay below the pooled tail', () => {
  const random = seededRandom(13, 'wreath');
  const [outer, inner, draws] = [8, 4, 20_000];
  for (const greedy of [true, false]) {
    const counts = new Map<number, number>();
    for (let draw = 0; draw < draws; draw++) {
      const hits = hitsOfDraw(random, outer, inner, greedy);
      counts.set(hits, (counts.get(hits) ?? 0) + 1);
    }
    for (let k = outer + 2; k <= 24; k++) {
      const share = [...counts].reduce((sum, [hits, count]) => sum + (hits >= k ? count : 0), 0) / draws;
      const bound = 10 ** log10PooledHits(k, outer + 1);
      assert.ok(share <= bound + 4 * Math.sqrt(bound / draws), `P(T ≥ ${k}) ${share} > ${bound}`);
    }
  }
});

test('counted as one group of 32 the same draws would break its bound: 2.6e-3 where 1/8! says 2.5e-5', () => {
  const random = seededRandom(14, 'flat');
  const draws = 20_000;
  let reached = 0;
  for (let draw = 0; draw < draws; draw++) {
    const sigma = randomPermutation(8, random);
    let hits = 0;
    for (let g = 0; g < 8; g++) {
      const own = randomPermutation(4, random);
      if (sigma[g] === g) for (let i = 0; i < 4; i++) if (own[i] === i) hits++;
    }
    if (hits >= 8) reached++;
  }
  const share = reached / draws;
  assert.ok(Math.abs(share - 2.6e-3) < 4 * Math.sqrt(2.6e-3 / draws), String(share));
  assert.ok(share > 50 * 2.5e-5);
});

/** A large model of computed numbers: nothing is stored, and what is read is counted. */
function computed(
  shapes: Readonly<Record<string, readonly number[]>>,
  seed: number,
): { model: Model; read: () => number } {
  let read = 0;
  const tensors = Object.entries(shapes).map(([name, shape], index): [string, Tensor] => {
    const elements = shape.reduce((all, size) => all * size, 1);
    const key = Math.imul(seed * 1000 + index + 1, 0x9e3779b1);
    const value = (at: number): number => {
      let x = Math.imul(at ^ key, 0x85ebca6b);
      x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
      x = Math.imul(x ^ (x >>> 16) ^ key, 0x27d4eb2f);
      return ((x ^ (x >>> 15)) >>> 0) / 2 ** 32 - 0.5;
    };
    return [
      name,
      {
        name,
        dtype: 'F32',
        shape,
        elements,
        writable: false,
        read: async (start, end) => {
          read += end - start;
          return Float64Array.from({ length: end - start }, (_, k) => value(start + k));
        },
      },
    ];
  });
  const model: Model = {
    format: 'safetensors',
    tensors: new Map(tensors),
    graph: null,
    opset: null,
    metadata: new Map([['config.num_attention_heads', '32']]),
    sources: [],
    bytesRead: 0,
    close: async () => {},
  };
  return { model, read: () => read };
}

/** Mistral 7B, two layers of it. */
const LARGE: Record<string, readonly number[]> = {
  'model.embed_tokens.weight': [32000, 4096],
  'model.norm.weight': [4096],
  'lm_head.weight': [32000, 4096],
};
for (const l of [0, 1]) {
  const layer = `model.layers.${l}.`;
  LARGE[`${layer}input_layernorm.weight`] = [4096];
  LARGE[`${layer}post_attention_layernorm.weight`] = [4096];
  LARGE[`${layer}self_attn.q_proj.weight`] = [4096, 4096];
  LARGE[`${layer}self_attn.k_proj.weight`] = [1024, 4096];
  LARGE[`${layer}self_attn.v_proj.weight`] = [1024, 4096];
  LARGE[`${layer}self_attn.o_proj.weight`] = [4096, 4096];
  LARGE[`${layer}mlp.gate_proj.weight`] = [14336, 4096];
  LARGE[`${layer}mlp.up_proj.weight`] = [14336, 4096];
  LARGE[`${layer}mlp.down_proj.weight`] = [4096, 14336];
}

test('of a model of 7 billion parameters some rows of each level are read: a copy is found, another is not', async () => {
  const first = computed(LARGE, 1);
  const ours = await canonicalise(first.model, { settings: true });
  const full = planGroups(ours);
  const plan = samplePlan(full, new Uint8Array(32));
  const before = first.read();
  const table = await loadTable(ours, plan);
  assert.ok(first.read() - before < 12e6, `${first.read() - before} elements read`);
  assert.deepEqual(
    plan.groups.map(({ size, within }) => `${size}${within === undefined ? '' : ' within'}`),
    ['128', '8', '4 within', '128 within', '8', '4 within', '128 within', '128', '128'],
  );
  const copy = noisy(table, 0.1);
  for (const match of matchUnits(plan, table, copy)) {
    assert.equal(countHits(match), plan.groups.find(({ id }) => id === match.group)!.size, match.group);
  }
  const other = await loadTable(await canonicalise(computed(LARGE, 2).model, { settings: true }), plan);
  const hits = matchUnits(plan, table, other).reduce((sum, match) => sum + countHits(match), 0);
  assert.ok(log10PooledHits(hits, plan.groups.length) > -3, `${hits} hits`);
});
