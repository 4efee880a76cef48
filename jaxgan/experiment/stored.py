"""The `results.json` of a finished experiment, read again; it may be of others."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from etils import epath

from jaxgan.errors import FileError, InputError
from jaxgan.experiment.schema import Results
from jaxgan.system import checked_files

FORMAT = 3  # It rises with a change that a reader notices.
NEEDED = {"verdict", "arms"}


def read(workdir: epath.PathLike, flag: str = "--workdir") -> Results:
    """Return what it holds.

    Args:
        workdir: the experiment's folder.
        flag: that named it.

    Raises:
        InputError: there is none, or it is of a later format, or of no experiment.
        FileError: it is damaged.
    """
    file = epath.Path(workdir) / "results.json"
    if not file.exists():
        raise InputError(f"{flag} must hold a finished experiment, and {file} is missing")
    again = f"delete it and run the command of the experiment in {workdir} again"
    found = checked_files.load(file, again, strict=False)
    made = found.get("format", 1)
    if not isinstance(made, int) or made > FORMAT:
        raise InputError(
            f"{file} must have a format up to {FORMAT}, and has {made!r}: it is of another version "
            f"of jaxgan ({found.get('jaxgan', 'not known')})"
        )
    if missing := sorted(NEEDED - found.keys()):
        raise InputError(
            f"{file} must hold an experiment's results, and has no {' and no '.join(missing)}"
        )
    return cast(Results, found)


@contextmanager
def understood(workdir: epath.PathLike) -> Iterator[None]:
    """Raise what comes of results with other values than this version writes as a FileError."""
    try:
        yield
    except InputError:
        raise
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        file = epath.Path(workdir) / "results.json"
        raise FileError(
            f"{file} must hold results as this version writes them, and does not "
            f"({type(error).__name__}: {str(error)[:100]}): delete it and run the experiment's "
            f"command again"
        ) from error
