"""The projected GAN of projected64.py at 128 px; its critic looks through VGG16 at 64 px.

    python scripts/train.py --config configs/projected128.py --config.data.path=DIR

Cost: 3,608,000 + 1,227,300 parameters, 1,000 kimg.
Result: not yet run at this size.
"""

from pathlib import Path

from ml_collections import ConfigDict

from jaxgan.config import load

PROJECTED64 = str(Path(__file__).with_name("projected64.py"))


def get_config() -> ConfigDict:
    config = load(PROJECTED64)
    config.data.resolution = 128
    config.model.channels = 512
    config.model.backbone_size = 64
    config.model.patch = (32, 64, 64)
    return config


def get_test_config() -> ConfigDict:
    return load(PROJECTED64, test=True)
