"""Generated images as a set that `datasets.load_dataset("imagefolder")` reads, with its card."""

import json
from collections.abc import Sequence

from etils import epath

from jaxgan.sampling import cards
from jaxgan.sampling.sample import Sampler
from jaxgan.sampling.stylegan2 import Style
from jaxgan.system import checked_files
from jaxgan.system.terminal import few

METADATA, CARD = "metadata.jsonl", "README.md"


def labels(sampler: Sampler, style: Style, seeds: Sequence[int]) -> list[str] | None:
    """Return the class of each image; None where the run says none."""
    classes: list[str] = list(sampler.config.data.classes or ())
    numbers = sampler.labels(style.label, seeds)
    if numbers is not None:
        return [classes[int(i)] if classes else str(int(i)) for i in numbers]
    return classes * len(seeds) if len(classes) == 1 else None


def describe(
    sampler: Sampler,
    style: Style,
    seeds: Sequence[int],
    out: epath.PathLike,
    file_format: str = "png",
    licence: str | None = None,
) -> None:
    """Write `metadata.jsonl` and `README.md` beside the images that `files.save` wrote.

    Args:
        sampler: what drew them.
        style: how a StyleGAN2 drew them.
        seeds: theirs.
        out: their folder.
        file_format: theirs.
        licence: of theirs, see `cards.front_matter`.
    """
    cards.check_licence(licence)
    folder, classes = epath.Path(out), labels(sampler, style, seeds)
    rows = []
    for i, seed in enumerate(seeds):
        row = {"file_name": f"seed{seed:08d}.{file_format}", "seed": seed}
        rows.append(json.dumps(row | ({"label": classes[i]} if classes else {})) + "\n")
    checked_files.write(folder / METADATA, rows)
    checked_files.write(folder / CARD, card(sampler, len(rows), classes, licence))


def card(
    sampler: Sampler, count: int, classes: Sequence[str] | None, licence: str | None = None
) -> str:
    """Return the card of a set of generated images."""
    model, side = sampler.config.model.name, sampler.config.data.resolution
    about = {
        "license": licence or "unknown",
        "task_categories": ["image-classification", "unconditional-image-generation"],
        "tags": ["synthetic", "jaxgan", model],
    }
    head = "---\n" + "".join(f"{k}: {json.dumps(v)}\n" for k, v in about.items()) + "---"
    of = f" of {few(sorted(set(classes)))}" if classes else ""
    return f"""{head}

# {count:,} generated images{of}

Every image here is synthetic: drawn by a generator of jaxgan ({model}, {side} px, step
{sampler.step:,}, weights {sampler.checksum}), each from the seed in its name. None is a photograph.
Whether they help a classifier is a question to be measured, not assumed.

```python
import datasets
images = datasets.load_dataset("imagefolder", data_dir=".", split="train")
```
"""
