"""The experiment: split, train a GAN per class, generate, train the classifiers, judge.

Every finished stage leaves its result in the workdir and is skipped when the command is run again.
"""

import itertools
import json
import time
from typing import NamedTuple

import numpy as np
from etils import epath
from ml_collections import ConfigDict

from jaxgan import __version__, checks, hosts, log, monitor, parallel, recipes, training
from jaxgan import config as configs
from jaxgan.data import loader, splits
from jaxgan.data.folder import Source
from jaxgan.experiment import audit, classifiers, design, flips, generated, guards, sequential
from jaxgan.experiment.cost import cost
from jaxgan.experiment.generated import Fresh
from jaxgan.experiment.judge import judge
from jaxgan.experiment.report import write_report
from jaxgan.experiment.shares import Share
from jaxgan.types import InputError

TOLD = "verdicts.jsonl"


class Plan(NamedTuple):
    """What an experiment is to do, on which pictures.

    Attributes:
        real: the pictures.
        parts: positions of those to train, to validate and to test with.
        arms: what each classifier gets.
        draws: of each seed, by real pictures a class.
        outside: generated pictures from elsewhere, by class.
        needed: generated pictures that a seed needs.
    """

    real: Source
    parts: splits.Split
    arms: list[design.Arm]
    draws: dict[int | None, list[design.Draw]]
    outside: dict[str, Source] | None
    needed: generated.Needed


def prepare(config: ConfigDict) -> Plan:
    """Opens and splits the pictures, and checks all that can be checked before any training.

    Raises:
        InputError: a config or folder that will not do.
    """
    if not configs.is_experiment(config):
        raise InputError("this config trains one network: run scripts/train.py with it")
    if found := hosts.cluster():
        raise InputError(
            f"an experiment must run as one process, and here are {found.get_process_count()}"
        )
    _inherit(config)
    checks.check_experiment(config)
    sequential.check_looks(tuple(config.verdict.looks), len(config.seeds))
    training.make_deterministic(config)
    monitor.settle(config.gan)
    if config.gan.model.get("conditional"):
        raise InputError("config.gan.model.conditional must be false: each class has its own GAN")
    for name in ("gan", "classifier"):
        training.check_batches(config[name], f"{name}.")
        training.check_precision(config[name].precision)
    parallel.check_alone(config.vmap_seeds, "config.vmap_seeds")

    real = training.open_source(at(config, config.classifier), config.seed)
    training.check_classes(real)
    parts = training.split(real, config.data.split)
    _check_parts(real, parts)
    arms = design.plan(config, _counts(real, parts.train))
    needed = design.needed(arms)
    draws = _draws(config, real, parts.train, {arm.size for arm in arms})
    with config.classifier.unlocked():
        config.classifier.model.num_classes = len(real.classes)
    for name in ("gan", "classifier"):
        training.check_start(config[name], f"config.{name}")
    held_out = loader.Subset(real, np.concatenate([parts.validation, parts.test]))
    outside = None
    if config.generated and needed:
        outside = generated.open_folder(config, real.classes, needed)
        for source in outside.values():
            guards.check_folder(_like(source, real), held_out)
    elif needed:
        for draw in draws[next(iter(needed))[0]]:
            for name in needed[next(iter(needed))]:
                monitor.check(config.gan, len(draw.learned[name]))
    return Plan(real, parts, arms, draws, outside, needed)


def run(config: ConfigDict, workdir: epath.PathLike, share: Share = Share()) -> dict:
    """Runs the experiment of `config` in `workdir` and returns what `results.json` holds there.

    Several processes with one workdir each do their `share`; the first writes the report, and what
    the others return is empty.

    Raises:
        InputError: a config, folder or workdir that will not do, before any training; or no seed
            could be finished for both arms of the verdict, after all else is written.
    """
    begin = time.perf_counter()
    folder = epath.Path(workdir)
    plan = prepare(config)
    configs.claim(folder, config)
    share = share._replace(workers=folder / "workers")
    with share.alive():
        return _run(config, plan, folder, share, begin)


