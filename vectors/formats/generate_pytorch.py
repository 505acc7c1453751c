"""Writes good/pytorch/, good/numpy/ and expected-pytorch.json, what the libraries themselves read back.
Needs: torch 2.15.0 (CPU suffices), numpy 2.4.6, Python 3.11. Seeded; run in this folder."""
import argparse
import collections
import json
import os
import warnings

import numpy as np
import torch

warnings.filterwarnings("ignore")
torch.manual_seed(20261123)
rng = np.random.default_rng(20261123)
expected = {}
TORCH = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
    torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
    torch.uint16: "U16", torch.uint32: "U32", torch.uint64: "U64", torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
}
NUMPY = {"f8": "F64", "f4": "F32", "f2": "F16", "i8": "I64", "i4": "I32", "i2": "I16", "i1": "I8", "u8": "U64",
         "u4": "U32", "u2": "U16", "u1": "U8", "b1": "BOOL"}


def number(x):
    x = float(x)
    return x if np.isfinite(x) else str(x)


def note(file, tensors, dtype_of):
    expected[file] = {
        name: {"dtype": dtype_of(t), "shape": list(t.shape), "values": [number(x) for x in flat(t)]}
        for name, t in tensors.items()
    }


def flat(t):
    if isinstance(t, np.ndarray):
        return t.astype(np.float64).ravel().tolist()
    if t.dtype in (torch.uint16, torch.uint32, torch.uint64):
        return t.detach().contiguous().numpy().astype(np.float64).ravel().tolist()
    return t.detach().to(torch.float64).contiguous().reshape(-1).tolist()


def save(file, value, tensors, **options):
    torch.save(value, f"good/pytorch/{file}", **options)
    note(file, tensors, lambda t: TORCH[t.dtype])


def of(dtype, *shape):
    values = torch.randn(shape, dtype=torch.float64) * 40
    return values.abs().to(dtype) if dtype in (torch.uint8, torch.uint16, torch.uint32, torch.uint64) else values.to(dtype)


types = {name: of(dtype, 2, 3) for dtype, name in TORCH.items()}
save("types.pt", types, types)

# Views: one storage, seen in many ways.
base = torch.arange(60, dtype=torch.float32).reshape(4, 3, 5) / 8
table = torch.randn(6, 4)
views = collections.OrderedDict(
    base=base, transposed=base.permute(2, 0, 1), column=base[:, 1, :], stepped=base[::2, :, 1::2], row=base[2, 1],
    one=base[3, 2, 4], expanded=torch.tensor([1.5, 2.5]).expand(3, 2), last=torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
    table=table, tied=table, turned=table.t(), empty=torch.zeros(0, 3), scalar=torch.tensor(2.5),
    specials=torch.tensor([float("nan"), float("inf"), -float("inf"), -0.0, 1e-45]),
)
save("views.pt", views, views)
save("views-legacy.pth", views, views, _use_new_zipfile_serialization=False)
old = {name: t for name, t in types.items() if name[:2] not in ("F8", "U1", "U3", "U6")}
save("types-legacy.pth", old, old, _use_new_zipfile_serialization=False)
for protocol in (3, 4, 5):
    save(f"protocol{protocol}.pt", views, views, pickle_protocol=protocol)
save("protocol4-legacy.pth", views, views, pickle_protocol=4, _use_new_zipfile_serialization=False)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = torch.nn.Embedding(5, 4)
        self.layers = torch.nn.ModuleList([torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)])
        self.norm = torch.nn.BatchNorm1d(4)
        self.head = torch.nn.Linear(4, 5, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, x):
        x = self.embed(x)
        for layer in self.layers:
            x = torch.relu(layer(x)) + torch.tensor([0.5, 1.5, 2.5, 3.5])
        return self.head(self.norm(x))


net = Net()
adam = torch.optim.Adam(net.parameters())
net(torch.tensor([0, 1, 2, 3])).square().sum().backward()
adam.step()
checkpoint = {
    "model": net.state_dict(), "optimizer": adam.state_dict(), "epoch": 3, "best": 0.25, "tag": "ü",
    "args": argparse.Namespace(lr=0.1, sizes=[4, 4]), "rng": torch.get_rng_state()[:8].clone(),
}
named = {f"model.{k}": v for k, v in net.state_dict().items()}
for index, state in checkpoint["optimizer"]["state"].items():
    named |= {f"optimizer.state.{index}.{k}": v for k, v in state.items()}
