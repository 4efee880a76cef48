"""Writes the glossary from the report's own, and the gallery from its runs, for the pages."""

import json
from pathlib import Path

import jaxgan

TERMS = Path(jaxgan.__file__).parent / "reporting" / "templates" / "glossary.txt"
INTRO = """# Glossary

The words of the reports, where the same ones are underlined. {ref}`genindex` has what Python knows.

```{glossary}
"""
GALLERY = """# Gallery

What one to three minutes of a CPU come to: 300 drawn cats at 32 px, narrow nets, seeds 0 to 15,
which nobody chose. It is no contest: nobody tuned the GANs for these images, most need a hundred
times as long, and drawn cats are easier than real ones. StyleGAN2-ADA is still fog after its 150
steps, and the refiner has spoiled what it began with. Distances are to the real images, on features
that no critic used, beside that of principal components, which train nothing.
`python benchmarks/gallery.py` makes it anew.
"""


def write(folder: Path) -> None:
    """Write both pages; files that would not change are left alone."""
    lines = (line.partition(": ") for line in TERMS.read_text().splitlines() if line.strip())
    terms = "\n\n".join(f"{term}\n  {text}" for term, _, text in lines)
    _put(folder / "glossary.md", f"{INTRO}{terms}\n```\n")
    file = folder / "images" / "gallery" / "runs.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    _put(folder / "gallery.md", "\n".join([GALLERY, *map(_section, rows)]))


def _section(row: dict) -> str:
    name = row["config"]
    about = [f"{row['steps']:,} steps" if row["steps"] else "Nothing is trained"]
    about.append(f"{row['cpu_seconds']:,.0f} CPU seconds, compiling included")
    about += [row["parameters"]] if "parameters" in row else []
    about += [f"a step needs {row['memory']}"] if "memory" in row else []
    if "early/distance" in row:
        ours, theirs = row["early/distance"], row["early/distance_pca"]
        about.append(f"distance {ours:.0f} (principal components {theirs:.0f})")
    settings = [f"--set {key}={_value(value)}" for key, value in row["settings"].items()]
    pairs = [" ".join(settings[i : i + 2]) for i in range(0, len(settings), 2)]
    image = f"![Sixteen samples of {name}](images/gallery/{name.replace(':', '_')}.png)"
    command = " \\\n        ".join([f"    jaxgan train {name} --data toy", *pairs])
    return f"## {name}\n\n{image}\n\n{'; '.join(about)}.\n\n{command}\n"


def _value(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _put(file: Path, text: str) -> None:
    if not file.exists() or file.read_text() != text:
        file.write_text(text)
