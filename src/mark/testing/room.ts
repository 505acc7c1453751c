/** A room for tests: a real ledger in a folder, a vault in memory, time stamps on demand. */
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Dense } from '../../align/testing/dense.js';
import { type ByteSource, memorySource } from '../../base/index.js';
import { buildOnnx, buildSafetensors, type NodeSpec, type TensorSpec } from '../../formats/index.js';
import { openLedger } from '../../ledger/index.js';
import { testKeys } from '../../ledger/testing/keys.js';
import type { ReleaseRoom, StampFact } from '../index.js';

export interface TestRoom extends ReleaseRoom {
  readonly dir: string;
  readonly vault: NonNullable<ReleaseRoom['vault']> & { readonly held: Map<string, Uint8Array> };
  /** What `stampFacts` answers; a thrown error is an authority that does not answer. */
  stamps: () => Promise<readonly StampFact[]>;
  /** Thrown by the next append of this kind. */
  failAppend: string | null;
}

export async function testRoom(): Promise<TestRoom> {
  const dir = await mkdtemp(path.join(os.tmpdir(), 'muniment-mark-'));
  const ledger = openLedger(path.join(dir, '.muniment'), { keys: testKeys() });
  const held = new Map<string, Uint8Array>();
  const room: TestRoom = {
    dir,
    failAppend: null,
    stamps: async () => [],
    stampFacts: () => room.stamps(),
    ledger: {
      async append(inputs) {
        if (inputs.some(({ kind }) => kind === room.failAppend)) throw new Error('the disk is full');
        return ledger.append(inputs);
      },
      statements: () => ledger.statements(),
      exclusively: (work) => ledger.exclusively((append) => work((inputs) => append(inputs))),
    },
    vault: {
      held,
      put: async (name, bytes) => held.set(name, Uint8Array.from(bytes)),
      get: async (name) => held.get(name) ?? null,
      list: async () => [...held.keys()],
      putFile: async (source: ByteSource, name) => held.set(name, await source.slice(0, source.byteLength)),
      openFile: async (name) => memorySource(held.get(name)!, name),
      remove: async (name) => {
        held.delete(name);
      },
    },
  };
  return room;
}

/** Where a test wants the values of an initialiser to lie. */
type Place = (name: string, values: Float64Array) => TensorSpec['values'];

/** A dense ReLU stack as ONNX: `x` → `y`, float32, Gemm with transB. */
export function denseOnnx(net: Dense, place: Place = (_, values) => values): Uint8Array {
  const layers = net.size / 2;
  const nodes: NodeSpec[] = [];
  for (let l = 0; l < layers; l++) {
    const input = l === 0 ? 'x' : `a${l - 1}`;
    const output = l + 1 === layers ? 'y' : `h${l}`;
    nodes.push({
      op: 'Gemm',
      inputs: [input, `fc${l}.weight`, `fc${l}.bias`],
      outputs: [output],
      attributes: { transB: { int: 1 } },
    });
    if (l + 1 < layers) nodes.push({ op: 'Relu', inputs: [output], outputs: [`a${l}`] });
  }
  const sizeOf = (name: string, axis: number): number => net.get(name)!.shape[axis]!;
  return buildOnnx({
    graph: {
      name: 'dense',
      inputs: [{ name: 'x', dtype: 'F32', shape: ['n', sizeOf('fc0.weight', 1)] }],
      outputs: [{ name: 'y', dtype: 'F32', shape: ['n', sizeOf(`fc${layers - 1}.weight`, 0)] }],
      nodes,
      initialisers: [...net].map(([name, { shape, values }]) => ({
        name,
        dtype: 'F32',
        shape,
        values: place(name, values),
      })),
    },
  });
}

/** The same stack as ONNX with its values in `weights/fc<l>.bin`. @returns the main file */
export async function denseExternal(net: Dense, folder: string): Promise<string> {
  const files = new Map<string, number[]>();
  const bytes = denseOnnx(net, (name, values) => {
    const location = `weights/${name.split('.')[0]}.bin`;
    const before = files.get(location) ?? [];
    files.set(location, [...before, ...values]);
    return { location, offset: before.length * 4, length: values.length * 4 };
  });
  await mkdir(path.join(folder, 'weights'), { recursive: true });
  for (const [name, values] of files) {
    await writeFile(path.join(folder, name), new Uint8Array(Float32Array.from(values).buffer));
  }
  await writeFile(path.join(folder, 'net.onnx'), bytes);
  return path.join(folder, 'net.onnx');
}

/** The same stack as safetensors, a shard a layer with an index, as hubs lay them out. @returns the folder */
export async function denseShards(net: Dense, folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  const layers = net.size / 2;
  const shard = (name: string): string => `model-0000${Number(/\d+/.exec(name)![0]) + 1}-of-0000${layers}.safetensors`;
  for (let l = 0; l < layers; l++) {
    const own = [...net].filter(([name]) => name.startsWith(`fc${l}.`));
    const entries = own.map(([name, { shape, values }]) => [name, { dtype: 'F32' as const, shape, values }] as const);
    await writeFile(path.join(folder, shard(`fc${l}`)), buildSafetensors(Object.fromEntries(entries)));
  }
  const index = { metadata: {}, weight_map: Object.fromEntries([...net.keys()].map((name) => [name, shard(name)])) };
  await writeFile(path.join(folder, 'model.safetensors.index.json'), JSON.stringify(index));
  return folder;
}
