"""Answers: would generated pictures help my classifier?

    python scripts/experiment.py --config configs/quickstart.py --config.data.path=DIR --workdir D

DIR holds one folder of pictures per class. Writes D/results.json and D/report.html; the verdict is
printed last. Run again, it goes on where it stopped.

With --dry_run it trains nothing: a few steps of each kind are timed, and what the whole would take
on this machine is printed: time, memory of a device, disk.
"""

from absl import flags

from jaxgan import command
from jaxgan.experiment import dry_run, run

command.config_flag()
command.workdir_flag()
DRY = flags.DEFINE_bool("dry_run", False, "Predict the cost; train and write nothing.")


def main() -> None:
    config, workdir = command.read_config()
    if DRY.value:
        print(dry_run.table(dry_run.predict(config)))
    else:
        run.run(config, workdir)


if __name__ == "__main__":
    command.run(main)
