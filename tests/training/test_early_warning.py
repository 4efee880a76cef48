"""A GAN beside principal components while it trains; and who may judge."""

import json
from pathlib import Path

import numpy as np
import pytest

from jaxgan.config import loading as configs
from jaxgan.config.typed import parse
from jaxgan.data.toy.animals import ToySource
from jaxgan.engine.log import read_metrics
from jaxgan.evaluation import folders
from jaxgan.metrics import features, judges
from jaxgan.training import early_warning, monitor, run
from jaxgan.types import InputError

CONFIG = str(Path(__file__).parents[2] / "configs" / "dcgan64.py")


def twin(**changes):
    config = configs.load(CONFIG, test=True)
    config.data.limit = 12  # Of each class.
    config.update_from_flattened_dict(changes)
    return config


@pytest.mark.parametrize("power", [0.0, 0.2, 1.5])
def test_what_falls_as_a_power_of_the_steps_is_foreseen(power) -> None:
    first, last, end = (7 * share**-power for share in early_warning.SHARES)
    assert early_warning.foreseen(first, last) == pytest.approx(end)
    assert early_warning.foreseen(3.0, 5.0) == 5.0  # What rises is not expected to go on rising.


def test_sentences() -> None:
    assert early_warning.sentence(0.3, 300, 143, 500, "alexnet").startswith(
        "WARNING: this GAN will not get better than principal components in this time: its samples "
        "lie 300 from real images, those of principal components 143 (alexnet, which no critic"
    )
    assert (
        early_warning.sentence(0.3, 200, 143, 500, "alexnet") is None
    )  # 200 * .4 ** 1.1 is below 143.
    assert early_warning.sentence(0.3, 300, 143, None, "alexnet") is None
    assert early_warning.sentence(0.1, 300, 143, None, "alexnet") is None
    assert "is no better than principal" in (
        early_warning.sentence(1.0, 150, 143, 500, "light") or ""
    )
    assert early_warning.sentence(1.0, 140, 143, 500, "light") is None


def test_looks_are_at_shares_of_the_steps() -> None:
    assert early_warning.steps(1000) == {100: 0.1, 300: 0.3, 1000: 1.0}
    assert early_warning.steps(29) == {} and list(early_warning.steps(30)) == [3, 9, 30]


def compared(draw, source=None, total=100):
    source = source or ToySource(16, count=20, classes=("cat",))
    lines: list[str] = []
    look = early_warning.make_early((), 0, source, draw, lines.append, total)
    rows: list[dict] = []
    for step in early_warning.steps(total):
        rows.append(look({"step": np.float32(step)}, step, rows))
    assert look({"step": np.float32(50)}, 50, rows) == {}
    return rows, lines


def test_noise_is_worse_than_principal_components_and_real_images_are_better() -> None:
    def noise(variables, seeds):
        rng = np.random.default_rng(np.asarray(seeds))
        return rng.integers(0, 256, (len(seeds), 16, 16, 3)).astype(np.uint8)

    rows, lines = compared(noise)
    assert all(row["early/distance"] > row["early/distance_pca"] > 0 for row in rows)
    assert len({row["early/distance_pca"] for row in rows}) == 1
    assert ["will not get better" in lines[0], "is no better than" in lines[1]] == [True, True]

    source = ToySource(16, count=20, classes=("cat",))

    def real(variables, seeds):
        some = (np.asarray(seeds, np.int64) - early_warning.SEEDS) % len(source)
        return np.stack([source[int(i)]["image"] for i in some])

    rows, lines = compared(real, source)
    assert all(row["early/distance"] < row["early/distance_pca"] for row in rows) and not lines
    assert rows[0]["early/diversity"] == pytest.approx(1, abs=0.15)


