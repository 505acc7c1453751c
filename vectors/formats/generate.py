"""Writes good/ and expected.json. Needs: onnx 1.23.2, safetensors 0.8.0, numpy, ml_dtypes. Seeded; run in this folder."""
import json
import os

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper
from safetensors.numpy import save_file

rng = np.random.default_rng(20261123)
expected = {}
NAMES = {
    T.FLOAT: "F32", T.DOUBLE: "F64", T.FLOAT16: "F16", T.BFLOAT16: "BF16", T.FLOAT8E4M3FN: "F8_E4M3",
    T.FLOAT8E5M2: "F8_E5M2", T.INT8: "I8", T.UINT8: "U8", T.INT16: "I16", T.UINT16: "U16", T.INT32: "I32",
    T.UINT32: "U32", T.INT64: "I64", T.UINT64: "U64", T.BOOL: "BOOL", T.INT4: "I4", T.UINT4: "U4",
}


def number(x):
    x = float(x)
    return x if np.isfinite(x) else str(x)


def note(file, name, dtype, array):
    array = np.asarray(array)
    expected.setdefault(file, {})[name] = {
        "dtype": dtype, "shape": list(array.shape), "values": [number(x) for x in array.astype(np.float64).ravel()],
    }


def values(code, shape):
    n = int(np.prod(shape))
    if code in (T.INT4, T.INT8, T.INT16, T.INT32, T.INT64):
        top = {T.INT4: 8, T.INT8: 128, T.INT16: 2**15, T.INT32: 2**31, T.INT64: 2**53}[code]
        flat = rng.integers(-top, top, n)
        flat[:2] = [-top, top - 1]
    elif code == T.BOOL:
        flat = rng.integers(0, 2, n)
    elif code in (T.UINT4, T.UINT8, T.UINT16, T.UINT32, T.UINT64):
        top = {T.UINT4: 16, T.UINT8: 256, T.UINT16: 2**16, T.UINT32: 2**32, T.UINT64: 2**53}[code]
        flat = rng.integers(0, top, n)
        flat[:2] = [0, top - 1]
    else:
        flat = rng.normal(size=n)
        flat[0] = -0.0
    return flat.reshape(shape)


def array(code, shape):
    return values(code, shape).astype(h.tensor_dtype_to_np_dtype(code))


def save(file, graph, **options):
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 21)], ir_version=10)
    onnx.save_model(model, f"good/{file}", **options)


# Every type, once in raw_data and once in the typed field.
tensors = []
for code, name in NAMES.items():
    for raw in (True, False):
        shape = (3, 5) if code not in (T.INT4, T.UINT4) else (3, 3)
        data = array(code, shape)
        label = f"{name}_{'raw' if raw else 'typed'}"
        if raw:
            tensor = numpy_helper.from_array(data, label)
        else:
            tensor = h.make_tensor(label, code, shape, data.ravel().tolist() if code != T.BOOL else data.ravel().astype(bool))
        tensors.append(tensor)
        note("forms.onnx", label, name, numpy_helper.to_array(tensor))
scalar = h.make_tensor("scalar", T.FLOAT, (), [0.1])
empty = h.make_tensor("empty", T.FLOAT, (0, 4), [])
specials = numpy_helper.from_array(np.array([np.nan, np.inf, -np.inf, 1e-45], np.float32), "specials")
for tensor in (scalar, empty, specials):
    tensors.append(tensor)
    note("forms.onnx", tensor.name, "F32", numpy_helper.to_array(tensor))
identity = h.make_node("Identity", ["x"], ["y"], name="id")
io = lambda name: h.make_tensor_value_info(name, T.FLOAT, ["n", 4])
save("forms.onnx", h.make_graph([identity], "forms", [io("x")], [io("y")], tensors))

# Constant nodes in their forms; branches whose initialisers have one name; an If within an If.
f32 = lambda name, *x: numpy_helper.from_array(np.array(x, np.float32), name)
out = lambda name: h.make_tensor_value_info(name, T.FLOAT, [2])


def branch(name, first, nodes=()):
    return h.make_graph([*nodes, h.make_node("Identity", ["w"], [f"{name}_out"])], name, [], [out(f"{name}_out")],
                        [f32("w", first, first + 1)])


