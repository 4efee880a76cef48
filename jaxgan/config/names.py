"""What settings may be called by name."""

STAGES = ("gan", "classifier")  # Of an experiment.
GANS = ("wgan", "dcgan", "fastgan", "projected", "drifting", "stylegan2")
GENERATORS = (*GANS, "pca")  # That can be drawn from; the last one trains nothing.
CLASSIFIERS = ("googlenet", "resnet", "vgg16")
LOSSES = (
    "wasserstein",
    "non_saturating",
    "least_squares",
    "hinge",
    "relativistic_pairing",
    "relativistic_average",
)
METRICS = ("frechet", "kid", "precision", "recall", "density", "coverage")
_CHANGES = ("flip", "crop", "color", "translation", "cutout")
CLASSIFIER_AUGMENTS = (*_CHANGES, "randaugment", "trivialaugment")
OUTCOMES = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss", "brier")
SCHEDULES = ("constant", "cosine", "restarts", "linear")
SELECTED_BY = ("realism", "density", "outlier", "none")  # What needs no classifier.
