"""A size that Deep-learning-with-cats wished for, 256 px: SELU, h = 32.

    python scripts/train.py --config configs/dcgan256_selu.py --config.data.path=DIR

Its width at 4 x 4 is that of 128 px.

Cost: 12,813,824 + 11,191,808 parameters, 100 epochs at batch 64.
Result: not yet run at this size.
"""

from pathlib import Path

from ml_collections import ConfigDict

from jaxgan.config import load

DCGAN128_SELU = str(Path(__file__).with_name("dcgan128_selu.py"))


def get_config() -> ConfigDict:
    config = load(DCGAN128_SELU)
    config.data.resolution = 256
    return config


def get_test_config() -> ConfigDict:
    config = load(DCGAN128_SELU, test=True)
    return config
