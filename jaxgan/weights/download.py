"""Published files, fetched once and never trusted: by pooch, which compares their checksums."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

from jaxgan.errors import InputError

TIMEOUT = 30.0  # Seconds without a byte, after which a download is given up.
CHUNK = 2**20


def fetch(url: str, checksum: str, folder: Path, flag: str) -> Path:
    """Return the file of a URL, in `folder`: downloaded where it is not there, or is not whole.

    Args:
        url: its last part is the file's name.
        checksum: SHA-256 of the file, hexadecimal.
        folder: where files are kept.
        flag: that gives such a file, for those without a network.

    Raises:
        InputError: it cannot be had, or what came is not that file.
    """
    import pooch  # It takes half a second.

    name = url.rpartition("/")[2]
    pooch.get_logger().setLevel("WARNING")

    def download(url: str, target: str, kept: pooch.Pooch | None) -> None:
        print(f"fetching {url} to {folder}, once", file=sys.stderr)
        progress = Progress(lambda line, end: print(line, end=end, file=sys.stderr))
        pooch.HTTPDownloader(progress, CHUNK, timeout=TIMEOUT)(url, target, kept)  # type: ignore

    try:
        return Path(pooch.retrieve(url, f"sha256:{checksum}", name, folder, downloader=download))
    except OSError as error:  # Those of requests are such.
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"{name} must be fetched once, and it could not be ({reason}): get it from "
            f"{url} elsewhere, then give it as {flag}=FILE or put it into {folder}"
        ) from error
    except ValueError as error:  # What pooch raises for another checksum.
        raise InputError(
            f"{name} must have the SHA-256 {checksum[:12]}..., and what came from {url} has "
            f"another: give the right file as {flag}=FILE"
        ) from error


class Progress:
    """Lines of progress, as pooch asks for them."""

    def __init__(self, say: Callable[[str, str], None]):
        self._say, self.total = say, 0
        self._done, self._shown = 0, time.monotonic()
        self._end, self._pause = ("\r", 0.5) if sys.stderr.isatty() else ("\n", 10)

    def update(self, size: int) -> None:
        self._done += size
        if time.monotonic() - self._shown > self._pause:
            self._shown = time.monotonic()
            of = f" of {self.total / 1e6:.0f}" if self.total else ""
            self._say(f"fetched {self._done / 1e6:.0f}{of} MB", self._end)

    def reset(self) -> None:
        self._done, self._shown = 0, time.monotonic()

    def close(self) -> None:
        pass
