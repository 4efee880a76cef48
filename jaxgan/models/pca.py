"""The generator that is not trained: a normal distribution on the images' principal components.

It costs seconds and is what a GAN must beat. All goes by the matrix of inner products of the n
pictures (Turk and Pentland, Eigenfaces for Recognition, 1991), so that the resolution matters
little, and images are read block by block. With mirrors the 2 n images are the sum of a part
that is even and a part that is odd from left to right, whose components are found apart: two
matrices of n by n instead of one of 2 n by 2 n, and as many kinds of faces turned left as right.

References:
    Tipping and Bishop, Probabilistic Principal Component Analysis, 1999.
"""

import io
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from etils import epath
from jaxtyping import Array, Float32, Float64, Int, Integer, UInt8

from jaxgan.data.folder import Source
from jaxgan.errors import FileError, InputError
from jaxgan.system import checked_files, paths
from jaxgan.types import Images, Latents

LEAST = 3  # Images: two have one component, and none can be held out.
MOST = 2000  # Images that are looked at, evenly spaced: time grows with the cube.
FOLDS = 4  # In which the number of components is chosen.
MEMORY = 2**30  # Bytes of images that are held at a time.
STRIPE = 2**26  # Bytes of them as float64.

Matrix = Float64[np.ndarray, "n n"]


class Fit(NamedTuple):
    """What is drawn from; images are in [0, 255].

    Attributes:
        mean: the mean image [r, r, 3], float32.
        components: orthonormal images [k, r, r, 3], the most important first, float32.
        variances: of the images along each component [k], divided by their number less one.
        noise: the mean variance along a direction that is no component's: sigma^2.
    """

    mean: np.ndarray
    components: np.ndarray
    variances: np.ndarray
    noise: np.ndarray


class _Basis(NamedTuple):
    """Components as weights of images, the most important first.

    `odd` ones are those of the differences of images and their mirrors.
    """

    values: Float64[np.ndarray, " k"]  # Squared lengths: variances times the count less one.
    weights: Float64[np.ndarray, "n k"]
    odd: np.ndarray


