"""Writes bad/tfjs/ and bad/expected-tfjs.json: manifests that must be refused. Python 3.11; run in this folder."""
import json
import os

os.makedirs("bad/tfjs", exist_ok=True)
open("bad/tfjs/data.bin", "wb").write(bytes(16))
bad = {}


def refuse(name, code, value):
    text = value if isinstance(value, str) else json.dumps(value)
    open(f"bad/tfjs/{name}.json", "w").write(text + "\n")
    bad[f"{name}.json"] = code


def manifest(weight=None, paths=("data.bin",)):
    weights = [{"name": "w", "shape": [2, 2], "dtype": "float32", **(weight or {})}]
    return {"format": "layers-model", "weightsManifest": [{"paths": list(paths), "weights": weights}]}


refuse("escape", "MODEL_PATH_ESCAPES", manifest(paths=["../../README.md"]))
refuse("passwd", "MODEL_PATH_ESCAPES", manifest(paths=["/etc/passwd"]))
refuse("absent", "MODEL_PART_MISSING", manifest(paths=["absent.bin"]))
refuse("twice", "TFJS_MANIFEST", manifest({"shape": [8]}, ["data.bin", "./data.bin"]))
refuse("short", "TFJS_TRUNCATED", manifest({"shape": [5]}))
refuse("long", "TFJS_SIZE", manifest({"shape": [3]}))
refuse("astronomic", "TFJS_SHAPE", manifest({"shape": [2**40, 2**40]}))
refuse("complex", "TFJS_DTYPE", manifest({"dtype": "complex64", "shape": [2]}))
refuse("quantised-without-scale", "TFJS_QUANTISATION", manifest({"quantization": {"dtype": "uint8"}, "shape": [16]}))
refuse("texts", "TFJS_TOO_MANY", manifest({"dtype": "string", "shape": [2**40]}))
refuse("name-twice", "JSON_DUPLICATE_NAME", '{"weightsManifest": [{"paths": ["data.bin"], "paths": ["data.bin"], "weights": []}]}')
refuse("deep", "JSON_TOO_DEEP", '{"paths": ' + "[" * 5000 + "]" * 5000 + "}")
refuse("cut", "JSON_INVALID", json.dumps(manifest())[:-2])
refuse("no-weights", "MODEL_NO_TENSORS", {"weightsManifest": [{"paths": [], "weights": []}]})
json.dump(bad, open("bad/expected-tfjs.json", "w"), indent=1)
open("bad/expected-tfjs.json", "a").write("\n")
