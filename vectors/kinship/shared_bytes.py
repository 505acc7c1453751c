"""Evidence for the labels of npm.json that owes nothing to this product: bytes of one file of weights that occur verbatim
in the other, in stretches of 64 bytes and more. Vectors keep their order in every format, so conversions share them; where
one file holds float32 and the other float16, the first is rounded before. Stretches of few distinct bytes are left out.
Usage: python shared_bytes.py A B (a model.json stands for the files it names). Needs numpy."""
import json
import os
import sys

import numpy as np

STRETCH = 64
DISTINCT = 16


def weights(path):
    if not path.endswith(".json"):
        return open(path, "rb").read()
    listed = json.load(open(path))
    groups = listed if isinstance(listed, list) else listed["weightsManifest"]
    return b"".join(open(os.path.join(os.path.dirname(path), part), "rb").read() for g in groups for part in g["paths"])


def rounded(data):
    with np.errstate(all="ignore"):
        return np.frombuffer(data[: len(data) // 4 * 4], "<f4").astype("<f2").tobytes()


def shared(a, b):
    seen = {b[i : i + STRETCH] for i in range(0, len(b) - STRETCH, 2)}
    found = at = 0
    while at + STRETCH <= len(a):
        stretch = a[at : at + STRETCH]
        if stretch in seen and len(set(stretch)) > DISTINCT:
            found += STRETCH
            at += STRETCH
        else:
            at += 2
    return found


if __name__ == "__main__":
    one, other = (weights(path) for path in sys.argv[1:3])
    print(max(shared(one, other), shared(rounded(one), other), shared(one, rounded(other))))
