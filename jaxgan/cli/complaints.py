"""What absl says of a command line, in our words."""

import difflib
import re
from collections.abc import Sequence

from absl import flags
from ml_collections import ConfigDict

from jaxgan.errors import InputError

KINDS = {  # What absl says of a value, and what it should be.
    "invalid literal for int": "a whole number",
    "could not convert string to float": "a number",
    r"\('Non-boolean": "true or false",
}


def unknown(error: flags.UnrecognizedFlagError, names: Sequence[str]) -> Exception:
    """Return absl's complaint with the nearest flag, those of the `jaxgan` command among them."""
    if error.flagname == "worker":
        return InputError("there is no flag --worker any more: --on=ray does jobs side by side")
    close = difflib.get_close_matches(error.flagname, [*names, "set", "data"], 1)
    nearest = f"did you mean --{close[0]}?" if close else "--help lists them"
    return InputError(f"there is no flag --{error.flagname}: {nearest}")


def wrong_type(config: ConfigDict | None, error: Exception) -> Exception:
    """Return absl's complaint in our words, where it is about a path, a number or the config."""
    if isinstance(error.__context__, InputError):
        return error.__context__
    for said, kind in KINDS.items():
        if (found := re.match(rf"flag --(\w+)=(.*?): {said}", str(error), re.DOTALL)) is not None:
            return InputError(f"--{found[1]} must be {kind}, got {found[2][:200]!r}")
    found = re.match(r"flag --config\.([\w.]+)=(.*?): ", str(error), re.DOTALL)
    if config is None or found is None:
        return error
    name, value = found.groups()
    section = config
    *path, last = name.split(".")
    for part in path:
        section = section[part]  # type: ignore[index]
    kind = section.get_type(last)  # type: ignore[attr-defined]
    return InputError(f"config.{name} must be of type {kind.__name__}, got {value!r}")
