/** Bad input: only coded refusals come out, with the place, and memory stays bounded. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { MunimentError, memorySource } from '../base/index.js';
import { scriptWords } from '../base/testing/script.js';
import { buildSafetensors, openModel } from './index.js';
import { wire } from './protobuf.js';
import { inTemporaryFolder, readAll, refusal, vector } from './testing/files.js';
import { MUTANTS } from './testing/mutants.js';

const FILES = ['forms.onnx', 'subgraphs.onnx', 'types.safetensors'] as const;

/** Opens and reads everything: true if all could be read, false after a refusal that has a code, and a message. */
async function survives(bytes: Uint8Array, name: string): Promise<boolean> {
  try {
    const model = await openModel(memorySource(bytes, name));
    await readAll(model);
    return true;
  } catch (error) {
    if (!(error instanceof MunimentError) || error.kind !== 'input') throw error;
    assert.match(error.code, /^(ONNX|SAFETENSORS|MODEL|JSON|UTF8|TENSOR)_[A-Z0-9_]+$/);
    return false;
  }
}

for (const name of FILES) {
  test(`${name}: cut short at any byte it is refused`, async () => {
    const bytes = await readFile(vector(`good/${name}`));
    assert.ok(await survives(bytes, name));
    for (let length = 0; length < bytes.length; length++) {
      assert.ok(!(await survives(bytes.subarray(0, length), name)), `${length} of ${bytes.length} bytes`);
    }
  });

  test(`${name}: bytes changed at random give a model or a coded refusal, nothing else`, async () => {
    const original = await readFile(vector(`good/${name}`));
    let refused = 0;
    const change = fc.tuple(fc.nat(original.length - 1), fc.integer({ min: 1, max: 255 }));
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
        const bytes = Uint8Array.from(original);
        for (const [at, by] of changes) bytes[at]! ^= by;
        if (!(await survives(bytes, name))) refused++;
      }),
      { seed: 3, numRuns: MUTANTS },
    );
    assert.ok(refused > MUTANTS / 25, `${refused} of ${MUTANTS} refused`);
  });
}

test('random bytes are refused under any name', async () => {
  const names = fc.constantFrom('m', 'm.onnx', 'm.safetensors', 'm.safetensors.index.json');
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), names, async (bytes, name) => {
      assert.ok(!(await survives(bytes, name)));
    }),
    { seed: 5, numRuns: 2000 },
  );
});

const safetensors = (header: string, data = 0): Uint8Array => {
  const bytes = Buffer.alloc(8 + Buffer.byteLength(header) + data);
  bytes.writeBigUInt64LE(BigInt(Buffer.byteLength(header)));
  bytes.write(header, 8);
  return bytes;
};
const entry = (shape: readonly number[], offsets: readonly number[], dtype = 'F32'): string =>
  JSON.stringify({ dtype, shape, data_offsets: offsets });

test('safetensors: every lie of a header has its refusal, with the place', async () => {
  const cases: readonly (readonly [string, Uint8Array, string, RegExp?])[] = [
    ['10^9 × 10^9', safetensors(`{"w":${entry([1e9, 1e9], [0, 4])}}`, 4), 'SAFETENSORS_SHAPE', /byte \d+/],
    ['10^9 × 10^6', safetensors(`{"w":${entry([1e9, 1e6], [0, 4])}}`, 4), 'SAFETENSORS_SIZE', /byte \d+/],
    ['negative', safetensors(`{"w":${entry([-1], [0, 4])}}`, 4), 'SAFETENSORS_SHAPE'],
    ['fraction', safetensors(`{"w":${entry([0.5], [0, 4])}}`, 4), 'SAFETENSORS_SHAPE'],
    ['65 axes', safetensors(`{"w":${entry(new Array(65).fill(1), [0, 4])}}`, 4), 'SAFETENSORS_SHAPE'],
    ['beyond', safetensors(`{"w":${entry([2], [0, 8])}}`, 4), 'SAFETENSORS_TRUNCATED', /byte \d+/],
    ['backwards', safetensors(`{"w":${entry([1], [4, 0])}}`, 4), 'SAFETENSORS_ENTRY'],
    ['overlap', safetensors(`{"a":${entry([2], [0, 8])},"b":${entry([1], [4, 8])}}`, 8), 'SAFETENSORS_LAYOUT'],
    ['hole', safetensors(`{"a":${entry([1], [0, 4])},"b":${entry([1], [8, 12])}}`, 12), 'SAFETENSORS_LAYOUT', /byte/],
    ['tail', safetensors(`{"a":${entry([1], [0, 4])}}`, 5), 'SAFETENSORS_LAYOUT', /byte/],
    ['twice', safetensors(`{"a":${entry([1], [0, 4])},"a":${entry([1], [0, 4])}}`, 4), 'JSON_DUPLICATE_NAME'],
    ['type', safetensors(`{"a":${entry([1], [0, 4], 'F128')}}`, 4), 'SAFETENSORS_ENTRY'],
    ['metadata', safetensors(`{"__metadata__":{"a":1},"a":${entry([1], [0, 4])}}`, 4), 'SAFETENSORS_ENTRY'],
    ['space first', safetensors(` {"a":${entry([1], [0, 4])}}`, 4), 'SAFETENSORS_HEADER'],
    ['no tensor', safetensors('{}'), 'MODEL_NO_TENSORS'],
    ['no JSON', safetensors('{"a":'), 'JSON_INVALID', /byte 8/],
    ['deep', safetensors(`{"a":${'['.repeat(1000)}${']'.repeat(1000)}}`), 'JSON_TOO_DEEP'],
    ['header', Buffer.from('ffffffffffffff7f7b', 'hex'), 'SAFETENSORS_SIZE_RANGE'],
    ['long header', Buffer.from('00e1f50500000001', 'hex'), 'SAFETENSORS_SIZE_RANGE'],
    ['100 MB header', Buffer.from('01e1f505000000007b', 'hex'), 'SAFETENSORS_HEADER_TOO_LONG', /byte 0/],
    ['cut header', Buffer.from('00e0f505000000007b', 'hex'), 'SAFETENSORS_TRUNCATED', /byte 9/],
    ['not UTF-8', Buffer.concat([safetensors('{"\xff').subarray(0, 10), Buffer.from([0xff, 0xff])]), 'UTF8_INVALID'],
  ];
  for (const [what, bytes, code, where] of cases) {
    const facts = where === undefined ? {} : { where };
    await assert.rejects(openModel(memorySource(bytes, `${what}.safetensors`)), refusal(code, facts), what);
  }
});

