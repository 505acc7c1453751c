/** ONNX protobuf bytes of a graph built here. */
import type { AttributeSpec, GraphSpec, ModelSpec, TensorSpec, ValueSpec } from './graph.js';

const enc = new TextEncoder();
const DT = { F32: 1, I64: 7, BOOL: 9 } as const;
const vi = (n: number): number[] => {
  let x = BigInt.asUintN(64, BigInt(n));
  const o: number[] = [];
  while (x > 127n) {
    o.push(Number(x & 127n) | 128);
    x >>= 7n;
  }
  o.push(Number(x));
  return o;
};
const cat = (...p: (Uint8Array | number[])[]) => Buffer.concat(p.map((x) => Buffer.from(x as Uint8Array)));
const len = (f: number, b: Uint8Array | string) => {
  const d = typeof b === 'string' ? enc.encode(b) : b;
  return cat(vi(f * 8 + 2), vi(d.length), d);
};
const int = (f: number, n: number) => cat(vi(f * 8), vi(n));
const flt = (f: number, x: number) => {
  const b = Buffer.alloc(4);
  b.writeFloatLE(x);
  return cat(vi(f * 8 + 5), b);
};
const tensor = (t: TensorSpec) =>
  cat(
    ...t.shape.map((d) => int(1, d)),
    int(2, DT[t.dtype]),
    len(8, t.name),
    len(9, new Uint8Array(t.data.buffer, t.data.byteOffset, t.data.byteLength)),
  );
const value = (v: ValueSpec) =>
  cat(
    len(1, v.name),
    len(
      2,
      len(
        1,
        cat(
          int(1, DT[v.dtype]),
          len(2, cat(...v.shape.map((d) => len(1, typeof d === 'number' ? int(1, d) : len(2, d))))),
        ),
      ),
    ),
  );
const attr = (name: string, a: AttributeSpec): Uint8Array =>
  'int' in a
    ? cat(len(1, name), int(3, a.int), int(20, 2))
    : 'float' in a
      ? cat(len(1, name), flt(2, a.float), int(20, 1))
      : 'ints' in a
        ? cat(len(1, name), ...a.ints.map((i) => int(8, i)), int(20, 7))
        : cat(len(1, name), len(6, graph(a.graph)), int(20, 5));
const graph = (g: GraphSpec): Uint8Array =>
  cat(
    ...g.nodes.map((n) =>
      len(
        1,
        cat(
          ...n.inputs.map((x) => len(1, x)),
          ...n.outputs.map((x) => len(2, x)),
          len(3, n.name),
          len(4, n.op),
          ...Object.entries(n.attributes).map(([k, a]) => len(5, attr(k, a))),
        ),
      ),
    ),
    len(2, g.name),
    ...g.initialisers.map((t) => len(5, tensor(t))),
    ...g.inputs.map((v) => len(11, value(v))),
    ...g.outputs.map((v) => len(12, value(v))),
  );
export const buildOnnx = (m: ModelSpec): Uint8Array =>
  cat(
    int(1, 8),
    len(2, 'muniment'),
    len(7, graph(m.graph)),
    len(8, cat(len(1, ''), int(2, m.opset))),
    ...Object.entries(m.metadata).map(([k, v]) => len(14, cat(len(1, k), len(2, v)))),
  );
