"""The pages as they stand in a checkout."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
MADE = {  # By the build of the pages, which a checkout does not have.
    (ROOT / line).resolve()
    for line in (ROOT / ".gitignore").read_text().splitlines()
    if line.startswith("docs/") and line.endswith(".md")
}


@pytest.mark.parametrize("page", sorted({*PAGES} - MADE), ids=lambda page: page.stem)
def test_links_lead_to_files_of_a_checkout(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text())
    files = {(page.parent / link).resolve() for link in links if "://" not in link}
    assert not files & MADE
    assert not [file for file in files if not file.exists()]
