"""The vanilla DCGAN that MeowGAN is compared with: h = 64 at 64 px, both rates 2e-4.

    python scripts/train.py --config configs/dcgan64_paper.py --config.data.path=DIR

The settings are the paper's (Radford et al., 2015), but for the width, which is MeowGAN's, latents,
which are normal, and images, which are drawn from averaged weights.

Cost: 3,576,704 + 2,765,568 parameters, 100 epochs at batch 128.
Result: not yet run at this size.
"""

from pathlib import Path

from ml_collections import ConfigDict

from jaxgan.config import load

WGAN512 = Path(__file__).with_name("wgan512.py")


def get_config() -> ConfigDict:
    config = load(str(WGAN512))  # The same sections: what differs is here.
    config.data.classes = ()  # All of them are one set.
    config.data.resolution = 64
    config.data.crop = "center"

    config.model = ConfigDict()
    config.model.name = "dcgan"
    config.model.latent_dim = 100
    config.model.channels = 512  # Features at 4 x 4: h * resolution / 8, h = 64.
    config.model.selu = False  # True: SELU and LeCun's weights, without batch normalisation.
    config.model.slope = 0.0  # Of the generator's ReLU below zero.
    config.model.generator_dropout = 0.0  # The share of features dropped.
    config.model.norm = True  # Batch normalisation in the discriminator.
    config.model.spectral_norm = False  # Of the discriminator's convolutions.
    config.model.dropout = ()  # Of the discriminator's channels, a rate a block.

    config.loss.name = "non_saturating"
    config.loss.gradient_penalty = 0.0
    for player in (config.optim.generator, config.optim.critic):
        player.learning_rate, player.b1, player.b2 = 2e-4, 0.5, 0.999

    config.train.epochs = 100.0
    config.train.batch_size = 128
    config.train.n_critic = 1
    config.train.same_batch = True
    return config


def get_test_config() -> ConfigDict:
    config = get_config()
    twin = load(str(WGAN512), test=True)
    config.data.path, config.data.resolution = "toy", 16
    config.model.latent_dim = config.model.channels = 8
    config.train = twin.train
    config.train.n_critic = 1
    return config
