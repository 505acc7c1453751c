/** Files made from nothing by fast-check: heads that are spelt as the format has them and say anything. */
import fc from 'fast-check';
import { buildZip } from '../../src/formats/testing/archives.js';

const le = (width: number, value: number | bigint): Buffer => {
  const out = Buffer.alloc(8);
  out.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)));
  return out.subarray(0, width);
};
/** Sizes that are mostly small and right, and sometimes at an edge. */
const size = fc.oneof(
  { weight: 6, arbitrary: fc.nat(8) },
  { weight: 1, arbitrary: fc.constantFrom(-1, 2 ** 31, 2 ** 32 - 1, 2 ** 53 - 1, 2 ** 53, 1e9, 1.5, 1e308) },
);
const shape = fc.array(size, { maxLength: 6 });
const name = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('w', 'layers.0.weight', 'layers.0.bias', 'a.b') },
  { weight: 2, arbitrary: fc.string({ maxLength: 12, unit: 'binary' }) },
  { weight: 1, arbitrary: fc.constantFrom('__metadata__', '__proto__', 'constructor', '', '../x') },
);
const data = fc.uint8Array({ maxLength: 64 });

const DTYPES = ['F64', 'F32', 'F16', 'BF16', 'I64', 'I32', 'I8', 'U8', 'BOOL', 'F8_E4M3', 'C64', 'F128', ''];
const entry = fc.record(
  {
    dtype: fc.oneof({ weight: 8, arbitrary: fc.constantFrom(...DTYPES) }, { weight: 1, arbitrary: fc.jsonValue() }),
    shape: fc.oneof({ weight: 8, arbitrary: shape }, { weight: 1, arbitrary: fc.jsonValue() }),
    data_offsets: fc.oneof(
      { weight: 8, arbitrary: fc.array(size, { maxLength: 3 }) },
      { weight: 1, arbitrary: fc.jsonValue() },
    ),
    more: fc.jsonValue(),
  },
  { requiredKeys: ['dtype', 'shape', 'data_offsets'] },
);
/** Entries one after the other, as long as they say. */
const packedEntries = fc.array(fc.tuple(name, fc.array(fc.nat(3), { maxLength: 3 })), { maxLength: 5 }).map((list) => {
  let at = 0;
  return Object.fromEntries(
    list.map(([key, dims]) => {
      const length = dims.reduce((product, dim) => product * dim, 4);
      at += length;
      return [key, { dtype: 'F32', shape: dims, data_offsets: [at - length, at] }];
    }),
  );
});
const safetensors = fc
  .record({
    head: fc.oneof(packedEntries, fc.dictionary(name, entry, { maxKeys: 5 }), fc.jsonValue()),
    off: fc.oneof({ weight: 6, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.integer({ min: -9, max: 99 }) }),
    data,
  })
  .map((file) => {
    const json = Buffer.from(JSON.stringify(file.head));
    return Buffer.concat([le(8, json.length + file.off), json, file.data]);
  });

const text = (value: string): Buffer => {
  const bytes = Buffer.from(value);
  return Buffer.concat([le(8, bytes.length), bytes]);
};
const number = fc.oneof(fc.nat(3), fc.constantFrom(2 ** 31, 2 ** 32 - 1, 2 ** 40)).map((n) => le(4, n));
const { ggufValue } = fc.letrec<{ ggufValue: Buffer }>((tie) => ({
  ggufValue: fc.oneof(
    { depthSize: 'small' },
    fc
      .tuple(fc.nat(7), fc.uint8Array({ minLength: 1, maxLength: 8 }))
      .map(([type, bytes]) => Buffer.concat([le(4, type), bytes])),
    fc.string({ maxLength: 9 }).map((value) => Buffer.concat([le(4, 8), text(value)])),
    fc
      .tuple(fc.nat(14), size.map(Math.floor), fc.uint8Array({ maxLength: 40 }))
      .map(([type, count, bytes]) =>
        Buffer.concat([le(4, 9), le(4, type), le(8, count === 1e308 ? 2n ** 63n : count), bytes]),
      ),
    fc
      .tuple(fc.nat(3), fc.array(tie('ggufValue'), { maxLength: 3 }))
      .map(([count, items]) => Buffer.concat([le(4, 9), le(4, 9), le(8, count), ...items])),
  ),
}));
const ggufTensor = fc
  .tuple(
    name,
    fc.array(fc.oneof(fc.constantFrom(1, 2, 32, 256), fc.bigInt(0n, 2n ** 64n - 1n)), { maxLength: 5 }),
    fc.nat(40),
    fc.nat(4),
  )
  .map(([key, dims, type, at]) =>
    Buffer.concat([text(key), le(4, dims.length), ...dims.map((dim) => le(8, dim)), le(4, type), le(8, 32 * at)]),
  );
