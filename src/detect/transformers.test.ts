/** Transformers without a graph: what compare says of copies, conversions, permuted copies and independent models. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { memorySource, randomPermutation, seededRandom } from '../base/index.js';
import { buildSafetensors, type DType, type Model, openModel } from '../formats/index.js';
import { canonicalise, permuteGroup } from '../structure/index.js';
import { type Architecture, MIXTRAL, named, SMALL, type Stored, weightsOf } from '../structure/testing/transformer.js';
import { compareFiles, compareSubjects, subjectOfModel } from './index.js';

const SETTINGS = { 'config.num_attention_heads': '32' };
const MIXTURE: Architecture = { ...SMALL, layers: 1, width: 32 };

const opened = (stored: Stored, dtype: DType = 'F32'): Promise<Model> =>
  openModel(
    memorySource(
      buildSafetensors(
        Object.fromEntries(Object.entries(stored).map(([name, weight]) => [name, { dtype, ...weight }])),
        SETTINGS,
      ),
      'model.safetensors',
    ),
  );

const mixture = (seed: number): Stored => named(weightsOf(MIXTURE, seed), MIXTRAL);

const tuned = (stored: Stored, share: number): Stored => {
  const random = seededRandom(2, 'tuned');
  return Object.fromEntries(
    Object.entries(stored).map(([name, { shape, values }]) => [
      name,
      { shape, values: values.map((value) => value + share * (random.unit() - 0.5)) },
    ]),
  );
};

async function permuted(stored: Stored): Promise<Stored> {
  let current = stored;
  const { groups } = await canonicalise(await opened(stored, 'F64'), { settings: true });
  for (const group of groups) {
    const canonical = await canonicalise(await opened(current, 'F64'), { settings: true });
    const changes = await permuteGroup(canonical, group, randomPermutation(group.size, seededRandom(3, group.label)));
    current = Object.fromEntries(
      Object.entries(current).map(([name, weight]) => [
        name,
        { ...weight, values: changes.get(name) ?? weight.values },
      ]),
    );
  }
  return current;
}

async function compared(a: Stored, b: Stored, dtype: DType = 'F32') {
  return compareSubjects(await subjectOfModel(await opened(a), 'a'), await subjectOfModel(await opened(b, dtype), 'b'));
}

test('a fine-tuned copy in half precision is related, by every level', async () => {
  const found = await compared(mixture(1), tuned(mixture(1), 0.2), 'F16');
  assert.equal(found.verdict, 'related');
  assert.ok(found.log10p! < -40, String(found.log10p));
  assert.equal(found.scope.related, 1);
  const hit = new Set(
    (found.lines[0]!.detail!.groups as { label: string; hits: number; units: number }[])
      .filter(({ hits, units }) => hits === units)
      .map(({ label }) => label.replace(/^.*?\d\.|\d+| \(.*$/g, '').trim()),
  );
  for (const level of ['residual stream', 'key and value heads', 'value dimensions of head']) {
    assert.ok(
      [...hit].some((one) => one.includes(level)),
      `${level} in ${[...hit].join(', ')}`,
    );
  }
});

test('an independent model is no copy', async () => {
  const found = await compared(mixture(1), mixture(2));
  assert.notEqual(found.verdict, 'related');
  assert.ok(found.log10p! > -3);
});

test('a copy permuted at every level looks like a permuted copy, and is no proof without a release', async () => {
  const found = await compared(mixture(1), await permuted(mixture(1)));
  assert.equal(found.verdict, 'inconclusive');
  assert.match(found.reason, /permuted copy/);
  assert.deepEqual(
    found.tweaks.map(({ kind }) => kind),
    ['permuted'],
  );
});

test('hub file against GGUF: every tensor has its counterpart, whatever was fused or turned', async () => {
  const folder = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../vectors/formats/good/transformers');
  for (const name of ['mixtral', 'gpt2', 'falcon', 'neox', 'bloom']) {
    const found = await compareFiles(path.join(folder, name, 'model.safetensors'), path.join(folder, `${name}.gguf`));
    assert.equal(found.verdict, 'related', `${name}: ${found.reason}`);
    // Vectors of fewer than 16 values say nothing by themselves.
    assert.ok(found.scope.related > 0.98, `${name}: ${found.scope.related}`);
  }
});
