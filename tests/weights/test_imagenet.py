"""Published weights as a start, from files that a test writes."""

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

from jaxgan import recipes
from jaxgan.config import loading as configs
from jaxgan.config.typed import parse
from jaxgan.data.toy.animals import ToySource
from jaxgan.evaluation.classifier import evaluate_classifier
from jaxgan.recipes.classifier import HEADS
from jaxgan.training import frozen_features, run
from jaxgan.types import InputError
from jaxgan.weights import imagenet, torchvision

CONFIGS = __file__.rpartition("/")[0] + "/../../configs/"


def leaves(tree):
    return {
        tuple(entry.key for entry in path): x
        for path, x in jax.tree_util.tree_leaves_with_path(tree)
    }


def small(name, width):
    """A twin, narrow and without what pretrained weights are checked for."""
    config = configs.load(f"{CONFIGS}{name}.py", test=True)
    config.model.num_classes = 2
    config.model.width = width
    config.optim.trunk, config.optim.frozen = 1.0, ()
    return config


def write(config, file, classes=5):
    """A state dict in torchvision's names and layouts of a net with other classes."""
    other = config.copy_and_resolve_references()
    other.model.num_classes, other.model.hidden = classes, config.model.hidden
    net = recipes.build(other).init(jax.random.key(7)).net
    order = {4: (3, 2, 0, 1), 2: (1, 0)}
    tensors = {}
    for path, x in leaves(net.variables).items():
        name = torchvision.theirs(config.model.name, path[1:])
        if not name or x.ndim == 2:
            continue
        axes = order.get(x.ndim, range(x.ndim))
        tensors[name] = np.ascontiguousarray(np.asarray(x).transpose(axes))
    save_file(tensors, str(file))
    return net, tensors


def start(config, log):
    name, where = config.model.name, config.model.pretrained
    return imagenet.start(name, where, recipes.build(config), log)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(("googlenet", 0.0625), marks=pytest.mark.slow),
        ("vgg16_small", 1 / 64),
    ],
)
def case(request, tmp_path_factory):
    config = small(*request.param)
    file = tmp_path_factory.mktemp("weights") / "net.safetensors"
    net, tensors = write(config, file)
    config.model.pretrained = str(file)
    return config, net, tensors, file


def test_the_trunk_is_taken_and_the_head_begins_anew(case):
    config, net, _, _ = case
    told = []
    fresh = recipes.build(config).init(jax.random.key(0))
    begun = start(config, told.append)(fresh)
    before, after, there = (leaves(s.variables) for s in (fresh.net, begun.net, net))
    heads = HEADS[config.model.name]
    for path, x in after.items():
        want = before if path[1].startswith(heads) and x.ndim in (2, 1) else there
        if path[1].startswith(heads) and path in there and there[path].shape == x.shape:
            continue  # An auxiliary head's layers: either.
        np.testing.assert_array_equal(x, want[path], err_msg=str(path))
    assert "begun anew" in told[0] and "fc" in told[0]


def test_another_architecture_is_refused(case, tmp_path):
    config, _, tensors, _ = case
    name = next(n for n, x in tensors.items() if x.ndim == 4 and len(x) > 2 and "aux" not in n)
    bad = {k: v for k, v in tensors.items() if k != name}
    save_file(bad, str(tmp_path / "less.safetensors"))
    other = config.copy_and_resolve_references()
    other.model.pretrained = str(tmp_path / "less.safetensors")
    with pytest.raises(InputError, match=rf"must be of {config.model.name}, whose {name} is \["):
        imagenet.read(other.model.name, other.model.pretrained, recipes.build(other))
    bad = tensors | {name: tensors[name][:1]}
    save_file(bad, str(tmp_path / "shape.safetensors"))
    other.model.pretrained = str(tmp_path / "shape.safetensors")
    with pytest.raises(InputError, match=r"has \[1, .*there"):
        run.check_start(recipes.build(other), parse(other).model, None)


def test_frozen_views_are_the_trunks_features(case):
    config = case[0].copy_and_resolve_references()
    config.optim.trunk = 0.0
    config.train.augment = ("flip",)
    source = ToySource(32, count=3)
    found = frozen_features.look(parse(config), source, 4)
    begun = start(config, lambda text: None)(recipes.build(config).init(jax.random.key(0)))
    model = recipes.build_classifier(config)
    images = np.stack([source[i]["image"] for i in range(len(source))])
    trunk = jax.jit(lambda x: model.apply(begun.net.variables, x, method="trunk"))
    plain, mirrored = (
        np.asarray(trunk(x / np.float32(127.5) - 1)) for x in (images, images[:, :, ::-1])
    )
    assert found.images.shape == (len(source), 4, plain.shape[1])
    np.testing.assert_allclose(found.images[:, 0], plain, rtol=1e-4, atol=1e-5)
    kinds = set()
    for view in range(1, 4):
        errors = [abs(found.images[:, view] - x).max(1) for x in (plain, mirrored)]
        assert (np.minimum(*errors) < 1e-4).all()
        kinds |= {bool(a < b) for a, b in zip(*errors, strict=True)}
    assert kinds == {True, False}


@pytest.mark.slow
def test_trains_on_frozen_features(case, tmp_path):
    config = case[0].copy_and_resolve_references()
    config.model.num_classes = None
    config.optim.trunk = 0.0
    config.data.limit = 12
    run.run(config, tmp_path)
    net = evaluate_classifier(tmp_path, "toy", "test")
    assert net["accuracy"]["pictures"] > 0
