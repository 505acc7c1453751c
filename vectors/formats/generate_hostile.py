"""Writes bad/*.onnx and bad/*.safetensors: files that lie, byte by byte. Python 3.11 alone; run in this folder.

What is expected of them, and of the hostile files that the other generators write, is in bad/expected-hostile.json, by kind of lie.
"""
import json
import struct


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def integer(number, value):
    return varint(number * 8) + varint(value)


def field(number, payload, length=None):
    return varint(number * 8 + 2) + varint(len(payload) if length is None else length) + payload


def model(graph, **lie):
    return integer(1, 8) + field(7, graph, **lie) + field(8, field(1, b"") + integer(2, 17))


def tensor(raw=b"\0" * 4, dims=(1,), more=b"", **lie):
    head = b"".join(integer(1, dim) for dim in dims) + integer(2, 1) + field(8, b"w")
    return head + field(9, raw, **lie) + more


def onnx(name, content):
    open(f"bad/{name}.onnx", "wb").write(content)


whole = model(field(5, tensor()))
onnx("length-beyond-file", model(field(5, tensor(length=2**20))))
onnx("length-beyond-parent", model(field(5, tensor(length=12)) + field(2, b"graph of some name")))
onnx("length-2-63", model(field(5, tensor(length=2**63))))
onnx("length-2-64", whole[:2] + varint(7 * 8 + 2) + b"\xff" * 9 + b"\x02" + whole[4:])
onnx("length-of-11-bytes", whole[:2] + varint(7 * 8 + 2) + b"\x80" * 10 + b"\x01" + whole[4:])
onnx("length-short", model(field(5, tensor()), length=10))
onnx("length-cut", whole[:2] + varint(7 * 8 + 2) + b"\x96")
onnx("packed-cut", model(field(5, field(1, b"\x01\x80") + tensor(dims=()))))
onnx("data-shorter-than-shape", model(field(5, tensor(dims=(1000, 1000)))))
onnx("shape-2-80", model(field(5, tensor(dims=(2**40, 2**40)))))
onnx("shape-negative", model(field(5, tensor(dims=(2**64 - 4,)))))


def outside(location, offset=None):
    entries = [(b"location", location)] + ([(b"offset", offset)] if offset else [])
    named = b"".join(field(13, field(1, key) + field(2, value)) for key, value in entries)
    return model(field(5, integer(1, 1) + integer(2, 1) + field(8, b"w") + named + integer(14, 1)))


onnx("outside", outside(b"../README.md"))
onnx("outside-absolute", outside(b"/etc/passwd"))
onnx("outside-offset", outside(b"tfjs/data.bin", b"9223372036854775807"))

graph = field(5, tensor())
for _ in range(17):
    graph = field(1, field(4, b"If") + field(5, field(1, b"then_branch") + field(6, graph)))
onnx("graphs-17-deep", model(graph + field(5, tensor())))


def safetensors(name, header, data=0, length=None):
    text = (header if isinstance(header, str) else json.dumps(header)).encode()
    size = struct.pack("<Q", len(text) if length is None else length)
    open(f"bad/{name}.safetensors", "wb").write(size + text + bytes(data))


def entry(shape, start, end):
    return {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}


safetensors("overlap", {"a": entry([2], 0, 8), "b": entry([2], 4, 12)}, 12)
safetensors("same-bytes", {"a": entry([2], 0, 8), "b": entry([2], 0, 8)}, 8)
safetensors("hole", {"a": entry([1], 0, 4), "b": entry([1], 8, 12)}, 12)
safetensors("beyond", {"a": entry([2], 0, 8)}, 4)
safetensors("shape-2-80", {"a": entry([2**40, 2**40], 0, 4)}, 4)
safetensors("header-2-63", "{}", 0, 2**63)
safetensors("header-beyond", {"a": entry([1], 0, 4)}, 4, 4096)
safetensors("twice", '{"a": %s, "a": %s}' % ((json.dumps(entry([1], 0, 4)),) * 2), 4)
safetensors("deep", '{"a":' + "[" * 5000 + "]" * 5000 + "}")
