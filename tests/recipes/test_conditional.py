"""A refiner that is told the class: each has components of its own, and where one is trained."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.config import combinations
from jaxgan.config import loading as configs
from jaxgan.config.typed import parse
from jaxgan.data import dataset
from jaxgan.data.loader import Subset
from jaxgan.data.toy.animals import ToySource
from jaxgan.errors import InputError
from jaxgan.models.refiner import Generator
from jaxgan.training import fitting
from jaxgan.training.gan import settle_classes

DRIFTED = "configs/drifted64.py"


def settled(config, source):
    return config.changed(settle_classes(config.model, config.train, source))


def test_images_of_a_class_are_those_of_a_generator_with_its_components() -> None:
    sizes = {"resolution": 32, "latent_dim": 4, "channels": 8}
    both, one = Generator(num_classes=2, **sizes), Generator(**sizes)
    z = jax.random.normal(jax.random.key(0), (6, 4))
    labels = jnp.array([0, 1, 1, 0, 0, 1])
    shapes = jax.eval_shape(lambda key: both.init(key, z, False, labels), jax.random.key(1))
    keys = iter(jax.random.split(jax.random.key(2), 100))
    weights = jax.tree.map(lambda x: 0.1 * jax.random.normal(next(keys), x.shape), shapes)
    weights["batch_stats"] = jax.tree.map(lambda x: 1 + 0 * x, weights["batch_stats"])
    told = jax.jit(partial(both.apply, train=False))
    alone = jax.jit(partial(one.apply, train=False))
    images = told(weights, z, labels=labels)
    for label in range(2):
        own = {**weights, "pca": jax.tree.map(lambda x, k=label: x[k], weights["pca"])}
        mine = labels == label
        np.testing.assert_allclose(images[mine], alone(own, z[mine]), atol=1e-5)
    np.testing.assert_allclose(
        told(weights, z), told(weights, z, labels=jnp.arange(6) % 2), atol=1e-6
    )


@pytest.mark.parametrize(
    ("new", "conditional"),
    [
        ({}, True),
        ({"model.generator": "dcgan"}, False),
        ({"model.conditional": False}, False),
    ],
)
def test_one_generator_is_for_all_classes_where_it_fits(new, conditional) -> None:
    """And a class has as much of it as of one of its own."""
    config = parse(configs.load(DRIFTED, test=True)).changed({"train.kimg": 0.5} | new)
    found = settled(config, ToySource(32, count=8))
    assert found.model.conditional is conditional
    assert found.num_classes == (2 if conditional else 0)
    for name in ("batch_size", "positives", "kimg"):
        assert getattr(found.train, name) == getattr(config.train, name) * (1 + conditional)
    assert settled(found, ToySource(32, count=8)) == found


def test_one_class_or_many_have_a_generator_each() -> None:
    config = parse(configs.load(DRIFTED, test=True))
    toys = ToySource(32, count=10)
    for count in (1, 2, 4, 5):
        source = dataclasses.replace(
            dataset.of(toys),
            classes=tuple(map(str, range(count))),
            labels=np.arange(20, dtype=np.int32) % count,
        )
        assert settled(config, source).model.conditional is (1 < count < 5)


def test_unequal_classes_have_a_generator_each() -> None:
    config, source = parse(configs.load(DRIFTED, test=True)), ToySource(32, count=9)
    cats, dogs = (np.flatnonzero(source.labels == label) for label in (0, 1))
    for count, conditional in ((4, False), (5, True)):
        some = Subset(source, [*cats, *dogs[:count]])
        assert settled(config, some).model.conditional is conditional


def test_too_many_classes_for_a_batch_are_refused() -> None:
    config = parse(configs.load(DRIFTED, test=True)).changed({"model.conditional": True})
    with pytest.raises(InputError, match=r"train\.batch_size must be 4 or more for each of 2 clas"):
        settled(config.changed({"train.batch_size": 6}), ToySource(32, count=8))
    config = configs.load(DRIFTED, test=True)
    config.model.conditional, config.model.generator = True, "dcgan"
    with pytest.raises(InputError, match=r"must be False with config\.model\.generator d"):
        combinations.check_training(config)


def test_what_attracts_has_as_many_images_of_each_class() -> None:
    source = ToySource(32, count=9)
    taken = fitting._spread(source, 10, 2)
    assert np.bincount(source.labels[taken]).tolist() == [5, 5] and len(set(taken)) == 10
