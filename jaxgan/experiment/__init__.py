"""Would generated images help a classifier? The package can be called:

    answer = jaxgan.experiment("pets", budget="10m")

`help(jaxgan.api.experiment)` has all its arguments.
"""

import importlib
import sys
import types
from typing import Any


class _Experiment(types.ModuleType):
    def __call__(self, *args: Any, **options: Any) -> Any:
        """See `jaxgan.api.experiment`."""
        return importlib.import_module("jaxgan.api").experiment(*args, **options)


sys.modules[__name__].__class__ = _Experiment
