"""python -m jaxgan: the `jaxgan` command."""

from jaxgan.cli import main

main()
