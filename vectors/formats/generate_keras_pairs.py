"""Writes good/keras-pairs/ and expected-keras-pairs.json: models that Keras makes, saves in its own ways and predicts with,
and the same weights as TensorFlow.js and torch (its ONNX export) hold them. Needs: keras 3.15.1 on torch 2.15.0, onnx 1.23.2,
h5py 3.16.0, numpy 2.4.6, Python 3.11, and node with @tensorflow/tfjs 4.22.0 (two folders up). Seeded; run in this folder.
Every library's predictions are held to Keras' before anything is written."""
import base64
import json
import os
import shutil
import subprocess
import warnings

os.environ["KERAS_BACKEND"] = "torch"
warnings.filterwarnings("ignore")
import h5py  # noqa: E402
import keras  # noqa: E402
import numpy as np  # noqa: E402
import onnx  # noqa: E402
import torch  # noqa: E402
from keras import layers as L  # noqa: E402

SEED = 20261124
rng = np.random.default_rng(SEED)
keras.utils.set_random_seed(SEED)
shutil.rmtree("good/keras-pairs", ignore_errors=True)
os.makedirs("good/keras-pairs")
expected = {}

GATES = {"activation": "tanh", "recurrent_activation": "sigmoid"}
# Layers by class and settings, as Keras and TensorFlow.js both spell them.
STACKS = {
    "dense": ((8,), [("Dense", {"units": 24, "activation": "relu"}), ("Dense", {"units": 20, "activation": "tanh"}),
                     ("Dense", {"units": 5, "activation": "softmax"})]),
    "images": ((8, 8, 2), [("Conv2D", {"filters": 16, "kernel_size": 3, "padding": "same", "activation": "relu"}),
                           ("BatchNormalization", {"epsilon": 0.001}), ("MaxPooling2D", {"pool_size": 2}),
                           ("Conv2D", {"filters": 14, "kernel_size": 3, "use_bias": False}),
                           ("BatchNormalization", {"epsilon": 0.001}), ("ReLU", {}), ("Flatten", {}),
                           ("Dense", {"units": 18, "activation": "relu"}), ("Dense", {"units": 3})]),
    "lstm": ((6, 5), [("LSTM", {"units": 20, "return_sequences": True, **GATES}), ("LSTM", {"units": 14, **GATES}),
                      ("Dense", {"units": 3})]),
    "gru": ((6, 5), [("GRU", {"units": 20, "return_sequences": True, "reset_after": True, **GATES}),
                     ("GRU", {"units": 14, "reset_after": True, **GATES}), ("Dense", {"units": 3})]),
    # TensorFlow.js knows no other; torch has none of these.
    "gru-reset-before": ((6, 5), [("GRU", {"units": 22, "reset_after": False, **GATES}), ("Dense", {"units": 3})]),
}
WITHOUT_TFJS, WITHOUT_ONNX = {"gru"}, {"gru-reset-before"}


def randomise(model):
    for w in model.weights:
        values = rng.uniform(0.5, 1.5, w.shape) if w.name in ("gamma", "moving_variance") else rng.uniform(-1, 1, w.shape)
        w.assign(values.astype("float32"))


def told(values):
    return {"shape": list(values.shape), "values": [float(f"{v:.7g}") for v in np.asarray(values).ravel()]}


def note(name, model, inputs):
    """Keras' own predictions, without training's noise."""
    outputs = model(inputs, training=False)
    outputs = [keras.ops.convert_to_numpy(y) for y in (outputs if isinstance(outputs, (list, tuple)) else [outputs])]
    expected[name] = {"inputs": [told(x) for x in inputs], "outputs": [told(y) for y in outputs]}
    return outputs


def same(ours, theirs, what):
    far = float(np.abs(ours - theirs).max() / np.abs(ours).max())
    assert far < 1e-5, f"{what}: outputs differ by {far}"
    print(f"{what}: outputs differ by {far:.1e}")


# ---- torch: its own layers with these weights, and its own export

class Sequence(torch.nn.Module):
    """What a recurrent layer gives, or its last position."""

    def __init__(self, layer, whole):
        super().__init__()
        self.layer, self.whole = layer, whole

    def forward(self, x):
        y = self.layer(x)[0]
        return y if self.whole else y[:, -1]


class ChannelsFirst(torch.nn.Module):
    def forward(self, x):
        return x.permute(0, 3, 1, 2)