def test_images_that_are_all_alike_are_a_line() -> None:
    source = ToySource(16, count=20, classes=("cat",))
    image = source[0]["image"]
    one = [source[0] | {"image": np.maximum(image, image[:, ::-1])}] * 20  # As its mirror is.

    class Alike:
        names, labels, classes, resolution = source.names, source.labels, ("cat",), 16

        def __len__(self):
            return 20

        def __getitem__(self, i):
            return one[i]

    rows, lines = compared(lambda v, s: np.zeros((len(s), 16, 16, 3), np.uint8), Alike())
    assert not any(rows) and "not compared with principal components: " in lines[0]


def test_a_training_logs_its_looks(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(early_warning, "STEPS", 10)
    changes = {"train.steps": 10, "train.sample_every": 10, "train.checkpoint_every": 10}
    run.run(twin(**changes), tmp_path)
    rows = [row for row in read_metrics(tmp_path) if "early/distance" in row]
    assert [row["step"] for row in rows] == [1, 3, 10]
    assert {"early/distance_pca", "early/diversity"} <= set(rows[0])


@pytest.mark.parametrize(
    ("backbone", "seen", "judge"),
    [
        (None, (), "vgg16"),
        ("none", (), "vgg16"),
        ("vgg16", ("vgg16",), "alexnet"),
        ("alexnet", ("alexnet",), "vgg16"),
        (("vgg16", "alexnet"), ("vgg16", "alexnet"), "light"),
        ("vgg16+alexnet", ("vgg16", "alexnet"), "light"),
    ],
)
def test_what_a_critic_was_trained_on_does_not_judge(backbone, seen, judge, monkeypatch) -> None:
    monkeypatch.setattr(features, "available", lambda name="vgg16": True)
    config = twin(**{"evaluate.every": 1})
    with config.unlocked():
        config.critic = {"backbone": backbone}
    made = parse(config)
    assert judges.seen_by_critics(made.backbones, made.init_from) == seen
    assert monitor.settle(made.evaluate, seen) == {"evaluate.features": judge}


def test_a_run_that_begins_with_anothers_weights_has_its_critic_too(tmp_path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model": {"backbone": "vgg16"}}))
    assert judges.seen_by_critics((), str(tmp_path)) == ("vgg16",)
    assert judges.seen_by_critics((), str(tmp_path / "gone"), None) == ()


def test_equal_ones_are_refused_unless_asked(monkeypatch) -> None:
    monkeypatch.setattr(features, "available", lambda name="vgg16": name != "alexnet")
    monkeypatch.setattr(monitor, "_look", lambda *about: None)
    config = twin(**{"evaluate.every": 1, "evaluate.features": "vgg16"})
    words = "no critic of the run was trained on, such as light .*allow_seen=True.*got vgg16"
    with pytest.raises(InputError, match=words):
        monitor.check(config.evaluate, ("vgg16",), 16, 100)
    config.evaluate.allow_seen = True
    monitor.check(config.evaluate, ("vgg16",), 16, 100)


def test_samples_say_what_their_critic_was_trained_on(tmp_path) -> None:
    assert judges.of_folder(tmp_path) is None and judges.of_folder(tmp_path / "gone") is None
    for name, critic in (("cat", ["vgg16"]), ("dog", [])):
        (tmp_path / name).mkdir()
        row = json.dumps({"file": "a.png", "critic": critic})
        (tmp_path / name / "manifest.jsonl").write_text(f"{row}\n{row}\n")
    assert judges.of_folder(tmp_path) == ("vgg16",) and judges.of_folder(tmp_path / "dog") == ()
    words = r"--features must be .* such as .* \(--allow_seen takes .*, got vgg16"
    with pytest.raises(InputError, match=words):
        folders.evaluate(str(tmp_path / "real"), str(tmp_path), features="vgg16")
    assert "is not known" in judges.sentence("vgg16", None)
    assert "no evidence" in judges.sentence("vgg16", ("vgg16",))
    assert judges.sentence("alexnet", ("vgg16",)) == (
        "judged on alexnet; the generator's critic was trained on features of vgg16"
    )
