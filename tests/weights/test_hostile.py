"""Network files that were made to break their reader: refused in a sentence, or the same arrays."""

import copyreg
import io
import pickle
import resource
import struct
import sys
import time
import warnings
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from network_files import network_file
from weights.test_torch_files import FILES, VALUES, call, named, older, pickled, put, tensor, zipped

from jaxgan.types import InputError
from jaxgan.weights import pickles
from jaxgan.weights.stylegan2_ada import ALLOWED
from jaxgan.weights.torch_files import ARRAYS, TENSORS, Tensor, load, read_weights

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
    "a frame beyond": b"\x95" + struct.pack("<Q", 2**40) + b"N",
    "a frame below 0": b"\x95" + struct.pack("<Q", 2**63) + b"N",
    "frames in frames": (b"\x95" + struct.pack("<Q", 300)) * 40 + b"N",
    "a line without an end": b"c" + b"a" * 100_000,
    "digits": b"L" + b"9" * 9000 + b"L\n",
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
        found = load(content, "x", allowed)
        for thing in found.values() if isinstance(found, dict) else ():
            if isinstance(thing, Tensor):
                thing.array()
        return found
    except (InputError, ValueError) as error:  # The latter of numbers: `read_weights` says it.
        message = str(error)
    finally:
        assert time.process_time() - before < 1
    assert "\n" not in message and len(message) < 700
    return None


