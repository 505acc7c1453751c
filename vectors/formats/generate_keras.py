"""Writes good/keras/, good/hdf5/, expected-keras.json, and the .h5 and .keras files of bad/ with bad/expected-keras.json.
Needs: keras 3.15.1 on torch 2.15.0, h5py 3.16.0 (HDF5 2.0.0), ml_dtypes 0.6.0, numpy 2.4.6, Python 3.11. Seeded; run in
this folder. What a model's weights are called and hold is what `model.weights` says (gates of recurrent layers are put
in ONNX's order, with one direction before); arrays are what h5py reads."""
import base64
import io
import json
import os
import re
import struct
import warnings
import zipfile
import zlib

os.environ["KERAS_BACKEND"] = "torch"
warnings.filterwarnings("ignore")
import h5py  # noqa: E402
import keras  # noqa: E402
import ml_dtypes  # noqa: E402
import numpy as np  # noqa: E402
from keras import layers as L  # noqa: E402

rng = np.random.default_rng(20261123)
keras.utils.set_random_seed(20261123)
for folder in ("good/keras", "good/hdf5", "bad"):
    os.makedirs(folder, exist_ok=True)

TYPES = {"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64", "int32": "I32",
         "int16": "I16", "int8": "I8", "uint64": "U64", "uint32": "U32", "uint16": "U16", "uint8": "U8", "bool": "BOOL"}
expected = {}


def told(values):
    """Shape, type, and float64 values in base64."""
    values = np.asarray(values)
    return {"dtype": TYPES[values.dtype.name], "shape": list(values.shape),
            "f64": base64.b64encode(np.ascontiguousarray(values.astype("<f8")).tobytes()).decode()}


def weights_of(model, layers=True):
    """As Keras has them; those of recurrent layers as ONNX takes them, where the file tells the layers."""
    found = {w.path: keras.ops.convert_to_numpy(w) for w in model.weights}
    assert len(found) == len(model.weights)
    return {path: told(in_onnx_order(path, values) if layers else values) for path, values in found.items()}


def in_onnx_order(path, values):
    """Gates as i, o, f, c; a bias for the input beside that for the state; one direction. A stack of cells stays."""
    kind = re.search(r"^(?!stack/).*/(lstm|gru)_cell/(kernel|recurrent_kernel|bias)$", path)
    if kind is None:
        return values
    if kind[1] == "lstm":
        i, f, c, o = np.split(values, 4, axis=-1)
        values = np.concatenate([i, o, f, c], axis=-1)
        if kind[2] == "bias":
            values = np.concatenate([values, np.zeros_like(values)])
    return values.reshape(1, -1) if kind[2] == "bias" else values[None]


# ---- models

def images():
    x = image = keras.Input((6, 6, 2), name="image")
    x = L.Conv2D(3, 3, name="conv", activation="relu")(x)
    x = L.DepthwiseConv2D(2, name="depthwise")(x)
    x = L.BatchNormalization(name="norm")(x)
    x = L.SeparableConv2D(4, 2, name="separable")(x)
    x = L.Conv2DTranspose(3, 2, name="transpose", use_bias=False)(x)
    x = L.Flatten(name="flat")(x)
    return keras.Model(image, L.Dense(2, name="dense")(x), name="images")


def sequences():
    words = keras.Input((5,), dtype="int32", name="words")
    x = L.Embedding(7, 4, name="embedding")(words)
    x = L.MultiHeadAttention(2, 3, name="attention")(x, x)
    x = L.LayerNormalization(name="norm")(x)
    x = L.Bidirectional(L.LSTM(2, return_sequences=True), name="both")(x)
    x = L.TimeDistributed(L.Dense(4, name="each"), name="steps")(x)
    x = L.RNN([L.GRUCell(3), L.LSTMCell(2)], return_sequences=True, name="stack")(x)
    return keras.Model(words, L.GRU(3, name="gru")(x), name="sequences")


def nested():
    inner_input = keras.Input((3,), name="inner_input")
    inner = keras.Model(inner_input, L.Dense(3, name="dense")(inner_input), name="inner")
    line = keras.Sequential([keras.Input((3,)), L.Dense(3, name="dense"), L.Dense(3, name="last")], name="line")
    x = keras.Input((3,), name="x")
    y = inner(x)
    return keras.Model(x, L.Dense(1, name="out")(L.Add(name="sum")([inner(y), line(y)])), name="nested")


def randomise(model):
    for w in model.weights:
        w.assign(rng.normal(size=w.shape).astype("float32"))


