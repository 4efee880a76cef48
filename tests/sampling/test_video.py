import subprocess
from pathlib import Path

import imageio_ffmpeg
import jax
import numpy as np
import pytest
from PIL import Image

from jaxgan import recipes
from jaxgan.config import loading as configs
from jaxgan.config.typed import parse
from jaxgan.sampling import sample, video
from jaxgan.sampling.stylegan2 import Style
from jaxgan.types import InputError

CONFIGS = Path(__file__).parents[2] / "configs"
RNG = np.random.default_rng(0)


def decoded(film: Path, height: int, width: int) -> np.ndarray:
    """The frames of an mp4, [n, h, w, 3]."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(film)]
    command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    data = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(data, np.uint8).reshape(-1, height, width, 3)


def test_slerp_turns_by_equal_angles() -> None:
    a, b = np.eye(5)[0], np.cos(2.0) * np.eye(5)[0] + np.sin(2.0) * np.eye(5)[1]
    for t in (0.0, 0.25, 0.7, 1.0):
        expected = np.cos(2 * t) * np.eye(5)[0] + np.sin(2 * t) * np.eye(5)[1]
        np.testing.assert_allclose(video.slerp(a, b, t), expected, atol=1e-12)


def test_slerp_stays_as_long_as_normal_latents_are() -> None:
    a, b = RNG.standard_normal((2, 512))
    ends = np.linalg.norm([a, b], axis=1)
    lengths = [np.linalg.norm(video.slerp(a, b, t)) for t in np.linspace(0, 1, 11)]
    assert 0.98 * min(ends) < min(lengths) < max(lengths) < 1.02 * max(ends)
    assert np.linalg.norm(video.lerp(a, b, 0.5)) < 0.8 * min(ends)
    np.testing.assert_allclose(video.slerp(a, a, 0.3), a)  # There is no circle.


@pytest.mark.parametrize("between", [video.lerp, video.slerp])
def test_a_loop_meets_its_keys_and_closes(between: video.Between) -> None:
    keys = RNG.standard_normal((3, 6))
    walk = video.loop(keys, 40, between)
    assert walk.shape == (120, 6) and walk.dtype == np.float32
    np.testing.assert_allclose(walk[::40], keys, rtol=1e-5)
    steps = np.linalg.norm(walk - np.roll(walk, 1, axis=0), axis=1)
    # The step from the last frame to the first is one like those at the other keys, and small.
    assert steps[0] < 0.1 * steps.max() and steps[40] < 0.1 * steps.max()
    assert steps.max() < 0.1 * np.linalg.norm(keys[0] - keys[1])


def shades(values: tuple[int, ...], size: tuple[int, int] = (16, 12)) -> list[np.ndarray]:
    return [np.full((*size, 3), value, np.uint8) for value in values]


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_animations_hold_each_frame_and_start_over(suffix: str, tmp_path: Path) -> None:
    video.write(iter(shades((10, 120, 250))), tmp_path / f"sub/a{suffix}", fps=20)
    with Image.open(tmp_path / f"sub/a{suffix}") as film:
        assert film.n_frames == 3 and film.info["loop"] == 0
        for i, value in enumerate((10, 120, 250)):
            film.seek(i)
            film.load()
            assert film.info["duration"] == 50
            assert np.abs(np.asarray(film.convert("RGB")).astype(int) - value).max() <= 3


def test_an_mp4_holds_each_frame_and_has_even_sides(tmp_path: Path) -> None:
    video.write(iter(shades((10, 120, 250), (15, 13))), tmp_path / "a.mp4", fps=10)
    frames = decoded(tmp_path / "a.mp4", 16, 14).astype(int)
    for frame, value in zip(frames, (10, 120, 250), strict=True):
        assert np.abs(frame - value).max() <= 4


def painted(points: np.ndarray) -> np.ndarray:
    """A pixel of the shade that the point's first number says."""
    return np.broadcast_to(np.round(points[:, :1, None, None]), (len(points), 2, 2, 3)).astype("u1")


SPACE = video.Space(
    lambda seeds: np.array([[seed * 10.0, 1.0] for seed in seeds], np.float32), painted, video.lerp
)


