import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from scipy import stats

from jaxgan.augment import diffaugment
from jaxgan.steps import classifier, linear_probe, optimizers
from jaxgan.steps.state import AveragedState, ClassifierState, new_net


class Model(nn.Module):
    @nn.compact
    def __call__(self, images, train):
        return nn.Dense(3)(nn.relu(nn.Conv(4, (3, 3))(images)).reshape(len(images), -1))


class Parts(nn.Module):
    def setup(self):
        self.conv, self.norm, self.fc = nn.Conv(4, (3, 3)), nn.BatchNorm(), nn.Dense(3)

    def __call__(self, images, train):
        return self.head(self.trunk(images, train), train)

    def trunk(self, images, train=False):
        x = self.norm(self.conv(images), use_running_average=not train)
        return nn.relu(x).reshape(len(images), -1)

    def head(self, x, train):
        return self.fc(x)


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    return {
        "image": rng.integers(0, 256, (12, 8, 8, 3), np.uint8),
        "label": rng.integers(0, 3, 12, np.int32),
    }


def new(model, tx):
    variables = model.init(jax.random.key(0), jnp.zeros((1, 8, 8, 3)), True)
    return ClassifierState(jnp.int32(0), new_net(variables, tx))


def test_a_frozen_trunk_is_a_head_on_its_features(batch) -> None:
    """As many steps on pictures, and on their features, end at the same weights."""
    model, tx = (
        Parts(),
        optimizers.scaled(optimizers.sgd(0.1), lambda name: float(name.startswith("fc"))),
    )
    step = jax.jit(classifier.make_step(model, tx, frozen=True))
    probe = jax.jit(linear_probe.make_step(model, tx))
    begin = new(model, tx)
    images = classifier.to_float(jnp.asarray(batch["image"]))
    trunk = model.apply(begin.net.variables, images, method="trunk")
    features = batch | {"image": trunk[:, None]}
    by_pictures = by_features = begin
    for seed in range(3):
        by_pictures, metrics = step(by_pictures, batch, jax.random.key(seed))
        by_features, same = probe(by_features, features, jax.random.key(seed))
        assert float(metrics["loss"]) == pytest.approx(float(same["loss"]), rel=1e-6)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7),
        by_pictures.net.params,
        by_features.net.params,
    )
    for name in ("conv", "norm"):
        old, now = begin.net.params[name], by_pictures.net.params[name]
        jax.tree.map(np.testing.assert_array_equal, old, now)
    jax.tree.map(np.testing.assert_array_equal, begin.net.stats, by_pictures.net.stats)
    assert (begin.net.params["fc"]["kernel"] != by_pictures.net.params["fc"]["kernel"]).any()

    predict = classifier.make_predict(model)
    variables = by_pictures.net.variables
    np.testing.assert_allclose(
        predict(variables, batch["image"]), predict(variables, features["image"]), rtol=1e-5
    )


def test_views_are_picked_evenly() -> None:
    views = jnp.tile(jnp.arange(4.0)[None, :, None], (4000, 1, 2))
    picked = linear_probe.pick_view(views, jax.random.key(0))
    assert (picked[:, 0] == picked[:, 1]).all()
    counts = np.bincount(np.asarray(picked[:, 0], int), minlength=4)
    assert stats.chisquare(counts).pvalue > 0.01


def test_mixup_mixes_pictures() -> None:
    images = jax.random.normal(jax.random.key(0), (2000, 3))
    mixed, share = classifier.mix(images, 0.4, jax.random.key(1))
    others = jnp.arange(2000) + 1 - 2 * (jnp.arange(2000) % 2)
    want = share[:, None] * images + (1 - share[:, None]) * images[others]
    np.testing.assert_allclose(mixed, want, rtol=1e-5, atol=1e-6)
    assert stats.kstest(np.asarray(share), stats.beta(0.4, 0.4).cdf).pvalue > 0.01


def test_cutmix_swaps_a_rectangle() -> None:
    count, side = 2000, 8
    images = jnp.broadcast_to(
        jnp.arange(1.0, count + 1)[:, None, None, None], (count, side, side, 1)
    )
    mixed, share = classifier.cut_mix(images, 1.0, jax.random.key(1))
    own = np.asarray(mixed == images)[..., 0]
    np.testing.assert_allclose(share, own.mean((1, 2)), rtol=1e-6)
    partner = np.asarray(classifier.swap(images))[..., 0]
    assert (np.asarray(mixed)[..., 0][~own] == partner[~own]).all()
    for cut in ~own[:100]:  # What is swapped are some rows and some columns of it.
        np.testing.assert_array_equal(cut, cut.any(1)[:, None] & cut.any(0)[None])
    # Cut off at the border, a rectangle is smaller: E max(share) > 1/2.
    assert 0.5 < float(share.mean()) < 0.8 and (share < 0.3).any() and (share == 1).mean() < 0.1


