import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { memorySource } from '../base/index.js';
import { buildOnnx, buildSafetensors, openModel, roundTo, writeModel } from './index.js';
import { wire } from './protobuf.js';
import { inTemporaryFolder, readAll, realModels, refusal, vector } from './testing/files.js';

const copyOf = async (file: string, changes: ReadonlyMap<string, Float64Array>, out: string): Promise<void> => {
  const model = await openModel(file);
  try {
    await writeModel(model, changes, out);
  } finally {
    await model.close();
  }
};

test('a copy without changes is the original, byte for byte, in every format and with every part', () =>
  inTemporaryFolder(async (folder) => {
    const single = ['forms.onnx', 'subgraphs.onnx', 'types.safetensors'].map((name) => vector(`good/${name}`));
    for (const file of [...single, ...realModels()]) {
      const out = path.join(folder, 'copy');
      await copyOf(file, new Map(), out);
      assert.ok((await readFile(out)).equals(await readFile(file)), file);
    }
    await copyOf(vector('good/external.onnx'), new Map(), path.join(folder, 'ext/model.onnx'));
    assert.deepEqual((await readdir(path.join(folder, 'ext'))).sort(), ['external.bin', 'model.onnx']);
    assert.ok(
      (await readFile(path.join(folder, 'ext/external.bin'))).equals(await readFile(vector('good/external.bin'))),
    );
    await copyOf(vector('good/sharded'), new Map(), path.join(folder, 'sh/model.safetensors.index.json'));
    for (const name of await readdir(vector('good/sharded'))) {
      const copied = await readFile(path.join(folder, 'sh', name));
      assert.ok(copied.equals(await readFile(vector(`good/sharded/${name}`))), name);
    }
  }));

for (const [file, out] of [
  ['forms.onnx', 'copy.onnx'],
  ['subgraphs.onnx', 'copy.onnx'],
  ['external.onnx', 'copy.onnx'],
  ['types.safetensors', 'copy.safetensors'],
  ['sharded', 'model.safetensors.index.json'],
] as const) {
  test(`${file}: changed tensors come back rounded to their type, all others as they were`, () =>
    inTemporaryFolder(async (folder) => {
      const model = await openModel(vector(`good/${file}`));
      const before = await readAll(model);
      const changes = new Map<string, Float64Array>();
      for (const [i, tensor] of [...model.tensors.values()].entries()) {
        if (i % 2 === 0 && tensor.writable)
          changes.set(
            tensor.name,
            before.get(tensor.name)!.map((_, k) => Math.sin(k + i) * 9),
          );
      }
      assert.ok(changes.size > 0);
      await writeModel(model, changes, path.join(folder, out));
      const copy = await openModel(path.join(folder, out));
      for (const [name, values] of await readAll(copy)) {
        const { dtype } = copy.tensors.get(name)!;
        const integer = !dtype.startsWith('F') && dtype !== 'BF16';
        const wanted =
          changes.get(name)?.map((value) => roundTo(dtype, value) + (integer ? 0 : -0)) ?? before.get(name)!;
        assert.deepEqual(values, wanted, name);
      }
      await copy.close();
      await model.close();
    }));
}

test('values given piece by piece are the values given at once, 4-bit types and split fields included', () =>
  inTemporaryFolder(async (folder) => {
    const elements = 2 ** 21 + 3;
    const values = (start: number, end: number) =>
      Float64Array.from({ length: end - start }, (_, i) => (start + i) % 7);
    for (const dtype of ['F64', 'F16', 'U4'] as const) {
      const file = path.join(folder, `${dtype}.safetensors`);
      await writeFile(file, buildSafetensors({ w: { dtype, shape: [elements], values: new Float64Array(elements) } }));
      const model = await openModel(file);
      const calls: number[] = [];
      const pieces = async (start: number, end: number) => {
        calls.push(end - start);
        return values(start, end);
      };
      await writeModel(model, new Map([['w', pieces]]), path.join(folder, 'pieces'));
      await writeModel(model, new Map([['w', values(0, elements)]]), path.join(folder, 'whole'));
      assert.ok(
        (await readFile(path.join(folder, 'pieces'))).equals(await readFile(path.join(folder, 'whole'))),
        dtype,
      );
      const copy = await openModel(path.join(folder, 'pieces'));
      assert.deepEqual(await copy.tensors.get('w')!.read(elements - 5, elements), values(elements - 5, elements));
      await copy.close();
      await model.close();
    }
  }));

