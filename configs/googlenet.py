"""GoogLeNet from scratch on class folders, with the first system's settings.

    python scripts/train.py --config configs/googlenet.py --config.data.path=DIR

DIR holds one folder of images per class. The best checkpoint by validation accuracy is kept:
python scripts/evaluate.py --workdir runs/googlenet --data DIR --split test

Cost: 9,936,038 parameters for two classes, 10 epochs at 250 px.
Result: not yet run at this size.
"""

from ml_collections import ConfigDict, config_dict


def get_config() -> ConfigDict:
    config = ConfigDict()
    config.seed = 0
    config.parallel = "auto"  # jit over all devices; or pmap, zero, fsdp.
    config.precision = "float32"  # or bf16: convolutions only.
    config.deterministic = False  # True: the same bits on a GPU too, at some cost in speed.
    config.init_from = config_dict.placeholder(str)  # A run's folder, to begin with its weights.

    config.data = ConfigDict()
    config.data.path = "data/faces"  # Holds one folder per class; "toy" draws images.
    config.data.classes = ()  # The class folders to use; () is all.
    config.data.limit = config_dict.placeholder(int)  # Images a class, at most.
    config.data.resolution = 250
    config.data.crop = "stretch"  # To the square, as the original; or center.
    config.data.on_error = "skip"  # Unreadable images are left out and named; or raise.
    config.data.split = (0.7, 0.15, 0.15)  # Train, validation, test; copies stay together.
    config.data.duplicates = "auto"  # Which images are the same; or exact, off, a likeness.
    config.data.given_sides = "use"  # Of folders like train and test; or merge: part them anew.
    # What the classes are: auto; folders, inner, table, names or one where it is ambiguous.
    config.data.layout = "auto"
    # Images that stay on one side: folder, column:NAME of a table, name:PATTERN or path:PATTERN.
    config.data.groups = config_dict.placeholder(str)

    config.model = ConfigDict()
    config.model.name = "googlenet"
    config.model.num_classes = config_dict.placeholder(int)  # As many as there are folders.
    config.model.aux_heads = True
    config.model.hidden = ()  # Features of layers between the pooled features and the classes.
    config.model.width = 1.0  # Of every layer; 0.5 for small machines.
    # Weights to begin with: imagenet (torchvision's, fetched once), or a .pth or .safetensors file.
    config.model.pretrained = config_dict.placeholder(str)

    config.optim = ConfigDict()
    config.optim.name = "adam"  # Or adamw or sgd.
    config.optim.learning_rate = 1e-3
    config.optim.b1, config.optim.b2 = 0.9, 0.999  # Of adam and adamw.
    config.optim.momentum = 0.9  # Of sgd.
    config.optim.weight_decay = 0.0  # Of adamw and sgd, decoupled; not of biases and scales.
    config.optim.schedule = "constant"  # Or cosine: half a period over the run, down to final.
    config.optim.final = 0.0
    config.optim.warmup = 0.0  # The share of the steps in which the rate rises to its own.
    config.optim.trunk = 1.0  # Factor on the rate of all before the head; 0 leaves it as it is.
    config.optim.frozen = ()  # Layers that stay, by how their names begin: ("conv", "inception3").

    config.train = ConfigDict()
    config.train.steps = config_dict.placeholder(int)  # One of steps, epochs, kimg is set.
    config.train.epochs = config_dict.placeholder(float)
    config.train.epochs = 10.0
    config.train.kimg = config_dict.placeholder(float)
    config.train.batch_size = 32
    config.train.label_smoothing = 0.0
    # Of flip, crop, color, translation, cutout, randaugment and trivialaugment, in this order.
    config.train.augment = ("flip", "crop")
    config.train.mixup = 0.0  # Alpha of its Beta distribution; 0 mixes nothing.
    config.train.cutmix = 0.0  # Likewise; with both, each pair of images has one of them.
    config.train.feature_noise = 0.0  # On a frozen trunk's features, in their deviations.
    config.train.ema_decay = 0.0  # Of averaged weights, which predict; 0 keeps no averages.
    config.train.views = 8  # Of each augmented image, one plain, where a published trunk stays.
    config.train.microbatch = config_dict.placeholder(int)  # Images at a time; all where None.
    config.train.remat = False  # True: keep only what convolutions put out.
    config.train.profile = config_dict.placeholder(str)  # FIRST:COUNT steps, for TensorBoard.
    config.train.log_every = 20  # In steps, as are the two below.
    config.train.sample_every = 100  # Validation, which saves a checkpoint too.
    config.train.checkpoint_every = 500
    config.train.checkpoint_minutes = config_dict.placeholder(float)  # Saves after these, too.
    config.train.steps_per_call = 1  # Dispatched at once, on a GPU or TPU.
    config.train.all_reduce = "float32"  # Or bf16: what devices exchange of gradients under pmap.
    return config


def get_test_config() -> ConfigDict:
    config = get_config()
    config.data.path = "toy"
    config.data.resolution = 32
    config.model.width = 0.125
    config.train.batch_size = 4
    config.train.epochs = None
    config.train.steps = 2
    config.train.log_every = 1
    config.train.sample_every = 2
    config.train.checkpoint_every = 1
    return config
