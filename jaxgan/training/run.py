"""A config, some pictures and a folder become a trained network: what `scripts/train.py` calls."""

import json
import logging
import os
import platform
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cache
from importlib import metadata
from typing import Any, NamedTuple

import jax
import numpy as np
from clu import parameter_overview
from clu import platform as cluster
from etils import epath
from ml_collections import ConfigDict

from jaxgan import recipes
from jaxgan.config import checks
from jaxgan.config import loading as configs
from jaxgan.data import account, groups, loader, ranges, splits
from jaxgan.data.channel_stats import moments
from jaxgan.data.duplicates import sentence
from jaxgan.data.folder import Source
from jaxgan.engine import distributed, sharding, vmapped_loop
from jaxgan.engine.checkpoint import Best, Checkpoints, has_checkpoints
from jaxgan.engine.log import Log, grid, read_metrics
from jaxgan.engine.loop import Evaluation, TrainOptions, train
from jaxgan.engine.memory import Settings
from jaxgan.engine.progress import NotFiniteError
from jaxgan.metrics.classification import judge, predict, summarise
from jaxgan.metrics.networks import BEST, restore
from jaxgan.models import pca
from jaxgan.sampling import sample
from jaxgan.steps.classifier import Predict, make_predict
from jaxgan.steps.state import ClassifierState, GANState, Net
from jaxgan.system import lock, sealed
from jaxgan.training import early, fitting, frozen_features, monitor
from jaxgan.training.mode_collapse import make_alarm, mean_distance
from jaxgan.types import InputError, Recipe, State
from jaxgan.weights import imagenet, init_from

