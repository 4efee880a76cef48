"""Pictures from the averaged generator of a run: each is drawn from a seed of its own."""

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, cast

import jax
import numpy as np
from etils import epath
from flax import linen as nn
from jaxtyping import Array, Int, UInt8
from ml_collections import ConfigDict
from PIL import Image

from jaxgan import config as configs
from jaxgan import recipes
from jaxgan.checkpoint import Best, Checkpoints, checksums
from jaxgan.types import InputError, Latents, to_uint8

BATCH = 32
FORMATS = {"png": {}, "jpg": {"quality": 95, "subsampling": 0}}

Draw = Callable[[Any, Int[Array | np.ndarray, " b"]], UInt8[Array, "b h w c"]]


class Sampler(NamedTuple):
    """A trained generator, ready to draw.

    Attributes:
        config: the run's.
        step: the checkpoint's step.
        checksum: of the averaged weights, hexadecimal.
        variables: the averaged weights and batch statistics.
        draw: (variables, seeds [b]) -> uint8 pictures [b, h, w, c].
    """

    config: ConfigDict
    step: int
    checksum: str
    variables: Any
    draw: Draw


def latents(seeds: Int[Array, " b"], latent_dim: int) -> Latents:
    """A standard normal latent per seed: it does not depend on the others."""
    return jax.vmap(lambda s: jax.random.normal(jax.random.key(s), (latent_dim,)))(seeds)


@lru_cache
def make_draw(generator: nn.Module, latent_dim: int) -> Draw:
    """The compiled sampler of a generator, in evaluation mode."""

    @jax.jit
    def draw(variables: Any, seeds: Int[Array, " b"]) -> UInt8[Array, "b h w c"]:
        images = generator.apply(variables, latents(seeds, latent_dim), False)
        return to_uint8(cast(Array, images))

    return draw


def restore(workdir: epath.PathLike, step: int | str | None = None) -> Sampler:
    """The averaged generator of a run, and nothing else of its checkpoint.

    Args:
        workdir: the run's folder.
        step: the checkpoint's, or "best": by the metric `evaluate.best`; None: the latest.

    Raises:
        InputError: no run, no GAN, or no such checkpoint in `workdir`.
    """
    config = configs.read_claim(workdir)
    if configs.is_experiment(config) or config.model.name not in configs.GANS:
        raise InputError(f"--workdir must hold the run of a GAN, and {workdir} does not")
    folder = epath.Path(workdir) / "checkpoints"
    if not folder.exists():
        raise InputError(f"--workdir must hold a checkpoint, and {folder} does not exist")
    with Checkpoints(workdir, best_of(config), read_only=True) as checkpoints:
        found = checkpoints.restore_ema(recipes.abstract_ema(config), _step(checkpoints, step))
    if found is None:
        raise InputError(f"--workdir must hold a checkpoint, and there is none in {folder}")
    taken, variables = found
    words = json.dumps(checksums(variables), sort_keys=True)
    return Sampler(
        config=config,
        step=taken,
        checksum=hashlib.sha256(words.encode()).hexdigest()[:16],
        variables=variables,
        draw=make_draw(recipes.build_generator(config), config.model.latent_dim),
    )


def best_of(config: ConfigDict) -> Best | None:
    """What makes a checkpoint of a GAN's run the best one; None of runs that know no such thing."""
    section = config.get("evaluate")
    if section is None:
        return None
    mode = "min" if section.best in ("frechet", "kid") else "max"
    return Best(f"evaluate/{section.best}", mode)


def _step(checkpoints: Checkpoints, step: int | str | None) -> int | None:
    if not isinstance(step, str):
        return step
    if step.isdecimal():
        return int(step)
    if step != "best":
        raise InputError(f"--step must be a number or best, got {step!r}")
    if checkpoints.best is None:
        raise InputError(
            f"--step=best needs a run that measured its pictures (config.evaluate.every above 0), "
            f"and that of {checkpoints.folder.parent} did not"
        )
    return checkpoints.best


