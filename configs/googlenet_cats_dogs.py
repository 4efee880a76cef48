"""The first system's classifier: an ImageNet-pretrained GoogLeNet with a head of its own.

    python scripts/train.py --config configs/googlenet_cats_dogs.py --config.data.path=DIR

DIR holds the folders `cat` and `dog`. The weights of torchvision are fetched once; where there is
no network, take its file: --config.model.pretrained=googlenet-1378be20.pth.

Published: 99.7 % of 1,000 images after 10 epochs on 5,000 real ones.
Cost: 6,129,826 parameters besides the auxiliary heads, 10 epochs at 250 px.
Result: not yet run at this size.
"""

from pathlib import Path

from ml_collections import ConfigDict

from jaxgan.config import load

HERE = Path(__file__).parent


def get_config() -> ConfigDict:
    config = load(str(HERE / "googlenet.py"))
    config.model.pretrained = "imagenet"
    config.model.hidden = (512,)
    config.model.aux_heads = False
    config.train.augment = ("flip",)
    return config


def get_test_config() -> ConfigDict:
    config = load(str(HERE / "googlenet.py"), test=True)
    config.model.hidden = (16,)
    config.model.aux_heads = False
    config.optim.trunk = 0.1
    config.optim.frozen = ("conv1",)
    config.train.augment = ("flip", "randaugment")
    return config