/** A model whose float_data is split into runs, one of them a lone value. */
const splitFloats = (): Uint8Array =>
  Buffer.concat([
    wire.integer(1, 8),
    wire.message(
      7,
      wire.message(
        5,
        wire.integer(1, 3),
        wire.integer(2, 1),
        wire.message(4, new Uint8Array(Float32Array.of(1, 2).buffer)),
        wire.text(8, 'w'),
        wire.float(4, 3),
      ),
    ),
    wire.message(8, wire.text(1, ''), wire.integer(2, 17)),
  ]);

test('float_data in several runs is read and written in place', () =>
  inTemporaryFolder(async (folder) => {
    const model = await openModel(memorySource(splitFloats(), path.join(folder, 'split.onnx')));
    assert.deepEqual(await model.tensors.get('w')!.read(1, 3), Float64Array.of(2, 3));
    await writeModel(model, new Map([['w', Float64Array.of(4, 5, 6)]]), path.join(folder, 'out.onnx'));
    const copy = await openModel(path.join(folder, 'out.onnx'));
    assert.deepEqual(await copy.tensors.get('w')!.read(0, 3), Float64Array.of(4, 5, 6));
    await copy.close();
  }));

test('a failure at any point leaves nothing behind and the old file as it was', () =>
  inTemporaryFolder(async (folder) => {
    const out = path.join(folder, 'model.safetensors.index.json');
    await writeFile(out, 'old');
    const model = await openModel(vector('good/sharded'));
    const fails = async (): Promise<Float64Array> => {
      throw new Error('the disk is gone');
    };
    await assert.rejects(writeModel(model, new Map([['b.weight', fails]]), out), /the disk is gone/);
    const short = async () => new Float64Array(1);
    await assert.rejects(writeModel(model, new Map([['a.weight', short]]), out), refusal('WRITE_SIZE'));
    await assert.rejects(writeModel(model, new Map([['a.weight', new Float64Array(1)]]), out), refusal('WRITE_SIZE'));
    await assert.rejects(writeModel(model, new Map([['nobody', fails]]), out), refusal('WRITE_UNKNOWN_TENSOR'));
    assert.deepEqual(await readdir(folder), ['model.safetensors.index.json']);
    assert.equal(await readFile(out, 'utf8'), 'old');
    await model.close();
  }));

test('neither the original nor a stranger’s file is overwritten', () =>
  inTemporaryFolder(async (folder) => {
    const file = path.join(folder, 'net.safetensors');
    const bytes = buildSafetensors({ w: { dtype: 'F32', shape: [1], values: [1] } });
    await writeFile(file, bytes);
    await symlink(folder, path.join(folder, 'alias'));
    for (const out of [file, path.join(folder, 'alias', 'net.safetensors')]) {
      await assert.rejects(copyOf(file, new Map(), out), refusal('WRITE_OVER_ORIGINAL'));
    }
    assert.ok((await readFile(file)).equals(bytes));
    await mkdir(path.join(folder, 'other'));
    await writeFile(path.join(folder, 'other/external.bin'), 'theirs');
    const out = path.join(folder, 'other/copy.onnx');
    await assert.rejects(copyOf(vector('good/external.onnx'), new Map(), out), refusal('WRITE_EXISTS'));
    assert.equal(await readFile(path.join(folder, 'other/external.bin'), 'utf8'), 'theirs');
    assert.deepEqual(await readdir(path.join(folder, 'other')), ['external.bin']);
  }));

test('the part keeps the name by which the model refers to it, also where that is a link', () =>
  inTemporaryFolder(async (folder) => {
    await mkdir(path.join(folder, 'in'));
    await writeFile(path.join(folder, 'in/blob'), await readFile(vector('good/external.bin')));
    await writeFile(path.join(folder, 'in/m.onnx'), await readFile(vector('good/external.onnx')));
    await symlink('blob', path.join(folder, 'in/external.bin'));
    await symlink('in', path.join(folder, 'door'));
    await copyOf(path.join(folder, 'door/m.onnx'), new Map(), path.join(folder, 'out/m.onnx'));
    assert.deepEqual((await readdir(path.join(folder, 'out'))).sort(), ['external.bin', 'm.onnx']);
  }));

const external = (name: string, location: string, offset: number): Uint8Array =>
  wire.message(
    5,
    wire.integer(1, 2),
    wire.integer(2, 1),
    wire.text(8, name),
    wire.message(13, wire.text(1, 'location'), wire.text(2, location)),
    wire.message(13, wire.text(1, 'offset'), wire.text(2, String(offset))),
    wire.integer(14, 1),
  );
