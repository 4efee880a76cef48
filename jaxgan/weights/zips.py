"""Zips as PyTorch writes them: members that are stored, not compressed, and lie apart."""

import io
import struct
import zipfile
import zlib
from typing import Any

from jaxgan.system.lazy_reads import Span

MEMBERS = 20_000  # At most.
DIRECTORY = 2**23  # Bytes of its directory.
ENCRYPTED = 1  # A flag.
LOCAL = b"PK\x03\x04"  # How a member begins.

Member = tuple[Span, int | None]  # Bytes, and their CRC-32 where it is known.


class _Short:
    """A file of which so much is read at once, at most: a directory says any size of itself."""

    def __init__(self, content: Span):
        self._file = content.file

    def read(self, size: int = -1) -> bytes:
        here = self._file.tell()
        left = self._file.seek(0, io.SEEK_END) - here
        self._file.seek(here)
        if (left if size < 0 else min(size, left)) > DIRECTORY:
            raise ValueError("its directory is too large")
        return self._file.read(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def members(content: Span) -> dict[str, Member]:
    """Return the members of a zip by their names.

    Raises:
        ValueError: it is none, or not as PyTorch writes them.
        zipfile.BadZipFile: the same.
    """
    if content.start or len(content) != content.file.seek(0, io.SEEK_END):
        raise ValueError("a zip in it")
    with zipfile.ZipFile(_Short(content)) as archive:  # type: ignore[arg-type]
        infos, end = archive.infolist(), archive.start_dir
    if len(infos) > MEMBERS:
        raise ValueError("it has too many members")
    found: dict[str, Member] = {}
    before = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.filename in found:
            raise ValueError("two of its members have one name")
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise ValueError("it is compressed, which PyTorch never does")
        if info.flag_bits & ENCRYPTED or info.header_offset < before:
            raise ValueError("its members overlap, or are encrypted")
        header = content.part(info.header_offset, 30).read()
        size, extra = struct.unpack("<HH", header[26:])
        name = content.part(info.header_offset + 30, size).read()
        if not header.startswith(LOCAL) or name.decode() != info.orig_filename:
            raise ValueError("one of its members has two names")
        start = info.header_offset + 30 + size + extra
        before = start + info.file_size
        if before > end:
            raise ValueError("its members lead into its directory")
        found[info.filename] = content.part(start, info.file_size), info.CRC
    return found


def read(member: Member) -> bytes:
    """Return the bytes of a member.

    Raises:
        ValueError: they are others than when it was written.
    """
    span, checksum = member
    found = span.read()
    if checksum not in (None, zlib.crc32(found)):
        raise ValueError("a member of it is damaged: Bad CRC-32")
    return found
