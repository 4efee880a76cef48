"""Samples as files, with a manifest that says where each is from, and that they are unchanged."""

import hashlib
import io
import json
from collections.abc import Sequence

from etils import epath
from PIL import Image

from jaxgan.errors import FileError
from jaxgan.sampling.requests import FORMATS
from jaxgan.sampling.sample import BATCH, Sampler, images
from jaxgan.system import checked_files


def save(
    sampler: Sampler,
    seeds: Sequence[int],
    out: epath.PathLike,
    file_format: str = "png",
    batch_size: int = BATCH,
    scores: Sequence[float] | None = None,
    manifest: str = "manifest.jsonl",
) -> None:
    """Write a file per seed, and a manifest: file, seed, sha256, the checkpoint's step and
    checksum, the networks of the critic's features, and the score where there is one."""
    critics = sampler.critics
    folder = epath.Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for i, image in enumerate(images(sampler, seeds, batch_size)):
        seed = seeds[i]
        buffer = io.BytesIO()
        kind = {"jpg": "jpeg"}.get(file_format, file_format)
        Image.fromarray(image).save(buffer, kind, **FORMATS[file_format])
        name = f"seed{seed:08d}.{file_format}"
        checked_files.write(folder / name, buffer.getvalue())
        row = {
            "file": name,
            "seed": seed,
            "sha256": hashlib.sha256(buffer.getvalue()).hexdigest(),
            "checkpoint_step": sampler.step,
            "checkpoint_checksum": sampler.checksum,
            "critic": list(critics),
        }
        if scores is not None:
            row["score"] = scores[i]
        rows.append(json.dumps(row) + "\n")
    checked_files.write(folder / manifest, rows)


def verify(out: epath.PathLike, manifest: str, checksum: str) -> None:
    """Compare a manifest with its SHA-256, and the files that it lists with theirs.

    Raises:
        FileError: naming the first that is missing or was changed.
    """
    folder = epath.Path(out)

    def check(file: epath.Path, said: str) -> bytes:
        data = file.read_bytes() if file.exists() else b""
        if hashlib.sha256(data).hexdigest() != said:
            what = "was changed" if file.exists() else "is missing"
            raise FileError(
                f"{file} must be as it was written, and {what}: delete {folder.parent} and run the "
                f"same command again"
            )
        return data

    for row in map(json.loads, check(folder / manifest, checksum).splitlines()):
        check(folder / row["file"], row["sha256"])
