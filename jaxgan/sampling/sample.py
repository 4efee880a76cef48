"""Images from the averaged generator of a run: each is drawn from a seed of its own."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath
from flax import linen as nn
from jaxtyping import Array, Float32, Int, UInt8

from jaxgan import recipes
from jaxgan.config import loading as configs
from jaxgan.config.model_settings import GANModel, PCAModel
from jaxgan.config.settings import Evaluate
from jaxgan.config.typed import GAN, PCA
from jaxgan.engine.checkpoint import Best, Checkpoints, checksums
from jaxgan.engine.log import grid
from jaxgan.metrics import judges
from jaxgan.models import pca
from jaxgan.sampling import stylegan2
from jaxgan.sampling.stylegan2 import Style
from jaxgan.types import InputError, Latents, to_uint8

BATCH = 32

Draw = Callable[[Any, Int[Array | np.ndarray, " b"]], UInt8[Array | np.ndarray, "b h w c"]]


class Sampler(NamedTuple):
    """A trained generator, ready to draw.

    Attributes:
        config: the run's.
        step: the checkpoint's step.
        checksum: of the averaged weights, hexadecimal.
        variables: the averaged weights and batch statistics.
        draw: (variables, seeds [b]) -> uint8 images [b, h, w, c].
    """

    config: GAN | PCA
    step: int
    checksum: str
    variables: Any
    draw: Draw

    @classmethod
    def of(
        cls,
        config: GAN | PCA,
        variables: Any = None,
        step: int = 0,
        checksum: str = "",
        style: Style = Style(),
    ) -> "Sampler":
        """Return the sampler of a config's generator with these weights, which draws in a style."""
        generator = recipes.build_generator(config)
        labels = partial(stylegan2.labels, config.num_classes, config.data.classes, style.label)
        draw = draw_with(generator, config.model, style, labels, config.numpy_latents)
        return cls(config, step, checksum, variables, draw)

    @property
    def generator(self) -> Any:
        """Return the module."""
        return recipes.build_generator(self.config)

    @property
    def critics(self) -> tuple[str, ...]:
        """Return the networks that its critics were trained on."""
        return judges.seen_by_critics(self.config.backbones, self.config.init_from)

    def latents(self, seeds: Sequence[int]) -> Float32[np.ndarray, "n z"]:
        """Return the latents from which the images of these seeds are drawn."""
        return latents_of(self.config.model.latent_dim, seeds, self.config.numpy_latents)

    def labels(self, label: str | None, seeds: Sequence[int]) -> Int[np.ndarray, " n"] | None:
        """Return the classes of the images of these seeds: see `stylegan2.labels`."""
        return stylegan2.labels(self.config.num_classes, self.config.data.classes, label, seeds)

    def __repr__(self) -> str:  # Without the weights.
        return f"Sampler({self.config.model.name}, step {self.step:,}, {self.checksum})"


def latents(seeds: Int[Array, " b"], latent_dim: int) -> Latents:
    """Return a standard normal latent per seed: it does not depend on the others."""
    return jax.vmap(lambda s: jax.random.normal(jax.random.key(s), (latent_dim,)))(seeds)


@lru_cache
def make_draw(
    generator: nn.Module, latent_dim: int
) -> Callable[..., UInt8[Array | np.ndarray, "b h w c"]]:
    """Return the compiled sampler of a generator, in evaluation mode.

    It is (variables, seeds) or, of a generator with classes, (variables, seeds, labels).
    """

    @jax.jit
    def draw(
        variables: Any, seeds: Int[Array, " b"], *labels: Int[Array, " b"]
    ) -> UInt8[Array, "b h w c"]:
        images = generator.apply(variables, latents(seeds, latent_dim), False, *labels)
        return to_uint8(cast(Array, images))

    return draw


@lru_cache
def make_paint(generator: nn.Module) -> Callable[..., UInt8[Array, "b h w c"]]:
    """Return the compiled generator, in evaluation mode.

    It is (variables, latents) or, with classes, (variables, latents, labels) -> uint8 images.
    """

    @jax.jit
    def paint(
        variables: Any, latents: Latents, *labels: Int[Array, " b"]
    ) -> UInt8[Array, "b h w c"]:
        return to_uint8(cast(Array, generator.apply(variables, latents, False, *labels)))

    return paint


