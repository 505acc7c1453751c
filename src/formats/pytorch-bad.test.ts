/** Hostile PyTorch and NumPy files: each refused with its exact code, code in a pickle by name and place; nothing runs. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { vector } from './testing/files.js';
import { MUTANTS, refusalOf, refuseEveryCut, surviveMutants } from './testing/mutants.js';

interface Refused {
  readonly code: string;
  readonly got?: string;
  readonly byte?: number;
}
const expected = JSON.parse(readFileSync(vector('bad/expected-pytorch.json'), 'utf8')) as Record<string, Refused>;

for (const [file, { code, got, byte }] of Object.entries(expected)) {
  test(`${file} is refused: ${code}${got === undefined ? '' : ` ${got}`}`, async () => {
    const error = await refusalOf(vector(`bad/${file}`));
    assert.equal(error?.code, code);
    if (got !== undefined) assert.equal(error?.facts.got, got);
    if (byte !== undefined) assert.match(error?.facts.where ?? '', new RegExp(`byte ${byte}$`));
    assert.ok(error?.facts.where, 'a place is given');
  });
}

test('every bad file of these formats is expected, and none of them ran', () => {
  const files = readdirSync(vector('bad')).filter((name) => /\.(pth?|np[yz])$/.test(name));
  assert.deepEqual(files.sort(), Object.keys(expected).sort());
  assert.ok(!existsSync('/tmp/owned'));
});

const GOOD = {
  pytorch: ['views.pt', 'views-legacy.pth', 'protocol4.pt', 'checkpoint.pt', 'whole.pt', 'scripted.pt'],
  numpy: ['arrays.npz', 'compressed.npz', 'version3.npy'],
};
const CODES = /^(ZIP|PICKLE|TORCH|NUMPY|MODEL|UTF8|TENSOR|SOURCE|ONNX)_[A-Z0-9_]+$/;
for (const [folder, files] of Object.entries(GOOD)) {
  for (const file of files) {
    test(`${file}: mutants give a model or a coded refusal, in bounded time and memory`, async () => {
      const refused = await surviveMutants(readFileSync(vector(`good/${folder}/${file}`)), file, { codes: CODES });
      assert.ok(refused > MUTANTS / 5 && refused < MUTANTS, `${refused} of ${MUTANTS} refused`);
    });
  }
}

for (const [folder, file] of [
  ['pytorch', 'views.pt'],
  ['pytorch', 'views-legacy.pth'],
  ['numpy', 'version2.npy'],
  ['numpy', 'labels.npz'],
] as const) {
  test(`${file}: cut short at any byte it is refused`, async () => {
    await refuseEveryCut(readFileSync(vector(`good/${folder}/${file}`)), file);
  });
}
