"""The drifting model of drifted64.py at 128 px, in the features of a copy of 64 px.

    python scripts/train.py --config configs/drifted128.py --config.data.path=DIR

256 px: --config.data.resolution=256 --config.model.backbone_size=128.

Cost: 1,224,896 parameters.
Result: not yet run at this size.
"""

from pathlib import Path

from ml_collections import ConfigDict

from jaxgan.config import load

DRIFTED64 = str(Path(__file__).with_name("drifted64.py"))


def get_config() -> ConfigDict:
    config = load(DRIFTED64)
    config.data.resolution = 128
    config.model.backbone_size = 64
    return config


def get_test_config() -> ConfigDict:
    return load(DRIFTED64, test=True)
