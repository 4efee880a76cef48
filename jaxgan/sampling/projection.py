"""Looking for a real image in a StyleGAN2: which style draws what is most like it?

References:
    Karras et al., Analyzing and Improving the Image Quality of StyleGAN, 2020, appendix D.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from etils import epath
from jaxtyping import Array, Float, Float32, UInt8

from jaxgan.data import images
from jaxgan.engine.log import grid, png
from jaxgan.metrics import lpips
from jaxgan.metrics.lpips import Lpips
from jaxgan.sampling import stylegan2, video
from jaxgan.sampling.sample import Sampler
from jaxgan.sampling.stylegan2 import Style
from jaxgan.system import checked_files, paths
from jaxgan.types import InputError, Scalar

RATE, UP, DOWN = 0.1, 0.05, 0.25  # The learning rate, and its ramps as shares of all steps.
NOISE, UNTIL = 0.05, 0.75  # Noise in w, in deviations of w, and the share of steps with it.
REGULARITY = 1e5
MEASURED = 10_000  # Latents, for the mean and the deviation of w.
LARGEST = 256  # Images are compared at this side at most.
FRAMES = 300  # Of the film, at most.

Picture = UInt8[np.ndarray, "h w 3"]


class Projection(NamedTuple):
    """What was found.

    Attributes:
        w: the style.
        noise: the network's batch statistics with the pixels' noise that belongs to it.
        path: the styles on the way, one a step.
        distances: LPIPS of each step's image, with the noise in w.
    """

    w: Float32[np.ndarray, " w"]
    noise: Any
    path: Float32[np.ndarray, "n w"]
    distances: Float32[np.ndarray, " n"]


def rate(step: Scalar, steps: int) -> Scalar:
    """Return the learning rate of a step, 0 to steps - 1: up in a line, later down
    along a cosine.
    """
    t = step / steps
    down = 0.5 - 0.5 * jnp.cos(jnp.minimum(1, (1 - t) / DOWN) * math.pi)
    return RATE * down * jnp.minimum(1, t / UP)


def noise_deviation(step: Scalar, steps: int) -> Scalar:
    """Return the noise in w at a step, in deviations of w; 0 for the last quarter."""
    return NOISE * jnp.maximum(0, 1 - step / steps / UNTIL) ** 2


def regularity(maps: list[Float[Array, "r r"]]) -> Scalar:
    """Return how much noise maps are like themselves one pixel on, at all scales down to 8 px.

    0 for white noise of infinite size: an image must not be painted with the noise.

    Args:
        maps: square, with sides that are powers of two.
    """
    total = jnp.zeros(())
    for noise in maps:
        while True:
            for axis in (0, 1):
                total += (noise * jnp.roll(noise, 1, axis)).mean() ** 2
            if len(noise) <= 8:
                break
            half = len(noise) // 2  # The mean of four times 2: the deviation stays the same.
            noise = noise.reshape(half, 2, half, 2).mean(axis=(1, 3)) * 2
    return total


def project(
    sampler: Sampler,
    picture: Picture,
    steps: int = 1000,
    *,
    seed: int = 0,
    label: str | None = None,
    distance: Lpips | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> Projection:
    """Descends from the mean style to the one whose image looks most like the given one.

    The pixels' noise is sought together with the style, and is kept white.

    Args:
        sampler: of a StyleGAN2.
        picture: of its resolution.
        steps: of Adam.
        seed: of the latents that w is measured on, of the first noise and of the noise in w.
        label: the class, see `stylegan2.labels`.
        distance: from `lpips.load`, which is the default.
        tell: is told now and then how far it is.

    Raises:
        InputError: the weights of the distance are not installed.
    """
    variables, generator = sampler.variables, sampler.generator
    distance = distance or lpips.load()
    keys = jax.random.split(jax.random.key(seed), 3)
    to_ws = stylegan2.make_to_ws(generator)
    parts = jax.random.normal(keys[0], (10, MEASURED // 10, sampler.config.model.latent_dim))
    labels = sampler.labels(label, range(MEASURED // 10))
    known = np.concatenate([np.asarray(to_ws(variables, z, labels))[:, 0] for z in parts])
    mean = known.mean(axis=0)
    deviation = math.sqrt(((known - mean) ** 2).sum(axis=1).mean())

    stats, places = jax.tree.flatten(variables["batch_stats"])
    is_noise = [leaf.ndim == 2 for leaf in stats]  # The other one is the mean style.

    def with_noise(maps: list[Array]) -> Any:
        remaining = iter(maps)
        leaves = [
            next(remaining) if noise else leaf for noise, leaf in zip(is_noise, stats, strict=True)
        ]
        return jax.tree.unflatten(places, leaves)

    def drawn(weights: Any, w: Float[Array, " w"], maps: list[Array]) -> Float[Array, "1 h w 3"]:
        ws = jnp.broadcast_to(w, (1, generator.num_ws, len(w)))
        all_of_it = {"params": weights, "batch_stats": with_noise(maps)}
        return generator.apply(all_of_it, ws, "const", None, method="synthesise")

    target = jax.jit(lambda network, image: lpips.views(network, _compared(image)))(
        distance, jnp.asarray(picture, jnp.float32)[None]
    )
    tx = optax.adam(lambda step: rate(step, steps))

    @jax.jit
    def advance(
        weights: Any, network: Lpips, target: list[Array], sought: Any, opt_state: Any, step: Array
    ) -> tuple[Any, Any, Scalar]:
        w_noise = jax.random.normal(jax.random.fold_in(keys[2], step), mean.shape)
        w_noise *= noise_deviation(step, steps) * deviation

        def loss(sought: Any) -> tuple[Scalar, Scalar]:
            w, maps = sought
            image = (drawn(weights, w + w_noise, maps) + 1) * 127.5
            far = lpips.distance(network, target, lpips.views(network, _compared(image)))[0]
            return far + REGULARITY * regularity(maps), far

        (_, far), grads = jax.value_and_grad(loss, has_aux=True)(sought)
        updates, opt_state = tx.update(grads, opt_state)
        w, maps = optax.apply_updates(sought, updates)  # type: ignore[misc]
        maps = [(m - m.mean()) / jnp.sqrt(m.var() + 1e-20) for m in maps]
        return (w, maps), opt_state, far

    shapes = [leaf.shape for noise, leaf in zip(is_noise, stats, strict=True) if noise]
    first = [
        jax.random.normal(key, shape)
        for key, shape in zip(jax.random.split(keys[1], len(shapes)), shapes, strict=True)
    ]
    sought = (jnp.asarray(mean), first)
    opt_state, path, distances = tx.init(sought), [], []
    for step in range(steps):
        sought, opt_state, far = advance(
            variables["params"], distance, target, sought, opt_state, jnp.int32(step)
        )
        path.append(sought[0])
        distances.append(far)
        if (step + 1) % max(1, steps // 10) == 0:
            tell(f"step {step + 1:,} of {steps:,}: distance {float(far):.3f}")
    return Projection(
        np.asarray(sought[0]), with_noise(sought[1]), np.stack(path), np.stack(distances)
    )


def _compared(images: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 c"]:
    """Means of squares of pixels, to 256 px: what the distance was made for."""
    b, h, w, c = images.shape
    times = max(1, h // LARGEST)
    return images.reshape(b, h // times, times, w // times, times, c).mean(axis=(2, 4))


def read(file: epath.PathLike, resolution: int, tell: Callable[[str], None]) -> Picture:
    """Return an image of the generator's resolution; another one is cropped to its middle and
    resized.

    Raises:
        InputError: it cannot be read.
    """
    path = epath.Path(file)
    try:
        picture = images.open_picture(paths.read(path))
    except Exception as error:  # Pillow's decoders raise nearly anything.
        raise InputError(
            f"--project must be an image that can be read, got {file}: {images.reason(error)}"
        ) from error
    height, width = picture.shape[:2]
    if (height, width) == (resolution, resolution):
        return picture
    tell(
        f"{file} is {width} x {height} px: cropped to its middle and resized to {resolution} px"
        if height != width
        else f"{file} is {width} px: resized to {resolution} px"
    )
    return images.to_square(picture, resolution, "center")


def run(
    sampler: Sampler,
    style: Style,
    file: epath.PathLike,
    out: epath.PathLike | None,
    steps: int = 1000,
    seed: int = 0,
) -> None:
    """Projects an image, and writes what was found.

    `out` gets `projected_w.npz` (`w` [1, layers, w], as the published tool has it, and the noise
    maps), `target.png`, `projection.png`, `side_by_side.png` and the way there as a film,
    `projection.mp4`, or `.webp` without the extra `video`.

    Raises:
        InputError: no StyleGAN2, no `out`, an image that cannot be read, or no weights of VGG16.
    """
    config, variables = sampler.config, sampler.variables
    if config.model.name != "stylegan2":
        raise InputError(f"--project needs the run of a stylegan2, got a {config.model.name}")
    if not out:
        raise InputError("--project must have a folder for what it finds, --out, got none")
    generator = sampler.generator
    picture = read(file, config.data.resolution, print)
    distance = lpips.load()
    found = project(
        sampler, picture, steps, seed=seed, label=style.label, distance=distance, tell=print
    )
    variables = {**variables, "batch_stats": found.noise}
    synthesise = stylegan2.make_synthesise(generator, "const")

    def drawn(w: np.ndarray) -> Picture:
        ws = np.broadcast_to(w, (1, generator.num_ws, w.size))
        return np.asarray(synthesise(variables, ws, np.zeros(1, np.uint32)))[0]

    folder = epath.Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    final = drawn(found.w)
    for name, image in {
        "target": picture,
        "projection": final,
        "side_by_side": grid(np.stack([picture, final])),
    }.items():
        checked_files.write(folder / f"{name}.png", png(image))
    named = jax.tree_util.tree_leaves_with_path(found.noise)
    arrays: dict[str, Any] = {
        "/".join(e.key for e in path): np.asarray(x) for path, x in named if x.ndim == 2
    }
    arrays["w"] = np.broadcast_to(found.w, (1, generator.num_ws, found.w.size))
    with (folder / "projected_w.npz").open("wb") as npz:
        np.savez(npz, **arrays)
    film = folder / f"projection{'.mp4' if video.has_mp4() else '.webp'}"
    frames = found.path[:: -(-steps // FRAMES)]
    video.write((grid(np.stack([picture, drawn(w)])) for w in [*frames, found.w]), film, last=30)
    print(f"distance {found.distances[-1]:.3f} after {steps:,} steps: {folder}")
