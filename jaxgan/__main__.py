"""python -m jaxgan: the `jaxgan` command."""

import jaxgan.cli.interrupts  # noqa: F401  # Ctrl-C ends the imports below in a line.

# isort: split
from jaxgan.cli.main import main

if __name__ == "__main__":
    main()
