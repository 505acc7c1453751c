"""Writes bad/openvino/ and bad/expected-openvino.json: hostile IRs, each with the code of its refusal. Needs: Python 3.11
alone; run in this folder after generate_openvino.py. Written by hand: OpenVINO itself would not write them."""
import json
import os
import shutil

shutil.rmtree("bad/openvino", ignore_errors=True)
os.makedirs("bad/openvino")
expected = {}


def const(id=0, name="w", element_type="f32", shape="2, 3", offset=0, size=24, dims=(2, 3), **more):
    data = {"element_type": element_type, "shape": shape, "offset": offset, "size": size, **more}
    attributes = "".join(f' {key}="{value}"' for key, value in data.items() if value is not None)
    sizes = "".join(f"<dim>{d}</dim>" for d in dims)
    return (f'<layer id="{id}" name="{name}" type="Const" version="opset1"><data{attributes}/><output>'
            f'<port id="0" precision="FP32">{sizes}</port></output></layer>')


def relu(id, name="y", type="ReLU", extra=""):
    return (f'<layer id="{id}" name="{name}" type="{type}" version="opset1">{extra}<input><port id="0" precision="FP32"/></input>'
            f'<output><port id="1" precision="FP32"/></output></layer>')


def edge(a, b, out=0, into=0):
    return f'<edge from-layer="{a}" from-port="{out}" to-layer="{b}" to-port="{into}"/>'


def net(*layers, edges=(), version='version="11"'):
    return f'<?xml version="1.0"?><net name="n" {version}><layers>{"".join(layers)}</layers><edges>{"".join(edges)}</edges></net>'


def bad(name, code, text, weights=bytes(24)):
    expected[f"{name}.xml"] = code
    with open(f"bad/openvino/{name}.xml", "wb") as file:
        file.write(text if isinstance(text, bytes) else text.encode())
    if weights is not None:
        with open(f"bad/openvino/{name}.bin", "wb") as file:
            file.write(weights)


def body(depth):
    inner = const()
    for _ in range(depth):
        inner = f'<layer id="0" name="l" type="Loop" version="opset5"><body><layers>{inner}</layers><edges/></body></layer>'
    return inner