inner = h.make_node("If", ["cond"], ["unused"], name="inner", then_branch=branch("a", 5), else_branch=branch("b", 7))
nodes = [
    h.make_node("Constant", [], ["c_tensor"], value=f32("", 1.5, 2.5)),
    h.make_node("Constant", [], ["c_float"], value_float=0.25),
    h.make_node("Constant", [], ["c_floats"], value_floats=[0.5, 0.75, 1.0]),
    h.make_node("Constant", [], ["c_int"], value_int=-3),
    h.make_node("Constant", [], ["c_ints"], value_ints=[1, -2, 3]),
    h.make_node("If", ["cond"], ["y"], name="outer", then_branch=branch("then", 1, [inner]), else_branch=branch("else", 3)),
]
cond = h.make_tensor_value_info("cond", T.BOOL, [])
save("subgraphs.onnx", h.make_graph(nodes, "subgraphs", [cond], [out("y")]))
note("subgraphs.onnx", "c_tensor", "F32", [1.5, 2.5])
note("subgraphs.onnx", "c_float", "F32", 0.25)
note("subgraphs.onnx", "c_floats", "F32", [0.5, 0.75, 1.0])
note("subgraphs.onnx", "c_int", "I64", -3)
note("subgraphs.onnx", "c_ints", "I64", [1, -2, 3])
note("subgraphs.onnx", "outer/then_branch/w", "F32", [1, 2])
note("subgraphs.onnx", "outer/else_branch/w", "F32", [3, 4])
note("subgraphs.onnx", "outer/then_branch/inner/then_branch/w", "F32", [5, 6])
note("subgraphs.onnx", "outer/then_branch/inner/else_branch/w", "F32", [7, 8])

# External data: two tensors in one file, at offsets.
big = [numpy_helper.from_array(rng.normal(size=(4, 16)).astype(np.float32), "w1"),
       numpy_helper.from_array(rng.normal(size=(16, 4)).astype(np.float16), "w2")]
for tensor in big:
    note("external.onnx", tensor.name, NAMES[tensor.data_type], numpy_helper.to_array(tensor))
matmul = h.make_node("MatMul", ["x", "w1"], ["h"], name="m1")
cast = h.make_node("Cast", ["w2"], ["w2f"], name="cast", to=T.FLOAT)
matmul2 = h.make_node("MatMul", ["h", "w2f"], ["y"], name="m2")
if os.path.exists("good/external.bin"):
    os.remove("good/external.bin")
save("external.onnx", h.make_graph([matmul, cast, matmul2], "external", [io("x")], [io("y")], big), save_as_external_data=True,
     all_tensors_to_one_file=True, location="external.bin", size_threshold=0, convert_attribute=False)

# safetensors: every type numpy has, and two shards with an index.
types = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16, "I64": np.int64, "I32": np.int32,
         "I16": np.int16, "I8": np.int8, "U64": np.uint64, "U32": np.uint32, "U16": np.uint16, "U8": np.uint8, "BOOL": np.bool_}
tensors = {name: (rng.normal(size=(2, 3)) * 50).astype(dtype) if name[0] != "U" else rng.integers(0, 200, (2, 3)).astype(dtype)
           for name, dtype in types.items()}
tensors["scalar"] = np.array(2.5, np.float32)
tensors["empty"] = np.zeros((0, 3), np.float32)
save_file(tensors, "good/types.safetensors", metadata={"made by": "safetensors", "ü": "✓"})
for name, value in tensors.items():
    note("types.safetensors", name, name if name in types else "F32", value)
weight_map = {}
for i, names in enumerate((("a.weight", "a.bias"), ("b.weight",)), 1):
    file = f"model-{i:05}-of-00002.safetensors"
    shard = {name: rng.normal(size=(3, 2)).astype(np.float32) for name in names}
    save_file(shard, f"good/sharded/{file}")
    for name, value in shard.items():
        weight_map[name] = file
        note("sharded", name, "F32", value)
with open("good/sharded/model.safetensors.index.json", "w") as f:
    json.dump({"metadata": {"total_size": 72}, "weight_map": weight_map}, f)

# float64 → float16 as numpy rounds it: ties, near ties, subnormals, overflow.
halves = np.arange(0, 0x7C00, 37, dtype=np.uint16).view(np.float16).astype(np.float64)
following = np.nextafter(halves.astype(np.float16), np.float16(np.inf)).astype(np.float64)
ties = (halves + np.minimum(following, 65536.0)) / 2
cases = np.concatenate([ties, np.nextafter(ties, 0), np.nextafter(ties, np.inf), -ties])
with np.errstate(over="ignore"):
    bits = cases.astype(np.float16).view(np.uint16)
expected["float16 rounding"] = {"cases": cases.tolist(), "bits": bits.tolist()}

with open("expected.json", "w") as f:
    json.dump(expected, f, separators=(",", ":"))
