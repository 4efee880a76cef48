"""What only a StyleGAN2 can be asked for, on one of random numbers with three classes."""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image
from sampling.test_export import made

from jaxgan import recipes
from jaxgan.config import loading as configs
from jaxgan.config.typed import parse
from jaxgan.metrics import lpips
from jaxgan.metrics.lpips import Lpips
from jaxgan.sampling import projection, sample, stylegan2, video
from jaxgan.sampling.stylegan2 import Style
from jaxgan.types import InputError

ROOT = Path(__file__).parents[2]
SEEDS = [3, 4, 8]


def sampler_of(style: Style = Style(), classes: tuple = ("cat", "dog", "7")) -> sample.Sampler:
    config = configs.load(str(ROOT / "configs" / "stylegan2_ada128.py"), test=True)
    with config.unlocked():
        config.model.conditional, config.data.classes = bool(classes), classes
    generator, rng = recipes.build_generator(config), np.random.default_rng(5)
    z = jax.random.normal(jax.random.key(1), (8, config.model.latent_dim))
    labels = jax.numpy.zeros(8, int) if classes else None
    shapes = jax.eval_shape(lambda key: generator.init(key, z, False, labels), jax.random.key(0))
    variables = jax.tree.map(lambda x: rng.standard_normal(x.shape).astype("f4"), shapes)
    for name, layer in variables["params"]["mapping"].items():
        layer["weight"] *= 100 if name.startswith("fc") else 1  # They learn a hundredth as fast.
    paint = jax.jit(lambda variables: generator.apply(variables, z, False, labels))
    scale = 0.4 / float(paint(variables).std())  # Pictures in about [-1, 1].
    for block in variables["params"]["synthesis"].values():
        for name in ("weight", "bias"):
            block["torgb"][name] *= scale
    return sample.Sampler.of(parse(config), variables, 5, "abc", style)


@pytest.fixture(scope="module")
def sampler() -> sample.Sampler:
    return sampler_of()


def drawn(sampler: sample.Sampler, style: Style, seeds: list[int] = SEEDS) -> np.ndarray:
    sampler = sample.Sampler.of(sampler.config, sampler.variables, style=style)
    return np.stack(list(sample.images(sampler, seeds, 4))).astype(int)


def test_psi_goes_to_the_mean_picture(sampler) -> None:
    whole = drawn(sampler, Style(noise="none"))
    assert whole.std() > 20 and len({picture.tobytes() for picture in whole}) == 3
    mean = drawn(sampler, Style(0.0, noise="none"))
    assert len({picture.tobytes() for picture in mean}) == 1
    np.testing.assert_array_equal(drawn(sampler, Style(0.0, 0, "none")), whole)
    half, most = (np.abs(drawn(sampler, Style(p, None, "none")) - mean).mean() for p in (0.3, 0.9))
    assert 0 < half < most


def test_a_cutoff_truncates_the_coarse_layers_alone(sampler) -> None:
    generator = recipes.build_generator(sampler.config)
    z = sampler.latents(SEEDS)
    labels = sampler.labels(None, SEEDS)
    whole, cut = (
        np.asarray(stylegan2.make_to_ws(generator, *about)(sampler.variables, z, labels))
        for about in ((1.0, None), (0.25, 2))
    )
    mean = sampler.variables["batch_stats"]["mapping"]["w_avg"]
    np.testing.assert_allclose(cut[:, :2], mean + 0.25 * (whole[:, :2] - mean), rtol=1e-5)
    np.testing.assert_array_equal(cut[:, 2:], whole[:, 2:])


def test_noise_is_the_networks_or_the_seeds_or_none(sampler) -> None:
    const, random, none = (drawn(sampler, Style(noise=noise)) for noise in stylegan2.NOISES)
    assert min(np.abs(a - b).mean() for a, b in ((const, random), (const, none))) > 1
    again = drawn(sampler, Style(noise="random"), [8, 3])
    np.testing.assert_array_equal(again, random[[2, 0]])


def test_classes_by_name_by_number_and_in_turn(sampler) -> None:
    in_turn = drawn(sampler, Style())
    for label, number in (("cat", 0), ("dog", 1), ("7", 2), ("1", 1)):
        np.testing.assert_array_equal(sampler.labels(label, SEEDS), [number] * 3)
        found = drawn(sampler, Style(label=label))
        same = [np.array_equal(a, b) for a, b in zip(found, in_turn, strict=True)]
        assert same == [seed % 3 == number for seed in SEEDS]


