"""The doctor's page: everything in one file, every reason with its pictures."""

import base64
import io
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from jaxgan.data.prepare import doctor, pipeline, report
from jaxgan.data.prepare.decode import Options
from jaxgan.data.prepare.options import Request
from jaxgan.data.prepare.table import Rows
from jaxgan.reporting import html
from jaxgan.system import machine

ODD = "<img src=x onerror=alert(1)> & \"quoted\" 'too'.png"
pytestmark = pytest.mark.usefixtures("one_core")
VOID = {"meta", "img", "br", "link", "input"}


class Page(HTMLParser):
    """Attributes and words of a page; a wrongly nested one is an error."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[tuple[str, str]] = []  # Tag and text.
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open:
            self.words.append((self.open[-1], data))


def captions(view: dict) -> dict[str, list[str]]:
    """Captions of the images of each sheet, by its title."""
    found = {"A sample": [one.caption for one in view["sample"]]}
    for sheet in view["sheets"]:
        images = [*sheet.images, *(one for group, _ in sheet.groups for one in group)]
        found[sheet.title] = [one.caption for one in images]
    return found


def smooth(seed: int, side: int = 64) -> Image.Image:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (9, 9, 3), np.uint8)
    large = Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC)
    noise = rng.normal(0, 14, (side, side, 1))
    return Image.fromarray((np.asarray(large) + noise).clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def one_core():
    """No processes are started for a few pictures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "cores", lambda: 1)
        yield