LAYOUTS = {}
for build in (images, sequences, nested):
    model = build()
    randomise(model)
    name = model.name
    if name == "images":
        model.compile("adam", "mse")
        model.optimizer.build(model.trainable_variables)
        optimizer = [keras.ops.convert_to_numpy(v) for v in model.optimizer.variables]
        paths = [v.path for v in model.optimizer.variables]
    for ending in (".h5", ".keras", ".weights.h5"):
        file = f"good/keras/{name}{ending}"
        (model.save_weights if ending == ".weights.h5" else model.save)(file)
        expected[f"keras/{name}{ending}"] = weights_of(model, ending != ".weights.h5")
        if name == "sequences" and ending == ".weights.h5":
            # Nothing tells what the layer inside `steps` is.
            found = expected[f"keras/{name}{ending}"]
            found["steps/each/0"], found["steps/each/1"] = found.pop("steps/each/kernel"), found.pop("steps/each/bias")
        if name == "images":
            names = [f"optimizer/{p}" if ending == ".h5" else f"optimizer/{i}" for i, p in enumerate(paths)]
            expected[f"keras/{name}{ending}"] |= {n: told(v) for n, v in zip(names, optimizer)}

for policy in ("float16", "bfloat16", "mixed_float16"):
    model = keras.Sequential([keras.Input((3,)), L.Dense(2, name="dense", dtype=policy)], name="half")
    model.save(f"good/keras/{policy}.keras")
    expected[f"keras/{policy}.keras"] = weights_of(model)

model = keras.Sequential([keras.Input((3,)), L.Lambda(eval(compile("lambda x: x + 1", "code", "eval")), name="code"), L.Dense(2, name="dense")], name="s")
for ending in (".h5", ".keras"):
    model.save(f"good/keras/lambda{ending}")
    expected[f"keras/lambda{ending}"] = weights_of(model)


class Own(keras.Model):
    def __init__(self, **settings):
        super().__init__(**settings)
        self.first = L.Dense(3, name="first")
        self.rest = [L.Dense(3, name="second"), L.Dense(2, name="third")]

    def call(self, x):
        return self.rest[1](self.rest[0](self.first(x)))


model = Own(name="own")
model(np.zeros((1, 3), "float32"))
model.save("good/keras/own.keras")
# Which variable of `first` is which stands nowhere in the file.
numbers = {"own/first/kernel": "own/first/0", "own/first/bias": "own/first/1"}
expected["keras/own.keras"] = {numbers.get(name, name): values for name, values in weights_of(model).items()}


def older(file, cut):
    """As Keras 2 writes it: names with `:0`, lists cut in pieces where `cut`, calls of nested models counted from 1."""
    dense = {"units": 3, "activation": "linear", "use_bias": True}

    def layer(kind, called, inbound, **config):
        return {"class_name": kind, "config": {"name": called, **config}, "name": called, "inbound_nodes": inbound}

    inner = {"name": "inner", "layers": [
        layer("InputLayer", "input_1", [], batch_input_shape=[None, 3]),
        layer("Dense", "dense", [[["input_1", 0, 0, {}]]], **dense)],
        "input_layers": [["input_1", 0, 0]], "output_layers": [["dense", 0, 0]]}
    model = {"class_name": "Functional", "config": {"name": "model", "layers": [
        layer("InputLayer", "input_2", [], batch_input_shape=[None, 3]),
        layer("Functional", "inner", [[["input_2", 0, 0, {}]], [["inner", 1, 0, {}]]], **inner),
        layer("MultiHeadAttention", "attention", [[["input_2", 0, 0, {"value": ["inner", 2, 0]}]]], num_heads=2, key_dim=3),
        layer("Dense", "dense_1", [[["attention", 0, 0, {}]]], **dense)],
        "input_layers": [["input_2", 0, 0]], "output_layers": [["dense_1", 0, 0]]}}
    weights = {"input_2": {}, "inner": {"dense/kernel:0": (3, 3), "dense/bias:0": (3,)},
               "attention": {"attention/query/kernel:0": (3, 2, 3), "attention/attention_output/kernel:0": (2, 3, 3)},
               "dense_1": {"dense/kernel:0": (3, 3), "dense/bias:0": (3,)}}
    found = {}
    with h5py.File(file, "w") as f:
        f.attrs["model_config"] = json.dumps(model)
        f.attrs["keras_version"] = b"2.15.0"
        f.attrs["backend"] = b"tensorflow"
        group = f.create_group("model_weights")

        def listed(place, key, names):
            halves = np.array_split(np.asarray([n.encode() for n in names]), 2)
            for i, half in enumerate(halves if cut and names else []):
                place.attrs[f"{key}{i}"] = half
            if not (cut and names):
                place.attrs[key] = [n.encode() for n in names]

        listed(group, "layer_names", list(weights))
        for name, variables in weights.items():
            place = group.create_group(name)
            listed(place, "weight_names", list(variables))
            for variable, shape in variables.items():
                values = rng.normal(size=shape).astype("<f4")
                place[variable] = values
                # Two layers call their weights alike.
                alone = variable[:-2] if name == "attention" else f"{name}/{variable[:-2]}"
                found[alone] = told(values)
    return found