def pictures(
    sampler: Sampler, seeds: Sequence[int], batch_size: int = BATCH
) -> Iterator[UInt8[np.ndarray, "h w c"]]:
    """The picture of each seed, in order."""
    for i, batch in enumerate(batches(sampler, seeds, batch_size)):
        yield from np.asarray(batch)[: len(seeds) - i * batch_size]


def batches(
    sampler: Sampler, seeds: Sequence[int], batch_size: int = BATCH
) -> Iterator[UInt8[Array, "b h w c"]]:
    """The same, on the device; one program serves all, as the last batch repeats the last seed."""
    for i in range(0, len(seeds), batch_size):
        part = list(seeds[i : i + batch_size])
        padded = np.array(part + part[-1:] * (batch_size - len(part)), np.uint32)
        yield sampler.draw(sampler.variables, padded)


def save(
    sampler: Sampler,
    seeds: Sequence[int],
    out: epath.PathLike,
    file_format: str = "png",
    batch_size: int = BATCH,
    scores: Sequence[float] | None = None,
) -> None:
    """Writes a file per seed, and `manifest.jsonl`: file, seed, sha256, the checkpoint's step and
    checksum, and the score where there is one."""
    folder = epath.Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "manifest.jsonl").open("w") as manifest:
        for i, image in enumerate(pictures(sampler, seeds, batch_size)):
            seed = seeds[i]
            buffer = io.BytesIO()
            kind = {"jpg": "jpeg"}.get(file_format, file_format)
            Image.fromarray(image).save(buffer, kind, **FORMATS[file_format])
            name = f"seed{seed:08d}.{file_format}"
            (folder / name).write_bytes(buffer.getvalue())
            row = {
                "file": name,
                "seed": seed,
                "sha256": hashlib.sha256(buffer.getvalue()).hexdigest(),
                "checkpoint_step": sampler.step,
                "checkpoint_checksum": sampler.checksum,
            }
            if scores is not None:
                row["score"] = scores[i]
            manifest.write(json.dumps(row) + "\n")


def history(workdir: epath.PathLike, file: epath.PathLike, milliseconds: int = 150) -> int:
    """The run's grids of samples, from equal latents each, as an animation.

    Args:
        workdir: the run's folder; its grids are `samples/<step>.png`.
        file: where to, a .gif, .webp or .png (animated PNG).
        milliseconds: that a grid is shown; the last one ten times as long.

    Returns:
        How many grids there are.

    Raises:
        InputError: another kind of file, or fewer than two grids.
    """
    kind = {".gif": "GIF", ".webp": "WEBP", ".png": "PNG"}.get(epath.Path(file).suffix.lower())
    if kind is None:
        raise InputError(f"--history must be a .gif, .webp or .png file, got {file}")
    grids = sorted((epath.Path(workdir) / "samples").glob("*.png"))
    if len(grids) < 2:
        raise InputError(
            f"--workdir must hold two grids of samples or more, and there are {len(grids)} in "
            f"{epath.Path(workdir) / 'samples'}"
        )
    frames = [Image.open(io.BytesIO(grid.read_bytes())).convert("RGB") for grid in grids]
    times = [milliseconds] * (len(frames) - 1) + [10 * milliseconds]
    buffer = io.BytesIO()
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:], duration=times, loop=0)
    out = epath.Path(file)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(buffer.getvalue())
    return len(frames)


def check_request(num: int, seed: int, file_format: str) -> None:
    """Raises InputError for a number, seed or format that cannot be."""
    if num < 1:
        raise InputError(f"--num must be at least 1, got {num}")
    if not 0 <= seed <= 2**32 - num:
        raise InputError(f"--seed must be within [0, 2**32 - num], got {seed}")
    if file_format not in FORMATS:
        raise InputError(f"--format must be one of {', '.join(FORMATS)}, got {file_format!r}")
