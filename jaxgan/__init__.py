"""Would generated images help my classifier? GANs, classifiers and the experiment.

`experiment`, `train`, `load`, `load_config` and `compare` are the commands in Python: see
`jaxgan.api`, which is imported when one of them is first used.
"""

__version__ = "0.1.0"

TYPE_CHECKING = False  # Importing typing takes long enough for a Ctrl-C.
if TYPE_CHECKING:
    from typing import Any

    from jaxgan.api import compare, load, load_config, train
    from jaxgan.errors import InputError

__all__ = ["InputError", "compare", "load", "load_config", "train"]


def __getattr__(name: str) -> "Any":
    if name == "InputError":
        from jaxgan.errors import InputError

        return InputError
    if name in __all__:
        from jaxgan import api

        return getattr(api, name)
    packages = {"api": "jaxgan.api", "experiment": "jaxgan.experiment"}
    packages["stylegan2"] = "jaxgan.recipes.stylegan2"  # It stays for configs of users.
    if name in packages:
        import importlib

        return importlib.import_module(packages[name])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "experiment", "__version__"]
