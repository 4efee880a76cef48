"""What the values of configs are. Nothing here imports JAX."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, TypeGuard

from ml_collections import ConfigDict


class Given(Protocol):
    """A config of `typed`, which knows what it was made of."""

    @property
    def given(self) -> dict[str, Any]: ...


def is_dict(value: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def is_several(value: Any) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    return isinstance(value, list | tuple)


def is_experiment(config: ConfigDict | Given) -> bool:
    return "arms" in (config if isinstance(config, ConfigDict) else config.given)


def backbones(values: Mapping[str, Any]) -> Iterator[str]:
    """The networks through which the critics of a config look: any `backbone` in it.

    The first critic's, and that of a second one whose weight is above 0.
    """
    if values.get("weight") == 0:  # A second critic that is off.
        return
    for name, value in values.items():
        if is_dict(value):
            yield from backbones(value)
        elif name in ("backbone", "backbones") and value:
            yield from re.findall(r"\w+", value if isinstance(value, str) else " ".join(value))