@pytest.fixture(autouse=True)
def unchanged(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    peak, modules = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, set(sys.modules)
    yield
    assert not list(tmp_path.iterdir())
    assert sys.modules.keys() - modules <= {"encodings.cp437"}  # Of names in zips.
    assert np.dtype(ml_dtypes.float8_e5m2).itemsize == 1
    assert np.dtype(ml_dtypes.bfloat16).itemsize == 2 and np.dtype("f4").itemsize == 4
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 200 * 1024


@pytest.mark.parametrize("within", ["zip", "older", "plain"])
@pytest.mark.parametrize("kind", BY_HAND)
def test_hostile_by_hand(kind: str, within: str) -> None:
    content = pickled({"a": BY_HAND[kind]})
    wrapped = {
        "zip": lambda c: zipped(c, k0=VALUES.tobytes()), "older": older, "plain": bytes
    }[within](content)  # fmt: skip
    for allowed in (TENSORS, ARRAYS, ALLOWED)[: 1 if len(wrapped) > 100_000 else 3]:
        assert tried(wrapped, allowed) is None


NET = {"w_avg": np.ones(4), "conv.weight": np.ones((4, 4, 3, 3))}
NETS = dict.fromkeys(("G", "D", "G_ema"), NET)
HONEST = {
    "torchvision zip": (FILES["zip"], TENSORS),
    "torchvision older": (FILES["older"], TENSORS),
    "stylegan": (network_file(NETS), ALLOWED),
    "stylegan, protocol 4": (network_file(NETS, 4), ALLOWED),
    "arrays": (pickle.dumps(ARRAY, 3), ARRAYS),
    "arrays, protocol 4": (pickle.dumps(ARRAY, 4), ARRAYS),
}


@pytest.mark.parametrize("kind", HONEST)
def test_mutations(kind: str) -> None:
    """Those that are not refused are other numbers and names, and no more."""
    honest, allowed = HONEST[kind]
    assert tried(honest, allowed) is not None
    rng, refused = np.random.default_rng(0), 0
    for _ in range(1000):
        refused += tried(mutated(honest, rng), allowed) is None
        if refused == 80:
            return
    raise AssertionError(f"{refused} were refused")


def zip_of(*members: tuple[str, bytes], kind: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Of names that are there already.
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


PKL, DATA = ("a/data.pkl", pickled({"a": FLOATS})), ("a/data/0", VALUES.tobytes())
HONEST_ZIP = zip_of(PKL, DATA)
ENTRY = HONEST_ZIP.rindex(b"PK\1\2")  # Of data/0 in the directory.
END = HONEST_ZIP.rindex(b"PK\5\6")


def at(place: int, code: str, value: int) -> bytes:
    changed = bytearray(HONEST_ZIP)
    struct.pack_into(code, changed, place, value)
    return bytes(changed)


ZIPS = {
    "twice": zip_of(PKL, PKL, DATA),
    "twice the numbers": zip_of(PKL, DATA, DATA),
    "two trees": zip_of(PKL, ("b/data.pkl", PKL[1]), DATA),
    "no tree": zip_of(DATA),
    "deeper": zip_of(("a/b/data.pkl", PKL[1]), DATA),
    "a bomb": zip_of(("a/data.pkl", PKL[1] + bytes(2**24)), DATA, kind=zipfile.ZIP_DEFLATED),
    "bzip2": zip_of(PKL, DATA, kind=zipfile.ZIP_BZIP2),
    "middle": zip_of(PKL, DATA, ("a/byteorder", b"middle")),
    "BIG": zip_of(PKL, DATA, ("a/byteorder", b"BIG")),
    "no order": zip_of(PKL, DATA, ("a/byteorder", b"")),
    "a long order": zip_of(PKL, DATA, ("a/byteorder", b"little" * 10_000)),
    "short": zip_of(PKL, (DATA[0], DATA[1][:-4])),
    "long": zip_of(PKL, (DATA[0], DATA[1] + bytes(4))),
    "encrypted": at(ENTRY + 8, "<H", 1),
    "another checksum": at(ENTRY + 16, "<I", 1),
    "more than compressed": at(ENTRY + 24, "<I", 2**31),
    "less than compressed": at(ENTRY + 20, "<I", 1),
    "one in the other": at(ENTRY + 42, "<I", 0),
    "beyond": at(ENTRY + 42, "<I", 2**31),
    "at the end": at(ENTRY + 42, "<I", END),
    "between": at(ENTRY + 42, "<I", 7),
    "a large directory": at(END + 12, "<I", 2**31),
    "a directory beyond": at(END + 16, "<I", 2**31),
    "another name": HONEST_ZIP.replace(b"a/data/0", b"a/data/1", 1),
    "many": zip_of(PKL, *((f"a/{i}", b"") for i in range(20_001))),
    "64 bits": HONEST_ZIP[:END] + struct.pack("<IQ", 0x06064B50, 2**62) + bytes(44)
    + struct.pack("<IIQI", 0x07064B50, 0, END, 1) + HONEST_ZIP[END:],
}  # fmt: skip


@pytest.mark.parametrize("kind", ZIPS)
def test_zips_that_lie(kind: str) -> None:
    assert tried(HONEST_ZIP, TENSORS) is not None
    assert tried(ZIPS[kind], TENSORS) is None


def test_a_large_file_is_refused_before_its_numbers_are_read(tmp_path: Path) -> None:
    """With holes, of 1 GiB: the memory that it takes is the fixture's to see."""
    file = tmp_path / "w.pth"
    data = 2**30 - 8
    names = (named("torch", "FloatStorage"), named("os", "system"))
    for content in (
        b"\x8e" + struct.pack("<Q", data),
        call(names[0], b"\x8e" + struct.pack("<Q", data)),
    ):
        with open(file, "wb") as opened:
            opened.write(b"\x80\x04" + content)
            opened.seek(data - 20, 1)
            opened.write(names[1] + b".")
        before = time.process_time()
        with pytest.raises(InputError, match=r"must be whole|names it"):
            read_weights(file)
        assert time.process_time() - before < 1
        file.unlink()


@pytest.mark.parametrize("table", [TENSORS, ARRAYS, ALLOWED], ids=["tensors", "arrays", "networks"])
def test_what_a_file_names_is_ours_and_gets_no_state(table: dict) -> None:
    """So nothing foreign is ever called, changed or given a state."""
    for (module, name), what in table.items():
        assert isinstance(what, np.dtype) or what.__module__.startswith("jaxgan.weights."), name
        for state in (put({"__defaults__": (1,)}), put((3, "<", None, 1, 1, 0)), put(None)):
            content = pickled({"a": named(module, name) + state + b"b"})
            assert tried(content, table) is None
    built = {name for name, what in vars(pickles).items() if hasattr(what, "build")}
    assert built == {"Tree", "Dtype", "Draft"}
    assert not copyreg._extension_registry