class FlattenAsKeras(torch.nn.Module):
    def forward(self, x):
        return x.permute(0, 2, 3, 1).flatten(1)


def fill(parameter, values):
    with torch.no_grad():
        parameter.copy_(torch.from_numpy(np.ascontiguousarray(values)))


ACTIVATIONS = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh, "softmax": lambda: torch.nn.Softmax(-1)}


def in_torch(model):
    parts = [ChannelsFirst()] if len(model.inputs[0].shape) == 4 else []
    for layer in model.layers:
        kind, settings = type(layer).__name__, layer.get_config()
        w = {v.name: keras.ops.convert_to_numpy(v) for v in layer.weights}
        if kind == "Dense":
            parts.append(torch.nn.Linear(*w["kernel"].shape))
            fill(parts[-1].weight, w["kernel"].T)
            fill(parts[-1].bias, w["bias"])
        elif kind == "Conv2D":
            inputs, outputs = w["kernel"].shape[2:]
            parts.append(torch.nn.Conv2d(inputs, outputs, 3, padding=1 if layer.padding == "same" else 0, bias="bias" in w))
            fill(parts[-1].weight, w["kernel"].transpose(3, 2, 0, 1))
            if "bias" in w:
                fill(parts[-1].bias, w["bias"])
        elif kind == "BatchNormalization":
            parts.append(torch.nn.BatchNorm2d(len(w["gamma"]), eps=settings["epsilon"]))
            for ours, theirs in zip(("weight", "bias", "running_mean", "running_var"), ("gamma", "beta", "moving_mean", "moving_variance")):
                fill(getattr(parts[-1], ours), w[theirs])
        elif kind in ("LSTM", "GRU"):
            inputs, units = w["kernel"].shape[0], layer.units
            inner = getattr(torch.nn, kind)(inputs, units, batch_first=True)
            # torch: i, f, g, o as Keras; r, z, n where Keras has z, r, h.
            order = (0, 1, 2, 3) if kind == "LSTM" else (1, 0, 2)
            turned = lambda m: np.concatenate([np.split(m, len(order), axis=-1)[k] for k in order], axis=-1).T  # noqa: E731
            bias, other = (w["bias"], np.zeros_like(w["bias"])) if kind == "LSTM" else w["bias"]
            fill(inner.weight_ih_l0, turned(w["kernel"]))
            fill(inner.weight_hh_l0, turned(w["recurrent_kernel"]))
            fill(inner.bias_ih_l0, turned(bias))
            fill(inner.bias_hh_l0, turned(other))
            parts.append(Sequence(inner, layer.return_sequences))
        elif kind == "MaxPooling2D":
            parts.append(torch.nn.MaxPool2d(2))
        elif kind == "Flatten":
            parts.append(FlattenAsKeras())
        elif kind == "ReLU":
            parts.append(torch.nn.ReLU())
        else:
            raise ValueError(kind)
        if kind in ("Dense", "Conv2D") and settings["activation"] != "linear":
            parts.append(ACTIVATIONS[settings["activation"]]())
    return torch.nn.Sequential(*parts).eval()


def write_onnx(name, model, inputs, outputs):
    net = in_torch(model)
    x = torch.from_numpy(inputs[0])
    same(outputs[0], net(x).detach().numpy(), f"{name}, torch")
    file = f"good/keras-pairs/{name}.onnx"
    # As it stands: the normalisations are not folded into the convolutions.
    torch.onnx.export(net, (x,), file, dynamo=False, training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=True,
                      input_names=["x"], output_names=["y"], opset_version=17)
    onnx.checker.check_model(file)


# ---- TensorFlow.js

def write_tfjs(name, shape, layers, model, inputs, outputs):
    config = [{"class_name": kind, "config": {"name": f"layer_{k}", **settings, **({"batch_input_shape": [None, *shape]} if k == 0 else {})}}
              for k, (kind, settings) in enumerate(layers)]
    weights = [[{"shape": list(v.shape), "f32": base64.b64encode(keras.ops.convert_to_numpy(v).astype("<f4").tobytes()).decode()}
                for v in layer.weights] for layer in model.layers]
    made = subprocess.run(["node", "generate_keras_pairs.mjs", f"good/keras-pairs/{name}"], check=True, capture_output=True,
                          input=json.dumps({"name": model.name, "layers": config, "weights": weights, "input": told(inputs[0])}).encode())
    theirs = np.frombuffer(base64.b64decode(made.stdout.decode().strip().splitlines()[-1]), "<f4").reshape(outputs[0].shape)
    same(outputs[0], theirs, f"{name}, TensorFlow.js")