def latents_of(
    size: int, seeds: Sequence[int], by_numpy: bool = False
) -> Float32[np.ndarray, "n z"]:
    """Return the latents from which a generator draws the images of these seeds.

    Args:
        size: of a latent.
        seeds: of the images.
        by_numpy: `numpy.random.RandomState(seed).randn(1, z)`, as the tool of a published
            generator has them, whose config has `sample.latents` "numpy".
    """
    if by_numpy:
        rows = [np.random.RandomState(int(seed)).randn(1, size) for seed in seeds]
        return np.concatenate(rows).astype(np.float32)
    return np.asarray(latents(jnp.asarray(np.array(seeds, np.uint32)), size))


def restore(
    workdir: epath.PathLike, step: int | str | None = None, style: Style = Style()
) -> Sampler:
    """Return the averaged generator of a run, and nothing else of its checkpoint.

    Args:
        workdir: the run's folder.
        step: the checkpoint's, or "best": by the metric `evaluate.best`; None: the latest.
        style: how a StyleGAN2 draws.

    Raises:
        InputError: no run, generator or such checkpoint in `workdir`; or a style that it cannot
            do.
    """
    config = configs.read_claim(workdir)
    if not isinstance(config, GAN | PCA):
        model = None if configs.is_experiment(config) else config.model.name
        raise InputError(
            f"--workdir must hold the run of a generator, and {configs.holds(workdir, model)}"
        )
    generator, classes = recipes.build_generator(config), config.data.classes
    stylegan2.check(config.model.name, generator, config.num_classes, classes, style)
    folder = epath.Path(workdir) / "checkpoints"
    if not folder.exists():
        raise InputError(f"--workdir must hold a checkpoint, and {folder} does not exist")
    with Checkpoints(workdir, best_of(config.evaluate), read_only=True) as checkpoints:
        found = checkpoints.restore_ema(recipes.abstract_ema(config), _step(checkpoints, step))
    if found is None:
        raise InputError(f"--workdir must hold a checkpoint, and there is none in {folder}")
    taken, variables = found
    words = json.dumps(checksums(variables), sort_keys=True)
    checksum = hashlib.sha256(words.encode()).hexdigest()[:16]
    return Sampler.of(config, variables, taken, checksum, style)


def best_of(evaluate: Evaluate | None) -> Best | None:
    """Return what makes a checkpoint of a GAN's run the best one; None of runs that know no such
    thing.
    """
    if evaluate is None or not evaluate.best:
        return None
    mode = "min" if evaluate.best in ("frechet", "kid") else "max"
    return Best(f"evaluate/{evaluate.best}", mode)


def _step(checkpoints: Checkpoints, step: int | str | None) -> int | None:
    if not isinstance(step, str):
        return step
    if step.isdecimal():
        return int(step)
    if step != "best":
        raise InputError(f"--step must be a number or best, got {step!r}")
    if checkpoints.best is None:
        raise InputError(
            f"--step=best needs a run that measured its images (config.evaluate.every above 0), "
            f"and that of {checkpoints.folder.parent} did not"
        )
    return checkpoints.best


def draw_with(
    generator: Any,
    model: GANModel | PCAModel,
    style: Style,
    labels: Callable[[Sequence[int]], Int[np.ndarray, " n"] | None],
    by_numpy: bool = False,
) -> Draw:
    """Return the sampler of a generator.

    Args:
        generator: the module.
        model: the section of which it is.
        style: how a StyleGAN2 draws.
        labels: from seeds to classes, or to None of a generator without.
        by_numpy: see `latents_of`.
    """
    if isinstance(model, PCAModel):  # Image by image, as in experiments.
        return lambda variables, seeds: pca.draw(
            pca.Fit(**variables["params"]), np.asarray(seeds), model.shrink
        )
    if model.name != "stylegan2":
        simple = make_draw(generator, model.latent_dim)
        if labels([]) is None:
            return simple
        return lambda variables, seeds: simple(variables, seeds, labels(np.asarray(seeds).tolist()))
    to_ws = stylegan2.make_to_ws(generator, style.truncation, style.cutoff)
    synthesise = stylegan2.make_synthesise(generator, style.noise)

    def draw(variables: Any, seeds: Int[Array | np.ndarray, " b"]) -> UInt8[Array, "b h w c"]:
        numbers = np.asarray(seeds).tolist()
        latents = latents_of(model.latent_dim, numbers, by_numpy)
        ws = to_ws(variables, latents, labels(numbers))
        return synthesise(variables, ws, jnp.asarray(seeds))

    return draw


