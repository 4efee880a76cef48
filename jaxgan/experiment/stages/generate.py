"""The generated side of an experiment: its GANs, principal components, and folders of pictures."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from functools import cache, partial
from typing import NamedTuple

import numpy as np
from etils import epath
from ml_collections import ConfigDict

from jaxgan.config import loading as configs
from jaxgan.data import loader
from jaxgan.data.folder import FolderSource, Source
from jaxgan.engine import log
from jaxgan.engine.checkpoint import Checkpoints
from jaxgan.errors import FileError
from jaxgan.experiment.design.arms import Key, Needed, of_gans
from jaxgan.experiment.design.draws import Draw
from jaxgan.experiment.stages.generated_folders import surplus
from jaxgan.experiment.stages.principal_components import PICTURES, drawn, principal
from jaxgan.experiment.stages.workers import Share
from jaxgan.sampling import best_of_n, sample
from jaxgan.system import sealed
from jaxgan.training import monitor, run
from jaxgan.types import Recipe

STRIDE = 10**6  # Between the first pictures of two seeds: more of them move none.

Fresh = dict[Key, list[dict[str, Source]]]  # Of each seed, by class.


class Made(NamedTuple):
    """What came of it.

    Attributes:
        fresh: the pictures.
        about: what results.json says of each GAN.
        failed: of each that could not be trained or drawn from; `fresh` lacks its pictures.
        seconds: of training, and of drawing.
    """

    fresh: Fresh
    about: list[dict]
    failed: list[dict]
    seconds: dict[str, float]


def from_principal(
    config: ConfigDict,
    pictures: Source,
    train: np.ndarray,
    draws: Mapping[int | None, Sequence[Draw]],
    needed: Needed,
    folder: epath.Path,
    told: log.Log,
    share: Share = Share(),
    fold: int = 0,
    positions: range | None = None,
) -> Made:
    """Draws each seed's pictures from the principal components of what a GAN would learn from.

    Args:
        config: the experiment's.
        pictures: all real ones, at the classifiers' resolution.
        train: positions of those to train with; a draw's positions are among them.
        draws: of each seed, by real pictures a class.
        needed: see `Needed`; others than of "pca" are left out.
        folder: the experiment's or the fold's; holds `pca/`.
        told: its log.
        share: of what is drawn, which is this process's.
        fold: its number: other folds have other latents.
        positions: of the seeds to draw for; None: all. Others' pictures are left out.
    """
    mine = {key: counts for key, counts in needed.items() if key.source == "pca"}
    fresh: Fresh = {key: [{} for _ in draws[key.size]] for key in mine}
    failed: list[dict] = []
    seconds, number = 0.0, 0
    for key, counts in mine.items():
        retrained = len({draw.gan for draw in draws[key.size]}) > 1
        for i, draw in enumerate(draws[key.size]):
            if positions is not None and i not in positions:
                continue
            for name, count in counts.items():
                plain = key.size is None and not retrained
                called = name if plain else f"{name}-{key.size or 'all'}-{draw.gan}"
                workdir = folder / "pca" / called
                learned = loader.Subset(pictures, train[draw.learned[name]])
                first = _first(i, fold)
                most = count * surplus(config, key)
                file = folder / "pca" / f"{called}_{most}_{i}.json"
                number += 1

                def work(
                    learned: Source = learned,
                    seeds: range = range(first, first + most),
                    workdir: epath.Path = workdir,
                    manifest: str = f"manifest_{most}_{i}.jsonl",
                ) -> dict:
                    told.line(
                        f"drawing {len(seeds):,} pictures from the principal components of "
                        f"{workdir.name}"
                    )
                    principal(learned, seeds, workdir, manifest)
                    return {"seeds": [*seeds]} | _listed(workdir / PICTURES, manifest)

                try:
                    made = share.once(number, file, work)
                    sample.verify(workdir / PICTURES, **made["manifest"])
                    seconds += made["seconds"]
                    found = drawn(workdir, made["seeds"], pictures.resolution)
                    if key.selected:
                        found = best_of_n.best_of(found, count, config.select.by, learned)
                    fresh[key][i][name] = found
                except Exception as error:
                    if sealed.ends_all(error):
                        raise
                    why = " ".join(str(error).split()) or type(error).__name__
                    about = {"class": name, "name": f"{name} (principal components)", "gan": None}
                    failed.append(about | {"error": why, "seconds": share.spent(file)})
                    told.line(f"the principal components of {called} failed: {why}")
    return Made(fresh, [], failed, {"generate": seconds})


def _listed(out: epath.Path, manifest: str) -> dict:
    """What a stage's result says of the images that it wrote."""
    checksum = hashlib.sha256((out / manifest).read_bytes()).hexdigest()
    return {"manifest": {"manifest": manifest, "checksum": checksum}}


