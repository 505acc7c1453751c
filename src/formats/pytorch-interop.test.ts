/** torch and NumPy open what is changed in place here. Only with MUNIMENT_INTEROP=1 and both libraries at hand. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { openModel, writeModel } from './index.js';
import { inTemporaryFolder, vector } from './testing/files.js';

const run = promisify(execFile);
const python = process.env.MUNIMENT_PYTHON ?? 'python3';
const READER = `
import json, sys, numpy as np, torch
out = {}
for file in sys.argv[1:]:
    if file.endswith('.npz'):
        archive = np.load(file)
        tensors = {name: archive[name] for name in archive.files if archive[name].dtype.kind in 'fiub'}
    else:
        tensors = {'arr_0': np.load(file)} if file.endswith('.npy') else torch.load(file, weights_only=True)
    out[file] = {name: np.asarray(t).astype(np.float64).ravel().tolist() if isinstance(t, np.ndarray)
                 else t.to(torch.float64).contiguous().reshape(-1).tolist() for name, t in tensors.items()}
print(json.dumps(out))
`;

test('torch and NumPy read our changed copies with our values', async (t) => {
  if (process.env.MUNIMENT_INTEROP !== '1') return t.skip('set MUNIMENT_INTEROP=1 to run');
  const present = await run(python, ['-c', 'import numpy, torch']).then(
    () => true,
    () => false,
  );
  if (!present) return t.skip('no Python with numpy and torch');
  await inTemporaryFolder(async (folder) => {
    const files = [
      'pytorch/types-legacy.pth',
      'pytorch/types.pt',
      'numpy/arrays.npz',
      'numpy/version2.npy',
      'numpy/version3.npy',
    ];
    const copies = files.map((file) => path.join(folder, path.basename(file)));
    for (const [i, file] of files.entries()) {
      const model = await openModel(vector(`good/${file}`));
      const changes = [...model.tensors.values()]
        .filter(({ writable }) => writable)
        .map(({ name, elements }) => [name, Float64Array.from({ length: elements }, (_, at) => at % 2)] as const);
      await writeModel(model, new Map(changes), copies[i]!);
      await model.close();
    }
    const { stdout } = await run(python, ['-c', READER, ...copies]);
    const theirs = JSON.parse(stdout) as Record<string, Record<string, readonly number[]>>;
    for (const copy of copies) {
      const model = await openModel(copy);
      const numeric = [...model.tensors.values()].filter(({ dtype }) => dtype !== 'STRING').map(({ name }) => name);
      assert.deepEqual(Object.keys(theirs[copy]!), numeric);
      for (const { name, elements, writable } of model.tensors.values()) {
        if (!writable) continue;
        assert.deepEqual(
          theirs[copy]![name],
          Array.from({ length: elements }, (_, at) => at % 2),
          name,
        );
      }
      await model.close();
    }
  });
});
