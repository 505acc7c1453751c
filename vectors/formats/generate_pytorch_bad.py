"""Writes bad/*.pt, *.pth, *.npz, *.npy and bad/expected-pytorch.json: the error code of each, and for pickles the byte (of
the pickle; of the file in the older form) at which the refusal must stand, as Python's own pickletools finds it. Needs: torch 2.15.0, numpy 2.4.6, Python 3.11.
Nothing here is ever unpickled. Run in this folder."""
import io
import json
import os
import pickle
import pickletools
import struct
import warnings
import zipfile

import numpy as np
import torch

warnings.filterwarnings("ignore")
expected = {}
FLOATS = np.arange(12, dtype="<f4").tobytes()


def expect(file, code, got=None, byte=None):
    expected[file] = {"code": code} | ({"got": got} if got else {}) | ({"byte": byte} if byte is not None else {})


def archive(file, pickled, storages=None, extra=(), **zip_options):
    """The layout of torch.save, with any pickle."""
    with zipfile.ZipFile(f"bad/{file}", "w", **zip_options) as z:
        z.writestr(zipfile.ZipInfo("m/data.pkl"), pickled)
        z.writestr(zipfile.ZipInfo("m/byteorder"), "little")
        for key, content in (storages or {"0": FLOATS}).items():
            z.writestr(zipfile.ZipInfo(f"m/data/{key}"), content)
        for name, content in extra:
            z.writestr(zipfile.ZipInfo(name), content)


def opcode_at(pickled, *names):
    return next(at for op, _, at in pickletools.genops(pickled) if op.name in names)


# Code in the pickle.
class Runs:
    def __init__(self, call, *args):
        self.call, self.args = call, args

    def __reduce__(self):
        return self.call, self.args


for protocol in (2, 4):
    pickled = pickle.dumps({"w": Runs(os.system, "touch /tmp/owned")}, protocol=protocol)
    archive(f"system-{protocol}.pt", pickled)
    expect(f"system-{protocol}.pt", "PICKLE_GLOBAL", "posix.system", opcode_at(pickled, "GLOBAL", "STACK_GLOBAL"))
by_hand = {
    "os-system.pt": (b"\x80\x02cos\nsystem\nX\x02\0\0\0id\x85R.", "os.system", 2),
    "never-called.pt": (b"\x80\x02}X\x01\0\0\0wcsubprocess\nPopen\ns.", "subprocess.Popen", 9),
    "inst.pt": (b"\x80\x02(X\x02\0\0\0idios\nsystem\n.", "os.system", 10),
    "obj.pt": (b"\x80\x02(cos\nsystem\nX\x02\0\0\0ido.", "os.system", 3),
    "eval.pt": (b"\x80\x02cbuiltins\neval\nX\x01\0\0\x001\x85R.", "builtins.eval", 2),
    "getattr.pt": (b"\x80\x02c__builtin__\ngetattr\n.", "__builtin__.getattr", 2),
    "load.pt": (b"\x80\x02ctorch\nload\n.", "torch.load", 2),
    "dotted.pt": (b"\x80\x04\x8c\x05torch\x8c\x0f_utils.os.system\x93.".replace(b"\x0f", b"\x10"), "torch._utils.os.system", 27),
    "script-class.pt": (b"\x80\x02c__torch__\nNet\n.", "__torch__.Net", 2),
}
for file, (pickled, name, at) in by_hand.items():
    archive(file, pickled)
    expect(file, "PICKLE_GLOBAL", name, at)
