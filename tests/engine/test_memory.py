"""A step that does not fit ends with advice, and with what was saved."""

import logging
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.config import loading as configs
from jaxgan.config.typed import parse
from jaxgan.data import loader
from jaxgan.data.toy.animals import ToySource
from jaxgan.engine import memory, sharding, timing
from jaxgan.engine.checkpoint import Checkpoints
from jaxgan.engine.log import Log
from jaxgan.engine.loop import TrainOptions, train
from jaxgan.engine.memory import GIB, Needs, OutOfMemoryError, Settings, advice, fitting
from jaxgan.training.options import assemble
from jaxgan.types import Recipe

SHORT = "RESOURCE_EXHAUSTED: Out of memory allocating 99999999999 bytes."


@pytest.mark.parametrize(
    ("available", "expected"),
    # 4 + 64 m / 64 GiB must be within nine tenths.
    [(100, 32), (41, 32), (40, 32), (39, 16), (23, 16), (22, 8), (7.7, 2), (6, None), (4, None)],
)
def test_the_most_pictures_that_fit(available: float, expected: int | None) -> None:
    needed = Needs(4 * GIB, 64 * GIB)
    assert fitting(needed, int(available * GIB), 64, (2, 4, 8, 16, 32, 64, 128)) == expected


@pytest.mark.parametrize(
    ("settings", "devices", "expected"),
    [
        (Settings(48, 24), 1, "train.microbatch=12"),  # Temporaries are known for what is now.
        (Settings(48, 24), 8, "train.microbatch=8"),
        (Settings(48), 1, "train.microbatch=24"),
        (Settings(48, 24, prefix="gan."), 1, "gan.train.microbatch=12"),
        (Settings(7), 1, "train.microbatch=1"),
        (Settings(1), 1, "train.remat=true"),
    ],
)
def test_a_microbatch_divides_the_batch(settings: Settings, devices: int, expected: str) -> None:
    text = advice(Needs(0, 16 * GIB), 10 * GIB, settings, devices, "gpu")
    assert f"set {expected}, or " in text


def test_the_advice_names_what_is_left_to_do() -> None:
    needed, has = Needs(2 * GIB, 91 * GIB), 80 * GIB
    assert advice(needed, has, Settings(64), 1, "tpu") == (
        "the step at train.batch_size=64 must fit into the device's 80.0 GiB and needs about "
        "93.0 GiB: set train.microbatch=32, or train.remat=true, or precision=bf16"
    )
    text = advice(needed, has, Settings(64, 16, remat=True), 1, "gpu")
    assert "at train.microbatch=16" in text and text.endswith("microbatch=8, or precision=bf16")
    text = advice(None, None, Settings(1, None, True, True), 1, "gpu")
    assert "the device's memory: set" in text and "data.resolution" in text


def test_a_cpu_is_advised_what_helps_there() -> None:
    """Measured: it needs no less with microbatches, remat or bf16."""
    needed, has = Needs(2 * GIB, 91 * GIB), 80 * GIB
    text = advice(needed, has, Settings(64, prefix="gan."), 2, "cpu")
    assert text.endswith(": set gan.train.batch_size=48")
    assert advice(needed, has, Settings(64, 16), 1, "cpu").endswith(": set train.batch_size=48")
    assert "a lower gan.data.resolution" in advice(needed, 1, Settings(64, prefix="gan."), 1, "cpu")


def test_what_the_compiler_says() -> None:
    """A donated state counts once; what is in between counts as temporary."""

    def step(state, batch):
        return state + (jnp.sin(batch[:, None] * batch[None]) @ batch[:, None]).sum()

    state, batch = np.zeros((300, 300), np.float32), np.ones(500, np.float32)
    compiled = jax.jit(step, donate_argnums=0).lower(state, batch).compile()
    needed = memory.needs(compiled)
    assert needed.arguments == state.nbytes + batch.nbytes
    assert 0 <= needed.temporaries < 4 * 500 * 500 * 4
    assert str(Needs(3 * GIB, GIB)) == "4.0 GiB a device (arguments 3.0, temporaries 1.0)"


def test_devices_share_the_memory_of_a_cpu(monkeypatch) -> None:
    for free, share in ((64 * GIB, 32 * GIB), (None, None)):
        monkeypatch.setattr(memory.machine, "free_memory", lambda free=free: free)
        assert memory.limit() == share
    monkeypatch.setattr(memory.machine, "free_memory", lambda: 64 * GIB)
    there = sharding.spread("jit").place({"w": jnp.ones(1000)})
    assert memory.limit((there, jax.random.key(0))) - 32 * GIB == pytest.approx(4000, abs=16)


