"""Files of weights: what they hold is read, and nothing of them is run."""

import hashlib
import io
import struct
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from jaxgan.types import InputError
from jaxgan.weights import tensors, torch_files
from jaxgan.weights.download import fetch
from jaxgan.weights.torch_files import TENSORS, load, read_weights

RNG = np.random.default_rng(0)
VALUES = RNG.standard_normal(12).astype("f4")
HALVES = VALUES.astype(ml_dtypes.bfloat16)


# A pickle by hand: files of PyTorch without PyTorch, and files that it would not write.
def named(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def put(value) -> bytes:
    """Bytes are opcodes already."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, bool):
        return b"\x88" if value else b"\x89"
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    if isinstance(value, str):
        return b"X" + struct.pack("<I", len(value)) + value.encode()
    if isinstance(value, tuple):
        return b"(" + b"".join(map(put, value)) + b"t"
    if isinstance(value, dict):
        return b"}(" + b"".join(put(x) for pair in value.items() for x in pair) + b"u"
    if isinstance(value, list):
        return b"](" + b"".join(map(put, value)) + b"e"
    assert value is None
    return b"N"


def call(function: bytes, *arguments) -> bytes:
    return function + put(arguments) + b"R"


def pickled(value) -> bytes:
    return b"\x80\x02" + put(value) + b"."


ORDERED = call(named("collections", "OrderedDict"))


def tensor(kind: str, key: str, count: int, offset: int, size: tuple, strides: tuple, older=False):
    about = ("storage", named("torch", f"{kind}Storage"), key, "cpu", count)
    storage = put((*about, None) if older else about) + b"Q"
    function = named("torch._utils", "_rebuild_tensor_v2")
    return call(function, storage, offset, size, strides, False, ORDERED)


def tree(older: bool = False) -> dict:
    transposed = tensor("Float", "0", 12, 0, (4, 3), (1, 4), older)
    return {
        "plain": tensor("Float", "0", 12, 0, (3, 4), (4, 1), older),
        "transposed": transposed,
        "part": tensor("Float", "0", 12, 5, (2, 2), (4, 2), older),
        "same": tensor("Float", "0", 12, 2, (5,), (0,), older),
        "number": tensor("BFloat16", "1", 12, 3, (), (), older),
        "none": tensor("BFloat16", "1", 12, 0, (0, 7), (7, 1), older),
        "parameter": call(
            named("torch._utils", "_rebuild_parameter"), transposed, True, ORDERED
        ),
        "epoch": 3,
    }  # fmt: skip


WANT = {
    "plain": VALUES.reshape(3, 4),
    "transposed": VALUES.reshape(3, 4).T,
    "part": VALUES.reshape(3, 4)[1:, 1::2],
    "same": np.full(5, VALUES[2]),
    "number": HALVES[3],
    "none": np.empty((0, 7), ml_dtypes.bfloat16),
    "parameter": VALUES.reshape(3, 4).T,
}


def zipped(content: bytes, order: str | None = None, **data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        if order:
            archive.writestr("archive/byteorder", order)
        for key, value in data.items():
            archive.writestr(f"archive/data/{key.removeprefix('k')}", value)
    return buffer.getvalue()


def older(content: bytes, little: bool = True) -> bytes:
    magic = b"\x8a\x0a" + torch_files.MAGIC.to_bytes(10, "little")
    head = pickled(magic) + pickled(1001) + pickled({"little_endian": little})
    arrays = [VALUES, HALVES] if little else [VALUES.byteswap(), HALVES.byteswap()]
    data = b"".join(struct.pack("<q", 12) + array.tobytes() for array in arrays)
    return head + content + pickled(["0", "1"]) + data


ZIP = zipped(pickled(tree()), k0=VALUES.tobytes(), k1=HALVES.tobytes())
FILES = {
    "zip": ZIP,
    "zip in order": zipped(pickled(tree()), "little", k0=VALUES.tobytes(), k1=HALVES.tobytes()),
    "zip of another machine": zipped(
        pickled(tree()), "big", k0=VALUES.byteswap().tobytes(), k1=HALVES.byteswap().tobytes()
    ),
    "older": older(pickled(tree(older=True))),
    "older of another machine": older(pickled(tree(older=True)), little=False),
    "a dict in it": zipped(
        pickled({"step": 1, "state_dict": tree()}), k0=VALUES.tobytes(), k1=HALVES.tobytes()
    ),
    "attributes": zipped(
        b"\x80\x02" + ORDERED + b"(" + put(tree())[2:] + put({"_metadata": {}}) + b"b.",
        k0=VALUES.tobytes(),
        k1=HALVES.tobytes(),
    ),
}


@pytest.mark.parametrize("kind", FILES)
def test_tensors_are_arrays(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "weights.pth"
    file.write_bytes(FILES[kind])
    got = read_weights(file, hashlib.sha256(FILES[kind]).hexdigest())
    assert list(got) == list(WANT)
    for name, want in WANT.items():
        assert got[name].dtype == want.dtype and got[name].shape == want.shape
        np.testing.assert_array_equal(got[name], want)
        assert not got[name].flags.writeable or not got[name].size


def test_plain_pickles_may_hold_tensors_and_name_what_the_caller_lists() -> None:
    storage = put(("storage", named("torch", "FloatStorage"), "0", "cpu", 12, None)) + b"Q"
    inner = b"".join(
        [
            pickled(b"\x8a\x0a" + torch_files.MAGIC.to_bytes(10, "little")) + pickled(1001),
            pickled({"little_endian": True}) + pickled(storage) + pickled(["0"]),
            struct.pack("<q", 12) + VALUES.tobytes(),
        ]
    )
    content = b"B" + struct.pack("<I", len(inner)) + inner
    loaded = call(named("torch.storage", "_load_from_bytes"), content)
    function = named("torch._utils", "_rebuild_tensor_v2")
    values = call(function, loaded, 0, (2, 6), (6, 1), False, ORDERED)
    other = {"values": values, "net": call(named("their.nets", "Net"), "a"), "here": put(7) + b"Q"}
    allowed = {**TENSORS, ("their.nets", "Net"): lambda name: f"net {name}"}
    got = load(b"\x80\x03" + pickled(other)[2:], "x", allowed, lambda pid: pid + 1)
    np.testing.assert_array_equal(got["values"].array(), VALUES.reshape(2, 6))
    assert got["net"] == "net a" and got["here"] == 8
    with pytest.raises(InputError, match=r"needs no their\.nets\.Net, and x names it"):
        load(b"\x80\x03" + pickled(other)[2:], "x")


BUILD = put({"__defaults__": (1,)})
ATTACKS = {
    "a command": call(named("os", "system"), "touch ran"),
    "a built-in": call(named("builtins", "eval"), "open('ran', 'w')"),
    "python 2's": call(named("__builtin__", "getattr"), "a", "b"),
    "a way to any": call(named("torch", "load"), "ran"),
    "an attribute": call(named("torch._utils", "_rebuild_parameter.__globals__"), "a"),
    "without a call": named("pathlib", "Path"),
    "by its place": b"\x82\x01",  # In copyreg's registry.
    "a new object": named("subprocess", "Popen") + put(("touch ran",)) + b"\x81",
    "a function changed": named("torch._utils", "_rebuild_parameter") + BUILD + b"b",
    "a class changed": named("collections", "OrderedDict") + BUILD + b"b",
    "its slots": named("torch", "Size") + put((None, {"_function": "ran"})) + b"b",
    "as a class": named("torch", "Size") + b")\x81",
}


@pytest.mark.parametrize("kind", ATTACKS)
@pytest.mark.parametrize("within", ["zip", "older", "plain"])
def test_nothing_else_is_run(kind: str, within: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    content = pickled({"a": ATTACKS[kind]})
    content = {"zip": zipped, "older": older, "plain": bytes}[within](content)
    with pytest.raises(InputError, match="a file of weights m"):
        load(content, "x")
    assert not list(tmp_path.iterdir())
    storage = tensors.Storage(VALUES.dtype, VALUES.size, False)
    parameter = tensors.Tensor(storage, VALUES.dtype, 0, (12,), (1,))
    assert TENSORS["torch._utils", "_rebuild_parameter"](parameter) is parameter


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        (tensor("Float", "0", 12, 1, (3, 4), (4, 1)), "strides"),
        (tensor("Float", "0", 12, 0, (3, 4), (40, 1)), "strides"),
        (tensor("Float", "0", 12, 3, (2,), (-4,)), "strides"),
        (tensor("Float", "0", 12, -1, (2,), (1,)), "strides"),
        (tensor("Float", "0", 12, 0, (2**20, 2**20), (0, 0)), "12 numbers"),
        (tensor("Float", "0", 11, 0, (1,), (1,)), "another size"),
        (tensor("Double", "0", 12, 0, (1,), (1,)), "another size"),
        (tensor("Float", "7", 12, 0, (1,), (1,)), "data/7"),
    ],
)
def test_tensors_lie_within_their_storage(what: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=f"must be whole, and x is not: .*{reason}"):
        load(zipped(pickled({"a": what}), k0=VALUES.tobytes()), "x")


def test_a_file_does_not_grow_when_it_is_read() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickled({"a": None}) + bytes(2**20))
    with pytest.raises(InputError, match="it is compressed"):
        load(buffer.getvalue(), "x")


def test_a_number_for_which_there_is_no_room_is_refused() -> None:
    for remember in (b"r" + struct.pack("<I", 2**31), b"p2147483648\n"):
        with pytest.raises(InputError, match="an object of the number 2,147,483,648"):
            load(pickled({"a": put(1) + remember}), "x")


@pytest.mark.parametrize("kind", ["zip", "older"])
def test_damage_is_one_sentence_or_other_numbers(kind: str) -> None:
    """Wherever it is; a zip's numbers have checksums."""
    whole, refused = FILES[kind], []
    damaged = [whole[:end] for end in range(0, len(whole), 7)]
    for place in range(0, len(whole), 3):
        changed = bytearray(whole)
        changed[place] ^= 1 << RNG.integers(8)
        damaged.append(bytes(changed))
    for content in damaged:
        try:
            found = torch_files.tensors(load(content, "x"), "x")
        except InputError as error:
            refused.append(str(error))
        else:
            assert kind != "zip" or all((found[k] == WANT[k]).all() for k in found if k in WANT)
    assert len(refused) > len(damaged) / 3 and not any("\n" in message for message in refused)


def test_safetensors(tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    arrays = {"a": VALUES.reshape(3, 4), "b": HALVES}
    safetensors.numpy.save_file(arrays, file)
    got = read_weights(file)
    for name, want in arrays.items():
        assert got[name].dtype == want.dtype
        np.testing.assert_array_equal(got[name], want)
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"must be whole, and .*weights\.safetensors is not"):
        read_weights(file)


def test_a_wrong_file_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    with pytest.raises(InputError, match=r"must be readable, and .*pth is not: No such file"):
        read_weights(file)
    file.write_bytes(ZIP)
    with pytest.raises(InputError, match=r"of SHA-256 000000000000\.\.\., and .*weights\.pth"):
        read_weights(file, 64 * "0")
    file.write_bytes(pickled({"epoch": 3}))
    with pytest.raises(InputError, match=r"hold tensors by their names, and .*pth does not"):
        read_weights(file)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A file, and where a server on this machine gives it."""
    source = tmp_path / "source" / "w.pth"
    source.parent.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=source.parent)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield source, f"http://127.0.0.1:{server.server_port}/w.pth"
        server.shutdown()


def test_a_file_is_fetched_once_and_never_trusted(
    served: tuple[Path, str], tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    (source, url), folder = served, tmp_path / "cache" / "weights"
    source.write_bytes(ZIP)
    checksum = hashlib.sha256(ZIP).hexdigest()
    file = fetch(url, checksum, folder, "--weights")
    assert file == folder / "w.pth" and file.read_bytes() == ZIP
    assert "once" in capsys.readouterr().err
    source.write_bytes(b"other")
    assert fetch(url, checksum, folder, "--weights").read_bytes() == ZIP
    assert not capsys.readouterr().err
    file.write_bytes(ZIP[:-1])
    with pytest.raises(InputError, match=r"what came from .* give the right file as --weights="):
        fetch(url, checksum, folder, "--weights")
    source.write_bytes(ZIP)
    assert fetch(url, checksum, folder, "--weights").read_bytes() == ZIP
    assert [path.name for path in folder.iterdir()] == ["w.pth"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/w.pth", "http://no.such.host.invalid/w.pth"])
def test_no_network_says_what_to_get_and_where_to_put_it(tmp_path: Path, url: str) -> None:
    folder = tmp_path / "weights"
    with pytest.raises(InputError) as caught:
        fetch(url, 64 * "0", folder, "--weights")
    for part in ("w.pth must be fetched once", url, "--weights=FILE", str(folder)):
        assert part in str(caught.value)
    assert not list(folder.iterdir())
