"""What a run says: `metrics.jsonl`, TensorBoard, `log.txt`, progress lines and image grids."""

import io
import math
import os
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import jax
import numpy as np
from etils import epath
from jaxtyping import UInt8
from PIL import Image
from tensorboard.compat.proto.event_pb2 import Event  # type: ignore[attr-defined]
from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[attr-defined]
from tensorboard.plugins.image import metadata as image_metadata
from tensorboard.plugins.scalar import metadata as scalar_metadata
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboard.util import tensor_util

from jaxgan.engine import tracking
from jaxgan.system import checked_files, screen
from jaxgan.system.screen import duration

__all__ = ["Log", "duration", "grid", "png", "read_metrics"]

COPY = 30  # Seconds between two copies of the open files to an object store.

Several = UInt8[np.ndarray, "n h w c"]


def grid(images: Several, columns: int | None = None) -> UInt8[np.ndarray, "h2 w2 c"]:
    """Return images side by side, a gap of 2 px between them; as square as can be by default."""
    n, h, w, c = images.shape
    across = min(n, columns or math.ceil(math.sqrt(n)))
    rows = math.ceil(n / across)
    sheet = np.full((rows * (h + 2) - 2, across * (w + 2) - 2, c), 255, np.uint8)
    for i, image in enumerate(images):
        top, left = i // across * (h + 2), i % across * (w + 2)
        sheet[top : top + h, left : left + w] = image
    return sheet


def png(image: UInt8[np.ndarray, "h w c"]) -> bytes:
    """Return the image as a PNG file's bytes."""
    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(buffer, "PNG")
    return buffer.getvalue()


class Log:
    """The open files of one run; on other processes than the first of several hosts it is silent.

    Args:
        workdir: the run's folder; an object store gets a copy of what is written here every
            `COPY` seconds, as it cannot append to a file.
        label: stands before each progress line.

    Attributes:
        folder: the run's.
        stage: what the run is, for `screen.stage`; "" where the stage around it says it.
        here: the local one, of which `flush` copies what is new; `folder` itself where it is local.
    """

    def __init__(self, workdir: epath.PathLike, label: str = ""):
        self.folder = epath.Path(workdir)
        self._label = f"{label}: " if label else ""
        self.stage = "" if label else "training"
        self._on = jax.process_index() == 0
        self.here = Path(self.folder)
        if not self._on:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self._remote = "://" in os.fspath(self.folder)
        if self._remote:
            self._temporary = tempfile.TemporaryDirectory()
            self.here = Path(self._temporary.name)
            for file in (self.folder / name for name in ("log.txt", "metrics.jsonl")):
                if file.exists():
                    (self.here / file.name).write_bytes(file.read_bytes())
        self._next, self._copied = 0.0, self._files()
        self._events = _Events(self.here / "tensorboard")
        self._trackers = tracking.begin(self.folder)

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, kind: object, *error: object) -> None:
        with suppress(OSError) if kind else nullcontext():  # It must not hide what is raised.
            self.close()

    def close(self) -> None:
        if self._on:
            try:
                tracking.send(self._trackers, "close")
                self._events.close()
                self._copy()
            finally:
                if self._remote:
                    self._temporary.cleanup()

    def flush(self) -> None:
        """Write what is new to the run's folder now, also where that is an object store."""
        if self._on:
            self._events.flush()
            self._copy()

    def _copy(self) -> None:
        for file, version in self._files().items():
            if self._copied.get(file) != version:
                there = self.folder / file.relative_to(self.here)
                there.parent.mkdir(parents=True, exist_ok=True)
                there.write_bytes(file.read_bytes())
                self._copied[file] = version
        self._next = time.monotonic() + COPY

    def _files(self) -> dict[Path, tuple[int, int]]:
        """Return what an object store must have, and in which state it is."""
        if not self._remote:
            return {}
        about = {file: file.stat() for file in self.here.rglob("*") if file.is_file()}
        return {file: (stat.st_size, stat.st_mtime_ns) for file, stat in about.items()}

    def line(self, text: str, kind: str = "line") -> None:
        """Print a line as `screen.say` does for its kind, and keep it in `log.txt`."""
        if self._on:
            screen.say(self._label + text, kind)
            self._append("log.txt", self._label + text + "\n")

    def detail(self, text: str) -> None:
        """Print a line, but not below a live line that shows a stage of several."""
        self.line(text, "detail" if self._label else "line")

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Add a row to `metrics.jsonl` and points to TensorBoard's curves."""
        if not self._on:
            return
        self._append("metrics.jsonl", checked_files.row({"step": step, **values}))
        screen.event("metrics", run=self.folder.as_posix(), step=step, **values)
        metadata = scalar_metadata.create_summary_metadata(None, None)
        for name, value in values.items():
            tensor = tensor_util.make_tensor_proto(np.float32(value))
            self._event(step, Summary.Value(tag=name, tensor=tensor, metadata=metadata))
        self._events.flush()
        tracking.send(self._trackers, "metrics", step, values)

    def image(self, step: int, name: str, image: UInt8[np.ndarray, "h w c"]) -> None:
        """Save `<name>/<step>.png`, and show it in TensorBoard."""
        if not self._on:
            return
        data = png(image)
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        checked_files.write(folder / f"{step:07d}.png", data)
        h, w = image.shape[:2]
        tensor = tensor_util.make_tensor_proto([str(w).encode(), str(h).encode(), data])
        metadata = image_metadata.create_summary_metadata(display_name=None, description=None)
        self._event(step, Summary.Value(tag=name, tensor=tensor, metadata=metadata))
        tracking.send(self._trackers, "image", step, name, image)

    def rewind(self, step: int) -> None:
        """Drop rows after `step`: a resumed run writes them again."""
        if self._on and (file := self.here / "metrics.jsonl").exists():
            rows = [row for row in checked_files.rows(file) if row.get("step", math.inf) <= step]
            checked_files.write(file, map(checked_files.row, rows))
            self._copy()

    def _append(self, name: str, text: str) -> None:
        try:
            with (self.here / name).open("a", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise checked_files.named(error, self.here / name) from error
        if time.monotonic() >= self._next:
            self._copy()

    def _event(self, step: int, value: Summary.Value) -> None:
        summary = Summary(value=[value])
        self._events.add(Event(wall_time=time.time(), step=step, summary=summary))


class _Events:
    """TensorBoard's file, written in the caller's thread: what goes wrong is raised there."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}.{os.getpid()}"
        self._path = folder / name
        with self._naming():
            self._file = self._path.open("xb")
        self._records = RecordWriter(self._file)
        self.add(Event(wall_time=time.time(), file_version="brain.Event:2"))
        self.flush()

    def add(self, event: Event) -> None:
        with self._naming():
            self._records.write(event.SerializeToString())

    def flush(self) -> None:
        with self._naming():
            self._file.flush()

    def close(self) -> None:
        with self._naming():
            self._file.close()

    @contextmanager
    def _naming(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise checked_files.named(error, self._path) from error


def read_metrics(workdir: epath.PathLike) -> list[dict]:
    """Return the rows of a run's `metrics.jsonl`."""
    return checked_files.rows(epath.Path(workdir) / "metrics.jsonl")