const gguf = fc
  .record({
    version: fc.oneof({ weight: 8, arbitrary: fc.constantFrom(2, 3) }, { weight: 1, arbitrary: fc.nat(9) }),
    values: fc.array(fc.tuple(fc.oneof(name, fc.constant('general.alignment')), ggufValue), { maxLength: 4 }),
    tensors: fc.array(ggufTensor, { maxLength: 4 }),
    off: fc.constantFrom(0, 0, 0, 0, 1, -1, 2 ** 40),
    data,
  })
  .map((file) => {
    const counts = [le(8, file.tensors.length + file.off), le(8, file.values.length)];
    const values = file.values.flatMap(([key, value]) => [text(key), value]);
    const head = Buffer.concat([Buffer.from('GGUF'), le(4, file.version), ...counts, ...values, ...file.tensors]);
    return Buffer.concat([head, Buffer.alloc((32 - (head.length % 32)) % 32), file.data, Buffer.alloc(256)]);
  });

const literal = fc.oneof(
  fc.array(fc.nat(4), { maxLength: 4 }).map((dims) => `(${dims.map((dim) => `${dim},`).join('')})`),
  shape.map((dims) => `(${dims.join(', ')})`),
  fc.constantFrom(
    "'<f4'",
    "'>i8'",
    "'|b1'",
    "'|O'",
    "'<U3'",
    "[('a', '<f4')]",
    'True',
    'False',
    'None',
    '-1',
    '__import__("os")',
  ),
);
const npy = fc
  .record({
    version: fc.constantFrom(1, 1, 2, 3, 0, 4),
    descr: fc.oneof({ weight: 4, arbitrary: fc.constantFrom("'<f4'", "'>f8'", "'|u1'", "'<i2'") }, literal),
    order: fc.oneof({ weight: 4, arbitrary: fc.constantFrom('True', 'False') }, literal),
    shape: literal,
    rest: fc.constantFrom('', ", 'x': 1", ',', '}', "'descr': '<f4'"),
    off: fc.constantFrom(0, 0, 0, 1, -1, 60000),
    data,
  })
  .map((file) => {
    const head = Buffer.from(
      `{'descr': ${file.descr}, 'fortran_order': ${file.order}, 'shape': ${file.shape}${file.rest}}\n`,
    );
    const length = le(file.version < 2 ? 2 : 4, Math.max(0, head.length + file.off));
    return Buffer.concat([Buffer.from('\x93NUMPY', 'latin1'), Buffer.of(file.version, 0), length, head, file.data]);
  });

