"""One process at a time works in a folder."""

import fcntl
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from etils import epath

from jaxgan.errors import InputError


@contextmanager
def held(folder: epath.PathLike, name: str = ".lock", *, shared: bool = False) -> Iterator[None]:
    """Keep others out of a folder; the system forgets the lock of a process that died.

    An object store has no locks: there nothing is held.

    Args:
        folder: made where it is not there.
        name: of the file in it that is locked.
        shared: keep only those out who want it alone.

    Raises:
        InputError: another process holds it; says which.
    """
    if "://" in os.fspath(folder):
        yield
        return
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--workdir must be a folder, got the file {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / name, "ab+", buffering=0) as file:
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            who = file.read(300).decode(errors="replace").strip() or "another process"
            raise InputError(
                f"one run at a time may write to {folder}, and {who} is using it: wait until "
                f"it has ended, or choose another folder"
            ) from None
        except OSError as error:  # Of a file system without locks.
            logging.getLogger("jaxgan").warning(
                "%s cannot be locked (%s): let no second process write to it",
                *(folder, error.strerror or error),
            )
        with suppress(OSError):  # A full disk is told by what is needed there.
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        yield
