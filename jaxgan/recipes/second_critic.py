"""From a config's `vision` section to a second critic; older configs have no such section."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgan.config.settings import Vision, has_second_critic
from jaxgan.models import backbones, projected
from jaxgan.recipes import networks
from jaxgan.steps import optimizers
from jaxgan.steps.second_critic import SecondCritic, make
from jaxgan.steps.state import Net, new_net
from jaxgan.types import Augment, PRNGKey

KEY = 2  # Folded into a recipe's key: the first critic's weights are what they are without.


class Second(NamedTuple):
    """A second critic and how it begins; before `start` steps the published step is taken."""

    critic: SecondCritic
    init: Callable[[PRNGKey], Net]
    start: float


def build_projection(vision: Vision) -> projected.Projection:
    """Return the frozen network of a `vision` section.

    Raises:
        InputError: its weights are not installed.
    """
    return projected.make_projection(
        backbones.make(vision.backbone), vision.backbone_size, vision.mixed
    )


def build(
    vision: Vision | None,
    augment: Augment | None,
    steps: Callable[[str], float],
    *,
    resolution: int,
    precision: str,
) -> Second | None:
    """Return the second critic of a config that has one.

    Args:
        vision: its section.
        augment: of what both critics see, of images in [-1, 1].
        steps: of a duration.
        resolution: of the images.
        precision: of the computation.
    """
    if not has_second_critic(vision):
        return None
    projection = build_projection(vision)
    views = projected.make_views(projection, whole=False)
    heads = projected.Heads((), vision.head_width, networks.dtype(precision))
    tx = optimizers.adam(vision.learning_rate, vision.b1, vision.b2)
    ones = jnp.ones(projected.factors(projection))

    def init(key: PRNGKey) -> Net:
        shapes = jax.eval_shape(views, networks.images(resolution), ones)
        net = new_net(heads.lazy_init(jax.random.fold_in(key, KEY), shapes, False), tx)
        return net.replace(stats={**net.stats, "scale": ones})

    critic = make(heads, views, tx, weight=vision.weight, augment=augment)
    return Second(critic, init, steps(vision.start) if vision.start else 0)
