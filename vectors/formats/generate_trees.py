"""Writes good/trees/, expected-trees.json (what the libraries themselves predict) and the tree models of bad/ with
bad/expected-trees.json. Needs: xgboost 3.2.0, lightgbm 4.7.0, scikit-learn 1.9.1, onnx 1.23.2, onnxmltools 1.16.0,
skl2onnx 1.20.0, numpy 2.4.6, Python 3.11. Seeded, one thread; run in this folder."""
import base64
import copy
import json
import os
import struct
import warnings

import lightgbm as lgb
import numpy as np
import onnx
import xgboost as xgb
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from skl2onnx import to_onnx
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.tree import DecisionTreeRegressor

warnings.filterwarnings("ignore")
rng = np.random.default_rng(20261124)
os.makedirs("good/trees", exist_ok=True)
GOOD = "good/trees/"

X = rng.normal(size=(300, 4)).astype(np.float32)
X[:, 3] = rng.integers(0, 6, 300)
target = X[:, 0] + np.where(X[:, 3] % 3 == 1, 1.5, 0) - X[:, 1] * (X[:, 2] > 0)
binary = (target > 0.3).astype(int)
three = np.digitize(target, [-0.4, 0.8])
holes = X.copy()
holes[rng.random(X.shape) < 0.1] = np.nan
# Rows to predict: seen ones, others, missing values, zeros, and values on the thresholds themselves are among them.
probe = np.vstack([X[:12], rng.normal(size=(6, 4)) * 2, holes[:10], np.zeros((1, 4)), np.full((1, 4), np.nan)]).astype(np.float32)
probe[12:18, 3] = [7, 3.5, -1, 0, 2, 5]

expected = {"probe": {"rows": len(probe), "f32": base64.b64encode(probe.astype("<f4").tobytes()).decode()}, "models": {}}


def note(file, predicted, digest, link="identity", whole_rows=False):
    """digest: models of one name are one model; link: what turns the base score into a margin; whole_rows: rows with
    missing values, which the model was not made for, are left out (null)."""
    values = np.asarray(predicted, dtype=np.float64).reshape(len(probe), -1)
    if whole_rows:
        values[np.isnan(probe).any(1)] = np.nan
    expected["models"][file] = {"digest": digest, "link": link, "outputs": values.shape[1], "margins": [None if np.isnan(v) else float(v) for v in values.ravel()]}


def save(model, name, link="identity", binary_too=True, onnx_too=None):
    booster = model.get_booster()
    margins = booster.predict(xgb.DMatrix(probe, feature_types=booster.feature_types), output_margin=True)
    for ending in ("json", "ubj") if binary_too else ("json",):
        booster.save_model(f"{GOOD}{name}.{ending}")
        note(f"{name}.{ending}", margins, name, link)
    if onnx_too is not None:
        converted = convert_xgboost(model, name=name, initial_types=[("x", FloatTensorType([None, 4]))])
        open(f"{GOOD}{name}.onnx", "wb").write(converted.SerializeToString())
        note(f"{name}.onnx", margins, name if onnx_too else f"{name}, as converted")


common = dict(n_estimators=4, max_depth=3, n_jobs=1, random_state=1)
save(xgb.XGBClassifier(**common).fit(X, binary), "binary", "logit", onnx_too=True)
save(xgb.XGBClassifier(**common).fit(X, three), "multi", onnx_too=True)
save(xgb.XGBRegressor(**common).fit(holes, target), "missing", onnx_too=True)
save(xgb.XGBRegressor(**common, booster="dart", rate_drop=0.5).fit(X, target), "dart")
save(xgb.XGBRegressor(**common, enable_categorical=True, feature_types=["q", "q", "q", "c"], max_cat_to_onehot=1).fit(X, target), "categories")
save(xgb.XGBRegressor(**common, multi_strategy="multi_output_tree").fit(X, np.stack([target, X[:, 1]], 1)), "vector")
save(xgb.XGBRegressor(n_estimators=3, max_depth=3, n_jobs=1, tree_method="exact", gamma=15).fit(X, target), "pruned", onnx_too=True)
linear = xgb.XGBRegressor(n_estimators=5, booster="gblinear", n_jobs=1).fit(X, target).get_booster()
for ending in ("json", "ubj"):
    linear.save_model(f"{GOOD}linear.{ending}")

