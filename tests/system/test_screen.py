"""The live line of a terminal, and what is said without one."""

import json
import os
import pty
import re
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from jaxgan.system import screen

ROOT = Path(__file__).parents[2]
LONG = "many words " * 30
WORK = f"""
    import sys, time
    from jaxgan.system import screen

    screen.begin(sys.argv[1])
    with screen.stage("GAN of cat 2/2", left=lambda: 10.0):
        with screen.stage("", "images") as training:
            with screen.stage("compiling", once=True):
                time.sleep(0.6)
            for step in range(1, 21):
                screen.at(step, 20, 32, "loss 0.5")
                time.sleep(0.05)
                if step == 10:
                    screen.say("a line\\n    --config.a=b " + "--config.c=d " * 20)
                    screen.say("step 10", "progress")
                    screen.event("metrics", step=10, loss=0.5)
                    print("a warning", file=sys.stderr)
        screen.say("{LONG}")
    screen.say("the verdict", "result")
    screen.end()
    print("after")
"""


def _in_terminal(mode: str) -> str:
    """What a program writes to a terminal, control characters and all."""
    here, there = pty.openpty()
    words = [sys.executable, "-c", textwrap.dedent(WORK), mode]
    env = os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "90"}
    running = subprocess.Popen(words, env=env, stdin=there, stdout=there, stderr=there)
    os.close(there)
    found = b""
    while True:
        try:
            data = os.read(here, 65536)
        except OSError:  # The program has ended.
            break
        if not data:
            break
        found += data
    os.close(here)
    assert running.wait(timeout=60) == 0
    return found.decode()


def _lines(written: str) -> list[str]:
    """What stands on the terminal in the end."""
    lines, column = [""], 0
    for char in written.replace("\r\n", "\n"):
        if char == "\n":
            lines, column = [*lines, ""], 0
        elif char == "\r":
            column = 0
        else:
            lines[-1] = lines[-1][:column].ljust(column) + char + lines[-1][column + 1 :]
            column += 1
    return [line.rstrip() for line in lines]


def test_a_terminal_has_a_live_line_that_leaves_nothing_behind() -> None:
    written = _in_terminal("auto")
    shown = [text.strip() for text in re.split(r"[\r\n]", written)]
    assert "GAN of cat 2/2: compiling  0:00, then 0:10" in shown
    rate = r"GAN of cat 2/2  \S{10} \d+ %  [\d,]+ images/s  0:0\d left, 0:1\d in all  loss 0\.5"
    assert any(re.fullmatch(rate, text) for text in shown)
    assert max(len(text) for text in shown if "--config" not in text) < 90
    lines = _lines(written)
    command = "    --config.a=b " + "--config.c=d " * 20
    assert [lines[0], lines[1], lines[2]] == ["a line", command.rstrip(), "a warning"]
    assert " ".join(" ".join(lines[3:-3]).split()) == LONG.strip()
    assert lines[-3:] == ["the verdict", "after", ""]


@pytest.mark.parametrize("mode", ["plain", "quiet", "json"])
def test_other_modes_have_no_live_line(mode: str) -> None:
    lines = _lines(_in_terminal(mode))
    assert not any("GAN of cat" in line for line in lines)
    if mode == "plain":
        assert lines[0] == "a line" and lines[2:4] == ["step 10", "a warning"]
    if mode == "quiet":
        assert lines == ["a warning", "the verdict", "after", ""]
    if mode == "json":
        found = [json.loads(line) for line in lines if line.startswith("{")]
        assert {row["event"] for row in found} == {"line", "metrics"}
        assert [row["step"] for row in found if row["event"] == "metrics"] == [10]
        assert [row["text"] for row in found if "text" in row][-2:] == ["the verdict", "after"]


def test_a_pipe_gets_lines_and_is_told_what_takes_long(monkeypatch, capsys) -> None:
    monkeypatch.setattr(screen, "SOON", 0.0)
    monkeypatch.setattr(screen, "PERIOD", 0.01)
    monkeypatch.setattr(screen, "screen", screen._Screen())
    out, error = sys.stdout, sys.stderr
    try:
        screen.begin("auto")
        with screen.stage("training"), screen.stage("compiling"):
            time.sleep(0.2)
        screen.end()
    finally:
        sys.stdout, sys.stderr = out, error
    assert capsys.readouterr().out == "training: compiling ...\n"


@pytest.mark.parametrize("width", [30, 60, 100])
def test_the_live_line_is_cut_to_the_terminal(width: int) -> None:
    one = screen.Stage("GAN of a class with a long name 2/2", "images", lambda: "then 1:00")
    one.words = "loss critic 0.1, generator 2.3"
    one.at(1, 100)
    one.at(50, 100)
    text = screen.text_of([one], width)
    assert len(text) <= width and text.startswith("GAN of a class")


def test_compiling_is_no_work_of_the_stage_around_it() -> None:
    with screen.stage("GAN") as outer:
        with screen.stage(""), screen.stage("compiling", once=True):
            time.sleep(0.05)
        time.sleep(0.01)
    assert 0.05 <= outer.once < 0.06 + 1
    assert screen.screen.stages == []


def test_lines_go_where_they_are_sent(monkeypatch, capsys) -> None:
    taken: list[tuple[str, str]] = []
    monkeypatch.setattr(screen.screen, "elsewhere", None)
    screen.send(lambda text, kind: taken.append((text, kind)))
    screen.say("step 1", "progress")
    screen.say("done", "summary")
    assert taken == [("step 1", "progress"), ("done", "summary")] and capsys.readouterr().out == ""