def _first(position: int, fold: int) -> int:
    """The first latent of a seed's pictures, below 2**32."""
    return (position + 100 * fold) % 4096 * STRIDE


def from_gans(
    config: ConfigDict,
    recipe: Recipe,
    pictures: Source,
    train: np.ndarray,
    draws: Mapping[int | None, Sequence[Draw]],
    needed: Needed,
    folder: epath.Path,
    told: log.Log,
    share: Share = Share(),
    fold: int = 0,
    positions: range | None = None,
    gone: Collection[str] = (),
) -> Made:
    """Trains the GANs that the arms need and draws each seed's pictures from them.

    There is one of each class, or one of all where `config.gan.model.conditional`. A GAN that fails
    does not keep the others from being trained.

    Args:
        config: the experiment's.
        recipe: of its GANs.
        pictures: all real ones, at the GANs' resolution.
        train: positions of those to train with; a draw's positions are among them.
        draws: of each seed, by real pictures a class.
        needed: see `Needed`; those of other sources are left out.
        folder: the experiment's or the fold's; holds `gan/` and `generated/`.
        told: its log.
        share: of the GANs, whose training and drawing are this process's.
        fold: its number: other folds have other weights and latents.
        positions: of the seeds to draw for; None: all. Others' pictures are left out.
        gone: names of GANs that failed before, which are not tried again.
    """
    needed = of_gans(needed)
    fresh: Fresh = {key: [{} for _ in draws[key.size]] for key in needed}
    about: dict[int, dict] = {}
    failed: dict[int, dict] = {}
    drawing = 0.0
    jobs = [
        (size, gan, name)
        for size in dict.fromkeys(key.size for key in needed)
        for gan in sorted({draw.gan for draw in draws[size]})
        for name in {n: 0 for key, counts in needed.items() if key.size == size for n in counts}
    ]

    def title(size: int | None, gan: int, name: str) -> str:
        number = f", number {gan}" * (config.gan.retrain > 1)
        return f"{name} (size {size or 'all'}{number})"

    def note(number: int, error: Exception, called: str) -> None:
        size, gan, name = jobs[number]
        full = title(size, gan, name)
        why = " ".join(str(error).split()) or type(error).__name__
        failed[number] = {
            "class": name,
            "name": full,
            "gan": gan,
            "error": why,
            "seconds": share.spent(folder / "gan" / f"{called}.json"),
        }
        told.line(f"the GAN of {full} failed, arms without its pictures go on: {why}")

    for number, (size, gan, name) in share.order(jobs):
        mine = [i for i, draw in enumerate(draws[size]) if draw.gan == gan]
        learned = loader.Subset(pictures, train[draws[size][mine[0]].learned[name]])
        mine = [i for i in mine if positions is None or i in positions]
        if not mine or title(size, gan, name) in gone:
            continue
        plain = size is None and config.gan.retrain == 1
        more = "" if plain else f"-{size or 'all'}-{gan}"
        own = config.gan.copy_and_resolve_references()
        own.seed = (own.seed + gan + 1000 * fold) % 2**32  # Its weights and noise are others, too.
        called, images, names, first = name + more, learned, (name,), number
        if conditional(config):  # Its first class trains it, further ones find it there.
            called, names = "conditional" + more, tuple(pictures.classes)
            every = draws[size][mine[0]].learned.values()
            images = loader.Subset(pictures, train[np.concatenate([*every])])
            first = next(j for j, job in enumerate(jobs) if job[:2] == (size, gan))
        try:
            trained = _train(own, recipe, images, folder, called, names, share, first)
        except Exception as error:
            if sealed.ends_all(error):
                raise
            note(number, error, called)
            continue
        about[number] = trained | {
            "class": name,
            "gan": gan,
            "size": len(images),
            "generated": f"generated/{name}{more}",
            "seconds": trained["seconds"] if first == number else 0.0,
        }
        for key, counts in needed.items():
            if key.size != size or name not in counts:
                continue
            try:
                found, seconds = _draw(
                    config, folder, called, name, name + more, key.selected, counts[name], mine,
                    learned, told, share, number, fold,
                )  # fmt: skip
            except Exception as error:
                if sealed.ends_all(error):
                    raise
                note(number, RuntimeError(f"drawing from it failed: {error}"), called)
                continue
            drawing += seconds
            for i in mine:
                fresh[key][i][name] = found[i]
    ordered, wrong = ([found[number] for number in sorted(found)] for found in (about, failed))
    gan = sum(g["seconds"] for g in [*ordered, *wrong])
    seconds = {"gan": gan, "generate": drawing}
    return Made(fresh, ordered, wrong, seconds)