def test_cells_walk_between_seeds_of_their_own() -> None:
    frames = list(video.interpolate(SPACE, [1, 3, 20, 24], 4, (1, 2), batch_size=3))
    assert len(frames) == 8 and frames[0].shape == (2, 6, 3)
    times = np.array([0, 0.25, 0.5, 0.75])
    rising = times**2 * (3 - 2 * times)
    left = np.concatenate([10 + 20 * rising, 30 - 20 * rising])
    right = np.concatenate([200 + 40 * rising, 240 - 40 * rising])
    found = np.stack(frames).astype(float)
    np.testing.assert_allclose(found[:, 0, 0, 0], left, atol=0.5)
    np.testing.assert_allclose(found[:, 1, 4, 2], right, atol=0.5)


@pytest.mark.parametrize("name", ["wgan512", "dcgan64_paper"])
def test_films_of_other_generators_pass_through_their_pictures(name: str) -> None:
    config = configs.load(str(CONFIGS / f"{name}.py"), test=True)
    generator = recipes.build_generator(config)
    z = jax.numpy.zeros((1, config.model.latent_dim))
    # Large weights, or all pictures are gray.
    variables = dict(generator.init(jax.random.key(0), z, False))
    variables["params"] = jax.tree.map(lambda x: 4 * x, variables["params"])
    sampler = sample.Sampler.of(parse(config), variables)
    expected = np.stack(list(sample.images(sampler, [7, 2], 4))).astype(int)
    with pytest.raises(InputError, match="at most 100,000 frames, got 200,000"):
        video.film(sampler, Style(), [7, 2], "a.gif", frames=100_000)
    frames = list(video.interpolate(video.space_of(sampler), [7, 2], 3, batch_size=4))
    found = np.stack(frames).astype(int)
    np.testing.assert_allclose(found[[0, 3]], expected, atol=1)
    assert len(found) == 6 and np.abs(expected[0] - expected[1]).max() > 3
    with pytest.raises(InputError, match="--space must be one of z for this run, got 'w'"):
        video.space_of(sampler, name="w")


@pytest.mark.parametrize(
    ("seeds", "cells"), [([1], (1, 1)), ([1, 2, 3], (1, 2)), ([1, 2], (2, 1)), ([], (1, 1))]
)
def test_seeds_for_each_cell(seeds: list[int], cells: tuple[int, int]) -> None:
    with pytest.raises(InputError, match=f"two or more, for each .* cells, got {len(seeds)}"):
        video.check_seeds(seeds, cells)


def test_an_mp4_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    video.check_file("a.MP4", "--interpolate")
    monkeypatch.setattr(video, "has_mp4", lambda: False)
    with pytest.raises(InputError, match=r"--interpolate as \.mp4 needs a package .*a\.mp4"):
        video.check_file("a.mp4", "--interpolate")


def test_the_history_shows_the_grids_in_order(tmp_path: Path) -> None:
    (tmp_path / "samples").mkdir()
    shades = (10, 120, 250)
    for step, shade in zip((5, 50, 500), shades, strict=True):
        Image.new("RGB", (8, 8), (shade,) * 3).save(tmp_path / "samples" / f"{step:07d}.png")
    for name in ("a.gif", "b.webp", "c.png"):
        assert video.history(tmp_path, tmp_path / "out" / name) == 3
        with Image.open(tmp_path / "out" / name) as animation:
            assert animation.n_frames == 3
            for i, shade in enumerate(shades):
                animation.seek(i)
                assert abs(animation.convert("RGB").getpixel((4, 4))[0] - shade) <= 3
    with pytest.raises(InputError, match=r"\.mp4, \.gif, \.webp or \.png file, got .*avi"):
        video.history(tmp_path, tmp_path / "a.avi")
    assert video.history(tmp_path, tmp_path / "d.mp4") == 3
    assert len(decoded(tmp_path / "d.mp4", 8, 8)) == 12  # The last one ten times.
    with pytest.raises(InputError, match="two grids of samples or more, and there are 0"):
        video.history(tmp_path / "elsewhere", tmp_path / "a.gif")
