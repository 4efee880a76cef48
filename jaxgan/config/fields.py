"""What `settings` are declared with: types, bounds, names and lengths; whether a value fits."""

import dataclasses
import inspect
import math
from collections.abc import Mapping
from typing import Any, TypeVar, dataclass_transform, get_args

import numpy as np
from ml_collections import ConfigDict

from jaxgan.config.values import is_dict, is_several
from jaxgan.errors import InputError
from jaxgan.system import paths

MOST_STEPS = 10**9  # Of a training: JAX counts them in 32 bits.
LONGEST = 4096  # Characters of a text, as of a path.
LARGEST = 1e9  # Of a number: its square is still one in float32.
TINY = float(np.finfo(np.float32).tiny)  # What is less above 0 is 0 in float32.
KINDS = {int: "a whole number", float: "a finite number", str: "text", bool: "True or False"}
Section = TypeVar("Section")


@dataclasses.dataclass(frozen=True)
class Setting:
    """What a setting may be.

    Attributes:
        kind: int, float, str or bool; of each element, of a tuple.
        least: the lowest number.
        most: the highest number.
        above: whether it must be above `least`.
        below: whether it must be below `most`.
        names: that a text must be one of; () admits any text.
        none: whether it may be None.
        count: the fewest and the most elements of a tuple; None: a single value.
        single: whether a tuple may be a single value, too.
        required: whether it must be there.
        path: "local" or "remote" for a text that names a file or folder of this machine, or of an
            object store, too; "mapping": remote, or a dict as text. "" for any other.
        default: what a config without it has.
    """

    kind: type
    least: float = -LARGEST
    most: float = LARGEST
    above: bool = False
    below: bool = False
    names: tuple[str, ...] = ()
    none: bool = False
    count: tuple[int, int] | None = None
    single: bool = False
    required: bool = True
    path: str = ""
    default: Any = None


@dataclass_transform(kw_only_default=True, frozen_default=True)
def section(made: type[Section]) -> type[Section]:
    """Make a section's class, whose attributes are declared as settings or sections, a dataclass.

    It is frozen. An attribute with a plain default is what other models declare.
    """
    for name, kind in inspect.get_annotations(made).items():
        value = made.__dict__.get(name)
        kinds = [one for one in get_args(kind) or (kind,) if dataclasses.is_dataclass(one)]
        if isinstance(value, Setting):
            field = dataclasses.field(default=value.default, metadata={"setting": value})
            setattr(made, name, field)
        elif kinds:
            setattr(made, name, dataclasses.field(default=value, metadata={"section": kinds[0]}))
    return dataclasses.dataclass(frozen=True, kw_only=True)(made)


def declared(made: type, prefix: str = "") -> dict[str, Setting]:
    """Return the settings of a section and those in it, by dotted names; not of optional ones."""
    found: dict[str, Setting] = {}
    for field in dataclasses.fields(made):
        if "setting" in field.metadata:
            found[prefix + field.name] = field.metadata["setting"]
        elif "section" in field.metadata and field.default is not None:
            found |= declared(field.metadata["section"], f"{prefix}{field.name}.")
    return found


def read(made: type[Section], values: Mapping[str, Any]) -> Section:
    """Return a section with the values that are there, whatever else there is."""
    found: dict[str, Any] = {}
    for field in dataclasses.fields(made):  # type: ignore[arg-type]
        value = values.get(field.name)
        if "section" in field.metadata and is_dict(value):
            found[field.name] = read(field.metadata["section"], value)
        elif "setting" in field.metadata and field.name in values:
            found[field.name] = _frozen(value)
    return made(**found)


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if is_several(value) else value


def whole(least: int = 1, most: int = MOST_STEPS, **more: Any) -> Any:
    return Setting(int, least - 1 if least == 1 else least, most, above=least == 1, **more)


def number(least: float = 0.0, most: float = LARGEST, **more: Any) -> Any:
    return Setting(float, least, most, **more)


def positive(most: float = LARGEST, **more: Any) -> Any:
    return Setting(float, 0.0, most, above=True, **more)