def test_a_sheet_of_mixed_styles(sampler) -> None:
    side = sampler.config.data.resolution
    rows, columns = [1, 2], [5, 6, 7]

    def cells(layers: str | None) -> np.ndarray:
        sheet = sample.mix(sampler, Style(), rows, columns, layers)
        starts = [[(i * (side + 2), j * (side + 2)) for j in range(4)] for i in range(3)]
        assert sheet.shape == (3 * side + 4, 4 * side + 6, 3)
        return np.array([[sheet[y : y + side, x : x + side] for y, x in row] for row in starts])

    of_rows, of_columns = drawn(sampler, Style(), rows), drawn(sampler, Style(), columns)
    for layers in (None, "0-5"):
        found = cells(layers)
        assert (found[0, 0] == 255).all()
        np.testing.assert_array_equal(found[1:, 0], of_rows)
        np.testing.assert_array_equal(found[0, 1:], of_columns)
        whole = [np.array_equal(found[i, j], found[0, j]) for i in (1, 2) for j in (1, 2, 3)]
        assert all(whole) if layers else not any(whole)


def test_films_pass_through_the_pictures_of_their_seeds(sampler) -> None:
    expected = drawn(sampler, Style(0.7, label="dog"), [5, 6])
    for space in ("z", "w"):
        where = video.space_of(sampler, Style(0.7, label="dog"), space)
        frames = np.stack(list(video.interpolate(where, [5, 6], 3, batch_size=4))).astype(int)
        assert len(frames) == 6
        np.testing.assert_allclose(frames[[0, 3]], expected, atol=1)
        assert np.abs(frames[2] - frames[3]).mean() < np.abs(frames[0] - frames[3]).mean()
    with pytest.raises(InputError, match="--noise must be const or none in a film"):
        video.space_of(sampler, Style(noise="random"))


# Projection, by a small network of random numbers in place of VGG16's.


def small_distance() -> Lpips:
    rng = np.random.default_rng(0)
    sizes, network = (3, 8, 8, 8, 8, 8), []
    for inputs, outputs in pairwise(sizes):
        kernel = rng.standard_normal((3, 3, inputs, outputs)) / np.sqrt(9 * inputs)
        network.append([(kernel.astype("f4"), np.zeros(outputs, "f4"))])
    return Lpips(network, [np.full(8, 1.0, "f4") for _ in range(5)])


@pytest.mark.slow
def test_a_picture_of_the_generator_is_found_again(tmp_path, monkeypatch, capsys) -> None:
    sampler = sampler_of(classes=())
    monkeypatch.setattr(lpips, "load", small_distance)
    for block in sampler.variables["params"]["synthesis"].values():
        for name in {"conv0", "conv1"} & set(block):
            block[name]["noise_strength"] = block[name]["noise_strength"] / 10
    target = drawn(sampler, Style(), [9])[0].astype(np.uint8)
    found = projection.project(sampler, target, 300)
    size = sampler.config.model.w_dim
    assert found.path.shape == (300, size) and found.distances.shape == (300,)
    assert found.distances[-1] < 0.6 * found.distances[0]
    for noise in jax.tree.leaves(found.noise):
        if noise.ndim == 2:
            assert abs(noise.mean()) < 1e-5 and abs(noise.var() - 1) < 1e-4

    Image.fromarray(target).resize((40, 30)).save(tmp_path / "a.png")
    projection.run(sampler, Style(), tmp_path / "a.png", tmp_path / "out", 5)
    assert "40 x 30 px: cropped to its middle and resized to 16 px" in capsys.readouterr().out
    names = {"target.png", "projection.png", "side_by_side.png", "projected_w.npz"}
    assert {p.name for p in (tmp_path / "out").iterdir()} == names | {"projection.mp4"}
    with np.load(tmp_path / "out" / "projected_w.npz") as arrays:
        assert arrays["w"].shape == (1, 6, size)
        assert arrays["synthesis/b8/conv0/noise_const"].shape == (8, 8)


def test_ramps_of_the_projection() -> None:
    rates = [float(projection.rate(step, 1000)) for step in (0, 25, 50, 749, 875, 999)]
    np.testing.assert_allclose(rates, [0, 0.05, 0.1, 0.1, 0.05, 0], atol=1e-4)
    noise = [float(projection.noise_deviation(step, 1000)) for step in (0, 375, 750, 999)]
    np.testing.assert_allclose(noise, [0.05, 0.0125, 0, 0])


