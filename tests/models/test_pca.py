"""What trains nothing: components by inner products, pictures by seeds."""

import time
from pathlib import Path

import numpy as np
import pytest

from jaxgan import recipes
from jaxgan.config import loading as configs
from jaxgan.data.folder import FolderSource
from jaxgan.errors import InputError
from jaxgan.experiment.stages.principal_components import principal
from jaxgan.models import pca
from jaxgan.sampling import export, files, sample, stylegan2, video
from jaxgan.training import run as training


class Pictures:
    """A source of one class, in memory."""

    def __init__(self, images: np.ndarray):
        self.images, self.resolution = images, images.shape[1]
        self.classes, self.labels = ("cat",), np.zeros(len(images), np.int32)
        self.names = tuple(f"{i}.png" for i in range(len(images)))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict:
        return {"image": self.images[index], "label": self.labels[index]}


def pictures(n: int = 40, side: int = 8, kinds: int = 4, noise: float = 2) -> Pictures:
    """Near a subspace of `kinds` dimensions, away from black and white."""
    rng = np.random.default_rng(n + side)
    shapes = rng.normal(size=(kinds, side, side, 3)) * np.arange(kinds, 0, -1)[:, None, None, None]
    x = np.tensordot(rng.normal(size=(n, kinds)), 4 * shapes, 1) + noise * rng.normal(
        size=(n, side, side, 3)
    )
    return Pictures(np.clip(128 + x, 0, 255).round().astype(np.uint8))


def with_mirrors(source: Pictures) -> Pictures:
    return Pictures(np.concatenate([source.images, source.images[:, :, ::-1]]))


def covariance(fit: pca.Fit) -> np.ndarray:
    v = fit.components.reshape(len(fit.components), -1)
    return (v.T * fit.variances) @ v


@pytest.mark.parametrize("mirror", [False, True])
def test_all_components_have_the_mean_and_covariance_of_the_pictures(mirror: bool) -> None:
    source = pictures(12)
    fit = pca.fit(source, 12 * (1 + mirror) - 1, mirror)
    all_of_them = with_mirrors(source).images if mirror else source.images
    flat = all_of_them.reshape(len(all_of_them), -1).astype(float)
    np.testing.assert_allclose(fit.mean.ravel(), flat.mean(0), atol=1e-3)
    np.testing.assert_allclose(covariance(fit), np.cov(flat.T), atol=1e-2)
    x = flat - fit.mean.ravel()
    v = fit.components.reshape(len(fit.components), -1)
    np.testing.assert_allclose(x @ v.T @ v, x, atol=1e-2)  # What they were found in, they rebuild.
    np.testing.assert_allclose(v @ v.T, np.eye(len(v)), atol=1e-4)
    assert (np.diff(fit.variances) <= 0).all()


def test_with_mirrors_a_component_is_even_or_odd() -> None:
    fit = pca.fit(pictures(), 9)
    np.testing.assert_array_equal(fit.mean, fit.mean[:, ::-1])
    for component in fit.components:
        turned = component[:, ::-1]
        assert np.array_equal(turned, component) or np.array_equal(turned, -component)


def test_many_pictures_have_the_mean_and_covariance_of_the_fit() -> None:
    fit = pca.fit(pictures(), 4)
    drawn = pca.draw(fit, range(4000)).reshape(4000, -1).astype(float)
    assert np.abs(drawn.mean(0) - fit.mean.ravel()).max() < 5 * drawn.std(0).max() / 4000**0.5
    gap = np.linalg.norm(np.cov(drawn.T) - covariance(fit)) / np.linalg.norm(covariance(fit))
    assert gap < 0.1


def test_the_picture_of_a_seed_is_its_own() -> None:
    fit = pca.fit(pictures(), 5)
    together = pca.draw(fit, [7, 0, 2**32 - 1])
    alone = [pca.draw(fit, [seed])[0] for seed in (7, 0, 2**32 - 1)]
    np.testing.assert_array_equal(together, alone)
    assert len({x.tobytes() for x in alone}) == 3


