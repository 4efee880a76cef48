"""Which images are the same: exact copies, and near ones judged by the set that they are in.

Candidates have 17x17 outlines that correlate by more than SAME: re-encoding, resizing, brightness,
contrast, colour casts and loss of colour leave them so (0.91 and more were seen at JPEG quality 30
and at half the size). But so do different images that share a layout: digits, parts before a fixed
camera, X-rays. So the details of candidates are compared at 64 px, and copies are only those that
lie far nearer to each other than the set's ordinary neighbours do.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int64, Shaped, UInt8
from PIL import Image
from scipy import ndimage, special

from jaxgan.data import candidates, dataset
from jaxgan.data.candidates import Pairs, Vectors
from jaxgan.data.dataset import Source
from jaxgan.data.images import digest, outlines, square_of
from jaxgan.data.threads import in_threads
from jaxgan.errors import InputError

RULES = ("auto", "exact", "off")
SIDE = 64  # Pixels at which details are compared.
NEARER = 0.25  # Of the ordinary distance: a copy lies nearer.
CHANCE = 1e-5  # That the nearest neighbour of an image, which is none, lies as near as a copy.
SOME = 128  # Images that say what is ordinary.
RANKS = (8, 32, 50)  # The neighbour that is ordinary: n / 50, from 8 to 32; nearer may be copies.
LEAST = 3  # Below this rank nothing is ordinary, and copies lie within FEW.
FEW = 0.1
SHOWN = 3  # Groups in a sentence.
PRIOR = (8.0, 16.0)  # Of the dimension: weight and value, as though so much had been seen before.
# A Gaussian of one pixel.
BLUR = ndimage.gaussian_filter1d(np.eye(SIDE, dtype=np.float32), 1.0, axis=0, mode="nearest")

Digests = Sequence[bytes] | Shaped[np.ndarray, " n"]  # Bytes, or an array of type "V16", say.
Details = Float32[np.ndarray, "m 2048"]
# Of positions, sorted, the images' `detail`, in order.
Read = Callable[[Int64[np.ndarray, " m"]], Details]


class Duplicates(NamedTuple):
    """Which images are the same: `group[i]` is the first position of an image like `i`."""

    group: Int64[np.ndarray, " n"]
    digest: Digests  # By which groups are dealt out: of the files, or else of the pixels.
    rule: str = ""  # By which they were found, in words.
    copies: Int64[np.ndarray, " n"] | None = None  # `group`, where that has more: `data.groups`.


def parse(rule: str | float, name: str = "data.duplicates") -> str | float:
    """Return the rule that a setting names.

    Raises:
        InputError: it is neither one of RULES nor a number within (0, 1).
    """
    if rule in RULES:
        return rule
    try:
        number = float(rule)
    except ValueError:
        number = np.nan
    if not 0 < number < 1:
        raise InputError(
            f"{name} must be auto, exact, off or the likeness of copies within (0, 1), got {rule!r}"
        )
    return number


def sentence(found: Duplicates, name: Callable[[int], str]) -> str:
    """Return how many images are like another one, and by which rule."""
    group = found.group if found.copies is None else found.copies
    members = np.bincount(group, minlength=len(group))
    several = np.flatnonzero(members > 1)
    said = f"duplicates by {found.rule}: "
    if not len(several):
        return f"{said}none among {len(group):,} images"
    shown = "; ".join(
        " and ".join(map(name, np.flatnonzero(group == first)[:2].tolist()))
        for first in several[:SHOWN]
    )
    count = "1 group" if len(several) == 1 else f"{len(several):,} groups"
    return f"{said}{members[several].sum():,} images in {count}, such as {shown}"


def near_duplicates(source: Source, rule: str | float = "auto") -> Duplicates:
    """Find exact and near copies in a source; it is read once, and candidates twice.

    Args:
        source: images.
        rule: "auto", "exact" (equal pixels alone), "off", or how alike the details of copies are.

    Raises:
        InputError: no images, or no such rule.
    """
    rule = parse(rule)
    if not len(source):
        raise InputError("a split needs at least one image, the source has none")

    of = dataset.of(source)

    def look(index: int) -> tuple[bytes, np.ndarray]:
        image = of.image(index)
        return digest(image), outlines(image)

    digests, vectors = zip(*in_threads(look, len(of)), strict=True)
    found = group_copies(digests, np.array(vectors), reader(of), rule)
    # Those of files are the same at any resolution.
    return found if of.digests is None else found._replace(digest=of.digests)


def reader(*sources: Source) -> Read:
    """Read the `detail` of images of sources, one source after another."""
    every = [dataset.of(source) for source in sources]
    ends = np.cumsum([len(source) for source in every])

    def read(positions: Int64[np.ndarray, " m"]) -> Details:
        of = np.searchsorted(ends, positions, side="right")

        def one(k: int) -> np.ndarray:
            source = every[of[k]]
            index = int(positions[k] - ends[of[k]] + len(source))
            small = source.resolution < SIDE
            return detail(source.image_at(index, SIDE) if small else source.image(index))

        return np.stack([*in_threads(one, len(positions))])

    return read


def detail(image: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, " 2048"]:
    """Signed square roots of the slopes of the image at 64 px, slightly blurred, with norm 1."""
    im = square_of(Image.fromarray(image), SIDE, "stretch").convert("L")
    gray = BLUR @ np.asarray(im, np.float32) @ BLUR.T
    here = gray[:-1:2, :-1:2]
    slopes = np.stack([gray[:-1:2, 1::2] - here, gray[1::2, :-1:2] - here]).ravel()
    slopes = np.copysign(np.sqrt(np.abs(slopes)), slopes)
    return slopes / max(float(np.linalg.norm(slopes)), 1e-6)


def group_copies(
    digests: Digests, vectors: Vectors | None, read: Read | None = None, rule: str | float = "auto"
) -> Duplicates:
    """`near_duplicates` from what is known of the images.

    Each image's outlines are cut to BANDS x 16 signs of random projections; those that agree in a
    whole band are compared with their next WINDOW neighbours in it. So the work grows as n log n,
    and a pair at a correlation of 0.93 is missed once in a thousand times. Groups are stars: each
    image of one lies within the limit of the same image, so no chain leads from one to another.

    Args:
        digests: `images.digest` of each.
        vectors: `images.outlines` of each; None: only equal ones are found.
        read: gives the `detail` of some.
        rule: see `near_duplicates`.

    References:
        Charikar, Similarity estimation techniques from rounding algorithms, 2002.
    """
    if rule == "off":
        return Duplicates(np.arange(len(digests)), digests, "off")
    _, first, same = np.unique(np.asarray(digests), return_index=True, return_inverse=True)
    group = first[same]
    if rule == "exact" or vectors is None or read is None:
        unseen = "" if rule == "exact" else " (nobody looked at the images)"
        return Duplicates(group, digests, f"exact{unseen}")
    codes, flat = candidates.codes(vectors)
    kept = np.sort(first[~flat[first]])  # Exact copies and flat images add nothing.
    pairs, alike = candidates.alike(vectors, candidates.candidates(codes, kept))
    if rule == "auto":
        told = "auto, details far more alike than ordinary ones"
        if len(pairs):
            limit, ordinary, coarse = _limit(vectors, kept, read)
            pairs = pairs[alike > 1 - coarse]
            told = f"auto, likeness {1 - limit:.4g} or more (ordinary images: {1 - ordinary:.2f})"
    else:
        limit, told = 1 - float(rule), f"likeness {rule:g} or more"
    if len(pairs):
        near = pairs[_distances(read, pairs) < limit]
        while len(large := _large(near)) > 1:  # More than TOP copies may lie in several chains.
            pairs, _ = candidates.alike(vectors, candidates.candidates(codes, large))
            pairs = pairs[_distances(read, pairs) < limit]
            if not len(pairs):
                break
            near = np.concatenate([near, pairs])
        group = _stars(read, near, limit, len(group))[group]
    return Duplicates(group, digests, told)


def _limit(vectors: Vectors, kept: Int64[np.ndarray, " m"], read: Read) -> tuple[float, ...]:
    """Return how near copies lie, how far ordinary neighbours; and how near the outlines of copies
    lie.

    If distances d to neighbours grow as rank^(1/s), as those of points in a space of 2 s dimensions
    do, an image's nearest neighbour lies within x d of it with probability k x^s, d being that of
    the k-th. Few dimensions, like the position of a part, bring images that are no copies close
    together by chance; many, like those of photographs, do not.

    References:
        Levina and Bickel, Maximum Likelihood Estimation of Intrinsic Dimension, 2004.
    """
    least, most, part = RANKS
    count = min(max(least, min(most, len(kept) // part)), len(kept) - 1)
    if count < LEAST:
        return FEW, 1.0, 1.0
    some = np.sort(np.random.default_rng(0).permutation(kept)[:SOME])
    nearest, alike = candidates.nearest(vectors, some, kept, count)
    wanted, at = np.unique(np.concatenate([some, nearest.ravel()]), return_inverse=True)
    details = read(wanted)
    own, theirs = details[at[: len(some)]], at[len(some) :].reshape(nearest.shape)
    distance = 1 - np.stack([details[rows] @ one for one, rows in zip(own, theirs, strict=True)])
    distance = np.sort(np.maximum(distance, 1e-6), axis=1)
    last = distance[:, -1]
    # What is far nearer than the last may be copies: the first beyond them is ordinary.
    rank = np.minimum((distance <= NEARER * last[:, None]).sum(axis=1), count - 2)
    ordinary = float(np.median(last))
    weight, before = PRIOR
    asked = last > NEARER * ordinary  # Others have many copies.
    seen = weight + (special.psi(count) - special.psi(rank + 1))[asked].sum()
    first = distance[np.arange(len(some)), rank]
    grown = weight / before + np.log(last / first)[asked].sum()
    share = min(NEARER, (CHANCE / (count - 1)) ** (grown / seen))
    return share * ordinary, ordinary, NEARER * float(np.median(1 - alike[:, -1]))


def _distances(read: Read, pairs: Pairs) -> Float32[np.ndarray, " m"]:
    distances = np.zeros(len(pairs), np.float32)
    for some in candidates.blocks(len(pairs)):
        wanted, at = np.unique(pairs[some], return_inverse=True)
        details, at = read(wanted), at.reshape(-1, 2)
        for rows in candidates.blocks(len(at), 512):
            one, other = details[at[rows, 0]], details[at[rows, 1]]
            distances[some][rows] = 1 - np.einsum("nd,nd->n", one, other)
    return distances


def _chains(pairs: Pairs) -> list[Int64[np.ndarray, " m"]]:
    """Return the images of each chain of pairs, sorted."""
    from scipy.sparse import coo_array  # It takes a fifth of a second.
    from scipy.sparse.csgraph import connected_components

    if not len(pairs):
        return []
    members, ends = np.unique(pairs, return_inverse=True)
    graph = (np.ones(len(pairs), bool), ends.reshape(-1, 2).T)
    _, chain = connected_components(coo_array(graph, shape=(len(members), len(members))))
    order = np.argsort(chain, kind="stable")
    return np.split(members[order], np.flatnonzero(np.diff(chain[order])) + 1)


def _large(pairs: Pairs) -> Int64[np.ndarray, " m"]:
    """Return the first image of each chain of more than TOP."""
    return np.array([chain[0] for chain in _chains(pairs) if len(chain) > candidates.TOP], np.int64)


def _stars(read: Read, pairs: Pairs, limit: float, count: int) -> Int64[np.ndarray, " n"]:
    """Return the first image of each one's star: those that lie within the limit of the
    same image.
    """
    first = np.arange(count)
    degree = np.bincount(pairs.ravel(), minlength=count)
    chains = _chains(pairs)
    # Of two the second is like the first, which is known; more are looked at together.
    for one, other in (chain for chain in chains if len(chain) == 2):
        first[other] = one
    waiting: list[np.ndarray] = []
    for chain in [chain for chain in chains if len(chain) > 2] + [np.zeros(0, np.int64)]:
        waiting += [chain] * bool(len(chain))
        if waiting and (not len(chain) or sum(map(len, waiting)) >= candidates.BLOCK):
            rows = np.sort(np.concatenate(waiting))
            details = read(rows)
            for some in waiting:
                for star in _parted(details[np.searchsorted(rows, some)], degree[some], limit):
                    first[some[star]] = some[star].min()
            waiting = []
    return first


def _parted(
    details: Details, degree: Int64[np.ndarray, " m"], limit: float
) -> Iterator[Int64[np.ndarray, " k"]]:
    """Stars of a chain, the one around the image with most neighbours first."""
    left = np.arange(len(details))
    while len(left):
        middle = left[degree[left].argmax()]
        near = 1 - details[left] @ details[middle] < limit
        near[left == middle] = True
        yield left[near]
        left = left[~near]
