/** OpenVINO IR and the ONNX file that it was converted from: one digest where nothing was folded. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openModel } from '../formats/index.js';
import { type Inspection, inspectModel } from './inspect.js';

async function inspected(name: string): Promise<Inspection> {
  const file = new URL(`../../vectors/formats/good/openvino/${name}`, import.meta.url);
  const model = await openModel(fileURLToPath(file));
  try {
    return await inspectModel(model);
  } finally {
    await model.close();
  }
}

for (const name of ['image', 'normalised', 'encoder', 'sequence', 'branches', 'loop']) {
  test(`${name}: the IR’s weights are the ONNX file’s, and so are its unit groups`, async () => {
    const [ir, onnx] = [await inspected(`${name}.xml`), await inspected(`${name}.onnx`)];
    assert.ok(ir.weights !== null);
    assert.equal(ir.weights, onnx.weights);
    assert.deepEqual(ir.groups.map(({ size }) => size).sort(), onnx.groups.map(({ size }) => size).sort());
  });
}

test('both versions of the IR hold the same; float16 and biases that were added up do not', async () => {
  const [image, ten, half] = [
    await inspected('image.xml'),
    await inspected('image-v10.xml'),
    await inspected('image-f16.xml'),
  ];
  assert.equal(ten.weights, image.weights);
  assert.notEqual(half.weights, image.weights);
  assert.equal(half.storage.F16!.tensors, 13);
  const [ir, onnx] = [await inspected('recurrent.xml'), await inspected('recurrent.onnx')];
  assert.notEqual(ir.weights, onnx.weights);
  const shapes = ({ layers }: Inspection): readonly string[] =>
    layers.flatMap(({ role, shape }) => (role === 'other' ? [] : [`${role} ${shape.join(' × ')}`])).sort();
  assert.deepEqual(shapes(ir), shapes(onnx));
});

test('quantised weights: bits and granularity, codes in groups as plain weights', async () => {
  const kinds = ({ layers }: Inspection): readonly string[] =>
    layers.flatMap(({ role, dtype, quantisation: q }) =>
      role === 'weight' ? [q === null ? dtype : `${dtype} ${q.bits} ${q.granularity}`] : [],
    );
  assert.deepEqual(kinds(await inspected('image-int8.xml')), new Array(6).fill('I8 8 channel'));
  assert.deepEqual(kinds(await inspected('encoder-int8.xml')), new Array(2).fill('U8 8 channel'));
  assert.deepEqual(kinds(await inspected('encoder-int4.xml')), ['F32', 'F32']);
  assert.deepEqual(kinds(await inspected('fake-quantised.xml')), ['I8 8 channel']);
});
