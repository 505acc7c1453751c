/** The Python libraries open what is written here. Only with MUNIMENT_INTEROP=1 and both libraries at hand. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { buildOnnx, buildSafetensors, openModel, writeModel } from './index.js';
import { inTemporaryFolder, vector } from './testing/files.js';

const run = promisify(execFile);
const python = process.env.MUNIMENT_PYTHON ?? 'python3';
const READER = `
import json, sys, onnx, numpy as np
from onnx import numpy_helper
from safetensors import safe_open
out = {}
for file in sys.argv[1:]:
    if file.endswith('.onnx'):
        onnx.checker.check_model(file)
        model = onnx.load(file)
        tensors = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    else:
        with safe_open(file, 'np') as f:
            tensors = {name: f.get_tensor(name) for name in f.keys()}
    out[file] = {name: np.asarray(a).astype(np.float64).ravel().tolist() for name, a in tensors.items() if np.isfinite(np.asarray(a).astype(np.float64)).all()}
print(json.dumps(out))
`;

test('onnx and safetensors for Python read our files with the same values', async (t) => {
  if (process.env.MUNIMENT_INTEROP !== '1') return t.skip('set MUNIMENT_INTEROP=1 to run');
  const present = await run(python, ['-c', 'import onnx, safetensors, ml_dtypes']).then(
    () => true,
    () => false,
  );
  if (!present) return t.skip('no Python with onnx, safetensors and ml_dtypes');
  await inTemporaryFolder(async (folder) => {
    const at = (name: string): string => path.join(folder, name);
    const values = Float64Array.of(0.1, -2, 3e-5, 7, 100, -0.5);
    const w = (dtype: 'F32' | 'F16' | 'BF16' | 'F64' | 'I8' | 'U8' | 'I64') => ({ dtype, shape: [2, 3], values });
    const types = ['F32', 'F16', 'BF16', 'F64', 'I8', 'U8', 'I64'] as const;
    await writeFile(
      at('built.safetensors'),
      buildSafetensors(Object.fromEntries(types.map((d) => [d, w(d)])), { a: 'b' }),
    );
    const io = { dtype: 'F32', shape: [2, 3] } as const;
    await writeFile(
      at('built.onnx'),
      buildOnnx({
        graph: {
          name: 'g',
          inputs: [{ name: 'x', ...io }],
          outputs: [{ name: 'y', ...io }],
          nodes: [{ op: 'Identity', inputs: ['x'], outputs: ['y'] }],
          initialisers: types.map((dtype) => ({ name: dtype, ...w(dtype) })),
        },
      }),
    );
    const files = [at('built.safetensors'), at('built.onnx')];
    for (const name of ['forms.onnx', 'external.onnx', 'types.safetensors']) {
      const model = await openModel(vector(`good/${name}`));
      const changes = [...model.tensors.values()].filter((tensor) => tensor.writable);
      const changed = new Map(
        changes.map((tensor) => [
          tensor.name,
          Float64Array.from({ length: tensor.elements }, (_, i) => (i * 0.37) % 5),
        ]),
      );
      await writeModel(model, changed, at(name));
      await model.close();
      files.push(at(name));
    }
    const { stdout } = await run(python, ['-c', READER, ...files], { maxBuffer: 1e8 });
    const read = JSON.parse(stdout) as Record<string, Record<string, number[]>>;
    let compared = 0;
    for (const file of files) {
      const model = await openModel(file);
      for (const [name, theirs] of Object.entries(read[file]!)) {
        const tensor = model.tensors.get(name)!;
        assert.deepEqual(
          [...(await tensor.read(0, tensor.elements))].map((x) => x + 0),
          theirs.map((x) => x + 0),
          name,
        );
        compared++;
      }
      await model.close();
    }
    assert.ok(compared > 60, String(compared));
  });
});