def fit(
    source: Source, components: int | float | None = None, mirror: bool = True, memory: int = MEMORY
) -> Fit:
    """Return the components of a class's images.

    Args:
        source: images of one class; of more than `MOST` so many are taken, evenly spaced.
        components: how many; below 1, as few as hold this share of the variance; None: see
            `choose`.
        mirror: whether each image's mirror is one of the images.
        memory: bytes of images that are held at a time; more blocks cost more reading.

    Raises:
        InputError: fewer than three images, images that are all alike or all of one colour, or
            more components than images (with their mirrors) less one.
    """
    if len(source) < LEAST:
        raise InputError(f"principal components need {LEAST} images or more, got {len(source)}")
    taken = np.linspace(0, len(source) - 1, min(len(source), MOST)).round().astype(int)
    count = len(taken) * (1 + mirror)
    check_components(components, count, mirror)
    size = max(1, memory // (2 * source.resolution**2 * 3))
    parts = [taken[i : i + size] for i in range(0, len(taken), size)]
    grams = _grams(source, parts, mirror)
    basis = _basis([_centred(grams[0]), *grams[1:]])
    pixels = source.resolution**2 * 3
    if not len(basis.values):
        raise InputError(f"images must differ, and all {len(source)} are alike")
    if components is None:
        k = choose(grams, pixels)
    elif components < 1:
        shares = np.cumsum(basis.values) / basis.values.sum()
        k = int(np.searchsorted(shares, components)) + 1
    else:
        k = int(components)
    k = min(k, len(basis.values))
    scale = (1 + mirror) / (count - 1)
    mean, found = _pictures(source, parts, basis, k, mirror)
    noise = scale * basis.values[k:].sum() / max(1, pixels - k)
    variances = (scale * basis.values[:k]).astype(np.float32)
    return Fit(mean, found, variances, np.array([noise], np.float32))


def check_components(components: int | float | None, count: int, mirror: bool) -> None:
    """Refuse a number of components that cannot be.

    Args:
        components: see `fit`.
        count: images, with their mirrors.
        mirror: whether these are counted.

    Raises:
        InputError: more components than images less one; or no whole number and no share.
    """
    if components is None or 0 < components < 1:
        return
    if not 1 <= components < count or components != int(components):
        raise InputError(
            f"components must be within [1, {count - 1}], the images"
            f"{' and mirrors' * mirror} less one, or a share of the variance within (0, 1), "
            f"got {components:g}"
        )


def choose(grams: Sequence[Matrix], pixels: int) -> int:
    """Return the number of components under which images left out are likeliest.

    By probabilistic PCA: normal along the components, and of one variance along all others.

    Args:
        grams: inner products of the images' even and odd parts, or of the images.
        pixels: values an image.

    References:
        Tipping and Bishop, 1999, eq. 4, 7 and 8.
    """
    n = len(grams[0])
    folds = np.arange(n) % min(FOLDS, n)
    found = [
        _likelihoods(grams, np.flatnonzero(folds != fold), np.flatnonzero(folds == fold), pixels)
        for fold in range(min(FOLDS, n))
    ]
    least = min(map(len, found))  # Where images repeat, a fold has fewer components.
    return int(np.argmax(sum(each[:least] for each in found))) + 1 if least else 1


def _likelihoods(
    grams: Sequence[Matrix],
    inside: Int[np.ndarray, " m"],
    outside: Int[np.ndarray, " l"],
    pixels: int,
) -> Float64[np.ndarray, " k"]:
    """Of the images outside, twice the logarithm and less a constant, for 1, 2 ... components."""
    own = [gram[np.ix_(inside, inside)] for gram in grams]
    across = [gram[np.ix_(outside, inside)] for gram in grams]
    lengths = sum(np.diag(gram)[outside] for gram in grams)
    means = own[0].mean(axis=0)
    lengths = lengths - 2 * across[0].mean(axis=1) + means.mean()
    across[0] = across[0] - across[0].mean(axis=1, keepdims=True) - means + means.mean()
    basis = _basis([_centred(own[0]), *own[1:]])
    seen = np.where(basis.odd, across[-1] @ basis.weights, across[0] @ basis.weights) ** 2
    variances = basis.values[:-1] / len(inside)  # One is left for the rest.
    k = np.arange(1, len(variances) + 1)
    rest = (basis.values.sum() / len(inside) - np.cumsum(variances)) / (pixels - k)
    seen = seen[:, :-1]
    beyond = lengths[:, None] - np.cumsum(seen, axis=1)
    terms = np.cumsum(np.log(variances)) + (pixels - k) * np.log(rest)
    return -(terms + np.cumsum(seen / variances, axis=1) + beyond / rest).sum(axis=0)


def _basis(grams: Sequence[Matrix]) -> _Basis:
    values, weights, odd = [], [], []
    for i, gram in enumerate(grams):
        found, vectors = np.linalg.eigh(gram)
        values.append(found)
        weights.append(vectors)
        odd.append(np.full(len(found), i == 1))
    v, w, o = np.concatenate(values), np.concatenate(weights, axis=1), np.concatenate(odd)
    largest = max(v.max(), 0.0)
    order = np.argsort(-v, kind="stable")
    order = order[v[order] > max(1e-10 * largest, 1e-3)]  # Levels squared: rounding is below it.
    return _Basis(v[order], w[:, order] / np.sqrt(v[order]), o[order])


def _centred(gram: Matrix) -> Matrix:
    means = gram.mean(axis=0)
    return gram - means[None] - means[:, None] + means.mean()


def _read(source: Source, part: Int[np.ndarray, " b"]) -> UInt8[np.ndarray, "b r r 3"]:
    return np.stack([source[int(i)]["image"] for i in part])


def _stripes(count: int, resolution: int) -> Iterator[slice]:
    """Rows of so many images, as many as `STRIPE` allows."""
    rows = max(1, STRIPE // (count * resolution * 3 * 8))
    return (slice(i, i + rows) for i in range(0, resolution, rows))


def _flat(images: UInt8[np.ndarray, "b h w 3"]) -> np.ndarray:
    return images.reshape(len(images), -1).astype(np.float64) - 127.5


def _grams(source: Source, parts: Sequence[np.ndarray], mirror: bool) -> list[Matrix]:
    """Inner products of the images, or of their even and odd parts, block by block."""
    starts = np.cumsum([0, *map(len, parts)])
    plain, turned = (np.zeros((starts[-1], starts[-1])) for _ in range(2))
    plain_colour = True
    for a, part in enumerate(parts):
        one = _read(source, part)
        plain_colour = plain_colour and bool((one == one[:, :1, :1]).all())
        for b in range(a, len(parts)):
            other = one if a == b else _read(source, parts[b])
            here = np.s_[starts[a] : starts[a + 1], starts[b] : starts[b + 1]]
            for rows in _stripes(max(len(one), len(other)), source.resolution):
                x, y = _flat(one[:, rows]), _flat(other[:, rows])
                plain[here] += x @ y.T
                if mirror:
                    turned[here] += x @ _flat(other[:, rows, ::-1]).T
            for gram in (plain, turned):
                gram[here[::-1]] = gram[here].T
    if plain_colour:
        raise InputError(f"images must show something, and all {len(source)} are of one colour")
    return [(plain + turned) / 2, (plain - turned) / 2] if mirror else [plain]


def _pictures(
    source: Source, parts: Sequence[np.ndarray], basis: _Basis, k: int, mirror: bool
) -> tuple[Float32[np.ndarray, "r r 3"], Float32[np.ndarray, "k r r 3"]]:
    """Return the mean, and the first `k` components: sums of images by their weights."""
    r, n = source.resolution, len(basis.weights)
    weights = basis.weights[:, :k] - basis.weights[:, :k].mean(axis=0) * ~basis.odd[:k]
    weights = np.concatenate([np.full((n, 1), 1 / n), weights], axis=1).T
    found = np.zeros((k + 1, r, r, 3), np.float32)
    start = 0
    for part in parts:
        images = _read(source, part)
        mine = weights[:, start : start + len(part)]
        for rows in _stripes(len(part) + k, r):
            stripe = images[:, rows]
            found[:, rows] += (mine @ _flat(stripe)).reshape(k + 1, *stripe.shape[1:])
        start += len(part)
    found[0] += 127.5
    if mirror:
        odd = np.concatenate([[False], basis.odd[:k]])[:, None, None, None]
        for rows in _stripes(k + 1, r):
            turned = found[:, rows, ::-1]
            found[:, rows] = (found[:, rows] + np.where(odd, -turned, turned)) / 2
    return found[0], found[1:]


@partial(jax.jit, static_argnums=1)
def _latents(seeds: Integer[Array, " b"], size: int) -> Float32[Array, "b k"]:
    return jax.vmap(lambda s: jax.random.normal(jax.random.key(s), (size,)))(seeds)


def draw(
    fit: Fit, seeds: Sequence[int] | Integer[Array | np.ndarray, " b"], shrink: float = 0.0
) -> UInt8[np.ndarray, "b r r 3"]:
    """Return the image of each seed: the mean, and each component as much as a normal number says.

    Image by image, so that a seed's does not depend on the others to the last bit.

    Args:
        fit: the components.
        seeds: below 2**32; a seed's numbers are those that `sample.latents` has.
        shrink: the share of the noise's variance that is taken off each component's; at 1 what is
            drawn is the signal of probabilistic PCA (Tipping and Bishop, eq. 7).
    """
    deviations = np.sqrt(np.maximum(fit.variances - shrink * fit.noise, 0)).astype(np.float32)
    numbers = np.asarray(_latents(jnp.asarray(np.asarray(seeds, np.uint32)), len(deviations)))
    flat = fit.components.reshape(len(deviations), -1)
    images = np.empty((len(numbers), *fit.mean.shape), np.uint8)
    for i, row in enumerate(numbers * deviations):
        drawn = fit.mean + (row @ flat).reshape(fit.mean.shape)
        images[i] = np.clip(np.round(drawn), 0, 255)
    return images


class Generator(nn.Module):
    """Latents to images, as any generator does; its weights are a `Fit`.

    Attributes:
        resolution: of the images.
        latent_dim: the number of components.
        shrink: see `draw`.
    """

    resolution: int
    latent_dim: int
    shrink: float = 0.0

    @nn.compact
    def __call__(self, latents: Latents, train: bool = False) -> Images:
        """Draw images [b, resolution, resolution, 3], black and white at -1 and 1 or beyond."""
        shape, zeros = (self.resolution, self.resolution, 3), nn.initializers.zeros
        mean = self.param("mean", zeros, shape)
        components = self.param("components", zeros, (self.latent_dim, *shape))
        variances = self.param("variances", zeros, (self.latent_dim,))
        noise = self.param("noise", zeros, (1,))
        deviations = jnp.sqrt(jnp.maximum(variances - self.shrink * noise, 0))
        flat = components.reshape(self.latent_dim, -1)
        drawn = (latents * deviations[None]) @ flat
        return (mean[None] + drawn.reshape(-1, *shape)) / 127.5 - 1


def save(fit: Fit, file: epath.PathLike) -> None:
    """Write one .npz, whole or not at all."""
    file = epath.Path(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    np.savez(buffer, **fit._asdict())
    checked_files.write(file, buffer.getvalue())


def load(file: epath.PathLike) -> Fit:
    """Return what `save` wrote.

    Raises:
        FileError: it is damaged; a .npz has checksums.
    """
    data = paths.check_plain(epath.Path(file)).read_bytes()
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as found:
            return Fit(**{name: found[name] for name in Fit._fields})
    except Exception as error:  # zipfile, zlib and NumPy have many.
        raise FileError(
            f"{file} must be as it was written, and is damaged: delete it and run the same command "
            f"again"
        ) from error
