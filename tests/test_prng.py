import jax
import numpy as np

from jaxgan import prng
from jaxgan.engine import sharding

KEY = jax.random.key(3)


def test_numbers_belong_to_the_global_index() -> None:
    whole = prng.normal(KEY, (8, 5))
    np.testing.assert_array_equal(prng.normal(KEY, (3, 5)), whole[:3])
    parts = jax.pmap(lambda _: prng.normal(KEY, (4, 5), sharding.AXIS), sharding.AXIS)
    np.testing.assert_array_equal(parts(np.zeros(2)).reshape(8, 5), whole)


def test_distributions() -> None:
    u = np.asarray(prng.uniform(KEY, (4000, 2)))
    assert u.min() >= 0 and u.max() < 1 and abs(u.mean() - 0.5) < 0.02
    z = np.asarray(prng.normal(KEY, (4000, 2)))
    assert abs(z.mean()) < 0.04 and abs(z.std() - 1) < 0.03
