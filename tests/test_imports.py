"""Each folder imports only from its left, and no files import each other in a circle."""

import ast
import graphlib
from pathlib import Path

import pytest

import jaxgan

ORDER = [
    "errors",
    "types system",
    "prng reporting",
    "statistics",
    "data",
    "models",
    "augment",
    "steps",
    "config",
    "recipes",
    "engine",
    "weights",
    "metrics",
    "sampling",
    "training",
    "evaluation",
    "experiment",
    "api",
    "cli __main__",
]
RANK = {name: i for i, names in enumerate(ORDER) for name in names.split()}

# Imports that point back, each to be removed by moving what is imported, not the file.
BACK = {
    ("config.combinations", "recipes"),  # A classifier's layers have names.
    ("models.backbones", "weights.torch_files"),  # Reading a frozen network's weights.
    ("weights.imagenet", "metrics.features"),  # The file of VGG16's weights.
}
PACKAGE = Path(jaxgan.__file__).parent


def module(file: Path, package: Path = PACKAGE) -> str:
    """As it is imported, without `jaxgan.`."""
    return ".".join(file.relative_to(package).with_suffix("").parts).removesuffix(".__init__")


FILES = {module(p): p for p in sorted(PACKAGE.rglob("*.py")) if p != PACKAGE / "__init__.py"}


def imported(file: Path, modules: dict[str, Path] = FILES) -> set[str]:
    """Modules of this package that a file imports, in functions, too."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "jaxgan":
            base = (node.module or "").split(".")[1:]
            for alias in node.names:
                whole = ".".join([*base, alias.name])
                found.add(whole if whole in modules else ".".join(base))
        elif isinstance(node, ast.Import):
            found |= {a.name[7:] for a in node.names if a.name.startswith("jaxgan.")}
    return found - {""}  # Of `jaxgan` itself, the version.


IMPORTS = {name: imported(file) for name, file in FILES.items()}


def rank(name: str) -> int:
    return RANK[name.split(".")[0]]


@pytest.mark.parametrize("name", FILES)
def test_imports_only_from_its_left(name: str) -> None:
    back = {other for other in IMPORTS[name] if rank(other) > rank(name)}
    assert back == {other for one, other in BACK if one == name}


def test_no_circles() -> None:
    graphlib.TopologicalSorter(IMPORTS).prepare()  # Raises CycleError, which names them.


def test_the_top_can_be_read_at_once() -> None:
    names = {p.name for p in PACKAGE.iterdir() if not p.name.startswith("__")}
    assert len(names) <= 22
    assert {name.removesuffix(".py") for name in names} <= {"__init__", *RANK}


def test_sees_every_kind_of_import(tmp_path: Path) -> None:
    file = tmp_path / "types.py"
    file.write_text(
        "from jaxgan.steps import gan\nimport jaxgan.engine.loop\nfrom jaxgan import prng\n"
        "from jaxgan import __version__ as version\n"
        "def late():\n    from jaxgan.recipes import build\n"
    )
    names = ("steps.gan", "engine.loop", "prng", "recipes", "__version__")
    found = imported(file, dict.fromkeys(names, file))
    assert found == {"steps.gan", "engine.loop", "prng", "recipes", "__version__"}
