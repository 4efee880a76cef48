"""An experiment whose jobs are tasks of Ray comes to what one process does, whatever is killed.

This file is also what drives a local cluster of two workers: python test_on_ray.py FOLDER
"""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest
from absl import flags
from etils import epath

from jaxgan.cli import complaints
from jaxgan.config import loading as configs
from jaxgan.experiment import pipeline, ray_cluster
from jaxgan.experiment.design.plan import prepare
from jaxgan.experiment.on_ray import Cluster
from jaxgan.experiment.ray_cluster import RETRIES, On
from jaxgan.experiment.remaining_time import RemainingTime
from jaxgan.types import InputError

ROOT = Path(__file__).parents[2]
MARK = "JAXGAN_TEST_ON_RAY"  # Its value tells our processes from all others.
KILLS = 10


def twin():
    config = configs.load(str(ROOT / "configs" / "quickstart.py"), test=True)
    config.arms = ("real", "add")
    return config


class Driver:
    """A process that drives an experiment; the others of its cluster go with it."""

    def __init__(self, folder: Path):
        self.mark, self.lines = f"{folder}-{time.time()}", folder.parent / f"{time.time()}.txt"
        with self.lines.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, __file__, folder],
                cwd=ROOT,
                env=os.environ | {MARK: self.mark},
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> "Driver":
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.wait()

    def busy(self) -> list[int]:
        """Return the workers that do jobs now."""
        found = []
        for place in Path("/proc").iterdir():
            try:
                name = (place / "cmdline").read_bytes()
                mine = f"{MARK}={self.mark}".encode() in (place / "environ").read_bytes()
            except OSError:
                continue
            if mine and name.startswith((b"ray::GAN of", b"ray::real seed", b"ray::add seed")):
                found.append(int(place.name))
        return found

    def until(self, condition) -> bool:
        """Wait; return whether it came while the driver lived."""
        for _ in range(20_000):
            if condition():
                return True
            if self.process.poll() is not None:
                return False
            time.sleep(0.05)
        raise AssertionError(f"it never came: {self.lines.read_text()}")

    def kill(self, count: int, rng: random.Random) -> int:
        """Kill workers, at random moments of their jobs; return how many there were to kill."""
        for killed in range(count):
            if not self.until(self.busy):
                return killed
            time.sleep(rng.uniform(0, 3))
            workers = self.busy()
            if workers:
                os.kill(rng.choice(workers), signal.SIGKILL)
                self.until(lambda gone=workers: self.busy() != gone)
        return count


