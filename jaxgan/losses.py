"""What the two players of a GAN, and a classifier, minimise."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import optax
from jaxtyping import Array, Int

from jaxgan.types import ClassLogits, Keys, Logits, Scalar


class AdversarialLoss(NamedTuple):
    """The critic's and the generator's loss, each of (real_logits, fake_logits, key).

    Both take both logits because relativistic losses need them, and a key because noisy labels do.
    """

    critic: Callable[[Logits, Logits, Keys], Scalar]
    generator: Callable[[Logits, Logits, Keys], Scalar]


def _wasserstein_critic(real_logits: Logits, fake_logits: Logits, key: Keys) -> Scalar:
    return fake_logits.mean() - real_logits.mean()


def _wasserstein_generator(real_logits: Logits, fake_logits: Logits, key: Keys) -> Scalar:
    return -fake_logits.mean()


WASSERSTEIN = AdversarialLoss(_wasserstein_critic, _wasserstein_generator)
"""The earth mover's distance (Arjovsky et al., Wasserstein GAN, 2017, eq. 2)."""


def cross_entropy(logits: ClassLogits, labels: Int[Array, " b"], smoothing: float = 0.0) -> Scalar:
    """Mean cross-entropy, in nats.

    Args:
        logits: unnormalised log-probabilities.
        labels: the class of each picture.
        smoothing: the share of a label's mass spread evenly over all classes.

    References:
        Szegedy et al., Rethinking the Inception Architecture for Computer Vision, 2016, section 7.
    """
    targets = optax.smooth_labels(jax.nn.one_hot(labels, logits.shape[-1]), smoothing)
    return optax.softmax_cross_entropy(logits, targets).mean()