def _run(config: ConfigDict, plan: Plan, folder: epath.Path, share: Share, begin: float) -> dict:
    real, parts, arms, draws, outside, needed = plan
    about = training.describe_data(real)
    configs.claim_data(folder, about["fingerprint"])
    if outside is not None:
        prints = [loader.fingerprint(source) for source in outside.values()]
        configs.claim_data(folder, "-".join(prints), "generated.json")
    environment = training.environment()
    told = log.Log(folder)
    told.line(
        f"{len(real):,} pictures of {', '.join(real.classes)}: {len(parts.train):,} to train, "
        f"{len(parts.validation):,} to validate, {len(parts.test):,} to test"
    )
    for arm in arms:
        told.line(f"arm {arm.name}: {arm.description}")
    seconds = {"data": time.perf_counter() - begin, "gan": 0.0, "generate": 0.0}

    fresh: Fresh = {}
    generators: list[dict] = []
    failed_gans: list[dict] = []
    if outside is not None:
        fresh = generated.from_folder(outside, needed, tuple(config.seeds), config.seed)
    elif needed:
        same = config.gan.data.resolution == real.resolution
        pictures = real if same else training.open_source(at(config, config.gan), config.seed)
        if pictures.names != real.names:  # The split speaks of positions.
            raise InputError(f"the pictures of {config.data.path} must not change during a run")
        recipe = recipes.build(config.gan, parallel.axis_name(config.parallel))
        made = generated.from_gans(
            config, recipe, pictures, parts.train, draws, needed, folder, told, share
        )
        fresh, generators, failed_gans = made.fresh, made.about, made.failed
        seconds |= made.seconds

    fold = classifiers.Fold(config, arms, real, parts, draws, fresh, folder, told, share)
    runs, failed = _classify(config, fold, real.labels[parts.test], told)
    opened = fold.opened()
    if share.index:
        told.line("done; worker 0 writes the report")
        told.close()
        return {}
    seconds["classify"] = sum(r["seconds"] for r in [*runs, *failed])
    asked = {"seeds": list(config.seeds)} | configs.to_dict(config.verdict)
    checked = audit.checks(config, arms, runs, opened, real, parts, draws, fresh, failed_gans)
    before = log.read_rows(folder / TOLD)
    checked.append(guards.as_planned(asked, before))
    # Stages that were finished before count, too.
    seconds["total"] = max(time.perf_counter() - begin, sum(seconds.values()))
    results = {
        "format": 2,
        "jaxgan": __version__,
        "config": configs.to_dict(config),
        "classes": list(real.classes),
        **judge(
            runs,
            real.labels[parts.test],
            real.classes,
            primary=tuple(config.verdict.primary),
            about=design.about(arms),
            seeds=len(config.seeds),
            level=config.verdict.level,
            margin=config.verdict.margin,
            looks=tuple(config.verdict.looks),
            overlap=config.data.subset if config.data.subset < 1 else None,
            failed=failed,
        ),
        "guards": checked,
        "data": {
            "path": config.data.path,
            **about,
            "counts": {
                part: _counts(real, getattr(parts, part))
                for part in ("train", "validation", "test")
            },
        },
        "test": {
            "names": [real.names[i] for i in parts.test],
            "labels": real.labels[parts.test].tolist(),
        },
        "runs": runs,
        "failed": failed,
        "generators": generators,
        "failed_generators": failed_gans,
        "figures": _figures(folder, real, parts.train, fresh),
        "environment": environment,
        "seconds": {name: round(s, 1) for name, s in seconds.items()},
    }
    results["figures"]["test"] = flips.save(results, loader.Subset(real, parts.test), folder)
    results["cost"] = cost(results)
    now = {"time": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
    rows = (json.dumps(row) + "\n" for row in [*before, asked | now])
    configs.write(folder / TOLD, "".join(rows))
    configs.write(folder / "results.json", json.dumps(results, indent=1) + "\n")
    report = write_report(results, folder)
    for name, arm in results["arms"].items():
        told.line(f"{name:<18} {arm['accuracy']:7.1%} test accuracy{_interval(arm)}")
    for guard in checked:
        word = {True: "passed", False: "FAILED", None: "not made"}[guard["passed"]]
        told.line(f"guard {guard['name']}: {word}: {guard['sentence']}")
    for failure in failed_gans:
        told.line(f"the GAN of {failure['name']} failed: {failure['error']}")
    for failure in failed:
        told.line(f"arm {failure['arm']} seed {failure['seed']} failed: {failure['error']}")
    told.line(f"cost: {' '.join(results['cost']['sentences'])}")
    told.line(f"report: {report}")
    verdict = results["verdict"]
    told.line(f"{verdict['word']}: {verdict['sentence']}")
    told.close()
    if verdict["difference"] is None:
        raise InputError(
            f"the verdict needs both its arms, and the same command tries again what failed: "
            f"{verdict['sentence']}"
        )
    return results


def _classify(
    config: ConfigDict, fold: classifiers.Fold, labels: np.ndarray, told: log.Log
) -> tuple[list[dict], list[dict]]:
    """The runs and those that failed, up to the first of `verdict.looks` that is clear."""
    reached = fold.gan_train() if config.stop_below is not None and fold.fresh else None
    if reached is not None and reached < config.stop_below:
        raise InputError(
            f"not worth it: a classifier that learns from generated pictures reaches "
            f"{reached:.1%} of validation pictures, and config.stop_below asks for "
            f"{config.stop_below:.1%}; without it the same command goes on"
        )
    runs, failed = [], []
    for first, end in itertools.pairwise((0, *config.verdict.looks, len(config.seeds))):
        for kept, found in zip((runs, failed), fold.train(range(first, end)), strict=True):
            kept += found
        if _decided(config, runs, labels, end):
            told.line(f"the verdict is clear after {end} of {len(config.seeds)} seeds")
            break
    if failed and not runs:
        raise InputError(f"no classifier could be trained: {failed[0]['error']}")
    return runs, failed


def _decided(config: ConfigDict, runs: list[dict], labels: np.ndarray, seeds: int) -> bool:
    """Whether a look at the primary contrast after so many seeds ends the experiment."""
    looks = tuple(config.verdict.looks)
    if seeds not in looks or seeds == len(config.seeds):
        return False
    first, second = (
        np.array([np.argmax(r["probabilities"], 1) == labels for r in runs if r["arm"] == arm])
        for arm in config.verdict.primary
    )
    if min(len(first), len(second)) < seeds:
        return False
    gans = None if config.gan.retrain == 1 else [i % config.gan.retrain for i in range(seeds)]
    return sequential.decided(
        first,
        second,
        looks,
        len(config.seeds),
        config.verdict.level,
        margin=config.verdict.margin,
        overlap=config.data.subset % 1,
        gans=gans,
    )


def _inherit(config: ConfigDict) -> None:
    """The stages' configs take the experiment's pictures and devices."""
    for section in (config.gan, config.classifier):
        with section.unlocked():
            for name in ("path", "classes", "limit", "crop", "on_error"):
                section.data[name] = config.data[name]
            section.data.split = config.data.split
            section.parallel, section.deterministic = config.parallel, config.deterministic


def _draws(
    config: ConfigDict, real: Source, train: np.ndarray, sizes: set[int | None]
) -> dict[int | None, list[design.Draw]]:
    """Each seed's pictures, by how many a class an arm has."""
    how = {"share": config.data.subset, "retrain": config.gan.retrain, "seed": config.seed}
    return {
        size: design.draw(real.labels[train], real.classes, tuple(config.seeds), size=size, **how)
        for size in sizes
    }


def _like(source: Source, real: Source) -> Source:
    """A class from elsewhere as one of the experiment's."""
    name = source.classes[int(source.labels[0])]
    return design.Labelled(source, tuple(real.classes), name)


def at(config: ConfigDict, section: ConfigDict) -> ConfigDict:
    """The experiment's pictures at a stage's resolution."""
    data = ConfigDict(config.data.to_dict())
    data.resolution = section.data.resolution
    return data


def _counts(source: Source, indices: np.ndarray) -> dict[str, int]:
    counts = np.bincount(source.labels[indices], minlength=len(source.classes)).tolist()
    return dict(zip(source.classes, counts, strict=True))


def _check_parts(source: Source, parts: splits.Split) -> None:
    for part in ("train", "validation", "test"):
        for name, n in _counts(source, getattr(parts, part)).items():
            if not n:
                raise InputError(
                    f"data.split must leave each class a picture in train, validation and test, "
                    f"and {part} has none of {name}: too few pictures, or too small a share"
                )


def _interval(arm: dict) -> str:
    return "" if arm["low"] is None else f"  [{arm['low']:.1%}, {arm['high']:.1%}]"


def _figures(folder: epath.Path, real: Source, train: np.ndarray, fresh: Fresh) -> dict:
    """Grids of real and of generated pictures of each class, side by side in the report."""
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    figures: dict[str, dict[str, str]] = {"real": {}, "generated": {}}

    def show(kind: str, name: str, images: list[np.ndarray]) -> None:
        file = f"figures/{kind}_{name}.png"
        (folder / file).write_bytes(log.png(log.grid(np.stack(images))))
        figures[kind][name] = file

    for label, name in enumerate(real.classes):
        mine = train[real.labels[train] == label][:36]
        show("real", name, [real[i]["image"] for i in mine])
    for sides in fresh.values():
        for name, source in ((name, s) for side in sides for name, s in side.items()):
            if name not in figures["generated"]:
                show("generated", name, [source[i]["image"] for i in range(min(36, len(source)))])
    return figures
