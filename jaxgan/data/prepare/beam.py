"""Parts read by the workers of an Apache Beam runner: for more images than one machine reads.

Beam moves names of parts only. The images and what comes of them stay in the file system, which
the workers must share: what a part is lies there beside what it came to.
"""

import os
import pickle
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import apache_beam  # pyright: ignore[reportMissingImports]: of `make beam` alone.
from apache_beam.options.pipeline_options import (  # pyright: ignore[reportMissingImports]
    PipelineOptions,
)

from jaxgan.data.prepare import scan
from jaxgan.data.prepare.workers import Say, progress
from jaxgan.errors import InputError

PAUSE = 10  # Seconds between lines of progress.


def scan_all(
    arguments: Sequence[str],
    todo: Sequence[int],
    task: Callable[[int], tuple],
    pictures: int,
    say: Say,
) -> None:
    """`workers.scan_all` by a runner, to the same result.

    Args:
        arguments: of Beam, like "--runner=DirectRunner".
        todo: the parts.
        task: the arguments of `scan.scan` for one of them.
        pictures: in all of them.
        say: takes a line of progress.

    Raises:
        InputError: the runner failed, or the workers wrote elsewhere.
    """
    if not todo:  # Beam takes seconds to start.
        return
    tell = progress(pictures, say)
    parts = []
    for *what, work, key in map(task, todo):
        folder = work.resolve()
        (folder / f"{key}.task").write_bytes(pickle.dumps(what))
        parts.append((str(folder), key, len(what[1])))
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(PAUSE):
            done = [count for folder, key, count in parts if scan.is_done(Path(folder), key)]
            tell(sum(done), 0)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        with apache_beam.Pipeline(options=PipelineOptions(list(arguments))) as pipeline:
            names = pipeline | apache_beam.Create([part[:2] for part in parts])
            _ = names | apache_beam.Reshuffle() | apache_beam.MapTuple(_scan)
    except Exception as error:  # A runner may raise anything.
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(
            f"Beam must come to its end with {' '.join(arguments)}, and does not: {lines[-1]}; "
            "what was finished is kept: run the same again"
        ) from error
    finally:
        ended.set()
        thread.join()
    left = [key for folder, key, _ in parts if not scan.is_done(Path(folder), key)]
    if left:
        raise InputError(
            f"--out must be a folder that all workers share, and of {len(parts):,} parts "
            f"{len(left):,} are missing in {parts[0][0]}"
        )
    tell(pictures, 0)


def _scan(where: str, key: str) -> None:
    """A part, by a worker. It can be done twice, even at the same time: a runner may repeat it."""
    folder = Path(where)
    if scan.is_done(folder, key):
        return
    root, entries, marks, options = pickle.loads((folder / f"{key}.task").read_bytes())
    with tempfile.TemporaryDirectory(dir=folder) as own:
        scan.scan(root, entries, marks, options, Path(own), key)
        # What makes the part valid comes last.
        for file in sorted(Path(own).iterdir(), key=lambda file: file.suffix == ".json"):
            os.replace(file, folder / file.name)
