"""The folders of a run: where parts are kept, who reads, and where rejects are copied to."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from jaxgan.data.prepare import workers
from jaxgan.data.prepare.doctor import Diagnosis
from jaxgan.data.prepare.options import Request
from jaxgan.data.prepare.workers import ReadAll
from jaxgan.data.sources import discover
from jaxgan.data.sources.entries import Files
from jaxgan.system import lock


@contextmanager
def of(request: Request) -> Iterator[Path]:
    """The folder for parts: of `out`, alone, where the next run finds them; or a temporary one."""
    if request.out is None:
        with tempfile.TemporaryDirectory(prefix="jaxgan") as folder:
            yield Path(folder)
        return
    work = request.out / ".work"
    work.mkdir(parents=True, exist_ok=True)
    with lock.held(request.out):
        yield work


@contextmanager
def readers(request: Request) -> Iterator[ReadAll]:
    """Who reads the images: Beam's workers, or processes here."""
    if request.beam:
        from jaxgan.data.prepare import beam  # Only an environment of its own has what it imports.

        yield partial(beam.scan_all, request.beam)
        return
    with workers.workers() as those:
        yield partial(workers.scan_all, those)


def tidy(work: Path, keys: Sequence[str]) -> None:
    """Keep these parts, and nothing of what was read in another way, or lies there unpacked."""
    wanted = set(keys)
    for file in work.iterdir():
        if file.name[:16] not in wanted or ".tmp" in file.name or file.suffix == ".task":
            file.unlink()


def forget(out: Path) -> None:
    """Remove a run's folder where nothing was read yet."""
    work = out / ".work"
    if {*os.listdir(out)} <= {".lock", "log.txt", work.name} and not any(work.glob("*")):
        shutil.rmtree(out)


def quarantine(folder: Path, found: Files, diagnosis: Diagnosis, dropped: dict[int, str]) -> None:
    """Copy of the files that are left out, by reason."""
    if folder.exists():
        shutil.rmtree(folder)
    for i in dropped:
        entry = found.entries[diagnosis.rows.table["entry"][i]]
        reason = diagnosis.reasons.get(i, "decided")
        try:
            data = discover.read(found.root, entry.place)
        except Exception:  # Not even its bytes can be read, for whatever reason.
            continue
        parts = (_short(part) for part in entry.name.replace("\\", "_").split("/"))
        target = folder.joinpath(reason.replace(" ", "_"), *parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def _short(name: str) -> str:
    """Return a name that file systems take: escaped, or in an archive, it may be too
    long for them.
    """
    data = name.encode()
    if len(data) <= 255:
        return name
    return hashlib.sha256(data).hexdigest()[:16] + "_" + data[-200:].decode(errors="ignore")
