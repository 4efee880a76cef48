"""Runs the scripts for the fuzzer: imports once, then forks a process for each command.

The script `jaxgan` is the command of that name, whose first argument is a verb.

Where --trains is not given, what would be trained is done as soon as it has been checked.

Reads a JSON list [script, arguments, seconds] from each line of standard input, and writes
[exit code, stdout, stderr, seconds taken] for it; the code is None where it took longer.
"""

import contextlib
import json
import os
import runpy
import signal
import sys
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIMIT = 100_000  # Bytes of each stream.


def serve(trains: bool) -> None:
    from jaxgan import api  # noqa: F401
    from jaxgan.cli import command, main, runs  # noqa: F401
    from jaxgan.data.prepare import pipeline as prepare  # noqa: F401
    from jaxgan.evaluation import (  # noqa: F401
        folders,
        gan_train,
        hub,
        report,
    )
    from jaxgan.experiment import budget, forecast, pipeline
    from jaxgan.metrics import classification  # noqa: F401
    from jaxgan.sampling import best_of_n, export, gallery, projection  # noqa: F401
    from jaxgan.training import run
    from jaxgan.weights import convert  # noqa: F401

    if not trains:

        def done(*given: object, **more: object) -> None:
            raise SystemExit(0)

        def checked(config: object, *given: object, **more: object) -> None:
            pipeline.prepare(config)
            done()

        budget.choose, forecast.predict = checked, done
        run.train_gan = run.train_classifier = run.train_classifiers = done
    answers = os.fdopen(os.dup(1), "w")
    print("[]", file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(run_one(*json.loads(line))), file=answers, flush=True)


def run_one(script: str, arguments: list[str], seconds: float) -> list:
    files = [os.memfd_create(name) for name in ("out", "err")]
    begin = time.monotonic()
    child = os.fork()
    if not child:
        _become(script, arguments, files)
    code = None
    while time.monotonic() - begin < seconds:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            break
        time.sleep(0.005)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # With what it has started.
    if code is None:
        os.waitpid(child, 0)
    texts = [os.pread(file, LIMIT, 0).decode(errors="replace") for file in files]
    for file in files:
        os.close(file)
    return [code, *texts, time.monotonic() - begin]


def _become(script: str, arguments: list[str], files: list[int]) -> None:
    """Be that script, and never return."""
    code = 0
    try:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDONLY)
        for to, file in enumerate((nothing, *files)):
            os.dup2(file, to)
        if script == "jaxgan":
            from jaxgan.cli import main

            sys.argv = ["jaxgan", *arguments]
            main.main()
        else:
            path = str(ROOT / "scripts" / f"{script}.py")
            sys.argv = [path, *arguments]
            runpy.run_path(path, run_name="__main__")
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve("--trains" in sys.argv)
