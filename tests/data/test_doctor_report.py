"""The doctor's page: everything in one file, every reason with its pictures."""

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from jaxgan.data.prepare import doctor, pipeline, report
from jaxgan.data.prepare.decode import Options
from jaxgan.data.prepare.options import Request
from jaxgan.data.prepare.table import Rows
from jaxgan.system import machine

ODD = "<img src=x onerror=alert(1)> & \"quoted\" 'too'.png"
pytestmark = pytest.mark.usefixtures("one_core")
VOID = {"meta", "img", "br", "link", "input"}


class Page(HTMLParser):
    """Figures and headings of a page; a wrongly nested one is an error."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.captions: dict[str, list[str]] = {}  # By heading.
        self.cells: list[str] = []
        self.terms: list[tuple[str, str]] = []  # Of lists: "dt" or "dd", and its text.
        self.heading = ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID and tag != "li":
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag != "li":
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "h2":
            self.heading = data
        elif self.open and self.open[-1] == "figcaption":
            self.captions.setdefault(self.heading, []).append(data)
        elif self.open and self.open[-1] in ("td", "th"):
            self.cells.append(data)
        elif self.open and self.open[-1] in ("dt", "dd"):
            self.terms.append((self.open[-1], data))


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
def text(result) -> str:
    return report.page(result)


def test_the_page_needs_nothing_else(text: str) -> None:
    page = Page(text)
    assert {tag for tag, _, _ in page.attributes}.isdisjoint({"script", "link", "iframe", "object"})
    for _, name, value in page.attributes:
        assert name not in ("href", "srcset", "data", "action") and not name.startswith("on")
        assert name != "src" or value.startswith("data:image/png;base64,")
    assert "url(" not in text and "@import" not in text and "http:" not in text
    assert "https:" not in text and "default-src 'none'" in text


def test_odd_names_are_escaped(text: str) -> None:
    assert "<img src=x" not in text and "<b>" not in text
    page = Page(text)
    assert "dog/<b>text.jpg" in page.cells
    assert any(c.startswith(f"cat/{ODD}") for cs in page.captions.values() for c in cs)
    alt = [value for tag, name, value in page.attributes if (tag, name) == ("img", "alt")]
    assert any(value.startswith(f"cat/{ODD}") for value in alt)


def test_every_reason_has_its_sheet(result, text: str) -> None:
    page = Page(text)
    for reason in doctor.REASONS:
        rows = [i for i, r in result.diagnosis.reasons.items() if r == reason]
        names = list(result.diagnosis.rows.names(rows))
        if reason == "strange":  # Nobody asked for it; see below.
            assert not rows
            continue
        assert rows, reason
        if reason in ("unreadable", "unusable"):
            assert set(names) <= set(page.cells)
            assert f"{reason.capitalize()}: {len(rows)}" in text
            continue
        captions = page.captions[f"{reason.capitalize()}: {len(rows)}"]
        assert len(captions) == len(rows)
        for name, caption in zip(sorted(names), sorted(captions), strict=True):
            assert caption.startswith(name)
            assert caption.endswith(", left out") == (doctor.REASONS[reason] == "drop")
            assert "suggested" not in caption  # It was done.
    assert set(report.WHY) == set(doctor.REASONS)


def test_what_is_suggested_is_said_where_nothing_is_dropped(source: Path) -> None:
    with pipeline.prepared(request(source), lambda line: None) as found:
        page = Page(report.page(found))
    reasons = list(found.diagnosis.reasons.values())
    seen = set()
    for reason, suggestion in doctor.REASONS.items():
        for caption in page.captions.get(f"{reason.capitalize()}: {reasons.count(reason)}", []):
            assert "left out" not in caption
            assert caption.endswith(", drop suggested") == (suggestion == "drop")
            seen.add(reason)
    assert {"exact duplicate", "near duplicate", "across classes", "blank", "enlarged"} < seen
    assert not any("suggested" in c for c in page.captions["A sample of what is kept"] if "/4" in c)


def test_what_a_human_drops_has_a_sheet_of_its_own(result) -> None:
    """With what was dropped to keep the sides of a split apart it has nothing to do."""
    position = positions(result)
    mine = position["cat/5.png"]
    assert mine not in result.diagnosis.reasons
    dropped = result.dropped | {mine: "looks odd"}
    page = Page(report.page(result._replace(dropped=dropped)))
    (caption,) = page.captions["Decided by hand: 1"]
    assert caption.startswith("cat/5.png") and caption.endswith(", left out")
    assert not any("by hand" in heading for heading in Page(report.page(result)).captions)


def test_how_it_was_made_stands_at_the_end(result) -> None:
    tags = ("dt", "dd")
    about = {"source": 'pets <b>&" .zip', "resolution": "32 px", "fingerprint": "0123abcd" * 8}
    page = Page(report.page(result._replace(about=about)))
    assert page.terms == [
        (tag, x) for pair in about.items() for tag, x in zip(tags, pair, strict=True)
    ]
    assert page.heading == "How it was made"
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
    cells = Page(report.page(result._replace(diagnosis=result.diagnosis._replace(rows=rows)))).cells
    least, _, median, _, most = cells[cells.index("width / height") + 1 :][:5]
    assert (least, median, most) == ("0.67", "1.00", "1.50")


def test_as_many_strange_ones_as_were_asked_for(source: Path) -> None:
    with pipeline.prepared(request(source, strangest=99), lambda line: None) as found:
        page = Page(report.page(found))
    reasons = found.diagnosis.reasons.values()
    assert len(page.captions[f"Strange: {list(reasons).count('strange')}"]) > 10
    assert not {"enlarged", "blurred"} & set(reasons)  # All that are left are strange.


def test_the_counts_add_up(result, text: str) -> None:
    found, kept = len(result.diagnosis.rows), sum(result.findings["counts"].values())
    assert f"<h1>{kept} of {found}</h1>" in text
    assert f"{kept} pictures kept, {found - kept} pictures left out" in text
    assert kept + len(result.dropped) == found


def test_duplicates_lie_side_by_side(result, text: str) -> None:
    captions = Page(text).captions["Duplicates, side by side"]
    groups = result.findings["near_duplicates"] + result.findings["exact_duplicates"]
    names = [name for group in groups for name in group]
    assert [c.startswith(n) for c, n in zip(captions, names, strict=True)] == [True] * len(names)
    assert {"cat/1.png", "cat/exact.png", "cat/2.png", "cat/near.jpg"} < set(names)


def test_the_strangest_come_in_order(result, text: str) -> None:
    names = list(result.diagnosis.rows.names(result.diagnosis.good[result.diagnosis.strangest()]))
    captions = Page(text).captions[f"The strangest {len(names)}"]
    assert all(c.startswith(n) for c, n in zip(captions, names, strict=True))


def test_the_pictures_are_those_of_the_set(result, text: str) -> None:
    """PNG loses nothing, so each figure is a square of the scan."""
    figures = re.findall(r'<figure><img alt="([^"]*)" src="data:image/png;base64,([^"]*)"', text)
    position = positions(result)
    seen = 0
    for alt, data in figures:
        name = next((n for n in position if alt.startswith(f"{n} (")), None)
        if name is None:  # An escaped one.
            continue
        shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
        np.testing.assert_array_equal(shown, result.scanned.picture(position[name]))
        seen += 1
    assert seen > 30


def test_flags_in_the_advice_are_code(text: str) -> None:
    assert "<code>--align=landmarks</code>" in text


def test_a_page_without_the_doctor(source: Path) -> None:
    with pipeline.prepared(request(source, options={"doctor": False}), lambda line: None) as found:
        page = Page(report.page(found))
    assert not any(heading.startswith("The strangest") for heading in page.captions)
    assert "A sample of what is kept" in page.captions


def test_a_long_sheet_says_how_much_it_shows(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    smooth(0).save(tmp_path / "cat" / "a.png")
    for i in range(70):
        (tmp_path / "cat" / f"copy {i:02}.png").write_bytes(
            (tmp_path / "cat" / "a.png").read_bytes()
        )
    with pipeline.prepared(request(tmp_path), lambda line: None) as found:
        text = report.page(found)
    page = Page(text)
    assert len(page.captions["Exact duplicate: 70"]) == report.SHEET == 64
    assert "The first 64 of 70." in text and "and 63" in text
    assert "70 doubtful ones among the kept" in text