expected["keras/keras2.h5"] = older("good/keras/keras2.h5", False)
expected["keras/keras2-cut.h5"] = older("good/keras/keras2-cut.h5", True)


# ---- HDF5 of other programs

def arrays(f, dense):
    a = rng.normal
    for code in "<f2 <f4 <f8 >f2 >f4 >f8 i1 u1 <i2 >i2 <u2 <i4 >u4 <i8 >i8 <u8 ?".split():
        name = "types/" + code.replace("<", "little ").replace(">", "big ").replace("?", "bool")
        f.create_dataset(name, data=(a(size=(2, 3)) * 50).astype(code))
    f["types/bfloat16"] = a(size=3).astype(ml_dtypes.bfloat16)
    f["types/bfloat16"].attrs["dtype"] = "bfloat16"
    own = h5py.h5t.IEEE_F32LE.copy()
    own.set_fields(15, 7, 8, 0, 7)
    own.set_size(2)
    own.set_ebias(127)
    own.set_precision(16)
    space = h5py.h5s.create_simple((3,))
    h5py.h5d.create(f["types"].id, b"float of two bytes", own, space).write(
        h5py.h5s.ALL, h5py.h5s.ALL, np.float32([1, -2.5, 3]), h5py.h5t.NATIVE_FLOAT)
    f["scalar"] = np.float32(2.5)
    f["same"] = f["scalar"]
    f["empty"] = np.zeros((0, 3), "<f4")
    f.create_dataset("unwritten", (2, 3), "<f4", fillvalue=7)
    compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    compact.set_layout(h5py.h5d.COMPACT)
    h5py.Dataset(h5py.h5d.create(f.id, b"compact", h5py.h5t.IEEE_F32BE, space, compact))[...] = [1, 2, 3]
    f["words"] = "text"
    packed = [{}, {"compression": "gzip"}, {"compression": "gzip", "shuffle": True, "fletcher32": True}, {"fletcher32": True}]
    for i, filters in enumerate(packed):
        c = f.create_group(f"chunks {i}")
        c.create_dataset("plain", data=a(size=(5, 7)), chunks=(2, 3), **filters)
        c.create_dataset("one", data=a(size=(5, 7)), chunks=(5, 7), **filters)
        c.create_dataset("bounded", data=a(size=(5, 3)).astype(">f4"), chunks=(2, 2), maxshape=(9, 8), **filters)
        c.create_dataset("growing", data=a(size=(3, 20)), chunks=(2, 1), maxshape=(4, None), **filters)
        c.create_dataset("growing twice", data=a(size=(9, 9)).astype("<f4"), chunks=(2, 2), maxshape=(None, None), **filters)
    sparse = f.create_dataset("sparse", (40, 3), "<f4", chunks=(3, 3), fillvalue=-1)
    sparse[20:22] = a(size=(2, 3))
    early = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    early.set_chunk((2, 3))
    early.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    space = h5py.h5s.create_simple((5, 7))
    h5py.Dataset(h5py.h5d.create(f.id, b"implicit", h5py.h5t.IEEE_F64LE, space, early))[...] = a(size=(5, 7))
    many = f.create_group("many")
    for i in range(dense):
        many[f"member {i}"] = np.uint8(i)
    f.attrs["text"] = "any text"
    f.attrs["number"] = 1.5
    f.attrs["several"] = ["a", "b"]
    for i in range(9):
        f.attrs[f"attribute {i}"] = "x" * i


def read_back(file):
    found = {}

    def visit(group, path):
        for name, member in group.items():
            if isinstance(member, h5py.Group):
                visit(member, f"{path}{name}/")
            elif member.dtype.kind != "O":
                values = member[()]
                if member.dtype.kind == "V":
                    values = values.view(ml_dtypes.bfloat16)
                if name == "float of two bytes":
                    values = np.asarray(values).astype(ml_dtypes.bfloat16)
                found[path + name] = told(values)

    with h5py.File(file) as f:
        visit(f, "")
    return found


