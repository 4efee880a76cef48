"""python -m jaxgan: the `jaxgan` command."""

from jaxgan.cli.main import main

main()
