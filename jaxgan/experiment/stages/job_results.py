"""Results of jobs, kept in the workdir: what is there is not done again."""

import contextlib
import time
from collections.abc import Callable

from etils import epath

from jaxgan.system import checked_files


def once(file: epath.Path, work: Callable[[], dict]) -> dict:
    """Return the result kept in `file`, or that of `work`, kept there from now on.

    Its "seconds" are those of all attempts: where `work` fails or is interrupted they are kept
    beside `file`. A kill -9 loses those of the attempt that it ends.

    Raises:
        FileError: what is kept is damaged.
    """
    if file.exists():
        return read(file)
    kept, before = _seconds(file), spent(file)
    begin = time.perf_counter() - before
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        result = work()
    except BaseException:
        with contextlib.suppress(OSError):  # A full disk must not hide an interruption.
            checked_files.save(kept, {"seconds": round(time.perf_counter() - begin, 3)})
        raise
    own = result.get("seconds")  # Of one of several that were trained at once.
    took = time.perf_counter() - begin if own is None else before + own
    result["seconds"] = round(took, 1)
    checked_files.save(file, result)
    kept.unlink(missing_ok=True)
    return result


def spent(file: epath.Path) -> float:
    """Return seconds of the attempts at `file` that failed or were interrupted."""
    kept = _seconds(file)
    return float(read(kept).get("seconds", 0)) if kept.exists() else 0.0


def read(file: epath.Path) -> dict:
    """Return what a job left; without it the same command does that job again, to the same
    result.
    """
    return checked_files.load(file, f"delete {file} and run the same command again")


def _seconds(file: epath.Path) -> epath.Path:
    return file.with_name(file.name + ".seconds")
