"""The first system's experiment: 85 % of the cats generated, against all real.

    python scripts/experiment.py --config configs/experiment_cats_dogs.py --config.data.path=DIR

DIR holds the folders `cat` and `dog`. 2,500 images a class to train and 500 a class to test, as
published, where there are 3,300; the published run has one seed and no validation images. Its
cats alone are generated, so that being generated tells the class: `replace-all` has 85 % of both.
It finds 98.8 % with 85 % of the cats generated and 99.7 % with real cats alone, with flips and from
an ImageNet-pretrained start; this one starts from scratch, and only its arm `real+augmentation`
flips and crops. An argument names another GAN's config, with its own argument, and after a comma
another classifier's: configs/experiment_cats_dogs.py:meowgan64,resnet, or :stylegan2_ada64:small.

Cost: two WGAN-GP at 512 px, 130 epochs; 15 GoogLeNets at 250 px, 10 epochs each.
Result: not yet run at this size. At 64 px with `:refined64,resnet` on 344 + 362 faces (2026-11):
real 98.5 %, replace 97.3 %, replace-all 93.9 %; no evidence, -1.3 points (-2.9 to +0.4), 20 minutes
on two CPU cores; docs/results.md has the command.
"""

from pathlib import Path

from ml_collections import ConfigDict, config_dict

from jaxgan.config import load

HERE = Path(__file__).parent


def get_config(nets: str = "wgan512") -> ConfigDict:
    gan, _, classifier = nets.partition(",")
    config = ConfigDict()
    config.seed = 0  # Of the choice of images.
    config.seeds = (0, 1, 2, 3, 4)  # Of the classifiers, for every arm; --config.seeds=5 is this.
    config.parallel = "auto"  # jit over all devices; or pmap, zero, fsdp.
    config.deterministic = False  # True: the same bits on a GPU too, at some cost in speed.

    config.data = ConfigDict()
    config.data.path = "data/faces"  # Holds one folder per class; "toy" draws images.
    config.data.classes = ()  # The class folders to use; () is all.
    config.data.limit = config_dict.placeholder(int)  # Images a class, at most.
    config.data.limit = 3300
    config.data.crop = "stretch"  # To the square, as the original; or center.
    config.data.on_error = "skip"  # Unreadable images are left out and named; or raise.
    config.data.split = (25 / 33, 3 / 33, 5 / 33)  # Train, validation, test; copies together.
    config.data.duplicates = "auto"  # Which images are the same; or exact, off, a likeness.
    config.data.given_sides = "use"  # Of folders like train and test; or merge: part them anew.
    # What the classes are: auto; folders, inner, table, names or one where it is ambiguous.
    config.data.layout = "auto"
    # Images that stay on one side: folder, column:NAME of a table, name:PATTERN or path:PATTERN.
    config.data.groups = config_dict.placeholder(str)
    # Several: every image is a test image once, and GANs and classifiers are trained in each fold;
    # the split then says how much of the rest validates.
    config.data.folds = 1
    config.data.subset = 1.0  # Share of the training images that each seed draws anew.

    config.arms = ("real", "replace", "replace-all")  # See jaxgan/experiment/design/arms.py.
    # Images from elsewhere, in class folders: DIR, or "{'diffusion': DIR}" beside the GANs' own.
    config.generated = config_dict.placeholder(str)
    config.epochs = "real"  # All arms have the steps of that arm's epochs; or arm: their own.
    # Ends before the arms where learning from generated images reaches less of the validation
    # images than this share.
    config.stop_below = config_dict.placeholder(float)
    config.vmap_seeds = 1  # Classifiers of an arm trained at once, on one device: for small ones.
    config.replace = ConfigDict({"share": 0.85, "classes": ("cat",)})  # () is all classes.
    # Generated images per real one, on top; add:best tries these amounts.
    config.add = ConfigDict({"ratio": 1.0, "amounts": (0.5, 1.0, 2.0)})
    config.select = ConfigDict({"by": "outlier", "surplus": 4})  # For arms with +selection.
    config.verdict = ConfigDict()
    config.verdict.primary = ("replace", "real")  # The first against the second.
    # Or balanced_accuracy, macro_f1, log_loss, brier. Log loss (or Brier) stands second to it.
    config.verdict.outcome = "accuracy"
    config.verdict.level = 0.95
    # The smallest difference that matters; 0.01 is one point.
    config.verdict.margin = config_dict.placeholder(float)
    # Half of the interval at which to stop adding seeds; 0.03 is three points.
    config.verdict.width = config_dict.placeholder(float)
    config.verdict.looks = ()  # Seeds after which to stop where the verdict is clear: (3, 5).

    name, _, argument = gan.partition(":")
    config.gan = load(f"{HERE / name}.py:{argument}")
    config.gan.retrain = 1  # GANs a class; several: each with its own draw of the images.
    config.classifier = load(str(HERE / f"{classifier or 'googlenet'}.py"))
    return config


def get_test_config() -> ConfigDict:
    config = get_config()
    config.seeds = (0, 1)
    config.data.path = "toy"
    config.data.limit = 24
    config.gan = load(str(HERE / "wgan512.py"), test=True)
    config.gan.retrain = 1
    config.classifier = load(str(HERE / "googlenet.py"), test=True)
    return config
