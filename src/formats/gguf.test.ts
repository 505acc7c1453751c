/** GGUF files written by the `gguf` library for Python: tensors as that library dequantises them; hostile ones refused. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { copyFile, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { memorySource } from '../base/index.js';
import { openModel, writeModel } from './index.js';
import { inTemporaryFolder, refusal, vector } from './testing/files.js';
import { MUTANTS, openedApart, refusalOf, refuseEveryCut, surviveMutants } from './testing/mutants.js';

interface ExpectedTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly packed: string | null;
  /** Little-endian float32 in base64, or numbers. */
  readonly f32?: string;
  readonly values?: readonly number[];
}
const expected = JSON.parse(readFileSync(vector('expected-gguf.json'), 'utf8')) as Record<
  string,
  Record<string, ExpectedTensor>
>;
const good = (file: string): string => vector(`good/gguf/${file}`);

function numbersOf({ f32, values }: ExpectedTensor): Float64Array {
  if (values !== undefined) return Float64Array.from(values);
  const bytes = Uint8Array.from(Buffer.from(f32!, 'base64'));
  return Float64Array.from(new Float32Array(bytes.buffer));
}

for (const file of Object.keys(expected).filter((name) => !name.startsWith('split'))) {
  test(`${file}: names, types, shapes and values, bit for bit, are those of the library`, async () => {
    const model = await openModel(good(file));
    assert.equal(model.format, 'gguf');
    assert.deepEqual([...model.tensors.keys()].sort(), Object.keys(expected[file]!).sort());
    for (const [name, wanted] of Object.entries(expected[file]!)) {
      const tensor = model.tensors.get(name)!;
      assert.deepEqual([tensor.dtype, tensor.shape], [wanted.dtype, wanted.shape], name);
      assert.equal(tensor.packed?.as ?? null, wanted.packed, name);
      // deepEqual tells −0 from 0.
      assert.deepEqual(await tensor.read(0, tensor.elements), numbersOf(wanted), name);
    }
    await model.close();
  });
}

test('every file of the vectors is expected', () => {
  assert.deepEqual(readdirSync(vector('good/gguf')).sort(), Object.keys(expected).sort());
});

for (const file of ['small-blocks.gguf', 'large-blocks.gguf']) {
  test(`${file}: any part of a tensor is that part of the whole, and costs only its blocks`, async () => {
    const model = await openModel(good(file));
    for (const { name, elements, read, packed } of model.tensors.values()) {
      const whole = await read(0, elements);
      const range = fc.tuple(fc.nat(elements), fc.nat(elements));
      await fc.assert(
        fc.asyncProperty(range, async ([x, y]) => {
          const [start, end] = x < y ? [x, y] : [y, x];
          const before = model.bytesRead;
          assert.deepEqual(await read(start, end), whole.slice(start, end), name);
          // At most one block more than the part fills.
          const most = ((end - start + 2 * 256) * packed!.bits) / 8;
          assert.ok(model.bytesRead - before <= most, `${model.bytesRead - before} bytes for ${end - start}`);
        }),
        { seed: 7, numRuns: 60 },
      );
    }
    await model.close();
  });
}

test('metadata: each type as text, short lists whole, long ones by their length', async () => {
  const model = await openModel(good('types.gguf'));
  assert.deepEqual(Object.fromEntries(model.metadata), {
    'general.architecture': 'llama',
    'a.uint8': '200',
    'a.int8': '-100',
    'a.uint16': '60000',
    'a.int16': '-30000',
    'a.uint32': '4000000000',
    'a.int32': '-2000000000',
    'a.float32': '0.5',
    'a.uint64': '9223372036854775809',
    'a.int64': '-9223372036854775808',
    'a.float64': '0.1',
    'a.bool': 'true',
    'a.string': 'ü✓',
    'list.short': '[1, -2, 3]',
    'list.words': '["a", "ü\\"", ""]',
    'list.flags': '[true, false]',
    'list.long': '[3000 × string]',
    'list.scores': '[5000 × float32]',
    'general.alignment': '64',
  });
  await model.close();
});

test('the version before, of the same layout, is read', async () => {
  const bytes = await readFile(good('quantised.gguf'));
  bytes[4] = 2;
  const model = await openModel(memorySource(bytes));
  assert.deepEqual([...model.tensors.keys()], ['Q4_0', 'Q4_1', 'Q5_0', 'Q5_1', 'Q8_0']);
});

