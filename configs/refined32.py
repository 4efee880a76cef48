"""The refiner of refined64.py at 32 px: a first look within minutes.

    python scripts/train.py --config configs/refined32.py --config.data.path=DIR

Cost: 166,592 + 637,092 parameters.
Result: not yet run at this size; see refined64.py.
"""

from pathlib import Path

from ml_collections import ConfigDict

from jaxgan.config import load

REFINED64 = str(Path(__file__).with_name("refined64.py"))


def get_config() -> ConfigDict:
    config = load(REFINED64)
    config.data.resolution = 32
    return config


def get_test_config() -> ConfigDict:
    return load(REFINED64, test=True)
