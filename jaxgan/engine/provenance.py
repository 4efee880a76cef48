"""Where a run's figures come from: command, versions, devices, time and commit."""

import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import metadata

import jax

COMMAND: ContextVar[str | None] = ContextVar("command")  # Unset: this process's own.
PACKAGES = ("jaxgan", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy")


def versions() -> dict[str, str]:
    """Return those of the packages that a run's figures depend on."""
    return {name: metadata.version(name) for name in PACKAGES}


@contextmanager
def as_command(line: str | None) -> Iterator[None]:
    """Record, of what is begun within, the command that does the same; None: there is none."""
    token = COMMAND.set(line)
    try:
        yield
    finally:
        COMMAND.reset(token)


def environment() -> dict:
    """Command, versions, devices, time, and the commit of the code where it is a checkout."""
    here = os.path.dirname(os.path.abspath(__file__))
    try:
        git = subprocess.run(
            ["git", "-C", here, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        git = None
    return {
        "command": COMMAND.get(f"{sys.argv[0]} {shlex.join(sys.argv[1:])}".strip()),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "versions": versions(),
        "devices": [f"{d.platform} {d.device_kind}" for d in jax.devices()],
        "python": platform.python_version(),
        "platform": platform.platform(),
        "git": git,
    }