def test_white_noise_is_regular_at_all_scales() -> None:
    rng = np.random.default_rng(0)
    white = rng.standard_normal((64, 64)).astype("f4")
    total, noise = 0.0, white.astype(float)
    while len(noise) >= 8:  # Down to 8 px.
        for axis in (0, 1):
            total += (noise * np.roll(noise, 1, axis)).mean() ** 2
        noise = (noise[::2, ::2] + noise[1::2, ::2] + noise[::2, 1::2] + noise[1::2, 1::2]) / 2
    np.testing.assert_allclose(projection.regularity([white]), total, rtol=1e-3)
    smooth = np.sin(np.arange(64) / 5).astype("f4")
    assert total < 0.1 < projection.regularity([np.add.outer(smooth, smooth)])


# What is refused, through the script.

DRIVER = """
import json, runpy, sys
from absl import flags
from jaxgan.types import InputError
main, known = runpy.run_path("scripts/sample.py")["main"], flags.FLAGS
for arguments in json.load(sys.stdin):
    for name in known:
        known[name].unparse()
    known(["sample.py", *arguments])
    try:
        main()
        print("accepted")
    except InputError as error:
        print(json.dumps(str(error)))
"""

OF_STYLES = {
    ("--truncation=nan",): "--truncation must be a finite number, got nan",
    ("--truncation=-inf",): "--truncation must be a finite number, got -inf",
    ("--truncation_cutoff=7",): "--truncation_cutoff must be from 0 to 6, the layers of this",
    ("--noise=loud",): "--noise must be one of const, random, none, got 'loud'",
    ("--class=dog",): "--class needs a network with classes, got 'dog' for one without",
    ("--seeds=4-1",): "--seeds must be numbers and rising ranges below 2**32 like",
    ("--seeds=1;2",): "--seeds must be numbers and rising ranges",
    ("--style_mixing=a.png", "--rows=1-"): "--rows must be numbers and rising ranges",
    ("--style_mixing=a.png", "--layers=3-9"): "--layers must be numbers and ranges from 0 to 5",
    ("--interpolate=a.gif", "--space=x"): "--space must be one of z, w for this run, got 'x'",
    ("--interpolate=a.gif", "--noise=random"): "--noise must be const or none in a film",
    ("--interpolate=a.gif", "--seeds=1"): "a film must have equally many seeds, two or more",
    ("--interpolate=a.avi",): "--interpolate must be a .mp4, .gif, .webp or .png file, got a.avi",
    ("--project=README.md",): "--project must be an image that can be read, got README.md",
    ("--project=none.png",): "--project must be an image that can be read, got none.png",
}
OF_OTHERS = {
    ("--truncation=0.7",): "--truncation needs the run of a stylegan2, got a dcgan",
    ("--truncation_cutoff=2",): "--truncation_cutoff needs the run of a stylegan2, got a dcgan",
    ("--noise=none",): "--noise needs the run of a stylegan2, got a dcgan",
    ("--class=cat",): "--class needs the run of a stylegan2, got a dcgan",
    ("--style_mixing=a.png",): "--style_mixing needs the run of a stylegan2, got a dcgan",
    ("--project=a.png",): "--project needs the run of a stylegan2, got a dcgan",
    ("--interpolate=a.gif", "--space=w"): "--space must be one of z for this run, got 'w'",
}
OF_CLASSES = {
    ("--class=horse",): "--class must be one of this network's, cat, dog, got 'horse'",
    ("--class=2",): "--class must be one of this network's, cat, dog, got '2'",
}


@pytest.mark.slow
def test_what_a_run_cannot_do_is_one_sentence(tmp_path: Path) -> None:
    runs = {name: made(name, tmp_path / name) for name in ("stylegan2_ada128", "dcgan64_paper")}
    conditional = configs.load(str(ROOT / "configs" / "stylegan2_ada128.py"), test=True)
    with conditional.unlocked():
        conditional.model.conditional, conditional.data.classes = True, ("cat", "dog")
    configs.claim(tmp_path / "classes", conditional)
    asked = [
        ([f"--workdir={workdir}", f"--out={tmp_path / 'out'}", *flags], words)
        for workdir, cases in (
            (runs["stylegan2_ada128"], OF_STYLES),
            (runs["dcgan64_paper"], OF_OTHERS),
            (tmp_path / "classes", OF_CLASSES),
        )
        for flags, words in cases.items()
    ]
    asked.append(([f"--workdir={runs['stylegan2_ada128']}", "--project=a.png"], "--out, got none"))
    done = subprocess.run(
        [sys.executable, "-c", DRIVER],
        cwd=ROOT,
        input=json.dumps([arguments for arguments, _ in asked]),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    for line, (arguments, words) in zip(lines, asked, strict=True):
        assert words in line and "\\n" not in line, (arguments, line)
    assert not (tmp_path / "out").exists()