def test_both_ways_to_mix_take_turns() -> None:
    images = jnp.arange(400.0)[:, None, None, None] * jnp.ones((1, 8, 8, 1))
    mixed, _ = classifier._mix(images, 0.4, 1.0, jax.random.key(0))
    blended = (mixed != images) & (mixed != classifier.swap(images))
    assert 0.4 < float(blended.any((1, 2, 3)).mean()) < 0.6


def test_noise_is_relative_to_each_feature() -> None:
    x = jax.random.normal(jax.random.key(0), (4000, 3)) * jnp.array([0, 1, 100.0])[None]
    added = classifier.add_noise(x, 0.5, jax.random.key(1)) - x
    np.testing.assert_allclose(added.std(0), [0, 0.5, 50], rtol=0.05)


@pytest.mark.parametrize("mixup", [0.0, 0.4])
def test_weights_of_one_are_no_weights(batch, mixup) -> None:
    model, tx = Model(), optimizers.sgd(0.1)
    state = new(model, tx)
    step = jax.jit(classifier.make_step(model, tx, mixup=mixup, label_smoothing=0.1))
    plain = step(state, batch, jax.random.key(0))
    ones = step(state, batch | {"weight": np.full(12, 0.7, np.float32)}, jax.random.key(0))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), plain, ones)


@pytest.mark.parametrize("microbatch", [None, 4])
def test_a_weight_of_nought_leaves_a_picture_out(batch, microbatch) -> None:
    model, tx = Model(), optimizers.sgd(0.1)
    state = new(model, tx)
    some = {name: x[:6] for name, x in batch.items()}
    alone, _ = jax.jit(classifier.make_step(model, tx))(state, some, jax.random.key(0))
    weight = np.repeat(np.float32([1, 0]), 6)
    step = jax.jit(classifier.make_step(model, tx, microbatch=microbatch))
    weighted, _ = step(state, batch | {"weight": weight}, jax.random.key(0))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
        alone.net.params,
        weighted.net.params,
    )


def test_a_mixed_picture_has_its_parts_weights() -> None:
    own, theirs = jnp.eye(2)[:1], jnp.eye(2)[1:]
    share, heavy, light = (jnp.array([x]) for x in (0.25, 3.0, 1.0))
    targets, total = classifier.weigh(share, own, theirs, heavy, light)
    np.testing.assert_allclose(targets * total[:, None], [[0.75, 0.75]], rtol=1e-6)
    targets, total = classifier.weigh(share, own, theirs, 0 * heavy, 0 * light)
    assert total[0] == 0 and np.isfinite(targets).all()


def test_averages_of_weights_and_statistics(batch) -> None:
    """They are what predicts, and follow `optimizers.average`."""
    model, tx = Parts(), optimizers.sgd(0.1)
    state = new(model, tx)
    assert state.variables["params"] is state.net.params
    state = AveragedState(state.step, state.net, state.net.variables)
    step = jax.jit(classifier.make_step(model, tx, ema_decay=0.9))
    want = state.ema
    for seed in range(3):
        before = state.step
        state, _ = step(state, batch, jax.random.key(seed))
        want = optimizers.average(state.net.variables, want, before, 0.9)
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)  # noqa: E731
    jax.tree.map(close, state.variables, want)
    assert (state.variables["params"]["fc"]["kernel"] != state.net.params["fc"]["kernel"]).any()


def test_mixups_loss_is_the_mean_of_both_labels(batch) -> None:
    """On equal pictures mixing changes only the labels."""
    model, tx = Model(), optax.sgd(0.0)
    batch["image"][:] = batch["image"][:1]
    state = new(model, tx)
    step = jax.jit(classifier.make_step(model, tx, mixup=0.4))
    _, metrics = step(state, batch, jax.random.key(0))
    image = classifier.to_float(jnp.asarray(batch["image"]))
    log_p = jax.nn.log_softmax(model.apply(state.net.variables, image, True))
    augment_key, _ = jax.random.split(jax.random.key(0))
    _, share = classifier.mix(image, 0.4, augment_key)
    others = classifier.swap(jnp.asarray(batch["label"]))
    rows = jnp.arange(12)
    losses = -share * log_p[rows, batch["label"]] - (1 - share) * log_p[rows, others]
    assert float(metrics["loss"]) == pytest.approx(float(losses.mean()), rel=1e-5)


def test_microbatches_change_nothing() -> None:
    """Flips and crops belong to the examples, whichever part of the batch they are in."""
    tx = optax.adam(1e-3)
    rng = np.random.default_rng(0)
    batch = {
        "image": rng.integers(0, 256, (12, 8, 8, 3), np.uint8),
        "label": rng.integers(0, 3, 12, np.int32),
    }
    variables = Model().init(jax.random.key(0), jnp.zeros((1, 8, 8, 3)), True)
    state = ClassifierState(jnp.int32(0), new_net(variables, tx))
    results = []
    for microbatch in (None, 6, 4):
        step = classifier.make_step(
            Model(),
            tx,
            augment=diffaugment.chain(diffaugment.flip(), diffaugment.crop()),
            microbatch=microbatch,
        )
        results.append(jax.device_get(jax.jit(step)(state, batch, jax.random.key(1))))
    for other in results[1:]:
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6), results[0], other
        )
