"""Relativistic pairing with R1 and R2 (the loss of "R3GAN") on DCGAN's nets at 64 px.

    python scripts/train.py --config configs/r3gan64.py --config.data.path=DIR

The paper's loss and penalties, not its backbone; the discriminator has no batch normalisation,
with which an image has no gradient of its own.

Cost: 12,658,432 + 11,032,576 parameters, 100 epochs at batch 64.
Result: not yet run at this size. At an eighth of the width (--config.model.channels=128), batch 32
and 3,000 steps on 20,373 cat faces (2026-11): most samples have a cat's eyes, ears and nose, with a
blur around them, diversity 0.88.
"""

from pathlib import Path

from ml_collections import ConfigDict

from jaxgan.config import load

DCGAN64 = str(Path(__file__).with_name("dcgan64.py"))


def get_config() -> ConfigDict:
    config = load(DCGAN64)
    config.model.norm = False
    config.loss.name = "relativistic_pairing"
    config.loss.r1 = config.loss.r2 = 1.0
    for player in (config.optim.generator, config.optim.critic):
        player.learning_rate, player.b1, player.b2 = 2e-4, 0.0, 0.99
    return config


def get_test_config() -> ConfigDict:
    config = load(DCGAN64, test=True)
    full = get_config()
    config.model.norm = False
    config.loss, config.optim = full.loss, full.optim
    return config