def test_an_accelerator_tells_its_limit(monkeypatch) -> None:
    for stats, has in (({"bytes_limit": GIB, "num_allocs": 3}, GIB), ({}, None), (None, None)):
        device = SimpleNamespace(platform="gpu", memory_stats=lambda stats=stats: stats)
        monkeypatch.setattr(jax, "local_devices", lambda device=device: [device])
        assert memory.limit() == has


def recipe() -> Recipe:
    def step(state, batch, key):
        weight = 0.9 * state["weight"] + batch["image"].astype(jnp.float32).mean() / 255
        return {"weight": weight}, {"loss": weight.sum()}

    return Recipe(lambda key: {"weight": jax.random.normal(key, (3,))}, step)


def run(folder: Path, recipe: Recipe) -> dict:
    batches = loader.make_batches(loader.in_memory(ToySource(8, count=4)), batch_size=4, seed=0)
    options = TrainOptions(6, 4, checkpoint_every=2, log_every=1, memory=Settings(4), config={})
    with Log(folder) as log:
        return train(recipe, batches, options, folder, log=log)


def fail_at(monkeypatch, call: int, error: Exception) -> None:
    """The compiled step, or with call 0 its compilation, fails."""

    class Failing:
        def __init__(self, wrapped):
            self.wrapped, self.calls = wrapped, 0

        def lower(self, *arguments):
            self.lowered = self.wrapped.lower(*arguments)
            return self

        def compile(self):
            if call == 0:
                raise error
            self.compiled = self.lowered.compile()
            return self

        def memory_analysis(self):
            return self.compiled.memory_analysis()

        def __call__(self, *arguments):
            self.calls += 1
            if self.calls == call:
                raise error
            return self.compiled(*arguments)

    spread = sharding.spread

    def failing(mode):
        devices = spread(mode)
        return devices._replace(compile=lambda step: Failing(devices.compile(step)))

    monkeypatch.setattr(sharding, "spread", failing)


@pytest.mark.parametrize("error", [jax.errors.JaxRuntimeError(SHORT), MemoryError()])
def test_out_of_memory_keeps_what_is_saved(tmp_path: Path, monkeypatch, error) -> None:
    small = recipe()
    with monkeypatch.context() as patch:
        fail_at(patch, 4, error)
        with pytest.raises(
            OutOfMemoryError,
            match=r"^out of memory: .*at train\.batch_size=4 .*batch_size=2",
        ):
            run(tmp_path / "broken", small)
    with Checkpoints(tmp_path / "broken") as checkpoints:
        assert checkpoints.latest == 2
    resumed, whole = run(tmp_path / "broken", small), run(tmp_path / "whole", small)
    np.testing.assert_array_equal(resumed["weight"], whole["weight"])
    text = (tmp_path / "whole" / "log.txt").read_text()
    assert "the step was compiled in" in text and "and needs about 0.0 MiB a device" in text


def test_out_of_memory_in_the_compiler(tmp_path: Path, monkeypatch) -> None:
    fail_at(monkeypatch, 0, jax.errors.JaxRuntimeError(SHORT))
    with pytest.raises(OutOfMemoryError, match=r"set train\.batch_size=2"):
        run(tmp_path, recipe())


def test_other_errors_stay_what_they_are(tmp_path: Path, monkeypatch) -> None:
    fail_at(monkeypatch, 1, jax.errors.JaxRuntimeError("INTERNAL: a bug"))
    with pytest.raises(jax.errors.JaxRuntimeError, match="a bug"):
        run(tmp_path, recipe())


def test_a_step_that_will_not_fit_is_announced(tmp_path: Path, monkeypatch, caplog) -> None:
    with caplog.at_level(logging.WARNING, "jaxgan"):
        run(tmp_path / "a", recipe())
        assert not caplog.records
        monkeypatch.setattr(memory, "limit", lambda *arguments: 50)
        run(tmp_path / "b", recipe())
    assert len(caplog.records) == 1 and "may run out of memory" in caplog.text


@pytest.mark.parametrize("call", [0, 3])
@pytest.mark.parametrize(("name", "prefix"), [("wgan512", "gan"), ("vgg16_small", "classifier")])
def test_out_of_memory_in_a_dry_run(name: str, prefix: str, call: int, monkeypatch) -> None:
    """One sentence, with which scripts end with 1."""
    config = configs.load(str(Path(__file__).parents[2] / "configs" / f"{name}.py"), test=True)
    if name == "vgg16_small":
        config.model.num_classes = 2
    fail_at(monkeypatch, call, jax.errors.JaxRuntimeError(SHORT))
    source = ToySource(config.data.resolution, count=4)
    parts = assemble(parse(config), source, prefix=f"{prefix}.")
    with pytest.raises(
        OutOfMemoryError, match=rf"^out of memory: .*: set {prefix}\.train\.batch_size="
    ) as found:
        timing.time_steps(*parts, 0.0)
    assert "\n" not in str(found.value)
