"""Walks through latents, and films of images: mp4, gif, webp or animated PNG."""

import errno
import importlib.util
import io
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from etils import epath
from jaxtyping import Array, Float, Float32, Int, UInt8
from PIL import Image

from jaxgan.data import images
from jaxgan.engine.log import grid
from jaxgan.sampling import stylegan2
from jaxgan.sampling.sample import BATCH, Sampler, in_batches, make_paint
from jaxgan.sampling.stylegan2 import Style
from jaxgan.system import checked_files
from jaxgan.types import InputError

STILLS = {".gif": "GIF", ".webp": "WEBP", ".png": "PNG"}  # Pillow's, by suffix.
KINDS = (".mp4", *STILLS)
INSTALL = "pip install 'jaxgan[video]'"
MOST = 100_000  # Frames of a film: an hour.

Picture = UInt8[np.ndarray, "h w 3"]
Between = Callable[[Float[np.ndarray, " z"], Float[np.ndarray, " z"], float], np.ndarray]


def lerp(
    a: Float[np.ndarray, " z"], b: Float[np.ndarray, " z"], t: float
) -> Float[np.ndarray, " z"]:
    """Return the point at t in [0, 1] of the straight line from a to b."""
    return (1 - t) * a + t * b


def slerp(
    a: Float[np.ndarray, " z"], b: Float[np.ndarray, " z"], t: float
) -> Float[np.ndarray, " z"]:
    """Return the point at t in [0, 1] of the great circle from a to b.

    Normal latents of many dimensions lie close to a sphere. A straight line leaves it: its middle
    is shorter by sqrt(2), a latent that the generator was hardly ever trained on.

    References:
        Shoemake, Animating Rotation with Quaternion Curves, 1985, section 3.3.
        White, Sampling Generative Networks, 2016, section 2.1.
    """
    cosine = np.dot(a, b) / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-12)
    angle = np.arccos(np.clip(cosine, -1, 1))
    if np.sin(angle) < 1e-6:  # On one line there is no circle, or more than one.
        return lerp(a, b, t)
    return (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)


def loop(
    keys: Float[np.ndarray, "k z"], frames: int, between: Between
) -> Float32[np.ndarray, "n z"]:
    """From each key to the next, and from the last to the first: what follows the end is the start.

    The walk rests at each key and is fastest half way (3 t^2 - 2 t^3): its turns are not seen.

    Args:
        keys: two or more.
        frames: from one key to the next.
        between: `lerp` or `slerp`.

    Returns:
        [k * frames, z]; frame i * frames is key i.
    """
    times = np.arange(frames) / frames
    times = times * times * (3 - 2 * times)
    following = np.roll(keys, -1, axis=0)
    walk = [between(a, b, t) for a, b in zip(keys, following, strict=True) for t in times]
    return np.stack(walk).astype(np.float32)


class Space(NamedTuple):
    """Where to walk.

    Attributes:
        points: seeds -> their points [n, d].
        paint: points [b, d] -> uint8 images [b, h, w, c].
        between: `lerp` or `slerp`.
    """

    points: Callable[[Sequence[int]], Float32[np.ndarray, "n d"]]
    paint: Callable[[Any], UInt8[Array, "b h w c"]]
    between: Between