for libver in ("earliest", "v108", "latest"):
    file = f"good/hdf5/{libver}.h5"
    with h5py.File(file, "w", libver=(libver, libver) if libver == "v108" else libver) as f:
        arrays(f, 30)
        if libver == "latest":
            f.attrs["large"] = np.array([b"x" * 700] * 100)
    expected[f"hdf5/{libver}.h5"] = read_back(file)

# Little of each kind, for mutants.
for libver in ("earliest", "latest"):
    file = f"good/hdf5/small-{libver}.h5"
    with h5py.File(file, "w", libver=libver) as f:
        f["plain"] = rng.normal(size=(2, 3)).astype("<f4")
        f.create_dataset("packed", data=rng.normal(size=(5, 7)), chunks=(3, 4), compression="gzip", shuffle=True, fletcher32=True)
        f.create_dataset("growing", data=rng.normal(size=(3, 20)), chunks=(2, 2), maxshape=(4, None))
        f.create_dataset("growing twice", data=rng.normal(size=(3, 4)), chunks=(2, 2), maxshape=(None, None))
        for i in range(12):
            f[f"many/{i}"] = np.uint8(i)
            f.attrs[f"attribute {i}"] = "text"
    expected[f"hdf5/small-{libver}.h5"] = read_back(file)

# Data blocks with pages, and those of secondary blocks, come with many chunks only; deflate keeps their file small.
with h5py.File("good/hdf5/pages.h5", "w", libver="latest") as f:
    f.create_dataset("fixed", data=np.arange(1100, dtype="<f4"), chunks=(1,))
    part = f.create_dataset("few", (1500,), "<f4", chunks=(1,), maxshape=(4000,), fillvalue=3)
    part[1200:1202] = 1
    part = f.create_dataset("growing", (600,), "<f4", chunks=(1,), maxshape=(None,))
    part[590:593] = 2
    part[40] = 5
expected["hdf5/pages.h5"] = read_back("good/hdf5/pages.h5")

json.dump({"by": {"keras": keras.__version__, "h5py": h5py.__version__, "hdf5": h5py.version.hdf5_version}, "files": expected},
          open("expected-keras.json", "w"), indent=0)


# ---- hostile files

refused = {}


def bad(name, data, code):
    open(f"bad/{name}", "wb").write(data)
    refused[name] = code


def made(fill, **settings):
    stream = io.BytesIO()
    with h5py.File(stream, "w", **settings) as f:
        fill(f)
    return bytearray(stream.getvalue())


def patched(data, at, *parts):
    data = bytearray(data)
    for part in parts:
        data[at:at + len(part)] = part
        at += len(part)
    return data


def u64(*values):
    return struct.pack(f"<{len(values)}Q", *values)


def small(f):
    f["array"] = np.arange(6, dtype="<f4").reshape(2, 3)
    f["brray"] = np.arange(6, dtype="<f4")


plain = made(small)
newer = made(small, libver=("v110", "v110"))
ROOT = 64  # the root group's entry in superblock 0, at its header's address
root_header = struct.unpack_from("<Q", plain, ROOT)[0]
tree, heap, leaf = plain.find(b"TREE"), plain.find(b"HEAP"), plain.find(b"SNOD")
names = struct.unpack_from("<Q", plain, heap + 24)[0]
first, second = (struct.unpack_from("<Q", plain, leaf + 8 + 40 * i + 8)[0] for i in range(2))


def message(data, header, kind):
    """Where the body of a message of a version 1 header lies."""
    at = header + 16
    while True:
        found, size = struct.unpack_from("<HH", data, at)
        if found == kind:
            return at + 8
        at += 8 + size


layout = message(plain, first, 8)
space = message(plain, first, 1)
dtype = message(plain, first, 3)

bad("cut.h5", plain[:-1], "HDF5_TRUNCATED")
bad("mark-alone.h5", plain[:8], "HDF5_TRUNCATED")
bad("superblock-4.h5", patched(plain, 8, b"\4"), "HDF5_VERSION")
bad("addresses-of-3-bytes.h5", patched(plain, 13, b"\3"), "HDF5_MALFORMED")
bad("user-block.h5", patched(plain, 24, u64(512)), "HDF5_LAYOUT")
bad("root-beyond.h5", patched(plain, ROOT, u64(2**40)), "HDF5_TRUNCATED")
bad("root-2-63.h5", patched(plain, ROOT, u64(2**63)), "HDF5_SIZE_RANGE")
bad("root-itself.h5", patched(plain, ROOT, u64(0)), "HDF5_VERSION")
bad("root-array.h5", patched(plain, ROOT, u64(first)), "HDF5_MALFORMED")
bad("header-4-gib.h5", patched(plain, root_header + 8, struct.pack("<I", 2**32 - 1)), "HDF5_TRUNCATED")
bad("message-beyond-header.h5", patched(plain, root_header + 18, struct.pack("<H", 60000)), "HDF5_MALFORMED")
bad("header-continues-in-itself.h5",
    patched(plain, first + 16, struct.pack("<HHI", 16, 16, 0), u64(first + 16, 48)), "HDF5_LOOP")