const GLOBALS = [
  'torch._utils\n_rebuild_tensor_v2',
  'torch\nFloatStorage',
  'collections\nOrderedDict',
  'os\nsystem',
  'builtins\neval',
  'torch\nSize',
  'torch.nn.modules.linear\nLinear',
  'numpy\ndtype',
  '_codecs\nencode',
  'argparse\nNamespace',
  'builtins\nset',
];
const opcode = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .constantFrom(...'()]}Nt.e012abdlopqrsu\x81\x85\x86\x87\x88\x89\x8f\x90\x91\x93\x94QRS'.split(''))
      .map((op) => Buffer.from(op, 'latin1')),
  },
  { weight: 2, arbitrary: fc.nat(255).map((value) => Buffer.of(0x4b, value)) },
  { weight: 1, arbitrary: fc.integer().map((value) => Buffer.concat([Buffer.from('J'), le(4, value)])) },
  {
    weight: 2,
    arbitrary: name.map((value) =>
      Buffer.concat([Buffer.from('X'), le(4, Buffer.byteLength(value)), Buffer.from(value)]),
    ),
  },
  { weight: 3, arbitrary: fc.constantFrom(...GLOBALS).map((value) => Buffer.from(`c${value}\n`)) },
  {
    weight: 2,
    arbitrary: fc.tuple(fc.constantFrom('q', 'h'), fc.nat(9)).map(([op, slot]) => Buffer.of(op.charCodeAt(0), slot)),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom('\x8a', '\x8b', 'T', 'U', '\x8c', '\x8d', '\x8e', 'B', 'C', '\x95'), number)
      .map(([op, length]) => Buffer.concat([Buffer.from(op, 'latin1'), length])),
  },
);
const pickled = fc
  .tuple(fc.constantFrom(2, 3, 4, 5), fc.array(opcode, { maxLength: 60 }), fc.boolean())
  .map(([protocol, ops, stop]) => Buffer.concat([Buffer.of(0x80, protocol), ...ops, Buffer.from(stop ? '.' : '')]));
/** An object of a PyTorch file of the older form stands behind its magic number, protocol and machine. */
const pickle = pickled.map((object) =>
  Buffer.concat([Buffer.from('80028a0a6cfc9c46f9206aa850192e80024de9032e80027d2e', 'hex'), object]),
);
const inZip = pickled.map((object) =>
  buildZip(
    [
      { name: 'archive/data.pkl', bytes: object },
      { name: 'archive/data/0', bytes: new Uint8Array(64) },
    ],
    { align: 64 },
  ),
);
const npyInZip = fc
  .array(fc.tuple(name, npy, fc.boolean()), { maxLength: 3 })
  .map((list) => buildZip(list.map(([key, bytes, deflate]) => ({ name: `${key}.npy`, bytes, deflate }))));

const field = fc.oneof(
  { weight: 6, arbitrary: fc.constant(undefined) },
  { weight: 1, arbitrary: fc.constantFrom(0, 1, 4096, 2 ** 31, 2 ** 32 - 1) },
);
const zip = fc
  .record({
    files: fc.array(
      fc.record({
        name: fc.oneof(fc.constantFrom('archive/data.pkl', 'archive/version', 'a.npy', 'b.npy'), name),
        bytes: data,
        deflate: fc.boolean(),
        lie: fc.record({
          size: field,
          packed: field,
          crc: field,
          at: field,
          flags: field.map((v) => (v === undefined ? v : v & 0xffff)),
        }),
      }),
      { maxLength: 4 },
    ),
    zip64: fc.boolean(),
    comment: fc.oneof(fc.constant(''), fc.string({ maxLength: 30 }), fc.constant('PK\x05\x06')),
  })
  .map(({ files, ...options }) =>
    buildZip(
      files.map(({ lie, ...file }) => ({
        ...file,
        lie: Object.fromEntries(Object.entries(lie).filter(([, value]) => value !== undefined)),
      })),
      options,
    ),
  );

export const HEADERS: Readonly<Record<string, fc.Arbitrary<Buffer>>> = {
  safetensors,
  gguf,
  npy,
  pickle,
  'pickle-in-zip': inZip,
  'npy-in-zip': npyInZip,
  zip,
};

/** @throws where no arbitrary has this name */
export function headerOf(kind: string, seed: number): Buffer {
  const arbitrary = HEADERS[kind];
  if (arbitrary === undefined) throw new Error(`benches/fuzz/headers.ts has no ${kind}`);
  return fc.sample(arbitrary, { seed, numRuns: 1 })[0]!;
}