test('a split model is read whole from any of its parts, and only with all of them', () =>
  inTemporaryFolder(async (folder) => {
    const names = ['split-00001-of-00002.gguf', 'split-00002-of-00002.gguf'] as const;
    for (const name of names) {
      const model = await openModel(good(name));
      assert.deepEqual([...model.tensors.keys()].sort(), ['part.0', 'part.1']);
      for (const part of names) {
        for (const [tensor, wanted] of Object.entries(expected[part]!)) {
          assert.deepEqual(await model.tensors.get(tensor)!.read(0, 8), numbersOf(wanted));
        }
      }
      await model.close();
    }
    const at = (name: string): string => path.join(folder, name);
    await copyFile(good(names[0]), at(names[0]));
    await assert.rejects(openModel(at(names[0])), refusal('MODEL_PART_MISSING'));
    await copyFile(good(names[0]), at(names[1]));
    await assert.rejects(openModel(at(names[0])), refusal('GGUF_SPLIT', { got: /part 0 of 2/ }));
    await assert.rejects(openModel(at(names[1])), refusal('GGUF_SPLIT'));
    await copyFile(good(names[1]), at(names[1]));
    const folded = await openModel(folder);
    assert.equal(folded.tensors.size, 2);
    await folded.close();
  }));

test('a copy with changed float values opens in place of the original', () =>
  inTemporaryFolder(async (folder) => {
    const out = path.join(folder, 'changed.gguf');
    const model = await openModel(good('types.gguf'));
    await writeModel(model, new Map([['plain.F16', new Float64Array(30).fill(0.25)]]), out);
    const copy = await openModel(out);
    assert.deepEqual(await copy.tensors.get('plain.F16')!.read(0, 30), new Float64Array(30).fill(0.25));
    assert.deepEqual(
      await copy.tensors.get('plain.F64')!.read(0, 30),
      await model.tensors.get('plain.F64')!.read(0, 30),
    );
    await copy.close();
    await model.close();
  }));

test('codes of blocks are written under their own scales: the nearest code, clamped, and every other bit as it was', () =>
  inTemporaryFolder(async (folder) => {
    for (const name of ['small-blocks.gguf', 'large-blocks.gguf']) {
      const model = await openModel(good(name));
      const out = path.join(folder, name);
      const written = [...model.tensors.values()].filter(({ writable }) => writable);
      const types = written.map(({ packed }) => packed!.as).sort();
      assert.deepEqual(
        types,
        name === 'small-blocks.gguf' ? ['Q4_0', 'Q4_1', 'Q5_0', 'Q5_1', 'Q8_0'] : ['Q4_K', 'Q5_K', 'Q6_K'],
      );
      const same = new Map<string, Float64Array>();
      const moved = new Map<string, Float64Array>();
      for (const tensor of written) {
        const values = await tensor.read(0, tensor.elements);
        const steps = await tensor.steps!(0, tensor.elements);
        same.set(tensor.name, values);
        moved.set(
          tensor.name,
          Float64Array.from(values, (value, k) => value + ((k % 3) - 1) * 1.3 * steps[k]!),
        );
      }
      await writeModel(model, same, out);
      assert.ok((await readFile(good(name))).equals(await readFile(out)), 'unchanged values change no bit');
      await rm(out);
      await writeModel(model, moved, out);
      const copy = await openModel(out);
      for (const tensor of model.tensors.values()) {
        const before = await tensor.read(0, tensor.elements);
        const after = await copy.tensors.get(tensor.name)!.read(0, tensor.elements);
        const wanted = moved.get(tensor.name);
        if (wanted === undefined) {
          assert.deepEqual(after, before);
          continue;
        }
        const steps = await tensor.steps!(0, tensor.elements);
        let on = 0;
        for (let k = 0; k < before.length; k++) {
          // One step further, or as far as the codes go; values are float32, coarse beside a small step.
          const moved = (after[k]! - before[k]!) / steps[k]!;
          const asked = (k % 3) - 1;
          const loose = 1e-3 + (Math.abs(before[k]!) * 2 ** -22) / steps[k]!;
          const near = Math.abs(moved - asked) < loose;
          assert.ok(steps[k] === 0 || near || Math.abs(moved) < loose, `${tensor.name} ${k}: ${moved} for ${asked}`);
          if (near) on++;
        }
        assert.ok(on > 0.8 * before.length, `${tensor.name}: ${on} of ${before.length}`);
      }
      await copy.close();
      await model.close();
    }
  }));

