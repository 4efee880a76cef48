"""Two processes of two devices each, over the loopback; this file is also what they run:

python tests/engine/test_distributed.py PROCESS PORT FOLDER TASK
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from PIL import Image

from jaxgan import recipes
from jaxgan.cli import command
from jaxgan.config import loading as configs
from jaxgan.config.names import CLASSIFIERS
from jaxgan.data import loader
from jaxgan.data.toy.animals import ToySource
from jaxgan.engine import distributed, loop
from jaxgan.engine.checkpoint import Checkpoints
from jaxgan.engine.log import Log, read_metrics
from jaxgan.experiment import pipeline as experiment
from jaxgan.models import googlenet
from jaxgan.models.googlenet import GoogLeNet
from jaxgan.models.layers.pooling import max_pool
from jaxgan.training import run as training
from jaxgan.types import InputError, Recipe

ROOT = Path(__file__).parents[2]

RUNS = [("wgan512", "jit"), ("wgan512", "pmap"), ("googlenet", "jit")]


class Short(GoogLeNet):
    """Two of its nine blocks: the others are more of the same, and half a minute to compile."""

    def _trunk(self, images: jax.Array, train: bool) -> tuple[jax.Array, tuple]:
        x = max_pool(self.conv1(images, train), 3, 2, ceil=True)
        x = max_pool(self.conv3(self.conv2(x, train), train), 3, 2, ceil=True)
        x = first = self.inception4a(x, train)
        return self.inception5b(x, train).mean((1, 2)), (first, x)


def twin(name: str, **changes: object) -> ConfigDict:
    """A tiny config. Adam's b1 is not 0, so that its mean is made of the gradients of all steps."""
    config = configs.load(str(ROOT / "configs" / f"{name}.py"), test=True)
    config.data.limit = 24
    config.train.steps = config.train.sample_every = config.train.checkpoint_every = 3
    if name == "googlenet":
        config.optim.b1 = 0.5
    else:
        config.data.resolution = 16
        config.train.n_critic = 1
        config.evaluate.update({"every": 2, "features": "light", "share": 1.0})
        config.optim.generator.b1 = config.optim.critic.b1 = 0.5
    config.update_from_flattened_dict(changes)
    return config


def weight() -> Recipe:
    """A recipe of one weight, compiled at once."""

    def init(key: jax.Array) -> dict:
        return {"weight": jax.random.normal(key, (3,))}

    def step(state: dict, batch: dict, key: jax.Array) -> tuple[dict, dict]:
        mean = batch["image"].astype(jnp.float32).mean((0, 1, 2)) / 255
        new = 0.9 * state["weight"] + mean + 0.1 * jax.random.normal(key, (3,))
        return {"weight": new}, {"loss": new.sum()}

    return Recipe(init, step)


def walk(folder: Path, steps: int) -> dict:
    """Trains the one weight, with a checkpoint every 10 steps."""
    batches = loader.make_batches(
        loader.in_memory(ToySource(8, count=8)),
        batch_size=8,
        seed=0,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )
    options = loop.TrainOptions(
        steps=steps, images_a_step=8, log_every=1, sample_every=10, checkpoint_every=10, config={}
    )

    def evaluate(state: dict) -> loop.Evaluation:
        assert jax.process_index() == 0
        return loop.Evaluation({"sum": float(state["weight"].sum())}, {})

    with Log(folder) as log:
        return loop.train(weight(), batches, options, folder, log=log, evaluate=evaluate)


def refusal(folder: Path, **changes: object) -> str:
    try:
        training.run(twin("wgan512", **{"evaluate.every": 0, **changes}), folder)
    except InputError as error:
        return str(error)
    return "none"


def work(process: int, folder: Path, task: str) -> None:
    """What a process does; what it finds goes to standard error, as other output is dropped."""
    if task == "walk":
        walk(folder, 10**6)
    os.chdir(folder / str(process))
    refusals = {
        "pictures": refusal(folder / "refused", **{"data.path": "pictures"}),
        "config": refusal(folder / "refused", seed=process),
        "alone": refusal(folder / "alone", **{"data.path": "alone"}),
        "batch": refusal(folder / "refused", **{"train.batch_size": 6}),
    }
    for name, mode in RUNS:
        training.run(twin(name, parallel=mode), folder / f"{name} {mode}")
    if process == 0:
        time.sleep(0.5)
        (folder / "late").touch()
    distributed.meet()
    assert (folder / "late").exists()
    print(json.dumps(refusals), file=sys.stderr)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def spawn(folder: Path, task: str) -> list[subprocess.Popen]:
    port = str(free_port())
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return [
        subprocess.Popen([sys.executable, __file__, str(i), port, str(folder), task], **pipes)
        for i in range(2)
    ]


def wait_for(text: str, file: Path, processes: list[subprocess.Popen]) -> None:
    limit = time.monotonic() + 120
    while not (file.exists() and text in file.read_text()):
        ended = [p for p in processes if p.poll() is not None]
        assert not ended and time.monotonic() < limit, [p.communicate() for p in ended]
        time.sleep(0.1)


