"""Writes good/openvino/ and expected-openvino.json (what OpenVINO itself reads and computes), and bad/openvino/ with
bad/expected-openvino.json. Needs: openvino 2026.4.1, nncf 3.4.0, torch 2.15.0, onnx 1.23.2, numpy 2.4.6, Python 3.11.
Seeded; run in this folder. The ONNX files are exported by torch or made with onnx.helper, and converted by
openvino.convert_model; names of constants bear numbers that openvino counts, so that they may differ when written anew."""
import hashlib
import json
import os
import re
import shutil

import nncf
import numpy as np
import onnx
import openvino as ov
import openvino.opset13 as ops
import torch
from onnx import TensorProto, helper, numpy_helper

torch.manual_seed(20261124)
rng = np.random.default_rng(20261124)
shutil.rmtree("good/openvino", ignore_errors=True)
os.makedirs("good/openvino")
GOOD = "good/openvino/"
T = ov.Type
core = ov.Core()
TYPES = {T.f64: "F64", T.f32: "F32", T.f16: "F16", T.bf16: "BF16", T.f8e4m3: "F8_E4M3", T.f8e5m2: "F8_E5M2", T.i64: "I64",
         T.i32: "I32", T.i16: "I16", T.i8: "I8", T.i4: "I4", T.u64: "U64", T.u32: "U32", T.u16: "U16", T.u8: "U8", T.u4: "U4",
         T.boolean: "BOOL"}


def digest(values):
    """Of float64, little-endian, minus zero as zero."""
    flat = np.ascontiguousarray(values, dtype="<f8") + 0.0
    return {"sha256": hashlib.sha256(flat.tobytes()).hexdigest(), "first": [float(v) for v in flat.ravel()[:4]]}


def clean(path):
    """Paths of the machine that converted the model are of no use to anyone."""
    text = open(path).read()
    open(path, "w").write(re.sub(r"^\t<rt_info>.*?^\t</rt_info>\n", "", text, flags=re.S | re.M))


def save(model, name, fp16=False):
    ov.save_model(model, f"{GOOD}{name}.xml", compress_to_fp16=fp16)
    clean(f"{GOOD}{name}.xml")


def computed(output):
    """What the runtime makes of a value that depends on constants alone."""
    model = ov.Model([ops.result(ops.convert(output, "f32") if output.get_element_type() != T.f64 else output)], [])
    return core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([])[0]


def networks(model):
    yield model
    for op in model.get_ops():
        if op.get_type_name() in ("If", "Loop", "TensorIterator"):
            count = 2 if op.get_type_name() == "If" else 1
            for k in range(count):
                yield from networks(op.get_function(k) if count == 2 else op.get_function())


def numbers(op):
    kind = op.get_element_type()
    if kind in (T.i4, T.u4, T.f8e4m3, T.f8e5m2, T.bf16):
        return computed(op.output(0))
    return op.get_data()


def constants(name):
    found = {}
    for network in networks(core.read_model(f"{GOOD}{name}.xml")):
        for op in network.get_ordered_ops():
            if op.get_type_name() == "Constant":
                entry = {"dtype": TYPES[op.get_element_type()], "shape": list(op.get_output_shape(0)), **digest(numbers(op))}
                found.setdefault(op.get_friendly_name(), []).append(entry)
    return found


expected = {"provenance": "openvino 2026.4.1, nncf 3.4.0, torch 2.15.0, onnx 1.23.2, numpy 2.4.6; seed 20261124",
            "constants": {}, "dequantised": {}}


