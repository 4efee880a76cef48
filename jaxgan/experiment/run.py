"""The experiment: split, train a GAN per class, generate, train the classifiers, judge.

Every finished stage leaves its result in the workdir and is skipped when the command is run again.
"""

import itertools
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from etils import epath
from ml_collections import ConfigDict

from jaxgan import (
    __version__,
    checks,
    hosts,
    log,
    monitor,
    parallel,
    recipes,
    sample,
    training,
)
from jaxgan import config as configs
from jaxgan.checkpoint import Checkpoints
from jaxgan.data import loader, splits
from jaxgan.data.folder import FolderSource, Source
from jaxgan.evaluate import predict
from jaxgan.experiment import design, flips, sequential
from jaxgan.experiment.judge import judge
from jaxgan.experiment.report import write_report
from jaxgan.steps.classifier import make_predict
from jaxgan.types import InputError, Recipe


def run(config: ConfigDict, workdir: epath.PathLike) -> dict:
    """Runs the experiment of `config` in `workdir` and returns what `results.json` holds there.

    Raises:
        InputError: a config, folder or workdir that will not do; before any training.
    """
    if not configs.is_experiment(config):
        raise InputError("this config trains one network: run scripts/train.py with it")
    if found := hosts.cluster():
        raise InputError(
            f"an experiment must run as one process, and here are {found.get_process_count()}"
        )
    begin = time.perf_counter()
    folder = epath.Path(workdir)
    _inherit(config)
    checks.check_experiment(config)
    sequential.check_looks(tuple(config.verdict.get("looks", ())), len(config.seeds))
    training.make_deterministic(config)
    monitor.settle(config.gan)
    for name in ("gan", "classifier"):
        train = config[name].train
        parallel.check_batch(train.batch_size, f"{name}.train.batch_size")
        parallel.check_batch(train.microbatch or 0, f"{name}.train.microbatch")
        training.check_precision(config[name].precision)

    real = training.open_source(_at(config, config.classifier), config.seed)
    training.check_classes(real)
    parts = training.split(real, config.data.split)
    _check_parts(real, parts)
    counts = _counts(real, parts.train)
    arms = design.plan(config, counts)
    with config.classifier.unlocked():
        config.classifier.model.num_classes = len(real.classes)
    for name in ("gan", "classifier"):
        training.check_start(config[name], f"config.{name}")
    for name in design.needed(arms):
        monitor.check(config.gan, counts[name])
    configs.claim(folder, config)
    about = training.describe_data(real)
    configs.claim_data(folder, about["fingerprint"])
    environment = training.environment()
    told = log.Log(folder)
    told.line(
        f"{len(real):,} pictures of {', '.join(real.classes)}: {len(parts.train):,} to train, "
        f"{len(parts.validation):,} to validate, {len(parts.test):,} to test"
    )
    for arm in arms:
        told.line(f"arm {arm.name}: {arm.description}")
    seconds = {"data": time.perf_counter() - begin}

    needed = design.needed(arms)
    generators, generated = [], {}
    if needed:
        same = config.gan.data.resolution == real.resolution
        pictures = real if same else training.open_source(_at(config, config.gan), config.seed)
        if pictures.names != real.names:  # The split speaks of positions.
            raise InputError(f"the pictures of {config.data.path} must not change during a run")
        recipe = recipes.build(config.gan, parallel.axis_name(config.parallel))
        for name, count in needed.items():
            mine = parts.train[real.labels[parts.train] == real.classes.index(name)]
            about = _train_gan(config.gan, recipe, loader.Subset(pictures, mine), folder, name)
            about |= _generate(folder, name, count, told)
            generators.append(about)
            generated[name] = FolderSource(
                folder / "generated" / name, real.resolution, crop=config.data.crop
            )
    seconds["gan"] = sum(g["seconds"] for g in generators)
    seconds["generate"] = sum(g.pop("generate_seconds") for g in generators)

    runs = _train_classifiers(config, arms, real, parts, generated, folder)
    seconds["classify"] = sum(r["seconds"] for r in runs)
    seconds["total"] = sum(seconds.values())
    results = {
        "format": 1,
        "jaxgan": __version__,
        "config": configs.to_dict(config),
        "classes": list(real.classes),
        **judge(
            runs,
            real.labels[parts.test],
            real.classes,
            primary=tuple(config.verdict.primary),
            about={
                arm.name: {"description": arm.description, "pictures": arm.pictures} for arm in arms
            },
            seeds=len(config.seeds),
            level=config.verdict.level,
            margin=config.verdict.get("margin"),
            looks=tuple(config.verdict.get("looks", ())),
        ),
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
        "generators": generators,
        "figures": _figures(folder, real, parts.train, generated),
        "environment": environment,
        "seconds": {name: round(s, 1) for name, s in seconds.items()},
    }
    results["figures"]["test"] = flips.save(results, loader.Subset(real, parts.test), folder)
    configs.write(folder / "results.json", json.dumps(results, indent=1) + "\n")
    report = write_report(results, folder)
    for name, arm in results["arms"].items():
        told.line(f"{name:<18} {arm['accuracy']:7.1%} test accuracy{_interval(arm)}")
    told.line(f"report: {report}")
    told.line(f"{results['verdict']['word']}: {results['verdict']['sentence']}")
    told.close()
    return results


