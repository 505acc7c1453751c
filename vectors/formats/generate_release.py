"""Writes good/release/: one small dense network (8-32-32-4, numpy's default generator, seed 5) as PyTorch, GGUF and NumPy
write it, for releases in the format of the original. Needs: torch 2.15.0, numpy 2.4.6, gguf 0.19.0. Run in this folder."""
import os

import gguf
import numpy as np
import torch

os.makedirs("good/release", exist_ok=True)
rng = np.random.default_rng(5)
widths = [8, 32, 32, 4]
tensors = {}
for layer, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
    bound = 1 / np.sqrt(inputs)
    tensors[f"layers.{layer}.weight"] = rng.uniform(-bound, bound, (outputs, inputs)).astype(np.float32)
    tensors[f"layers.{layer}.bias"] = rng.uniform(-bound, bound, outputs).astype(np.float32)
torch.save({name: torch.from_numpy(values) for name, values in tensors.items()}, "good/release/net.pt")
np.savez("good/release/net.npz", **tensors)
writer = gguf.GGUFWriter("good/release/net.gguf", "net")
for name, values in tensors.items():
    writer.add_tensor(name, values.astype(np.float16) if values.ndim == 2 else values)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
