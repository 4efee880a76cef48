"""WGAN-GP at 128 px: the 512 px system with two blocks fewer in each net; argument cat or dog.

    python scripts/train.py --config configs/wgan128.py:cat --config.data.path=DIR

Its widths at this size are unpublished: 1024 features at 4 x 4, halved, as at 512 px.

Cost: 14,424,960 + 11,164,544 parameters, 130 epochs.
Result: not yet run at this size.
"""

from pathlib import Path

from ml_collections import ConfigDict

from jaxgan.config import load

WGAN512 = Path(__file__).with_name("wgan512.py")


def get_config(name: str = "cat") -> ConfigDict:
    config = load(f"{WGAN512}:{name}")
    config.data.resolution = 128
    return config


def get_test_config(name: str = "cat") -> ConfigDict:
    return load(f"{WGAN512}:{name}", test=True)
