"""Processes that share an experiment's work: all of it is done, each piece once.

This file is also what they run: python tests/test_shares.py K/N FOLDER
"""

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from etils import epath

from jaxgan import config as configs
from jaxgan.experiment import run, shares
from jaxgan.experiment.shares import Share
from jaxgan.types import InputError

ROOT = Path(__file__).parents[1]


def experiment(worker: str, folder: str | Path) -> dict:
    config = configs.load(str(ROOT / "configs" / "quickstart.py"), test=True)
    config.arms = ("real", "add")
    return run.run(config, folder, shares.parse(worker))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_each_job_is_done_once_and_known_to_all(tmp_path, monkeypatch, count) -> None:
    monkeypatch.setattr(shares, "POLL", 0.01)
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
    assert kept == json.loads(file.read_text())
    assert kept["seconds"] >= 0


def test_anothers_failure_is_told_and_forgotten_once_it_succeeds(tmp_path) -> None:
    file, mine, other = epath.Path(tmp_path / "result.json"), Share(0, 2), Share(1, 2)

    def fails() -> dict:
        raise InputError("too few pictures")

    with pytest.raises(InputError, match="too few pictures"):
        mine.once(0, file, fails)
    with pytest.raises(InputError, match=r"^too few pictures$"):
        other.once(0, file, fails)
    assert mine.once(0, file, lambda: {"x": 1})["x"] == 1
    assert other.once(0, file, fails)["x"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


@pytest.mark.parametrize("text", ["1", "2/2", "-1/2", "1/0", "a/b", "0/2/3", ""])
def test_malformed_shares(text) -> None:
    with pytest.raises(InputError, match="--worker must be K/N"):
        shares.parse(text)


def test_a_share_read() -> None:
    assert shares.parse("0/1") == Share() and shares.parse("2/3") == Share(2, 3)


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