test('of 20 GB only the header and the rows asked for are read', () =>
  inTemporaryFolder(async (folder) => {
    const file = path.join(folder, 'big.gguf');
    const u64 = (value: number): Buffer => {
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64LE(BigInt(value));
      return bytes;
    };
    const rows = 9_000_000;
    const head = Buffer.concat([
      Buffer.from('GGUF\x03\0\0\0', 'latin1'),
      u64(1),
      u64(0),
      u64(1),
      Buffer.from('w\x02\0\0\0', 'latin1'),
      u64(4096),
      u64(rows),
      Buffer.from([12, 0, 0, 0]),
      u64(0),
    ]);
    const dataStart = Math.ceil(head.length / 32) * 32;
    await writeFile(file, head);
    await truncate(file, dataStart + rows * 16 * 144);
    const model = await openModel(file);
    const tensor = model.tensors.get('w')!;
    assert.deepEqual(tensor.shape, [rows, 4096]);
    assert.deepEqual(await tensor.read(tensor.elements - 4096, tensor.elements), new Float64Array(4096));
    assert.ok(model.bytesRead < 32 * 1024, String(model.bytesRead));
    await assert.rejects(tensor.read(0, tensor.elements), refusal('TENSOR_READ_TOO_LARGE'));
    await model.close();
  }));

test('heads made to take long are refused in two seconds and little memory', () =>
  inTemporaryFolder(async (folder) => {
    const u32 = (value: number): Buffer => Buffer.from(Uint32Array.of(value).buffer);
    const u64 = (value: number): Buffer => Buffer.concat([u32(value), u32(0)]);
    const text = (value: string): Buffer => Buffer.concat([u64(value.length), Buffer.from(value)]);
    const head = (tensors: number, keys: number, ...rest: readonly Buffer[]): Buffer =>
      Buffer.concat([Buffer.from('GGUF'), u32(3), u64(tensors), u64(keys), ...rest]);
    const texts = (count: number): Buffer =>
      Buffer.concat([text('a'), u32(9), u32(8), u64(count), Buffer.alloc(8 * count)]);
    const key = (i: number): Buffer => Buffer.concat([text(`k${i}`), u32(7), Buffer.of(1)]);
    const many = (count: number, make: (i: number) => Buffer): Buffer =>
      Buffer.concat(Array.from({ length: count }, (_, i) => make(i)));
    const info = (i: number): Buffer => Buffer.concat([text(`tensor ${i}`), u32(1), u64(8), u32(0), u64(32 * i)]);
    const files: Readonly<Record<string, readonly [string, Buffer]>> = {
      texts: ['MODEL_NO_TENSORS', head(0, 1, texts(4_000_000))],
      'more texts': ['GGUF_TOO_MANY', head(0, 1, texts(4_000_001))],
      keys: ['GGUF_TRUNCATED', head(0, 65_536, many(65_535, key))],
      tensors: ['GGUF_TRUNCATED', head(150_000, 0, many(150_000, info))],
    };
    for (const [name, [, bytes]] of Object.entries(files)) await writeFile(path.join(folder, name), bytes);
    const found = await openedApart(Object.keys(files).map((name) => path.join(folder, name)));
    for (const [i, [name, [code]]] of Object.entries(files).entries()) {
      assert.equal(found[i]!.code, code, name);
      assert.ok(found[i]!.milliseconds < 2000, `${name}: ${found[i]!.milliseconds} ms`);
      assert.ok(found[i]!.peak < 512, `${name}: ${found[i]!.peak} MiB`);
    }
  }));

const bad = JSON.parse(readFileSync(vector('bad/expected-gguf.json'), 'utf8')) as Record<string, string>;

for (const [file, code] of Object.entries(bad)) {
  test(`${file} is refused: ${code}`, async () => {
    const error = await refusalOf(vector(`bad/${file}`));
    assert.equal(error?.code, code, error?.message);
    assert.ok(error?.facts.where, 'a place is given');
  });
}

test('every bad GGUF file is expected', () => {
  const files = readdirSync(vector('bad')).filter((name) => name.endsWith('.gguf'));
  assert.deepEqual(files.sort(), Object.keys(bad).sort());
});

const CODES = /^(GGUF|MODEL|UTF8|TENSOR|ONNX)_[A-Z0-9_]+$/;

for (const file of ['types.gguf', 'small-blocks.gguf', 'large-blocks.gguf', 'split-00001-of-00002.gguf']) {
  test(`${file}: mutants give a model or a coded refusal, in bounded time and memory`, async () => {
    const refused = await surviveMutants(await readFile(good(file)), file, { codes: CODES });
    assert.ok(refused > MUTANTS / 10, `${refused} of ${MUTANTS} refused`);
  });
}

test('small-blocks.gguf, cut short at any byte before the last padding, is refused', async () => {
  const bytes = await readFile(good('small-blocks.gguf'));
  // 204 bytes of Q8_0 end 20 before the next multiple of 32.
  await refuseEveryCut(bytes.subarray(0, 1164), 'm.gguf');
});
