"""Writes good/release/codes-*.{gguf,onnx}: one dense network (32-96-64-4, numpy's default generator, seed 6) in blocks of 8
and 4 bits as gguf quantises, and in int8 with one scale per output as ONNX's DequantizeLinear reads it, for releases in
the code domain. Needs: numpy 2.4.6, gguf 0.19.0, onnx 1.23.2. Run in this folder."""
import gguf
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

rng = np.random.default_rng(6)
widths = [32, 96, 64, 4]
weights = [rng.normal(0, 1 / np.sqrt(i), (o, i)).astype(np.float32) for i, o in zip(widths, widths[1:])]

for kind in (gguf.GGMLQuantizationType.Q8_0, gguf.GGMLQuantizationType.Q4_0):
    writer = gguf.GGUFWriter(f"good/release/codes-{kind.name.lower()}.gguf", "net")
    for layer, values in enumerate(weights):
        writer.add_tensor(f"layers.{layer}.weight", gguf.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

nodes, initialisers, value = [], [], "x"
for layer, values in enumerate(weights):
    scale = (np.abs(values).max(axis=1) / 127).astype(np.float32)
    codes = np.clip(np.round(values / scale[:, None]), -127, 127).astype(np.int8)
    name = f"layers.{layer}.weight"
    initialisers += [
        numpy_helper.from_array(codes, f"{name}_quantized"),
        numpy_helper.from_array(scale, f"{name}_scale"),
        numpy_helper.from_array(np.zeros(len(scale), np.int8), f"{name}_zero_point"),
    ]
    nodes.append(
        helper.make_node("DequantizeLinear", [f"{name}_quantized", f"{name}_scale", f"{name}_zero_point"], [name], axis=0)
    )
    last = layer + 1 == len(weights)
    nodes.append(helper.make_node("Gemm", [value, name], ["y" if last else f"h{layer}"], transB=1))
    if not last:
        nodes.append(helper.make_node("Relu", [f"h{layer}"], [f"a{layer}"]))
        value = f"a{layer}"
graph = helper.make_graph(
    nodes,
    "net",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", widths[0]])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", widths[-1]])],
    initialisers,
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.checker.check_model(model)
onnx.save(model, "good/release/codes-int8.onnx")
