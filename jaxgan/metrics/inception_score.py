"""The Inception score: are images each of one class, and together of many?"""

import numpy as np
from jaxtyping import Float
from scipy import special, stats

from jaxgan.errors import InputError
from jaxgan.metrics.kid import Estimate

SPLITS = 10


def inception_score(
    features: Float[np.ndarray, "n d"],
    head: Float[np.ndarray, "d k"],
    seed: int = 0,
    level: float = 0.95,
) -> Estimate:
    """exp of the mean KL divergence of an image's classes from those of its split, 1 to k.

    The mean over SPLITS disjoint parts, with Student's interval. It is biased by the parts' size:
    compare it only with that of as many images. Logits are without the last layer's bias, as the
    authors computed them.

    Args:
        features: of the network of FID.
        head: its last layer, without the bias.
        seed: of the parts.
        level: of the interval.

    Raises:
        InputError: fewer than two images a part.

    References:
        Salimans et al., Improved Techniques for Training GANs, 2016, section 4. Barratt and
        Sharma, A Note on the Inception Score, 2018: what it does not say.
    """
    if len(features) < 2 * SPLITS:
        raise InputError(
            f"an Inception score needs {2 * SPLITS} images, two a part, got {len(features)}"
        )
    order = np.random.default_rng(seed).permutation(len(features))
    found = []
    for rows in np.array_split(order, SPLITS):
        log_p = special.log_softmax(features[rows].astype(np.float64) @ head, axis=1)
        log_mean = special.logsumexp(log_p, axis=0) - np.log(len(rows))
        found.append(np.exp((np.exp(log_p) * (log_p - log_mean)).sum(axis=1).mean()))
    value, error = float(np.mean(found)), float(np.std(found, ddof=1) / np.sqrt(SPLITS))
    half = float(stats.t.ppf((1 + level) / 2, SPLITS - 1)) * error
    return Estimate(value, max(1.0, value - half), value + half, error)