bad("tree-in-itself.h5", patched(patched(plain, tree + 5, b"\1"), tree + 32, u64(tree)), "HDF5_LOOP")
bad("tree-of-level-9.h5", patched(plain, tree + 5, b"\t"), "HDF5_MALFORMED")
bad("leaf-twice.h5", patched(plain, tree + 6, struct.pack("<H", 2), b"", plain[tree + 8:tree + 40], u64(leaf, leaf, leaf)),
    "HDF5_LOOP")
bad("tree-of-65535-leaves.h5", patched(plain, tree + 6, b"\xff\xff"), "HDF5_TRUNCATED")
bad("names-in-themselves.h5", patched(plain, heap + 24, u64(heap)), "HDF5_LOOP")
bad("names-beyond.h5", patched(plain, heap + 24, u64(2**50)), "HDF5_TRUNCATED")
bad("names-2-60.h5", patched(plain, heap + 8, u64(2**60)), "HDF5_SIZE_RANGE")
bad("name-beyond-heap.h5", patched(plain, leaf + 8, u64(10**6)), "HDF5_MALFORMED")
bad("slash-in-name.h5", plain.replace(b"brray\0", b"br/ay\0"), "HDF5_NAME")
bad("same-name.h5", plain.replace(b"brray\0", b"array\0"), "HDF5_NAME")
bad("name-not-utf8.h5", plain.replace(b"brray\0", b"br\xffay\0"), "UTF8_INVALID")
bad("shape-2-52-twice.h5", patched(plain, space + 8, u64(2**52, 2**52, 2**52, 2**52)), "HDF5_SHAPE")
bad("shape-2-40.h5", patched(plain, space + 8, u64(2**20, 2**20), u64(2**20, 2**20)), "HDF5_SIZE")
bad("shape-of-200-axes.h5", patched(plain, space + 1, b"\xc8"), "HDF5_MALFORMED")
bad("type-of-class-15.h5", patched(plain, dtype, b"\x1f"), "HDF5_MALFORMED")
bad("type-of-no-bytes.h5", patched(plain, dtype + 4, struct.pack("<I", 0)), "HDF5_MALFORMED")
bad("layout-9.h5", patched(plain, layout, b"\t"), "HDF5_VERSION")
bad("values-beyond.h5", patched(plain, layout + 2, u64(2**40)), "HDF5_TRUNCATED")
bad("values-shared.h5", patched(plain, message(plain, second, 8) + 2, plain[layout + 2:layout + 10]), "HDF5_OVERLAP")
bad("sum-of-root.h5", patched(newer, 44, b"\0\0\0\0"), "HDF5_CHECKSUM")
bad("sum-of-header.h5", newer.replace(b"brray", b"crray"), "HDF5_CHECKSUM")


def chunks(f):
    f.create_dataset("array", data=np.arange(1000, dtype="<f4"), chunks=(500,), compression="gzip", fletcher32=True)


packed = made(chunks)
index = packed.rfind(b"TREE")
keys = index + 24
piece = struct.unpack_from("<Q", packed, keys + 24)[0]
length = struct.unpack_from("<I", packed, keys)[0]
bad("chunk-changed.h5", patched(packed, piece + 40, bytes([packed[piece + 40] ^ 1])), "HDF5_CHECKSUM")
bad("chunk-beyond.h5", patched(packed, keys + 24, u64(2**41)), "HDF5_TRUNCATED")
bad("chunk-of-4-gib.h5", patched(packed, keys, struct.pack("<I", 2**32 - 1)), "HDF5_TRUNCATED")
bad("chunks-in-themselves.h5", patched(patched(packed, index + 5, b"\1"), keys + 24, u64(index)), "HDF5_MALFORMED")
bad("chunks-of-files-names.h5", patched(packed, index + 4, b"\0"), "HDF5_MALFORMED")
bad("chunks-unpacked-by-masks.h5", patched(packed, keys + 4, struct.pack("<I", 3)), "HDF5_SIZE")
deflated = made(lambda f: f.create_dataset("array", data=np.zeros(1000, "<f4"), chunks=(1000,), compression="gzip"))
index = deflated.rfind(b"TREE")
piece, length = struct.unpack_from("<Q", deflated, index + 48)[0], struct.unpack_from("<I", deflated, index + 24)[0]
bad("chunk-not-deflated.h5", patched(deflated, piece, b"\xff" * length), "HDF5_INFLATE")
bomb = zlib.compress(bytes(2**20), 9)
bad("chunk-inflates-to-1-mib.h5",
    patched(deflated + bomb, index + 24, struct.pack("<II", len(bomb), 0), u64(0, 0), u64(len(deflated))), "HDF5_SIZE")
