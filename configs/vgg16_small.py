"""The fifth system's classifier: VGG16 without batch normalisation, from scratch, for small sets.

    python scripts/train.py --config configs/vgg16_small.py --config.data.path=DIR

Published: 82.7 to 83.7 % of 98 test images after 15 or 25 epochs on 300 + 300 real ones, by SGD;
86.7 % with colour jitter and flips. Two ways to begin on a head start, with the convolutions as
they are (a step then takes milliseconds, since their features are computed once in an experiment):
--config.model.pretrained=features (weights of the `features` extra, no network needed) or imagenet,
with --config.optim.trunk=0 --config.model.grid=1 "--config.model.hidden=()".

Cost: 134,268,738 parameters for two classes, 25 epochs at 128 px.
Result: not yet run at this size.
"""

from pathlib import Path

from ml_collections import ConfigDict

from jaxgan.config import load

HERE = Path(__file__).parent


def get_config() -> ConfigDict:
    config = load(str(HERE / "googlenet.py"))
    config.data.resolution = 128
    config.data.split = (0.64, 0.16, 0.2)

    model = config.model
    del model.aux_heads
    model.name = "vgg16"
    model.hidden = (4096, 4096)
    model.grid = 7  # Means that the head sees, a side; 1 is the mean of the image.
    model.dropout = 0.5  # After each hidden layer.
    # Here "features", too: the convolutions' weights that come with the `features` extra.
    model.pretrained = None

    config.optim.name = "sgd"
    config.train.epochs = 25.0
    config.train.batch_size = 64
    config.train.augment = ()
    return config


def get_test_config() -> ConfigDict:
    config = get_config()
    config.data.path = "toy"
    config.data.resolution = 32
    config.data.split = (0.5, 0.25, 0.25)
    config.model.width = 1 / 64
    config.train.mixup = 0.2
    config.train.batch_size = 4
    config.train.epochs = None
    config.train.steps = 2
    config.train.log_every = 1
    config.train.sample_every = 2
    config.train.checkpoint_every = 1
    return config
