"""Published networks as runs and back, and files that are none."""

import io
import os
import pickle
import struct
import subprocess
import sys
import zipfile
from fractions import Fraction
from pathlib import Path

import jax
import jax.numpy as jnp
import network_files
import numpy as np
import pytest
from network_files import Module, Tensor, network_file, random_nets
from PIL import Image
from safetensors import safe_open

from jaxgan import recipes
from jaxgan.config import loading as configs
from jaxgan.config.typed import parse
from jaxgan.sampling import export, sample
from jaxgan.sampling.stylegan2 import Style
from jaxgan.types import InputError, to_uint8
from jaxgan.weights import convert, stylegan2_ada

ROOT = Path(__file__).parents[2]
CONFIG = str(ROOT / "configs" / "stylegan2_ada128.py")
REFERENCE = ROOT.parent / "shared" / "reference" / "stylegan2_ada_32.npz"


def config():
    """Of a small network with three classes."""
    small = configs.load(CONFIG, test=True)
    with small.unlocked():
        small.model.conditional, small.data.classes = True, ("0", "1", "2")
        small.model.mapping_layers, small.model.w_dim, small.model.group_size = 3, 6, 2
        small.model.clamp = 200.0
    return small


@pytest.fixture(scope="module")
def nets() -> network_files.Nets:
    state = jax.eval_shape(recipes.build(config()).init, jax.random.key(0))
    zeros = jax.tree.map(
        lambda x: np.zeros(x.shape, x.dtype), [state.generator.variables, state.critic.variables]
    )
    return random_nets(dict(zip("GD", zeros, strict=True)))


