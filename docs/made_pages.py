"""Writes pages from files: the glossary, the gallery of runs, what compilers say of chips."""

import json
from pathlib import Path

import jaxgan
from jaxgan.config import loading

ROOT = Path(__file__).parents[1]
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
CHIPS = """# Chips

What XLA's compilers say of a training step, compiled for a chip on a machine that has none: nothing
here was run. It is in bf16 under `jit` where a row does not say other. Every program fits the chip,
none has a float64 or calls the host, and states are updated in place.

*Peak* is a device's memory in MiB, *state* the part of it that stays. *Roofline* is the longer of
arithmetic and memory at the chip's own rates, in ms; *estimated* are the compiler's cycles without
look-ups, which lie below it where data stay on the chip; *share* is of the bf16 peak. Rows without
these were compiled with the compiler's least effort (`--quick`), which takes other amounts of
memory. *Exchanged* is what a device's all-reduces take in. `make aot` makes the rows, with the
config's batch or `--batch_size`.
"""
TARGETS = {
    "v5e-1": "A chip of a TPU v5e, 16,384 MiB",
    "v5e-4": "Each of four chips of a TPU v5e",
    "v5e-8": "Each of eight chips of a TPU v5e",
    "v4-1": "A chip of a TPU v4, 32,768 MiB",
    "v6e-1": "A chip of a TPU v6e, 32,768 MiB",
    "h100": "An NVIDIA H100, 76,294 MiB",
}
UPDATES = {  # Of a StyleGAN2.
    "part 1": "generator",
    "part 2": "path lengths",
    "part 3": "critic",
    "part 4": "R1",
}
PEAK = {"v4": 275, "v5e": 197, "v6e": 918}  # bf16 TFLOP/s of a chip, as Google documents them.


def write(folder: Path) -> None:
    """Write the pages; files that would not change are left alone."""
    lines = (line.partition(": ") for line in TERMS.read_text().splitlines() if line.strip())
    terms = "\n\n".join(f"{term}\n  {text}" for term, _, text in lines)
    _put(folder / "glossary.md", f"{INTRO}{terms}\n```\n")
    file = folder / "images" / "gallery" / "runs.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    _put(folder / "gallery.md", "\n".join([GALLERY, *map(_section, rows)]))
    file = ROOT / "benchmarks" / "results" / "aot.jsonl"
    rows = [row for row in map(json.loads, file.read_text().splitlines()) if "error" not in row]
    parts = [_table(target, [r for r in rows if r["target"] == target]) for target in TARGETS]
    _put(folder / "chips.md", "\n".join([CHIPS, *filter(None, parts)]))


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


def _table(target: str, rows: list[dict]) -> str:
    """Return the section of a chip, "" where nothing was compiled for it."""
    if not rows:
        return ""
    heads = ["config", "batch", "program", "peak", "state"]
    timed = target != "h100"  # Whose compiler counts no arithmetic.
    heads += ["GFLOP", "roofline", "estimated", "share"] if timed else []
    heads += ["exchanged MiB"] if any(row["reduced_mib"] for row in rows) else []
    lines = [heads, ["---"] * len(heads)]
    for row in sorted(rows, key=lambda row: [row[k] for k in ("config", "program", "mode")]):
        config = loading.load(str(ROOT / "configs" / f"{row['config']}.py"))
        other = [row[k] for k in ("precision", "mode") if row[k] not in ("bf16", "jit")]
        part = str(row["program"])
        program = ", ".join([UPDATES.get(part, part), *other])
        line = [f"`{row['config']}`", row["batch_size"] or config.train.batch_size, program]
        line += [f"{row[key]:,.0f}" for key in ("peak_mib", "state_mib")]
        if timed:
            line += [f"{row['gflop']:,.0f}", *_times(row, PEAK[target.partition("-")[0]])]
        line += [f"{row['reduced_mib']:,.0f}"] if "exchanged MiB" in heads else []
        lines.append(list(map(str, line)))
    return f"## {TARGETS[target]}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _times(row: dict, peak: float) -> list[str]:
    """Return the roofline, the estimate and the share of the peak; "" is not known."""
    times = [row["roofline_ms"], row["estimated_ms"]]
    share = f"{row['gflop'] / times[1] / peak:.0%}" if times[1] else ""
    return [*("" if ms is None else f"{ms:.1f}" for ms in times), share]


def _value(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _put(file: Path, text: str) -> None:
    if not file.exists() or file.read_text() != text:
        file.write_text(text)
