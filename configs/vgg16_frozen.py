"""A head on VGG16's published convolutions, which stay as they are: seconds a run on any machine.

    python scripts/train.py --config configs/vgg16_frozen.py --config.data.path=DIR

The convolutions' weights come with the `features` extra: no network is needed. Their features are
computed once, of each image and of some augmented views of it.

Cost: 1,026 parameters that learn, for two classes.
Result: not yet run at this size.
"""

from pathlib import Path

from ml_collections import ConfigDict

from jaxgan.config import load

HERE = Path(__file__).parent


def get_config() -> ConfigDict:
    config = load(str(HERE / "vgg16_small.py"))
    config.data.resolution = 64

    config.model.pretrained = "features"
    config.model.grid, config.model.hidden = 1, ()

    config.optim.name = "adamw"
    config.optim.trunk = 0.0
    config.optim.learning_rate = 3e-3
    config.optim.weight_decay = 0.01
    config.optim.schedule, config.optim.warmup = "cosine", 0.05

    config.train.epochs = None
    config.train.steps = 400
    config.train.ema_decay = 0.99
    config.train.views = 4
    config.train.augment = ("flip", "crop", "color")
    return config


def get_test_config() -> ConfigDict:
    """Without the `features` extra: a narrow net whose trunk begins at random, and learns."""
    config = load(str(HERE / "vgg16_small.py"), test=True)
    config.model.grid, config.model.hidden = 1, ()
    config.optim.name, config.optim.weight_decay = "adamw", 0.01
    config.optim.schedule, config.optim.warmup = "cosine", 0.05
    config.train.ema_decay = 0.99
    config.train.augment = ("flip", "crop", "color")
    return config
