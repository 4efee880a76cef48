"""The GANs of an experiment: each is trained, then draws every seed's samples."""

from collections.abc import Collection, Sequence
from functools import cache, partial

from etils import epath

from jaxgan import recipes
from jaxgan.config import loading as configs
from jaxgan.data import loader
from jaxgan.data.folder import FolderSource, Source
from jaxgan.engine import sharding
from jaxgan.engine.checkpoint import Checkpoints
from jaxgan.errors import FileError, InputError
from jaxgan.experiment.design.jobs import Job, Samples
from jaxgan.experiment.design.plan import Plan
from jaxgan.experiment.stages.fold_context import FoldContext, Made, going_on, listed
from jaxgan.metrics import judges
from jaxgan.sampling import best_of_n, files, sample
from jaxgan.training import monitor, run
from jaxgan.types import Recipe

UNDRAWN = "drawing from it failed: "


def from_gans(
    context: FoldContext,
    samples: Sequence[Job],
    images: Source,
    recipe: Recipe,
    gone: Collection[str] = (),
) -> Made:
    """Train the GANs that samples come from, and draw these.

    There is one of each class, or one of all where `config.gan.model.conditional`. A GAN that fails
    does not keep the others from being trained.

    Args:
        context: where the jobs are done.
        samples: the jobs that sample from GANs.
        images: all real ones, at the GANs' resolution.
        recipe: of the GANs.
        gone: names of GANs that failed before, which are not tried again.
    """
    groups: dict[tuple[str, str], list[Job]] = {}
    for job in samples:
        groups.setdefault((job.inputs[0].output, job.name), []).append(job)
    pieces = [
        (gan, name, mine)
        for gan in context.plan.pick("gan", fold=context.fold.number)
        for (output, name), mine in groups.items()
        if output == gan.output
    ]
    first: dict[str, int] = {}  # A GAN's first class trains it, further ones find it there.
    for number, (gan, *_) in enumerate(pieces):
        first.setdefault(gan.output, number)
    drawn: Samples = {}
    about: dict[int, dict] = {}
    failed: dict[int, dict] = {}
    drawing = 0.0

    def called(gan: Job, name: str) -> str:
        retrained = f", number {gan.gan}" * (context.config.gan.retrain > 1)
        return f"{name} (size {gan.key.size or 'all'}{retrained})"

    def note(number: int, why: str) -> None:
        gan, name, _ = pieces[number]
        failed[number] = {
            "class": name,
            "name": called(gan, name),
            "gan": gan.gan,
            "error": why,
            "seconds": context.spent(gan),
            "fold": gan.fold,
        }
        lost = "failed, arms without its images go on"
        context.log.line(f"the GAN of {called(gan, name)} {lost}: {why}")

    for number, (gan, name, mine) in enumerate(pieces):
        if called(gan, name) in gone:
            continue
        with going_on(partial(note, number)):
            trained = _train(context, gan, context.learned(gan, images), recipe)
            about[number] = trained | {
                "class": name,
                "gan": gan.gan,
                "size": gan.images,
                "generated": mine[0].folder.removesuffix("-selected"),
                "seconds": trained["seconds"] if first[gan.output] == number else 0.0,
                "fold": gan.fold,
            }
        for key in dict.fromkeys(job.key for job in mine if number in about):
            some = [job for job in mine if job.key == key]
            with going_on(lambda why, n=number: note(n, f"{UNDRAWN}{why}")):
                found, seconds = _draw(context, some, context.learned(some[0], images))
                drawn |= found
                drawing += seconds
    ordered, wrong = ([found[number] for number in sorted(found)] for found in (about, failed))
    return Made(drawn, ordered, wrong, drawing)


def as_gans_see(plan: Plan) -> tuple[Source, Recipe]:
    """Return all real images at the GANs' resolution, and the GANs' recipe: compiled once."""
    images, config = plan.real, plan.config
    if config.gan.data.resolution != images.resolution:
        images = run.open_source(config.data.at(config.gan.data.resolution), config.seed)
    if images.names != plan.real.names:  # The split speaks of positions.
        raise InputError(f"the images of {config.data.path} must not change during a run")
    return images, recipes.build(config.gan, sharding.axis_name(config.parallel))


