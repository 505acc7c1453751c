"""Writes good/gguf/, expected-gguf.json (what the library itself reads back), and the .gguf files of bad/ with
bad/expected-gguf.json. Needs: gguf 0.19.0, numpy 2.4.6, Python 3.11. Seeded; run in this folder."""
import base64
import json
import os
import struct

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as Q, GGUFReader, GGUFValueType, GGUFWriter, quants

rng = np.random.default_rng(20261123)
os.makedirs("good/gguf", exist_ok=True)
expected = {}


def f32(values):
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f4").tobytes()).decode()


def note(file, name, shape, dtype, packed, values):
    entry = {"shape": list(shape), "dtype": dtype, "packed": packed}
    values = np.asarray(values)
    if dtype == "F32" or values.dtype == np.float32:
        entry["f32"] = f32(values)
    else:
        entry["values"] = [float(x) for x in values.astype(np.float64).ravel()]
    expected.setdefault(file, {})[name] = entry


def half(x):
    return np.array([x], dtype="<f2").tobytes()


def block(kind):
    """A block of random codes with scales that are numbers: small, large, below the normal range, negative."""
    _, size = GGML_QUANT_SIZES[kind]
    raw = bytearray(rng.integers(0, 256, size, dtype=np.uint8).tobytes())
    scale = lambda: half(rng.normal() * 10.0 ** rng.integers(-6, 2))
    places = {
        Q.Q4_0: [0], Q.Q4_1: [0, 2], Q.Q5_0: [0], Q.Q5_1: [0, 2], Q.Q8_0: [0], Q.Q4_K: [0, 2], Q.Q5_K: [0, 2],
        Q.Q6_K: [208], Q.Q2_K: [80, 82], Q.Q3_K: [108], Q.IQ4_NL: [0], Q.IQ4_XS: [0],
    }[kind]
    for at in places:
        raw[at : at + 2] = scale()
    return bytes(raw)


def blocks_file(file, kinds, rows=3):
    writer = GGUFWriter(f"good/gguf/{file}", "llama")
    for kind in kinds:
        elements, size = GGML_QUANT_SIZES[kind]
        per_row = 2
        data = b"".join(block(kind) for _ in range(rows * per_row))
        data = np.frombuffer(data, dtype=np.uint8).reshape(rows, per_row * size)
        writer.add_tensor(f"blk.0.{kind.name.lower()}.weight", data, raw_dtype=kind)
        values = quants.dequantize(data, kind)
        note(file, f"blk.0.{kind.name.lower()}.weight", values.shape, "F32", kind.name, values)
    finish(writer, file)


def finish(writer, file):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    # The library reads what it wrote, and agrees with what is noted here.
    for tensor in GGUFReader(f"good/gguf/{file}").tensors:
        entry = expected[file][tensor.name]
        assert list(reversed(tensor.shape.tolist())) == entry["shape"], tensor.name


PLAIN = {"F32": np.float32, "F16": np.float16, "F64": np.float64, "I8": np.int8, "I16": np.int16, "I32": np.int32, "I64": np.int64}

writer = GGUFWriter("good/gguf/types.gguf", "llama")
writer.add_uint8("a.uint8", 200)
writer.add_int8("a.int8", -100)
writer.add_uint16("a.uint16", 60000)
writer.add_int16("a.int16", -30000)
writer.add_uint32("a.uint32", 4000000000)
writer.add_int32("a.int32", -2000000000)
writer.add_float32("a.float32", 0.5)
writer.add_uint64("a.uint64", 2**63 + 1)
writer.add_int64("a.int64", -(2**63))
writer.add_float64("a.float64", 0.1)
writer.add_bool("a.bool", True)
writer.add_string("a.string", "ü✓")
writer.add_array("list.short", [1, -2, 3])
writer.add_array("list.words", ["a", "ü\"", ""])
writer.add_array("list.flags", [True, False])
writer.add_array("list.long", [f"token {i}" for i in range(3000)])
writer.add_array("list.scores", [float(i) / 4 for i in range(5000)])
writer.add_custom_alignment(64)
for name, kind in PLAIN.items():
    values = (rng.normal(size=(2, 3, 5)) * 60).astype(kind)
    writer.add_tensor(f"plain.{name}", values)
    note("types.gguf", f"plain.{name}", values.shape, name, None, values)
special = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-45], dtype=np.float32)
writer.add_tensor("special", special)
note("types.gguf", "special", [5], "F32", None, special)
wide = rng.normal(size=(4, 8)).astype(np.float32)
bf16 = quants.quantize(wide, Q.BF16)
writer.add_tensor("plain.BF16", bf16, raw_dtype=Q.BF16)
note("types.gguf", "plain.BF16", [4, 8], "BF16", None, quants.dequantize(bf16, Q.BF16))
finish(writer, "types.gguf")