const withTensors = (...tensors: readonly Uint8Array[]): Uint8Array =>
  Buffer.concat([
    wire.integer(1, 8),
    wire.message(7, ...tensors),
    wire.message(8, wire.text(1, ''), wire.integer(2, 17)),
  ]);

test('tied tensors that share bytes cannot be changed one without the other; one file under two spellings stays one', () =>
  inTemporaryFolder(async (folder) => {
    await writeFile(path.join(folder, 'w.bin'), Buffer.from(Float32Array.of(1, 2, 3, 4).buffer));
    const main = path.join(folder, 'm.onnx');
    await writeFile(
      main,
      withTensors(external('a', 'w.bin', 0), external('b', './w.bin', 4), external('c', 'w.bin', 8)),
    );
    const out = path.join(folder, 'out/m.onnx');
    const change = new Map([['a', Float64Array.of(8, 9)]]);
    await assert.rejects(copyOf(main, change, out), refusal('WRITE_OVERLAP', { got: /a and b/ }));
    await writeFile(main, withTensors(external('a', 'w.bin', 0), external('c', './w.bin', 8)));
    await copyOf(main, new Map([...change, ['c', Float64Array.of(6, 7)]]), out);
    const written = await readFile(path.join(folder, 'out/w.bin'));
    assert.deepEqual([...new Float32Array(new Uint8Array(written).buffer)], [8, 9, 6, 7]);
  }));

test('onnxruntime opens what is built and written, and predicts with the new values', async (t) => {
  const runtime = await import('onnxruntime-node').catch(() => null);
  if (runtime === null) return t.skip('onnxruntime-node is not installed');
  await inTemporaryFolder(async (folder) => {
    const tensor = (data: number[], shape: number[]) => new runtime.Tensor('float32', Float32Array.from(data), shape);
    const predict = async (file: string, feeds: Record<string, InstanceType<typeof runtime.Tensor>>) => {
      const session = await runtime.InferenceSession.create(file, { logSeverityLevel: 3 });
      const { y } = await session.run(feeds);
      await session.release();
      return [...(y!.data as Float32Array)];
    };
    const io = { dtype: 'F32', shape: ['n', 2] } as const;
    const built = buildOnnx({
      graph: {
        name: 'g',
        inputs: [{ name: 'x', ...io }],
        outputs: [{ name: 'y', ...io }],
        nodes: [
          { op: 'MatMul', inputs: ['x', 'w'], outputs: ['h'] },
          { op: 'LeakyRelu', inputs: ['h'], outputs: ['y'], attributes: { alpha: { float: 0.5 } } },
        ],
        initialisers: [{ name: 'w', dtype: 'F32', shape: [2, 2], values: [1, 2, 3, 4] }],
      },
    });
    const file = path.join(folder, 'built.onnx');
    await writeFile(file, built);
    assert.deepEqual(await predict(file, { x: tensor([1, -1], [1, 2]) }), [-1, -1]);
    const changed = path.join(folder, 'changed.onnx');
    await copyOf(file, new Map([['w', Float64Array.of(5, 6, 1, 2)]]), changed);
    assert.deepEqual(await predict(changed, { x: tensor([1, -1], [1, 2]) }), [4, 4]);

    const branches = path.join(folder, 'branches.onnx');
    await copyOf(vector('good/subgraphs.onnx'), new Map([['outer/else_branch/w', Float64Array.of(-1, -2)]]), branches);
    const cond = (value: boolean) => new runtime.Tensor('bool', [value], []);
    assert.deepEqual(await predict(branches, { cond: cond(false) }), [-1, -2]);
    assert.deepEqual(await predict(branches, { cond: cond(true) }), [1, 2]);

    const parts = path.join(folder, 'parts/m.onnx');
    const identity = Float64Array.from({ length: 64 }, (_, i) => (i % 17 === 0 && i < 64 ? 1 : 0));
    const half = Float64Array.from({ length: 64 }, (_, i) => (i % 5 === 0 && i < 16 ? 0.5 : 0));
    await copyOf(
      vector('good/external.onnx'),
      new Map([
        ['w1', identity],
        ['w2', half],
      ]),
      parts,
    );
    assert.deepEqual(await predict(parts, { x: tensor([2, 4, 6, 8], [1, 4]) }), [1, 2, 3, 4]);
    await predict(vector('good/forms.onnx'), { x: tensor([0, 0, 0, 0], [1, 4]) });
  });
});