def end(processes: list[subprocess.Popen], timeout: float) -> list[tuple[str, str]]:
    """What they said."""
    try:
        return [process.communicate(timeout=timeout) for process in processes]
    finally:
        for process in processes:
            process.kill()


def restored(config: ConfigDict, folder: Path) -> object:
    if config.model.name in CLASSIFIERS:
        config.model.num_classes = 2
    abstract = jax.eval_shape(recipes.build(config).init, jax.random.key(0))
    with Checkpoints(folder, read_only=True) as checkpoints:
        found = checkpoints.restore(abstract)
    assert found is not None and found.step == 3
    return found.state


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """A folder with the runs of two processes, and what these were refused before."""
    folder = tmp_path_factory.mktemp("hosts")
    for process in range(2):
        pictures = folder / str(process) / "pictures" / "cat"
        pictures.mkdir(parents=True)
        for i in range(4):
            image = np.full((16, 16, 3), 10 * i, np.uint8)
            image[0, 0] = process * (i == 3)  # One pixel of one picture.
            Image.fromarray(image).save(pictures / f"{i}.png")
    (folder / "0" / "alone").symlink_to(folder / "0" / "pictures")
    processes = spawn(folder, "train")
    said = end(processes, timeout=400)
    assert [process.returncode for process in processes] == [0, 0], said
    assert "step 3/3" in said[0][0] and not said[1][0]  # Process 0 alone prints.
    found = [json.loads(error.splitlines()[-1]) for _, error in said]
    return folder, {name: [each[name] for each in found] for name in found[0]}