@pytest.fixture(scope="module")
def run(nets, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("convert")
    (folder / "net.pkl").write_bytes(network_file(nets, clamp=200.0, group_size=2))
    convert.run(folder / "net.pkl", folder / "run")
    return folder / "run"


def same(found: network_files.Nets, nets: network_files.Nets) -> None:
    assert list(found) == list(nets) == ["G", "D", "G_ema"]
    for net, arrays in nets.items():
        assert set(found[net]) == set(arrays)
        for name, array in arrays.items():
            assert found[net][name].shape == array.shape and found[net][name].dtype == array.dtype
            np.testing.assert_array_equal(found[net][name], array)


@pytest.mark.parametrize(("protocol", "clamp"), [(3, 256.0), (4, None)])
def test_a_network_file_is_read(nets, protocol: int, clamp: float | None, tmp_path: Path) -> None:
    (tmp_path / "net.pkl").write_bytes(network_file(nets, protocol, clamp, 8))
    found = stylegan2_ada.read(tmp_path / "net.pkl")
    same(found.nets, nets)
    assert (found.clamp, found.group_size) == (clamp, 8)


def test_a_network_becomes_a_run_that_draws_what_it_draws(nets, run: Path) -> None:
    model = sample.restore(run).config.model
    ours = config().model
    for name in ("latent_dim", "w_dim", "mapping_layers", "group_size", "clamp", "conditional"):
        assert getattr(model, name) == ours[name]
    style, seeds = Style(0.7, 3, "const", "2"), [4, 1, 2**32 - 1]
    found = np.stack(list(sample.images(sample.restore(run, style=style), seeds, 4)))
    z = np.concatenate([np.random.RandomState(seed).randn(1, 8) for seed in seeds])
    generator, variables = (
        recipes.build_generator(config()),
        stylegan2_ada.to_ours(nets["G_ema"], "G"),
    )

    @jax.jit
    def drawn(variables, z):
        ws = generator.apply(variables, z, jnp.full(3, 2), 0.7, 3, method="to_ws")
        return to_uint8(generator.apply(variables, ws, method="synthesise"))

    expected = np.asarray(drawn(variables, z.astype(np.float32))).astype(int)
    assert np.abs(found - expected).max() <= 1 and expected.std() > 30
    assert min(np.abs(expected[0] - other).mean() for other in expected[1:]) > 10


def test_a_run_becomes_a_file_by_published_names_and_a_run_again(nets, run: Path, tmp_path) -> None:
    file = tmp_path / "new" / "net.safetensors"
    convert.run(run, file)
    found: network_files.Nets = {net: {} for net in stylegan2_ada.NETS}
    with safe_open(file, "numpy") as opened:
        for name in opened.keys():  # noqa: SIM118
            net, _, rest = name.partition(".")
            found[net][rest] = opened.get_tensor(name)
    same(found, nets)
    convert.run(file, tmp_path / "again", resolution=16)
    first, second = sample.restore(run), sample.restore(tmp_path / "again")
    assert first.checksum == second.checksum
    assert first.config.given == second.config.given


@pytest.mark.parametrize("name", ["wgan512", "drifted32"])  # The latter's critic holds tuples.
def test_a_run_of_another_gan_becomes_a_file_by_our_names(name: str, tmp_path: Path) -> None:
    other = configs.load(str(ROOT / "configs" / f"{name}.py"), test=True)
    configs.claim(tmp_path / "run", other)
    state = recipes.build(other).init(jax.random.key(3))
    with convert.Checkpoints(tmp_path / "run") as checkpoints:
        checkpoints.save(7, state, parse(other).given, {})
    convert.run(tmp_path / "run", tmp_path / "a.safetensors")
    with safe_open(tmp_path / "a.safetensors", "numpy") as opened:
        assert opened.metadata()["step"] == "0"
        for path, leaf in jax.tree_util.tree_leaves_with_path(state.ema):
            name = "/".join(entry.key for entry in path)
            np.testing.assert_array_equal(opened.get_tensor(f"ema/{name}"), leaf)
    refused(tmp_path / "a.safetensors", tmp_path, "jaxgan convert made of a StyleGAN2's run")


def test_the_card_of_a_published_network_claims_no_training(run: Path) -> None:
    card = export.card(sample.restore(run), run, "CC BY 4.0")
    assert "A published generator of images, `net.pkl` (SHA-256 " in card
    assert "| from | not known |" in card and "| licence | CC BY 4.0 |" in card
    assert "| converted | 20" in card and "trained with" not in card


@pytest.mark.slow
@pytest.mark.skipif(not REFERENCE.exists(), reason="no ../shared/reference")
def test_the_same_seeds_are_the_same_pictures(tmp_path: Path) -> None:
    """Through the scripts, against what the published tool drew."""
    with np.load(REFERENCE) as file:
        arrays = {name: file[name] for name in file.files}
    for i, z in enumerate(arrays["z"]):
        np.testing.assert_allclose(np.random.RandomState(i + 1).randn(512), z, rtol=1e-6, atol=1e-6)
    halves = {
        half: {name[2:]: x for name, x in arrays.items() if name.startswith(f"{half}.")}
        for half in "GD"
    }
    content = network_file({**halves, "G_ema": halves["G"]}, clamp=256.0)
    (tmp_path / "net.pkl").write_bytes(content)
    script("convert", "--source", tmp_path / "net.pkl", "--out", tmp_path / "run")
    seeds = [*("--workdir", tmp_path / "run", "--seeds", "1-8")]
    styles = ["--truncation", "0.7", "--noise", "const"]
    script("sample", *seeds, *styles, "--out", tmp_path / "pictures")
    # As the published tool rounds.
    expected = np.floor(arrays["image_const_psi0.7"].transpose(0, 2, 3, 1) * 127.5 + 128)
    for i, picture in enumerate(np.clip(expected, 0, 255)):
        with Image.open(tmp_path / "pictures" / f"seed{i + 1:08d}.png") as found:
            assert np.abs(np.asarray(found).astype(int) - picture).max() <= 1

    sampler = sample.restore(tmp_path / "run")
    generator = recipes.build_generator(sampler.config)
    draw = jax.jit(lambda v, z: generator.apply(v, z, False))
    drawn = draw(sampler.variables, arrays["z"])
    np.testing.assert_allclose(drawn.transpose(0, 3, 1, 2), arrays["image_const"], atol=1e-4)


def script(name: str, *arguments: str | Path) -> None:
    command = [sys.executable, f"scripts/{name}.py", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


# Files that are refused.


def refused(source: Path, folder: Path, words: str, resolution: int | None = None) -> None:
    with pytest.raises(InputError) as caught:
        convert.run(source, folder / "out", resolution)
    message = str(caught.value)
    assert words in message and "\n" not in message
    assert message.startswith(("--source must", "--resolution must"))
    assert not (folder / "out").exists()


class Call:
    """Pickled as a call, which a plain unpickler runs."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class State:
    """Pickled as a call with a state that is then given to what it returned."""

    def __init__(self, function, arguments, state):
        self.parts = function, arguments, state

    def __reduce__(self):
        return self.parts


ATTACKS = {
    "os.system": (Call(os.system, "touch ran"), "system, and"),
    "eval": (Call(eval, "open('ran', 'w')"), "builtins.eval, and"),
    "getattr": (Call(getattr, "a", "upper"), "builtins.getattr, and"),
    "a process": (Call(subprocess.Popen, ("touch", "ran")), "subprocess.Popen, and"),
    "a class": (Fraction, "fractions.Fraction"),
    "objects as numbers": (np.array(3, object), "numpy"),
    "a function's defaults": (
        State(network_files._rebuild_parameter, (1, 2, 3), {"__defaults__": (1,)}),
        "must be whole",
    ),
}


@pytest.mark.parametrize("kind", ATTACKS)
@pytest.mark.parametrize("protocol", [3, 4])
def test_nothing_of_a_file_is_run(kind, protocol, nets, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    thing, words = ATTACKS[kind]
    inner = Module("Network", secret=thing)
    with network_files.places():
        content = pickle.dumps({**dict.fromkeys(nets, inner), "augment_pipe": None}, protocol)
    (tmp_path / "net.pkl").write_bytes(content)
    refused(tmp_path / "net.pkl", tmp_path, words)
    assert [path.name for path in tmp_path.iterdir()] == ["net.pkl"]


RAW = {
    "INST": (b"(S'touch ran'\nios\nsystem\n.", "os.system"),
    "a nested name": (
        b"\x80\x04\x8c\x05torch\x8c\x11storage.os.system\x93.",
        "torch.storage.os.system",
    ),
    "EXT": (b"\x80\x02\x82\x01.", "must be whole"),
    "a state for a function": (
        b"\x80\x02ctorch_utils.persistence\n_reconstruct_persistent_obj\n}U\x08__code__Nsb.",
        "must be whole",
    ),
    "TensorFlow's": (
        b"\x80\x03cdnnlib.tflib.network\nNetwork\nq\x00)\x81q\x01}q\x02b.",
        "dnnlib.tflib.network.Network",
    ),
    "a plain dict": (pickle.dumps({"G": 1, "D": 2}), "a dict with G, D, G_ema"),
    "a list": (pickle.dumps([1]), "a dict with G, D, G_ema"),
    "a nest": (b"\x80\x02" + b"]" * 300_000 + b"a" * 299_999 + b".", "must be whole"),
    "no bytes": (b"", "must be whole"),
    "text": (b"<html>not found</html>", "must be whole"),
    "numbers to come": (b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"ab.", "must be whole"),
    "a far memo": (b"\x80\x02Nr" + struct.pack("<I", 2**31) + b".", "must be whole"),
}


@pytest.mark.parametrize("kind", RAW)
def test_files_of_another_kind(kind: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    content, words = RAW[kind]
    (tmp_path / "net.pkl").write_bytes(content)
    refused(tmp_path / "net.pkl", tmp_path, words)
    assert [path.name for path in tmp_path.iterdir()] == ["net.pkl"]


def test_zips_of_weights_folders_and_nothing(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"epoch": 3}, 2))
    (tmp_path / "net.pth").write_bytes(buffer.getvalue())
    refused(tmp_path / "net.pth", tmp_path, "a dict with G, D, G_ema")
    refused(tmp_path / "none.pkl", tmp_path, "none.pkl is not")
    refused_folder = tmp_path / "folder"
    refused_folder.mkdir()
    with pytest.raises(InputError, match=r"must be a \.safetensors file for a run's folder"):
        convert.run(refused_folder, tmp_path / "out")
    with pytest.raises(InputError, match=r"config\.json"):
        convert.run(refused_folder, tmp_path / "a.safetensors")


def test_a_file_that_is_cut_off(nets, tmp_path: Path) -> None:
    content = network_file(nets)
    for end in np.linspace(1, len(content) - 1, 25).astype(int):
        (tmp_path / "net.pkl").write_bytes(content[:end])
        refused(tmp_path / "net.pkl", tmp_path, "must be whole")


def grown(nets: network_files.Nets, change) -> bytes:
    """A file whose averaged generator is changed after it is put together."""
    with network_files.places():
        modules = {net: network_files.module(arrays, 256.0) for net, arrays in nets.items()}
        change(modules["G_ema"])
        return pickle.dumps(modules, 3)


class Wide(Tensor):
    """One number that says it is millions."""

    def __reduce__(self):
        function, about = super().__reduce__()
        return function, (about[0], 0, (2**12, 2**12), (0, 0), False, {})


def test_files_that_grow_when_they_are_read(nets, tmp_path: Path) -> None:
    def doubled(top: Module) -> None:
        part = Module("Block")
        for _ in range(60):
            part = Module("Block", _modules={"a": part, "b": part})
        top.state["_modules"]["more"] = part

    def widened(top: Module) -> None:
        for i in range(50):
            top.state["_buffers"][f"more{i}"] = Wide(np.zeros(1, np.float32))

    for change, words in ((doubled, "has other parts"), (widened, "grows")):
        (tmp_path / "net.pkl").write_bytes(grown(nets, change))
        refused(tmp_path / "net.pkl", tmp_path, words)


def changed(nets: network_files.Nets, net: str, **arrays: np.ndarray | None) -> network_files.Nets:
    other = {**nets[net], **{name.replace("__", "."): x for name, x in arrays.items()}}
    return {**nets, net: {name: x for name, x in other.items() if x is not None}}


def test_networks_that_are_not_of_this_kind(nets, tmp_path: Path) -> None:
    weight = nets["D"]["b8.conv0.weight"]
    ones = np.ones_like(nets["G"]["mapping.w_avg"])
    cases = {
        "discriminator of another kind": (
            changed(nets, "D", b8__skip__weight=None),
            "D has params/b8/skip/weight (1, 1, 8, 8), and",
        ),
        "another size": (
            changed(nets, "D", b8__conv0__weight=weight[:3]),
            "D has params/b8/conv0/weight (3, 3, 8, 8), and",
        ),
        "StyleGAN3": (
            {**nets, "G_ema": {"synthesis.L0_36_8.weight": weight, "mapping.w_avg": ones}},
            "has other parts",
        ),
        "odd sizes": (
            changed(nets, "G_ema", synthesis__b5__torgb__bias=ones),
            "other parts",
        ),
        "nan": (
            changed(nets, "G", mapping__w_avg=ones * np.nan),
            "finite numbers, G.mapping.w_avg",
        ),
        "another filter": (
            changed(nets, "G", synthesis__b8__resample_filter=np.full((4, 4), 1 / 16, np.float32)),
            "filters [1, 3, 3, 1]",
        ),
    }
    file = tmp_path / "net.pkl"
    for other, words in cases.values():
        file.write_bytes(network_file(other))
        refused(file, tmp_path, words)
    file.write_bytes(network_file(nets))
    refused(file, tmp_path, "must be that of", resolution=32)
    refused(file, tmp_path, "16, got 32", resolution=32)
    (tmp_path / "half.pkl").write_bytes(network_file({"G": nets["G"], "D": nets["D"]}))
    refused(tmp_path / "half.pkl", tmp_path, "a dict with G, D, G_ema")
