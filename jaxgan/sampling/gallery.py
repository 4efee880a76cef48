"""One page to look at a generator's images: over time, truncated, beside real ones, in between."""

import base64
import hashlib
import io
from collections.abc import Sequence
from typing import Any

import jinja2
import numpy as np
from etils import epath
from jaxtyping import UInt8
from PIL import Image

from jaxgan.data import images
from jaxgan.data.folder import Source
from jaxgan.engine.log import grid
from jaxgan.errors import InputError
from jaxgan.metrics import features, judges, networks
from jaxgan.sampling import best_of_n, requests, sample, video
from jaxgan.sampling.sample import Sampler
from jaxgan.system import checked_files

GRIDS = 30  # Of samples over time, at most: the first, the last, and between them evenly.
PSI = (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
STOPS, FRAMES = 5, 12  # Of the walk, and frames from one stop to the next.
MOST_REAL = 2000  # Real images that are looked through, at most.
NEAREST = 3
LARGE = 1280  # Sides in pixels, at most, of a grid and
SMALL = 320  # of an image.

ENVIRONMENT = jinja2.Environment(
    loader=jinja2.PackageLoader("jaxgan.sampling"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def write(
    workdir: epath.PathLike,
    file: epath.PathLike,
    *,
    step: int | str | None = None,
    count: int = 16,
    seed: int = 0,
    real: str | None = None,
) -> list[str]:
    """Write the page of a generator's run; it holds all its images and fetches nothing.

    Args:
        workdir: the run's folder.
        file: the page.
        step: the checkpoint, see `sample.restore`.
        count: samples beside their nearest real images.
        seed: of the first.
        real: a folder of real images; None: those that the run was trained on.

    Returns:
        What is on the page and what is not, a sentence each.

    Raises:
        InputError: no generator's run in `workdir`.
    """
    requests.check_request(count, seed, "png")
    if real is not None:
        best_of_n.open_real(workdir, real)  # A folder that will not do is refused before long work.
    sampler = sample.restore(workdir, step)
    side, notes = sampler.config.data.resolution, list[str]()
    players = [
        _over_time(workdir, side, notes),
        _truncated(sampler, seed, notes),
        _walk(sampler, seed),
    ]
    images = np.stack([*sample.images(sampler, range(seed, seed + count))])
    about = {
        "name": epath.Path(workdir).resolve().name,
        "model": sampler.config.model.name,
        "step": sampler.step,
        "side": side,
        "players": [player for player in players if player],
        "cards": _beside_real(workdir, sampler, images, seed, real, notes),
        "notes": notes,
    }
    template = ENVIRONMENT.get_template("gallery.html")
    script, style = (ENVIRONMENT.get_template(f"gallery.{x}").render() for x in ("js", "css"))
    page = template.render(about, script=script, style=style, allowed=_policy(script, style))
    checked_files.write(file, page)
    return [*notes, f"{len(page) / 2**20:.1f} MiB, a page that needs no network: {file}"]


def _policy(script: str, style: str) -> str:
    """Only this very script and style run, and nothing is fetched."""
    one, other = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for text in (script, style)
    )
    return (
        f"default-src 'none'; img-src data:; script-src 'sha256-{one}'; "
        f"style-src 'sha256-{other}'; base-uri 'none'; form-action 'none'"
    )


def _over_time(workdir: epath.PathLike, side: int, notes: list[str]) -> dict[str, Any] | None:
    """Return the run's own grids: the same latents at each step."""
    files = sorted((epath.Path(workdir) / "samples").glob("*.png"))
    if len(files) < 2:
        notes.append("No samples over time: the run has fewer than two grids of them.")
        return None
    taken = np.unique(np.linspace(0, len(files) - 1, min(GRIDS, len(files))).round().astype(int))
    if len(taken) < len(files):
        notes.append(f"Of {len(files)} grids over time {len(taken)} are shown.")
    frames = []
    for file in (files[i] for i in taken):
        image = images.stored(file)
        frames.append({"says": f"step {int(file.stem):,}", "image": _sheet(image, side)})
    words = "The same latents at each step of training: what changes is the generator alone."
    return _player("time", "Over time", words, frames, start=len(frames) - 1)


def _truncated(sampler: Sampler, seed: int, notes: list[str]) -> dict[str, Any] | None:
    """Some samples at rising psi, where the generator has styles to truncate."""
    if sampler.config.model.name != "stylegan2":
        notes.append(f"No truncation: a {sampler.config.model.name} has no styles to truncate.")
        return None
    space, side = video.space_of(sampler, name="w"), sampler.config.data.resolution
    ws = space.points(range(seed, seed + 12))
    average = np.asarray(sampler.variables["batch_stats"]["mapping"]["w_avg"]).reshape(-1)
    average = np.tile(average, ws.shape[1] // len(average))[None]
    frames = []
    for psi in PSI:
        images = np.asarray(space.paint((average + psi * (ws - average)).astype(np.float32)))
        frames.append({"says": f"psi {psi:.1f}", "image": _sheet(grid(images, 4), side)})
    words = (
        "Styles drawn towards their average: at psi 0 all images are the average one, at 1 each is "
        "what the generator makes of its latent. Between lie more usual images, and fewer kinds."
    )
    return _player("truncation", "Truncation", words, frames, start=len(PSI) - 1)


def _walk(sampler: Sampler, seed: int) -> dict[str, Any]:
    """From seed to seed and back to the first."""
    seeds = range(seed, seed + STOPS)
    images = [*video.interpolate(video.space_of(sampler), seeds, FRAMES)]
    frames = []
    for i, image in enumerate(images):
        stop, between = divmod(i, FRAMES)
        following = seeds[(stop + 1) % STOPS]
        says = f"seed {seeds[stop]}" + (f" to seed {following}" if between else "")
        frames.append({"says": says, "image": _encoded(image, SMALL)})
    words = (
        "From seed to seed and back. Where images change smoothly the generator has learned more "
        "than single images; where one jumps into another it may have memorised both."
    )
    return _player("between", "Interpolation", words, frames) | {"narrow": True}


def _player(
    name: str, title: str, words: str, frames: list[dict[str, str]], start: int = 0
) -> dict[str, Any]:
    about = {"name": name, "title": title, "words": words, "frames": frames}
    return about | {"start": start, "narrow": False}


def _beside_real(
    workdir: epath.PathLike,
    sampler: Sampler,
    images: UInt8[np.ndarray, "n h w 3"],
    seed: int,
    real: str | None,
    notes: list[str],
) -> list[dict[str, Any]]:
    """Return each sample, with the real images that are nearest to it where there are
    any at hand.
    """
    near: list[list[dict[str, str]]] = [[] for _ in images]
    try:
        near = _nearest(sampler, images, best_of_n.open_real(workdir, real), notes)
    except InputError as error:
        if real is not None:
            raise
        notes.append(f"No real images beside the samples: {error}.")
    return [
        {"seed": seed + i, "image": _encoded(image, SMALL), "near": mine}
        for i, (image, mine) in enumerate(zip(images, near, strict=True))
    ]


def _nearest(
    sampler: Sampler, images: UInt8[np.ndarray, "n h w 3"], source: Source, notes: list[str]
) -> list[list[dict[str, str]]]:
    """Return the real images whose features have the smallest angle to those of each sample."""
    some: Sequence[int] = range(len(source))
    if len(source) > MOST_REAL:
        some = sorted(np.random.default_rng(0).choice(len(source), MOST_REAL, replace=False))
    name = judges.unseen(sampler.critics)
    net = networks.by_name(name, source.resolution)
    theirs = features.extract(net, (source[int(i)]["image"] for i in some))
    mine = features.extract(net, images)
    middle, scale = theirs.mean(0), np.maximum(theirs.std(0), 1e-6)
    theirs, mine = ((x - middle) / scale for x in (theirs, mine))
    theirs, mine = (
        x / np.maximum(np.linalg.norm(x, axis=1)[:, None], 1e-9) for x in (theirs, mine)
    )
    likeness = mine @ theirs.T
    order = np.argsort(-likeness, axis=1)[:, :NEAREST]
    notes.append(
        f"Nearest of {len(some):,} of {len(source):,} real images, by the features of {name}: "
        "1 is the same, 0 unlike."
    )
    return [
        [
            {
                "says": f"{source.names[int(some[j])]}, likeness {likeness[i, j]:.2f}",
                "image": _encoded(source[int(some[j])]["image"], SMALL),
            }
            for j in row
        ]
        for i, row in enumerate(order)
    ]


def _sheet(image: UInt8[np.ndarray, "h w 3"], side: int) -> str:
    """Return a grid of images of `side` px, encoded, its gaps transparent: they have the page's
    colour.
    """
    y, x = (np.arange(n) % (side + 2) < side for n in image.shape[:2])
    alpha = 255 * (y[:, None] & x[None]).astype(np.uint8)
    return _encoded(np.concatenate([image, alpha[:, :, None]], axis=2), LARGE)


def _encoded(image: UInt8[np.ndarray, "h w c"], most: int) -> str:
    """Return the image as WebP in a data URI, no side above `most`."""
    im = Image.fromarray(image)
    im.thumbnail((most, most), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    im.save(buffer, "WEBP", quality=90, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
