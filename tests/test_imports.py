"""Each part imports only from its left."""

import ast
from pathlib import Path

import pytest

import jaxgan

ORDER = [
    "errors page interrupts paths spans spreadsheet terminal",
    "sealed lock",
    "arms",
    "types",
    "data",
    "noise schedules",
    "models",
    "maps wavelets",
    "losses penalties augment randaugment ada optim",
    "state",
    "steps",
    "config",
    "stylegan2",
    "recipes",
    "settings",
    "checks",
    "hosts",
    "parallel",
    "checkpoint",
    "log",
    "memory tracing progress collapse",
    "loop",
    "together",
    "warm fitting",
    "metrics",
    "published frozen",
    "styles",
    "selection",
    "sample",
    "video",
    "projection export",
    "evaluate monitor early",
    "training",
    "convert",
    "surplus",
    "experiment",
    "api",
    "compilation",
    "command",
    "runs cli __main__",
]
RANK = {name: i for i, names in enumerate(ORDER) for name in names.split()}
PACKAGE = Path(jaxgan.__file__).parent
FILES = sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


def imported_parts(file: Path) -> set[str]:
    names = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            base = node.module.split(".")
            if base == ["jaxgan"]:
                names += [alias.name for alias in node.names if alias.name != "__version__"]
            elif base[0] == "jaxgan":
                names.append(base[1])
        elif isinstance(node, ast.Import):
            names += [a.name.split(".")[1] for a in node.names if a.name.startswith("jaxgan.")]
    return set(names)


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_imports_only_from_its_left(file: Path) -> None:
    part = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
    back = {other for other in imported_parts(file) if RANK[other] > RANK[part]}
    assert not back, f"{part} must not import {back}"


def test_sees_an_import_that_points_back(tmp_path: Path) -> None:
    file = tmp_path / "types.py"
    file.write_text("from jaxgan.steps import gan\nimport jaxgan.loop\nfrom jaxgan import log\n")
    assert imported_parts(file) == {"steps", "loop", "log"}