# Every element type, read back by the runtime.
def every_type():
    results = []
    for kind, name in TYPES.items():
        if name == "BOOL":
            values = rng.integers(0, 2, (2, 3)).astype(bool)
        elif name in ("I4", "U4"):
            values = rng.integers(-8 if name == "I4" else 0, 8 if name == "I4" else 16, (3, 3))
        elif name[0] in "IU":
            values = rng.integers(-100 if name[0] == "I" else 0, 100, (2, 3))
        else:
            values = rng.standard_normal((2, 3))
        constant = ops.constant(values, dtype=kind, name=name)
        constant.set_friendly_name(name)
        results.append(ops.result(constant))
    for name, values in (("scalar", np.float32(2.5)), ("empty", np.zeros((0, 4), np.float32))):
        constant = ops.constant(values)
        constant.set_friendly_name(name)
        results.append(ops.result(constant))
    return ov.Model(results, [], "types")


ov.serialize(every_type(), f"{GOOD}types.xml", f"{GOOD}types.bin")


class Image(torch.nn.Module):
    """No normalisation, so that nothing is folded."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Conv2d(3, 16, 3, padding=1)
        self.depthwise = torch.nn.Conv2d(16, 16, 3, groups=16)
        self.point = torch.nn.Conv2d(16, 24, 1)
        self.slopes = torch.nn.PReLU(24)
        self.up = torch.nn.ConvTranspose2d(24, 18, 2, stride=2)
        self.head = torch.nn.Linear(18, 20)
        self.out = torch.nn.Linear(20, 5)
        torch.nn.init.uniform_(self.slopes.weight)

    def forward(self, x):
        x = torch.relu(self.depthwise(torch.relu(self.first(x))))
        x = torch.nn.functional.max_pool2d(self.slopes(self.point(x)), 2)
        x = torch.sigmoid(self.up(x)).mean((2, 3))
        return torch.softmax(self.out(torch.tanh(self.head(x))), 1)


class Normalised(torch.nn.Module):
    """Batch normalisation, which torch folds as it exports, and a layer's, which stays."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 16, 3, bias=False)
        self.norm = torch.nn.BatchNorm2d(16)
        self.layer = torch.nn.LayerNorm(16)
        self.out = torch.nn.Linear(16, 17)
        for parameter in (self.norm.weight, self.norm.running_var, self.layer.weight):
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
        for parameter in (self.norm.bias, self.norm.running_mean, self.layer.bias):
            torch.nn.init.normal_(parameter)

    def forward(self, x):
        x = torch.relu(self.norm(self.conv(x))).mean((2, 3))
        return self.out(self.layer(x))


