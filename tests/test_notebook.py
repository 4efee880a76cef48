"""The notebook of docs/ runs from top to bottom, and says what its text says."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest

FILE = Path(__file__).parents[1] / "docs" / "first_steps.ipynb"


@pytest.mark.slow
def test_the_notebook_runs(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    notebook = json.loads(FILE.read_text())
    values: dict[str, Any] = {}
    shown = []
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        assert not cell["outputs"], "outputs are not kept"
        tree = ast.parse("".join(cell["source"]))
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, FILE.name, "exec"), values)
        if last is not None:
            shown.append(eval(compile(ast.Expression(last.value), FILE.name, "eval"), values))
    classifier, (shape, kind), sheet, rows, metrics = shown
    assert len(repr(classifier)) < 200 and "cat, dog" in repr(classifier)
    assert shape == (8, 32, 32, 3) and kind == "uint8" and sheet.size == (272, 272)
    assert {row["class"] for row in rows} <= {"cat", "dog"}
    assert set(metrics) == {"frechet", "precision"}
