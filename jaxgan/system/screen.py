"""What is said while something runs: lines, and on a terminal one live line below them.

A stage is a piece of work that takes a while. The live line shows the innermost one: its name, a
bar, the rate, the seconds left. A thread draws it, so that it moves while a program is compiled.
Modes: `auto` has a live line where there is a terminal; `plain` has lines alone; `quiet` has
results and warnings; `json` makes each line of standard output an object.
"""

import json
import os
import shutil
import sys
import textwrap
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

MODES = ("auto", "plain", "quiet", "json")
WIDE = 100  # Columns, at most.
BAR = 10
SOON = 4.0  # Seconds after which a stage is named where no live line shows it.
PERIOD = 0.25
WINDOW = 20.0  # Seconds over which a rate is taken.


class Stage:
    """A piece of work; `at` says how far it is.

    Attributes:
        name: as it is shown; "" is that of the stage around it.
        what: that is counted, like images.
        words: figures to be shown last.
        begin: `time.monotonic()` at its start.
        once: seconds of it that were spent on what is done once, like compiling.
    """

    def __init__(self, name: str, what: str = "", left: Callable[[], float | str] | None = None):
        self.name, self.what, self.total, self.after, self.once = name, what, 0, left, 0.0
        self.words, self.begin, self.named = "", time.monotonic(), False
        self.done = self.each = 0
        self._times: deque[tuple[float, int]] = deque()

    def at(self, done: int, total: int, each: int = 1) -> None:
        """Note that `done` of `total` are done, each with `each` of what is counted."""
        self.done, self.total, self.each = done, total, each
        now = time.monotonic()
        self._times.append((now, done))
        while now - self._times[0][0] > WINDOW and len(self._times) > 2:
            self._times.popleft()

    def restart(self) -> None:
        """Forget the rate so far: what was before was not work of this kind."""
        self._times.clear()

    @property
    def rate(self) -> float:
        """How many are done in a second, lately; 0 where that is not known."""
        if len(self._times) < 2:
            return 0.0
        (first, before), (last, done) = self._times[0], self._times[-1]
        return (done - before) / max(last - first, 1e-9)

    @property
    def seconds_left(self) -> float | None:
        return (self.total - self.done) / self.rate if self.rate > 0 else None


class _Screen:
    """The state of standard output and error; there is one of a process."""

    def __init__(self) -> None:
        self.mode, self.stages = "", list[Stage]()
        self.live: Any = None  # The stream that has a live line.
        self.elsewhere: Callable[[str, str], Any] | None = None  # Takes lines: see `send`.
        self.lock, self.shown, self.broken = threading.RLock(), "", False
        self.stop = threading.Event()
        self.thread: threading.Thread | None = None

    def erase(self) -> None:
        if self.live and self.shown:
            self.live.write("\r" + " " * len(self.shown) + "\r")
            self.shown = ""

    def draw(self) -> None:
        """Draw the live line anew, unless an unfinished line stands there."""
        if not self.live or self.broken:
            return
        text = text_of(self.stages, columns(), _blocks(self.live)) if self.stages else ""
        if text != self.shown:
            if len(text) < len(self.shown):
                self.erase()
            self.live.write(f"\r{text}")
            self.live.flush()
            self.shown = text

    def watch(self) -> None:
        while not self.stop.wait(PERIOD):
            with self.lock:
                self.draw()
                if self.live is None and self.stages and self.mode in ("plain", "auto", "json"):
                    self._name(self.stages[-1])

    def _name(self, stage: Stage) -> None:
        if not stage.named and not stage.total and time.monotonic() - stage.begin > SOON:
            stage.named = True
            print(f"{title(self.stages)} ...", flush=True)


screen = _Screen()


class Stream:
    """A stream whose text stands above the live line, or is JSON, a line an object."""

    def __init__(self, stream: Any, as_json: bool = False):
        self._stream, self._json, self._rest = stream, as_json, ""

    def write(self, text: str) -> int:
        with screen.lock:
            if self._json:
                *lines, self._rest = (self._rest + text).split("\n")
                for line in filter(None, lines):
                    self._stream.write(_event("line", text=line))
                return len(text)
            screen.erase()
            self._stream.write(text)
            if text and screen.live and self._stream.isatty():
                screen.broken = not text.endswith(("\n", "\r"))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def greet(text: str) -> None:
    """Show a line on a terminal until `begin`, which takes longer to import than one likes."""
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        screen.live, screen.shown = sys.stderr, text
        screen.live.write(text)
        screen.live.flush()


def begin(mode: str = "auto") -> None:
    """Begin to show stages; once in a process."""
    out, error = sys.stdout, sys.stderr
    screen.erase()
    screen.mode, screen.live = mode, None
    if mode == "auto" and os.environ.get("TERM") != "dumb":
        screen.live = next((s for s in (out, error) if s.isatty()), None)
    sys.stdout, sys.stderr = Stream(out, mode == "json"), Stream(error)
    screen.stop.clear()
    screen.thread = threading.Thread(target=screen.watch, daemon=True)
    screen.thread.start()
    os.register_at_fork(after_in_child=_forget)


