"""Scripts whose terminal goes away, and Ctrl-C at any moment: one line, and nothing lost."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = """
import jaxgan.cli.interrupts
# isort: split
import sys, time
if "import" in sys.argv:
    import slow
from jaxgan.cli import command
def main():
    if "lazy" in sys.argv:
        import slow
    print("begun", flush=True)
    if "wait" in sys.argv:
        time.sleep(60)
    for i in range(3000):
        print("line", i)
    open("done", "w").close()
sys.argv, argv = sys.argv[:1], sys.argv
sys.argv += [a for a in argv[1:] if a.startswith("-")]
keep = list(sys.argv)
sys.argv = argv
command.run(main, keep, devices=False)
if "ending" in argv:
    open("ready", "w").close()
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _as_in_a_terminal():
    """What pytest ignores, as in the background of a shell, its children would ignore, too."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def start(folder: Path, *words: str, command: list[str] | None = None, **more) -> subprocess.Popen:
    (folder / "script.py").write_text(SCRIPT)
    (folder / "slow.py").write_text("open('ready', 'w').close()\nimport time\ntime.sleep(60)\n")
    return subprocess.Popen(
        command or [sys.executable, "script.py", *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"},
        text=True,
        **({"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | more),
    )


@pytest.mark.parametrize(
    ("word", "said"),
    [("import", "script.py: stopped\n"), ("lazy", "script.py: stopped\n"), ("ending", "")],
)
def test_ctrl_c_in_imports_and_at_the_end(tmp_path: Path, word: str, said: str) -> None:
    with start(tmp_path, word) as process:
        for _ in range(600):
            if (tmp_path / "ready").exists():
                break
            time.sleep(0.05)
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, said)


def test_ctrl_c_in_between(tmp_path: Path) -> None:
    with start(tmp_path, "wait") as process:
        assert process.stdout is not None and process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, "script.py: stopped\n")


def test_who_reads_may_leave(tmp_path: Path) -> None:
    """As `| head -1` does."""
    with start(tmp_path) as process:
        assert process.stdout is not None and process.stdout.readline() == "begun\n"
        process.stdout.close()
        assert process.stderr is not None and process.stderr.read() == ""
    assert process.returncode == 0 and (tmp_path / "done").exists()


def test_a_closed_standard_output(tmp_path: Path) -> None:
    shell = ["sh", "-c", '"$0" script.py >&-', sys.executable]
    with start(tmp_path, command=shell) as process:
        assert process.communicate(timeout=20)[1] == ""
    assert process.returncode == 0 and (tmp_path / "done").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux")
def test_lines_that_are_lost_are_told(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full, start(tmp_path, stdout=full) as process:
        err = process.communicate(timeout=20)[1]
    assert process.returncode == 1 and (tmp_path / "done").exists()
    assert err.startswith("script.py: standard output must be writable") and err.count("\n") == 1
