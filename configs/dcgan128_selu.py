"""Deep-learning-with-cats at 128 px: SELU in place of batch normalisation, h = 64.

    python scripts/train.py --config configs/dcgan128_selu.py --config.data.path=DIR

Cost: 12,782,592 + 11,160,576 parameters, 100 epochs at batch 64.
Result: not yet run at this size.
"""

from pathlib import Path

from ml_collections import ConfigDict

from jaxgan.config import load

DCGAN64 = str(Path(__file__).with_name("dcgan64.py"))


def get_config() -> ConfigDict:
    config = load(DCGAN64)
    config.data.resolution = 128
    config.model.selu = True
    return config


def get_test_config() -> ConfigDict:
    config = load(DCGAN64, test=True)
    config.model.selu = True
    return config