bad("chunks-of-128-mib.h5", made(lambda f: f.create_dataset("a", (2**26,), "<f4", chunks=(2**25,), compression="gzip")),
    "HDF5_TOO_LARGE")
bad("chunks-never-written.h5", made(lambda f: f.create_dataset("a", (2**40,), "<f4", chunks=(2**20,), compression="gzip")),
    "HDF5_BOMB")
bad("never-written.h5", made(lambda f: f.create_dataset("a", (2**40,), "<f4")), "HDF5_BOMB")
bad("chunks-of-one.h5", made(lambda f: f.create_dataset("a", (2**20,), "u1", chunks=(1,))), "HDF5_BOMB")


def cycle(f):
    small(f)
    f.create_group("group")["up"] = f["/"]


def twice(f):
    small(f)
    f.create_group("one").create_group("inside")
    f["two"] = f["one"]


def deep(f):
    f["/".join(["g"] * 70)] = np.float32(1)


def virtual(f):
    virtual = h5py.VirtualLayout((2,), "<f4")
    virtual[:] = h5py.VirtualSource("other.h5", "a", (2,))
    f.create_virtual_dataset("a", virtual)


def committed(f):
    f["type"] = np.dtype("<f4")
    f.create_dataset("a", (2,), dtype=f["type"])


def links(link):
    def fill(f):
        small(f)
        f["other"] = link
    return fill


def dataset(**settings):
    return lambda f: f.create_dataset("a", **settings)


for libver in ("earliest", "latest"):
    end = "" if libver == "earliest" else "-newer"
    bad(f"group-in-itself{end}.h5", made(cycle, libver=libver), "HDF5_LOOP")
    bad(f"group-twice{end}.h5", made(twice, libver=libver), "HDF5_LOOP")
    bad(f"groups-70-deep{end}.h5", made(deep, libver=libver), "HDF5_TOO_DEEP")
    bad(f"soft-link{end}.h5", made(links(h5py.SoftLink("/array")), libver=libver), "HDF5_LINK")
    bad(f"external-link{end}.h5", made(links(h5py.ExternalLink("other.h5", "/a")), libver=libver), "HDF5_LINK")
bad("virtual.h5", made(virtual, libver="latest"), "HDF5_LAYOUT")
bad("values-in-other-files.h5", made(dataset(shape=(2,), dtype="<f4", external=[("other.bin", 0, 8)])), "HDF5_EXTERNAL")
bad("type-elsewhere.h5", made(committed), "HDF5_SHARED")
bad("references.h5", made(dataset(shape=(2,), dtype=h5py.ref_dtype)), "HDF5_DTYPE")
bad("compound.h5", made(dataset(data=np.zeros(2, "<f4,<i4"))), "HDF5_DTYPE")
bad("complex.h5", made(dataset(data=np.zeros(2, "<c8"))), "HDF5_DTYPE")
bad("lists.h5", made(dataset(shape=(2,), dtype=h5py.vlen_dtype("<f4"))), "HDF5_DTYPE")
bad("bytes.h5", made(dataset(data=np.zeros(2, "V3"))), "HDF5_DTYPE")
bad("lzf.h5", made(dataset(data=np.zeros(9, "<f4"), compression="lzf")), "HDF5_FILTER")
bad("scale-offset.h5", made(dataset(data=np.zeros(9, "<i4"), scaleoffset=4)), "HDF5_FILTER")
bad("no-arrays.h5", made(lambda f: f.create_group("group")), "MODEL_NO_TENSORS")


