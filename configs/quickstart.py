"""The whole experiment in minutes on two CPU cores, on drawn images or on your folder.

    python scripts/experiment.py --config configs/quickstart.py --config.data.path=DIR --budget=10m

With a budget, the folds, the seeds and the GANs' steps follow from the time that there is; without
one they are those below. Small nets at 32 px: a first look, not the last word. The generators
refine principal components and drift (drifted64.py) in the features of fixed random weights, since
the demo must run offline; --gan=auto takes VGG16's where they are installed. The published sizes
are in the other configs.

Cost: 4:36 on two CPU cores for `make demo` (481 + 486 drawn images to train with, 2 arms).
Result: hurts, -3.0 points (-3.9 to -2.0), 6 classifiers an arm, 2,809 test images;
real+augmentation has 92.3 %. The generator beats principal components (2026-11).
"""

from pathlib import Path

from ml_collections import ConfigDict

from jaxgan.config import load

HERE = Path(__file__).parent


def get_config() -> ConfigDict:
    config = load(str(HERE / "experiment_cats_dogs.py"))
    config.seeds = (0, 1, 2, 3)
    config.data.path = "toy"
    config.data.limit = None
    config.data.crop = "center"
    config.data.split = (0.6, 0.15, 0.25)
    config.arms = ("real", "real+augmentation", "add+augmentation", "pca:1x+augmentation")
    config.replace.classes = ()
    config.replace.share = 0.5
    config.verdict.primary = ("add+augmentation", "real+augmentation")

    config.gan = load(str(HERE / "drifted32.py"))
    config.gan.retrain = 1
    gan = config.gan
    gan.model.backbone = "random"  # Needs no file; vgg16 does, and is better: see drifted64.py.
    gan.train.kimg = 12.8  # Of each class, as many images by one GAN for all.
    gan.train.log_every = 100
    gan.train.sample_every = 400
    gan.train.checkpoint_every = 400

    config.classifier = load(str(HERE / "resnet.py"))
    config.classifier.data.resolution = 32
    config.classifier.optim.learning_rate = 2e-3
    config.classifier.train.batch_size = 32
    config.classifier.train.steps = 250
    config.classifier.train.checkpoint_every = 250
    return config


def get_test_config() -> ConfigDict:
    config = get_config()
    config.data.limit = 24
    config.seeds = (0, 1)
    config.arms = ("real", "real+augmentation", "replace", "add")
    config.verdict.primary = ("add", "real")
    config.gan = load(str(HERE / "wgan512.py"), test=True)
    config.gan.retrain = 1
    config.classifier = load(str(HERE / "resnet.py"), test=True)
    return config
