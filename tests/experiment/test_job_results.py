"""Results of jobs are kept: each is done once, and its time is that of all attempts."""

import json

import pytest
from etils import epath

from jaxgan.experiment.stages import job_results
from jaxgan.system import checked_files
from jaxgan.types import InputError


def test_what_is_kept_is_not_done_again(tmp_path) -> None:
    file = epath.Path(tmp_path / "a" / "result.json")
    assert job_results.once(file, lambda: {"x": 1})["x"] == 1
    again = job_results.once(file, lambda: pytest.fail("done again"))
    assert checked_files.seal(again) == json.loads(file.read_text())
    assert again["seconds"] >= 0


@pytest.mark.parametrize("end", [SystemExit(143), KeyboardInterrupt(), InputError("no")])
def test_the_seconds_of_interrupted_attempts_are_counted(tmp_path, monkeypatch, end) -> None:
    file, now = epath.Path(tmp_path / "result.json"), [0.0]
    monkeypatch.setattr(job_results.time, "perf_counter", lambda: now[0])

    def ends() -> dict:
        now[0] += 100
        raise end

    def finishes() -> dict:
        now[0] += 10
        return {}

    for attempt in range(2):
        with pytest.raises(type(end)):
            job_results.once(file, ends)
        assert job_results.spent(file) == 100 * (attempt + 1)
        now[0] += 1000  # Until the command is given again.
    assert job_results.once(file, finishes)["seconds"] == 210
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]
