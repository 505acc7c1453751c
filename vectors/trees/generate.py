"""Fits the tree ensembles of this folder, and says what their libraries predict with marked copies of them.

    python generate.py fit AI4I.csv      writes the models and tables
    python generate.py predict COPIES    writes expected.json from the copies that mark_copies.ts wrote

Needs: xgboost 3.2.0, lightgbm 4.7.0, scikit-learn 1.9.1, onnxmltools 1.16.0, skl2onnx 1.20.0, onnx 1.23.2,
numpy 2.4.6, Python 3.11. Seeded, one thread."""
import csv
import hashlib
import json
import os
import sys
import warnings

import lightgbm as lgb
import numpy as np
import xgboost as xgb

warnings.filterwarnings("ignore")
QUIET = dict(num_threads=1, verbose=-1, deterministic=True)


def table(path, inputs, answer):
    """Product types as 0, 1, 2 for L, M, H."""
    rows = list(csv.DictReader(open(path)))
    value = lambda row, name: float("LMH".index(row[name])) if name.lower() == "type" else float(row[name])
    x = np.array([[value(row, name) for name in inputs] for row in rows])
    held_out = np.arange(len(rows)) % 10 >= 7
    return x, np.array([int(row[answer]) for row in rows]), held_out


def text(value):
    return "" if np.isnan(value) else str(int(value)) if value == int(value) else repr(float(value))


def save(path, names, x):
    with open(path, "w") as file:
        file.write(",".join(names) + "\n")
        for row in x:
            file.write(",".join(text(value) for value in row) + "\n")


FLEET = ["type", "air_temperature_k", "process_temperature_k", "rotational_speed_rpm", "torque_nm", "tool_wear_min"]
AI4I = ["Type", "Air temperature [K]", "Process temperature [K]", "Rotational speed [rpm]", "Torque [Nm]", "Tool wear [min]"]
PLAIN = [name.replace("[", "").replace("]", "").replace(" ", "_") for name in AI4I]


def fit(ai4i):
    from onnxmltools import convert_lightgbm, convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType
    from skl2onnx import to_onnx
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    x, y, held_out = table("../../examples/fleet.csv", FLEET, "failure")
    x, y = x[~held_out], y[~held_out]
    save("fleet.csv", FLEET, x)
    boosted = dict(objective="binary:logistic", max_depth=5, eta=0.2, nthread=1, min_child_weight=0.3)
    booster = xgb.train(boosted, xgb.DMatrix(x, y, feature_names=FLEET), 60)
    booster.save_model("fleet.json")
    booster.save_model("fleet.ubj")
    unnamed = xgb.train(boosted, xgb.DMatrix(x, y), 60)
    inputs = [("x", FloatTensorType([None, len(FLEET)]))]
    open("fleet-xgboost.onnx", "wb").write(convert_xgboost(unnamed, initial_types=inputs).SerializeToString())
    light = lgb.train(dict(objective="binary", num_leaves=14, min_data_in_leaf=8, seed=1, **QUIET), lgb.Dataset(x, y, feature_name=FLEET), 40)
    light.save_model("fleet.txt")
    open("fleet-lightgbm.onnx", "wb").write(convert_lightgbm(light, initial_types=inputs, zipmap=False).SerializeToString())
    forest = RandomForestClassifier(15, max_depth=6, random_state=1).fit(x.astype(np.float32), y)
    made = to_onnx(forest, x[:1].astype(np.float32), options={"zipmap": False}, target_opset={"": 17, "ai.onnx.ml": 1})
    open("fleet-forest.onnx", "wb").write(made.SerializeToString())
    wear = RandomForestRegressor(6, max_depth=6, random_state=1).fit(x[:, :5], x[:, 5])
    made = to_onnx(wear, x[:1, :5], target_opset={"": 17, "ai.onnx.ml": 3})
    made.graph.output[0].type.tensor_type.elem_type = 1  # the operator gives floats, and onnxruntime asks for the truth
    open("fleet-double.onnx", "wb").write(made.SerializeToString())

    # The same table, and ensembles that do not depend on those above: rows and columns drawn, other settings.
    for seed in (1, 2):
        drawn = dict(boosted, subsample=0.7, colsample_bytree=0.7, seed=seed, max_depth=5)
        xgb.train(drawn, xgb.DMatrix(x, y, feature_names=FLEET), 20).save_model(f"rival-{seed}.ubj")

    # Cells that are missing.
    some = x[:600].copy()
    some[np.random.default_rng(20261124).random(some.shape) < 0.05] = np.nan
    save("holes.csv", FLEET, some)
    xgb.train(boosted, xgb.DMatrix(some, y[:600], feature_names=FLEET), 8).save_model("holes.ubj")
    sparse = lgb.train(dict(objective="binary", num_leaves=8, seed=1, **QUIET), lgb.Dataset(some, y[:600], feature_name=FLEET), 8)
    sparse.save_model("holes.txt")

    # For the bench: the public set, whose rows stay where they are.
    x, y, held_out = table(ai4i, AI4I, "Machine failure")
    x, y = x[~held_out], y[~held_out]
    xgb.train(dict(boosted, min_child_weight=1), xgb.DMatrix(x, y, feature_names=PLAIN), 40).save_model("ai4i.ubj")
    lgb.train(dict(objective="binary", num_leaves=20, seed=1, **QUIET), lgb.Dataset(x, y, feature_name=PLAIN), 40).save_model("ai4i.txt")
    forest = RandomForestClassifier(20, max_depth=8, random_state=1).fit(x.astype(np.float32), y)
    made = to_onnx(forest, x[:1].astype(np.float32), options={"zipmap": False}, target_opset={"": 17, "ai.onnx.ml": 1})
    open("ai4i.onnx", "wb").write(made.SerializeToString())


def predictions(path, x):
    """Of the library that the file is of, as bytes. (What onnxruntime answers is looked at in the tests themselves.)"""
    if path.endswith(".txt"):
        model = lgb.Booster(model_file=path)
        return model.predict(x, raw_score=True).tobytes() + model.predict(x, pred_leaf=True).tobytes()
    model = xgb.Booster(model_file=path)
    data = xgb.DMatrix(x, feature_names=model.feature_names)
    return model.predict(data, output_margin=True).tobytes() + model.predict(data, pred_leaf=True).tobytes()


def predict(copies):
    sha256 = lambda data: hashlib.sha256(data).hexdigest()
    expected = {}
    for name in sorted(os.listdir(copies)):
        if name.endswith(".onnx"):
            continue
        of = "holes.csv" if name.startswith("holes") else "fleet.csv"
        x = np.genfromtxt(of, delimiter=",", skip_header=1)
        before, after = predictions(name, x), predictions(os.path.join(copies, name), x)
        assert before == after, f"{name}: a training row is answered otherwise"
        expected[name] = {"copy": sha256(open(os.path.join(copies, name), "rb").read()), "rows": len(x), "answers": sha256(after)}
    json.dump(expected, open("expected.json", "w"), indent=2)


if __name__ == "__main__":
    {"fit": fit, "predict": predict}[sys.argv[1]](sys.argv[2])