SMALL = [Q.Q4_0, Q.Q4_1, Q.Q5_0, Q.Q5_1, Q.Q8_0]
LARGE = [Q.Q4_K, Q.Q5_K, Q.Q6_K, Q.Q2_K, Q.Q3_K, Q.IQ4_NL, Q.IQ4_XS]
blocks_file("small-blocks.gguf", SMALL)
blocks_file("large-blocks.gguf", LARGE, rows=2)

# Weights that the library quantised itself, not random codes.
writer = GGUFWriter("good/gguf/quantised.gguf", "llama")
for kind in SMALL:
    data = quants.quantize(rng.normal(size=(2, 64)).astype(np.float32), kind)
    writer.add_tensor(kind.name, data, raw_dtype=kind)
    note("quantised.gguf", kind.name, [2, 64], "F32", kind.name, quants.dequantize(data, kind))
finish(writer, "quantised.gguf")

# Two parts, as llama-gguf-split lays them out.
for part in range(2):
    file = f"split-{part + 1:05d}-of-00002.gguf"
    writer = GGUFWriter(f"good/gguf/{file}", "llama")
    writer.add_uint16("split.no", part)
    writer.add_uint16("split.count", 2)
    writer.add_int32("split.tensors.count", 2)
    values = rng.normal(size=(2, 4)).astype(np.float32)
    writer.add_tensor(f"part.{part}", values)
    note(file, f"part.{part}", [2, 4], "F32", None, values)
    finish(writer, file)

json.dump(expected, open("expected-gguf.json", "w"), separators=(",", ":"))
open("expected-gguf.json", "a").write("\n")

# --- files that must be refused -----------------------------------------------------------------------------------
bad = {}


def text(value):
    value = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(value)) + value


def key(name, kind, payload):
    return text(name) + struct.pack("<I", kind) + payload


def info(name="w", shape=(4,), kind=0, offset=0):
    return text(name) + struct.pack("<I", len(shape)) + b"".join(struct.pack("<Q", n) for n in shape) + struct.pack("<IQ", kind, offset)


def head(tensors=1, keys=0, version=3):
    return b"GGUF" + struct.pack("<IQQ", version, tensors, keys)


def padded(data, alignment=32):
    return data + bytes(-len(data) % alignment)


def refuse(name, code, data):
    open(f"bad/{name}.gguf", "wb").write(data)
    bad[f"{name}.gguf"] = code


def nested(depth):
    return struct.pack("<IQ", 9, 1) * depth + struct.pack("<IQ", 0, 1) + b"\0"


