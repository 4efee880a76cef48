"""FastGAN for some hundred images at 256 px, of one kind; or at 64, 128 and 512 px.

    python scripts/train.py --config configs/fastgan256.py --config.data.path=DIR
    python scripts/train.py --config configs/fastgan256.py --config.data.path=DIR \\
        --config.data.resolution=64 --config.model.lite=True --config.model.channels=512

The generator, and the critic that rebuilds real images, are the paper's (Liu et al., 2021); rates,
batch, smoothed hinge loss, DiffAugment and averages are its code's. The critic is the paper's one
branch, and rebuilds by absolute differences: the code has two branches and LPIPS. `lite` is the
lighter generator of Projected GAN's authors, with whose channels (2048) it is as published.

Cost: 29,127,657 + 8,542,384 parameters, 50,000 steps at batch 8.
Result: not yet run at this size.
"""

from pathlib import Path

from ml_collections import ConfigDict

from jaxgan.config import load

WGAN512 = Path(__file__).with_name("wgan512.py")


def get_config() -> ConfigDict:
    config = load(str(WGAN512))  # The same sections: what differs is here.
    config.data.classes = ()  # All of them are one set.
    config.data.resolution = 256
    config.data.crop = "center"
    config.data.flip = True

    config.model = ConfigDict()
    config.model.name = "fastgan"
    config.model.latent_dim = 256
    config.model.channels = 1024  # Of the generator at 4 x 4.
    config.model.critic_channels = 512  # Of the critic at 8 x 8.
    config.model.lite = False  # One convolution a size, no noise.
    config.model.rebuild = True  # The critic learns to rebuild real images.

    config.loss.name = "hinge"
    config.loss.margin = (0.8, 1.0)
    config.loss.gradient_penalty = 0.0
    config.augment.policy = ("color", "translation")
    for player in (config.optim.generator, config.optim.critic):
        player.learning_rate, player.b1, player.b2 = 2e-4, 0.5, 0.999

    config.train.epochs = None
    config.train.steps = 50_000
    config.train.batch_size = 8
    config.train.n_critic = 1
    return config


def get_test_config() -> ConfigDict:
    config = get_config()
    twin = load(str(WGAN512), test=True)
    config.data.path, config.data.resolution = "toy", 64
    config.model.latent_dim, config.model.channels, config.model.critic_channels = 8, 32, 16
    config.train = twin.train
    config.train.n_critic = 1
    return config
