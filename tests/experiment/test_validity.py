"""Guards, each on what it must find and on what it must let pass."""

import io

import numpy as np
import pytest
from PIL import Image, ImageFilter
from scipy import special, stats

from jaxgan.data import loader
from jaxgan.data.toy.animals import ToySource
from jaxgan.experiment.design.arms import Arm
from jaxgan.experiment.validity import checks, leakage, likeness, shortcut
from jaxgan.metrics import features
from jaxgan.types import InputError

CLASSES = ("cat", "dog")


class Pictures:
    """Pictures of one class, as a source."""

    def __init__(self, images, label=0):
        self.images = list(images)
        self.classes: tuple[str, ...] = CLASSES
        self.resolution = len(self.images[0])
        self.labels = np.full(len(self.images), label, np.int32)
        self.names = tuple(f"made/{i}" for i in range(len(self.images)))

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        return {"image": self.images[i], "label": self.labels[i]}


def jpeg(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=75)
    return np.asarray(Image.open(file))


def resized(image):
    picture = Image.fromarray(image)
    return np.asarray(picture.resize((48, 48), 1).resize(picture.size, 1))


def blurred(image):
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(0.8)))


def reddish(image):
    return np.clip(image + np.array([25, 0, -15]), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module", autouse=True)
def light():
    """Whether VGG16's weights are installed or not: the light descriptor."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features, "available", lambda name="": False)
        yield


@pytest.fixture(scope="module")
def cats():
    source = ToySource(64, count=400, classes=("cat",))
    return [source[i]["image"] for i in range(len(source))]


@pytest.fixture(scope="module")
def described(cats):
    return {
        change.__name__ if change else "fresh": likeness.looks(
            Pictures([change(c) for c in cats] if change else cats)
        )
        for change in (None, blurred, reddish)
    }


@pytest.mark.parametrize("change", [np.copy, jpeg, resized])
@pytest.mark.parametrize("where", ["real", pytest.param("generated", marks=pytest.mark.slow)])
def test_planted_test_pictures_are_found(cats, change, where) -> None:
    held_out = Pictures(cats[:30])
    learned = {"real": Pictures(cats[100:150]), "generated": Pictures(cats[150:200], 1)}
    clean = leakage.leakage(learned, held_out)
    assert clean["passed"] is True and not clean["pairs"]
    planted = [3, 17, 29]
    pictures = learned[where].images + [change(cats[i]) for i in planted]
    found = leakage.leakage(learned | {where: Pictures(pictures)}, held_out)
    assert found["passed"] is False
    assert found["pairs"] == [[where, f"made/{50 + k}", f"made/{i}"] for k, i in enumerate(planted)]
    assert f"made/51 ({where}) and made/17" in found["sentence"]
    with pytest.raises(InputError, match=r"must not hold validation or test .* 3 are like"):
        leakage.check_folder(Pictures(pictures), held_out)
    leakage.check_folder(learned[where], held_out)


def arm(name, cats, dogs):
    """An arm by its real and generated pictures."""
    pictures = {
        c: {"real": real, "generated": made, "copies": 0}
        for c, (real, made) in zip(CLASSES, (cats, dogs), strict=True)
    }
    return Arm(name, pictures)


ONE = arm("replace", (20, 80), (100, 0))
BOTH = arm("replace-all", (20, 80), (20, 80))
REAL = arm("real", (100, 0), (100, 0))


@pytest.mark.slow
@pytest.mark.parametrize("change", ["blurred", "reddish"])
def test_planted_confounding_is_always_found(described, change) -> None:
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(400)
        real, made = described["fresh"][order[:200]], described[change][order[200:]]
        found = shortcut.shortcut([REAL, ONE, BOTH], {"cat": real}, {"cat": made})
        assert found["passed"] is False, (seed, found["sentence"])
        assert found["confounded"] == ["replace"] and "look at replace-all" in found["sentence"]
        # Told apart as well, but it says nothing of the class.
        assert shortcut.shortcut([REAL, BOTH], {"cat": real}, {"cat": made})["passed"] is True
        alone = shortcut.shortcut([REAL, ONE], {"cat": real}, {"cat": made})
        assert "add an arm like replace-all" in alone["sentence"]


def test_fresh_pictures_pass_at_the_stated_rate(described) -> None:
    """Two classes of fresh pictures fail in one experiment of a hundred, not in more."""
    failed = 0
    for seed in range(200):
        order = np.random.default_rng(seed).permutation(400)
        real = {c: described["fresh"][order[k::4]] for k, c in enumerate(CLASSES)}
        made = {c: described["fresh"][order[k + 2 :: 4]] for k, c in enumerate(CLASSES)}
        failed += shortcut.shortcut([ONE], real, made)["passed"] is False
    assert stats.binomtest(failed, 200, shortcut.CHANCE, "greater").pvalue > 0.01, failed


@pytest.mark.parametrize("change", ["blurred", "reddish"])
def test_a_probe_that_tells_has_a_word_on_what_it_means(described, change) -> None:
    real, made = described["fresh"][:200], described[change][200:]
    passed = shortcut.shortcut([REAL, BOTH], {"cat": real}, {"cat": made})
    assert "easy to tell, which is harmless" in passed["sentence"]
    alike = shortcut.shortcut([REAL, BOTH], {"cat": real}, {"cat": described["fresh"][200:]})
    assert alike["passed"] is True and "easy to tell" not in alike["sentence"]


def test_noise_is_called_so_and_fresh_pictures_are_not(cats, described) -> None:
    real = {"cat": described["fresh"][:200]}
    for seed in range(3):
        rng = np.random.default_rng(seed)
        noise = [rng.integers(0, 256, cats[0].shape, np.uint8) for _ in range(20)]
        found = likeness.fidelity(real, {"cat": likeness.looks(Pictures(noise))})
        assert found["passed"] is False and found["times"]["cat"] > likeness.NOISE
        assert "generated images of cat look like noise: they lie" in found["sentence"]
    fresh = likeness.fidelity(real, {"cat": described["fresh"][200:]})
    assert fresh["passed"] is True and fresh["times"]["cat"] == pytest.approx(1, abs=0.15)
    assert likeness.fidelity(real, {"cat": described["fresh"][:3]})["passed"] is None


def test_samples_shared_is_the_mean_share_of_two_seeds(cats) -> None:
    whole = Pictures(cats[:40])
    halves = [loader.Subset(whole, np.arange(k, k + 20)) for k in (0, 10, 20)]
    assert likeness.samples_shared([{"cat": whole}] * 3) == 1
    assert likeness.samples_shared([{"cat": half} for half in halves]) == pytest.approx(1 / 3)
    assert likeness.samples_shared([{"cat": halves[0]}, {"dog": halves[0]}]) == 0  # Classes differ.
    assert likeness.samples_shared([{"cat": whole}]) == likeness.samples_shared([]) == 0


def test_a_probe_needs_pictures() -> None:
    few = np.zeros((3, 5))
    assert shortcut.shortcut([ONE], {"cat": few}, {"cat": few})["passed"] is None
    with pytest.raises(InputError, match="at least 4 images of each kind, got 2"):
        shortcut.told_apart(few, few)


def test_confounded_is_a_share_that_differs_by_class() -> None:
    assert shortcut.confounded(ONE) and shortcut.confounded(arm("balance", (50, 50), (100, 0)))
    assert not shortcut.confounded(BOTH) and not shortcut.confounded(REAL)
    assert not shortcut.confounded(arm("add", (50, 100), (25, 50)))
    generated = arm("generated", (0, 9), (0, 4))
    assert not shortcut.confounded(generated)


def test_logistic_regression_is_that_of_newton() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 7))
    y = np.sign(x[:, 0] + rng.standard_normal(60))
    # Iteratively reweighted least squares, float64.
    design, ridge, w = np.c_[x, np.ones(60)], np.diag([1.0] * 7 + [0]), np.zeros(8)
    for _ in range(30):
        p = special.expit(design @ w)
        curvature = design.T @ (design * (p * (1 - p))[:, None]) + ridge
        w -= np.linalg.solve(curvature, design.T @ (p - (y > 0)) + ridge @ w)
    np.testing.assert_allclose(shortcut._logistic(x, y), w, atol=1e-3)


def test_planted_copies_are_found_and_fresh_pictures_are_not_copies(cats) -> None:
    learned, held_out = Pictures(cats[:150]), Pictures(cats[150:250])
    fresh = likeness.copied(Pictures(cats[250:350]), learned, held_out)
    assert fresh["passed"] is True and fresh["name"] == "copies of cat"
    for change in (jpeg, blurred):
        some = cats[250:330] + [change(c) for c in cats[:20]]
        assert likeness.copied(Pictures(some), learned, held_out)["passed"] is False
    few = likeness.copied(Pictures(cats[250:350]), learned, Pictures(cats[150:160]))
    assert few["passed"] is None and "150 and 10 held out" in few["sentence"]
    # Held-out pictures that stand among the training pictures, too, are no fresh ones.
    same = likeness.copied(Pictures(cats[250:350]), learned, Pictures(cats[:30]))
    assert same["passed"] is None


@pytest.mark.slow
def test_fresh_pictures_fail_the_copy_audit_no_more_often_than_stated(cats) -> None:
    failed = 0
    for seed in range(10):
        order = np.random.default_rng(seed).permutation(400)
        some = [Pictures([cats[i] for i in part]) for part in np.split(order[:300], [100, 200])]
        failed += likeness.copied(*some)["passed"] is False
    assert stats.binomtest(failed, 10, 0.05, "greater").pvalue > 0.01


def test_steps_that_differ_and_a_second_look_are_found() -> None:
    runs = [{"arm": a, "seed": s, "steps": 5} for a in ("real", "add") for s in (0, 1)]
    assert checks.equal_steps(runs)["passed"] is True
    assert checks.equal_steps([*runs, {"steps": 9}])["passed"] is False
    opened = [run | {"step": 3} for run in runs]
    assert checks.opened_once(opened, runs)["passed"] is True
    again = checks.opened_once([*opened, opened[0]], runs)  # Killed before it was saved.
    assert again["passed"] is True and "1 were asked again" in again["sentence"]
    other = checks.opened_once([*opened, opened[0] | {"step": 5}], runs)
    assert other["passed"] is False and "5 times for 4" in other["sentence"]
    assert checks.opened_once(opened[1:], runs)["passed"] is False


def test_a_verdict_is_asked_for_once() -> None:
    plan = {"primary": ["add", "real"], "margin": None, "seeds": [0, 1, 2]}
    for earlier in ([], [plan | {"time": "now"}] * 2):
        assert checks.as_planned(plan, earlier)["passed"] is True
    for name, other in (
        ("primary", ["replace", "real"]),
        ("margin", 0.01),
        ("seeds", [0, 1, 2, 3]),
    ):
        found = checks.as_planned(plan | {name: other}, [plan, plan])
        assert found["passed"] is False
        assert found["sentence"].count(f"{name} was {plan[name]} and is {other}") == 1
        # Going back afterwards does not unsee it.
        assert checks.as_planned(plan, [plan, plan | {name: other}])["passed"] is False


def test_classes_of_keeps_the_positions_asked_for() -> None:
    source = ToySource(8, count=6)
    found = checks.classes_of(source, np.array([7, 1, 0]))
    assert found["cat"].names == (source.names[1], source.names[0])
    assert found["dog"].names == (source.names[7],)
    assert len(checks.classes_of(loader.Subset(source, np.arange(9)))["dog"]) == 3