def lookup3(data):
    rot = lambda x, k: ((x << k) | (x >> (32 - k))) & 0xFFFFFFFF  # noqa: E731
    a = b = c = (0xDEADBEEF + len(data)) & 0xFFFFFFFF
    words = lambda part: struct.unpack("<3I", part.ljust(12, b"\0"))  # noqa: E731
    while len(data) > 12:
        x, y, z = words(data[:12])
        a, b, c = a + x, b + y, c + z
        for k, step in enumerate((4, 6, 8, 16, 19, 4)):
            # Each of the three in turn: minus the one before it, mixed with that one, which takes the third.
            a = ((a - c) ^ rot(c & 0xFFFFFFFF, step)) & 0xFFFFFFFF
            c = (c + b) & 0xFFFFFFFF
            a, b, c = b & 0xFFFFFFFF, c, a
        data = data[12:]
    if data:
        x, y, z = words(data)
        a, b, c = (a + x) & 0xFFFFFFFF, (b + y) & 0xFFFFFFFF, (c + z) & 0xFFFFFFFF
        for step in (14, 11, 25, 16, 4, 14, 24):
            c = ((c ^ b) - rot(b, step)) & 0xFFFFFFFF
            a, b, c = b, c, a
        return b
    return c


def summed(data, at, length):
    """The part at `at` with its checksum made anew."""
    return patched(data, at + length - 4, struct.pack("<I", lookup3(bytes(data[at:at + length - 4]))))


def crowd(f):
    for i in range(30):
        f[f"member {i}"] = np.uint8(i)


dense = made(crowd, libver=("v110", "v110"))
fractal, names_tree = dense.find(b"FRHP"), dense.find(b"BTHD")
leaf = struct.unpack_from("<Q", dense, names_tree + 16)[0]
HEAP_BYTES, TREE_BYTES, LEAF_BYTES = 22 + 12 * 8 + 3 * 8 + 4, 38, 10 + 30 * 11
assert summed(dense, fractal, HEAP_BYTES) == dense and summed(dense, names_tree, TREE_BYTES) == dense
assert summed(dense, leaf, LEAF_BYTES) == dense


def in_heap(at, *parts):
    return summed(patched(dense, fractal + at, *parts), fractal, HEAP_BYTES)


def in_tree(at, *parts):
    return summed(patched(dense, names_tree + at, *parts), names_tree, TREE_BYTES)


def in_leaf(at, *parts):
    return summed(patched(dense, leaf + at, *parts), leaf, LEAF_BYTES)


bad("heap-changed.h5", patched(dense, fractal + 60, b"\xaa"), "HDF5_CHECKSUM")
bad("heap-packed.h5", in_heap(7, b"\1"), "HDF5_FILTER")
bad("heap-of-no-width.h5", in_heap(110, b"\0\0"), "HDF5_MALFORMED")
bad("heap-in-itself.h5", in_heap(132, u64(fractal)), "HDF5_CHECKSUM")
bad("heap-of-60-rows.h5", in_heap(140, b"\x3c\0"), "HDF5_CHECKSUM")
bad("tree-of-records-of-0.h5", in_tree(10, b"\0\0"), "HDF5_MALFORMED")
bad("tree-60-deep.h5", in_tree(12, b"\x3c\0"), "HDF5_MALFORMED")
bad("tree-3-deep.h5", in_tree(12, b"\3\0"), "HDF5_MALFORMED")
bad("tree-of-65535-records.h5", in_tree(24, b"\xff\xff"), "HDF5_MALFORMED")
bad("tree-is-its-own-root.h5", in_tree(16, u64(names_tree)), "HDF5_CHECKSUM")
bad("tree-of-chunks.h5", in_tree(5, b"\n"), "HDF5_MALFORMED")
bad("name-beyond-its-heap.h5", in_leaf(6 + 5, b"\xff\xff\xff\xff"), "HDF5_MALFORMED")
bad("name-of-no-kind.h5", in_leaf(6 + 4, b"\x30"), "HDF5_MALFORMED")
bad("name-large-without-tree.h5", in_leaf(6 + 4, b"\x10"), "HDF5_MALFORMED")


# ---- hostile Keras models

DENSE = {"class_name": "Dense", "config": {"name": "dense", "units": 2}}


def keras2(config=None, layers=("dense",), weights=("dense/kernel:0",)):
    def fill(f):
        f.attrs["model_config"] = config if isinstance(config, str) else json.dumps(
            config or {"class_name": "Sequential", "config": {"name": "s", "layers": [DENSE]}})
        group = f.create_group("model_weights")
        group.attrs["layer_names"] = [n.encode() for n in layers]
        place = group.create_group("dense")
        place.attrs["weight_names"] = [n.encode() for n in weights]
        place["dense/kernel:0"] = np.zeros((2, 2), "<f4")
    return made(fill)


def functional(*layers, outputs=()):
    return {"class_name": "Functional", "config": {"name": "m", "layers": list(layers), "input_layers": [],
                                                   "output_layers": list(outputs)}}


