from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

Schedule: TypeAlias = Callable[[Any], Any]

class GradientTransformation(NamedTuple):
    init: Callable[[Any], Any]
    update: Callable[..., tuple[Any, Any]]

class GradientTransformationExtraArgs(GradientTransformation): ...

def __getattr__(name: str) -> Any: ...