@pytest.mark.slow
@pytest.mark.parametrize("run", RUNS, ids="_".join)
def test_two_processes_learn_what_one_learns(
    trained: tuple, tmp_path: Path, run: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights, averages, statistics, and Adam's moments, which a wrong factor would change."""
    monkeypatch.setattr(googlenet, "GoogLeNet", Short)
    config = twin(run[0])  # Under jit.
    training.run(config, tmp_path)

    def compare(path: tuple, a: jax.Array, b: jax.Array) -> None:
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        assert np.linalg.norm(a - b) <= 1e-4 * np.linalg.norm(b), jax.tree_util.keystr(path)

    one, two = restored(config, tmp_path), restored(config, trained[0] / " ".join(run))
    jax.tree_util.tree_map_with_path(compare, two, one)
    leaves = jax.tree_util.tree_leaves_with_path(two)
    for part in (".params", ".mu", ".nu", ".stats"):
        assert any(part in jax.tree_util.keystr(path) for path, _ in leaves), part


@pytest.mark.slow
def test_only_the_first_process_writes(trained: tuple) -> None:
    folder = trained[0] / "wgan512 jit"
    rows = read_metrics(folder)
    assert [row["step"] for row in rows if "critic_loss" in row] == [1, 2, 3]
    assert [row["step"] for row in rows if "evaluate/kid" in row] == [2, 3]
    assert len(list((folder / "tensorboard").iterdir())) == 1
    assert len(json.loads((folder / "run.json").read_text())["devices"]) == 4


@pytest.mark.slow
def test_processes_that_differ_are_refused_everywhere(trained: tuple) -> None:
    folder, refusals = trained
    for name in ("pictures", "config"):
        expected = f"all processes must have process 0's {name}, and process 1 has not"
        assert refusals[name] == [expected] * 2
    assert re.match("process 1: data.path must be a folder", refusals["alone"][0])
    assert refusals["alone"][0] == "process 1: " + refusals["alone"][1]
    assert all(
        "multiple of the 4 devices (2 processes with 2), got 6" in r for r in refusals["batch"]
    )
    assert not (folder / "refused" / "checkpoints").exists()


@pytest.mark.slow
def test_a_dead_process_ends_the_others_and_all_go_on_and_stop_together(tmp_path: Path) -> None:
    run = tmp_path / "run"
    log = run / "log.txt"
    first, second = spawn(run, "walk")
    wait_for("step 25/", log, [first, second])
    second.kill()
    begin = time.monotonic()
    end([first, second], timeout=60)
    assert first.returncode not in (0, 143) and time.monotonic() - begin < 60

    processes = spawn(run, "walk")
    wait_for("going on from the checkpoint of step ", log, processes)
    processes[1].send_signal(signal.SIGTERM)
    said = end(processes, timeout=60)
    assert [process.returncode for process in processes] == [143, 143], said
    stopped = int(re.search(r"stopped at step ([\d,]+)", log.read_text())[1].replace(",", ""))

    # What two processes saved one goes on from, as if it had gone all the way alone.
    with Checkpoints(run) as checkpoints:
        assert checkpoints.latest == stopped
    alone = walk(tmp_path / "alone", stopped + 1)
    np.testing.assert_allclose(walk(run, stopped + 1)["weight"], alone["weight"], rtol=1e-5)


TWIN = f"""
from jaxgan.config import load
def get_config():
    config = load({str(ROOT / "configs" / "wgan512.py")!r}, test=True)
    config.data.limit, config.data.resolution = 12, 16
    config.train.n_critic = 1
    config.train.steps, config.train.sample_every, config.train.checkpoint_every = 10**6, 3, 3
    config.optim.generator.b1 = config.optim.critic.b1 = 0.5
    return config
"""


@pytest.mark.slow
def test_a_dead_coordinator_ends_the_others_and_the_run_goes_on(tmp_path: Path) -> None:
    """As users start it; what compiles here was compiled for `trained`."""
    (tmp_path / "twin.py").write_text(TWIN)
    run, port = tmp_path / "run", free_port()
    script = [sys.executable, str(ROOT / "scripts" / "train.py"), f"--config={tmp_path}/twin.py"]
    script += [f"--workdir={run}", f"--coordinator=127.0.0.1:{port}", "--num_processes=2"]
    cache = f"--compilation_cache={os.environ['JAX_COMPILATION_CACHE_DIR']}"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": ROOT}
    first, second = (
        subprocess.Popen([*script, cache, f"--process_id={i}"], **pipes) for i in range(2)
    )
    wait_for("step 7/", run / "log.txt", [first, second])  # Step 3 is saved, 6 perhaps half.
    first.kill()
    end([first, second], timeout=60)
    assert second.returncode not in (0, 143)

    with Checkpoints(run, read_only=True) as checkpoints:
        saved = checkpoints.latest
    done = subprocess.run(
        [*script[:4], cache, f"--config.train.steps={saved + 3}"], **(pipes | {"timeout": 100})
    )
    text = (run / "log.txt").read_text()
    assert done.returncode == 0, done.stderr
    assert f"going on from the checkpoint of step {saved}\n" in text
    assert f"step {saved + 3}/{saved + 3}" in text


PATIENT = (
    "hosts.START = 2; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("process", "sentence"),
    [(1, "the coordinator must answer within 2 s"), (0, "all 2 processes must start within 2 s")],
)
def test_waiting_for_others_is_bounded(process: int, sentence: str) -> None:
    code = f"import runpy, sys; from jaxgan.engine import distributed as hosts; {PATIENT}"
    at = f"127.0.0.1:{free_port()}"
    flags = [f"--coordinator={at}", "--num_processes=2", f"--process_id={process}"]
    done = subprocess.run(
        [sys.executable, "-c", code, "scripts/train.py", "--config=configs/wgan512.py", *flags],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1, done.stderr
    assert re.fullmatch(rf"train.py: {sentence}, .*{at}.*\n", done.stderr), done.stderr


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (("a:1", 2, None), "given together, got no --process_id"),
        ((None, None, 0), "got no --coordinator and no --num_processes"),
        (("a:1", 2, 2), r"below --num_processes \(2\), got 2"),
        (("a", 2, 0), "must be HOST:PORT, got 'a'"),
        (("a:99999", 2, 0), "must be HOST:PORT, got 'a:99999'"),
    ],
)
def test_bad_flags(given: tuple, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        command.check_hosts(*given)


def slurm(tasks: int, step_tasks: int) -> dict[str, str]:
    return {
        "SLURM_JOB_ID": "7",
        "SLURM_STEP_NODELIST": "node[1-2]",
        "SLURM_NTASKS": str(tasks),
        "SLURM_STEP_NUM_TASKS": str(step_tasks),
        "SLURM_PROCID": "1",
        "SLURM_LOCALID": "0",
    }


def tpu(names: str) -> dict[str, str]:
    return {"TPU_WORKER_HOSTNAMES": names, "TPU_WORKER_ID": "0", "MEGASCALE_NUM_SLICES": "1"}


@pytest.mark.parametrize(
    ("environment", "count"),
    [
        ({}, 1),
        (slurm(4, 4), 4),
        (slurm(1, 1), 1),
        (slurm(4, 1), 1),  # A shell in an allocation for four.
        (tpu("a,b,c"), 3),
        (tpu("a"), 1),
    ],
)
def test_several_processes_are_found_by_the_environment(
    environment: dict, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_tpu = "TPU_WORKER_ID" in environment
    module = sys.modules["jax._src.clusters.cloud_tpu_cluster"]
    monkeypatch.setattr(module, "running_in_cloud_tpu_vm", on_tpu)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = distributed.cluster()
    assert (found.get_process_count() if found else 1) == count


def test_an_experiment_is_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in slurm(4, 4).items():
        monkeypatch.setenv(name, value)
    config = configs.load(str(ROOT / "configs" / "quickstart.py"), test=True)
    with pytest.raises(InputError, match="one process, and here are 4"):
        experiment.run(config, tmp_path)


if __name__ == "__main__":
    googlenet.GoogLeNet = Short
    distributed.HEARTBEAT = 5
    distributed.start(f"127.0.0.1:{sys.argv[2]}", 2, int(sys.argv[1]))
    work(int(sys.argv[1]), Path(sys.argv[3]), sys.argv[4])