def _inherit(config: ConfigDict) -> None:
    """The stages' configs take the experiment's pictures and devices."""
    for section in (config.gan, config.classifier):
        with section.unlocked():
            for name in ("path", "classes", "limit", "crop", "on_error"):
                section.data[name] = config.data[name]
            section.data.split = config.data.split
            section.parallel, section.deterministic = config.parallel, config.deterministic


def _at(config: ConfigDict, section: ConfigDict) -> ConfigDict:
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


def _once(file: epath.Path, work: Callable[[], dict]) -> dict:
    """The result kept in `file`, or that of `work`, kept there from now on."""
    if file.exists():
        return json.loads(file.read_text())
    begin = time.perf_counter()
    result = work()
    result.setdefault("seconds", round(time.perf_counter() - begin, 1))
    configs.write(file, json.dumps(result) + "\n")
    return result


def _train_gan(
    config: ConfigDict, recipe: Recipe, source: Source, folder: epath.Path, name: str
) -> dict:
    config = config.copy_and_resolve_references()
    with config.unlocked():
        config.data.classes = (name,)
    workdir = folder / "gan" / name

    def work() -> dict:
        configs.claim(workdir, config)
        state = training.train_gan(config, source, workdir, label=f"gan {name}", recipe=recipe)
        return {"class": name, "workdir": f"gan/{name}", "steps": int(state.step)}

    about = _once(workdir.parent / f"{name}.json", work)
    grids = sorted(p.name for p in (workdir / "samples").glob("*.png"))
    return about | {"grids": [f"gan/{name}/samples/{grid}" for grid in grids]}


def _generate(folder: epath.Path, name: str, count: int, told: log.Log) -> dict:
    out = folder / "generated" / name

    def work() -> dict:
        told.line(f"drawing {count:,} pictures of {name}")
        sample.save(sample.restore(folder / "gan" / name), range(count), out)
        return {"generated": f"generated/{name}"}

    # The first ones stay the same when an arm that is added later needs more.
    about = _once(out.parent / f"{name}_{count}.json", work)
    return {"generated": about["generated"], "generate_seconds": about["seconds"]}


