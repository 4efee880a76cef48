"""The report asks for nothing from outside, escapes what it is given, says the verdict first."""

import base64
import csv
import io
import itertools
import json
import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from jaxgan.config.arm_names import KINDS, VARIANTS
from jaxgan.data.toy.animals import ToySource
from jaxgan.engine import log
from jaxgan.experiment import analysis, conclude, verdict
from jaxgan.experiment.report import details, flipped_images, formatting, tables, view
from jaxgan.experiment.report.page import write_report
from jaxgan.reporting import html, plots
from jaxgan.statistics import crossed
from jaxgan.types import InputError

NASTY = '"><script>alert(1)</script>&amp;'
ARMS = ("real", "replace", "add")
VOID = {"meta", "img", "br", "hr", "input", "link"}


class Page(HTMLParser):
    """Elements in order as (tag, attributes), their text, and whether every tag is closed."""

    def __init__(self, source):
        super().__init__()
        self.elements, self.words, self.open = [], [], []
        self.feed(source)
        self.close()
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.words.append(data)

    def images(self):
        return [attrs for tag, attrs in self.elements if tag == "img"]


def make_results(folder, seeds=3, arms=ARMS, classes=("cat", "dog"), gan=True):
    """Results of realistic shape, their numbers by the real statistics of made-up answers."""
    rng = np.random.default_rng(0)
    correct = {arm: rng.random((seeds, 40)) < 0.9 for arm in arms}
    primary = crossed.paired_difference(correct[arms[-1]], correct[arms[0]])
    points = [{"step": s, "loss": 1 / s, "accuracy": 1 - 1 / s} for s in (10, 20, 30)]

    def png(path):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)).save(folder / path)
        return path

    def interval(of):
        return {"low": of.low, "high": of.high, "se": of.se, "df": of.df}

    def contrast(a, b):
        difference = crossed.paired_difference(correct[a], correct[b])
        return {"a": a, "b": b, "difference": difference.value} | interval(difference)

    def arm(name):
        accuracy = crossed.crossed_interval(correct[name])
        pictures = {c: {"real": 700, "generated": 1234 * (name == "add")} for c in classes}
        return {
            "description": f"about {name}",
            "pictures": pictures,
            "accuracy": accuracy.value,
        } | interval(accuracy)

    return {
        "format": 1,
        "jaxgan": "0.1.0",
        "config": {"data": {"path": "toy", "note": NASTY}},
        "classes": list(classes),
        "verdict": {
            "primary": [arms[-1], arms[0]],
            "word": verdict.word(primary),
            "sentence": verdict.sentence(primary, verdict.size({0: range(seeds)}, 40)),
            "difference": primary.value,
            "level": 0.95,
        }
        | interval(primary),
        "data": {
            "path": "toy",
            "fingerprint": "9f2c61",
            "counts": {k: dict.fromkeys(classes, 700) for k in ("train", "validation", "test")},
            "unreadable": [["cat/broken.jpg", "truncated"]],
        },
        "test": {"names": [f"{i}" for i in range(40)], "labels": [0, 1] * 20},
        "arms": {name: arm(name) for name in arms},
        "contrasts": [contrast(name, arms[0]) for name in arms[1:]],
        "runs": [
            {
                "arm": name,
                "seed": seed,
                "steps": 30,
                "best_step": 20,
                "test_accuracy": float(correct[name][seed].mean()),
                "curve": {"train": points, "validation": points},
            }
            for name in arms
            for seed in range(seeds)
        ],
        "generators": [
            {
                "class": c,
                "steps": 1300,
                "grids": [png(f"gan/{i}/samples/{k:06d}.png") for k in range(100, 1301, 100)],
            }
            for i, c in enumerate(classes)
            if gan
        ],
        "figures": {
            kind: {c: png(f"figures/{kind}_{i}.png") for i, c in enumerate(classes)}
            for kind in ("real", "generated")
            if gan or kind == "real"
        },
        "environment": {
            "command": "python scripts/experiment.py",
            "started": "2026-11-22T02:10:11+00:00",
            "versions": {"jax": "0.10.2"},
            "devices": ["cpu x2"],
            "python": "3.11.7",
            "platform": "Linux",
            "git": None,
        },
        "seconds": {"data": 3.2, "gan": 241.0, "total": 3755.0},
    }