test('a name like __proto__ is a name', async () => {
  const bytes = safetensors(`{"__proto__":${entry([1], [0, 4])}}`, 4);
  const model = await openModel(memorySource(bytes));
  assert.deepEqual([...model.tensors.keys()], ['__proto__']);
});

const OPSET = wire.message(8, wire.text(1, ''), wire.integer(2, 17));
const onnx = (...graph: readonly Uint8Array[]): Uint8Array =>
  Buffer.concat([wire.integer(1, 8), wire.message(7, ...graph), OPSET]);
/** A tensor of the given type and shape, and fields of values. */
const tensor = (type: number, shape: readonly number[], ...values: readonly Uint8Array[]): Uint8Array =>
  wire.message(5, ...shape.map((n) => wire.integer(1, n)), wire.integer(2, type), wire.text(8, 'w'), ...values);
const raw = (bytes: number): Uint8Array => wire.message(9, new Uint8Array(bytes));

function nested(depth: number): Uint8Array {
  let graph: readonly Uint8Array[] = [];
  for (let i = 0; i < depth; i++) {
    graph = [
      wire.message(1, wire.text(4, 'If'), wire.message(5, wire.text(1, 'then_branch'), wire.message(6, ...graph))),
    ];
  }
  return onnx(...graph, tensor(1, [1], raw(4)));
}

test('ONNX: every lie has its refusal, with the place', async () => {
  const ok = tensor(1, [1], raw(4));
  const cases: readonly (readonly [string, Uint8Array, string])[] = [
    ['10^9 × 10^9', onnx(tensor(1, [1e9, 1e9], raw(4))), 'ONNX_SHAPE'],
    ['10^9 × 10^6', onnx(tensor(1, [1e9, 1e6], raw(4))), 'ONNX_SIZE'],
    ['10^7 integers in no bytes', onnx(tensor(7, [1e7], wire.message(7, new Uint8Array(9)))), 'ONNX_SIZE'],
    ['negative', onnx(tensor(1, [-1], raw(4))), 'ONNX_SHAPE'],
    ['65 axes', onnx(tensor(1, new Array(65).fill(1), raw(4))), 'ONNX_MALFORMED'],
    ['complex', onnx(tensor(14, [1], raw(8))), 'ONNX_DTYPE'],
    ['two forms', onnx(tensor(1, [1], raw(4), wire.float(4, 1))), 'ONNX_FORM'],
    ['floats as integers', onnx(tensor(1, [1], wire.integer(5, 1))), 'ONNX_FORM'],
    ['doubles in float_data', onnx(tensor(11, [1], wire.message(4, new Uint8Array(8)))), 'ONNX_FORM'],
    ['segment', onnx(tensor(1, [1], wire.message(3))), 'ONNX_SEGMENT'],
    ['sparse', onnx(ok, wire.message(15)), 'ONNX_SPARSE'],
    [
      'sparse constant',
      onnx(ok, wire.message(1, wire.text(4, 'Constant'), wire.message(5, wire.message(22)))),
      'ONNX_SPARSE',
    ],
    ['twice', onnx(ok, ok), 'MODEL_DUPLICATE_TENSOR'],
    ['two graphs', Buffer.concat([onnx(ok), wire.message(7, ok)]), 'ONNX_MALFORMED'],
    ['functions', Buffer.concat([onnx(ok), wire.message(25)]), 'ONNX_FUNCTIONS'],
    ['no tensors', onnx(), 'MODEL_NO_TENSORS'],
    ['17 graphs deep', nested(17), 'ONNX_MALFORMED'],
    ['group', Buffer.concat([onnx(ok), Uint8Array.of(0x0b)]), 'ONNX_MALFORMED'],
    ['not UTF-8', onnx(ok, wire.message(2, Uint8Array.of(0xff))), 'UTF8_INVALID'],
  ];
  for (const [what, bytes, code] of cases) {
    const where = code.startsWith('MODEL') ? {} : { where: /byte \d+/ };
    await assert.rejects(openModel(memorySource(bytes, `${what}.onnx`)), refusal(code, where), what);
  }
  assert.ok(await survives(nested(16), '16 deep'));
});

