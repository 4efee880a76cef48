"""One bit of any file of a run or a set is another: refused, or the same images and figures."""

import os
import random
import re
import shutil
from pathlib import Path

import pytest

from scripts import Done, Scripts

LONGER = int(os.environ.get("FUZZ", "1"))
COUNT = 3 * LONGER
COMMANDS = {
    "gan": ["sample", "--workdir=flipped", "--num=2", "--out=read"],
    "classifier": ["predict", "--workdir=flipped", "--images=images/a", "--out=read/said.csv"],
    "set": [
        *("evaluate", "--real=flipped", "--fake=others", "--features=light", "--resolution=16"),
        *("--metrics=frechet", "--cache=", "--json=read/figures.json"),
    ],
}


def read(scripts: Scripts, world: Path, kind: str) -> tuple[Done, dict[str, str | bytes]]:
    """Run the command; return what it made, too, but for the time that it took."""
    shutil.rmtree(world / "read", ignore_errors=True)
    done = scripts(*COMMANDS[kind], seconds=200)
    made = {file.name: file.read_bytes() for file in sorted((world / "read").glob("*"))}
    return done, made | {"printed": re.sub(r"\d\S* ?s\b", "", done.out)}


@pytest.mark.slow
@pytest.mark.parametrize("kind", COMMANDS)
def test_a_changed_bit_changes_no_figure_in_silence(world: Path, training, kind: str) -> None:
    rng = random.Random(kind if LONGER == 1 else None)
    flipped = world / "flipped"
    files = [p for p in sorted((world / kind).rglob("*")) if p.is_file() and p.stat().st_size]
    expected = None
    for _ in range(COUNT + 1):
        shutil.rmtree(flipped, ignore_errors=True)
        shutil.copytree(world / kind, flipped)
        if expected is None:
            done, expected = read(training, world, kind)
            assert done.code == 0 and len(expected) > 1, done
            continue
        file = flipped / rng.choice(files).relative_to(world / kind)
        data = bytearray(file.read_bytes())
        at, bit = rng.randrange(len(data)), rng.randrange(8)
        data[at] ^= 1 << bit
        file.write_bytes(data)
        done, found = read(training, world, kind)
        about = file.relative_to(flipped), at, bit, done
        assert "Traceback" not in done.err, about
        if done.code:
            assert done.code == 1 and "flipped" in done.err, about
        else:
            assert found == expected, about
