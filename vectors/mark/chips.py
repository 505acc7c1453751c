"""Independent check of chips.json: the same AES-256-CTR bits, quantiles by SciPy. Needs scipy and cryptography."""
import hashlib, json, pathlib, struct
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from scipy.stats import norm

vector = json.loads((pathlib.Path(__file__).parent / "chips.json").read_text())
key = hashlib.sha256(vector["key"].encode()).digest()
stream = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()
for expected in vector["first"]:
    high, low = struct.unpack(">II", stream.update(bytes(8)))
    p = ((high & 0xFFFFF) * 2**32 + low + 0.5) / 2**53
    chip = norm.isf(p) * (-1 if high >> 31 else 1)
    assert abs(chip - expected) <= 4e-15 * max(1, abs(expected)), (chip, expected)
print("ok")
