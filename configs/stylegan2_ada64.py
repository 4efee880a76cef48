"""StyleGAN2-ADA at 64 px; arguments and commands as in `stylegan2_ada128.py`.

    python scripts/train.py --config configs/stylegan2_ada64.py:small --config.data.path=DIR

Cost: PARAMS64 parameters, 1,000 kimg.
Result: not yet run at this size.
"""

from pathlib import Path

from ml_collections import ConfigDict

from jaxgan.config import load
from jaxgan.stylegan2 import choose

ADA128 = str(Path(__file__).with_name("stylegan2_ada128.py"))


def get_config(settings: str = "auto") -> ConfigDict:
    return choose(load(ADA128), settings, 64)


def get_test_config(settings: str = "auto") -> ConfigDict:
    config = load(ADA128, test=True)
    config.loss.r1 = get_config(settings).loss.r1
    return config
