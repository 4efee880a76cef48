"""A surplus, of which the best is kept: by a stand-in for VGG16, of a generator of colours."""

import dataclasses
import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from ml_collections import ConfigDict

from jaxgan.config import combinations, settings, typed
from jaxgan.config import loading as configs
from jaxgan.data import loader
from jaxgan.data.toy.animals import ToySource
from jaxgan.metrics import features
from jaxgan.metrics.features import Features
from jaxgan.metrics.networks import Classifier
from jaxgan.sampling import best_of_n, files, sample
from jaxgan.sampling.best_of_n import Judge
from jaxgan.training import run
from jaxgan.types import InputError

ROOT = Path(__file__).parents[2]


class Painter(nn.Module):
    """Paints the latent's first three numbers."""

    @nn.compact
    def __call__(self, latents, train):
        colour = jnp.tanh(latents[:, None, None, :3])
        return jnp.broadcast_to(colour, (len(latents), 8, 8, 3))


CONFIG = typed.PCA(data=settings.PCAData(resolution=8, crop="center", classes=("cat",)))
SAMPLER = sample.Sampler(CONFIG, 5, "abc", {"params": {}}, sample.make_draw(Painter(), 4))
REAL = ToySource(8, count=20)


def redness(variables, images):
    """A "classifier" that is surest of what is red."""
    red = jnp.asarray(images).astype(jnp.float32)[..., 0].mean((1, 2)) / 256 + 1e-3
    return jnp.log(jnp.stack([1 - red, red], axis=1))


def judge(label: str = "red", resolution: int = 8) -> Judge:
    data = settings.ClassifierData(resolution=resolution, classes=("blue", "red"))
    config = typed.Classifier(data=data)
    return Judge("runs/c", Classifier(config, 3, {}, redness), label)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    def means(weights, images):
        return images.reshape(len(images), -1).astype(jnp.float32)[:, ::7] / 255

    net = Features("means", 28, 8, "none", means, {}, "")
    monkeypatch.setattr(features, "vgg16", lambda size: net)
    monkeypatch.setattr(features, "available", lambda: True)


