"""Writes the page of all settings from their declarations, when the pages are built."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxgan.config import check_settings, loading
from jaxgan.config.check_settings import Setting

TITLES = {  # Of the tables, with the config whose values stand in it.
    "Of every training": (check_settings.TRAINING, "dcgan64"),
    **{
        f"Of `model.name={name}`": (check_settings.OF_MODEL[name], config)
        for name, config in {
            "wgan": "wgan512",
            "dcgan": "dcgan64",
            "fastgan": "fastgan256",
            "projected": "projected64",
            "drifting": "drifted64",
            "stylegan2": "stylegan2_ada128",
            "googlenet": "googlenet",
            "resnet": "resnet",
            "vgg16": "vgg16_small",
        }.items()
    },
    "Of `model.name=pca`": (check_settings.PCA, "pca64"),
    "Of an experiment": (check_settings.EXPERIMENT, "quickstart"),
}
KINDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
INTRO = """# All settings

What each setting of a config may be, as it is declared and checked (`jaxgan/config/settings.py`);
`--config.a.b=value` or `--set a.b=value` sets one, and [configs and choices](configs.md) says what
they are for. The last column is the value in one config. In an experiment those of a training stand
below `gan.` and `classifier.`.
"""


def rule(setting: Setting) -> str:
    """Return what a setting may be, in words."""
    if setting.names:
        said = "one of " + ", ".join(f"`{name}`" for name in setting.names)
    else:
        said = KINDS.get(setting.kind, "any value") + _bounds(setting)
    if setting.count is not None:
        least, most = setting.count
        number = f"{least:,}" if least == most else f"{least:,} to {most:,}"
        said = f"{number} values, each {said}" + (", or one" if setting.single else "")
    return said + (", or none" if setting.none else "")


def _bounds(setting: Setting) -> str:
    if setting.kind not in (int, float):
        return ""
    low = f"{'above' if setting.above else 'from'} {setting.least:,.10g}"
    return f" {low} {'to below' if setting.below else 'to'} {setting.most:,.10g}"


def table(known: Mapping[str, Setting], name: str) -> str:
    """Return a table of settings with their values in a config."""
    config: Any = loading.load(name)
    lines = [f"| setting | may be | in `{name}` |", "|---|---|---|"]
    for dotted, setting in sorted(known.items()):
        value: Any = config
        for part in dotted.split("."):
            value = value.get(part, "") if hasattr(value, "get") else ""
        shown = "" if value == "" else f"`{value}`"
        lines.append(f"| `{dotted}` | {rule(setting)} | {shown} |")
    return "\n".join(lines)


def write(file: Path) -> None:
    """Write the page; a file that would not change is left alone."""
    parts = [INTRO]
    for title, (known, name) in TITLES.items():
        common = {} if known is check_settings.TRAINING else check_settings.TRAINING
        own = {dotted: x for dotted, x in known.items() if common.get(dotted) != x}
        parts.append(f"## {title}\n\n{table(own, name)}\n")
    text = "\n".join(parts)
    if not file.exists() or file.read_text() != text:
        file.write_text(text)
