"""Mistakes as Python has them: the argument's name where a command would have a flag's."""

import inspect
import re
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from jaxgan.errors import InputError

Given = ParamSpec("Given")
Found = TypeVar("Found")
# A command, whose flags stay; a setting; any other flag.
FLAGS = re.compile(r"jaxgan [a-z-]+ [^,;)]*|--config\.([\w.]+)|(?<![\w-])--(\w+)(?![\w-])")


def named(
    *also: Callable[..., Any], **flags: str
) -> Callable[[Callable[Given, Found]], Callable[Given, Found]]:
    """Return a decorator: the function's InputErrors name its arguments, not a command's flags.

    A flag that is no argument stays as it is. Scripts that call it still print the flags.

    Args:
        also: functions to whose arguments it hands on.
        flags: arguments that are called otherwise, by the flag.
    """

    def decorate(call: Callable[Given, Found]) -> Callable[Given, Found]:
        names = {name for one in (call, *also) for name in inspect.signature(one).parameters}
        known = {name: name for name in names} | flags

        def argument(found: re.Match[str]) -> str:
            setting, flag = found.groups()
            if setting == "data.path" and "images" in known:
                return "images"
            if setting and "settings" in known:
                return f'settings["{setting}"]'
            return known.get(flag, found[0])

        @wraps(call)
        def wrapped(*args: Given.args, **options: Given.kwargs) -> Found:
            try:
                return call(*args, **options)
            except InputError as error:
                error.with_flags = error.with_flags or str(error)
                error.args = (FLAGS.sub(argument, str(error)),)
                raise

        return wrapped

    return decorate
