"""The DCGAN of Deep-learning-with-cats: h = 128 at 64 px, the discriminator four times slower.

    python scripts/train.py --config configs/dcgan64.py --config.data.path=DIR

Any power-of-two size: --config.data.resolution=128 --config.model.channels=2048 keeps h.

Cost: 12,658,432 + 11,036,160 parameters, 100 epochs at batch 64 (its README gives no number).
Result: not yet run at this size. At a quarter of the width and at an eighth (batch 32, 20,373 cat
faces, 2026-11) the discriminator's published rate is too low: the generator, ahead of it, collapses
to one pattern of noise within 300 steps (diversity 0.03, then 0.02), with a warm-up, too. With
--config.optim.critic.learning_rate=2e-4 and channels=128, 3,000 steps, most samples have a cat's
eyes and about half are clearly cats, diversity 0.83 to 0.88.
"""

from pathlib import Path

from ml_collections import ConfigDict

from jaxgan.config import load

DCGAN64_PAPER = str(Path(__file__).with_name("dcgan64_paper.py"))


def get_config() -> ConfigDict:
    config = load(DCGAN64_PAPER)
    config.model.channels = 1024
    config.optim.critic.learning_rate = 5e-5
    config.train.batch_size = 64
    return config


def get_test_config() -> ConfigDict:
    config = load(DCGAN64_PAPER, test=True)
    config.optim.critic.learning_rate = 5e-5
    return config