def read(results, folder):
    path = write_report(results, folder)
    assert path == folder / "report.html"
    page = Page(path.read_text(encoding="utf-8"))
    assert not page.open
    return page


def check_self_contained(page, source):
    for tag, attrs in page.elements:
        assert tag not in {"script", "link", "iframe", "object", "embed", "base"}
        assert not any(name.startswith("on") or name == "style" for name in attrs)
        for name in ("src", "href", "srcset", "xlink:href", "data", "action"):
            assert attrs.get(name, "data:").startswith(("data:", "#"))
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for t, a in page.elements if t == "a"} <= set(ids)
    assert "url(" not in source
    assert "@import" not in source


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("gan", [True, False])
def test_the_page_needs_nothing_else(tmp_path, seeds, gan):
    page = read(make_results(tmp_path, seeds=seeds, gan=gan), tmp_path)
    check_self_contained(page, (tmp_path / "report.html").read_text(encoding="utf-8"))
    policies = [a["content"] for t, a in page.elements if t == "meta" and "http-equiv" in a]
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_the_verdict_comes_first_and_all_parts_in_their_order(tmp_path):
    results = make_results(tmp_path)
    page = read(results, tmp_path)
    main = page.text.split("classifier?", 1)[1]
    assert main.lstrip().startswith(results["verdict"]["word"].capitalize())
    sentence = results["verdict"]["sentence"].replace(" -", " −").replace(" x ", " × ")
    parts = [
        sentence,
        "Accuracy of add minus that of real",
        "What else it says",
        "Real and generated images",
        "Every arm on the same test images",
        "Learning curves",
        "How to read this",
        "Glossary",
        "What was run",
        "python scripts/experiment.py",
        "The whole configuration",
    ]
    places = [main.index(part) for part in parts]
    assert places == sorted(places)


def test_headings_cells_and_figures_are_named_for_all_readers(rich):
    """Headings skip no level, cells have scopes, images and figures texts, scrolling has focus."""
    _, _, page = rich
    levels = [int(tag[1]) for tag, _ in page.elements if tag[0] == "h" and tag[1:].isdigit()]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    for tag, attrs in page.elements:
        assert tag != "th" or attrs["scope"] in ("row", "col")
        assert tag != "img" or attrs["alt"]
        assert attrs.get("role") not in ("img", "region") or attrs["aria-label"]
        assert attrs.get("class") != "scroll" or attrs["tabindex"] == "0"


def luminance(colour):
    rgb = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_letters_and_marks_stand_out_from_the_paper():
    """Contrast as WCAG 2 has it: 4.5 of text, 3 of marks; on tinted paper, too."""
    for mode in html.render("style.css").split(":root")[1:]:
        found = dict(re.findall(r"--(\w+):(#\w{6})", mode.partition("}")[0]))
        for paper in (found["paper"], found["tint"]):
            for name in ("ink", "soft", "link", *(f"c{i}" for i in range(6))):
                light, dark = sorted(map(luminance, (found[name], paper)), reverse=True)
                least = 3 if name.startswith("c") else 4.5
                assert (light + 0.05) / (dark + 0.05) >= least, (name, paper)


def test_every_arm_class_and_figure_is_there(tmp_path):
    results = make_results(tmp_path)
    for contrast, value in zip(results["contrasts"], (-0.0512, 0.0004), strict=True):
        contrast.update(difference=value, low=value - 0.01, high=value + 0.01)
    results["arms"]["add"].update(accuracy=0.98765, low=0.9701, high=0.9899)
    _, table, _, _ = view.arms(results)
    rows = {row[0].text: row for row in table.rows}
    assert [rows[name][0].small[0] for name in ARMS] == [f"about {name}" for name in ARMS]
    assert rows["add"][1][:2] == ("98.8 %", ["97.0 to 99.0"])
    assert rows["replace"][2][:2] == ("−5.1", ["−6.1 to −4.1"])
    assert rows["add"][2][:2] == ("+0.04", ["−1.0 to +1.0"]) and rows["real"][2] == "–"
    run = details.run(results)
    assert run["counts"].rows[-1] == ["arm add", "700 + 1,234", "700 + 1,234"]
    assert run["facts"]["Took"].startswith("1 h 2 min") and run["facts"]["Devices"] == "cpu x2"
    assert run["left_out"] == ["cat/broken.jpg: truncated"]
    # Real and generated, then four of the 13 grids over time, the first and the last among them.
    first, growing = ["real cat", "generated cat"], ["step 100", "step 500", "step 900"]
    cat, dog = view.samples(results, tmp_path)
    assert (cat.name, dog.name, cat.steps) == ("cat", "dog", 1300)
    assert [one.caption for one in cat.first] == first and not cat.rest
    assert [one.caption for one in cat.growing] == [*growing, "step 1,300"]


