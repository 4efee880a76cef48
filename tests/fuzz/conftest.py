"""A folder with something of every kind that a command may be given, made once."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import invocations
import pytest

from scripts import Scripts


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    invocations.world(folder)
    scripts = Scripts(folder, trains=True)
    for script, *arguments in (
        ["train", *invocations.TINY, "--workdir=gan"],
        ["train", *invocations.JUDGE, "--config.data.path=images", "--workdir=classifier"],
        ["prepare", "--source=images", "--resolution=16", "--out=set"],
    ):
        done = scripts(script, *arguments, seconds=400)
        assert done.code == 0, done
    scripts.close()
    invocations.forged(folder)
    return folder


@pytest.fixture(scope="session")
def scripts(world: Path) -> Iterator[Scripts]:
    made = Scripts(world)
    yield made
    made.close()


@pytest.fixture(scope="session")
def training(world: Path) -> Iterator[Scripts]:
    """Scripts that do not stop where they would train, in a world of their own."""
    made = Scripts(world, trains=True)
    yield made
    made.close()
    shutil.rmtree(world / "flipped", ignore_errors=True)