def space_of(sampler: Sampler, style: Style = Style(), name: str | None = None) -> Space:
    """Return the latents of a generator, or the styles of a StyleGAN2.

    Args:
        sampler: any.
        style: how a StyleGAN2 draws.
        name: "z" or "w"; where None, "w" for a StyleGAN2.

    Raises:
        InputError: no such space, or noise that is drawn anew for each frame.
    """
    config, variables = sampler.config, sampler.variables
    known = ("z", "w") if config.model.name == "stylegan2" else ("z",)
    name = name or known[-1]
    if name not in known:
        raise InputError(f"--space must be one of {', '.join(known)} for this run, got {name!r}")
    generator, latents = sampler.generator, sampler.latents
    one = lambda z: sampler.labels(style.label, [0] * len(z))  # noqa: E731
    if config.model.name != "stylegan2":
        simple = partial(make_paint(generator), variables)
        if not config.num_classes:
            return Space(latents, simple, slerp)
        return Space(latents, lambda z: simple(z, one(z)), slerp)
    if style.noise == "random":
        raise InputError("--noise must be const or none in a film, got 'random'")
    to_ws = stylegan2.make_to_ws(generator, style.truncation, style.cutoff)
    synthesise = stylegan2.make_synthesise(generator, style.noise)

    def flat(
        z: Float32[np.ndarray, "b z"], labels: Int[np.ndarray, " b"] | None
    ) -> Float32[np.ndarray, "b d"]:
        return np.asarray(to_ws(variables, z, labels)).reshape(len(z), -1)

    def paint(ws: Float32[np.ndarray, "b d"]) -> UInt8[Array, "b h w c"]:
        ws = ws.reshape(len(ws), generator.num_ws, -1)
        return synthesise(variables, ws, np.zeros(len(ws), np.uint32))

    if name == "z":
        return Space(latents, lambda z: paint(flat(z, one(z))), slerp)
    of_seeds = partial(sampler.labels, style.label)
    return Space(lambda seeds: flat(latents(seeds), of_seeds(seeds)), paint, lerp)


def film(
    sampler: Sampler,
    style: Style,
    seeds: Sequence[int],
    file: epath.PathLike,
    space: str | None = None,
    frames: int = 60,
    fps: float = 30,
    cells: str = "1x1",
    batch_size: int = BATCH,
) -> None:
    """Write a film that goes from seed to seed, and say so.

    Args:
        sampler: any.
        style: how a StyleGAN2 draws.
        seeds: where it passes; see `interpolate`.
        file: as `write` takes it.
        space: "z" or "w", see `space_of`.
        frames: from one seed to the next.
        fps: frames a second.
        cells: "ROWSxCOLUMNS" of films side by side.
        batch_size: images drawn at once.

    Raises:
        InputError: another kind of file, malformed cells, too many frames, or as `space_of` and
            `check_seeds`.
    """
    check_file(file, "--interpolate")
    found = re.fullmatch(r"([1-9]\d?)x([1-9]\d?)", cells, re.ASCII)
    if not found:
        raise InputError(f"--cells must be ROWSxCOLUMNS like 2x3, got {cells!r}")
    shape = (int(found[1]), int(found[2]))
    check_seeds(seeds, shape)
    count = len(seeds) // (shape[0] * shape[1]) * frames
    if count > MOST:
        raise InputError(f"a film must have at most {MOST:,} frames, got {count:,}")
    shown = interpolate(space_of(sampler, style, space), seeds, frames, shape, batch_size)
    write(shown, file, fps)
    print(f"film of {count} frames, {count / fps:.1f} s: {file}")


def check_seeds(seeds: Sequence[int], cells: tuple[int, int]) -> None:
    """Raise InputError for fewer than two seeds a cell, or not equally many."""
    count = cells[0] * cells[1]
    if len(seeds) < 2 * count or len(seeds) % count:
        raise InputError(
            f"a film must have equally many seeds, two or more, for each of its {count} cells, "
            f"got {len(seeds)}"
        )


