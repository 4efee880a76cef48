"""Bad input, as everything here tells it; not in types.py, so that it comes without JAX."""

from collections.abc import Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """Bad input, told to the user in one sentence: the rule first, the value last.

    Attributes:
        with_flags: the sentence of a command, where that for Python names arguments instead.
    """

    with_flags: str | None = None


class FileError(InputError):
    """A file that is damaged or cannot be written: it ends an experiment, not one of its arms."""


@contextmanager
def naming(flag: str, setting: str = "data.path") -> Iterator[None]:
    """Let an InputError name the flag that the user gave, not what it is called inside."""
    try:
        yield
    except InputError as error:
        error.args = (str(error).replace(setting, flag, 1),)
        raise
