/** Files that other libraries wrote, against what those libraries read in them. */
import assert from 'node:assert/strict';
import { mkdir, symlink, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { type Model, openModel } from './index.js';
import { buildZip } from './testing/archives.js';
import { expectedIn, inTemporaryFolder, realModels, refusal, vector } from './testing/files.js';

for (const file of ['forms.onnx', 'subgraphs.onnx', 'external.onnx', 'types.safetensors', 'sharded']) {
  test(`${file}: names, types, shapes and values are those that its own library reads`, async () => {
    const model = await openModel(vector(`good/${file}`));
    const expected = expectedIn(file);
    assert.ok(expected.size > 0);
    assert.deepEqual(new Set(model.tensors.keys()), new Set(expected.keys()));
    for (const [name, { dtype, shape, numbers }] of expected) {
      const tensor = model.tensors.get(name)!;
      assert.equal(tensor.dtype, dtype, name);
      assert.deepEqual(tensor.shape, shape, name);
      assert.deepEqual(await tensor.read(0, tensor.elements), numbers, name);
      for (let i = 0; i < tensor.elements; i++) {
        assert.deepEqual(await tensor.read(i, i + 1), numbers.subarray(i, i + 1), `${name}[${i}]`);
      }
      await assert.rejects(tensor.read(0, tensor.elements + 1), refusal('TENSOR_RANGE'));
    }
    await model.close();
  });
}

test('the graph: subgraphs, opset, inputs, outputs, metadata', async () => {
  const model = await openModel(vector('good/subgraphs.onnx'));
  assert.equal(model.opset, 21);
  const graph = model.graph!;
  assert.deepEqual(graph.inputs, [{ name: 'cond', dtype: 'BOOL', shape: [] }]);
  assert.deepEqual(graph.outputs, [{ name: 'y', dtype: 'F32', shape: [2] }]);
  const outer = graph.nodes.find((node) => node.name === 'outer')!;
  const branch = outer.attributes.get('then_branch');
  assert.ok(typeof branch === 'object' && 'nodes' in branch);
  assert.equal(branch.nodes[0]!.op, 'If');
  assert.equal(branch.initialisers.get('w')!.name, 'outer/then_branch/w');
  await model.close();
  const forms = await openModel(vector('good/forms.onnx'));
  assert.deepEqual(forms.graph!.inputs[0]!.shape, ['n', 4]);
  await forms.close();
  const safetensors = await openModel(vector('good/types.safetensors'));
  assert.deepEqual(
    safetensors.metadata,
    new Map([
      ['made by', 'safetensors'],
      ['ü', '✓'],
    ]),
  );
  await safetensors.close();
});

test('real models open, and their initialisers are listed', async () => {
  const counts: Record<string, number> = {};
  for (const file of realModels()) {
    const model = await openModel(file);
    counts[path.basename(file)] = model.tensors.size;
    const learned = [...model.tensors.values()].filter((tensor) => tensor.dtype === 'F32' && tensor.elements > 1);
    assert.ok(learned.length > 0, file);
    for (const tensor of learned) assert.ok((await tensor.read(0, 1)).every(Number.isFinite), `${file} ${tensor.name}`);
    await model.close();
  }
  assert.deepEqual(counts, COUNTED);
});

/** Initialisers and Constant nodes, those of subgraphs included, as onnx 1.23.2 for Python counts them. */
const COUNTED: Readonly<Record<string, number>> = {
  'silero_vad_legacy.onnx': 259,
  'silero_vad_v5.onnx': 341,
  'silero_vad_v6.onnx': 341,
  'ch_PP-OCRv4_det_infer.onnx': 342,
  'ch_PP-OCRv4_rec_infer.onnx': 325,
  'ch_ppocr_mobile_v2.0_cls_infer.onnx': 250,
  'alexa_v0.1.onnx': 6,
  'embedding_model.onnx': 42,
  'hey_jarvis_v0.1.onnx': 29,
  'hey_mycroft_v0.1.onnx': 14,
  'hey_rhasspy_v0.1.onnx': 14,
  'melspectrogram.onnx': 15,
  'silero_vad.onnx': 259,
  'timer_v0.1.onnx': 6,
  'weather_v0.1.onnx': 6,
};

const branchTensors = (model: Model): readonly string[] =>
  [...model.tensors.values()].filter((t) => t.name.includes('_branch/') && t.shape.length > 1).map((t) => t.name);

test('Silero keeps its weights in the branches of an If', async () => {
  const file = realModels().find((name) => name.endsWith('silero_vad_v5.onnx'))!;
  const model = await openModel(file);
  assert.ok(branchTensors(model).length > 10, branchTensors(model).join());
  await model.close();
});

test('of 4 GB only what is asked for is read', () =>
  inTemporaryFolder(async (folder) => {
    const file = path.join(folder, 'big.safetensors');
    const rows = 2 ** 20;
    const header = Buffer.from(
      JSON.stringify({ w: { dtype: 'F32', shape: [rows, 1024], data_offsets: [0, rows * 4096] } }).padEnd(96),
    );
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(header.length));
    await writeFile(file, Buffer.concat([length, header]));
    await truncate(file, 8 + header.length + rows * 4096);
    const model = await openModel(file);
    assert.ok(model.bytesRead < 1024);
    const tensor = model.tensors.get('w')!;
    assert.deepEqual(await tensor.read(tensor.elements - 1024, tensor.elements), new Float64Array(1024));
    assert.ok(model.bytesRead < 8192, String(model.bytesRead));
    await assert.rejects(tensor.read(0, tensor.elements), refusal('TENSOR_READ_TOO_LARGE'));
    await model.close();
  }));