whole = padded(head() + info()) + bytes(16)
refuse("cut", "GGUF_TRUNCATED", whole[:-1])
refuse("cut-header", "GGUF_TRUNCATED", whole[:20])
refuse("cut-info", "GGUF_TRUNCATED", whole[:40])
refuse("version-1", "GGUF_VERSION", padded(head(version=1) + info()) + bytes(16))
refuse("version-4", "GGUF_VERSION", padded(head(version=4) + info()) + bytes(16))
refuse("big-endian", "GGUF_BIG_ENDIAN", b"GGUF" + struct.pack(">IQQ", 3, 1, 0) + bytes(64))
refuse("list-of-lists", "GGUF_NESTED_LIST", padded(head(keys=1) + key("a", 9, nested(1)) + info()) + bytes(16))
refuse("lists-10000-deep", "GGUF_NESTED_LIST", padded(head(keys=1) + key("a", 9, nested(10000)) + info()) + bytes(16))
refuse("list-beyond", "GGUF_TRUNCATED", padded(head(keys=1) + key("a", 9, struct.pack("<IQ", 4, 2**40)) + info()) + bytes(16))
refuse("list-2-64", "GGUF_SIZE_RANGE", padded(head(keys=1) + key("a", 9, struct.pack("<IQ", 0, 2**64 - 1)) + info()) + bytes(16))
refuse("list-of-texts-beyond", "GGUF_TRUNCATED", padded(head(keys=1) + key("a", 9, struct.pack("<IQ", 8, 3000000)) + info()) + bytes(16))
refuse("list-of-many-texts", "GGUF_TOO_MANY", padded(head(keys=1) + key("a", 9, struct.pack("<IQ", 8, 2**40)) + info()) + bytes(16))
refuse("list-of-type-13", "GGUF_METADATA", padded(head(keys=1) + key("a", 9, struct.pack("<IQ", 13, 1)) + info()) + bytes(16))
refuse("value-of-type-13", "GGUF_METADATA", padded(head(keys=1) + key("a", 13, bytes(8)) + info()) + bytes(16))
refuse("bool-2", "GGUF_METADATA", padded(head(keys=1) + key("a", 7, b"\2") + info()) + bytes(16))
refuse("key-twice", "GGUF_METADATA", padded(head(keys=2) + key("a", 7, b"\1") + key("a", 7, b"\0") + info()) + bytes(16))
refuse("keys-2-40", "GGUF_TOO_MANY", padded(head(keys=2**40) + info()) + bytes(16))
refuse("tensors-2-40", "GGUF_TOO_MANY", padded(head(tensors=2**40) + info()) + bytes(16))
refuse("text-beyond", "GGUF_TRUNCATED", padded(head(keys=1) + key("a", 8, struct.pack("<Q", 2**50)) + info()) + bytes(16))
refuse("text-not-utf8", "UTF8_INVALID", padded(head(keys=1) + key("a", 8, text(b"\xff\xfe")) + info()) + bytes(16))
refuse("long-key", "GGUF_TEXT", padded(head(keys=1) + key("k" * 70000, 7, b"\1") + info()) + bytes(16))
refuse("long-name", "GGUF_TEXT", padded(head() + info(name="n" * 2000)) + bytes(16))
refuse("alignment-0", "GGUF_ALIGNMENT", padded(head(keys=1) + key("general.alignment", 4, struct.pack("<I", 0)) + info()) + bytes(16))
refuse("alignment-24", "GGUF_ALIGNMENT", padded(head(keys=1) + key("general.alignment", 4, struct.pack("<I", 24)) + info()) + bytes(16))
refuse("alignment-2-31", "GGUF_ALIGNMENT", padded(head(keys=1) + key("general.alignment", 4, struct.pack("<I", 2**31)) + info()) + bytes(16))
refuse("alignment-text", "GGUF_ALIGNMENT", padded(head(keys=1) + key("general.alignment", 8, text("32")) + info()) + bytes(16))
refuse("unaligned", "GGUF_ALIGNMENT", padded(head() + info(offset=4)) + bytes(20))
refuse("five-axes", "GGUF_SHAPE", padded(head() + info(shape=(1, 1, 1, 1, 4))) + bytes(16))
refuse("axes-2-31", "GGUF_SHAPE", padded(head() + text("w") + struct.pack("<I", 2**31)) + bytes(64))
refuse("shape-2-80", "GGUF_SHAPE", padded(head() + info(shape=(2**40, 2**40))) + bytes(16))
refuse("size-2-63", "GGUF_SIZE_RANGE", padded(head() + info(shape=(2**63,))) + bytes(16))
refuse("shape-beyond", "GGUF_TRUNCATED", padded(head() + info(shape=(2**20, 2**20))) + bytes(16))
refuse("type-99", "GGUF_DTYPE", padded(head() + info(kind=99)) + bytes(16))
refuse("type-removed", "GGUF_DTYPE", padded(head() + info(kind=4)) + bytes(16))
refuse("type-iq1-s", "GGUF_DTYPE", padded(head() + info(kind=19, shape=(256,))) + bytes(50))
refuse("half-block", "GGUF_BLOCK", padded(head() + info(kind=8, shape=(48,))) + bytes(51))
refuse("block-without-axes", "GGUF_BLOCK", padded(head() + info(kind=8, shape=())) + bytes(34))
refuse("same-name", "MODEL_DUPLICATE_TENSOR", padded(head(tensors=2) + info() + info(offset=32)) + bytes(48))
refuse("overlap", "GGUF_LAYOUT", padded(head(tensors=2) + info("a", (16,)) + info("b", (16,), offset=32)) + bytes(96))
refuse("same-bytes", "GGUF_LAYOUT", padded(head(tensors=2) + info("a") + info("b")) + bytes(32))
refuse("hole", "GGUF_LAYOUT", padded(head(tensors=2) + info("a") + info("b", offset=64)) + bytes(80))
refuse("late-start", "GGUF_LAYOUT", padded(head() + info(offset=32)) + bytes(48))
refuse("tail", "GGUF_LAYOUT", padded(head() + info()) + bytes(64))
refuse("no-tensors", "MODEL_NO_TENSORS", padded(head(tensors=0)))
refuse("part-of-two", "GGUF_SPLIT", padded(
    head(keys=2) + key("split.no", 2, struct.pack("<H", 0)) + key("split.count", 2, struct.pack("<H", 2)) + info()) + bytes(16))
json.dump(bad, open("bad/expected-gguf.json", "w"), indent=1)
open("bad/expected-gguf.json", "a").write("\n")