# Trainings on one table that do not depend on each other, and one with another rate: depth 4, a hundred rows a leaf.
table = rng.normal(size=(3000, 4)).astype(np.float32).round(1)
response = (table[:, 0] * table[:, 1] + table[:, 2] - np.abs(table[:, 3]) + rng.normal(size=3000) * 0.5).astype(np.float32)
apart = dict(n_estimators=30, max_depth=4, n_jobs=1, min_child_weight=20)
for k in range(3):
    drawn = rng.integers(0, len(table), len(table))
    xgb.XGBRegressor(**apart).fit(table[drawn], response[drawn]).get_booster().save_model(f"{GOOD}boot-{k}.ubj")
for k in range(2):
    model = xgb.XGBRegressor(**apart, subsample=0.8, colsample_bynode=0.8, random_state=k).fit(table, response)
    model.get_booster().save_model(f"{GOOD}sub-{k}.ubj")
xgb.XGBRegressor(**apart, learning_rate=0.15).fit(table, response).get_booster().save_model(f"{GOOD}eta.ubj")

quiet = dict(verbose=-1, num_threads=1, seed=1, num_leaves=6, min_data_in_leaf=10)


def light(name, parameters, data, y, rounds=4, **options):
    model = lgb.train({**quiet, **parameters}, lgb.Dataset(data, y, **options), rounds)
    model.save_model(f"{GOOD}{name}.txt")
    note(f"{name}.txt", model.predict(probe.astype(np.float64), raw_score=parameters.get("boosting") != "rf"), name)
    return model


plain = light("light", {"objective": "binary"}, X.astype(np.float64), binary)
light("light-missing", {"objective": "regression"}, holes.astype(np.float64), target)
light("light-zero", {"objective": "regression", "zero_as_missing": True}, np.where(X > 1, 0, X).astype(np.float64), target)
light("light-categories", {"objective": "regression", "max_cat_to_onehot": 1, "min_data_per_group": 5, "cat_smooth": 1}, X.astype(np.float64), target, categorical_feature=[3])
light("light-multi", {"objective": "multiclass", "num_class": 3}, X.astype(np.float64), three, rounds=2)
light("light-forest", {"objective": "regression", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}, X.astype(np.float64), target)
converted = convert_lightgbm(plain, name="light", initial_types=[("x", FloatTensorType([None, 4]))], zipmap=False)
open(f"{GOOD}light.onnx", "wb").write(converted.SerializeToString())
note("light.onnx", plain.predict(probe.astype(np.float64), raw_score=True), "light, as converted")

forest = RandomForestClassifier(3, max_depth=3, random_state=1).fit(X, three)
open(f"{GOOD}forest.onnx", "wb").write(to_onnx(forest, X[:1], options={"zipmap": False}, target_opset={"": 17, "ai.onnx.ml": 1}).SerializeToString())
note("forest.onnx", forest.predict_proba(np.nan_to_num(probe)), "forest", whole_rows=True)
boosted = GradientBoostingRegressor(n_estimators=4, max_depth=2, random_state=1).fit(X, target)
open(f"{GOOD}boosted.onnx", "wb").write(to_onnx(boosted, X[:1], target_opset={"": 17, "ai.onnx.ml": 1}).SerializeToString())
note("boosted.onnx", boosted.predict(np.nan_to_num(probe)), "boosted", whole_rows=True)
single = DecisionTreeRegressor(max_depth=3, random_state=1).fit(X.astype(np.float64), target)
open(f"{GOOD}double.onnx", "wb").write(to_onnx(single, X[:1].astype(np.float64), target_opset={"": 17, "ai.onnx.ml": 3}).SerializeToString())
note("double.onnx", single.predict(np.nan_to_num(probe).astype(np.float64)), "double", whole_rows=True)


def graph(node, name, outputs):
    made = helper.make_graph(
        [node], name, [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", outputs])])
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 5)], ir_version=10)


def tensor(values, kind=np.float32):
    return numpy_helper.from_array(np.asarray(values, dtype=kind))