test('nodes of one name keep their subgraphs’ tensors apart', async () => {
  const node = wire.message(
    1,
    wire.text(3, 'same'),
    wire.text(4, 'If'),
    wire.message(5, wire.text(1, 'then_branch'), wire.message(6, tensor(1, [1], raw(4)))),
  );
  const model = await openModel(memorySource(onnx(node, node)));
  assert.deepEqual([...model.tensors.keys()], ['same/then_branch/w', 'same#1/then_branch/w']);
});

const outside = (location: string, length = 4): Uint8Array =>
  onnx(
    wire.message(
      5,
      wire.integer(1, 1),
      wire.integer(2, 1),
      wire.text(8, 'w'),
      wire.message(13, wire.text(1, 'location'), wire.text(2, location)),
      wire.message(13, wire.text(1, 'length'), wire.text(2, String(length))),
      wire.integer(14, 1),
    ),
  );

test('external data never leaves the model’s folder, by name or by link', () =>
  inTemporaryFolder(async (folder) => {
    const inside = path.join(folder, 'model');
    await mkdir(inside);
    await writeFile(path.join(folder, 'secret'), 'abcd');
    await writeFile(path.join(inside, 'own'), 'abcd');
    await symlink('../secret', path.join(inside, 'link'));
    await symlink('..', path.join(inside, 'up'));
    await symlink('own', path.join(inside, 'near'));
    const file = path.join(inside, 'm.onnx');
    const open = async (location: string): Promise<void> => {
      await writeFile(file, outside(location));
      await (await openModel(file)).close();
    };
    const escapes = ['../secret', path.join(folder, 'secret'), 'x/../../secret', 'link', 'up/secret', '..', '.', ''];
    for (const location of escapes) await assert.rejects(open(location), refusal('MODEL_PATH_ESCAPES'), location);
    for (const location of ['absent', 'a\0b']) await assert.rejects(open(location), refusal('MODEL_PART_MISSING'));
    await open('own');
    await open('near');
    await writeFile(file, outside('own', 5));
    await assert.rejects(openModel(file), refusal('ONNX_TRUNCATED', { got: /4 bytes/ }));
    await assert.rejects(openModel(memorySource(outside('own'))), refusal('MODEL_PART_MISSING'));
    const index = path.join(inside, 'model.safetensors.index.json');
    await writeFile(
      path.join(folder, 'x.safetensors'),
      buildSafetensors({ w: { dtype: 'U8', shape: [1], values: [1] } }),
    );
    for (const shard of ['../x.safetensors', '/etc/passwd', '..']) {
      await writeFile(index, JSON.stringify({ weight_map: { w: shard } }));
      await assert.rejects(openModel(index), (error: unknown) =>
        ['SAFETENSORS_INDEX', 'MODEL_PATH_ESCAPES'].includes((error as MunimentError).code),
      );
    }
  }));

test('values given one by one, more than a call takes arguments, are read', async () => {
  const lone = Array.from({ length: 200_000 }, (_, i) => wire.float(4, i));
  const body = Buffer.concat([wire.integer(1, lone.length), wire.integer(2, 1), wire.text(8, 'w'), ...lone]);
  const model = await openModel(memorySource(onnx(wire.message(5, body))));
  assert.deepEqual(await model.tensors.get('w')!.read(199_998, 200_000), Float64Array.of(199_998, 199_999));
});

test('one poisoned weight does not stop the reading of the others', async () => {
  const values = [1, Number.NaN, Number.POSITIVE_INFINITY];
  const model = await openModel(memorySource(buildSafetensors({ w: { dtype: 'F16', shape: [3], values } })));
  assert.deepEqual(await model.tensors.get('w')!.read(0, 3), Float64Array.from(values));
});

test('files made to exhaust memory are refused below 512 MiB', () =>
  inTemporaryFolder(async (folder) => {
    const argv = ['--expose-gc', ...scriptWords('./testing/exhaust', import.meta.url), folder];
    const { stdout } = await promisify(execFile)(process.execPath, argv);
    const files = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { name: string; refusal: string; peak: number });
    assert.equal(files.length, 19);
    for (const { name, refusal: refused, peak } of files) {
      assert.match(
        refused,
        /^(JSON_TOO_LARGE: the header has|ONNX_MALFORMED: .* more than \d+|PICKLE_TOO_LARGE: )/,
        name,
      );
      assert.ok(peak < 512, `${name}: ${peak} MiB`);
    }
  }));
