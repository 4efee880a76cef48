"""The fifth system's experiment: a small set, enlarged by a StyleGAN2-ADA for each class.

    python scripts/experiment.py --config configs/experiment_small.py --config.data.path=DIR

300 real images a class to train with, 1,000 or 2,000 generated ones on top, 50 a class to test, as
published, where DIR has 425 a class; validation images are real ones here, and there are five
seeds. 100 test images tell little: --config.data.folds=5 tests each image once. Besides:
augmentation, which needs no GAN, the best of a surplus, plain copies of real images, a placebo,
and samples of principal components, which train nothing.
It finds 83.7 -> 85.7, 81.6 -> 87.8 and 82.7 -> 82.7 % on 98 test images, none of them
significant, and 86.7 % with augmentation alone.

Another GAN, with its resolution, and another classifier:
--config configs/experiment_small.py:meowgan64,vgg16_frozen

Cost: two StyleGAN2-ADA at 128 px, 1,000 kimg each; 35 VGG16.
Result: not yet run at this size. At 64 px with `:refined64,vgg16_frozen` on 321 + 320 photographs
(2026-11): real+augmentation 86.6 %, add:1000+augmentation 84.5 %; hurts, -2.0 points (-3.7 to
-0.3), 37 minutes on two CPU cores; docs/results.md has the command.
"""

from pathlib import Path

from ml_collections import ConfigDict

from jaxgan.config import load

HERE = Path(__file__).parent


def get_config(nets: str = "stylegan2_ada128") -> ConfigDict:
    gan, _, classifier = nets.partition(",")
    config = load(f"{HERE / 'experiment_cats_dogs.py'}:{gan}")
    config.data.limit = 425
    config.data.split = (12 / 17, 3 / 17, 2 / 17)
    config.arms = (
        "real",
        "real+augmentation",
        "add:1000",
        "add:2000",
        "add:1000+augmentation",
        "add:1000+selection",
        "copies:1000",
        "pca:1000",
    )
    config.verdict.primary = ("add:1000+augmentation", "real+augmentation")
    config.classifier = load(str(HERE / f"{classifier or 'vgg16_small'}.py"))
    if not config.classifier.train.augment:  # Arms with +augmentation need some.
        config.classifier.train.augment = ("flip", "color")
    config.classifier.data.resolution = config.gan.data.resolution
    return config


def get_test_config() -> ConfigDict:
    config = load(str(HERE / "experiment_cats_dogs.py"), test=True)
    config.data.split = (0.5, 0.25, 0.25)
    config.arms = ("real", "add:6", "add:4+selection", "copies:6")
    config.verdict.primary = ("add:6", "real")
    config.select.by = "none"
    config.gan.retrain = 2
    config.classifier.model.aux_heads = False
    return config
