"""The time that is left follows from the jobs that are done."""

from etils import epath

from jaxgan.experiment.design.jobs import Job
from jaxgan.experiment.remaining_time import RemainingTime
from jaxgan.system import screen


def _jobs() -> list[Job]:
    gans = [Job("gan", 0, f"gan/{n}.json", name=n, steps=100) for n in ("cat", "dog")]
    seeds = [Job("classifier", 0, f"c/{i}.json", seed=i, steps=10) for i in range(3)]
    return [*gans, *seeds]


def test_what_is_left_is_known_once_each_kind_was_timed(tmp_path, monkeypatch) -> None:
    now = [0.0]
    monkeypatch.setattr(screen.time, "monotonic", lambda: now[0])
    jobs, shown = _jobs(), []
    outlook = RemainingTime(jobs, epath.Path(tmp_path))
    for job in jobs:
        with outlook.doing(job, job.name or "real"):
            shown.append((screen.title(screen.screen.stages), screen.screen.stages[-1].after()))
            now[0] += {"gan": 20.0, "classifier": 5.0}[job.kind]
    assert [title for title, _ in shown] == [
        "cat 1/2", "dog 2/2", "real, 1/3", "real, 2/3", "real, 3/3",
    ]  # fmt: skip
    assert [left for _, left in shown] == ["then 4 jobs", "then 3 jobs", "then 2 jobs", 5.0, ""]


def test_results_from_before_are_counted(tmp_path) -> None:
    (tmp_path / "gan").mkdir()
    (tmp_path / "gan/cat.json").write_text("{}")
    assert RemainingTime(_jobs(), epath.Path(tmp_path)).finished() == (1, 5)


def test_jobs_done_elsewhere_tell_what_the_others_take(tmp_path) -> None:
    jobs = _jobs()
    outlook = RemainingTime(jobs, epath.Path(tmp_path))
    outlook.note(jobs[0], 20.0)
    assert outlook.count() == (1, 5) and outlook.left(2) is None  # No classifier was timed.
    outlook.note(jobs[2], 5.0)
    assert outlook.left(1) == 30 and outlook.left(2) == 20  # A GAN and two classifiers.
    for job in jobs:
        outlook.note(job, 1.0)
    assert outlook.count() == (5, 5) and outlook.left(2) == 0