def plain(results: dict) -> dict:
    """What must be equal: all but times."""
    kept = {name: results[name] for name in ("verdict", "contrasts", "test", "arms", "failed")}
    for name in ("runs", "generators"):
        kept[name] = [{k: v for k, v in r.items() if k != "seconds"} for r in results[name]]
    return json.loads(json.dumps(kept))


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_killed_workers_and_drivers_change_no_bit(tmp_path) -> None:
    there, rng = tmp_path / "there", random.Random(0)
    with Driver(there) as driver:
        assert driver.until(driver.busy)
        time.sleep(rng.uniform(0, 3))
        driver.process.send_signal(signal.SIGINT)
        assert driver.process.wait(200) == 130
        # Ray's own lines may come later.
        assert any(x.endswith(": stopped") for x in driver.lines.read_text().splitlines())
    assert driver.busy() == [] and not (there / "results.json").exists()
    with Driver(there) as driver:
        killed = driver.kill(KILLS // 2, rng)
        driver.until(lambda: [*there.glob("gan/*.json")])
        driver.process.kill()
    finished = {file: file.stat().st_mtime_ns for file in there.glob("gan/*.json")}
    with Driver(there) as driver:
        killed += driver.kill(KILLS - killed, rng)
        assert driver.process.wait(900) == 0, driver.lines.read_text()
    assert killed == KILLS
    assert "10 of 10 jobs done" in (there / "log.txt").read_text()
    assert {file: file.stat().st_mtime_ns for file in finished} == finished
    one = pipeline.run(twin(), tmp_path / "here")
    assert plain(json.loads((there / "results.json").read_text())) == plain(one)
    images = sorted(p.relative_to(tmp_path / "here") for p in tmp_path.glob("here/generated/*/*"))
    assert images
    for image in images:
        assert (tmp_path / "here" / image).read_bytes() == (there / image).read_bytes()


@pytest.mark.parametrize("text", ["foo", "", "ray:", "ray://a", "http://a:1", "a:b", "a:1/b"])
def test_malformed_addresses(text) -> None:
    with pytest.raises(InputError, match="--on must be ray, ray://HOST:PORT or HOST:PORT, got"):
        ray_cluster.parse(text)


def test_addresses(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", types.ModuleType("ray"))
    assert ray_cluster.parse(None) is None and ray_cluster.parse("ray", 2) == On(None, 2, None)
    for text in ("10.0.0.2:6379", "ray://head:10001", "[::1]:6379"):
        assert ray_cluster.parse(text) == On(text) and str(On(text)) == f"--on={text}"


def test_without_ray(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"^--on=ray needs .*: pip install 'jaxgan\[ray\]'$"):
        ray_cluster.parse("ray")


def test_the_flag_that_is_gone_names_the_new_one() -> None:
    said = complaints.unknown(flags.UnrecognizedFlagError("worker", "0/2"), [])
    assert "--on=ray" in str(said) and "--worker" in str(said)


def test_ray_is_imported_only_where_it_is_asked_for() -> None:
    code = "import sys, jaxgan.api, jaxgan.experiment.pipeline; sys.exit('ray' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.parametrize("listens", [True, False])
def test_an_address_that_does_not_answer(monkeypatch, listens) -> None:
    monkeypatch.setattr(ray_cluster, "PATIENCE", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        if not listens:
            server.close()
        begin = time.monotonic()
        with pytest.raises(InputError, match=f"^--on={address} must be a Ray cluster, and .* none"):
            ray_cluster._check_answers(On(address))
        assert time.monotonic() - begin < 60


CPUS, GPUS, TPUS = {"CPU": 8.0}, {"CPU": 33.0, "GPU": 4.0}, {"CPU": 96.0, "TPU": 4.0}


@pytest.mark.parametrize(
    ("on", "nodes", "platforms", "want", "at_once"),
    [
        (On(), [CPUS], None, (None, 1, 0), [8]),
        (On(cpus=3), [CPUS, CPUS], None, (None, 3, 0), [2, 2]),
        (On(), [CPUS, GPUS], None, ("GPU", 8, 1), [0, 4]),
        (On(devices=2), [GPUS], None, ("GPU", 16, 2), [2]),
        (On(devices=0), [GPUS], None, ("GPU", 1, 0), [33]),
        (On(), [GPUS], "cpu", (None, 1, 0), [33]),
        (On(), [TPUS], None, ("TPU", 24, 1), [4]),
        (On(devices=1), [CPUS], None, (None, 1, 1), [0]),
        (On(cpus=64), [CPUS, GPUS], None, ("GPU", 64, 1), [0, 0]),
    ],
)
def test_what_a_job_takes_and_how_many_fit(on, nodes, platforms, want, at_once) -> None:
    assert ray_cluster.needs(on, nodes, platforms) == want
    assert [ray_cluster.rooms(node, *want) for node in nodes] == at_once


class Fake(types.ModuleType):
    """Ray in this process: its tasks run when they are asked for, after `before`."""

    def __init__(self, nodes: list[dict], before=lambda: None):
        super().__init__("ray")
        self.before, self.exceptions = before, types.SimpleNamespace(RayError=OSError)
        about = {"Alive": True, "NodeID": "a", "NodeManagerAddress": "10.0.0.3"}
        self.nodes = lambda: [about | {"Resources": node} for node in nodes]
        self.get = lambda found: found

    def remote(self, **options):
        def task(function):
            def run(*arguments):
                self.before()
                return function(*arguments)

            return types.SimpleNamespace(remote=run)

        return task


@pytest.fixture
def fake(monkeypatch):
    def use(nodes: list[dict], before=lambda: None) -> None:
        monkeypatch.setitem(sys.modules, "ray", Fake(nodes, before))
        for name in ("ray.util", "ray.util.scheduling_strategies"):
            monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
        strategies = sys.modules["ray.util.scheduling_strategies"]
        strategies.NodeAffinitySchedulingStrategy = lambda node, soft: node

    return use


def test_a_job_that_no_node_can_do(tmp_path, fake) -> None:
    fake([CPUS, CPUS])
    plan = prepare(twin())
    with pytest.raises(
        InputError, match=r"64 CPUs with 0 GPUs .* \(at most 8 and 0\): lower --job"
    ):
        Cluster(On(cpus=64), plan, epath.Path(tmp_path), RemainingTime((), tmp_path), None)


def test_a_workdir_that_a_node_does_not_see(tmp_path, fake) -> None:
    fake([CPUS], lambda: (tmp_path / ".ray").unlink())
    with pytest.raises(InputError, match=f"10.0.0.3 does not see {tmp_path}$"):
        ray_cluster.check_nodes(sys.modules["ray"].nodes(), epath.Path(tmp_path), "toy")


def test_images_that_a_node_does_not_see(tmp_path, fake) -> None:
    images = tmp_path / "images"
    images.mkdir()
    fake([CPUS], images.rmdir)
    with pytest.raises(InputError, match=f"10.0.0.3 has no {images}$"):
        ray_cluster.check_nodes(sys.modules["ray"].nodes(), epath.Path(tmp_path), str(images))


def test_a_node_with_another_version(tmp_path, fake, monkeypatch) -> None:
    fake([CPUS], lambda: monkeypatch.setattr("jaxgan.__version__", "0.0.9"))
    with pytest.raises(InputError, match=r"10\.0\.0\.3 has jaxgan 0\.0\.9, while here it is 0\.1"):
        ray_cluster.check_nodes(sys.modules["ray"].nodes(), epath.Path(tmp_path), "toy")
    assert [*tmp_path.iterdir()] == []


def test_a_workdir_in_an_object_store() -> None:
    with pytest.raises(InputError, match=r"must lie on a disk, .*, got gs://bucket/run$"):
        pipeline.run(twin(), "gs://bucket/run")


@pytest.fixture
def cluster(tmp_path):
    """One that nobody has joined."""
    plan = prepare(twin())
    made = Cluster.__new__(Cluster)
    made.plan, made.config, made.folder = plan, plan.config, epath.Path(tmp_path)
    made.outlook, made.failed = RemainingTime(plan.jobs, made.folder), {}
    made.devices, made.at_once = [], 2
    return made


def test_all_jobs_are_asked_for_once_and_after_what_they_need(cluster) -> None:
    parts = cluster.parts((0,), range(2))
    names = [part.name for part in parts]
    assert names == [
        "GAN of cat 1/2", "GAN of dog 2/2",
        "real seed 0", "add seed 0", "real seed 1", "add seed 1",
    ]  # fmt: skip
    outputs = [job.output for part in parts for job in part.each]
    assert sorted(outputs) == sorted(job.output for job in cluster.plan.jobs)
    made: set[str] = set()
    for part in parts:
        assert part.jobs[0].kind == "samples" or made >= {job.output for job in part.samples}
        made |= {job.output for job in part.each}
    assert [len(part.samples) for part in parts[2:]] == [0, 2, 0, 2]


def test_a_job_whose_worker_is_lost_again_and_again_is_a_sentence(cluster, monkeypatch) -> None:
    class RayError(Exception): ...

    class RayTaskError(RayError): ...

    def lost(ref):
        raise RayError

    ray = types.ModuleType("ray")
    ray.get, ray.exceptions = (
        lost,
        types.SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError),
    )
    monkeypatch.setitem(sys.modules, "ray", ray)
    part, lines = cluster.parts((0,), range(2))[0], []
    cluster._finish(None, part, types.SimpleNamespace(line=lambda *line: lines.append(line[0])))
    assert set(cluster.failed) == {job.output for job in part.each}
    why = (
        f"its worker was lost {RETRIES + 1} times (RayError): see {cluster.folder}/gan/cat/log.txt"
    )
    assert all(found.startswith(why) for found in cluster.failed.values())
    assert lines[0].startswith(f"GAN of cat 1/2 failed: {why}")


def drive(folder: str) -> None:
    import ray

    for patience in reversed(range(3)):  # Ray gives up after 30 s, which a busy machine exceeds.
        try:
            ray.init(
                num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False
            )
            break
        except Exception:
            ray.shutdown()
            if not patience:
                raise
    pipeline.run(twin(), folder, on=On())


if __name__ == "__main__":
    # A shell's background job, and all that it starts, ignores Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    import jaxgan.cli.interrupts  # noqa: F401
    from jaxgan.cli import command

    command.run(lambda: drive(sys.argv[1]), sys.argv[:1], devices=False)
