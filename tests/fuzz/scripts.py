"""The scripts as functions: see `server`."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

SERVER = Path(__file__).with_name("server.py")


class Done(NamedTuple):
    """What became of a command; `code` is None where it took too long."""

    code: int | None
    out: str
    err: str
    seconds: float


class Scripts:
    """A process that runs commands in `folder`, one at a time; `trains`: see `server`."""

    def __init__(self, folder: Path, trains: bool = False):
        env = os.environ | {
            "JAX_PLATFORMS": "cpu",
            "XDG_CACHE_HOME": str(folder / "cache"),
            "HF_HUB_OFFLINE": "1",
        }
        self.process = subprocess.Popen(
            [sys.executable, str(SERVER), *["--trains"] * trains],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=folder,
            env=env,
        )
        self._answer()

    def __call__(self, script: str, *arguments: str, seconds: float = 30) -> Done:
        assert self.process.stdin is not None
        print(json.dumps([script, arguments, seconds]), file=self.process.stdin, flush=True)
        return Done(*self._answer())

    def _answer(self) -> list:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the server has ended"
        return json.loads(line)

    def close(self) -> None:
        self.process.communicate()
