"""Trains a GAN or a classifier.

    python scripts/train.py --config configs/wgan128.py --config.data.path=DIR [--workdir D]

Any value of the config is set with --config.a.b=value. Run again, it goes on where it stopped.
"""

import jaxgan.cli.interrupts  # noqa: F401  # Ctrl-C ends the imports below in a line.

# isort: split
import jax

from jaxgan.cli import command
from jaxgan.training import closing_table, run

command.config_flag()
command.workdir_flag()
command.host_flags()
command.track_flag()
command.log_flag()


def main() -> None:
    config, workdir = command.read_config()
    run.run(config, workdir)
    if jax.process_index() == 0:
        if lines := closing_table.table(workdir):
            print(lines)
        print(f"done: {workdir}")


if __name__ == "__main__":
    command.run(main)
