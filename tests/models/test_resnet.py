import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import recipes
from jaxgan.config import loading as configs
from jaxgan.models.resnet import STEMS, ResNet
from jaxgan.types import InputError
from jaxgan.weights import torchvision

KEY = jax.random.key(0)
CONFIG = __file__.rpartition("/")[0] + "/../../configs/resnet.py"


def count(params):
    return sum(math.prod(p.shape) for p in jax.tree.leaves(params))


def shapes(module, *size, train=False, **options):
    x = jax.ShapeDtypeStruct((2, *size, 3), jnp.float32)
    return jax.eval_shape(lambda key, x: module.init_with_output(key, x, train, **options), KEY, x)


def test_resnet18s_count_for_1000_classes():
    assert count(shapes(ResNet(1000), 32, 32)[1]["params"]) == 11_689_512


def test_torchvisions_names():
    """Each of ours has one of theirs, and no two the same."""
    variables = shapes(ResNet(5, hidden=(7,)), 32, 32)[1]
    paths = jax.tree_util.tree_leaves_with_path(variables)
    names = [torchvision.theirs("resnet", tuple(e.key for e in path[1:])) for path, _ in paths]
    assert names.count("") == 2  # Our hidden layer.
    assert len(set(names)) == len(names) - 1
    for name in (
        "bn1.running_var",
        "layer1.0.conv2.weight",
        "layer2.0.downsample.0.weight",
        "layer4.0.downsample.1.running_mean",
        "layer4.1.bn2.bias",
        "fc.weight",
    ):
        assert name in names


@pytest.mark.parametrize("stem", STEMS)
def test_any_size(stem):
    module = ResNet(7, blocks=(1, 1, 1, 1), width=0.5, stem=stem)
    for size in ((32, 32), (33, 47)):
        assert shapes(module, *size)[0].shape == (2, 7)
        assert shapes(module, *size, method="features")[0].shape == (2, 256)
    with pytest.raises(InputError, match="input must be at least 32 px, got 32 x 31"):
        shapes(module, 32, 31)


def test_small_pictures_keep_their_size_in_the_first_layer():
    config = configs.load(CONFIG)
    config.model.num_classes = 2
    config.model.stem = None
    for resolution, stem in ((32, "cifar"), (95, "cifar"), (96, "imagenet")):
        config.data.resolution = resolution
        assert recipes.build_classifier(config).stem == stem
    config.data.resolution, config.model.pretrained = 32, "imagenet"
    assert recipes.build_classifier(config).stem == "imagenet"


def test_training_moves_every_statistic_and_evaluation_none():
    module = ResNet(3, blocks=(1, 1, 1, 1), width=1 / 16, stem="cifar")
    images = jax.random.uniform(KEY, (4, 32, 32, 3), minval=-1)
    variables = jax.jit(lambda key: module.init(key, images, False))(KEY)
    run = jax.jit(
        lambda x, train: module.apply(variables, x, train, mutable=["batch_stats"]),
        static_argnums=1,
    )
    _, moved = run(images, True)
    for name in ("mean", "var"):
        for path, x in jax.tree_util.tree_leaves_with_path(moved["batch_stats"]):
            if path[-1].key == name:
                assert (x != float(name == "var")).any(), path
    logits, same = run(images, False)
    jax.tree.map(np.testing.assert_array_equal, same["batch_stats"], variables["batch_stats"])
    alone, _ = run(images.at[1:].set(0), False)
    np.testing.assert_allclose(alone[0], logits[0], rtol=1e-5, atol=1e-6)
