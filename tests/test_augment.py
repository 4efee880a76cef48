import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import augment

KEY = jax.random.key(0)
ALL = {"flip": augment.flip(), "crop": augment.crop(0.25)}
ALL["chain"] = augment.chain(ALL["flip"], ALL["crop"])


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
