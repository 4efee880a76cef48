"""The whole experiment in minutes on two CPU cores, on drawn pictures or on your folder.

    python scripts/experiment.py --config configs/quickstart.py
    python scripts/experiment.py --config configs/quickstart.py --config.data.path=DIR --workdir D

Small nets at 32 px: a first look, not the last word. The published sizes are in the other configs.

Cost: 5 minutes on two CPU cores, beside other work (2026-11).
Result on the drawn pictures: real 83.6 %, real+augmentation 80.4, replace 78.4, add 78.3 %; no
evidence, -5.3 points (-29.7 to 19.2).
"""

from pathlib import Path

from ml_collections import ConfigDict

from jaxgan.config import load

HERE = Path(__file__).parent


def get_config() -> ConfigDict:
    config = load(str(HERE / "experiment_cats_dogs.py"))
    config.seeds = (0, 1, 2)
    config.data.path = "toy"
    config.data.limit = None
    config.data.crop = "center"
    config.data.split = (0.6, 0.15, 0.25)
    config.arms = ("real", "real+augmentation", "replace", "add")
    config.replace.classes = ()
    config.replace.share = 0.5
    config.verdict.primary = ("add", "real")

    gan = config.gan
    gan.data.resolution = 32
    gan.model.latent_dim = 64
    gan.model.channels = 64
    for player in (gan.optim.generator, gan.optim.critic):
        player.learning_rate, player.b1, player.b2 = 5e-4, 0.0, 0.9
    gan.train.epochs = None
    gan.train.steps = 700
    gan.train.batch_size = 32
    gan.train.n_critic = 2
    gan.train.same_batch = False
    gan.train.ema_decay = 0.99
    gan.train.log_every = 100
    gan.train.sample_every = 100
    gan.train.checkpoint_every = 350

    classifier = config.classifier
    classifier.data.resolution = 32
    classifier.model.width = 0.25
    classifier.model.aux_heads = False
    classifier.train.epochs = None
    classifier.optim.learning_rate = 2e-3
    classifier.train.batch_size = 64
    classifier.train.steps = 200
    classifier.train.log_every = 25
    classifier.train.sample_every = 50
    return config


def get_test_config() -> ConfigDict:
    config = get_config()
    config.data.limit = 24
    config.seeds = (0, 1)
    config.gan = load(str(HERE / "wgan512.py"), test=True)
    config.gan.retrain = 1
    config.classifier = load(str(HERE / "googlenet.py"), test=True)
    config.classifier.model.aux_heads = False
    return config