legacy = [pickle.dumps(x, protocol=2) for x in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
hostile = pickle.dumps(Runs(os.system, "touch /tmp/owned"), protocol=2)
with open("bad/system-legacy.pth", "wb") as f:
    f.write(b"".join(legacy) + hostile)
expect("system-legacy.pth", "PICKLE_GLOBAL", "posix.system", sum(map(len, legacy)) + opcode_at(hostile, "GLOBAL"))
pickled = b"\x80\x02c__torch__\nNet\n)\x81}b."
archive("system-constants.pt", pickled, extra=[("m/constants.pkl", hostile)])
expect("system-constants.pt", "PICKLE_GLOBAL", "posix.system")

# Pickles that are damaged, or made to exhaust a reader.
OPCODES = {
    "truncated-pickle.pt": (b"\x80\x02}X\x05\0\0\0ab", "PICKLE_TRUNCATED"),
    "no-stop.pt": (b"\x80\x02}", "PICKLE_TRUNCATED"),
    "empty-stack.pt": (b"\x80\x02R.", "PICKLE_STACK"),
    "below-mark.pt": (b"\x80\x02N(0.", "PICKLE_STACK"),
    "no-mark.pt": (b"\x80\x02Nt.", "PICKLE_STACK"),
    "memo.pt": (b"\x80\x02h\x07.", "PICKLE_MEMO"),
    "extension.pt": (b"\x80\x02\x82\x01.", "PICKLE_OPCODE"),
    "protocol0.pt": (b"\x80\x00N.", "PICKLE_PROTOCOL"),
    "protocol6.pt": (b"\x80\x06N.", "PICKLE_PROTOCOL"),
    "calls-text.pt": (b"\x80\x02X\x02\0\0\0id)R.", "PICKLE_CALL"),
    "two-states.pt": (b"\x80\x02ccollections\nOrderedDict\n)R}b}b.", "PICKLE_CALL"),
    "long-text.pt": (b"\x80\x04\x8d" + struct.pack("<Q", 2**40) + b".", "PICKLE_LENGTH"),
    "absurd-length.pt": (b"\x80\x04\x8d" + struct.pack("<Q", 2**63) + b".", "PICKLE_SIZE_RANGE"),
    "long-integer.pt": (b"\x80\x02\x8b" + struct.pack("<I", 2**31) + b".", "PICKLE_LENGTH"),
    "contains-itself.pt": (b"\x80\x02]q\0h\0a.", "TORCH_CYCLE"),
    "cyclic-dictionary.pt": (b"\x80\x02}q\0X\x01\0\0\0ah\0s.", "TORCH_CYCLE"),
    "laughs.pt": (b"\x80\x02]q\0" + b"".join(b"](" + b"h" + bytes([i]) * 1 + (b"h" + bytes([i])) * 9 + b"eq" + bytes([i + 1])
                                               for i in range(30)) + b".", "TORCH_TOO_MANY"),
    "deep.pt": (b"\x80\x02" + b"]" * 1000 + b"a" * 999 + b".", "TORCH_DEPTH"),
    "object-key.pt": (b"\x80\x02}}Ns.", "TORCH_KEY"),
    "nothing.pt": (b"\x80\x02}.", "MODEL_NO_TENSORS"),
}
for file, (pickled, code) in OPCODES.items():
    archive(file, pickled)
    expect(file, code)


# Tensors that are not what they say. The pickle is written by hand: Python's would need torch's classes.
def text(s):
    return b"X" + struct.pack("<I", len(s)) + s.encode()


def integer(n):
    return b"J" + struct.pack("<i", n) if -(2**31) <= n < 2**31 else pickle.dumps(n, protocol=2)[2:-1]


def sizes(*n):
    return b"(" + b"".join(map(integer, n)) + b"t"


def tensor(offset, shape, strides, storage="FloatStorage", key="0", numel=12, function="_rebuild_tensor_v2"):
    reference = b"(" + text("storage") + f"ctorch\n{storage}\n".encode() + text(key) + text("cpu") + integer(numel) + b"tQ"
    arguments = reference + integer(offset) + sizes(*shape) + sizes(*strides)
    return f"ctorch._utils\n{function}\n(".encode() + arguments + b"\x89}tR"


def holding(*tensors):
    return b"\x80\x02}" + b"".join(text(f"w{i}") + t + b"s" for i, t in enumerate(tensors)) + b"."


TENSORS = {
    "beyond-storage.pt": (tensor(0, (13,), (1,)), "TORCH_BOUNDS"),
    "offset-beyond.pt": (tensor(1, (3, 4), (4, 1)), "TORCH_BOUNDS"),
    "stride-beyond.pt": (tensor(0, (3, 4), (5, 1)), "TORCH_BOUNDS"),
    "stride-overflow.pt": (tensor(0, (3, 4), (2**62, 1)), "TORCH_TENSOR"),
    "stride-huge.pt": (tensor(0, (3, 4), (2**52, 1)), "TORCH_BOUNDS"),
    "stride-negative.pt": (tensor(0, (3, 4), (-4, 1)), "TORCH_TENSOR"),
    "stride-missing.pt": (tensor(0, (3, 4), (4,)), "TORCH_TENSOR"),
    "offset-negative.pt": (tensor(-1, (3,), (1,)), "TORCH_TENSOR"),
    "shape-overflow.pt": (tensor(0, (2**40, 2**40), (0, 0)), "TORCH_SHAPE"),
    "expanded.pt": (tensor(0, (2**20, 2**20), (0, 0)), "TORCH_EXPANDED"),
    "storage-longer.pt": (tensor(0, (13,), (1,), numel=13), "TORCH_TRUNCATED"),
    "storage-missing.pt": (tensor(0, (3,), (1,), key="7"), "ZIP_ENTRY"),
    "storage-escapes.pt": (tensor(0, (3,), (1,), key="../../../etc/passwd"), "ZIP_ENTRY"),
    "no-storage.pt": (b"ctorch._utils\n_rebuild_tensor_v2\n(NK\0)))tR", "TORCH_STORAGE"),
    "no-arguments.pt": (b"ctorch._utils\n_rebuild_tensor_v2\n)R", "TORCH_STORAGE"),
    "wrapped.pt": (b"ctorch._utils\n_rebuild_parameter\n" * 9 + tensor(0, (3,), (1,)) + b"\x85R" * 9, "TORCH_TENSOR"),
}
for file, (hidden, code) in TENSORS.items():
    archive(file, holding(tensor(0, (3, 4), (4, 1)), hidden))
    expect(file, code)
archive("same-name.pt", b"\x80\x02}" + (text("w") + tensor(0, (3,), (1,)) + b"s") * 2 + b".")
expect("same-name.pt", "MODEL_DUPLICATE_TENSOR")
archive("byteorder.pt", holding(tensor(0, (3,), (1,))))
content = open("bad/byteorder.pt", "rb").read().replace(b"little", b"middle")
open("bad/byteorder.pt", "wb").write(content)
expect("byteorder.pt", "TORCH_LAYOUT")
with zipfile.ZipFile("bad/two-models.pt", "w") as z:
    for folder in "ab":
        z.writestr(f"{folder}/data.pkl", b"\x80\x02}.")
expect("two-models.pt", "TORCH_LAYOUT")

# What torch itself writes and is not read.
torch.save({"w": torch.quantize_per_tensor(torch.randn(3), 0.1, 0, torch.qint8)}, "bad/quantised.pt")
expect("quantised.pt", "TORCH_QUANTISED")
torch.save({"w": torch.eye(3).to_sparse()}, "bad/sparse.pt")
expect("sparse.pt", "TORCH_SPARSE")
torch.save({"w": torch.zeros(2, dtype=torch.complex64)}, "bad/complex.pt")
expect("complex.pt", "TORCH_DTYPE")
good = open("good/pytorch/views-legacy.pth", "rb").read()
open("bad/truncated-legacy.pth", "wb").write(good[:-20])
expect("truncated-legacy.pth", "TORCH_TRUNCATED")
good = open("good/pytorch/views.pt", "rb").read()
open("bad/truncated.pt", "wb").write(good[: len(good) // 2])
expect("truncated.pt", "ZIP_TRUNCATED")

# Archives.
fine = holding(tensor(0, (3, 4), (4, 1)))
archive("slip.pt", fine, extra=[("m/../../../../root/.ssh/authorized_keys", b"ssh-rsa")])
expect("slip.pt", "ZIP_NAME")
archive("absolute.pt", fine, extra=[("/etc/passwd", b"")])
expect("absolute.pt", "ZIP_NAME")
with zipfile.ZipFile("bad/bomb.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as z:
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f4", "fortran_order": False, "shape": (68 * 2**18,)})
    with z.open("w.npy", "w") as f:
        f.write(head.getvalue())
        for _ in range(68):
            f.write(bytes(2**20))
expect("bomb.npz", "ZIP_BOMB")
archive("encrypted.pt", fine)
content = bytearray(open("bad/encrypted.pt", "rb").read())
for signature, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
    content[content.index(signature) + at] |= 1
open("bad/encrypted.pt", "wb").write(content)
expect("encrypted.pt", "ZIP_ENCRYPTED")
archive("overlapping.pt", fine, storages={"0": FLOATS, "1": FLOATS})
content = open("bad/overlapping.pt", "rb").read()
# The directory lets the second storage begin where the first does.
first, second = (content.index(b"PK\1\2", content.index(b"PK\1\2") + n) for n in (100, 160))
content = bytearray(content)
content[second + 42:second + 46] = content[first + 42:first + 46]
open("bad/overlapping.pt", "wb").write(content)
expect("overlapping.pt", "ZIP_OVERLAP")

# NumPy.
np.savez("bad/objects.npz", w=np.array([{"a": 1}, None], dtype=object))
expect("objects.npz", "NUMPY_OBJECT")
np.save("bad/structured.npy", np.zeros(2, dtype=[("a", "<f4"), ("b", "<i4")]))
expect("structured.npy", "NUMPY_DTYPE")
np.save("bad/complex.npy", np.zeros(2, np.complex64))
expect("complex.npy", "NUMPY_DTYPE")


def npy(file, header, content=FLOATS, version=b"\1\0", length=None):
    size = struct.pack("<H", len(header) if length is None else length)
    open(f"bad/{file}", "wb").write(b"\x93NUMPY" + version + size + header.encode() + content)


fields = "{'descr': '<f4', 'fortran_order': False, 'shape': %s}"
for file, code, header in (
    ("calls.npy", "NUMPY_HEADER", "__import__('os').system('id')"),
    ("called-shape.npy", "NUMPY_HEADER", fields % "(__import__('os').system('id'),)"),
    ("deep.npy", "NUMPY_HEADER", "[" * 5000),
    ("no-shape.npy", "NUMPY_HEADER", "{'descr': '<f4', 'fortran_order': False}"),
    ("twice.npy", "NUMPY_HEADER", "{'descr': '<f4', 'descr': '<f8', 'fortran_order': False, 'shape': (12,)}"),
    ("huge.npy", "NUMPY_SHAPE", fields % "(4294967296, 4294967296)"),
    ("negative.npy", "NUMPY_SHAPE", fields % "(-12,)"),
    ("text-shape.npy", "NUMPY_SHAPE", fields % "('12',)"),
    ("too-short.npy", "NUMPY_SIZE", fields % "(13,)"),
    ("too-long.npy", "NUMPY_SIZE", fields % "(11,)"),
):
    npy(file, header)
    expect(file, code)
npy("header-beyond.npy", fields % "(12,)", length=60000)
expect("header-beyond.npy", "NUMPY_TRUNCATED")
npy("version9.npy", fields % "(12,)", version=b"\x09\0")
expect("version9.npy", "NUMPY_VERSION")
with zipfile.ZipFile("bad/not-arrays.npz", "w") as z:
    z.writestr("w.npy", b"GIF89a and so on")
expect("not-arrays.npz", "NUMPY_MAGIC")
with zipfile.ZipFile("bad/slip.npz", "w") as z:
    z.writestr(zipfile.ZipInfo("../../escapes.npy"), open("bad/huge.npy", "rb").read())
expect("slip.npz", "ZIP_NAME")

with open("bad/expected-pytorch.json", "w") as f:
    json.dump(expected, f, indent=1)
print(len(expected), "files", sum(os.path.getsize(f"bad/{file}") for file in expected), "bytes")