def part(least: float = 0.0, **more: Any) -> Any:
    """Return a number below 1."""
    return Setting(float, least, 1.0, below=True, **more)


def text(*names: str, **more: Any) -> Any:
    return Setting(str, names=names, **more)


SHARE: Any = Setting(float, 0.0, 1.0)  # Within [0, 1];
PART = part()  # [0, 1);
SOME: Any = Setting(float, 0.0, 1.0, above=True)  # (0, 1];
BETWEEN: Any = Setting(float, 0.0, 1.0, above=True, below=True)  # (0, 1).
TRUTH: Any = Setting(bool)
ANY: Any = Setting(object)  # Text or a number, which a rule of its own checks.
SEED = whole(0, 2**32 - 1)


def maybe(setting: Setting) -> Any:
    return dataclasses.replace(setting, none=True)


def several(
    setting: Setting, least: int = 0, most: int = 1000, single: bool = False, default: Any = None
) -> Any:
    return dataclasses.replace(setting, count=(least, most), single=single, default=default)


def optional(setting: Setting, default: Any = None) -> Any:
    """Return one that not every config has, and what it is in those."""
    return dataclasses.replace(setting, required=False, default=default)


def check_value(name: str, value: Any, setting: Setting) -> None:
    """Raise InputError for a value that the setting cannot be."""
    if value is None and setting.none:
        return
    if setting.count is None or (setting.single and not is_several(value)):
        _check_one(name, value, setting)
        return
    least, most = setting.count
    if not is_several(value):
        raise InputError(f"{name} must be a tuple like (a, b), got {shown(value)}")
    if not least <= len(value) <= most:
        rule = f"{least:,}" if least == most else f"from {least:,} to {most:,}"
        what = "values" if setting.kind is str else "numbers"
        raise InputError(f"{name} must be {rule} {what}, got {shown(tuple(value))}")
    for each in value:
        _check_one(f"each of {name}", each, setting)


def _check_one(name: str, value: Any, setting: Setting) -> None:
    kind = setting.kind
    if kind is object:
        if not isinstance(value, str | int | float):
            raise InputError(f"{name} must be text or a number, got {shown(value)}")
        return
    fits = isinstance(value, (int, float) if kind is float else kind)
    if not fits or (kind is not bool and isinstance(value, bool)):
        raise InputError(f"{name} must be {KINDS[kind]}, got {shown(value)}")
    if kind is str:
        if setting.names and value not in setting.names:
            raise InputError(
                f"{name} must be one of {', '.join(setting.names)}, got {shown(value)}"
            )
        if "\0" in value or len(value) > LONGEST:
            raise InputError(
                f"{name} must be text of at most {LONGEST:,} characters, none of them NUL, got "
                f"{shown(value)}"
            )
        if setting.path and not (setting.path == "mapping" and value.lstrip().startswith("{")):
            paths.checked(value, name, setting.path != "local")
    elif kind is not bool:
        _check_number(name, value, setting)


def _check_number(name: str, value: float, setting: Setting) -> None:
    least, most = setting.least, setting.most
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{name} must be a finite number, got {value}")
    low = value < least or (setting.above and value < least + TINY)
    high = value > most or (setting.below and value >= most)
    if not low and not high:
        return
    if least == 0 and most > 1:
        rule = "must be above 0" if setting.above else "must not be negative"
        rule = f"must be at most {most:,.10g}" if high else rule
    else:
        left, right = "[("[setting.above], "])"[setting.below]
        rule = f"must be within {left}{least:,.10g}, {most:,.10g}{right}"
    raise InputError(f"{name} {rule}, got {shown(value)}")


def is_plain(value: Any) -> bool:
    """Return whether a value is one that `config.json` can hold."""
    if is_several(value):
        return all(map(is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def shown(value: Any) -> str:
    """Return a value in one line, cut off."""
    if isinstance(value, ConfigDict):
        return "a section"
    if isinstance(value, int) and abs(value) >= 2**63:
        return f"a number of {value.bit_length():,} bits"
    found = repr(value)
    return found if len(found) <= 200 else f"{found[:200]}..."
