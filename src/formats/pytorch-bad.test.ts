/** Hostile PyTorch and NumPy files: each refused with its exact code, code in a pickle by name and place; nothing runs. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { MunimentError, memorySource } from '../base/index.js';
import { openModel } from './index.js';
import { readAll, vector } from './testing/files.js';

interface Refused {
  readonly code: string;
  readonly got?: string;
  readonly byte?: number;
}
const expected = JSON.parse(readFileSync(vector('bad/expected-pytorch.json'), 'utf8')) as Record<string, Refused>;

async function refusalOf(file: string): Promise<MunimentError | null> {
  try {
    const model = await openModel(vector(`bad/${file}`));
    await readAll(model).finally(() => model.close());
    return null;
  } catch (error) {
    if (error instanceof MunimentError && error.kind === 'input') return error;
    throw error;
  }
}

for (const [file, { code, got, byte }] of Object.entries(expected)) {
  test(`${file} is refused: ${code}${got === undefined ? '' : ` ${got}`}`, async () => {
    const error = await refusalOf(file);
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
/** More than any mutant of a file of 20 kB may take. */
const SECONDS = 2;

for (const [folder, files] of Object.entries(GOOD)) {
  for (const file of files) {
    test(`${file}: 500 mutants give a model or a coded refusal, in bounded time and memory`, async () => {
      const original = readFileSync(vector(`good/${folder}/${file}`));
      const edit = fc.record({
        at: fc.nat(original.length - 1),
        by: fc.integer({ min: 1, max: 255 }),
        kind: fc.constantFrom('flip', 'flip', 'flip', 'cut', 'insert', 'remove'),
      });
      let refused = 0;
      let slowest = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 4 }), async (edits) => {
          let bytes = Buffer.from(original);
          for (const { at, by, kind } of edits) {
            const place = Math.min(at, bytes.length - 1);
            if (kind === 'flip' && place >= 0) bytes[place]! ^= by;
            if (kind === 'cut') bytes = bytes.subarray(0, place);
            if (kind === 'insert')
              bytes = Buffer.concat([bytes.subarray(0, place), Buffer.of(by), bytes.subarray(place)]);
            if (kind === 'remove') bytes = Buffer.concat([bytes.subarray(0, place), bytes.subarray(place + by)]);
          }
          const begun = performance.now();
          try {
            await readAll(await openModel(memorySource(bytes, file)));
          } catch (error) {
            if (!(error instanceof MunimentError) || error.kind !== 'input') throw error;
            assert.match(error.code, CODES);
            refused++;
          }
          slowest = Math.max(slowest, performance.now() - begun);
        }),
        { seed: 13, numRuns: 500 },
      );
      assert.ok(refused > 100 && refused < 500, `${refused} of 500 refused`);
      assert.ok(slowest < SECONDS * 1000, `${slowest} ms`);
      assert.ok(process.memoryUsage.rss() < 512 * 2 ** 20, `${process.memoryUsage.rss() / 2 ** 20} MiB`);
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
    const bytes = readFileSync(vector(`good/${folder}/${file}`));
    for (let length = 0; length < bytes.length; length++) {
      await assert.rejects(
        openModel(memorySource(bytes.subarray(0, length), file)),
        (error) => error instanceof MunimentError && error.kind === 'input',
        `${length} of ${bytes.length} bytes`,
      );
    }
  });
}
