import jax
import numpy as np

from jaxgan import noise, parallel

KEY = jax.random.key(3)


def test_numbers_belong_to_the_global_index() -> None:
    whole = noise.normal(KEY, (8, 5))
    np.testing.assert_array_equal(noise.normal(KEY, (3, 5)), whole[:3])
    parts = jax.pmap(lambda _: noise.normal(KEY, (4, 5), parallel.AXIS), parallel.AXIS)
    np.testing.assert_array_equal(parts(np.zeros(2)).reshape(8, 5), whole)


def test_distributions() -> None:
    u = np.asarray(noise.uniform(KEY, (4000, 2)))
    assert u.min() >= 0 and u.max() < 1 and abs(u.mean() - 0.5) < 0.02
    z = np.asarray(noise.normal(KEY, (4000, 2)))
    assert abs(z.mean()) < 0.04 and abs(z.std() - 1) < 0.03
