"""Answers: would generated pictures help my classifier?

    python scripts/experiment.py --config configs/quickstart.py --config.data.path=DIR --workdir D

DIR holds one folder of pictures per class. Writes D/results.json and D/report.html; the verdict is
printed last. Run again, it goes on where it stopped.
"""

from jaxgan import command
from jaxgan.experiment import run

command.config_flag()
command.workdir_flag()


def main() -> None:
    run.run(*command.read_config())


if __name__ == "__main__":
    command.run(main)