def nest(depth):
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [DENSE]}}
    for _ in range(depth):
        config = {"class_name": "Sequential", "config": {"name": "s", "layers": [config]}}
    return config


def multiplied(depth):
    """Each model calls the one inside it four times."""
    inner = DENSE
    for _ in range(depth):
        x = {"class_name": "InputLayer", "name": "x", "config": {"name": "x"}, "inbound_nodes": []}
        calls = [[["x", 0, 0, {}]]] + [[["inner", k, 0, {}]] for k in range(3)]
        inner = {"class_name": "Functional", "config": {"name": "inner", "layers": [x, {**inner, "name": "inner", "inbound_nodes": calls}],
                                                        "input_layers": [["x", 0, 0]], "output_layers": [["inner", 3, 0]]}}
    return inner


bad("keras-layer-missing.h5", keras2(layers=("dense", "other")), "KERAS_WEIGHTS")
bad("keras-layer-twice.h5", keras2(layers=("dense", "dense")), "KERAS_WEIGHTS")
bad("keras-weight-missing.h5", keras2(weights=("dense/bias:0",)), "KERAS_WEIGHTS")
bad("keras-weight-twice.h5", keras2(weights=("dense/kernel:0",) * 2), "KERAS_WEIGHTS")
bad("keras-weight-is-a-group.h5", keras2(weights=("dense",)), "KERAS_WEIGHTS")
bad("keras-config-cut.h5", keras2('{"class_name": "Sequential"'), "JSON_INVALID")
bad("keras-config-of-nothing.h5", keras2("[]"), "KERAS_CONFIG")
bad("keras-config-layer-without-name.h5", keras2(functional({"class_name": "Dense", "config": {}})), "KERAS_CONFIG")
bad("keras-config-same-name.h5", keras2(functional(DENSE, DENSE)), "KERAS_CONFIG")
bad("keras-config-takes-what-is-not.h5",
    keras2(functional({**DENSE, "inbound_nodes": [[["absent", 0, 0, {}]]]})), "KERAS_CONFIG")
bad("keras-config-call-9.h5", keras2(functional(DENSE, outputs=[["dense", 9, 0]])), "KERAS_CONFIG")
bad("keras-config-18-deep.h5", keras2(nest(18)), "KERAS_TOO_DEEP")
bad("keras-config-multiplied.h5", keras2(multiplied(9)), "KERAS_TOO_MANY")
bad("keras-config-40-deep.h5", keras2(nest(40)), "JSON_TOO_DEEP")
config = made(lambda f: (f.attrs.__setitem__("model_config", "{}" * 10)))
collection = config.find(b"GCOL")
bad("text-beyond-heap.h5", patched(config, collection + 24, u64(2**40)), "HDF5_MALFORMED")
bad("text-longer-than-its-place.h5", patched(config, collection + 24, u64(4)), "HDF5_MALFORMED")
bad("text-of-another-number.h5", patched(config, collection + 16, b"\7"), "HDF5_MALFORMED")
bad("heap-of-texts-beyond.h5", patched(config, collection + 8, u64(2**40), b"\7\0"), "HDF5_TRUNCATED")


def archive(weights=bytes(plain), config=json.dumps({"class_name": "Sequential", "config": {"layers": [DENSE]}}).encode(),
            packing=zipfile.ZIP_STORED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", packing) as z:
        for name, data in (("metadata.json", b"{}"), ("config.json", config), ("model.weights.h5", weights)):
            if data is not None:
                z.writestr(zipfile.ZipInfo(name), data, packing)
    return stream.getvalue()


bad("layer-constructor-without-weights.keras", archive(bytes(made(lambda f: f.create_group("layers/constructor/vars"))), json.dumps(
    {"class_name": "Sequential", "config": {"layers": [{"class_name": "constructor", "config": {"name": "__proto__"}}]}}).encode()),
    "MODEL_NO_TENSORS")
bad("no-weights.keras", archive(None), "KERAS_WEIGHTS")
bad("weights-cut.keras", archive(bytes(plain[:-1])), "HDF5_TRUNCATED")
bad("weights-are-json.keras", archive(b"{}" * 20), "HDF5_MALFORMED")
bad("config-cut.keras", archive(config=b"{"), "JSON_INVALID")
bad("config-bomb.keras", archive(config=b" " * (65 * 2**20), packing=zipfile.ZIP_DEFLATED), "ZIP_BOMB")
bad("external-link.keras", archive(bytes(made(links(h5py.ExternalLink("/etc/passwd", "/a"))))), "HDF5_LINK")

json.dump(refused, open("bad/expected-keras.json", "w"), indent=1)
