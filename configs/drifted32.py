"""The drifting model of drifted64.py at 32 px: a first look within minutes.

    python scripts/train.py --config configs/drifted32.py --config.data.path=DIR

Cost: 166,592 parameters.
Result: not yet run at this size; see drifted64.py.
"""

from pathlib import Path

from ml_collections import ConfigDict

from jaxgan.config import load

DRIFTED64 = str(Path(__file__).with_name("drifted64.py"))


def get_config() -> ConfigDict:
    config = load(DRIFTED64)
    config.data.resolution = 32
    return config


def get_test_config() -> ConfigDict:
    config = load(DRIFTED64, test=True)
    config.model.conditional, config.train.batch_size = True, 8
    return config
