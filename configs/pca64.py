"""Samples of the images' principal components: a generator that trains nothing, at any size.

    python scripts/train.py --config configs/pca64.py --config.data.path=DIR/CLASS
    python scripts/sample.py --workdir runs/pca64 --num 100 --out OUT

What a GAN must beat: blurred, plausible and varied. One set of components for all images of the
folder; --config.data.classes=cat takes a class alone. In experiments it is the arm pca:1000.

Cost: nothing is trained; seconds.
Result: 600 images a class, Fréchet distance on AlexNet from 300 others (2026-11): cat faces 81 at
32 px (real images: 24) and 337 at 64 px (76), whole cats and dogs 173 at 32 px (25). With 95 % of
the variance it is 84, 319 and 170: neither rule is the better everywhere. All components are 24 to
50 % worse, and shrinking helps nowhere: benchmarks/results/pca_2-core-cpu.jsonl.
"""

from ml_collections import ConfigDict, config_dict


def get_config() -> ConfigDict:
    config = ConfigDict()
    config.seed = 0  # Of the choice of images.
    config.parallel = "auto"
    config.precision = "float32"
    config.init_from = config_dict.placeholder(str)  # Nothing.

    config.data = ConfigDict()
    config.data.path = "data/faces"  # Holds images, or a folder per class; "toy" draws some.
    config.data.classes = ()  # The class folders to use; () is all, as one set.
    config.data.limit = config_dict.placeholder(int)  # Images a class, at most.
    config.data.resolution = 64
    config.data.crop = "center"  # Or stretch: to the square.
    config.data.on_error = "skip"  # Unreadable images are left out and named; or raise.
    # What the classes are: auto; folders, inner, table, names or one where it is ambiguous.
    config.data.layout = "auto"
    config.data.given_sides = "use"  # Learn from train/ alone, where there is one; or merge.

    config.model = ConfigDict()
    config.model.name = "pca"
    config.model.latent_dim = config_dict.placeholder(int)  # Found: the number of components.
    # How many; below 1 as few as hold this share of the variance; None: as make images that are
    # left out likeliest.
    config.model.components = config_dict.placeholder(float)
    config.model.mirror = True  # Each image's mirror is one of the images.
    config.model.shrink = 0.0  # Share of the noise's variance that is taken off each component's.
    return config


def get_test_config() -> ConfigDict:
    config = get_config()
    config.data.path, config.data.resolution, config.data.limit = "toy", 16, 12
    return config