for name, (shape, layers) in STACKS.items():
    x = given = keras.Input(shape, name="x")
    made = [getattr(L, kind)(**settings, name=f"layer_{k}") for k, (kind, settings) in enumerate(layers)]
    for layer in made:
        x = layer(x)
    # A functional model and sequential ones.
    model = keras.Model(given, x, name=name.replace("-", "_")) if name == "images" else keras.Sequential([keras.Input(shape), *made], name=name.replace("-", "_"))
    model.layers  # noqa: B018
    randomise(model)
    inputs = [rng.uniform(-1, 1, (2, *shape)).astype("float32")]
    outputs = note(name, model, inputs)
    for ending in (".keras", ".h5"):
        model.save(f"good/keras-pairs/{name}{ending}")
    plain = [layer for layer in model.layers if not isinstance(layer, L.InputLayer)]
    stack = keras.Sequential([keras.Input(shape), *plain], name=model.name)
    if name not in WITHOUT_ONNX:
        write_onnx(name, stack, inputs, outputs)
    if name not in WITHOUT_TFJS:
        write_tfjs(name, shape, layers, stack, inputs, outputs)


# ---- more kinds of layers, by Keras alone

def blocks():
    x = given = keras.Input((8, 8, 3), name="x")
    x = L.Conv2D(6, 3, strides=2, padding="same", activation="hard_sigmoid", name="first")(x)
    y = L.DepthwiseConv2D(3, padding="same", depth_multiplier=1, activation="gelu", name="deep")(x)
    y = L.Conv2D(6, 1, activation="leaky_relu", name="point")(y)
    # Not a layer: an operation of Keras 3.
    x = x + y
    x = L.SeparableConv2D(8, 3, name="separable", activation="swish")(x)
    x = L.Conv2DTranspose(7, 3, strides=2, padding="same", name="transposed")(x)
    x = L.LayerNormalization(name="norm")(x)
    x = L.LeakyReLU(negative_slope=0.1, name="leak")(x)
    x = L.UpSampling2D(2, interpolation="bilinear", name="larger")(x)
    x = L.AveragePooling2D(2, padding="same", name="smaller")(x)
    x = L.Concatenate(name="both")([L.GlobalAveragePooling2D(name="mean")(x), L.GlobalMaxPooling2D(name="most")(x)])
    return keras.Model(given, L.Dense(4, name="out")(L.Dropout(0.5, name="drop")(x)), name="blocks")


def text():
    given = keras.Input((7,), dtype="int32", name="words")
    x = L.Embedding(11, 8, name="table")(given)
    x = L.Bidirectional(L.LSTM(6, return_sequences=True), name="both")(x)
    x = L.TimeDistributed(L.Dense(9, activation="relu"), name="steps")(x)
    inner_input = keras.Input((7, 9), name="inner_input")
    y = L.Conv1D(9, 3, padding="causal", name="conv")(inner_input)
    inner = keras.Model(inner_input, L.Add(name="sum")([inner_input, L.LayerNormalization(name="norm")(y)]), name="inner")
    x = inner(inner(x))
    x = L.Bidirectional(L.GRU(5), merge_mode="sum", name="ends")(x)
    return keras.Model(given, L.Dense(3, activation="softmax", name="out")(x), name="text")


for build in (blocks, text):
    model = build()
    randomise(model)
    shape = model.inputs[0].shape[1:]
    inputs = [rng.integers(0, 11, (2, *shape)).astype("int32") if build is text else rng.uniform(-1, 1, (2, *shape)).astype("float32")]
    note(model.name, model, inputs)
    for ending in (".keras", ".h5"):
        model.save(f"good/keras-pairs/{model.name}{ending}")

by = {"keras": keras.__version__, "torch": torch.__version__.split("+")[0], "onnx": onnx.__version__, "h5py": h5py.__version__, "@tensorflow/tfjs": "4.22.0"}
json.dump({"by": by, "cases": expected}, open("expected-keras-pairs.json", "w"), indent=0)