@pytest.fixture(scope="module")
def source(one_core, tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("report") / "pets"
    for i, name in enumerate(("cat", "dog")):
        (root / name).mkdir(parents=True)
        for k in range(8):
            smooth(100 * i + k).save(root / name / f"{k}.png")
    cat, dog = root / "cat", root / "dog"
    smooth(1).save(cat / "exact.png")
    smooth(2).save(cat / "near.jpg", quality=50)
    smooth(3).save(dog / "across.png")
    smooth(200).save(cat / ODD)
    smooth(200).save(cat / "odd's copy.png")
    Image.new("RGB", (64, 64), "gray").save(dog / "blank.png")
    smooth(300, 12).save(dog / "tiny.png")
    soft = smooth(301, 16).resize((64, 64), Image.Resampling.BICUBIC)
    soft.save(dog / "enlarged.png")
    # Blurred, but with the detail that 32 px hold.
    smooth(302, 256).filter(ImageFilter.GaussianBlur(2)).save(dog / "blurred.png")
    (dog / "<b>text.jpg").write_text("no picture")
    smooth(303, 65).resize((65, 64)).save(dog / "not square.png")
    return root


def request(source: Path, **more) -> Request:
    options = Options((32,), **more.pop("options", {}))
    return Request(str(source), None, options, dry_run=True, **more)


@pytest.fixture(scope="module")
def result(source: Path):
    wanted = request(source, clean="drop", options={"crop": "none"})
    with pipeline.prepared(wanted, lambda line: None) as found:
        yield found


def positions(result) -> dict[str, int]:
    rows = result.diagnosis.rows
    return {name: i for i, name in enumerate(rows.names(range(len(rows))))}


@pytest.fixture(scope="module")
def view(result) -> dict:
    return report.view(result)


@pytest.fixture(scope="module")
def text(result) -> str:
    return report.page(result)


def test_the_page_needs_nothing_else(text: str) -> None:
    page = Page(text)
    assert {tag for tag, _, _ in page.attributes}.isdisjoint({"script", "link", "iframe", "object"})
    for _, name, value in page.attributes:
        assert name not in ("srcset", "data", "action") and not name.startswith("on")
        assert name != "href" or value.startswith("#")
        assert name != "src" or value.startswith("data:image/png;base64,")
    assert "url(" not in text and "@import" not in text and "http:" not in text
    assert "https:" not in text and "default-src 'none'" in text


def test_odd_names_are_escaped(text: str) -> None:
    assert "<img src=x" not in text and "<b>" not in text
    page = Page(text)
    assert ("th", "dog/<b>text.jpg") in page.words
    assert any(tag == "figcaption" and x.startswith(f"cat/{ODD}") for tag, x in page.words)
    alt = [value for tag, name, value in page.attributes if (tag, name) == ("img", "alt")]
    assert any(value.startswith(f"cat/{ODD}") for value in alt)


def test_every_reason_has_its_sheet(result, view: dict) -> None:
    found = captions(view)
    tables = {sheet.title: sheet.table for sheet in view["sheets"]}
    for reason in doctor.REASONS:
        rows = [i for i, r in result.diagnosis.reasons.items() if r == reason]
        names = list(result.diagnosis.rows.names(rows))
        if reason == "strange":  # Nobody asked for it; see below.
            assert not rows
            continue
        assert rows, reason
        if reason in ("unreadable", "unusable"):
            table = tables[f"{reason.capitalize()}: {len(rows)}"]
            assert {name for name, _ in table.rows} == set(names)
            continue
        said = found[f"{reason.capitalize()}: {len(rows)}"]
        assert len(said) == len(rows)
        for name, caption in zip(sorted(names), sorted(said), strict=True):
            assert caption.startswith(name)
            assert caption.endswith(", left out") == (doctor.REASONS[reason] == "drop")
            assert "suggested" not in caption  # It was done.
    assert set(report.WHY) == set(doctor.REASONS)


def test_what_is_suggested_is_said_where_nothing_is_dropped(source: Path) -> None:
    with pipeline.prepared(request(source), lambda line: None) as found:
        said = captions(report.view(found))
    reasons = list(found.diagnosis.reasons.values())
    seen = set()
    for reason, suggestion in doctor.REASONS.items():
        for caption in said.get(f"{reason.capitalize()}: {reasons.count(reason)}", []):
            assert "left out" not in caption
            assert caption.endswith(", drop suggested") == (suggestion == "drop")
            seen.add(reason)
    assert {"exact duplicate", "near duplicate", "across classes", "blank", "enlarged"} < seen
    assert not any("suggested" in c for c in said["A sample"] if "/4" in c)


def test_what_a_human_drops_has_a_sheet_of_its_own(result) -> None:
    """With what was dropped to keep the sides of a split apart it has nothing to do."""
    position = positions(result)
    mine = position["cat/5.png"]
    assert mine not in result.diagnosis.reasons
    dropped = result.dropped | {mine: "looks odd"}
    (caption,) = captions(report.view(result._replace(dropped=dropped)))["Decided by hand: 1"]
    assert caption.startswith("cat/5.png") and caption.endswith(", left out")
    assert not any("by hand" in title for title in captions(report.view(result)))


def test_how_it_was_made_stands_at_the_end(result) -> None:
    about = {"source": 'pets <b>&" .zip', "resolution": "32 px", "fingerprint": "0123abcd" * 8}
    words = Page(report.page(result._replace(about=about))).words
    assert [x for tag, x in words if tag == "h2"][-1] == "How it was made"
    pairs = [pair for of in about.items() for pair in zip(("dt", "dd"), of, strict=True)]
    assert [pair for pair in words if pair[0] in ("dt", "dd")][-len(pairs) :] == pairs
    assert "How it was made" not in report.page(result._replace(about={}))


def test_aspects_are_of_what_is_kept(result) -> None:
    rows = result.diagnosis.rows
    kept = [i for i in result.diagnosis.good.tolist() if i not in result.dropped]
    assert len(kept) > 10
    table = rows.table.copy()
    for i, size in (
        (kept[0], (300, 200)),
        (kept[1], (200, 300)),
        (next(iter(result.dropped)), (900, 1)),
    ):
        table["width"][i], table["height"][i] = size
    rows = Rows(table, rows.entries, rows.problems)
    changed = result._replace(diagnosis=result.diagnosis._replace(rows=rows))
    lines = [row for table in report.view(changed)["sizes"] for row in table.rows]
    (ratios,) = [row for row in lines if row[0] == "width / height"]
    _, least, _, median, _, most = ratios
    assert (least, median, most) == ("0.67", "1.00", "1.50")


def test_as_many_strange_ones_as_were_asked_for(source: Path) -> None:
    with pipeline.prepared(request(source, strangest=99), lambda line: None) as found:
        said = captions(report.view(found))
    reasons = found.diagnosis.reasons.values()
    assert len(said[f"Strange: {list(reasons).count('strange')}"]) > 10
    assert not {"enlarged", "blurred"} & set(reasons)  # All that are left are strange.


def test_the_counts_add_up(result, view: dict) -> None:
    found, kept = len(result.diagnosis.rows), sum(result.findings["counts"].values())
    assert view["headline"] == f"{kept} of {found}"
    assert view["lead"].startswith(f"{kept} images kept, {found - kept} images left out")
    assert kept + len(result.dropped) == found


def test_duplicates_lie_side_by_side(result, view: dict) -> None:
    said = captions(view)["Duplicates, side by side"]
    groups = result.findings["near_duplicates"] + result.findings["exact_duplicates"]
    names = [name for group in groups for name in group]
    assert [c.startswith(n) for c, n in zip(said, names, strict=True)] == [True] * len(names)
    assert {"cat/1.png", "cat/exact.png", "cat/2.png", "cat/near.jpg"} < set(names)


def test_the_strangest_come_in_order(result, view: dict) -> None:
    names = list(result.diagnosis.rows.names(result.diagnosis.good[result.diagnosis.strangest()]))
    said = captions(view)[f"The strangest {len(names)}"]
    assert all(c.startswith(n) for c, n in zip(said, names, strict=True))


def test_the_images_are_those_of_the_set(result, view: dict) -> None:
    """PNG loses nothing, so each figure is a square of the scan."""
    figures = [one for sheet in view["sheets"] for one in (*sheet.images, *view["sample"])]
    position = positions(result)
    seen = 0
    for one in figures:
        name = next((n for n in position if one.caption.startswith(f"{n} (")), None)
        if name is None or not one.source:
            continue
        data = base64.b64decode(one.source.partition(",")[2])
        shown = np.asarray(Image.open(io.BytesIO(data)))
        np.testing.assert_array_equal(shown, result.scanned.picture(position[name]))
        seen += 1
    assert seen > 30


def test_flags_in_the_advice_are_code(text: str) -> None:
    assert "<code>--align=landmarks</code>" in text
    said = html.code("Use --policy=\"('a','b')\", <b>.")
    assert said.unescape() == "Use <code>--policy=\"('a','b')\"</code>, <b>."
    assert "<b>" not in said


def test_a_page_without_the_doctor(source: Path) -> None:
    with pipeline.prepared(request(source, options={"doctor": False}), lambda line: None) as found:
        said = captions(report.view(found))
    assert not any(title.startswith("The strangest") for title in said)
    assert len(said["A sample"]) > 10


def test_a_long_sheet_says_how_much_it_shows(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    smooth(0).save(tmp_path / "cat" / "a.png")
    for i in range(70):
        (tmp_path / "cat" / f"copy {i:02}.png").write_bytes(
            (tmp_path / "cat" / "a.png").read_bytes()
        )
    with pipeline.prepared(request(tmp_path), lambda line: None) as found:
        view = report.view(found)
    sheets = {sheet.title: sheet for sheet in view["sheets"]}
    assert len(sheets["Exact duplicate: 70"].images) == report.SHEET == 64
    assert sheets["Exact duplicate: 70"].note.endswith("The first 64 of 70.")
    ((_, more),) = sheets["Duplicates, side by side"].groups
    assert more == 63 and "70 doubtful ones among the kept" in view["lead"]
