"""What the two players of a GAN, and a classifier, minimise."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from jaxgan import prng
from jaxgan.types import ClassLogits, Keys, Logits, Scalar


class AdversarialLoss(NamedTuple):
    """The critic's and the generator's loss, each of (real_logits, fake_logits, key).

    Both take both logits because relativistic losses need them, and a key because noisy labels do.

    Attributes:
        critic: what the critic minimises.
        generator: what the generator minimises.
        boundary: the logit above which the critic takes an image for real; None where only
            differences of logits mean something.
    """

    critic: Callable[[Logits, Logits, Keys], Scalar]
    generator: Callable[[Logits, Logits, Keys], Scalar]
    boundary: float | None = None


def _wasserstein_critic(real_logits: Logits, fake_logits: Logits, key: Keys) -> Scalar:
    return fake_logits.mean() - real_logits.mean()


def _wasserstein_generator(real_logits: Logits, fake_logits: Logits, key: Keys) -> Scalar:
    return -fake_logits.mean()


WASSERSTEIN = AdversarialLoss(_wasserstein_critic, _wasserstein_generator)
"""The earth mover's distance (Arjovsky et al., Wasserstein GAN, 2017, eq. 2)."""


def non_saturating(
    real_labels: tuple[float, float] = (1.0, 1.0), flipped: float = 0.0
) -> AdversarialLoss:
    """Binary cross-entropy; the generator maximises log D(G(z)).

    Args:
        real_labels: each real image's label is drawn evenly from [low, high]: one-sided label
            smoothing, since the generated ones' is always 0. Equal numbers fix it.
        flipped: the share of images, real and generated, whose label is the other kind's.

    References:
        Goodfellow et al., Generative Adversarial Networks, 2014, algorithm 1 and section 3.
        Salimans et al., Improved Techniques for Training GANs, 2016, section 3.4.
    """
    low, high = real_labels

    def critic(real_logits: Logits, fake_logits: Logits, key: Keys) -> Scalar:
        shape = real_logits.shape
        label = low + (high - low) * prng.uniform(key, shape)
        swap_real = prng.uniform(prng.fold_in(key, 1), shape) < flipped
        swap_fake = prng.uniform(prng.fold_in(key, 2), shape) < flipped
        real = _cross_entropy(real_logits, jnp.where(swap_real, 0, label))
        return (real + _cross_entropy(fake_logits, jnp.where(swap_fake, label, 0))).mean()

    def generator(real_logits: Logits, fake_logits: Logits, key: Keys) -> Scalar:
        return _cross_entropy(fake_logits, jnp.ones_like(fake_logits)).mean()

    return AdversarialLoss(critic, generator, boundary=0.0)


def _cross_entropy(logits: Logits, labels: Float[Array, " b"]) -> Float[Array, " b"]:
    """-label log sigmoid(logit) - (1 - label) log sigmoid(-logit), of logits of any size."""
    logits = logits.astype(jnp.float32)
    return labels * jax.nn.softplus(-logits) + (1 - labels) * jax.nn.softplus(logits)


def least_squares(a: float = 0.0, b: float = 1.0, c: float = 1.0) -> AdversarialLoss:
    """Squared distances to targets instead of cross-entropies.

    Args:
        a: the critic's target for generated images.
        b: the critic's target for real ones.
        c: what the generator wants the critic to say.

    References:
        Mao et al., Least Squares Generative Adversarial Networks, 2017, eq. 2.
    """

    def half_square(logits: Logits, target: float) -> Scalar:
        return ((logits.astype(jnp.float32) - target) ** 2).mean() / 2

    return AdversarialLoss(
        lambda real, fake, key: half_square(real, b) + half_square(fake, a),
        lambda real, fake, key: half_square(fake, c),
        boundary=(a + b) / 2,
    )


