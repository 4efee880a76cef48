"""MeowGAN, a tuned DCGAN for cat faces at 64 px.

    python scripts/train.py --config configs/meowgan64.py --config.data.path=DIR

As published, but that images are drawn from averaged weights and the discriminator's rate falls
and rises at every step, not once an epoch. Its wishes: it stops and resumes; the set's own mean and
deviation are --config.data.normalise=statistics, mixed precision --config.precision=bf16.

Cost: 3,576,704 + 2,765,568 parameters, 100 epochs at batch 128.
Result: not yet run at this size. At half the width (--config.model.channels=256), batch 32 and
3,000 steps on 20,373 cat faces (2026-11): most samples are cats with eyes, ears and noses,
diversity 0.97.
"""

from pathlib import Path

from ml_collections import ConfigDict

from jaxgan.config import load

DCGAN64_PAPER = str(Path(__file__).with_name("dcgan64_paper.py"))


def get_config() -> ConfigDict:
    config = load(DCGAN64_PAPER)
    config.data.flip = True
    config.model.spectral_norm = True
    config.model.dropout = (0.1, 0.1, 0.2, 0.2)
    config.loss.real_labels = (0.8, 1.0)
    config.augment.noise = 0.05
    critic = config.optim.critic
    critic.learning_rate, critic.final = 3e-4, 1.8e-4
    critic.schedule, critic.t_max = "cosine", "10 epochs"  # Down for 10 epochs, then up for 10.
    return config


def get_test_config() -> ConfigDict:
    config = load(DCGAN64_PAPER, test=True)
    full = get_config()
    config.data.flip = True
    config.model.spectral_norm, config.model.dropout = True, full.model.dropout
    config.loss, config.augment, config.optim = full.loss, full.augment, full.optim
    return config
