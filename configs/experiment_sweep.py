"""How many generated images help how many real ones: a sweep of both.

    python scripts/experiment.py --config configs/experiment_sweep.py --config.data.path=DIR

50, 100, 300 and all real images a class, with 0 to 8 times as many generated ones; the GANs of
each size learn from so many. The arms
without generated images are the learning curve that tells what they are worth in real ones.

Cost: four StyleGAN2-ADA at 64 px a class, 1,000 kimg each; 84 VGG16.
Result: not yet run at this size.
"""

from pathlib import Path

from ml_collections import ConfigDict

from jaxgan.config import load

HERE = Path(__file__).parent
SIZES = ("@50", "@100", "@300", "")  # Real images a class; the last: all.
RATIOS = (0.25, 0.5, 1, 2, 4, 8)  # Generated ones per real one.


def get_config() -> ConfigDict:
    config = load(str(HERE / "experiment_small.py"))
    config.seeds = (0, 1, 2)
    config.data.limit = None
    config.data.split = (0.7, 0.1, 0.2)
    config.arms = tuple(
        arm
        for size in SIZES
        for arm in (f"real{size}", *(f"add:{ratio}x{size}" for ratio in RATIOS))
    )
    config.verdict.primary = ("add:1x", "real")
    config.gan = load(str(HERE / "stylegan2_ada64.py"))
    config.gan.retrain = 1
    config.classifier.data.resolution = 64
    return config


def get_test_config() -> ConfigDict:
    config = load(str(HERE / "experiment_small.py"), test=True)
    config.arms = ("real@4", "add:0.5x@4", "real", "add:1x")
    config.verdict.primary = ("add:1x", "real")
    config.gan.retrain = 1
    return config
