"""StyleGAN2-ADA at 128 px, for sets of a few hundred images: one unconditional GAN per folder.

    python scripts/train.py --config configs/stylegan2_ada128.py --config.data.path=DIR
    python scripts/train.py --config configs/stylegan2_ada128.py:small --config.data.path=DIR
    python scripts/train.py --config configs/stylegan2_ada128.py --config.data.path=DIR \\
        --config.init_from=RUN --config.augment.speed_kimg=100 --config.optim.critic.frozen=10

The argument chooses settings: auto (those that the published tool derives from the resolution;
auto:8 as for 8 devices), paper256, stylegan2, or small (some hundred images, a small machine).
With auto it is what the project that enlarged a small set for VGG16 ran per class: 1,000 kimg,
batch 32, R1 .1024, EMA 10 kimg, ADA to .6 with bgc. On a GPU add --config.precision=bf16. RUN is
another run's folder, or one that scripts/convert.py made of a published network.

Cost: 22,949,277 + 23,882,369 parameters, 1,000 kimg.
Result: not yet run at this size.
"""

from pathlib import Path

from ml_collections import ConfigDict, config_dict

from jaxgan.config import load
from jaxgan.recipes.stylegan2 import choose

WGAN512 = str(Path(__file__).with_name("wgan512.py"))


def get_config(settings: str = "auto") -> ConfigDict:
    config = load(WGAN512)  # Its sections for images and evaluations.
    config.data.classes = ()  # All of them are one set.
    config.data.crop = "center"
    del config.data.normalise  # It is to [-1, 1].

    config.model = ConfigDict()
    config.model.name = "stylegan2"
    config.model.conditional = False  # True: both players are told the class folder.
    config.model.latent_dim = 512
    config.model.w_dim = 512  # Of styles.
    config.model.channel_base = 0  # Features at size s: min(channel_base // s, channel_max).
    config.model.channel_max = 512
    config.model.mapping_layers = 0
    config.model.group_size = 0  # Images whose deviation the discriminator sees together.
    config.model.clamp = config_dict.placeholder(float)
    config.model.clamp = 256.0  # The most that a convolution may put out.
    config.model.bf16_blocks = 4  # Of the highest resolutions, with precision=bf16.

    config.loss = ConfigDict()  # Non-saturating.
    config.loss.r1 = 0.0  # gamma.
    config.loss.r1_every = 16  # In steps: lazy regularisation.
    config.loss.path_length = 2.0  # The penalty's weight.
    config.loss.path_every = 4
    config.loss.path_decay = 0.01  # Of the average path length, a turn.
    config.loss.style_mixing = 0.9  # The share of images of two latents.

    config.augment = ConfigDict()  # Of what the discriminator sees, real and generated alike.
    # Of bgc, bg, blit, geom, color, filter, noise, cutout, bgcf, bgcfn, bgcfnc; () is none.
    config.augment.policy = ("bgc",)
    config.augment.p = config_dict.placeholder(float)  # Fixed; None: as discriminator overfits, so
    config.augment.target = 0.6  # that its logits' signs at real images have this mean.
    config.augment.speed_kimg = 0.0  # In which p could go from 0 to 1; less for few images.

    config.optim = ConfigDict()
    config.optim.generator = optimiser()
    config.optim.critic = optimiser()
    config.optim.critic.frozen = 0  # Layers that stay, from the images on (FreezeD): of 16.

    config.train = ConfigDict()
    config.train.steps = config_dict.placeholder(int)  # One of steps, epochs, kimg is set.
    config.train.epochs = config_dict.placeholder(float)
    config.train.kimg = config_dict.placeholder(float)
    config.train.kimg = 1000.0  # Thousands of real images shown.
    config.train.batch_size = 0
    config.train.ema_kimg = 0.0  # Half-life of the averaged generator that images come from,
    config.train.ema_ramp = config_dict.placeholder(float)  # at most this share of what was shown;
    config.train.ema_ramp = 0.0  # none where it begins with another run's weights.
    config.train.microbatch = config_dict.placeholder(int)  # Images at a time; all where None.
    config.train.remat = False  # True: keep only what convolutions put out.
    config.train.profile = config_dict.placeholder(str)  # FIRST:COUNT steps, for TensorBoard.
    config.train.min_diversity = 0.4  # Of the samples, as a share of real images'; below: alarm.
    config.train.on_collapse = "warn"  # Or stop, or rollback: to the last good checkpoint,
    config.train.rollbacks = 3  # so many times at most.
    config.train.log_every = 40  # In steps, as are the two below.
    config.train.sample_every = 400
    config.train.checkpoint_every = 800
    config.train.checkpoint_minutes = config_dict.placeholder(float)  # Saves after these, too.
    return choose(config, settings, 128)


def optimiser() -> ConfigDict:
    config = ConfigDict()
    config.learning_rate = 0.0  # Adam's. Lazy terms have updates of their own, and their share of
    config.b1, config.b2 = 0.0, 0.99  # it all: rate and betas are corrected for them.
    return config


def get_test_config(settings: str = "auto") -> ConfigDict:
    config = get_config(settings)
    config.data.path = "toy"
    config.data.resolution = 16
    config.model.latent_dim = config.model.w_dim = 8
    config.model.channel_base, config.model.channel_max = 64, 8
    config.train.batch_size = 8
    config.train.kimg = None
    config.train.steps = 2
    config.train.log_every = 1
    config.train.sample_every = 2
    config.train.checkpoint_every = 1
    return config
