/** PyTorch and NumPy files, written by the libraries themselves: tensors as those libraries read them. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { memorySource } from '../base/index.js';
import { BITS, type Model, openModel } from './index.js';
import { isStoredTensor, type StoredTensor } from './stored-tensor.js';
import { type Expected, expectedIn, vector } from './testing/files.js';

const expected = JSON.parse(readFileSync(vector('expected-pytorch.json'), 'utf8')) as Expected;
const pathOf = (file: string): string => vector(`good/${/\.np[yz]$/.test(file) ? 'numpy' : 'pytorch'}/${file}`);

const tensorsOf = (model: Model) => [...model.tensors.values()].filter(({ dtype }) => dtype !== 'STRING');

for (const file of Object.keys(expected)) {
  test(`${file}: names, types, shapes and values are those that the library reads`, async () => {
    const model = await openModel(pathOf(file));
    const wanted = expectedIn(file, expected);
    assert.deepEqual(
      tensorsOf(model)
        .map(({ name }) => name)
        .sort(),
      [...wanted.keys()].sort(),
    );
    for (const { name, dtype, shape, elements, read } of tensorsOf(model)) {
      const { numbers, ...facts } = wanted.get(name)!;
      assert.deepEqual([dtype, shape], [facts.dtype, facts.shape], name);
      assert.deepEqual(await read(0, elements), numbers, name);
    }
    await model.close();
  });
}

test('every file of the vectors is expected, and every expectation has its file', () => {
  const files = ['pytorch', 'numpy'].flatMap((folder) => readdirSync(vector(`good/${folder}`)));
  assert.deepEqual(files.sort(), Object.keys(expected).sort());
});

for (const file of ['views.pt', 'views-legacy.pth', 'arrays.npz', 'compressed.npz']) {
  test(`${file}: any part of any tensor is the same part of the whole`, async () => {
    const model = await openModel(pathOf(file));
    const wanted = expectedIn(file, expected);
    const part = fc.tuple(fc.constantFrom(...tensorsOf(model)), fc.nat(1000), fc.nat(1000));
    await fc.assert(
      fc.asyncProperty(part, async ([tensor, x, y]) => {
        const start = Math.min(x % (tensor.elements + 1), y % (tensor.elements + 1));
        const end = Math.max(x % (tensor.elements + 1), y % (tensor.elements + 1));
        assert.deepEqual(await tensor.read(start, end), wanted.get(tensor.name)!.numbers.slice(start, end));
      }),
      { seed: 11, numRuns: 300 },
    );
    await model.close();
  });
}

const stretchOf = (model: Model, name: string): unknown => {
  const tensor = model.tensors.get(name)!;
  assert.ok(isStoredTensor(tensor) && tensor.storage.kind === 'bytes', name);
  return ((tensor as StoredTensor).storage as { stretches: readonly { offset: number }[] }).stretches[0]!.offset;
};

test('tied tensors lie at one place', async () => {
  for (const [file, one, other] of [
    ['views.pt', 'table', 'tied'],
    ['views-legacy.pth', 'table', 'tied'],
    ['checkpoint.pt', 'model.embed.weight', 'model.head.weight'],
    ['scripted.pt', 'embed.weight', 'head.weight'],
  ] as const) {
    const model = await openModel(pathOf(file));
    assert.equal(stretchOf(model, one), stretchOf(model, other), file);
    await model.close();
  }
});

test('formats are named, and settings beside the weights are kept as text', async () => {
  const formats = {
    'types.pt': 'pytorch',
    'types-legacy.pth': 'pytorch',
    'traced.pt': 'torchscript',
    'one.npy': 'numpy',
  };
  for (const [file, format] of Object.entries(formats)) {
    const model = await openModel(pathOf(file));
    assert.equal(model.format, format);
    await model.close();
  }
  const model = await openModel(pathOf('checkpoint.pt'));
  const kept = ['epoch', 'best', 'tag', 'args.lr', 'args.sizes.1', 'optimizer.param_groups.0.lr'];
  assert.deepEqual(
    kept.map((name) => model.metadata.get(name)),
    ['3', '0.25', 'ü', '0.1', '4', '0.001'],
  );
  await model.close();
});

test('of a stored tensor only the part asked for is read, and its local header once', async () => {
  const cases = [
    ['views.pt', 'base', 30 + 'views/data/0'.length],
    ['views-legacy.pth', 'base', 0],
    ['arrays.npz', 'f4', 0],
    ['version2.npy', 'arr_0', 0],
  ] as const;
  for (const [file, name, header] of cases) {
    const model = await openModel(pathOf(file));
    const before = model.bytesRead;
    const tensor = model.tensors.get(name)!;
    await tensor.read(2, 5);
    assert.equal(model.bytesRead - before, header + 3 * (BITS[tensor.dtype as 'F32'] / 8), file);
    await tensor.read(0, 1);
    assert.equal(model.bytesRead - before, header + 4 * (BITS[tensor.dtype as 'F32'] / 8), file);
    await model.close();
  }
});

/** torch.save's older form, as a machine of the other byte order writes it. */
test('older files of big-endian machines are read', async () => {
  const legacy = readFileSync(pathOf('views-legacy.pth'));
  const at = legacy.indexOf(Buffer.from('little_endian')) + 'little_endian'.length;
  const flag = legacy.indexOf(0x88, at);
  const swappedFlag = Buffer.from(legacy);
  swappedFlag[flag] = 0x89;
  const model = await openModel(memorySource(swappedFlag));
  const wanted = expectedIn('views-legacy.pth', expected).get('scalar')!.numbers;
  const stored = Buffer.alloc(4);
  stored.writeFloatLE(wanted[0]!);
  assert.deepEqual(await model.tensors.get('scalar')!.read(0, 1), Float64Array.of(stored.readFloatBE()));
});

test('only what can be changed in place is writable', async () => {
  const writable = async (file: string): Promise<readonly string[]> => {
    const model = await openModel(pathOf(file));
    await model.close();
    return [...model.tensors.values()].filter((tensor) => tensor.writable).map(({ name }) => name);
  };
  assert.deepEqual(await writable('version2.npy'), ['arr_0']);
  const legacy = await writable('views-legacy.pth');
  // Of the others some share a storage with a view that a change would reach unasked.
  assert.deepEqual(legacy, ['empty', 'scalar', 'specials']);
  // Fortran order.
  assert.deepEqual(await writable('one.npy'), []);
});
