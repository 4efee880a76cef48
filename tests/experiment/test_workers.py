"""Processes that share an experiment's work: all of it is done, each piece once.

This file is also what they run: python tests/experiment/test_workers.py K/N FOLDER
"""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from etils import epath

from jaxgan.config import loading as configs
from jaxgan.experiment import pipeline
from jaxgan.experiment.stages import workers
from jaxgan.experiment.stages.workers import Share
from jaxgan.system import sealed
from jaxgan.types import InputError

ROOT = Path(__file__).parents[2]


def experiment(worker: str, folder: str | Path) -> dict:
    config = configs.load(str(ROOT / "configs" / "quickstart.py"), test=True)
    config.arms = ("real", "add")
    return pipeline.run(config, folder, workers.parse(worker))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_each_job_is_done_once_and_known_to_all(tmp_path, monkeypatch, count) -> None:
    monkeypatch.setattr(workers, "POLL", 0.01)
    done, known = [], {}

    def process(index: int) -> None:
        share, found = Share(index, count), {}
        for number, job in share.order("abcdefg"):

            def work(job: str = job) -> dict:
                done.append((index, job))
                return {"job": job}

            file = epath.Path(tmp_path / job / "result.json")
            found[number] = share.once(number, file, work)["job"]
        known[index] = "".join(found[number] for number in sorted(found))

    threads = [threading.Thread(target=process, args=(i,), daemon=True) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert known == dict.fromkeys(range(count), "abcdefg")
    assert sorted(job for _, job in done) == list("abcdefg")
    assert all(index == "abcdefg".index(job) % count for index, job in done)


def test_one_process_alone_takes_jobs_in_their_order() -> None:
    assert Share().order("abc") == [(0, "a"), (1, "b"), (2, "c")]
    assert Share(1, 2).order("abc") == [(1, "b"), (0, "a"), (2, "c")]


def test_what_is_kept_is_not_done_again(tmp_path) -> None:
    file = epath.Path(tmp_path / "result.json")
    assert Share().once(0, file, lambda: {"x": 1})["x"] == 1
    kept = Share().once(0, file, lambda: pytest.fail("done again"))
    assert sealed.seal(kept) == json.loads(file.read_text())
    assert kept["seconds"] >= 0


def test_anothers_failure_is_told_and_forgotten_once_it_succeeds(tmp_path) -> None:
    file, mine, other = epath.Path(tmp_path / "result.json"), Share(0, 2), Share(1, 2)

    def fails() -> dict:
        raise InputError("too few images")

    with pytest.raises(InputError, match="too few images"):
        mine.once(0, file, fails)
    with pytest.raises(InputError, match=r"^too few images$"):
        other.once(0, file, fails)
    assert mine.once(0, file, lambda: {"x": 1})["x"] == 1
    assert other.once(0, file, fails)["x"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


@pytest.mark.parametrize("end", [SystemExit(143), KeyboardInterrupt(), InputError("no")])
def test_the_seconds_of_interrupted_attempts_are_counted(tmp_path, monkeypatch, end) -> None:
    file, now = epath.Path(tmp_path / "result.json"), [0.0]
    monkeypatch.setattr(workers.time, "perf_counter", lambda: now[0])

    def ends() -> dict:
        now[0] += 100
        raise end

    def finishes() -> dict:
        now[0] += 10
        return {}

    for _ in range(2):
        with pytest.raises(type(end)):
            Share().once(0, file, ends)
        now[0] += 1000  # Until the command is given again.
    assert Share().once(0, file, finishes)["seconds"] == 210
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def waited(share: Share, number: int, file: epath.Path) -> tuple[threading.Thread, list]:
    """A thread that waits for another process's job, and what comes of it."""
    came = []

    def wait() -> None:
        try:
            came.append(share.once(number, file, lambda: pytest.fail("another's job")))
        except InputError as error:
            came.append(str(error))

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread, came


def until(condition) -> None:
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never came")


def set_time(file: Path, at: float) -> None:
    file.parent.mkdir(exist_ok=True)
    part = file.with_suffix(".part")  # Or its time would be this moment's at first.
    part.write_text("0\n")
    os.utime(part, (at, at))
    part.replace(file)


@pytest.mark.parametrize("started", [True, False])
def test_a_worker_that_is_silent_is_told_once_a_silence(
    tmp_path, monkeypatch, capsys, started
) -> None:
    """By the times of files alone: a day ago, as though this host's clock were wrong."""
    monkeypatch.setattr(workers, "POLL", 0.01)
    mine, other, then = tmp_path / "workers" / "1", tmp_path / "workers" / "2", 1e9
    share, file = Share(1, 4, epath.Path(tmp_path / "workers")), epath.Path(tmp_path / "a.json")
    set_time(mine, then)
    if started:
        set_time(other, then - 1000)  # Of an attempt long ago.
    said = "worker 2 of 4 has not been heard of for 60 s: "
    said += "if it is not running, start it with --worker 2/4\n"
    told = []

    def lines() -> list[str]:
        told.append(capsys.readouterr().out)
        return "".join(told).splitlines(keepends=True)

    thread, came = waited(share, 2, file)
    until(lambda: lines() == [f"waiting for {file} of worker 2\n"])
    set_time(mine, then + 59)
    time.sleep(0.1)
    assert len(lines()) == 1
    set_time(mine, then + 61)
    until(lambda: lines()[1:] == [said])
    time.sleep(0.1)
    assert len(lines()) == 2
    set_time(other, then + 62)  # It lives again, and falls silent again.
    time.sleep(0.1)
    set_time(mine, then + 123)
    until(lambda: lines()[1:] == [said, said])
    sealed.save(file, {})
    thread.join(10)
    assert came == [{}]


def test_each_of_several_processes_gives_signs_of_life_until_its_end(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(workers, "BEAT", 0.01)
    folder = tmp_path / "workers"
    with Share(0, 1, epath.Path(folder)).alive():
        assert not folder.exists()  # Nobody waits for it.

    def work() -> None:
        with Share(1, 2, epath.Path(folder)).alive():
            assert "1" in {path.name for path in folder.iterdir()}
            os.utime(folder / "1", (0, 0))
            until(lambda: (folder / "1").stat().st_mtime > 0)
            raise SystemExit(143)

    with pytest.raises(SystemExit):
        work()
    os.utime(folder / "1", (0, 0))
    time.sleep(0.1)
    assert (folder / "1").stat().st_mtime == 0


def test_an_error_from_before_this_process_counts_where_the_other_still_lives(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(workers, "POLL", 0.01)
    share, file = Share(0, 2, epath.Path(tmp_path / "workers")), epath.Path(tmp_path / "a.json")
    wrong = tmp_path / "a.json.error"
    wrong.write_text("too few images\n")
    os.utime(wrong, (1e9, 1e9))
    set_time(tmp_path / "workers" / "0", 2e9)
    set_time(tmp_path / "workers" / "1", 1e9)  # Of an attempt that has ended.
    thread, came = waited(share, 1, file)
    time.sleep(0.1)
    assert thread.is_alive()
    set_time(tmp_path / "workers" / "1", 2e9 + 1)
    thread.join(10)
    assert came == ["too few images"]


@pytest.mark.parametrize("text", ["1", "2/2", "-1/2", "1/0", "a/b", "0/2/3", ""])
def test_malformed_shares(text) -> None:
    with pytest.raises(InputError, match="--worker must be K/N"):
        workers.parse(text)


def test_a_share_read() -> None:
    assert workers.parse("0/1") == Share() and workers.parse("2/3") == Share(2, 3)


@pytest.mark.slow
def test_two_processes_come_to_what_one_does(tmp_path) -> None:
    one = experiment("0/1", tmp_path / "one")
    both = [
        subprocess.Popen(
            [sys.executable, __file__, f"{i}/2", tmp_path / "two"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for i in range(2)
    ]
    said = [process.communicate(timeout=500)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert "worker 0 writes the report" in said[1] and "waiting for" in "".join(said)
    two = json.loads((tmp_path / "two" / "results.json").read_text())

    def untimed(runs: list[dict]) -> list[dict]:
        return [{k: v for k, v in r.items() if k != "seconds"} for r in runs]

    assert untimed(two["runs"]) == untimed(one["runs"])
    assert two["verdict"] == json.loads(json.dumps(one["verdict"]))
    assert all(guard["passed"] for guard in two["guards"] if guard["name"] == "test opened once")
    for text, gan in zip(said, ("cat", "dog"), strict=True):  # Each has a class and an arm.
        assert f"gan {gan}: step" in text and f"gan {'catdog'.replace(gan, '')}: step" not in text


if __name__ == "__main__":
    experiment(*sys.argv[1:])