PACKAGES = ("jaxgan", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy")


def run(config: ConfigDict, workdir: epath.PathLike) -> None:
    """Trains what the config says, in `workdir`; going on where a run of it is there already.

    Raises:
        InputError: a config, folder or workdir that will not do, or that another process works
            in, or processes that differ in config, versions or pictures; before any training.
    """
    with ExitStack() as held:
        _run(config, workdir, held)


def _run(config: ConfigDict, workdir: epath.PathLike, held: ExitStack) -> None:
    if config.get("model", {}).get("name") == "pca":
        fit_components(config, workdir)
        return
    make_deterministic(config)
    sharding.check_devices()  # What follows speaks to all of them.
    with distributed.agreed():
        if configs.is_experiment(config):
            raise InputError("this config is an experiment's: run scripts/experiment.py with it")
        checks.check_training(config)
        sharding.spread(config.parallel)
        check_batches(config)
        check_precision(config.precision)
    distributed.check_same(
        config=json.dumps(configs.to_dict(config), sort_keys=True), versions=str(versions())
    )
    with distributed.agreed():
        source = open_source(config.data, config.seed)
        if config.model.name in configs.CLASSIFIERS:
            check_classes(source)
            with config.unlocked():
                config.model.num_classes = len(source.classes)
                config.data.classes = tuple(source.classes)
            parts = split(source, config.data.split, rule=config.data.get("duplicates", "auto"))
            tell(account.lines(source, parts))
        else:
            tell(account.lines(source, gan=True))
        if config.model.name in configs.GANS:
            monitor.settle(config)
            settle_classes(config, source)
        about = describe_data(source)
        if jax.process_index() == 0:
            if config.model.name in configs.GANS:
                monitor.check(config, len(source))
            held.enter_context(lock.held(workdir))
            if not has_checkpoints(workdir):
                check_start(config)
            configs.claim(workdir, config, about)
    distributed.check_same(pictures=about["fingerprint"])
    with distributed.agreed():
        if jax.process_index() == 0:
            configs.claim_data(workdir, about["fingerprint"], data=about)
    if config.model.name in configs.GANS:
        train_gan(config, source, workdir)
        return
    training, validation = (loader.Subset(source, i) for i in (parts.train, parts.validation))
    if frozen_features.applies(config):
        training = frozen_features.look(config, training, config.train.views)
        validation = frozen_features.look(config, validation)
    train_classifier(config, training, validation, workdir, data=about)


def tell(lines: Sequence[str]) -> None:
    """Print an account, on one process alone."""
    if jax.process_index() == 0:
        print("\n".join(lines), flush=True)


def make_deterministic(config: ConfigDict) -> None:
    """Asks XLA for the same bits each time on a GPU, too; before JAX looks for devices."""
    if config.deterministic:
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"{flags} --xla_gpu_deterministic_ops=true".strip()


def check_start(config: ConfigDict, name: str = "config") -> None:
    """Raises InputError where what a run is to begin with is not there or does not fit."""
    if config.init_from is not None:
        init_from.check(config, name)
    elif config.model.get("pretrained") is not None:
        imagenet.read(config)
    if config.model.name == "projected":
        recipes.build_projection(config)


def check_batches(config: ConfigDict, prefix: str = "") -> None:
    """Raises InputError where the devices do not divide the batches of a config.

    Args:
        config: of one network.
        prefix: of the settings' names: `gan.` or `classifier.` in an experiment's.
    """
    for key in ("batch_size", "microbatch"):
        count, name = config.train[key] or 0, f"{prefix}train.{key}"
        sharding.check_batch(count, name)
        if config.model.name == "stylegan2":  # Half of a batch is for path lengths.
            sharding.check_batch(count // 2, f"half of {name}")


def check_precision(precision: str) -> None:
    """Says that bf16 is slow on a CPU, which only imitates it.

    Raises:
        InputError: bf16 on an NVIDIA GPU that has none.
    """
    device = jax.local_devices()[0]
    if precision != "bf16":
        return
    if device.platform == "cpu":
        logging.getLogger("jaxgan").warning("precision=bf16 is slower than float32 on a CPU")
    capability = str(getattr(device, "compute_capability", ""))
    # Before Ampere XLA computes it in float32, more slowly; AMD's capabilities are no numbers.
    if re.fullmatch(r"\d+\.\d+", capability) and float(capability) < 8:
        raise InputError(
            f"precision=bf16 must have a GPU of compute capability 8.0 or more (take float32), "
            f"got {capability} ({device.device_kind})"
        )


def open_source(data: ConfigDict, seed: int = 0, scale: ranges.Scale | None = None) -> Source:
    """The images of a config's `data` section.

    Args:
        data: the section.
        seed: chooses the images where there is a limit.
        scale: of gray values beyond 8 bits; None: that of these images.
    """
    if data.path != "toy" and not epath.Path(data.path).expanduser().exists():
        raise InputError(
            f"data.path must be a folder of pictures, and {data.path} does not exist: set it with "
            f"--config.data.path=DIR (or =toy for drawn ones)"
        )
    return loader.open_source(
        data.path,
        data.resolution,
        classes=data.classes or None,
        crop=data.crop,
        on_error=data.on_error,
        count=data.limit,
        seed=seed,
        given_sides=data.get("given_sides", "use"),
        reading=data.get("layout", "auto"),
        grouped=data.get("groups"),
        scale=scale,
    )


def settle_classes(config: ConfigDict, source: Source) -> None:
    """Puts the classes that there are into a conditional GAN's config.

    Raises:
        InputError: there is only one.
    """
    if not config.model.get("conditional"):
        return
    if len(source.classes) < 2:
        raise InputError(
            f"model.conditional must be false without class folders, two or more of them, got only "
            f"{', '.join(source.classes)}"
        )
    with config.unlocked():
        config.data.classes = tuple(source.classes)


def check_classes(source: Source) -> None:
    """Raises InputError where there is nothing to tell apart."""
    if len(source.classes) < 2:
        raise InputError(
            f"a classifier needs two classes or more, got only {', '.join(source.classes)}"
        )


def split(
    source: Source,
    fractions: tuple[float, float, float],
    duplicates: splits.Duplicates | None = None,
    rule: str | float = "auto",
) -> splits.Split:
    """Train, validation and test, after a look at what the classes share; or as prepared.

    Args:
        source: images.
        fractions: of the parts.
        duplicates: `copies(source, rule)`, where it is at hand.
        rule: by which images are the same, see `duplicates.near_duplicates`.

    Raises:
        InputError: a tenth or more of the pictures stand in two classes, or there are too few.
    """
    sides = getattr(source, "sides", None)
    if sides is not None:
        if getattr(source, "given", None) is not None:  # Of folders like train and test.
            found = copies(source, rule)
            _say(found, source)
            group = found.group
            across = np.flatnonzero(sides != sides[group])
            if len(across):
                a, b = source.names[group[across[0]]], source.names[across[0]]
                logging.getLogger("jaxgan").warning(
                    "%d pictures are like one on another given side, such as %s and %s: "
                    "data.given_sides=merge parts them anew",
                    *(len(across), a, b),
                )
        elif source.fractions != tuple(fractions):  # type: ignore[attr-defined]
            logging.getLogger("jaxgan").warning(
                "the split is that of the prepared set, %s, not data.split",
                source.fractions,  # type: ignore[attr-defined]
            )
        return splits.Split(*(np.flatnonzero(sides == side) for side in range(3)))
    return splits.split(source, fractions, duplicates=kept_together(source, duplicates, rule))


def kept_together(
    source: Source, duplicates: splits.Duplicates | None = None, rule: str | float = "auto"
) -> splits.Duplicates:
    """Which images must stay on one side: copies, and those of a group.

    Args:
        source: images.
        duplicates: `copies(source, rule)`, where it is at hand.
        rule: by which copies are found, see `duplicates`.

    Raises:
        InputError: as `copies`; or a class whose images are one group.
    """
    found = duplicates
    if found is None:
        found = copies(source, rule)
        _say(found, source)
    grouped = getattr(source, "groups", None)
    if grouped is None:
        return found
    groups.check_classes(grouped, source.labels, source.classes)
    return found._replace(group=groups.joined(found.group, grouped))


def _say(duplicates: splits.Duplicates, source: Source) -> None:
    logging.getLogger("jaxgan").warning("%s", sentence(duplicates, source.names.__getitem__))


def copies(source: Source, rule: str | float = "auto") -> splits.Duplicates:
    """Which images are the same by a rule, after a look at what the classes share.

    Raises:
        InputError: a tenth or more of the images stand in two classes.
    """
    duplicates = splits.near_duplicates(source, rule)
    pairs = splits.across_classes(source, duplicates=duplicates)
    if len(pairs):
        a, b = (source.names[i] for i in pairs[0])
        text = f"{len(pairs):,} pictures stand in two classes, like {a} and {b}"
        if len(pairs) >= len(source) / 10:
            raise InputError(f"classes must hold different pictures: {text}")
        logging.getLogger("jaxgan").warning("%s: their labels contradict each other", text)
    return duplicates


def train_gan(
    config: ConfigDict,
    source: Source,
    workdir: epath.PathLike,
    *,
    label: str = "",
    recipe: Recipe | None = None,
) -> GANState:
    """Trains a GAN.

    Args:
        config: of a GAN.
        source: what it learns from.
        workdir: the run's folder.
        label: stands before each progress line.
        recipe: of this very config, where it was built before: its step is not compiled again.
    """
    axis_name, settings = sharding.axis_name(config.parallel), config.train
    if recipe is None or recipes.needs_pictures(config):
        recipe = recipes.build(config, axis_name, look_at(config, source))
    turns = None if settings.get("same_batch", True) else settings.n_critic
    draw = sample.draw_with(config)
    seeds = np.arange(36 if config.data.resolution <= 128 else 16, dtype=np.uint32)
    some = np.random.default_rng(config.seed).permutation(len(source))[: len(seeds)]

    @cache
    def real() -> float:
        return mean_distance(np.stack([source[int(i)]["image"] for i in some]))

    def evaluate(state: GANState) -> Evaluation:
        images = np.asarray(draw(state.ema, seeds))
        diversity = mean_distance(images) / max(real(), 1.0)
        return Evaluation({"diversity": diversity}, {"samples": grid(images)})

    with Log(workdir, label) as log:
        _introduce(log, config, recipe, source)
        batches = _batches(config, source, flip=config.data.flip, turns=turns)
        prelude = recipe.prelude.count if recipe.prelude else lambda step: 0
        prefix = "gan." if label else ""  # Only an experiment labels its runs.
        options = _options(config, len(source), settings.batch_size * (turns or 1), prelude, prefix)
        every, looked = config.evaluate.every or options.steps, early.steps(options.steps)
        watch = (
            monitor.make_monitor(config, source, draw, log.line) if config.evaluate.every else None
        )
        look = early.make_early(config, source, draw, log.line, options.steps)

        def measure(state: GANState, step: int) -> dict[str, float]:
            found = {}
            if watch and (step % every == 0 or step == options.steps):
                found = watch(state.ema, step)
            return found | look(state.ema, step, read_metrics(workdir) if step in looked else ())

        options = options._replace(
            batch_axis=0 if turns is None else 1,
            start=lambda state: fitting.fit(config, source, _start(config, log)(state), log.line),
            alarm=make_alarm(settings.min_diversity, config.loss.get("name") != "wasserstein"),
            on_alarm=settings.on_collapse,
            rollbacks=settings.rollbacks,
            measure_every=every,
            measure_at=frozenset(looked),
            best=sample.best_of(config),
        )
        return train(recipe, batches, options, workdir, log=log, evaluate=evaluate, measure=measure)


def fit_components(config: ConfigDict, workdir: epath.PathLike) -> None:
    """Find the principal components of a config's images; `workdir` then holds a run like a GAN's.

    Raises:
        InputError: a config or folder that will not do; too few images for the components, or
            images that are all alike.
    """
    checks.check_training(config)
    if jax.process_count() > 1:
        raise InputError(f"principal components need one process, got {jax.process_count()}")
    source = open_source(config.data, config.seed)
    about = describe_data(source)
    folder = epath.Path(workdir)
    if (folder / "config.json").exists():  # Their number was found before.
        with config.unlocked():
            config.model.latent_dim = configs.read_claim(folder).model.latent_dim
        configs.claim(folder, config)
        configs.claim_data(folder, about["fingerprint"])
        if has_checkpoints(folder):
            logging.getLogger("jaxgan").warning("the components of %s are there already", folder)
            return
    clock = time.perf_counter()
    fit = pca.fit(source, config.model.components, config.model.mirror)
    with config.unlocked():
        config.model.latent_dim = len(fit.variances)
    configs.claim(folder, config)
    configs.claim_data(folder, about["fingerprint"])
    with Log(folder) as log, Checkpoints(folder) as checkpoints:
        (folder / "run.json").write_text(
            json.dumps(environment() | {"data": about}, indent=2) + "\n"
        )
        count, rest = len(fit.variances), float(fit.noise[0]) * (fit.mean.size - len(fit.variances))
        share = float(fit.variances.sum()) / (float(fit.variances.sum()) + rest)
        rule = "under which images left out are likeliest"
        if config.model.components is not None:
            rule = f"by model.components={config.model.components:g}"
        taken = min(len(source), pca.MOST)
        log.line(
            f"{count:,} components of {taken:,} of {len(source):,} images at {source.resolution} "
            f"px{', and their mirrors' * config.model.mirror}, {rule}: they hold {share:.1%} of "
            f"the variance; {time.perf_counter() - clock:.1f} s"
        )
        log.metrics(1, {"components": count, "variance_share": share})
        images = pca.draw(fit, range(36 if source.resolution <= 128 else 16), config.model.shrink)
        log.image(1, "samples", grid(images))
        nothing = Net({}, {}, ())
        state = GANState(np.int32(1), nothing, nothing, {"params": fit._asdict()})
        checkpoints.save(1, state, configs.to_dict(config), {"next_index": 0})
        checkpoints.wait()


def look_at(config: ConfigDict, source: Source) -> recipes.Pictures:
    """What a GAN's recipe may depend on; the moments are computed only where it does."""
    if config.data.get("normalise", "range") == "range":
        return recipes.Pictures(len(source))
    return recipes.Pictures(len(source), *moments(source))


def _start(config: ConfigDict, log: Log, best: Best | None = None) -> Callable[[State], State]:
    """What a new run makes of its random weights."""
    if config.init_from is not None:
        return lambda state: init_from.start(config, log.line, best)(state)
    if config.model.get("pretrained") is not None:
        return lambda state: imagenet.start(config, log.line)(state)
    return lambda state: state


def train_classifier(
    config: ConfigDict,
    training: Source,
    validation: Source | None,
    workdir: epath.PathLike,
    *,
    label: str = "",
    data: dict | None = None,
    recipe: Recipe | None = None,
) -> ClassifierState:
    """Trains a classifier; validation picks the best checkpoint, by accuracy.

    Args:
        config: of a classifier, `model.num_classes` set.
        training: what it learns from.
        validation: what picks the checkpoint; None: nothing does.
        workdir: the run's folder.
        label: stands before each progress line.
        data: what `run.json` says of the pictures; by default what `training` is.
        recipe: of this very config, where it was built before: its step is not compiled again.
    """
    if recipe is None:
        pictures = recipes.Pictures(len(training))
        recipe = recipes.build(config, sharding.axis_name(config.parallel), pictures)
    predictor = make_predict(recipes.build_classifier(config))

    def evaluate(state: ClassifierState) -> Evaluation:
        assert validation is not None
        judged = judge(predictor, state.variables, validation)
        return Evaluation({f"validation_{k}": v for k, v in judged.items()}, {})

    with Log(workdir, label) as log:
        _introduce(log, config, recipe, training, data)
        batches = _batches(config, training)
        prefix = "classifier." if label else ""
        options = _options(config, len(training), config.train.batch_size, prefix=prefix)
        options = options._replace(
            best=None if validation is None else BEST, start=_start(config, log, BEST)
        )
        judging = None if validation is None else evaluate
        return train(recipe, batches, options, workdir, log=log, evaluate=judging)


def train_classifiers(
    each: Sequence[ConfigDict],
    training: Sequence[Source],
    validation: Source,
    workdirs: Sequence[epath.PathLike],
    *,
    label: str,
    recipe: Recipe,
) -> list[NotFiniteError | None]:
    """Trains classifiers that differ in seed and pictures at once, on the first device.

    Each comes out as from `train_classifier` but for rounding; see `vmapped_loop.train` for when
    they are saved.

    Args:
        each: their configs.
        training: what each learns from; as many pictures.
        validation: what picks the checkpoints.
        workdirs: the runs' folders.
        label: stands before each progress line.
        recipe: of all the configs.

    Returns:
        For each None, or what ended it.
    """
    predictor = make_predict(recipes.build_classifier(each[0]))

    def evaluate(state: ClassifierState) -> Evaluation:
        judged = judge(predictor, state.variables, validation)
        return Evaluation({f"validation_{k}": v for k, v in judged.items()}, {})

    with ExitStack() as stack:
        logs = [stack.enter_context(Log(folder, label)) for folder in workdirs]
        options = []
        for config, source, log in zip(each, training, logs, strict=True):
            _introduce(log, config, recipe, source)
            one = _options(config, len(source), config.train.batch_size, prefix="classifier.")
            options.append(one._replace(best=BEST, start=_start(config, log, BEST)))
        batches = [_batches(*pair) for pair in zip(each, training, strict=True)]
        return vmapped_loop.train(recipe, batches, options, workdirs, logs=logs, evaluate=evaluate)


def _batches(config: ConfigDict, source: Source, **more: Any) -> Any:
    return loader.make_batches(
        source,
        batch_size=config.train.batch_size,
        seed=config.seed,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
        **more,
    )


def _options(
    config: ConfigDict,
    pictures: int,
    pictures_a_step: int,
    prelude: Callable[[int], int] = lambda step: 0,
    prefix: str = "",
) -> TrainOptions:
    return TrainOptions(
        steps=configs.total_steps(config.train, pictures, pictures_a_step, prelude),
        pictures_a_step=pictures_a_step,
        seed=config.seed,
        log_every=config.train.log_every,
        sample_every=config.train.sample_every,
        checkpoint_every=config.train.checkpoint_every,
        parallel=config.parallel,
        config=configs.to_dict(config),
        profile=configs.profile_steps(config.train.profile),
        memory=memory_settings(config, prefix),
    )


def memory_settings(config: ConfigDict, prefix: str = "") -> Settings:
    """Those of one network's config that decide over the memory of its step."""
    train, bf16 = config.train, config.precision == "bf16"
    return Settings(train.batch_size, train.microbatch, train.remat, bf16, prefix)


def _introduce(
    log: Log, config: ConfigDict, recipe: Recipe, source: Source, data: dict | None = None
) -> None:
    """Writes `run.json` and `parameters.txt`, and says what begins."""
    abstract = jax.eval_shape(recipe.init, jax.random.key(0))
    nets = {name: net for name, net in vars(abstract).items() if hasattr(net, "params")}
    tables, counts = [], []
    for name, net in nets.items():
        table = parameter_overview.get_parameter_overview(net.params, include_stats=False)
        tables.append(f"{name}\n{table}\n")
        counts.append(f"{name} {parameter_overview.count_parameters(net.params):,}")
    if jax.process_index() == 0:
        sealed.write(log.folder / "parameters.txt", "\n".join(tables))
        about = environment() | {"data": data or describe_data(source)}
        sealed.save(log.folder / "run.json", about, indent=2)
    summary = (
        f"{len(source):,} pictures of {', '.join(_present(source))} at {source.resolution} px; "
        f"parameters: {', '.join(counts)}; {jax.device_count()} x {jax.devices()[0].device_kind}"
    )
    cluster.work_unit().set_notes(summary)  # What a cluster's console shows.
    log.line(summary)


def _present(source: Source) -> list[str]:
    return [source.classes[i] for i in np.unique(source.labels)]


def describe_data(source: Source) -> dict:
    """What `run.json` says of a set of pictures."""
    counts = np.bincount(source.labels, minlength=len(source.classes)).tolist()
    content = getattr(source, "content", None)
    return {
        "fingerprint": loader.fingerprint(source),
        **({} if content is None else {"content": content}),
        "counts": dict(zip(source.classes, counts, strict=True)),
        "unreadable": [list(pair) for pair in getattr(source, "unreadable", [])],
        "left_out": dict(getattr(source, "left_out", {})),
        "scale": getattr(source, "scale", None) or None,
    }


def versions() -> dict[str, str]:
    """Those of the packages that a run's figures depend on."""
    return {name: metadata.version(name) for name in PACKAGES}


def environment() -> dict:
    """Command, versions, devices, time, and the commit of the code where it is a checkout."""
    here = os.path.dirname(os.path.abspath(__file__))
    try:
        git = subprocess.run(
            ["git", "-C", here, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        git = None
    return {
        "command": f"{sys.argv[0]} {shlex.join(sys.argv[1:])}".strip(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "versions": versions(),
        "devices": [f"{d.platform} {d.device_kind}" for d in jax.devices()],
        "python": platform.python_version(),
        "platform": platform.platform(),
        "git": git,
    }


class Classifier(NamedTuple):
    """A trained classifier, ready to judge.

    Attributes:
        config: the run's, its classes in `data.classes`.
        step: the checkpoint's.
        variables: weights and batch statistics.
        predict: (variables, uint8 pictures) -> log-probabilities of the classes.
    """

    config: ConfigDict
    step: int
    variables: Any
    predict: Predict

    def __repr__(self) -> str:  # Without the weights.
        return f"Classifier({self.config.model.name}, step {self.step:,})"


def load_classifier(
    workdir: epath.PathLike, step: int | None = None, flag: str = "--workdir"
) -> Classifier:
    """The best checkpoint of a classifier's run, or that of a certain step.

    Raises:
        InputError: no run of a classifier, or no checkpoint, in `workdir`, which is `flag`'s.
    """
    config, step, variables = restore(workdir, step, flag)
    predictor = make_predict(recipes.build_classifier(config))
    return Classifier(config, step, variables, predictor)


def evaluate_classifier(
    workdir: epath.PathLike, path: str, part: str = "all", step: int | None = None
) -> dict:
    """What the best checkpoint of a classifier's run makes of the pictures of `path`.

    Args:
        workdir: the run's folder.
        path: a folder with the run's class folders; or "toy".
        part: "all", or "train", "validation" or "test" as the run's split parts them.
        step: a certain checkpoint.

    Raises:
        InputError: no classifier's run, or pictures of other classes.
    """
    classifier = load_classifier(workdir, step)
    config = classifier.config
    with config.unlocked():
        config.data.path = path
        if part == "all":
            config.data.limit = None
            config.data.groups = None  # They decide over splits alone.
    if path != "toy" and not epath.Path(path).expanduser().exists():
        raise InputError(f"--data must be a folder of class folders, and {path} does not exist")
    known = configs.read_run(workdir).get("data", {})
    trained, scale = known.get("fingerprint"), known.get("scale")
    source = open_source(config.data, config.seed, scale and ranges.Scale(*scale))
    if part == "all" and loader.fingerprint(source) == trained:
        logging.getLogger("jaxgan").warning(
            "these are the pictures it learned from: --split test takes those that it did not see"
        )
    if part != "all":
        rule = config.data.get("duplicates")
        if rule is None and getattr(source, "sides", None) is None:
            raise InputError(
                f"--split {part} must be parted as in training, and the run in {workdir} is older "
                f"than data.duplicates: train anew, or give a folder of new images with --split all"
            )
        source = loader.Subset(
            source, getattr(split(source, config.data.split, rule=rule or "auto"), part)
        )
    tell(account.lines(source))
    log_p = predict(classifier.predict, classifier.variables, source)
    return summarise(log_p, source.labels, source.classes) | {
        "workdir": str(workdir),
        "step": classifier.step,
        "data": path,
        "split": part,
        "fingerprint": loader.fingerprint(source),
    }