test('formats that are not read are named, with the way to one that is', async () => {
  const bytes = (...parts: (string | number[])[]): Buffer =>
    Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : Buffer.from(part))));
  const zipped = (name: string): Buffer => buildZip([{ name, bytes: new Uint8Array(4) }]);
  const cases: readonly (readonly [string, Buffer, RegExp, RegExp])[] = [
    ['model.pth', bytes([0x80, 2, 0x8a, 10]), /pickle/, /torch\.onnx\.export/],
    ['model.keras', zipped('metadata.json'), /zip/, /onnx/],
    ['model.zip', zipped('anything'), /zip/, /ONNX/],
    ['model.ort', bytes([28, 0, 0, 0], 'ORTM'), /ORT|ort/, /onnx/],
    ['model.json', bytes('{"learner":{}}'), /JSON without weights/, /save_model/],
    ['model.xml', bytes('<?xml version="1.0"?>'), /XML/, /ONNX/],
    ['model.pmml', bytes('<?xml version="1.0"?><PMML/>'), /PMML/, /skl2onnx/],
    ['saved_model.pb', bytes([0x08, 0x01, 0x12, 0x00]), /TensorFlow/, /tf2onnx/],
    ['model.gz', bytes([0x1f, 0x8b, 8]), /gzip/, /decompress/],
  ];
  await inTemporaryFolder(async (folder) => {
    for (const [name, content, got, todo] of cases) {
      const file = path.join(folder, name);
      await writeFile(file, content);
      await assert.rejects(openModel(file), refusal('MODEL_FORMAT_NOT_READ', { got, todo }), name);
    }
    await writeFile(path.join(folder, 'noise'), Buffer.from('hello, this is no model'));
    await assert.rejects(openModel(path.join(folder, 'noise')), refusal('MODEL_FORMAT_UNKNOWN'));
    await writeFile(path.join(folder, 'empty.onnx'), '');
    await assert.rejects(openModel(path.join(folder, 'empty.onnx')), refusal('MODEL_EMPTY'));
    await assert.rejects(openModel(path.join(folder, 'absent.onnx')), refusal('FILE_NOT_FOUND'));
    await mkdir(path.join(folder, 'bare'));
    await assert.rejects(openModel(path.join(folder, 'bare')), refusal('MODEL_FOLDER'));
    await symlink('nowhere', path.join(folder, 'dangling.onnx'));
    await assert.rejects(openModel(path.join(folder, 'dangling.onnx')), refusal('FILE_NOT_FOUND'));
  });
});