M, G = "OPENVINO_MALFORMED", "OPENVINO_GRAPH"
# The XML itself.
bad("doctype", M, '<!DOCTYPE net [<!ENTITY a "b">]>' + net(const()).partition("?>")[2])
bad("entity", M, net(const(name="&a;")))
laughs = "".join(f'<!ENTITY l{k} "{f"&l{k - 1};" * 10}">' for k in range(1, 10))
bad("laughs", M, f'<?xml version="1.0"?><!DOCTYPE net [<!ENTITY l0 "ha">{laughs}]>' + net(const(name="&l9;")).partition("?>")[2])
bad("external-entity", M, '<?xml version="1.0"?><!DOCTYPE net [<!ENTITY a SYSTEM "file:///etc/hostname">]>' + net(const(name="&a;")).partition("?>")[2])
bad("cut", M, net(const())[:-30])
bad("tags-crossed", M, net(const()).replace("</edges></net>", "</net></edges>"))
bad("attribute-twice", M, net(const(name='a" name="b')))
bad("two-roots", M, net(const()) + "<net/>")
bad("utf-16", M, net(const()).replace('version="1.0"', 'version="1.0" encoding="UTF-16"'))
bad("not-utf8", "UTF8_INVALID", net(const(name="\x01\x02")).encode().replace(b"\x01\x02", b"\xc3\x28"))
bad("control-character", M, net(const(name="&#1;")))
bad("300-attributes", "OPENVINO_TOO_MANY", net(const(**{f"a{k}": k for k in range(300)})))
bad("elements-200-deep", "OPENVINO_TOO_MANY", net("<layer id='0' name='w' type='Const'>" + "<a>" * 200 + "</a>" * 200 + "</layer>"))
bad("bodies-17-deep", "OPENVINO_TOO_MANY", net(body(17)))
# Versions and numbers.
bad("version-7", "OPENVINO_VERSION", net(const(), version='version="7"'))
bad("version-12", "OPENVINO_VERSION", net(const(), version='version="12"'))
bad("no-version", "OPENVINO_VERSION", net(const(), version=""))
bad("id-text", M, net(const(id="one")))
bad("id-missing", M, net(const()).replace('id="0" name="w"', 'name="w"'))
bad("id-negative", M, net(const(id=-1)))
bad("name-missing", M, net(const()).replace(' name="w"', ""))
bad("size-text", M, net(const(size="24.0")))
bad("offset-negative", M, net(const(offset=-4)))
bad("offset-missing", M, net(const(offset=None)))
bad("dim-text", M, net(const(dims=("2e0", 3))))
# Layers and edges.
bad("same-id", G, net(const(), const()))
bad("same-port", G, net(const()).replace("</port></output>", '</port><port id="0" precision="FP32"/></output>'))
bad("edge-from-nowhere", G, net(const(), relu(1), edges=[edge(9, 1)]))
bad("edge-to-nowhere", G, net(const(), relu(1), edges=[edge(0, 9)]))
bad("edge-from-no-port", G, net(const(), relu(1), edges=[edge(0, 1, out=5)]))
bad("edge-to-no-port", G, net(const(), relu(1), edges=[edge(0, 1, into=5)]))
bad("edge-text", M, net(const(), relu(1), edges=['<edge from-layer="a" from-port="0" to-layer="1" to-port="0"/>']))
bad("edge-twice", G, net(const(), relu(1), edges=[edge(0, 1), edge(0, 1)]))
bad("input-of-nothing", G, net(const(), relu(1)))
bad("circle", G, net(const(), relu(1), relu(2, "z"), edges=[edge(2, 1, out=1), edge(1, 2, out=1)]))
bad("circle-of-one", G, net(const(), relu(1), edges=[edge(1, 1, out=1)]))
bad("edge-between-bodies", G, net(const(), relu(1, type="Loop", extra=f"<body><layers>{relu(2)}</layers><edges>{edge(0, 2)}</edges></body>"), edges=[edge(0, 1)]))
# Constants.
bad("nf4", "OPENVINO_DTYPE", net(const(element_type="nf4", size=3)))
bad("u1", "OPENVINO_DTYPE", net(const(element_type="u1", size=1)))
bad("no-type", "OPENVINO_DTYPE", net(const(element_type=None)))
bad("constructor-type", "OPENVINO_DTYPE", net(const(element_type="constructor")))
bad("beyond", "OPENVINO_TRUNCATED", net(const(offset=4)))
bad("far-beyond", "OPENVINO_TRUNCATED", net(const(offset=10**15 - 1)))
bad("offset-16-digits", M, net(const(offset=10**16)))
bad("short-bin", "OPENVINO_TRUNCATED", net(const()), bytes(23))
bad("empty-bin", "OPENVINO_TRUNCATED", net(const()), b"")
bad("no-bin", "MODEL_PART_MISSING", net(const()), None)
bad("size-less", "OPENVINO_SIZE", net(const(size=20)))
bad("size-more", "OPENVINO_SIZE", net(const(size=28)), bytes(28))
bad("size-of-empty", "OPENVINO_SIZE", net(const(shape="0, 3", dims=(0, 3))))
bad("shape-astronomic", "OPENVINO_SHAPE", net(const(shape="1000000000, 1000000000", dims=(10**9, 10**9))))
bad("shape-large", "OPENVINO_SIZE", net(const(shape="1000000, 1000000000", dims=(10**6, 10**9))))
bad("shape-dynamic", "OPENVINO_SHAPE", net(const(shape="?, 3", dims=(-1, 3))))
bad("shape-missing", "OPENVINO_SHAPE", net(const(shape=None)))
bad("shape-65-axes", "OPENVINO_SHAPE", net(const(shape=", ".join(["1"] * 65), size=4, dims=[1] * 65)))
bad("two-shapes", "OPENVINO_SHAPE", net(const(dims=(3, 2))))
bad("overlap", "OPENVINO_LAYOUT", net(const(), const(1, "v", shape="1", offset=20, size=4, dims=(1,))))
bad("overlap-half", "OPENVINO_LAYOUT", net(const(), const(1, "v", offset=12)), bytes(36))
bad("overlap-in-body", "OPENVINO_LAYOUT", net(const(), f'<layer id="1" name="l" type="Loop" version="opset5"><body><layers>{const(offset=4)}</layers><edges/></body></layer>'), bytes(28))
bad("no-constants", "MODEL_NO_TENSORS", net('<layer id="0" name="x" type="Parameter" version="opset1"><data shape="1" element_type="f32"/><output><port id="0" precision="FP32"><dim>1</dim></port></output></layer>'))
bad("no-layers", "MODEL_NO_TENSORS", net())
# XML of others.
bad("other-root", "MODEL_FORMAT_NOT_READ", '<?xml version="1.0"?><opencv_storage/>')
bad("pmml", "MODEL_FORMAT_NOT_READ", '<?xml version="1.0"?><PMML version="4.4"/>')
bad("declaration-alone", "MODEL_FORMAT_NOT_READ", '<?xml version="1.0"?>')
bad("html", "MODEL_FORMAT_NOT_READ", "<!DOCTYPE html><html><body>404</body></html>")
json.dump(expected, open("bad/expected-openvino.json", "w"), indent=0, sort_keys=True)
open("bad/expected-openvino.json", "a").write("\n")
