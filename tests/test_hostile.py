"""Network files that were made to break their reader: refused in a sentence, or the same arrays."""

import copyreg
import pickle
import resource
import struct
import time
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from test_pretrained import FILES, VALUES, call, named, older, pickled, put, tensor, zipped

from jaxgan.models.pretrained import ARRAYS, TENSORS, load
from jaxgan.models.published import ALLOWED
from jaxgan.types import InputError

ARRAY = {"weights": np.arange(12, dtype="f4").reshape(3, 4), "bias": np.ones(3, "f8")}
FLOATS = tensor("Float", "0", 12, 0, (3, 4), (4, 1))
STATE = b"(K\x01K\x00\x85" + named("torch", "float32") + b"\x89C\x00t"
BOMB = put(1) + b"2\x86" * 40  # Doubled 40 times.
BY_HAND = {
    "state of a storage": FLOATS + STATE + b"b",
    "state of bfloat16": named("torch", "bfloat16") + put((3, "<", None, 1, 1, 0)) + b"b",
    "state of a kind of storage": named("torch", "BFloat16Storage") + put((3, "<")) + b"b",
    "os.system": call(named("os", "system"), "touch ran"),
    "eval": call(named("builtins", "eval"), "open('ran', 'w')"),
    "copyreg": call(named("copyreg", "_reconstructor"), 1, 2, 3),
    "getattr": call(named("builtins", "getattr"), "a", "b"),
    "a bomb as a key": b"}" + BOMB + b"Ns",
    "a bomb as a place": BOMB + b"Q",
    "a bomb as a shape": call(named("torch", "Size"), BOMB),
    "a long number": b"\x8b" + struct.pack("<i", 2**31 - 1),
    "a key that holds itself": b"}q\x50]q\x51h\x51ah\x51Ns",
    "deep": b"]" * 200_000 + b"a" * 199_999,
    "many marks": b"(" * 200_000 + b"t" * 200_000,
    "a gap": put(1) + b"r" + struct.pack("<I", 2**31),
    "text beyond": b"X" + struct.pack("<I", 2**31),
    "bytes beyond": b"\x8e" + struct.pack("<Q", 2**60),
    "a registry": b"\x84" + struct.pack("<i", 240),
    "a buffer": b"\x97",
    "a number as a place": put(7) + b"Q",
    "a stride below 0": tensor("Float", "0", 12, 11, (2,), (-1,)),
    "an offset below 0": tensor("Float", "0", 12, -1, (2,), (1,)),
    "a shape that overflows": tensor("Float", "0", 12, 0, (2**30, 2**30, 2**30), (0, 0, 0)),
    "a quantised storage": tensor("QInt8", "0", 12, 0, (2,), (1,)),
    "a complex storage": tensor("ComplexDouble", "0", 12, 0, (2,), (1,)),
    "a stride of text": tensor("Float", "0", 12, 0, ("a",), (1,)),
    "keys of one hash": b"}" + b"".join(
        b"\x8a\x0c" + ((2**61 - 1) * (i << 20)).to_bytes(12, "little") + b"Ns"
        for i in range(1, 5000)
    ),
}  # fmt: skip


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    place, changed = int(rng.integers(len(content))), bytearray(content)
    match rng.integers(4):
        case 0:
            changed[place] ^= 1 << int(rng.integers(8))
        case 1:
            del changed[place:]
        case 2:
            changed[place:place] = bytes(rng.choice(list(b"b20.Q(tRs]}\x85\x86\x93\x94\x97"), 2))
        case _:
            changed[place] = int(rng.integers(256))
    return bytes(changed)


def tried(content: bytes, allowed: dict) -> object:
    before = time.process_time()  # The machine may have other work.
    try:
        return load(content, "x", allowed)
    except InputError as error:
        message = str(error)
    finally:
        assert time.process_time() - before < 1
    assert "\n" not in message and len(message) < 700
    return None


@pytest.fixture(autouse=True)
def unchanged(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert not list(tmp_path.iterdir())
    assert np.dtype(ml_dtypes.bfloat16).itemsize == 2 and np.dtype("f4").itemsize == 4
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 200 * 1024


@pytest.mark.parametrize("within", ["zip", "older", "plain"])
@pytest.mark.parametrize("kind", BY_HAND)
def test_hostile_by_hand(kind: str, within: str) -> None:
    content = pickled({"a": BY_HAND[kind]})
    wrapped = {
        "zip": lambda c: zipped(c, k0=VALUES.tobytes()), "older": older, "plain": bytes
    }[within](content)  # fmt: skip
    for allowed in (TENSORS, ARRAYS, ALLOWED):
        assert tried(wrapped, allowed) is None


@pytest.mark.parametrize("kind", ["zip", "older", "arrays", "protocol 4"])
def test_mutations(kind: str) -> None:
    protocol = 4 if kind == "protocol 4" else 3
    allowed = TENSORS if kind in FILES else ARRAYS
    honest = FILES.get(kind) or pickle.dumps(ARRAY, protocol)
    assert tried(honest, allowed) is not None
    rng = np.random.default_rng(0)
    refused = sum(tried(mutated(honest, rng), allowed) is None for _ in range(150))
    assert refused > 40


def test_zips_that_lie(recwarn) -> None:
    twice = zipped(pickled({"a": FLOATS}), "middle", k0=VALUES.tobytes())
    with pytest.raises(InputError, match="byteorder is neither"):
        load(twice, "x")
    assert not copyreg._extension_registry
