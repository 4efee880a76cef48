"""The refiner of refined64.py at 128 px; its critic looks through VGG16 at 64 px.

    python scripts/train.py --config configs/refined128.py --config.data.path=DIR

256 px: --config.data.resolution=256 --config.model.backbone_size=128.

Cost: 1,224,896 + 1,227,300 parameters.
Result: not yet run at this size.
"""

from pathlib import Path

from ml_collections import ConfigDict

from jaxgan.config import load

REFINED64 = str(Path(__file__).with_name("refined64.py"))


def get_config() -> ConfigDict:
    config = load(REFINED64)
    config.data.resolution = 128
    config.model.backbone_size = 64
    config.model.patch = (32, 64, 64)
    return config


def get_test_config() -> ConfigDict:
    return load(REFINED64, test=True)