def conditional(config: ConfigDict) -> bool:
    """Whether one GAN of the experiment draws all classes."""
    return bool(config.gan.model.get("conditional"))


def _train(
    config: ConfigDict,
    recipe: Recipe,
    source: Source,
    folder: epath.Path,
    called: str,
    classes: tuple[str, ...],
    share: Share,
    number: int,
) -> dict:
    with config.unlocked():
        config.data.classes = classes
    workdir = folder / "gan" / called

    def work() -> dict:
        monitor.check(config, len(source))
        configs.claim(workdir, config)
        label = f"gan {called}"
        state = run.train_gan(config, source, workdir, label=label, recipe=recipe)
        step = int(state.step)
        return {"workdir": f"gan/{called}", "steps": step}

    about = share.once(number, workdir.parent / f"{called}.json", work)
    grids = sorted(p.name for p in (workdir / "samples").glob("*.png"))
    return about | {"grids": [f"gan/{called}/samples/{grid}" for grid in grids]}


def _draw(
    config: ConfigDict,
    folder: epath.Path,
    gan: str,
    name: str,
    called: str,
    selected: bool,
    count: int,
    mine: Sequence[int],
    learned: Source,
    told: log.Log,
    share: Share,
    number: int,
    fold: int,
) -> tuple[dict[int, Source], float]:
    """Return `count` images of a class for each of some seeds, by position; and the seconds."""
    out = folder / "generated" / (called + "-selected" * selected)

    @cache
    def sampler() -> sample.Sampler:
        workdir = folder / "gan" / gan
        with Checkpoints(workdir, read_only=True) as checkpoints:
            last = checkpoints.latest
        style = sample.Style(label=name) if conditional(config) else sample.Style()
        found = sample.restore(workdir, style=style)
        if found.step != last:
            raise FileError(
                f"the last checkpoint, of step {last}, must be whole, and is damaged: delete "
                f"{workdir} and {workdir}.json, and run the same command again"
            )
        return found

    def work(i: int) -> dict:
        how = f", the best of {config.select.surplus} times as many" if selected else ""
        told.line(f"drawing {count:,} pictures of {called} for seed {config.seeds[i]}{how}")
        first = _first(i, fold)
        seeds, scores, about = list(range(first, first + count)), None, {}
        if selected:
            surplus_of = range(first, first + count * config.select.surplus)
            kept = best_of_n.keep_best(sampler(), surplus_of, count, config.select.by, learned)
            seeds, scores, about = kept.seeds, kept.scores, {"selection": [kept.about]}
        sample.save(sampler(), seeds, out, scores=scores, manifest=f"manifest_{i}.jsonl")
        return {"seeds": seeds} | _listed(out, f"manifest_{i}.jsonl") | about

    # One file a seed: an experiment that is given more seeds draws theirs alone.
    about = {
        i: share.once(number, out.parent / f"{out.name}_{count}_{i}.json", partial(work, i))
        for i in mine
    }
    for made in about.values():
        sample.verify(out, **made["manifest"])
    source = FolderSource(out, config.classifier.data.resolution, crop=config.data.crop)
    place = {epath.Path(name).stem: i for i, name in enumerate(source.names)}
    kept = loader.in_memory(source)
    found = {
        i: loader.Subset(kept, [place[f"seed{s:08d}"] for s in made["seeds"]])
        for i, made in about.items()
    }
    return found, sum(made["seconds"] for made in about.values())
