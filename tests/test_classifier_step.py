import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from jaxgan import augment
from jaxgan.state import ClassifierState, new_net
from jaxgan.steps import classifier


class Model(nn.Module):
    @nn.compact
    def __call__(self, images, train):
        return nn.Dense(3)(nn.relu(nn.Conv(4, (3, 3))(images)).reshape(len(images), -1))


def test_microbatches_change_nothing() -> None:
    """Flips and crops belong to the examples, whichever part of the batch they are in."""
    tx = optax.adam(1e-3)
    rng = np.random.default_rng(0)
    batch = {
        "image": rng.integers(0, 256, (12, 8, 8, 3), np.uint8),
        "label": rng.integers(0, 3, 12, np.int32),
    }
    variables = Model().init(jax.random.key(0), jnp.zeros((1, 8, 8, 3)), True)
    state = ClassifierState(jnp.int32(0), new_net(variables, tx))
    results = []
    for microbatch in (None, 6, 4):
        step = classifier.make_step(
            Model(),
            tx,
            augment=augment.chain(augment.flip(), augment.crop()),
            microbatch=microbatch,
        )
        results.append(jax.device_get(jax.jit(step)(state, batch, jax.random.key(1))))
    for other in results[1:]:
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6), results[0], other
        )
