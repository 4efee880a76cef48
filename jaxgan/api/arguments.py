"""Mistakes as Python has them: the argument's name where a command would have a flag's."""

import inspect
import re
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from jaxgan.errors import InputError

Given = ParamSpec("Given")
Found = TypeVar("Found")
# A command, whose flags stay; a setting; any other flag.
FLAGS = re.compile(
    r"jaxgan [a-z-]+ [^,;)]*|(?:--config\.|^(?=data\.path must))([\w.]+)|(?<![\w-])--(\w+)(?![\w-])"
)


def in_python(text: str, known: Mapping[str, str]) -> str:
    """Return a sentence with arguments in place of flags; those of commands stay.

    Args:
        text: the sentence.
        known: arguments by their flags.
    """

    def argument(found: re.Match[str]) -> str:
        setting, flag = found.groups()
        if setting == "data.path" and "images" in known:
            return "images"
        if setting and "settings" in known:
            return f'settings["{setting}"]'
        return known.get(flag, found[0])

    return FLAGS.sub(argument, text)


def arguments(*calls: Callable[..., Any]) -> dict[str, str]:
    """Return the arguments of functions by their flags, which are called alike."""
    return {name: name for one in calls for name in inspect.signature(one).parameters}


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
        known = arguments(call, *also) | flags

        @wraps(call)
        def wrapped(*args: Given.args, **options: Given.kwargs) -> Found:
            try:
                return call(*args, **options)
            except InputError as error:
                error.with_flags = error.with_flags or str(error)
                error.args = (in_python(str(error), known),)
                raise

        return wrapped

    return decorate
