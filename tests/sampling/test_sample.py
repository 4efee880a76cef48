import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from PIL import Image

from jaxgan.config.typed import PCA
from jaxgan.sampling import files, requests, sample
from jaxgan.types import InputError


class Painter(nn.Module):
    """Paints the latent's first three numbers."""

    @nn.compact
    def __call__(self, latents, train):
        colour = jnp.tanh(latents[:, None, None, :3])
        return jnp.broadcast_to(colour, (len(latents), 8, 8, 3))


SAMPLER = sample.Sampler(PCA(), 5, "abc", {"params": {}}, sample.make_draw(Painter(), 4))


def test_a_picture_depends_on_its_seed_alone() -> None:
    whole = np.stack(list(sample.images(SAMPLER, range(10), 4)))
    for batch_size in (1, 3, 32, 10**20):
        again = np.stack(list(sample.images(SAMPLER, range(10), batch_size)))
        np.testing.assert_array_equal(whole, again)
    one = next(iter(sample.images(SAMPLER, [7], 4)))
    np.testing.assert_array_equal(one, whole[7])
    assert len({p.tobytes() for p in whole}) == 10


def test_latents_are_standard_normal() -> None:
    z = sample.latents(jnp.arange(2000, dtype=jnp.uint32), 16)
    assert abs(float(z.mean())) < 0.03 and abs(float(z.std()) - 1) < 0.02


def test_the_manifest_has_a_row_per_picture(tmp_path: Path) -> None:
    files.save(SAMPLER, range(3, 8), tmp_path)
    rows = [json.loads(row) for row in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    assert [row["seed"] for row in rows] == [3, 4, 5, 6, 7]
    expected = np.stack(list(sample.images(SAMPLER, range(3, 8))))
    for row, picture in zip(rows, expected, strict=True):
        assert (row["checkpoint_step"], row["checkpoint_checksum"]) == (5, "abc")
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / row["file"])), picture)


def test_jpg_is_close(tmp_path: Path) -> None:
    files.save(SAMPLER, [0], tmp_path, "jpg")
    (file,) = tmp_path.glob("*.jpg")
    picture = next(iter(sample.images(SAMPLER, [0])))
    difference = np.asarray(Image.open(file)).astype(int) - picture.astype(int)
    assert np.abs(difference).max() <= 3


@pytest.mark.parametrize(
    ("request_", "words"),
    [((0, 0, "png"), "--num"), ((1, -1, "png"), "--seed"), ((1, 0, "bmp"), "png, jpg, got 'bmp'")],
)
def test_bad_requests(request_: tuple, words: str) -> None:
    with pytest.raises(InputError, match=words):
        requests.check_request(*request_)


def test_a_workdir_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"config\.json"):
        sample.restore(tmp_path)


def test_drawing_is_compiled_once() -> None:
    draw = sample.make_draw(Painter(), 5)
    sampler = SAMPLER._replace(draw=draw)
    list(sample.images(sampler, range(70)))
    assert draw._cache_size() == 1
    assert jax.eval_shape(draw, {"params": {}}, np.zeros(2, np.uint32)).dtype == np.uint8


def test_seeds_are_read_in_order() -> None:
    assert requests.parse_seeds("1-1000") == list(range(1, 1001))
    assert requests.parse_seeds("1,5,7-9") == [1, 5, 7, 8, 9]
    assert requests.parse_seeds(" 9 - 9, 0,4294967295") == [9, 0, 2**32 - 1]


@pytest.mark.parametrize(
    "text", ["", "1-", "-1", "9-7", "1,,2", "1;2", "a", "1.5", "4294967296", "1-99999999999", "٣"]
)
def test_malformed_seeds(text: str) -> None:
    with pytest.raises(InputError, match=rf"--seeds must be .* like 1,5,7-9, got '{text}'"):
        requests.parse_seeds(text)


def test_too_many_seeds() -> None:
    with pytest.raises(InputError, match=r"at most 10,000,000 seeds, got 4,294,967,296"):
        requests.parse_seeds("0-4294967295")


def test_latents_like_numpy() -> None:
    found = sample.latents_of(7, [3, 1], by_numpy=True)
    np.testing.assert_array_equal(
        found[1], np.random.RandomState(1).randn(1, 7)[0].astype(np.float32)
    )
    own = sample.latents_of(7, [3, 1])
    np.testing.assert_array_equal(own, sample.latents(jnp.array([3, 1], jnp.uint32), 7))
    assert np.abs(own - found).min() > 1e-3