save("checkpoint.pt", checkpoint, named | {"rng": checkpoint["rng"]})

# Arrays of NumPy beside tensors, in the pickle itself.
normal = {"mean": rng.normal(size=(3, 2)), "turned": np.asfortranarray(rng.normal(size=(3, 2)).astype(">f4")),
          "count": np.int64(7), "labels": np.array(["cat", "dog"]), "empty": np.zeros((0, 2), np.int16)}
torch.save({"w": table, "normal": normal}, "good/pytorch/arrays.pt")
note("arrays.pt", {"w": table} | {f"normal.{k}": normal[k] for k in ("mean", "turned", "empty")},
     lambda t: TORCH[t.dtype] if isinstance(t, torch.Tensor) else NUMPY[t.dtype.str[1:]])

# Shards, one of each form, with the index that the hubs use.
os.makedirs("good/pytorch/sharded", exist_ok=True)
shards = {"pytorch_model-00001-of-00002.bin": {"a.weight": of(torch.float32, 3, 2), "tied": table},
          "pytorch_model-00002-of-00002.bin": {"b.weight": of(torch.float16, 2, 2)}}
for i, (file, tensors) in enumerate(shards.items()):
    torch.save(tensors, f"good/pytorch/sharded/{file}", _use_new_zipfile_serialization=i == 0)
with open("good/pytorch/sharded/pytorch_model.bin.index.json", "w") as f:
    json.dump({"metadata": {}, "weight_map": {name: file for file, tensors in shards.items() for name in tensors}}, f)
note("sharded", {name: t for tensors in shards.values() for name, t in tensors.items()}, lambda t: TORCH[t.dtype])

# A model pickled whole, of torch's own layers only.
sequence = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Sequential(torch.nn.Conv1d(4, 2, 3)))
save("whole.pt", sequence, dict(sequence.state_dict()))

net.eval()
for file, script in (("scripted.pt", torch.jit.script(net)), ("traced.pt", torch.jit.trace(net, torch.tensor([1, 2])))):
    script.save(f"good/pytorch/{file}")
    tensors = dict(script.state_dict())
    if file == "traced.pt":
        tensors |= {"CONSTANTS.c0": torch.tensor([0.5, 1.5, 2.5, 3.5])}
    note(file, tensors, lambda t: TORCH[t.dtype])

# NumPy: types in both byte orders, both orders of axes.
arrays = {}
for code in NUMPY:
    values = np.abs(rng.normal(size=(2, 3)) * 40)
    for order in "<>":
        arrays[f"{code}{'be' if order == '>' else ''}"] = values.astype(order + code)
arrays["fortran"] = np.asfortranarray(rng.normal(size=(3, 4, 2)).astype(np.float32))
arrays["fortran_be"] = np.asfortranarray(rng.normal(size=(4, 3)).astype(">f8"))
arrays["scalar"] = np.array(2.5, np.float32)
arrays["empty"] = np.zeros((0, 3), np.float32)
arrays["specials"] = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-45], np.float32)
arrays["zeros"] = np.zeros((16, 16), np.float32)
np.savez("good/numpy/arrays.npz", **arrays)
np.savez_compressed("good/numpy/compressed.npz", **arrays)
for file in ("arrays.npz", "compressed.npz"):
    note(file, arrays, lambda a: NUMPY[a.dtype.str[1:]])
one = np.asfortranarray(rng.normal(size=(5, 3)))
np.save("good/numpy/one.npy", one)
note("one.npy", {"arr_0": one}, lambda a: "F64")
for version in ((2, 0), (3, 0)):
    with open(f"good/numpy/version{version[0]}.npy", "wb") as f:
        np.lib.format.write_array(f, arrays["i2"], version=version)
    note(f"version{version[0]}.npy", {"arr_0": arrays["i2"]}, lambda a: "I16")
np.savez("good/numpy/labels.npz", w=arrays["f4"], labels=np.array(["cat", "dog"]), raw=np.array([b"x", b"yz"]))
note("labels.npz", {"w": arrays["f4"]}, lambda a: "F32")

with open("expected-pytorch.json", "w") as f:
    json.dump(expected, f, separators=(",", ":"))
print({file: os.path.getsize(f"good/{'numpy' if file[-3:] in ('npz', 'npy') else 'pytorch'}/{file}") for file in expected})