class Recurrent(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM(3, 6)
        self.gru = torch.nn.GRU(6, 5)
        self.rnn = torch.nn.RNN(5, 7)
        self.out = torch.nn.Linear(7, 4)

    def forward(self, x):
        return self.out(self.rnn(self.gru(self.lstm(x)[0])[0])[0][-1])


class Encoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = torch.nn.Embedding(20, 32)
        self.norm = torch.nn.LayerNorm(32)
        self.up = torch.nn.Linear(32, 48)
        self.down = torch.nn.Linear(48, 20)
        torch.nn.init.uniform_(self.norm.weight)
        torch.nn.init.normal_(self.norm.bias)

    def forward(self, x):
        return self.down(torch.nn.functional.gelu(self.up(self.norm(self.tokens(x)))))


def exported(module, argument, name):
    torch.onnx.export(module.eval(), (argument,), f"{GOOD}{name}.onnx", dynamo=False, input_names=["x"], output_names=["y"])
    return ov.convert_model(f"{GOOD}{name}.onnx")


IMAGE = torch.randn(1, 3, 8, 8)
save(exported(Image(), IMAGE, "image"), "image")
save(ov.convert_model(f"{GOOD}image.onnx"), "image-f16", fp16=True)
ten = ov.convert_model(f"{GOOD}image.onnx")
ov.serialize(ten, f"{GOOD}image-v10.xml", f"{GOOD}image-v10.bin", version="IR_V10")
clean(f"{GOOD}image-v10.xml")
save(exported(Normalised(), IMAGE, "normalised"), "normalised")
save(exported(Recurrent(), torch.randn(4, 1, 3), "recurrent"), "recurrent")
save(exported(Encoder(), torch.randint(0, 20, (1, 3)), "encoder"), "encoder")
M = nncf.CompressWeightsMode
for mode, name, options in ((M.INT8_ASYM, "int8", {}), (M.INT4_ASYM, "int4", {"group_size": 16, "ratio": 1.0, "all_layers": True})):
    save(nncf.compress_weights(ov.convert_model(f"{GOOD}encoder.onnx"), mode=mode, **options), f"encoder-{name}")
samples = [rng.standard_normal((1, 3, 8, 8)).astype(np.float32) for _ in range(4)]
save(nncf.quantize(ov.convert_model(f"{GOOD}image.onnx"), nncf.Dataset(samples), subset_size=4), "image-int8")

# What the values of the quantised weights are. Codes, zero points and scales as the runtime gives them, multiplied here:
# the product in the file is rounded to float16, which shows whether both agree.
for name in ("encoder-int8", "encoder-int4", "image-int8"):
    values = {}
    for op in core.read_model(f"{GOOD}{name}.xml").get_ordered_ops():
        codes = op
        while codes.get_type_name() in ("Multiply", "Subtract", "Convert"):
            codes = codes.input_value(0).get_node()
        if op.get_type_name() != "Multiply" or codes.get_type_name() != "Constant" or codes.get_element_type() not in (T.i4, T.u4, T.i8, T.u8):
            continue
        exact = computed(op.input_value(0)).astype("f8") * computed(op.input_value(1)).astype("f8")
        assert np.allclose(exact, computed(op.output(0)), rtol=2**-10, atol=0), op
        values[codes.get_friendly_name()] = digest(exact)
    expected["dequantised"][name] = values


# Integers behind FakeQuantize, as older tools wrote them.
def fake_quantised():
    codes = rng.integers(-127, 128, (24, 18)).astype(np.int8)
    constant = ops.constant(codes, name="codes")
    constant.set_friendly_name("codes")
    high = rng.uniform(0.5, 2, (24, 1)).astype(np.float32)
    values = ops.fake_quantize(ops.convert(constant, "f32"), np.float32(-127), np.float32(127), -high, high, 255)
    x = ops.parameter([1, 18], np.float32, name="x")
    model = ov.Model([ops.result(ops.matmul(x, values, False, True))], [x], "fake-quantised")
    save(model, "fake-quantised")
    expected["fakeQuantised"] = {"codes": [float(v) for v in computed(values.output(0)).ravel()]}


fake_quantised()


# An LSTM cell inside a loop over time, and outside.
def cells():
    hidden, size = 4, 3
    weights = [ops.constant(rng.standard_normal(shape).astype(np.float32), name=name) for name, shape in
               (("cell/w", (4 * hidden, size)), ("cell/r", (4 * hidden, hidden)), ("cell/b", (4 * hidden,)))]
    for constant, name in zip(weights, ("cell/w", "cell/r", "cell/b")):
        constant.set_friendly_name(name)
    x, h, c = ops.parameter([1, size], np.float32), ops.parameter([1, hidden], np.float32), ops.parameter([1, hidden], np.float32)
    cell = ops.lstm_cell(x, h, c, *weights, hidden)
    out = ops.constant(rng.standard_normal((17, hidden)).astype(np.float32), name="out")
    out.set_friendly_name("out")
    save(ov.Model([ops.result(ops.matmul(cell.output(0), out, False, True)), ops.result(cell.output(1))], [x, h, c], "cell"), "cell")


cells()


def tensor(name, values):
    return numpy_helper.from_array(values.astype(np.float32) if values.dtype == np.float64 else values, name)


def made(name, nodes, inputs, outputs, initialisers):
    info = lambda n, kind, shape: helper.make_tensor_value_info(n, kind, shape)
    graph = helper.make_graph(nodes, name, [info(*i) for i in inputs], [info(*o) for o in outputs], initialisers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, f"{GOOD}{name}.onnx")
    save(ov.convert_model(f"{GOOD}{name}.onnx"), name)


def branch(name, w, b):
    nodes = [helper.make_node("Gemm", ["h", "w", "b"], ["z"], transB=1), helper.make_node("Relu", ["z"], ["y"])]
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 18])
    return helper.make_graph(nodes, name, [], [out], [tensor("w", w), tensor("b", b)])


