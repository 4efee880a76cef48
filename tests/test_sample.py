import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from ml_collections import ConfigDict
from PIL import Image

from jaxgan import sample
from jaxgan.types import InputError


class Painter(nn.Module):
    """Paints the latent's first three numbers."""

    @nn.compact
    def __call__(self, latents, train):
        colour = jnp.tanh(latents[:, None, None, :3])
        return jnp.broadcast_to(colour, (len(latents), 8, 8, 3))


SAMPLER = sample.Sampler(ConfigDict(), 5, "abc", {"params": {}}, sample.make_draw(Painter(), 4))


def test_a_picture_depends_on_its_seed_alone() -> None:
    whole = np.stack(list(sample.pictures(SAMPLER, range(10), 4)))
    for batch_size in (1, 3, 32):
        again = np.stack(list(sample.pictures(SAMPLER, range(10), batch_size)))
        np.testing.assert_array_equal(whole, again)
    one = next(iter(sample.pictures(SAMPLER, [7], 4)))
    np.testing.assert_array_equal(one, whole[7])
    assert len({p.tobytes() for p in whole}) == 10


def test_latents_are_standard_normal() -> None:
    z = sample.latents(jnp.arange(2000, dtype=jnp.uint32), 16)
    assert abs(float(z.mean())) < 0.03 and abs(float(z.std()) - 1) < 0.02


def test_the_manifest_has_a_row_per_picture(tmp_path: Path) -> None:
    sample.save(SAMPLER, range(3, 8), tmp_path)
    rows = [json.loads(row) for row in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    assert [row["seed"] for row in rows] == [3, 4, 5, 6, 7]
    expected = np.stack(list(sample.pictures(SAMPLER, range(3, 8))))
    for row, picture in zip(rows, expected, strict=True):
        assert (row["checkpoint_step"], row["checkpoint_checksum"]) == (5, "abc")
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / row["file"])), picture)


def test_jpg_is_close(tmp_path: Path) -> None:
    sample.save(SAMPLER, [0], tmp_path, "jpg")
    (file,) = tmp_path.glob("*.jpg")
    picture = next(iter(sample.pictures(SAMPLER, [0])))
    difference = np.asarray(Image.open(file)).astype(int) - picture.astype(int)
    assert np.abs(difference).max() <= 3


@pytest.mark.parametrize(
    ("request_", "words"),
    [((0, 0, "png"), "--num"), ((1, -1, "png"), "--seed"), ((1, 0, "bmp"), "png, jpg, got 'bmp'")],
)
def test_bad_requests(request_: tuple, words: str) -> None:
    with pytest.raises(InputError, match=words):
        sample.check_request(*request_)


def test_a_workdir_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"config\.json"):
        sample.restore(tmp_path)


def test_drawing_is_compiled_once() -> None:
    draw = sample.make_draw(Painter(), 5)
    sampler = SAMPLER._replace(draw=draw)
    list(sample.pictures(sampler, range(70)))
    assert draw._cache_size() == 1
    assert jax.eval_shape(draw, {"params": {}}, np.zeros(2, np.uint32)).dtype == np.uint8


def test_the_history_shows_the_grids_in_order(tmp_path: Path) -> None:
    (tmp_path / "samples").mkdir()
    shades = (10, 120, 250)
    for step, shade in zip((5, 50, 500), shades, strict=True):
        Image.new("RGB", (8, 8), (shade,) * 3).save(tmp_path / "samples" / f"{step:07d}.png")
    for name in ("a.gif", "b.webp", "c.png"):
        assert sample.history(tmp_path, tmp_path / "out" / name) == 3
        with Image.open(tmp_path / "out" / name) as animation:
            assert animation.n_frames == 3
            for i, shade in enumerate(shades):
                animation.seek(i)
                assert abs(animation.convert("RGB").getpixel((4, 4))[0] - shade) <= 3
    with pytest.raises(InputError, match=r"\.gif, \.webp or \.png file, got .*mp4"):
        sample.history(tmp_path, tmp_path / "a.mp4")
    with pytest.raises(InputError, match="two grids of samples or more, and there are 0"):
        sample.history(tmp_path / "elsewhere", tmp_path / "a.gif")