def end() -> None:
    """Show nothing any more, and clear the live line."""
    screen.stop.set()
    with screen.lock:
        screen.erase()
        screen.live, screen.mode, screen.stages = None, "", []


def _forget() -> None:
    screen.lock, screen.live, screen.stages = threading.RLock(), None, []


@contextmanager
def stage(
    name: str, what: str = "", *, left: Callable[[], float | str] | None = None, once: bool = False
) -> Iterator[Stage]:
    """Show a piece of work while it is done.

    Args:
        name: what is done; "" is the name of the stage around it.
        what: that is counted, like images.
        left: seconds that the whole takes after this stage; or what is said of that, in words.
        once: whether its time counts as `Stage.once` of those around it.
    """
    one = Stage(name, what, left)
    screen.stages.append(one)
    try:
        yield one
    finally:
        with screen.lock:
            if one in screen.stages:  # Not where `end` came first.
                screen.stages.remove(one)
            for around in screen.stages:
                around.once += (time.monotonic() - one.begin) * once
            if screen.stages:
                screen.stages[-1].restart()
                screen.stages[-1].words = one.words or screen.stages[-1].words
            screen.draw()


def at(done: int, total: int, each: int = 1, words: str = "") -> None:
    """Note how far the innermost stage is, where there is one; see `Stage.at`."""
    if screen.stages:
        screen.stages[-1].at(done, total, each)
        screen.stages[-1].words = words or screen.stages[-1].words


def say(text: str, kind: str = "line") -> None:
    """Print a line.

    Args:
        text: the line.
        kind: "result", which is always printed; "line"; "detail" or "progress", which a live line
            takes the place of; "summary", which stands with one only.
    """
    if screen.elsewhere is not None:
        screen.elsewhere(text, kind)
        return
    live = bool(screen.live and sys.stdout.isatty())
    if screen.mode == "quiet" and kind != "result":
        return
    if (kind in ("progress", "detail") and live) or (kind == "summary" and not live):
        return
    print("\n".join(map(_wrapped, text.split("\n"))) if live else text, flush=True)


def send(take: Callable[[str, str], Any]) -> None:
    """Give the lines of `say`, and their kinds, to `take`: of a process without a screen."""
    screen.elsewhere = take


def _wrapped(line: str) -> str:
    """Return a line in columns of the terminal; an indented one, a command, as it is."""
    if len(line) <= columns() or line.startswith(" "):
        return line
    return textwrap.fill(
        line, columns(), subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )


def event(kind: str, **values: Any) -> bool:
    """Write an object of its own in the mode `json`; return whether that was done."""
    if screen.mode != "json" or not isinstance(sys.stdout, Stream):
        return False
    with screen.lock:
        sys.stdout._stream.write(_event(kind, **values))
        sys.stdout._stream.flush()
    return True


def is_live() -> bool:
    """Return whether there is a live line."""
    return screen.live is not None


def columns() -> int:
    return max(20, min(WIDE, shutil.get_terminal_size().columns - 1))


def title(stages: list[Stage]) -> str:
    """Return what is done, with the stage around it."""
    names = [one.name for one in stages if one.name]
    return ": ".join(names[-2:])


def text_of(stages: list[Stage], width: int, blocks: bool = True) -> str:
    """Return the live line of the innermost stage, of at most `width` columns."""
    one = stages[-1]
    parts = [title(stages)]
    if one.total:
        share = min(1.0, one.done / one.total)
        full = round(BAR * share)
        on, off = "█░" if blocks else "#-"
        parts.append(f"{on * full}{off * (BAR - full)} {int(100 * share)} %")
        if one.rate and one.what:
            parts.append(f"{one.rate * one.each:,.0f} {one.what}/s")
    left = one.seconds_left
    took = time.monotonic() - one.begin
    parts.append(duration(took) if left is None else f"{duration(left)} left")
    rest = next((s.after() for s in reversed(stages) if s.after is not None), "")
    if isinstance(rest, float):
        rest = f"then {duration(rest)}" if left is None else f"{duration(left + rest)} in all"
    parts[-1] += f", {rest}" if rest else ""
    words = next((s.words for s in reversed(stages) if s.words), "")
    text = "  ".join(filter(None, [*parts, words]))
    return text if len(text) <= width else text[: width - 1].rstrip() + ("…" if blocks else ".")


def duration(seconds: float) -> str:
    """`4:05`, or `1:04:05` from an hour on."""
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02d}:{s:02d}" if hours else f"{m}:{s:02d}"


def _blocks(stream: Any) -> bool:
    return (getattr(stream, "encoding", None) or "").lower().startswith("utf")


def _event(kind: str, **values: Any) -> str:
    return json.dumps({"event": kind, "time": round(time.time(), 1)} | values) + "\n"