def relativistic_pairing() -> AdversarialLoss:
    """Return each real image against a generated one: softplus of the difference of their logits.

    With R1 and R2 penalties it is the loss of "R3GAN", which has no spurious minima to sit in.

    References:
        Jolicoeur-Martineau, The Relativistic Discriminator: a Key Element Missing from Standard
        GAN, 2018 (RSGAN).
        Huang et al., The GAN Is Dead; Long Live the GAN! A Modern GAN Baseline, 2024.
    """

    def above(a: Logits, b: Logits) -> Scalar:
        """Return how far a is from being above b."""
        return jax.nn.softplus(b.astype(jnp.float32) - a.astype(jnp.float32)).mean()

    return AdversarialLoss(
        lambda real, fake, key: above(real, fake),
        lambda real, fake, key: above(fake, real),
    )


def relativistic_average(axis_name: str | None = None) -> AdversarialLoss:
    """Return each image against the average of the other kind.

    The average is the batch's, so microbatches change the loss.

    Args:
        axis_name: the `pmap` axis over which the batch is split; None where arrays are global.

    References:
        Jolicoeur-Martineau, The Relativistic Discriminator: a Key Element Missing from Standard
        GAN, 2018 (RaSGAN).
    """

    def mean(logits: Logits) -> Scalar:
        value = logits.mean()
        return jax.lax.pmean(value, axis_name) if axis_name else value

    def apart(a: Logits, b: Logits) -> Scalar:
        """Return how far a is from being above b's average, and b from being below a's."""
        a, b = a.astype(jnp.float32), b.astype(jnp.float32)
        softplus = jax.nn.softplus
        return (softplus(mean(b) - a) + softplus(b - mean(a))).mean()

    return AdversarialLoss(
        lambda real, fake, key: apart(real, fake),
        lambda real, fake, key: apart(fake, real),
    )


def hinge(margin: tuple[float, float] = (1.0, 1.0)) -> AdversarialLoss:
    """Penalise logits only where they are on the wrong side of a margin, of images or their parts.

    Args:
        margin: drawn evenly from [low, high] for each logit: smoothing. Equal numbers fix it.

    References:
        Lim and Ye, Geometric GAN, 2017. Liu et al., Towards Faster and Stabilized GAN Training for
        High-fidelity Few-shot Image Synthesis, 2021, eq. 5; the margin is from their code.
    """
    low, high = margin

    def critic(
        real_logits: Float[Array, "b ..."], fake_logits: Float[Array, "b ..."], key: Keys
    ) -> Scalar:
        shape = real_logits.shape
        keys = key, prng.fold_in(key, 1)
        real, fake = (low + (high - low) * prng.uniform(k, shape) for k in keys)
        return (jax.nn.relu(real - real_logits) + jax.nn.relu(fake + fake_logits)).mean()

    def generator(
        real_logits: Float[Array, "b ..."], fake_logits: Float[Array, "b ..."], key: Keys
    ) -> Scalar:
        return -fake_logits.mean()

    return AdversarialLoss(critic, generator, boundary=0.0)


NON_SATURATING = non_saturating()
LEAST_SQUARES = least_squares()


def cross_entropy(
    logits: ClassLogits,
    labels: Int[Array, " b"] | Float[Array, "b k"],
    smoothing: float = 0.0,
    weights: Float[Array, " b"] | None = None,
) -> Scalar:
    """Return mean cross-entropy, in nats.

    Args:
        logits: unnormalised log-probabilities.
        labels: the class of each image, or its share of each class.
        smoothing: the share of a label's mass spread evenly over all classes.
        weights: of the images, with a mean of 1; None: all are 1.

    References:
        Szegedy et al., Rethinking the Inception Architecture for Computer Vision, 2016, section 7.
    """
    shares = labels if labels.ndim == 2 else jax.nn.one_hot(labels, logits.shape[-1])
    each = optax.softmax_cross_entropy(logits, optax.smooth_labels(shares, smoothing))
    return (each if weights is None else weights * each).mean()