def test_samples_are_cut_from_their_grids(tmp_path):
    """Ten large ones first, the others later; what is between them is transparent."""
    results = make_results(tmp_path)
    results["config"]["classifier"] = {"data": {"resolution": 8}}
    rng = np.random.default_rng(0)
    images = rng.integers(0, 250, (23, 8, 8, 3), np.uint8)
    (tmp_path / "figures/real_0.png").write_bytes(log.png(log.grid(images)))
    cat, dog = view.samples(results, tmp_path)
    sheets = []
    for one in (cat.first[0], cat.rest[0]):
        data = base64.b64decode(one.source.partition(",")[2])
        sheets.append(np.asarray(Image.open(io.BytesIO(data))))
    assert [sheet.shape for sheet in sheets] == [(18, 48, 4), (18, 68, 4)]
    np.testing.assert_array_equal(sheets[0][10:, 40:, :3], images[9])
    np.testing.assert_array_equal(sheets[1][:8, :8, :3], images[10])
    assert not sheets[0][8:10].any() and sheets[1][:8, :8, 3].all()
    assert not dog.rest and dog.first[0].width == 16  # Of another size: shown as it is.


def test_an_arm_looks_alike_in_all_reports():
    """By its name: plain arms of all kinds differ, and so do the changes of one."""
    assert len({formatting.style(kind) for kind in KINDS if kind != "weight"}) == len(KINDS) - 1
    names = ["real", *(f"real+{v}" for v in VARIANTS[:3]), "real+mixup"]
    assert len({formatting.style(name) for name in names}) == len(names)
    assert {formatting.style(n).colour for n in ("add:2x@50", "add+selection", "weight:0.3")} == {0}
    assert formatting.style("replace") != formatting.style("replace-all")
    assert formatting.style(NASTY) == formatting.style(NASTY)


