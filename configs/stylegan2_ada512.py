"""StyleGAN2-ADA at 512 px; arguments and commands as in `stylegan2_ada128.py`.

    python scripts/train.py --config configs/stylegan2_ada512.py --config.data.path=DIR

Cost: 28,700,647 + 28,982,849 parameters, 1,000 kimg.
Result: not yet run at this size.
"""

from pathlib import Path

from ml_collections import ConfigDict

from jaxgan.config import load
from jaxgan.recipes.stylegan2 import choose

ADA128 = str(Path(__file__).with_name("stylegan2_ada128.py"))


def get_config(settings: str = "auto") -> ConfigDict:
    return choose(load(ADA128), settings, 512)


def get_test_config(settings: str = "auto") -> ConfigDict:
    return load(f"{ADA128}:{settings}", test=True)
