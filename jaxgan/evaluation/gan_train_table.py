"""What `gan_train` measured, as columns of text."""

from typing import Any

from jaxgan.metrics.classification import ROWS
from jaxgan.system.terminal import few


def table(result: dict[str, Any]) -> str:
    """Return the result of `gan_train.run` as a person reads it."""
    metrics, pictures = result["metrics"], result["pictures"]
    learned = few([f"{n:,} {name}" for name, n in pictures["learned from"].items()])
    tested, asked = (sum(pictures[side].values()) for side in ("test", "fake"))
    classes = list(pictures["test"])
    if len(classes) > ROWS:
        trained = metrics["gan_train"]["per_class"]
        classes = sorted(classes, key=lambda one: trained[one]["value"])[:ROWS]
    wide = max(28, *(len(name) + 2 for name in classes))
    lines = [
        f"learned from {learned} images, {len(result['seeds'])} seeds; tested on {tested:,} real "
        f"and {asked:,} generated images; {result['level']:.0%} intervals",
        "".ljust(wide) + "GAN-base".rjust(22) + "GAN-train (CAS)".rjust(22) + "GAN-test".rjust(22),
    ]
    names = ("gan_base", "gan_train", "gan_test")
    rows = {"accuracy": [metrics[name] for name in names]}
    rows |= {one: [metrics[name]["per_class"][one] for name in names] for one in classes}
    for title, cells in rows.items():
        lines.append(title.ljust(wide) + "".join(_cell(cell).rjust(22) for cell in cells))
    if len(classes) < len(pictures["test"]):
        lines.append(f"{len(pictures['test']) - len(classes):,} more classes, better by GAN-train")
    gap = metrics["gan_train"]["difference"]
    text = f"GAN-train - GAN-base: {100 * gap['value']:+.1f} points"
    if gap["low"] is not None:
        text += f" [{100 * gap['low']:+.1f}, {100 * gap['high']:+.1f}]: "
        text += (
            "generated images teach less than as many real ones"
            if gap["high"] < 0
            else "generated images teach more than as many real ones"
            if gap["low"] > 0
            else "no evidence that generated images teach less than as many real ones, or more"
        )
    return "\n".join([*lines, text])


def _cell(cell: dict[str, float]) -> str:
    return f"{cell['value']:.1%} [{cell['low']:.1%}, {cell['high']:.1%}]"