made("branches",
     [helper.make_node("Gemm", ["x", "in", "in/b"], ["g"], transB=1), helper.make_node("Relu", ["g"], ["h"]),
      helper.make_node("If", ["which"], ["c"], then_branch=branch("then", rng.standard_normal((18, 20)), rng.standard_normal(18)),
                       else_branch=branch("else", rng.standard_normal((18, 20)), rng.standard_normal(18))),
      helper.make_node("Gemm", ["c", "out"], ["y"], transB=1)],
     [("x", TensorProto.FLOAT, [1, 6]), ("which", TensorProto.BOOL, [])], [("y", TensorProto.FLOAT, [1, 17])],
     [tensor("in", rng.standard_normal((20, 6))), tensor("in/b", rng.standard_normal(20)), tensor("out", rng.standard_normal((17, 18)))])


# Gates in ONNX's order; biases of the state are zero but where OpenVINO keeps them, so that nothing is added up.
def sequence():
    h = 6
    b = np.concatenate([rng.standard_normal(4 * h), np.zeros(4 * h)])
    g = np.concatenate([rng.standard_normal(3 * h), np.zeros(2 * h), rng.standard_normal(h)])
    weights = [("w", (1, 4 * h, 3)), ("r", (1, 4 * h, h)), ("gw", (1, 3 * h, h)), ("gr", (1, 3 * h, h)), ("out", (h, 17))]
    made("sequence",
         [helper.make_node("LSTM", ["x", "w", "r", "b"], ["s"], hidden_size=h),
          helper.make_node("Squeeze", ["s", "one"], ["t"]),
          helper.make_node("GRU", ["t", "gw", "gr", "g"], ["u", "last"], hidden_size=h, linear_before_reset=1),
          helper.make_node("Squeeze", ["last", "zero"], ["v"]), helper.make_node("MatMul", ["v", "out"], ["y"])],
         [("x", TensorProto.FLOAT, [4, 1, 3])], [("y", TensorProto.FLOAT, [1, 17])],
         [tensor(name, rng.standard_normal(shape)) for name, shape in weights]
         + [tensor("b", b[None]), tensor("g", g[None]), tensor("one", np.array([1])), tensor("zero", np.array([0]))])


sequence()


def body():
    info = helper.make_tensor_value_info
    nodes = [helper.make_node("Gemm", ["state", "step"], ["z"], transB=1), helper.make_node("Tanh", ["z"], ["next"]),
             helper.make_node("Identity", ["go"], ["on"])]
    return helper.make_graph(nodes, "body", [info("k", TensorProto.INT64, []), info("go", TensorProto.BOOL, []), info("state", TensorProto.FLOAT, [1, 20])],
                             [info("on", TensorProto.BOOL, []), info("next", TensorProto.FLOAT, [1, 20])], [tensor("step", rng.standard_normal((20, 20)))])


made("loop",
     [helper.make_node("Gemm", ["x", "in"], ["h"], transB=1), helper.make_node("Loop", ["times", "", "h"], ["s"], body=body()),
      helper.make_node("Gemm", ["s", "out"], ["y"], transB=1)],
     [("x", TensorProto.FLOAT, [1, 6]), ("times", TensorProto.INT64, [])], [("y", TensorProto.FLOAT, [1, 17])],
     [tensor("in", rng.standard_normal((20, 6))), tensor("out", rng.standard_normal((17, 20)))])

for file in sorted(os.listdir(GOOD)):
    if file.endswith(".xml"):
        expected["constants"][file[:-4]] = constants(file[:-4])
json.dump(expected, open("expected-openvino.json", "w"), separators=(",", ":"))
open("expected-openvino.json", "a").write("\n")
