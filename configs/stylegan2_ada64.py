"""StyleGAN2-ADA at 64 px; arguments and commands as in `stylegan2_ada128.py`.

    python scripts/train.py --config configs/stylegan2_ada64.py:small --config.data.path=DIR

Cost: 22,243,608 + 23,407,361 parameters, 1,000 kimg.
Result: not yet run at this size. At 32 px and an eighth of the width (channel_base 2048,
channel_max 64, R1 .0064), 600 cats, batch 32 and 60 kimg, 40 minutes for two runs beside each other
on two CPU cores (2026-11): without augmentation nearly all samples are cats with eyes and a nose,
blurred, Frechet distance on VGG16's features 962 at 4 kimg, 442 at 60. With bgc and p's speed 50
kimg about half are, 972 to 566: p was .12 at its most, at 8 kimg, and from 24 kimg on 0, as r_t
stayed below .6 in both; a training this short doesn't overfit.
"""

from pathlib import Path

from ml_collections import ConfigDict

from jaxgan.config import load
from jaxgan.recipes.stylegan2 import choose

ADA128 = str(Path(__file__).with_name("stylegan2_ada128.py"))


def get_config(settings: str = "auto") -> ConfigDict:
    return choose(load(ADA128), settings, 64)


def get_test_config(settings: str = "auto") -> ConfigDict:
    config = load(f"{ADA128}:{settings}", test=True)
    config.model.conditional, config.data.classes = True, ("cat", "dog")
    config.augment.policy, config.augment.p = ("blit",), 0.5
    return config