def test_the_best_are_kept_whatever_the_batches(stand_in, tmp_path: Path) -> None:
    seeds = range(100, 152)
    kept = best_of_n.keep_best(SAMPLER, seeds, 13, "realism", REAL)
    again = best_of_n.keep_best(SAMPLER, seeds, 13, "realism", REAL, batch_size=7)
    assert kept.seeds == again.seeds == sorted(kept.seeds) and len(kept.seeds) == 13
    assert [row["seed"] for row in kept.drawn] == list(seeds)
    scores = {row["seed"]: row["score"] for row in kept.drawn}
    assert [scores[seed] for seed in kept.seeds] == kept.scores
    left = [row["score"] for row in kept.drawn if not row["kept"]]
    assert len(left) == 39 and max(left) <= min(kept.scores)

    best_of_n.save(kept, tmp_path)
    files.save(SAMPLER, kept.seeds, tmp_path, scores=kept.scores)
    rows = [json.loads(row) for row in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    assert {row["seed"]: row["score"] for row in rows} == dict(
        zip(kept.seeds, kept.scores, strict=True)
    )
    about = json.loads((tmp_path / "selection.json").read_text())
    assert (about["by"], about["drawn"], about["kept"]) == ("realism", 52, 13)
    assert set(about["effect"]) >= {"precision", "recall", "class cat", "class dog"}
    assert len((tmp_path / "drawn.jsonl").read_text().splitlines()) == 52
    text = best_of_n.table(about)
    assert "kept 13 of 52" in text and "Fréchet (MEANS)" in text and "class dog" in text


def test_a_classifier_keeps_what_it_is_surest_of(stand_in) -> None:
    kept = best_of_n.keep_best(SAMPLER, range(40), 10, "classifier", REAL, judge(), batch_size=16)
    pictures = np.stack(list(sample.images(SAMPLER, range(40))))
    reddest = np.argsort(-pictures[:, 0, 0, 0].astype(int), kind="stable")[:10]
    assert kept.seeds == sorted(reddest.tolist())
    assert kept.about["classifier"] == {"workdir": "runs/c", "step": 3, "label": "red"}


def test_without_features_only_the_effect_is_missing(monkeypatch) -> None:
    monkeypatch.setattr(features, "available", lambda: False)
    kept = best_of_n.keep_best(SAMPLER, range(40), 10, "classifier", REAL, judge())
    assert len(kept.seeds) == 10 and "effect" not in kept.about
    assert "features" in best_of_n.table(kept.about)
    kept = best_of_n.keep_best(SAMPLER, range(40), 10, "none", REAL)
    assert kept.seeds == list(range(10))


def test_few_pictures_are_kept_without_telling_what_that_does(stand_in) -> None:
    kept = best_of_n.keep_best(SAMPLER, range(8), 2, "density", REAL)
    assert len(kept.seeds) == 2 and "12 and 24 real" in best_of_n.table(kept.about)


def test_bad_input_is_one_sentence(stand_in, tmp_path: Path) -> None:
    for one, rule in (
        (judge(resolution=16), "images of 8 px, as the generator's are, got 16 px"),
        (judge("green"), "class of the classifier, of blue, red, got 'green'"),
    ):
        with pytest.raises(InputError, match=rule):
            best_of_n.keep_best(SAMPLER, range(8), 2, "classifier", REAL, one)
    with pytest.raises(InputError, match="come with --classifier"):
        best_of_n.open_judge(None, None, CONFIG.data)
    with pytest.raises(InputError, match="from 1 to the 8 images drawn, got 9"):
        best_of_n.keep_best(SAMPLER, range(8), 9, "density", REAL)
    with pytest.raises(InputError, match="more than 3 images a side, got 2"):
        best_of_n.keep_best(SAMPLER, range(8), 2, "realism", loader.Subset(REAL, [1, 2]))


def learned(workdir: Path, config: ConfigDict | typed.GAN, source) -> None:
    """What training leaves in a run's folder."""
    configs.claim(workdir, config)
    about = {"data": run.describe_data(source)}
    (workdir / "run.json").write_text(json.dumps(about))


def test_real_pictures_are_those_that_the_run_learned_from(tmp_path: Path, monkeypatch) -> None:
    config = configs.load(str(ROOT / "configs" / "wgan512.py"), test=True)
    config.data.limit = 6
    source = run.open_source(typed.parse(config).data, config.seed)
    learned(tmp_path / "run", config, source)
    assert best_of_n.open_real(tmp_path / "run").names == source.names
    learned(tmp_path / "other", config, loader.Subset(source, [0, 1]))
    with pytest.raises(InputError, match="those of toy have changed: give others with --real"):
        best_of_n.open_real(tmp_path / "other")
    with pytest.raises(InputError, match="must be a folder of images, and nowhere is none"):
        best_of_n.open_real(tmp_path / "run", "nowhere")
    config.data.path = "nowhere"
    learned(tmp_path / "moved", config, source)
    with pytest.raises(InputError, match="nowhere does not exist: give others with --real"):
        best_of_n.open_real(tmp_path / "moved")

    sides = {"sides": np.array([0, 1, 2, 0]), "fractions": (0.5, 0.25, 0.25)}
    monkeypatch.setattr(
        loader,
        "open_source",
        lambda path, size, **_: dataclasses.replace(ToySource(size, count=2), **sides),
    )
    assert best_of_n.open_real(tmp_path / "run", "toy").names == (
        "toy/cat/000000",
        "toy/dog/000001",
    )


def test_those_of_an_experiment_are_its_training_pictures(tmp_path: Path) -> None:
    config = configs.load(str(ROOT / "configs" / "quickstart.py"), test=True)
    config.data.limit = 12
    whole = combinations.check_experiment(config)
    configs.claim(tmp_path, whole)
    seen = run.open_source(whole.data.at(whole.classifier.data.resolution), whole.seed)
    part = run.split(seen, whole.data.split).train
    dogs = part[seen.labels[part] == 1]
    pictures = run.open_source(whole.data.at(whole.gan.data.resolution), whole.seed)
    gan = whole.gan.changed({"data.classes": ["dog"]})
    learned(tmp_path / "gan" / "dog", gan, loader.Subset(pictures, dogs))
    found = best_of_n.open_real(tmp_path / "gan" / "dog")
    assert found.resolution == gan.data.resolution != seen.resolution
    assert found.names == tuple(seen.names[i] for i in dogs) and len(found) < 12