def _train_classifiers(
    config: ConfigDict,
    arms: list[design.Arm],
    real: Source,
    parts: splits.Split,
    generated: Mapping[str, Source],
    folder: epath.Path,
) -> list[dict]:
    """Every arm with every seed: equal steps, the same validation and test pictures.

    With `verdict.looks` the seeds come in rounds, and a clear verdict after one of them is the end.
    """
    section = config.classifier
    with section.unlocked():
        # The published designs count epochs of each arm's own pictures: not a fair comparison.
        section.train.steps = configs.total_steps(
            section.train, len(parts.train), section.train.batch_size
        )
        section.train.epochs = section.train.kimg = None
        section.model.num_classes = len(real.classes)
        section.data.classes = tuple(real.classes)
    training_part, validation, test = (loader.Subset(real, i) for i in parts)
    built: dict[bool, tuple[ConfigDict, Recipe]] = {}
    predictor = make_predict(recipes.build_classifier(section))
    runs: list[dict] = []
    looks = tuple(config.verdict.get("looks", ()))
    for begin, end in itertools.pairwise((0, *looks, len(config.seeds))):
        for arm in arms:
            pictures = loader.in_memory(design.assemble(arm, training_part, generated, config.seed))
            if arm.augment not in built:
                own = section.copy_and_resolve_references()
                own.train.augment = section.train.augment if arm.augment else ()
                recipe = recipes.build(own, parallel.axis_name(own.parallel))
                first = next(iter(built.values()), (own, recipe))[1]
                built[arm.augment] = own, recipe._replace(init=first.init)  # Compiled once.
            own, recipe = built[arm.augment]
            for seed in config.seeds[begin:end]:
                mine = own.copy_and_resolve_references()
                mine.seed = seed
                label = f"{arm.name} seed {seed}"
                workdir = folder / "classifiers" / arm.name / str(seed)

                def work(
                    arm: design.Arm = arm,
                    mine: ConfigDict = mine,
                    recipe: Recipe = recipe,
                    pictures: Source = pictures,
                    workdir: epath.Path = workdir,
                    label: str = label,
                ) -> dict:
                    configs.claim(workdir, mine)
                    training.train_classifier(
                        mine, pictures, validation, workdir, label=label, recipe=recipe
                    )
                    return {"arm": arm.name, "seed": mine.seed} | _test(
                        mine, recipe, predictor, workdir, test
                    )

                runs.append(_once(workdir / "result.json", work))
        if _decided(config, runs, test.labels):
            break
    return runs


def _decided(config: ConfigDict, runs: list[dict], labels: np.ndarray) -> bool:
    """Whether a planned look at the primary contrast says to stop."""
    a, b = (
        np.array([np.argmax(r["probabilities"], 1) == labels for r in runs if r["arm"] == arm])
        for arm in config.verdict.primary
    )
    verdict = config.verdict
    looks = tuple(verdict.get("looks", ()))
    return sequential.decided(
        a, b, looks, len(config.seeds), verdict.level, margin=verdict.get("margin")
    )


def _test(
    config: ConfigDict, recipe: Recipe, predictor: Any, workdir: epath.Path, test: Source
) -> dict:
    """The best checkpoint's predictions: the one time that this run sees the test pictures."""
    with Checkpoints(workdir, training.BEST) as checkpoints:
        best = checkpoints.best
        restored = checkpoints.restore(jax.eval_shape(recipe.init, jax.random.key(0)), best)
    assert restored is not None
    log_p = predict(predictor, restored.state.net.variables, test)
    probabilities = np.exp(log_p.astype(np.float64)).round(6)
    rows = log.read_metrics(workdir)
    curve = {
        "train": [
            {"step": r["step"], "loss": r["loss"], "accuracy": r["accuracy"]}
            for r in rows
            if "loss" in r
        ],
        "validation": [
            {
                "step": r["step"],
                "loss": r["validation_loss"],
                "accuracy": r["validation_accuracy"],
            }
            for r in rows
            if "validation_loss" in r
        ],
    }
    judged = {r["step"]: r["accuracy"] for r in curve["validation"]}
    return {
        "steps": config.train.steps,
        "best_step": restored.step,
        "validation_accuracy": judged[restored.step],
        "test_accuracy": float((probabilities.argmax(1) == test.labels).mean()),
        "probabilities": probabilities.tolist(),
        "curve": curve,
    }


def _interval(arm: dict) -> str:
    return "" if arm["low"] is None else f"  [{arm['low']:.1%}, {arm['high']:.1%}]"


def _figures(
    folder: epath.Path, real: Source, train: np.ndarray, generated: Mapping[str, Source]
) -> dict:
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
    for name, source in generated.items():
        show("generated", name, [source[i]["image"] for i in range(min(36, len(source)))])
    return figures
