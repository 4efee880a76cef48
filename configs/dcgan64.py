"""The DCGAN of Deep-learning-with-cats: h = 128 at 64 px, the discriminator four times slower.

    python scripts/train.py --config configs/dcgan64.py --config.data.path=DIR

Any power-of-two size: --config.data.resolution=128 --config.model.channels=2048 keeps h.

Cost: 12,658,432 + 11,036,160 parameters, 100 epochs at batch 64 (its README gives no number).
Result: not yet run at this size. At an eighth of the width (--config.model.channels=128), batch 32,
on 20,373 cat faces (2026-11): the discriminator, four times slower than the generator, does not
keep up at first, and for some 2,000 steps all samples are one pattern of noise (diversity 0.01 to
0.07, at half the width, too, with an alarm; a warm-up does not help). Then it catches up:
diversity 0.72 after 3,300 steps, 0.88 after 8,100, where most samples have a cat's eyes, still
coarse. With --config.optim.critic.learning_rate=2e-4 the first 2,000 steps are not lost: after
3,000 about half are clearly cats, diversity 0.83 to 0.88.
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
