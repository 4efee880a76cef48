import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.augment import diffaugment

KEY = jax.random.key(0)
ALL = {
    "flip": diffaugment.flip(),
    "crop": diffaugment.crop(0.25),
    "color": diffaugment.color(),
    "translation": diffaugment.translation(0.25),
    "cutout": diffaugment.cutout(),
}
ALL["chain"] = diffaugment.chain(*ALL.values())


@pytest.mark.parametrize("name", ALL)
def test_p_0_is_the_identity(name: str) -> None:
    images = jax.random.normal(KEY, (8, 8, 8, 3))
    np.testing.assert_array_equal(ALL[name](images, jnp.float32(0), KEY), images)


def test_flip_mirrors_half_of_the_pictures() -> None:
    images = jax.random.normal(KEY, (400, 4, 4, 1))
    out = np.asarray(ALL["flip"](images, jnp.float32(1), KEY))
    same = (out == images).all((1, 2, 3))
    mirrored = (out == images[:, :, ::-1]).all((1, 2, 3))
    assert (same ^ mirrored).all()
    assert 160 < mirrored.sum() < 240  # +-4 standard deviations.


def test_crop_shifts_with_a_mirrored_border() -> None:
    ramp = jnp.broadcast_to(jnp.arange(8.0)[None, None, :, None], (64, 8, 8, 1))
    out = np.asarray(ALL["crop"](ramp, jnp.float32(1), KEY))[:, 0, :, 0]
    # Two pixels of padding either way: five windows of the mirrored ramp, no others.
    padded = np.pad(np.arange(8.0), 2, mode="reflect")
    windows = {tuple(padded[i : i + 8]) for i in range(5)}
    assert {tuple(row) for row in out} == windows


@pytest.mark.parametrize("name", ALL)
def test_pictures_do_not_depend_on_their_neighbours(name: str) -> None:
    images = jax.random.normal(KEY, (8, 8, 8, 3))
    whole = ALL[name](images, jnp.float32(1), KEY)
    np.testing.assert_array_equal(ALL[name](images[:3], jnp.float32(1), KEY), whole[:3])


@pytest.mark.parametrize("name", ALL)
def test_an_examples_draw_is_its_own_keys(name: str) -> None:
    """Real or generated, wherever it is in the batch."""
    images, keys = jax.random.normal(KEY, (8, 8, 8, 3)), jax.random.split(KEY, 8)
    whole = ALL[name](images, jnp.float32(1), keys)
    back = ALL[name](images[::-1], jnp.float32(1), keys[::-1])[::-1]
    np.testing.assert_allclose(back, whole, rtol=1e-6, atol=1e-6)
    assert not np.array_equal(whole, images)


@pytest.mark.parametrize("name", ALL)
def test_gradients_reach_the_pictures(name: str) -> None:
    images, keys = jax.random.normal(KEY, (8, 8, 8, 3)), jax.random.split(KEY, 8)
    change = lambda x: ALL[name](x, jnp.float32(1), keys)  # noqa: E731
    slopes = jax.grad(lambda x: (change(x) ** 2).sum())(images)
    assert jnp.isfinite(slopes).all()
    # All of them are linear but for brightness, so along a picture its own square changes.
    assert (abs(slopes).max((1, 2, 3)) > 0).all()


def test_translation_lets_gray_in() -> None:
    ramp = jnp.broadcast_to(jnp.arange(1.0, 9.0)[None, None, :, None], (64, 8, 8, 1))
    out = np.asarray(ALL["translation"](ramp, jnp.float32(1), KEY))[..., 0]
    padded = np.pad(np.arange(1.0, 9.0), 2)
    windows = {tuple(padded[i : i + 8]) for i in range(5)}
    rows = {tuple(picture[4]) for picture in out}  # In the middle: vertical shifts reach 2 rows.
    assert rows == windows
    assert {int((picture == 0).all(1).sum()) for picture in out} == {0, 1, 2}


def test_cutout_sets_a_square_to_gray() -> None:
    out = np.asarray(ALL["cutout"](jnp.ones((500, 8, 8, 3)), jnp.float32(1), KEY))
    assert (out == out[..., :1]).all()
    hole = out[..., 0] == 0
    assert (hole == hole.any(2)[:, :, None] & hole.any(1)[:, None]).all()  # A rectangle,
    for sides in (hole.any(1).sum(1), hole.any(2).sum(1)):
        assert set(sides) == {2, 3, 4}  # of half the side, or less where it meets the border.
    # A centre in 0 ... 8 leaves 2, 3, 4, 4, 4, 4, 4, 3, 2 of 8 rows inside.
    assert hole.mean() == pytest.approx((30 / 9 / 8) ** 2, abs=0.01)


def test_color_moves_brightness_saturation_and_contrast() -> None:
    images = np.random.default_rng(0).uniform(-1, 1, (500, 4, 4, 3)).astype(np.float32)
    out = np.asarray(ALL["color"](jnp.asarray(images), jnp.float32(1), KEY))
    brighter = (out - images).mean((1, 2, 3))
    assert -0.5 <= brighter.min() < -0.45 and 0.45 < brighter.max() <= 0.5

    def gray(x):
        return x.mean(3, keepdims=True)

    middle = lambda x: x - x.mean((1, 2, 3), keepdims=True)  # noqa: E731
    contrast = np.linalg.norm(middle(gray(out)), axis=(1, 2))[:, 0]
    contrast /= np.linalg.norm(middle(gray(images)), axis=(1, 2))[:, 0]
    assert 0.5 - 1e-4 <= contrast.min() < 0.52 and 1.48 < contrast.max() <= 1.5 + 1e-4
    saturation = (out - gray(out)).std((1, 2, 3)) / (images - gray(images)).std((1, 2, 3))
    saturation /= contrast
    assert -1e-4 <= saturation.min() < 0.02 and 1.98 < saturation.max() <= 2 + 1e-3


def test_noise_has_the_deviation_asked_for() -> None:
    images = jax.random.uniform(KEY, (8, 16, 16, 3))
    added = diffaugment.gaussian_noise(images, jnp.float32(0.1), jax.random.split(KEY, 8)) - images
    assert added.std() == pytest.approx(0.1, rel=0.05)
    assert added.mean() == pytest.approx(0, abs=0.005)
    assert not np.array_equal(added[0], added[1])
    still = diffaugment.gaussian_noise(images, jnp.float32(0), KEY)
    np.testing.assert_array_equal(still, images)
