/** Changed copies of archives: checksums fit the new content wherever a reader may look for them. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import { fileSource } from '../base/index.js';
import { openModel, writeModel } from './index.js';
import { inTemporaryFolder, vector } from './testing/files.js';
import { openZip, storedEntry } from './zip.js';
import { u16, u32 } from './zip-directory.js';

const good = (file: string): string => vector(`good/${file}`);

/** Checksums of every stored entry: in the directory, and in the local header or the descriptor behind the content. */
async function checksums(
  file: string,
): Promise<ReadonlyMap<string, { readonly fits: boolean; readonly agree: boolean }>> {
  const source = await fileSource(file);
  const bytes = await readFile(file);
  const archive = await openZip(source);
  const found = new Map<string, { fits: boolean; agree: boolean }>();
  for (const [name, entry] of archive.entries) {
    const stored = storedEntry(archive.open(name));
    if (stored === null) continue;
    const start = await stored.start();
    const behind = start + entry.packed;
    const beside =
      u16(bytes, entry.at + 6) & 8
        ? u32(bytes, behind + (u32(bytes, behind) === 0x08074b50 ? 4 : 0))
        : u32(bytes, entry.at + 14);
    const fits = crc32(bytes.subarray(start, start + entry.packed)) === entry.crc32;
    found.set(name, { fits, agree: beside === entry.crc32 });
  }
  await source.close();
  return found;
}

for (const file of ['pytorch/types.pt', 'pytorch/checkpoint.pt', 'pytorch/scripted.pt', 'numpy/arrays.npz']) {
  test(`${file}: a changed copy has the new values, and every checksum fits`, async () => {
    await inTemporaryFolder(async (folder) => {
      const model = await openModel(good(file));
      const writable = [...model.tensors.values()].filter((tensor) => tensor.writable && tensor.elements > 0);
      assert.ok(writable.length > 0);
      const changes = new Map(
        writable.map(({ name, elements }) => [name, Float64Array.from({ length: elements }, (_, at) => at % 2)]),
      );
      const out = path.join(folder, path.basename(file));
      await writeModel(model, changes, out);
      const copy = await openModel(out);
      for (const [name, tensor] of copy.tensors) {
        const original = model.tensors.get(name)!;
        const wanted =
          changes.get(name) ?? (tensor.dtype === 'STRING' ? null : await original.read(0, original.elements));
        if (wanted !== null) assert.deepEqual(await tensor.read(0, tensor.elements), wanted, name);
      }
      const [before, after] = [await checksums(good(file)), await checksums(out)];
      assert.deepEqual(
        [...before.values()].filter(({ fits, agree }) => !fits || !agree),
        [],
      );
      assert.deepEqual(after, before);
      await model.close();
      await copy.close();
    });
  });
}

test('an archive that torch wrote without checksums keeps those that it has', async () => {
  await inTemporaryFolder(async (folder) => {
    const bytes = await readFile(good('pytorch/types.pt'));
    const source = await fileSource(good('pytorch/types.pt'));
    const { entries } = await openZip(source);
    await source.close();
    for (const { record } of entries.values()) bytes.writeUInt32LE(7, record + 16);
    const file = path.join(folder, 'without.pt');
    await writeFile(file, bytes);
    const model = await openModel(file);
    const [first] = [...model.tensors.values()].filter(({ writable, elements }) => writable && elements > 1);
    const out = path.join(folder, 'copy.pt');
    await writeModel(model, new Map([[first!.name, new Float64Array(first!.elements)]]), out);
    await model.close();
    assert.ok([...(await checksums(out)).values()].every(({ fits }) => !fits));
  });
});

test('compressed entries, tied tensors and views are not writable', async () => {
  const names = async (file: string): Promise<readonly string[]> => {
    const model = await openModel(good(file));
    await model.close();
    return [...model.tensors.values()].filter(({ writable }) => writable).map(({ name }) => name);
  };
  assert.deepEqual(await names('numpy/compressed.npz'), []);
  assert.deepEqual(await names('pytorch/views.pt'), await names('pytorch/views-legacy.pth'));
});