# All modes; two trees; leaf 1 is named by two splits.
five = dict(
    nodes_splits=tensor([0.5, -0.25, 0.0, 1.0, 0.75, 3.0, 2.0]),
    nodes_modes=tensor([0, 1, 6, 2, 3, 4, 5], np.uint8),
    nodes_featureids=[0, 1, 3, 2, 1, 3, 3],
    nodes_truenodeids=[1, 0, 1, 4, 2, 6, 5],
    nodes_trueleafs=[0, 1, 1, 0, 1, 0, 1],
    nodes_falsenodeids=[2, 1, 3, 5, 4, 6, 7],
    nodes_falseleafs=[0, 1, 1, 0, 1, 1, 1],
    nodes_missing_value_tracks_true=[1, 0, 1, 0, 0, 0, 0],
    membership_values=tensor([1, 4, 5, np.nan]),
    leaf_targetids=[0, 1, 0, 1, 0, 1, 0, 1],
    leaf_weights=tensor([1, 2, 4, 8, 16, 32, 64, 128]),
    tree_roots=[0, 3],
)
model = graph(helper.make_node("TreeEnsemble", ["x"], ["y"], domain="ai.onnx.ml", n_targets=2, aggregate_function=1, post_transform=0, **five), "five", 2)
onnx.checker.check_model(model)
open(f"{GOOD}five.onnx", "wb").write(model.SerializeToString())
note("five.onnx", ReferenceEvaluator(model).run(None, {"x": probe})[0], "five")

# What conversions do to thresholds.
tree = json.loads(json.dumps(plain.dump_model()))["tree_info"][0]["tree_structure"]
node = {a.name: a for n in converted.graph.node if n.op_type.startswith("TreeEnsemble") for a in n.attribute}
cut = tree["threshold"]
as_converted = next(float(v) for v in node["nodes_values"].floats if abs(v - cut) < 1e-6)
skl = single.tree_.threshold[0]
own = to_onnx(DecisionTreeRegressor(max_depth=1, random_state=1).fit(X, target), X[:1])
skl_own = float(next(a for n in own.graph.node for a in n.attribute if a.name == "nodes_values").floats[0])
expected["conversions"] = {
    "lightgbm": {"stored": cut, "converted": as_converted, "nearest": float(np.float32(cut)), "comparison": "<="},
    "scikit-learn": {"stored": float(skl), "converted": skl_own, "nearest": float(np.float32(skl)), "comparison": "<="},
}
expected["written with"] = {m.__name__: m.__version__ for m in (xgb, lgb, np, onnx)}
json.dump(expected, open("expected-trees.json", "w"), indent=1)

# --- bad ---------------------------------------------------------------------------------------------------------
refused = {}


def bad(name, content, code):
    open(f"bad/{name}", "wb").write(content if isinstance(content, bytes) else content.encode())
    refused[name] = code


model_json = json.load(open(f"{GOOD}binary.json"))


def changed(name, code, change):
    other = copy.deepcopy(model_json)
    change(other["learner"], other["learner"]["gradient_booster"]["model"])
    bad(name, json.dumps(other, separators=(",", ":")), code)


def put(key, at, value):
    def change(_, model):
        model["trees"][0][key][at] = value
    return change


