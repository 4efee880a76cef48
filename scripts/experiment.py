"""Answers: would generated images help my classifier?

    python scripts/experiment.py --config configs/quickstart.py --config.data.path=DIR --budget 10m
    python scripts/experiment.py --config configs/quickstart.py --config.data.path=DIR --workdir D
    python scripts/experiment.py --compare D D2 D3
    python scripts/experiment.py --format=md --compare D

DIR holds one folder of images per class. Writes D/results.json, D/report.html, its figure and
tables beside it; the verdict is printed last. Run again, it goes on where it stopped. --compare
tabulates finished ones; with --format=md in Markdown, and a single one in full, for issues and
chats.

With --on=ray the jobs (a GAN and its samples, a classifier with a seed) run beside each other on
all cores or GPUs of this machine, with --on=ray://HOST:PORT on those of a Ray cluster that sees D
(docs/machines.md).

With --budget=10m it chooses folds, seeds and GAN steps for that time, and says first what it can
find in it; a finished one that is given more adds seeds and folds, and redoes nothing.

With --gan=auto the GANs are what suits the size of the images and the device (docs/configs.md),
with --gan=NAME those of another config.

With --dry_run it trains nothing: a few steps of each kind are timed, and what the whole would take
on this machine is printed: time, memory of a device, disk.
"""

import jaxgan.cli.interrupts  # noqa: F401  # Ctrl-C ends the imports below in a line.

# isort: split
import sys
import time

from absl import flags

from jaxgan.cli import command
from jaxgan.config.loading import find
from jaxgan.errors import InputError, naming
from jaxgan.system.paths import path_flag

FLAGS = flags.FLAGS
path_flag("compare", "Folders of finished experiments, to be tabulated.", remote=True)
flags.DEFINE_enum("format", "text", ["text", "md"], "How --compare prints; md is Markdown.")
flags.DEFINE_string("on", None, "Who does the jobs: ray, ray://HOST:PORT or HOST:PORT.")
flags.DEFINE_integer("job_cpus", None, "CPUs of each job on Ray.", lower_bound=1)
flags.DEFINE_integer("job_devices", None, "GPUs or TPU chips of each job on Ray.", lower_bound=0)
flags.DEFINE_string("budget", None, "Time to spend, like 90s, 10m or 1.5h.")
flags.DEFINE_string(
    "gan", None, "A GAN's config, like refined64, in place of the experiment's own, or auto."
)
flags.DEFINE_bool("dry_run", False, "Predict the cost; train and write nothing.")
if not any(argument.partition("=")[0] == "--compare" for argument in sys.argv):
    command.config_flag()
    command.workdir_flag()
    command.track_flag()
    command.log_flag()


@flags.validator("gan")
def _known(name: str | None) -> bool:
    with naming("--gan", "--config"):
        return name in (None, "auto") or bool(find(name))


def main(others: list[str]) -> None:
    if FLAGS.compare is None:
        begin = time.perf_counter()
        command.check_goes_with({"format": "compare", "job_cpus": "on", "job_devices": "on"})
        command.use_devices()
        from jaxgan.config.values import is_experiment
        from jaxgan.experiment import budget, forecast, pipeline, ray_cluster
        from jaxgan.experiment.design import choose_gan
        from jaxgan.experiment.design.plan import prepare

        seconds = None if FLAGS.budget is None else budget.parse(FLAGS.budget)
        on = ray_cluster.parse(FLAGS.on, FLAGS.job_cpus, FLAGS.job_devices)
        if on and (seconds or FLAGS.dry_run):
            name = "budget" if seconds else "dry_run"
            raise InputError(f"--{name} is for this process alone: without --on={FLAGS.on}")
        config, workdir = command.read_config()
        told_first: tuple[str, ...] = ()
        if FLAGS.gan is not None:
            if lost := command.overridden("gan."):
                raise InputError(f"--gan takes the place of config.gan: without --config.{lost[0]}")
            if is_experiment(config):  # Others are refused below.
                side, retrain = config.classifier.data.resolution, config.gan.retrain
                config.gan, line = choose_gan.load(FLAGS.gan, side, retrain)
                told_first = (line,)
        if FLAGS.dry_run and seconds:
            print(budget.say(budget.choose(prepare(config), seconds, begin)[0], seconds))
        elif FLAGS.dry_run:
            print(forecast.table(forecast.predict(prepare(config))))
        elif seconds:
            budget.spend(prepare(config), workdir, seconds, begin, told_first)
        else:
            pipeline.run(config, workdir, on=on, told_first=told_first)
        return
    from jaxgan.experiment import stored
    from jaxgan.experiment.report import tables

    for other in others:
        if other.startswith("--"):
            raise InputError(f"--compare must come last, with its folders, got {other}")
    for name in ("on", "budget", "dry_run"):
        if FLAGS[name].present:
            raise InputError(f"--{name} does nothing with --compare, which only reads")
    if FLAGS.format == "md" and not others:
        with stored.understood(FLAGS.compare):
            print(tables.summary(tables.load(FLAGS.compare)))
    else:
        print(tables.compare([FLAGS.compare, *others], FLAGS.format))


if __name__ == "__main__":
    command.run(main, devices=False, others_with="compare")