def _train(context: FoldContext, gan: Job, source: Source, recipe: Recipe) -> dict:
    """Train a GAN, or find that it was; return what results.json says of it."""
    workdir, classes = context.folder / gan.folder, [gan.name] if gan.name else source.classes
    seed = (context.config.gan.seed + gan.gan + 1000 * gan.fold) % 2**32
    config = context.config.gan.changed({"seed": seed, "data.classes": classes})

    def work() -> dict:
        critics = judges.seen_by_critics(config.backbones, config.init_from)
        monitor.check(config.evaluate, critics, config.data.resolution, len(source))
        configs.claim(workdir, config)
        label = f"gan {workdir.name}"
        with context.outlook.doing(gan, f"{context.label}GAN of {gan.name or 'all classes'}"):
            state = run.train_gan(config, source, workdir, label=label, recipe=recipe)
        return {"workdir": gan.folder.removeprefix(context.fold.place), "steps": int(state.step)}

    about = context.once(gan, work)
    grids = sorted(p.name for p in (workdir / "samples").glob("*.png"))
    grids = [f"{gan.folder}/samples/{grid}" for grid in grids]
    return about | {"workdir": gan.folder, "grids": grids}


def _draw(context: FoldContext, jobs: Sequence[Job], learned: Source) -> tuple[Samples, float]:
    """Draw a class's samples of some seeds; return them and the seconds.

    Args:
        context: where the jobs are done.
        jobs: of one class, alike but for their seeds.
        learned: real images by which the best are selected.
    """
    config, (gan,), name, key = context.config, jobs[0].inputs, jobs[0].name, jobs[0].key
    out, count = context.folder / jobs[0].folder, context.fold.needed[key][name]
    called = out.name.removesuffix("-selected")

    @cache
    def sampler() -> sample.Sampler:
        workdir = context.folder / gan.folder
        with Checkpoints(workdir, read_only=True) as checkpoints:
            last = checkpoints.latest
        style = sample.Style() if gan.name else sample.Style(label=name)
        found = sample.restore(workdir, style=style)
        if found.step != last:
            raise FileError(
                f"the last checkpoint, of step {last}, must be whole, and is damaged: delete "
                f"{workdir} and {workdir}.json, and run the same command again"
            )
        return found

    def work(job: Job) -> dict:
        how = f", the best of {config.select.surplus} times as many" if key.selected else ""
        seed = config.seeds[job.seed or 0]
        context.log.line(f"drawing {count:,} images of {called} for seed {seed}{how}", "detail")
        seeds, scores, about = [*context.latents(job)], None, {}
        if key.selected:
            kept = best_of_n.keep_best(
                sampler(), context.latents(job), count, config.select.by, learned
            )  # fmt: skip
            seeds, scores, about = kept.seeds, kept.scores, {"selection": [kept.about]}
        manifest = f"manifest_{job.seed}.jsonl"
        with context.outlook.doing(job, f"{context.label}samples of {called}"):
            files.save(sampler(), seeds, out, scores=scores, manifest=manifest)
        return {"seeds": seeds} | listed(out, manifest) | about

    # One file a seed: an experiment that is given more seeds draws theirs alone.
    about = {job.output: context.once(job, partial(work, job)) for job in jobs}
    for made in about.values():
        files.verify(out, **made["manifest"])
    source = FolderSource(out, config.classifier.data.resolution, crop=config.data.crop)
    place = {epath.Path(name).stem: i for i, name in enumerate(source.names)}
    kept = loader.in_memory(source)
    found: Samples = {
        output: loader.Subset(kept, [place[f"seed{s:08d}"] for s in made["seeds"]])
        for output, made in about.items()
    }
    return found, sum(made["seconds"] for made in about.values())
