"""The projected GAN of projected64.py at 256 px; its critic looks through VGG16 at 128 px.

    python scripts/train.py --config configs/projected256.py --config.data.path=DIR

Cost: 12,817,856 + 2,022,372 parameters, 1,000 kimg.
Result: not yet run at this size.
"""

from pathlib import Path

from ml_collections import ConfigDict

from jaxgan.config import load

PROJECTED64 = str(Path(__file__).with_name("projected64.py"))


def get_config() -> ConfigDict:
    config = load(PROJECTED64)
    config.data.resolution = 256
    config.model.channels = 1024
    config.model.backbone_size = 128
    config.model.patch = (32, 64, 64, 64)
    return config


def get_test_config() -> ConfigDict:
    return load(PROJECTED64, test=True)
