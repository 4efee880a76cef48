"""WGAN-GP at 512 px, as the project "WGAN-GP cats 512 + GoogLeNet" trains it; argument cat or dog.

    python scripts/train.py --config configs/wgan512.py:cat --config.data.path=DIR

DIR holds a folder `cat` (or `dog`) of images. The rates are its README's; its code has the
generator's and the critic's exchanged.

Cost: 14,463,712 + 11,203,296 parameters, 130 epochs.
Result: not yet run at this size.
"""

from ml_collections import ConfigDict, config_dict


def get_config(name: str = "cat") -> ConfigDict:
    if name not in ("cat", "dog"):
        raise ValueError(f"the argument must be cat or dog, got {name}")
    config = ConfigDict()
    config.seed = 0
    config.parallel = "auto"  # jit over all devices; or pmap, zero, fsdp.
    config.precision = "float32"  # or bf16: convolutions only.
    config.deterministic = False  # True: the same bits on a GPU too, at some cost in speed.
    config.init_from = config_dict.placeholder(str)  # A run's folder, to begin with its weights.

    config.data = ConfigDict()
    config.data.path = "data/faces"  # Holds one folder per class; "toy" draws images.
    config.data.classes = (name,)  # The class folders to use; () is all.
    config.data.limit = config_dict.placeholder(int)  # Images a class, at most.
    config.data.resolution = 512
    config.data.crop = "stretch"  # To the square, as the original; or center.
    config.data.normalise = "range"  # To [-1, 1]; or statistics: the set's mean and deviation.
    config.data.flip = False  # Mirror every second image.
    config.data.on_error = "skip"  # Unreadable images are left out and named; or raise.
    # What the classes are: auto; folders, inner, table, names or one where it is ambiguous.
    config.data.layout = "auto"
    config.data.given_sides = "use"  # Learn from train/ alone, where there is one; or merge.

    config.model = ConfigDict()
    config.model.name = "wgan"
    config.model.latent_dim = 200
    config.model.channels = 1024  # Features at 4 x 4, halved with each doubling of the size.
    config.model.init = "uniform"  # PyTorch's; or normal: DCGAN's N(0, .02).

    config.loss = ConfigDict()
    config.loss.name = "wasserstein"  # non_saturating, least_squares, relativistic_pairing, ...
    config.loss.real_labels = (1.0, 1.0)  # Non-saturating: drawn from; below 1 they are smoothed,
    config.loss.flipped = 0.0  # and the share of labels that say the contrary.
    config.loss.targets = (0.0, 1.0, 1.0)  # Least squares: a, b and c.
    config.loss.margin = (1.0, 1.0)  # Hinge: drawn from, for each logit.
    config.loss.gradient_penalty = 10.0  # lambda.
    config.loss.r1 = 0.0  # gamma, of real images.
    config.loss.r2 = 0.0  # gamma, of generated ones.

    config.augment = ConfigDict()  # Of what the critic sees, real and generated alike.
    config.augment.policy = ()  # Of flip, color, translation, cutout; the last three: DiffAugment.
    # Or ADA's: bgc, bg, blit, geom, filter, noise, ..., with a p of .1 to .6, or their traces show.
    config.augment.p = 1.0  # Of the images, each is applied to this share; flips to half of it.
    config.augment.noise = 0.0  # Standard deviation of Gaussian noise,
    config.augment.noise_until = config_dict.placeholder(str)  # straight to 0, like "500 kimg".

    config.vision = ConfigDict()  # A second critic, on a frozen network's features: vision-aided.
    config.vision.backbone = "none"  # Or vgg16, alexnet, inception, random.
    config.vision.backbone_size = 32  # In px; of what the backbone sees.
    config.vision.weight = 1.0  # Of its term in the generator's loss; 0 is off, too.
    config.vision.start = config_dict.placeholder(str)  # None: at once; or after "10 epochs", ...
    config.vision.mixed = 32  # Channels of the finest level after random mixing.
    config.vision.head_width = 64
    config.vision.learning_rate, config.vision.b1, config.vision.b2 = 3e-4, 0.0, 0.99  # Adam's.

    config.optim = ConfigDict()
    config.optim.generator = optimiser(8e-5, 0.2, 0.9)
    config.optim.critic = optimiser(1e-4, 0.5, 0.9)
    config.optim.critic.clip = config_dict.placeholder(float)  # Bound of the critic's weights.

    config.evaluate = ConfigDict()  # Of averaged samples, beside images that it learns from:
    config.evaluate.every = 0  # in so many steps; 0 is never.
    config.evaluate.pictures = 2048  # Of each side; fewer where there are fewer real ones.
    config.evaluate.metrics = ("frechet", "kid", "precision", "recall", "density", "coverage")
    config.evaluate.best = "kid"  # Of these: its best checkpoint is kept beside the latest.
    # vgg16 where installed, else light, without a network; never what the critic is trained on:
    config.evaluate.features = "auto"
    config.evaluate.allow_seen = False  # True: such features may judge, too.
    config.evaluate.share = 0.05  # Of the time, at most; what would take more is left out.

    config.train = ConfigDict()
    config.train.steps = config_dict.placeholder(int)  # One of steps, epochs, kimg is set.
    config.train.epochs = config_dict.placeholder(float)
    config.train.epochs = 130.0
    config.train.kimg = config_dict.placeholder(float)
    config.train.batch_size = 64  # On a TPU 128 take as long.
    config.train.n_critic = 5  # Critic turns per generator turn,
    config.train.same_batch = True  # all on the same real batch.
    config.train.boost = ConfigDict()  # More critic turns, n_critic of them,
    config.train.boost.n_critic = 100
    config.train.boost.first = 0  # in so many steps at the start,
    config.train.boost.every = 0  # and in every so manieth; 0 is none.
    config.train.ema_decay = 0.999  # Of the averaged generator that images are drawn from.
    config.train.microbatch = config_dict.placeholder(int)  # Images at a time; all where None.
    config.train.remat = False  # True: keep only what convolutions put out.
    config.train.profile = config_dict.placeholder(str)  # FIRST:COUNT steps, for TensorBoard.
    config.train.min_diversity = 0.4  # Of the samples, as a share of real images'; below: alarm.
    config.train.on_collapse = "warn"  # Or stop, or rollback: to the last good checkpoint,
    config.train.rollbacks = 3  # so many times at most.
    config.train.log_every = 50  # In steps, as are the two below.
    config.train.sample_every = 500
    config.train.checkpoint_every = 500
    config.train.checkpoint_minutes = config_dict.placeholder(float)  # Saves after these, too.
    config.train.steps_per_call = 1  # Dispatched at once, on a GPU or TPU.
    config.train.all_reduce = "float32"  # Or bf16: what devices exchange of gradients under pmap.
    return config


def optimiser(learning_rate: float, b1: float, b2: float) -> ConfigDict:
    config = ConfigDict()
    config.name = "adam"  # or rmsprop, whose decay is b2.
    config.learning_rate = learning_rate
    config.b1, config.b2 = b1, b2
    config.schedule = "constant"  # Or cosine, restarts, linear: from learning_rate
    config.final = 0.0  # to this
    config.t_max = config_dict.placeholder(str)  # in "10 epochs", "500 kimg" or "100 steps".
    config.warmup = config_dict.placeholder(str)  # Rises from 0 in so long.
    return config


def get_test_config(name: str = "cat") -> ConfigDict:
    config = get_config(name)
    config.data.path = "toy"
    config.data.resolution = 16
    config.model.latent_dim = 8
    config.model.channels = 8
    config.vision.backbone_size, config.vision.mixed, config.vision.head_width = 16, 4, 8
    config.train.batch_size = 4
    config.train.n_critic = 2
    config.train.epochs = None
    config.train.steps = 2
    config.train.log_every = 1
    config.train.sample_every = 2
    config.train.checkpoint_every = 1
    return config