def test_names_are_escaped(tmp_path):
    results = make_results(
        tmp_path, arms=("real", NASTY), classes=('<b>"cat"</b>', "hund & katze ☃")
    )
    results["verdict"]["sentence"] += NASTY
    results["arms"][NASTY]["description"] = NASTY
    results["data"]["unreadable"] = [[NASTY, NASTY]]
    results["environment"] |= {"command": NASTY, "platform": NASTY, "versions": {NASTY: NASTY}}
    results["generators"][0]["grids"][0] = NASTY
    page = read(results, tmp_path)
    check_self_contained(page, (tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "b" not in {tag for tag, _ in page.elements}
    assert page.text.count("alert(1)") >= 9
    assert '<b>"cat"</b>' in page.text
    assert page.images()[0]["alt"] == 'real <b>"cat"</b>'
    assert "<script>" not in (tmp_path / "figure.svg").read_text()
    assert re.search(r"(?<!\\)[<|]script", tables.summary(results)) is None
    assert "hund & katze ☃" in page.text


def test_one_seed_says_that_it_has_no_interval(tmp_path):
    page = read(make_results(tmp_path, seeds=1), tmp_path)
    assert page.text.split("classifier?", 1)[1].lstrip().startswith("Too noisy to tell")
    assert "With one seed there is no interval" in view.figure(make_results(tmp_path, seeds=1))[1]
    assert "whisker" not in {attrs.get("class") for _, attrs in page.elements}


def test_no_generators_and_lost_pictures_are_said(tmp_path):
    page = read(make_results(tmp_path, gan=False), tmp_path)
    assert "No arm needed the images of a GAN" in page.text
    assert [image["alt"] for image in page.images()] == ["real cat", "real dog"]
    results = make_results(tmp_path)
    (tmp_path / "figures/real_0.png").unlink()
    (tmp_path / "figures/generated_0.png").write_bytes(b"no picture")
    page = read(results, tmp_path)
    assert "figures/real_0.png cannot be read" in page.text
    assert "figures/generated_0.png cannot be read" in page.text
    assert len(page.images()) == 2 + 2 * 4


def test_the_least_results_still_make_a_page(tmp_path):
    whole = make_results(tmp_path, seeds=1, gan=False)
    results = {key: whole[key] for key in ("verdict", "classes", "arms", "runs")}
    for run in results["runs"]:
        run["curve"] = {"train": [], "validation": []}
    page = read(results, tmp_path)
    assert "What was run" in page.text
    assert "Learning curves" not in page.text


def test_large_pictures_are_made_smaller(tmp_path):
    results = make_results(tmp_path)
    Image.new("RGB", (3000, 1500)).save(tmp_path / "figures/real_0.png")
    first = read(results, tmp_path).images()[0]
    assert (first["width"], first["height"]) == ("1024", "512")


def test_curves_skip_what_is_not_finite(tmp_path):
    results = make_results(tmp_path)
    results["runs"][0]["curve"]["train"] = [
        {"step": 10, "loss": math.nan, "accuracy": 0.5},
        {"step": 20, "loss": math.inf, "accuracy": None},
        {"step": 30, "loss": 0.5, "accuracy": 0.75},
    ]
    read(results, tmp_path)
    source = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "nan" not in source.split("</style>")[1].lower().replace("generat", "")
    assert "inf" not in {word.strip('"') for word in source.split()}


def test_whiskers_stand_where_their_numbers_say():
    """On an axis from -1 to 2 that runs from 4 % to 96 % of the width."""
    row = plots.Row("a", "b", 0.5, -1.0, 2.0, (0.2, 0.8))
    chart = plots.dots_and_whiskers([row], "t", "points", zero=True, margin=0.5)
    (placed,) = chart.rows
    assert (placed.low, placed.value, placed.high) == (4.0, 50.0, 96.0)
    assert [(tick.text, tick.kind) for tick in chart.ticks][:2] == [("−1", "rule"), ("0", "zero")]
    assert chart.ticks[1].place == pytest.approx(4 + 92 / 3, abs=0.01)
    assert chart.band == pytest.approx((4 + 92 / 6, 92 / 3), abs=0.01)
    page = Page(plots.svg(chart))
    of = {attrs["class"]: attrs for _, attrs in page.elements if "class" in attrs}
    assert (of["whisker"]["x1"], of["whisker"]["x2"]) == ("4.0%", "96.0%")
    assert "−1 0 1 2 a b" in page.text and "points" in page.text
    image = Image.open(io.BytesIO(plots.png(chart)))
    width, colour = image.width, tuple(bytes.fromhex(html.LIGHT[0][1:]))
    columns = np.flatnonzero((np.asarray(image) == colour).all(2).any(0)) / width
    assert (columns[0], columns[-1]) == pytest.approx((0.04, 0.96), abs=0.005)


def test_the_figure_has_the_verdict_first_and_few_others(tmp_path):
    results = make_sweep(tmp_path)
    chart, caption = view.figure(results)
    assert chart.rows[0].label == "add:2x@50" and chart.rows[0].strong
    assert len(chart.rows) == view.MOST_ROWS and "(the first 7 of 8)" in caption
    assert chart.ends == ("← hurts", "helps →") and chart.band is not None
    results["verdict"] |= {"outcome": "log_loss", "difference": -0.082, "low": -0.1, "high": None}
    chart, caption = view.figure(results)
    assert chart.rows[0].text == "−0.082 (no interval)" and "no interval" in caption


@given(st.floats(-1e4, 1e4), st.floats(0, 1e4), st.integers(4, 8))
def test_ticks_are_few_round_and_enclose_the_data(low, span, most):
    marks = plots.ticks(low, low + span, most)
    slack = 1e-6 * (1 + abs(low) + span)
    assert 2 <= len(marks) <= most
    assert marks[0] <= low + slack
    assert low + span <= marks[-1] + slack
    gaps = np.diff(marks)
    assert gaps == pytest.approx(gaps[0])
    assert f"{gaps[0]:.3e}"[0] in "125"


def test_the_mean_curve_takes_the_steps_that_all_seeds_have():
    seeds = [[(1, 0.0), (2, 1.0), (3, 5.0)], [(2, 3.0), (3, 7.0)]]
    assert plots.mean(seeds) == [(2, 2.0), (3, 6.0)]
    assert plots.mean([]) == []


SIZES, RATIOS = (50, 100, 300), (0.5, 1, 2)


def make_sweep(folder, seeds=5):
    """A made sweep, judged as a real one: generated pictures help where there are few real ones."""
    rng, test = np.random.default_rng(1), ToySource(16, count=60)
    labels = np.asarray(test.labels)
    skill = {f"real@{n}": (0.2 + 0.11 * np.log(n), n, 0) for n in SIZES}
    for n in SIZES:
        for ratio in RATIOS:
            rise = 0.09 - 0.04 * np.log(n / 50) + 0.02 * np.log(ratio)
            skill[f"add:{ratio:g}x@{n}"] = (skill[f"real@{n}"][0] + rise, n, ratio)
    about, runs = {}, []
    picture = rng.random(len(labels))  # How hard each is.
    for arm, (share, n, ratio) in skill.items():
        base = {"base": f"real@{n}"} if ratio else {"base": arm}
        about[arm] = {"description": f"{n} real", "pictures": {}, "size": n, "ratio": ratio} | base
        for seed in range(seeds):
            right = 0.6 * picture + 0.4 * rng.random(len(labels)) < share
            said = np.where(right, labels, 1 - labels)
            p = 0.2 + 0.6 * np.eye(2)[said]
            runs.append(
                {
                    "arm": arm,
                    "seed": seed,
                    "steps": 30,
                    "best_step": 20,
                    "seconds": 61.0,
                    "probabilities": p.tolist(),
                    "test_accuracy": float(right.mean()),
                    "curve": make_results(folder, seeds=1)["runs"][0]["curve"],
                }
            )
    primary = ("add:2x@50", "real@50")
    results = make_results(folder) | analysis.judge(
        runs, labels, ("cat", "dog"), primary=primary, about=about, seeds=seeds, margin=0.01
    )
    results |= {
        "runs": runs,
        "test": {"names": list(test.names), "labels": labels.tolist()},
        "guards": [
            {"name": "No leak", "passed": True, "sentence": "No test image was learned from."},
            {"name": "Shortcut", "passed": False, "sentence": "A probe tells them apart."},
            {"name": "Copies", "passed": None, "sentence": "Needs features."},
        ],
        "cost": {
            "rows": [{"arm": "add:2x@50", "hours": 1.25, "pictures_seen": 12800}],
            "sentences": ["The same hours buy 4 more seeds."],
        },
    }
    results["figures"]["test"] = flipped_images.save(results, test, folder)
    return results


@pytest.fixture(scope="module")
def rich(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rich")
    results = make_sweep(folder)
    return folder, results, read(results, folder)


def test_a_sweep_shows_every_part(rich):
    folder, results, page = rich
    check_self_contained(page, (folder / "report.html").read_text(encoding="utf-8"))
    main = page.text.split("classifier?", 1)[1]
    parts = [
        "1 check failed : Shortcut.",
        results["verdict"]["conditions"],
        "Every arm on the same test images",
        "✗ Shortcut: failed. A probe tells them apart.",
        "✓ No leak: passed.",
        "– Copies: not checked.",
        "Right with add:2x@50, wrong with real@50",
        "How many real, how many generated",
        "Class by class",
        "Fold by fold and seed by seed (McNemar's exact test)",
        "Learning curves",
        "What it cost",
        "The same hours buy 4 more seeds.",
        "Differences below 1.0 points do not matter here",
    ]
    places = [main.index(part) for part in parts]
    assert places == sorted(places)
    head, (costs, _) = view.headline(results), details.cost(results)
    assert head.failed == ["Shortcut"]
    assert any("points or more in 4 of 5 tries" in note for note in head.notes)
    assert costs.head == ["Arm", "Hours", "Images seen"]
    assert costs.rows == [["add:2x@50", "1.25", 12800]]


def test_the_heat_map_has_a_cell_for_every_ratio_and_size(rich):
    _, results, page = rich
    squares = details.sweep(results).squares
    assert len(squares) == len(SIZES) * len(RATIOS)
    falls = [c for c in results["contrasts"] if c["b"].startswith("real") and c["difference"] < 0]
    assert sum(cell.deep < 0 for cell in squares) == len(falls)
    assert [a.get("class") for t, a in page.elements if t == "rect"].count("down") == len(falls)


def test_the_pictures_that_flipped_are_those_of_the_runs(rich):
    folder, results, page = rich
    labels = np.array(results["test"]["labels"])
    a, b = (
        np.array(
            [np.argmax(r["probabilities"], 1) == labels for r in results["runs"] if r["arm"] == arm]
        ).sum(0)
        for arm in results["verdict"]["primary"]
    )
    found = flipped_images.turned(results)
    for kind, sign in (("helped", 1), ("hurt", -1)):
        for row in found[kind]:
            assert row["seeds"] == sign * (a - b)[row["index"]] > 0
            assert (folder / results["figures"]["test"][row["name"]]).exists()
        shown = [row["seeds"] for row in found[kind]]
        assert shown == sorted(shown, reverse=True)
    assert max(a - b) == found["helped"][0]["seeds"]
    alts = [image["alt"] for image in page.images()]
    assert all(any(alt.startswith(f"{r['name']}: ") for alt in alts) for r in found["helped"])


def test_tables_beside_the_page(rich):
    folder, results, _ = rich
    lines = (folder / "runs.csv").read_text().splitlines()
    assert lines[0].startswith("arm,fold,seed,test_accuracy")
    assert len(lines) == 1 + len(results["runs"])
    lines = (folder / "contrasts.csv").read_text().splitlines()
    assert len(lines) == 1 + len(results["contrasts"])
    rows = list(csv.DictReader((folder / "arms.csv").read_text().splitlines()))
    assert [row["arm"] for row in rows] == list(results["arms"])
    to_base = {c["a"]: str(c["difference"]) for c in results["contrasts"]}
    for row in rows:
        arm = results["arms"][row["arm"]]
        assert float(row["accuracy"]) == arm["accuracy"]
        assert float(row["brier"]) == arm["outcomes"]["brier"]
        assert row["difference_to_base"] == to_base.get(row["arm"], "")


def test_experiments_side_by_side(rich, tmp_path):
    folder, results, _ = rich
    (folder / "results.json").write_text(json.dumps(results))
    other = make_results(tmp_path, seeds=1)
    other["data"]["fingerprint"] = "else"
    (tmp_path / "results.json").write_text(json.dumps(other))
    lines = tables.compare([folder, tmp_path]).splitlines()
    assert "add:2x@50 - real@50" in lines[1] and "1 x 5 x 120" in lines[1]
    assert "none" in lines[2] and "1 x 1 x 40" in lines[2]
    assert "saw different images" in lines[3]
    shown = tables.compare([folder, tmp_path], "md").splitlines()
    assert shown[1].startswith("| --- | ---: |") and "| 1 x 5 x 120 |" in shown[2]
    summary = tables.summary(results).splitlines()
    assert summary[0].endswith(f"{results['verdict']['word'].capitalize()}**")
    assert sum(line.startswith("| ") for line in summary) == 2 + len(results["arms"])
    with pytest.raises(InputError, match=r"results\.json is missing"):
        tables.compare([tmp_path / "nowhere"])
    (tmp_path / "results.json").write_text("{}")
    with pytest.raises(InputError, match="must hold an experiment's results"):
        tables.compare([tmp_path])


def test_no_interval_is_printed_that_says_nothing():
    """Of two seeds that differ much an arm's interval reaches from a guess to 100 %."""
    lines = [conclude._interval({"low": low, "high": 1.0}) for low in (0.04, 0.554, 0.85)]
    assert lines == ["  [too noisy to tell]"] * 2 + ["  [85.0%, 100.0%]"]
    assert conclude._interval({"low": None, "high": None}) == ""


def test_classes_of_unequal_size_are_warned_of_as_in_the_log():
    def warned(cat: int, dog: int, generators: list) -> list[str]:
        counts = {"train": {"cat": cat, "dog": dog}, "test": {"cat": 100, "dog": 10}}
        found = {"classes": ["cat", "dog"], "data": {"counts": counts}, "generators": generators}
        return details.warnings({**found, "verdict": {"outcome": "accuracy"}, "arms": {"real": {}}})

    unequal, few = warned(400, 30, [{}])
    assert unequal.startswith("Unequal classes, cat 500 against dog 40") and "balance" in unequal
    assert few.startswith("Few images to train with: dog 30;")
    assert warned(400, 30, []) == [unequal]
    assert warned(100, 80, [{}]) == []