def images(
    sampler: Sampler, seeds: Sequence[int], batch_size: int = BATCH
) -> Iterator[UInt8[np.ndarray, "h w c"]]:
    """The image of each seed, in order."""
    return drawn(sampler.draw, sampler.variables, seeds, batch_size)


def drawn(
    draw: Draw, variables: Any, seeds: Sequence[int], batch_size: int = BATCH
) -> Iterator[UInt8[np.ndarray, "h w c"]]:
    """The image of each seed, in order, of a generator with these weights."""
    for padded, count in in_batches(np.array(seeds, np.uint32), batch_size):
        yield from np.asarray(draw(variables, padded))[:count]


def batches(
    sampler: Sampler, seeds: Sequence[int], batch_size: int = BATCH
) -> Iterator[UInt8[Array | np.ndarray, "b h w c"]]:
    """The same, on the device; the last batch repeats the last seed."""
    for padded, _ in in_batches(np.array(seeds, np.uint32), batch_size):
        yield sampler.draw(sampler.variables, padded)


def in_batches(rows: np.ndarray, batch_size: int) -> Iterator[tuple[np.ndarray, int]]:
    """Yield batches of one size, so that one program serves all, and how many of each count.

    The last one is filled with its last row.
    """
    size = min(batch_size, max(BATCH, len(rows)))
    for i in range(0, len(rows), size):
        part = rows[i : i + size]
        more = [(0, size - len(part)), *[(0, 0)] * (rows.ndim - 1)]
        yield np.pad(part, more, mode="edge"), len(part)


def mix(
    sampler: Sampler,
    style: Style,
    rows: Sequence[int],
    columns: Sequence[int],
    layers: str | None = None,
) -> UInt8[np.ndarray, "h w c"]:
    """Return a sheet of mixed styles: the images of `rows`, some layers of each from those of
    `columns`.

    Its first column and row are the images themselves.

    Args:
        sampler: of a StyleGAN2.
        style: how it draws; random noise is that of the row's seed.
        rows: seeds.
        columns: seeds.
        layers: those that come from the columns, like "0-3,5"; see `stylegan2.layer_numbers`.

    Raises:
        InputError: another generator, or layers that are malformed or not there.

    References:
        Karras et al., A Style-Based Generator Architecture for Generative Adversarial Networks,
        2019, section 3.1 and figure 3.
    """
    name, variables, generator = sampler.config.model.name, sampler.variables, sampler.generator
    if name != "stylegan2":
        raise InputError(f"--style_mixing needs the run of a stylegan2, got a {name}")
    chosen = stylegan2.layer_numbers(layers, generator.num_ws)
    to_ws = stylegan2.make_to_ws(generator, style.truncation, style.cutoff)
    synthesise = stylegan2.make_synthesise(generator, style.noise)
    seeds = [*rows, *columns]
    labels = sampler.labels(style.label, seeds)
    ws = np.asarray(to_ws(variables, sampler.latents(seeds), labels))
    of_rows, of_columns = ws[: len(rows)], ws[len(rows) :]

    def painted(ws: np.ndarray, seeds: Sequence[int]) -> list[np.ndarray]:
        return list(np.asarray(synthesise(variables, ws, np.array(seeds, np.uint32))))

    top = painted(of_columns, columns)
    sheet = [np.full_like(top[0], 255), *top]
    for own, seed in zip(of_rows, rows, strict=True):
        mixed = np.repeat(own[None], len(columns) + 1, axis=0)
        mixed[1:, chosen] = of_columns[:, chosen]
        sheet += painted(mixed, [seed] * len(mixed))
    return grid(np.stack(sheet), len(columns) + 1)
