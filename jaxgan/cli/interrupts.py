"""What a script needs before its long imports: a quiet Ctrl-C, and streams that may break.

Importing it is enough. Only the standard library's lightest parts are used here.
"""

import _signal as signal  # type: ignore  # Quicker: without enum, functools and collections.
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

GONE = {32, 5}  # EPIPE, EIO: who read a stream has left, which is no error.

state = {"running": False, "ending": False}


class Stream:
    """Standard output or error; once it breaks, the rest goes nowhere and the program goes on.

    Attributes:
        lost: what broke it, or None.
    """

    def __init__(self, stream: "Any"):
        self._stream, self.lost = stream, None

    def write(self, text: str) -> int:
        try:
            self._stream.write(text)
        except OSError as error:
            self._lose(error)
        return len(text)

    def writelines(self, lines: "Any") -> None:
        self.write("".join(lines))

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._lose(error)

    def _lose(self, error: OSError) -> None:
        """Points the file descriptor to nowhere, for libraries in C, too."""
        self.lost = self.lost or error
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self._stream.fileno())
        os.close(null)
        try:  # Without contextlib, whose import takes longer than this file's.
            self._stream.flush()
        except OSError:
            return

    def __getattr__(self, name: str) -> "Any":
        return getattr(self._stream, name)


def begin() -> None:
    """Notes that `command.run` ends the program from now on, in its own way."""
    state["running"] = True


def end() -> None:
    """Notes that all is done but to leave: nothing is left that could be interrupted."""
    state["ending"] = True


def _interrupted(number: int, frame: "Any") -> None:
    """KeyboardInterrupt; but where nobody could catch it, one line and the end."""
    importing = state["ending"] or not state["running"]
    while frame is not None and not importing:
        # Extension modules may swallow what is raised in them.
        importing = frame.f_code.co_filename.startswith("<frozen importlib")
        frame = frame.f_back
    if not importing:
        raise KeyboardInterrupt
    if not state["ending"]:
        name = os.path.basename(sys.argv[0]).replace("__main__.py", "jaxgan")
        try:
            os.write(2, f"{name}: stopped\n".encode())
        finally:
            os._exit(130)
    os._exit(130)


def _open_streams() -> None:
    """Open closed ones to nowhere: the next file would get their number, and what C prints."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # Gets the lowest number that is free.
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115


def _prepare() -> None:
    processes = sys.modules.get("multiprocessing.process")
    if processes is not None and processes.parent_process() is not None:
        return  # A worker's: its parent speaks.
    _open_streams()
    sys.stdout, sys.stderr = Stream(sys.stdout), Stream(sys.stderr)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupted)


_prepare()