changed("trees-cycle.json", "TREES_REACHED_TWICE", put("left_children", 1, 0))
changed("trees-itself.json", "TREES_REACHED_TWICE", put("left_children", 1, 1))
changed("trees-two-parents.json", "TREES_REACHED_TWICE", put("left_children", 1, 2))
changed("trees-child-99.json", "TREES_CHILD", put("right_children", 0, 99))
changed("trees-child-negative.json", "TREES_CHILD", put("right_children", 0, -7))
changed("trees-child-fraction.json", "TREES_CHILD", put("right_children", 0, 1.5))
changed("trees-threshold-nan.json", "TREES_THRESHOLD", put("split_conditions", 0, float("nan")))
changed("trees-input-9.json", "TREES_FEATURE", put("split_indices", 0, 9))
changed("trees-input-negative.json", "TREES_FEATURE", put("split_indices", 0, -1))
changed("trees-list-short.json", "XGBOOST_FIELD", lambda _, m: m["trees"][0]["split_conditions"].pop())
changed("trees-list-missing.json", "XGBOOST_FIELD", lambda _, m: m["trees"][0].pop("default_left"))
changed("trees-info-short.json", "XGBOOST_FIELD", lambda _, m: m["tree_info"].pop())
changed("trees-class-negative.json", "TREES_OUTPUT", lambda _, m: m["tree_info"].__setitem__(0, -1))
changed("trees-set-missing.json", "XGBOOST_FIELD", put("split_type", 0, 1))
changed("trees-vector-old.json", "XGBOOST_VECTOR_LEAVES", lambda _, m: m["trees"][0]["tree_param"].__setitem__("size_leaf_vector", "3"))
changed("trees-booster.json", "XGBOOST_BOOSTER", lambda l, _: l["gradient_booster"].__setitem__("name", "gbforest"))
changed("trees-base-text.json", "XGBOOST_FIELD", lambda l, _: l["learner_model_param"].__setitem__("base_score", "[one]"))
changed("trees-none.json", "TREES_EMPTY", lambda _, m: m.update(trees=[], tree_info=[]))
text = open(f"{GOOD}binary.json").read()
bad("trees-cut.json", text[: len(text) // 2], "JSON_INVALID")
bad("trees-twice.json", text.replace('"tree_info"', '"trees":[],"tree_info"', 1), "JSON_DUPLICATE_NAME")
bad("trees-deep.json", text.replace('"attributes":{}', '"attributes":' + "[" * 5000, 1), "JSON_TOO_DEEP")
bad("trees-behind.json", text + "{}", "JSON_INVALID")
bad("trees-words.json", text.replace('"tree_info":[0', '"tree_info":[zero', 1), "JSON_INVALID")
other = json.load(open(f"{GOOD}linear.json"))
other["learner"]["gradient_booster"]["model"]["weights"].pop()
bad("linear-short.json", json.dumps(other), "XGBOOST_FIELD")

ubj = open(f"{GOOD}binary.ubj", "rb").read()


def swapped(name, code, before, after):
    assert ubj.count(before) >= 1, name
    bad(name, ubj.replace(before, after, 1), code)


key = b"left_children[$l#L"
at = ubj.index(key) + len(key)
count = ubj[at : at + 8]
bad("trees-cut.ubj", ubj[: len(ubj) // 2], "UBJ_TRUNCATED")
swapped("trees-count-2-62.ubj", "UBJ_COUNT", key + count, key + struct.pack(">q", 2**62))
swapped("trees-count-negative.ubj", "UBJ_COUNT", key + count, key + struct.pack(">q", -1))
swapped("trees-count-long.ubj", "UBJ_COUNT", key + count, key + struct.pack(">q", len(ubj)))
swapped("trees-type-unknown.ubj", "UBJ_MARKER", key, b"left_children[$x#L")
swapped("trees-type-empty.ubj", "UBJ_MARKER", key + count, b"left_children[$Z#L" + struct.pack(">q", 2**40))
swapped("trees-text.ubj", "UBJ_MARKER", key, b"left_childrenSl#L")
nested = b"attributes{"
swapped("trees-deep.ubj", "UBJ_TOO_DEEP", nested, b"attributes" + b"[" * 5000 + b"{")
swapped("trees-name-long.ubj", "UBJ_COUNT", struct.pack(">q", 7) + b"learner", struct.pack(">q", 2**40) + b"learner")
name = b"L" + struct.pack(">q", 5) + b"trees"
swapped("trees-twice.ubj", "UBJ_DUPLICATE_NAME", name, b"L" + struct.pack(">q", 9) + b"tree_info" + b"[#i\x00" + name)
bad("trees-behind.ubj", ubj + b"Z", "UBJ_COUNT")
bad("not-xgboost.ubj", b"{i\x01ai\x01}", "MODEL_FORMAT_NOT_READ")

lines = open(f"{GOOD}light.txt").read()


def light_bad(name, code, before, after):
    assert before in lines, name
    bad(name, lines.replace(before, after, 1), code)


def field(name):
    at = lines.index(f"\n{name}=") + 1
    return lines[at : lines.index("\n", at)]


left = field("left_child")
values = left.split("=")[1].split(" ")
bad("light-cut.txt", lines[: lines.index("end of trees") - 40], "LIGHTGBM_TRUNCATED")
bad("light-head-alone.txt", lines[: lines.index("Tree=0")], "LIGHTGBM_TRUNCATED")
light_bad("light-cycle.txt", "TREES_REACHED_TWICE", left, "left_child=" + " ".join(["0", *values[1:]]))
light_bad("light-child-99.txt", "TREES_CHILD", left, "left_child=" + " ".join(["99", *values[1:]]))
light_bad("light-leaf-99.txt", "TREES_CHILD", left, "left_child=" + " ".join(["-99", *values[1:]]))
light_bad("light-short.txt", "LIGHTGBM_FIELD", left, "left_child=" + " ".join(values[1:]))
light_bad("light-threshold-nan.txt", "TREES_THRESHOLD", "\nthreshold=" + field("threshold").split("=")[1].split(" ")[0], "\nthreshold=nan")
light_bad("light-word.txt", "LIGHTGBM_NUMBER", "\nthreshold=", "\nthreshold=x")
light_bad("light-input-9.txt", "TREES_FEATURE", "\nsplit_feature=", "\nsplit_feature=9")
light_bad("light-linear.txt", "LIGHTGBM_LINEAR", "is_linear=0", "is_linear=1")
light_bad("light-kind.txt", "LIGHTGBM_FIELD", "\ndecision_type=", "\ndecision_type=6")
light_bad("light-set.txt", "LIGHTGBM_FIELD", "\n" + field("decision_type"), "\ndecision_type=" + " ".join("1" for _ in values))
light_bad("light-leaves.txt", "LIGHTGBM_FIELD", "num_leaves=", "num_leaves=9")
light_bad("light-order.txt", "LIGHTGBM_FIELD", "Tree=1", "Tree=2")
light_bad("light-twice.txt", "LIGHTGBM_FIELD", "num_leaves=", "num_leaves=6\nnum_leaves=")
light_bad("light-trees-missing.txt", "LIGHTGBM_TRUNCATED", lines[lines.index("Tree=3") : lines.index("end of trees")], "")

small = dict(
    nodes_treeids=[0, 0, 0], nodes_nodeids=[0, 1, 2], nodes_featureids=[0, 0, 0], nodes_modes=["BRANCH_LT", "LEAF", "LEAF"],
    nodes_values=[0.5, 0.0, 0.0], nodes_truenodeids=[1, 0, 0], nodes_falsenodeids=[2, 0, 0],
    target_treeids=[0, 0], target_nodeids=[1, 2], target_ids=[0, 0], target_weights=[1.0, 2.0], n_targets=1)


def onnx_bad(name, code, op="TreeEnsembleRegressor", given=small, **changes):
    node = helper.make_node(op, ["x"], ["y"], domain="ai.onnx.ml", name="t", **{**given, **changes})
    bad(name, graph(node, name, 1).SerializeToString(), code)


onnx_bad("trees-child-9.onnx", "TREES_CHILD", nodes_falsenodeids=[9, 0, 0])
onnx_bad("trees-two-parents.onnx", "TREES_ROOT", nodes_falsenodeids=[1, 0, 0])
onnx_bad("trees-cycle.onnx", "TREES_ROOT", nodes_modes=["BRANCH_LT", "BRANCH_LT", "LEAF"])
onnx_bad("trees-loop.onnx", "TREES_REACHED_TWICE", nodes_treeids=[0] * 4, nodes_nodeids=[0, 1, 2, 3], nodes_featureids=[0] * 4,
         nodes_modes=["BRANCH_LT", "BRANCH_LT", "LEAF", "LEAF"], nodes_values=[0.5] * 4, nodes_truenodeids=[1, 1, 0, 0], nodes_falsenodeids=[2, 3, 0, 0],
         target_nodeids=[2, 3])
onnx_bad("trees-mode.onnx", "TREES_LIST", nodes_modes=["BRANCH_XOR", "LEAF", "LEAF"])
onnx_bad("trees-list-short.onnx", "TREES_LIST", nodes_values=[0.5])
onnx_bad("trees-value-of-split.onnx", "TREES_LIST", target_nodeids=[0, 2])
onnx_bad("trees-node-twice.onnx", "TREES_LIST", nodes_nodeids=[0, 1, 1])
onnx_bad("trees-threshold-nan.onnx", "TREES_THRESHOLD", nodes_values=[float("nan"), 0.0, 0.0])
onnx_bad("trees-input-negative.onnx", "TREES_FEATURE", nodes_featureids=[-1, 0, 0])
onnx_bad("trees-target-negative.onnx", "TREES_OUTPUT", target_ids=[-1, 0])
onnx_bad("trees-aggregate.onnx", "TREES_LIST", aggregate_function="PRODUCT")
five_given = dict(n_targets=2, **five)
onnx_bad("trees-root-9.onnx", "TREES_CHILD", "TreeEnsemble", five_given, tree_roots=[0, 9])
onnx_bad("trees-shared.onnx", "TREES_REACHED_TWICE", "TreeEnsemble", five_given, tree_roots=[0, 0])
onnx_bad("trees-leaf-99.onnx", "TREES_LIST", "TreeEnsemble", five_given, nodes_truenodeids=[1, 99, 1, 4, 2, 6, 5])
onnx_bad("trees-mode-9.onnx", "TREES_LIST", "TreeEnsemble", five_given, nodes_modes=tensor([9, 1, 6, 2, 3, 4, 5], np.uint8))
onnx_bad("trees-members-missing.onnx", "TREES_LIST", "TreeEnsemble", five_given, membership_values=tensor([np.nan]))
json.dump(refused, open("bad/expected-trees.json", "w"), indent=1)
print(len(refused), "bad;", sum(os.path.getsize(GOOD + f) for f in os.listdir(GOOD)), "bytes of good")
