"""Parts of a file that are read where they are wanted: a large file costs nothing until then."""

import io
from typing import Any

File = io.BufferedReader | io.BytesIO

LARGE = 2**20  # Bytes at once that are left in the file.
AHEAD = 2**14  # Bytes that are read ahead.
SMALL_PARTS = 2**26  # Bytes of all others together, at most.


class Span:
    """Bytes of a file that have not been read."""

    __slots__ = ("file", "size", "start")

    def __init__(self, file: File, start: int, size: int):
        self.file, self.start, self.size = file, start, size

    def __len__(self) -> int:
        return self.size

    def part(self, start: int, size: int) -> "Span":
        """Return `size` bytes from `start` on, which lie within."""
        if not 0 <= start <= start + size <= self.size:
            raise ValueError("it is cut off")
        return Span(self.file, self.start + start, size)

    def read(self) -> bytes:
        self.file.seek(self.start)
        found = self.file.read(self.size)
        if len(found) != self.size:
            raise ValueError("it is cut off")
        return found

    def decode(self, *how: str) -> "Span":
        """Stand for its text, which Python 2 writes bytes as."""
        return self


def of(content: bytes | File) -> Span:
    """Return all of a file, or of bytes."""
    file = io.BytesIO(content) if isinstance(content, bytes) else content
    return Span(file, 0, file.seek(0, io.SEEK_END))


class _Window(io.RawIOBase):
    """A span as a file."""

    def __init__(self, span: Span):
        self._span, self._place = span, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._place = offset + {0: 0, 1: self._place, 2: len(self._span)}[whence]
        return self._place

    def readinto(self, buffer: Any, /) -> int:
        size = min(len(buffer), len(self._span) - self._place)
        buffer[:size] = self._span.part(self._place, size).read()
        self._place += size
        return size


class Stream:
    """A span as `pickletools` reads it: what is large comes as a span, and lines are short."""

    def __init__(self, span: Span):
        self._span, self._left = span, SMALL_PARTS
        self._file = io.BufferedReader(_Window(span), AHEAD)
        self.tell = self._file.tell

    def left(self) -> int:
        """Return how many bytes there are from here on."""
        return len(self._span) - self.tell()

    def rest(self, size: int) -> Span:
        """Return the next bytes as a span, and go behind them."""
        found = self._span.part(self.tell(), size)
        self._file.seek(self.tell() + size)
        return found

    def read(self, size: int) -> bytes | Span:
        if size > LARGE:
            return self.rest(size)
        self._left -= size
        if self._left < 0:
            raise ValueError("it has too many small parts")
        return self._file.read(size)

    def readline(self) -> bytes:
        self._left -= AHEAD // 64
        return self._file.readline(AHEAD)