def test_its_numbers_are_those_of_every_generator() -> None:
    fit = pca.fit(pictures(), 5)
    numbers = np.asarray(sample.latents(np.arange(3, dtype=np.uint32), 5))
    theirs = fit.mean + np.tensordot(numbers * np.sqrt(fit.variances), fit.components, 1)
    assert np.abs(np.clip(theirs, 0, 255) - pca.draw(fit, range(3))).max() < 0.51


def test_the_signal_varies_less_by_the_noise() -> None:
    fit = pca.fit(pictures(noise=20), 3)
    less = pca.draw(fit, range(500), shrink=1.0).reshape(500, -1).astype(float)
    same = pca.draw(fit, range(500)).reshape(500, -1).astype(float)
    lost = same.var(0).sum() - less.var(0).sum()
    assert lost == pytest.approx(3 * float(fit.noise[0]), rel=0.2)


@pytest.mark.parametrize("mirror", [False, True])
def test_block_by_block_is_the_same(mirror: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    source = pictures(11)
    whole = pca.fit(source, 6, mirror)
    monkeypatch.setattr(pca, "STRIPE", 4 * 8 * 3 * 8 * 2)  # Two rows of four pictures.
    streamed = pca.fit(source, 6, mirror, memory=8 * 8 * 3 * 2 * 4)
    assert np.abs(whole.mean - streamed.mean).max() < 1e-4
    np.testing.assert_allclose(covariance(whole), covariance(streamed), atol=1e-3)
    np.testing.assert_allclose(whole.variances, streamed.variances, rtol=1e-6)


@pytest.mark.parametrize("mirror", [False, True])
def test_finds_the_number_of_components(mirror: bool) -> None:
    source = pictures(120, noise=3)
    if mirror:  # Even pictures: their mirrors add no component.
        source.images[:, :, 4:] = source.images[:, :, 3::-1]
    assert len(pca.fit(source, mirror=mirror).components) == 4


def test_likelihood_is_that_of_the_normal_density() -> None:
    x = pictures(20, side=3, kinds=2).images.reshape(20, -1).astype(float)
    inside, outside = np.arange(15), np.arange(15, 20)
    ours = pca._likelihoods([x @ x.T], inside, outside, 27)
    mean, own = x[:15].mean(0), np.cov(x[:15].T, bias=True)
    values, vectors = (a[..., ::-1] for a in np.linalg.eigh(own))
    for k in (1, 2, 5):
        noise = values[k:].sum() / (27 - k)
        c = (vectors[:, :k] * values[:k]) @ vectors[:, :k].T
        c += noise * (np.eye(27) - vectors[:, :k] @ vectors[:, :k].T)
        y = x[15:] - mean
        density = -5 * np.linalg.slogdet(c)[1] - np.sum(y * np.linalg.solve(c, y.T).T)
        assert ours[k - 1] == pytest.approx(density, rel=1e-6)


@pytest.mark.slow
def test_fifty_pictures_of_512_px_take_seconds() -> None:
    images = np.random.default_rng(0).integers(0, 256, (50, 512, 512, 3), dtype=np.uint8)
    begin = time.process_time()
    fit = pca.fit(Pictures(images))
    assert pca.draw(fit, range(4)).shape == (4, 512, 512, 3)
    assert time.process_time() - begin < 60


def test_kept_as_it_was(tmp_path: Path) -> None:
    fit = pca.fit(pictures(), 5)
    pca.save(fit, tmp_path / "new" / "pca.npz")
    for one, other in zip(fit, pca.load(tmp_path / "new" / "pca.npz"), strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["pca.npz"]


def flat(*levels: int) -> Pictures:
    return Pictures(np.array(levels, np.uint8)[:, None, None, None].repeat(8, 1).repeat(8, 2)
                    .repeat(3, 3))  # fmt: skip


def alike() -> Pictures:
    x = pictures(1).images.repeat(5, 0)
    return Pictures(x // 2 + x[:, :, ::-1] // 2)  # Its mirror is itself.


@pytest.mark.parametrize(
    ("source", "components", "words"),
    [
        (pictures(2), None, "3 images or more, got 2"),
        (flat(1, 2, 3), None, "all 3 are of one colour"),
        (alike(), None, "all 5 are alike"),
        (pictures(5), 10, r"within \[1, 9\].*got 10"),
        (pictures(5), 0, r"within \[1, 9\].*got 0"),
    ],
)
def test_refuses(source: Pictures, components: int | None, words: str) -> None:
    with pytest.raises(InputError, match=words):
        pca.fit(source, components)


def test_three_pictures_are_enough() -> None:
    assert pca.draw(pca.fit(pictures(3), mirror=False), [1]).shape == (1, 8, 8, 3)


def test_an_experiment_keeps_components_and_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = pictures()
    first = principal(source, [5, 2, 9], tmp_path)
    fit = pca.load(next(tmp_path.glob("pca-*.npz")))
    for record, expected in zip(first, pca.draw(fit, [5, 2, 9]), strict=True):
        np.testing.assert_array_equal(record["image"], expected)
    assert len(FolderSource(tmp_path / "pictures", 8)) == 3
    assert "seed00000002.png" in (tmp_path / "pictures" / "manifest.jsonl").read_text()
    calls = []
    monkeypatch.setattr(pca, "fit", lambda s: calls.append(s))
    again = principal(source, [5, 2, 9], tmp_path)
    assert not calls and again.names == first.names


def test_a_share_of_the_variance_takes_as_few_as_hold_it() -> None:
    source = pictures(noise=20)
    whole = pca.fit(source, 79)
    shares = np.cumsum(whole.variances) / whole.variances.sum()
    for share in (0.3, 0.8, 0.95):
        k = len(pca.fit(source, share).variances)
        assert shares[k - 1] >= share - 1e-6 and (k == 1 or shares[k - 2] < share)


@pytest.mark.parametrize("components", [1.5, -0.2, 1e9])
def test_other_numbers_of_components_are_refused(components) -> None:
    with pytest.raises(InputError, match=r"or a share of the variance within \(0, 1\)"):
        pca.fit(pictures(5), components)


CONFIG = str(Path(__file__).parents[2] / "configs" / "pca64.py")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("pca") / "run"
    config = configs.load(CONFIG, test=True)
    config.model.components, config.model.shrink = 5.0, 0.5
    training.run(config, workdir)
    return workdir


def test_a_run_is_drawn_from_as_any_generator(run, tmp_path) -> None:
    sampler = sample.restore(run)
    fit = pca.Fit(**{k: np.asarray(v) for k, v in sampler.variables["params"].items()})
    images = np.stack(list(sample.images(sampler, [3, 9, 4], 2)))
    np.testing.assert_array_equal(images, pca.draw(fit, [3, 9, 4], 0.5))
    # Films, exports and whatever paints from latents have the module.
    generator = recipes.build_generator(sampler.config)
    paint = sample.make_paint(generator)
    painted = paint(sampler.variables, sampler.latents([3, 9, 4]))
    assert np.abs(np.asarray(painted).astype(int) - images).max() <= 1
    files.save(sampler, [1, 2], tmp_path / "out")
    assert len([*(tmp_path / "out").glob("*.png")]) == 2
    video.film(
        sampler, stylegan2.Style(), range(3), str(tmp_path / "film.gif"), None, 2, 10, "1x1", 4
    )
    export.run(sampler, run, tmp_path / "export")
    assert {p.name for p in (tmp_path / "export").iterdir()} == set(export.FILES)


def test_the_same_command_finds_nothing_anew_and_other_images_are_refused(run, monkeypatch) -> None:
    monkeypatch.setattr(pca, "fit", lambda *given: pytest.fail("fitted again"))
    config = configs.load(CONFIG, test=True)
    config.model.components, config.model.shrink = 5.0, 0.5
    training.run(config, run)
    config.data.limit = 9
    with pytest.raises(InputError, match="--workdir must be new"):
        training.run(config, run)
    assert (
        "5 components of 24 of 24 images at 16 px, and their mirrors, by model.components=5"
        in (run / "log.txt").read_text()
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data.limit": 1}, "need 3 images or more, got 2"),
        ({"model.components": 60.0}, r"within \[1, 47\].*got 60"),
        ({"model.components": -1.0}, "model.components must be above 0"),
        ({"model.shrink": 1.5}, r"model.shrink must be within \[0, 1\]"),
    ],
)
def test_bad_input_of_a_run(changes, words, tmp_path) -> None:
    config = configs.load(CONFIG, test=True)
    config.update_from_flattened_dict(changes)
    with pytest.raises(InputError, match=words):
        training.run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
