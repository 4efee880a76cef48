"""Classifiers whose trunk stays as it is: its features of every image are computed once."""

from collections.abc import Callable
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float, UInt8

from jaxgan import prng, recipes
from jaxgan.config.typed import Classifier
from jaxgan.data import dataset
from jaxgan.data.folder import Source
from jaxgan.data.loader import in_order
from jaxgan.types import to_float
from jaxgan.weights import imagenet

BATCH = 64


class Views:
    """A source whose "image" is what a trunk makes of some views of an image.

    Attributes:
        images: float32 [n, v, f]; the first view is the image as it is.
    """

    def __init__(self, source: Source, images: Float[np.ndarray, "n v f"]):
        self.classes, self.resolution = source.classes, source.resolution
        self.labels, self.names = source.labels, source.names
        self.unreadable = dataset.of(source).unreadable
        self.images = images

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict:
        return {"image": self.images[index], "label": self.labels[index]}


def look(config: Classifier, source: Source, views: int = 1) -> Views:
    """Return what the frozen trunk makes of each image, and of augmented views of it.

    Args:
        config: of a classifier whose trunk stays; its seed draws the augmentations.
        source: images.
        views: of each image: as it is, and so many less one as `train.augment` makes them.
    """
    assert config.model.pretrained is not None
    name, where = config.model.name, config.model.pretrained
    weights = imagenet.read(name, where, recipes.build(config))
    variables = {  # Without the head, which has no weights yet.
        kind: {name: x for name, x in layers.items() if _whole(x)}
        for kind, layers in weights.items()
    }
    policy = config.train.augment
    trunk = _make_trunk(recipes.build_classifier(config), policy, config.seed)
    rows, first = [], 0
    count = views if policy else 1
    for batch in in_order(source, BATCH):
        found = [
            np.asarray(trunk(variables, batch["image"], jnp.int32(first), jnp.int32(view)))
            for view in range(count)
        ]
        rows.append(np.stack(found, 1)[batch["mask"]])
        first += BATCH
    return Views(source, np.concatenate(rows))


@lru_cache  # Compiled once for all sources.
def _make_trunk(model: nn.Module, policy: tuple[str, ...], seed: int) -> Callable[..., Array]:
    """(variables, uint8 images, the first one's number, view) -> the trunk's features."""
    augment = recipes.build_augment(policy)

    @jax.jit
    def trunk(
        variables: dict, images: UInt8[Array, "b h w c"], first: Array, view: Array
    ) -> Float[Array, "b f"]:
        x = to_float(images)
        if augment is not None:
            key = jax.random.fold_in(jax.random.key(seed), view)
            keys = jax.vmap(jax.random.fold_in, (None, 0))(key, first + jnp.arange(len(x)))
            x = augment(x, (view > 0).astype(jnp.float32), prng.fold_in(keys, 0))
        return model.apply(variables, x, method="trunk")  # type: ignore[return-value]

    return trunk


def _whole(tree: object) -> bool:
    return all(x is not None for x in jax.tree.leaves(tree, is_leaf=lambda x: x is None))
