"""A second critic beside a GAN's own: small heads on the features of a frozen network.

References:
    Kumari et al., Ensembling Off-the-shelf Models for GAN Training, 2022 ("vision-aided").
"""

from collections.abc import Callable
from functools import reduce
from operator import add
from typing import Any, NamedTuple

import jax
import optax
from flax import linen as nn
from jaxtyping import Array

from jaxgan import prng
from jaxgan.models.backbones import Level
from jaxgan.models.projected import Views
from jaxgan.steps.losses import hinge
from jaxgan.steps.state import Net
from jaxgan.types import Augment, Images, Keys, Metrics, Scalar

OWN = 6  # Folded into an example's keys, of which steps take those below.


class SecondCritic(NamedTuple):
    """What the generator's update of a GAN takes besides.

    Attributes:
        judge: (net, generated images, p, keys) -> the term of the generator's loss, and what the
            heads saw.
        learn: (net, real images, what the heads saw, p, keys) -> the gradient of their own loss,
            their statistics, metrics.
        update: (net, gradient, statistics, step) -> the heads after a step of their optimiser.
    """

    judge: Callable[[Net, Images, Scalar, Keys], tuple[Scalar, list[Level]]]
    learn: Callable[[Net, Images, list[Level], Scalar, Keys], tuple[Any, Any, Metrics]]
    update: Callable[[Net, Any, Any, Array], Net]


def make(
    heads: nn.Module,
    views: Views,
    tx: optax.GradientTransformation,
    *,
    weight: float,
    augment: Augment | None,
) -> SecondCritic:
    """Return a critic with a hinge loss, summed over its heads, and one update a step.

    The frozen network sees the generated images once: the generator's gradient goes back through
    its features, and the heads learn from the same ones, as they were.

    Args:
        heads: views -> logits of each head; `(views, train)`.
        views: (images, factors) -> what the heads see; the factors are `scale` in the statistics.
        tx: the heads' optimiser.
        weight: of the term in the generator's loss.
        augment: of real and generated images alike, in [-1, 1].
    """
    loss = hinge()

    def look(net: Net, images: Images, p: Scalar, keys: Keys) -> list[Level]:
        if augment is not None:
            images = augment(images, p, prng.fold_in(keys, OWN))
        return views(images, net.stats["scale"])

    def logits(net: Net, params: Any, looks: list[Level]) -> tuple[list[Array], Any]:
        variables = {"params": params, "batch_stats": net.stats}
        found, updates = heads.apply(variables, looks, True, mutable=["batch_stats"])
        return found, updates["batch_stats"]  # type: ignore[return-value]

    def judge(net: Net, fake: Images, p: Scalar, keys: Keys) -> tuple[Scalar, list[Level]]:
        looks = look(net, fake, p, keys)
        found, _ = logits(net, net.params, looks)
        return weight * reduce(add, (loss.generator(x, x, keys) for x in found)), looks

    def learn(
        net: Net, real: Images, fake: list[Level], p: Scalar, keys: Keys
    ) -> tuple[Any, Any, Metrics]:
        fake = jax.lax.stop_gradient(fake)
        true = look(net, real, p, keys)

        def objective(params: Any) -> tuple[Scalar, tuple[Any, Metrics]]:
            real_logits, stats = logits(net, params, true)
            fake_logits, _ = logits(net, params, fake)
            pairs = list(zip(real_logits, fake_logits, strict=True))
            value = reduce(add, (loss.critic(r, f, keys) for r, f in pairs))
            gap = reduce(add, (r.mean() - f.mean() for r, f in pairs)) / len(pairs)
            return value, (stats, {"second_critic_loss": value, "second_logit_gap": gap})

        grads, (stats, metrics) = jax.grad(objective, has_aux=True)(net.params)
        return grads, stats, metrics

    def update(net: Net, grads: Any, stats: Any, step: Array) -> Net:
        # The factors are in no gradient and in no statistics that the heads return.
        stats = {**stats, "scale": net.stats["scale"]}
        return net.replace(stats=stats).descend(grads, tx, step=step)

    return SecondCritic(judge, learn, update)