def interpolate(
    where: Space,
    seeds: Sequence[int],
    frames: int = 60,
    cells: tuple[int, int] = (1, 1),
    batch_size: int = BATCH,
) -> Iterator[Picture]:
    """The frames of a film that goes from seed to seed, and back to the first.

    Args:
        where: from `space_of`.
        seeds: where the walks pass, equally many for each cell: the first ones for the first.
        frames: from one seed to the next.
        cells: rows and columns of films side by side.
        batch_size: images drawn at once.
    """
    count = cells[0] * cells[1]
    keys = where.points(seeds).reshape(count, len(seeds) // count, -1)
    walks = np.stack([loop(each, frames, where.between) for each in keys], axis=1)
    points = in_batches(walks.reshape(-1, walks.shape[2]), batch_size)
    drawn = (image for padded, n in points for image in np.asarray(where.paint(padded))[:n])
    for _ in walks:
        yield grid(np.stack([next(drawn) for _ in range(count)]), cells[1])


def check_file(file: epath.PathLike, flag: str) -> None:
    """Raise InputError for a file of another kind, or an mp4 without the package for it."""
    suffix = epath.Path(file).suffix.lower()
    if suffix not in KINDS:
        raise InputError(
            f"{flag} must be a {', '.join(KINDS[:-1])} or {KINDS[-1]} file, got {file}"
        )
    if suffix == ".mp4" and not has_mp4():
        raise InputError(f"{flag} as .mp4 needs a package ({INSTALL}; .webp does not), got {file}")


def has_mp4() -> bool:
    """Return whether the extra `video` is installed."""
    return importlib.util.find_spec("imageio_ffmpeg") is not None


def write(frames: Iterable[Picture], file: epath.PathLike, fps: float = 30, last: int = 1) -> None:
    """Write a film that starts over at its end (an mp4 where the player does so).

    Args:
        frames: of one size; an mp4 never holds more than one of them. Sides of an mp4 are even:
            an odd one gets a row or column more, a copy of its last.
        file: an .mp4 (H.264), .gif (256 colours a frame), .webp or .png (animated).
        fps: frames a second; a .gif counts in hundredths of a second.
        last: how many times as long as the others the last frame is shown.
    """
    out = epath.Path(file)
    out.parent.mkdir(parents=True, exist_ok=True)
    kind = STILLS.get(out.suffix.lower())
    if kind is None:
        checked_files.write(out, _mp4(_held(frames, last), fps))
        return
    first, *others = [Image.fromarray(frame) for frame in frames]
    times = [round(1000 / fps)] * len(others) + [round(1000 / fps * last)]
    better = {"quality": 90} if kind == "WEBP" else {}
    buffer = io.BytesIO()
    first.save(buffer, kind, save_all=True, append_images=others, duration=times, loop=0, **better)
    checked_files.write(out, buffer.getvalue())


def _mp4(frames: Iterator[Picture], fps: float) -> bytes:
    first = next(frames)
    edges = [(0, side % 2) for side in first.shape[:2]]
    height, width = (side + side % 2 for side in first.shape[:2])
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / "film.mp4"
        # Players know 4:2:0 alone, whose colours are half as fine: hence even sides.
        options = f"-f rawvideo -pix_fmt rgb24 -s {width}x{height} -r {fps} -i - -c:v libx264"
        options += " -pix_fmt yuv420p -crf 17 -movflags +faststart -loglevel error"
        command = [_ffmpeg(), *options.split(), str(film)]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as encoder:
            assert encoder.stdin is not None
            for frame in chain([first], frames):
                encoder.stdin.write(np.pad(frame, (*edges, (0, 0)), mode="edge").tobytes())
        if encoder.returncode:
            raise OSError(errno.EIO, "ffmpeg failed", str(film))
        return film.read_bytes()


def _held(frames: Iterable[Picture], last: int) -> Iterator[Picture]:
    for frame in frames:
        yield frame
    yield from repeat(frame, last - 1)


def _ffmpeg() -> str:
    """Return the program's path, from the extra `video`."""
    return importlib.import_module("imageio_ffmpeg").get_ffmpeg_exe()


def history(workdir: epath.PathLike, file: epath.PathLike, milliseconds: int = 150) -> int:
    """Return the run's grids of samples, from equal latents each, as an animation.

    Args:
        workdir: the run's folder; its grids are `samples/<step>.png`.
        file: where to, an .mp4, .gif, .webp or .png (animated PNG).
        milliseconds: that a grid is shown; the last one ten times as long.

    Returns:
        How many grids there are.

    Raises:
        InputError: another kind of file, or fewer than two grids.
    """
    check_file(file, "--history")
    grids = sorted((epath.Path(workdir) / "samples").glob("*.png"))
    if len(grids) < 2:
        raise InputError(
            f"--workdir must hold two grids of samples or more, and there are {len(grids)} in "
            f"{epath.Path(workdir) / 'samples'}"
        )
    frames = [images.stored(f) for f in grids]
    write(frames, file, 1000 / milliseconds, last=10)
    return len(frames)
