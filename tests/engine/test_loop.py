"""The loop on a recipe of one weight, so that what it does can be followed."""

import errno
import os
import signal
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from flax import struct
from tensorboard.summary.writer.record_writer import RecordWriter

from jaxgan.data import loader
from jaxgan.data.toy.animals import ToySource
from jaxgan.engine.checkpoint import Best, Checkpoints
from jaxgan.engine.log import Log, read_metrics
from jaxgan.engine.loop import CollapseError, Evaluation, NotFiniteError, TrainOptions, train
from jaxgan.engine.timing import time_steps
from jaxgan.errors import FileError
from jaxgan.types import Prelude, Recipe

PICTURES = loader.in_memory(ToySource(8, count=5))
OPTIONS = TrainOptions(
    steps=7, images_a_step=4, log_every=3, sample_every=3, checkpoint_every=2, config={}
)


class State(struct.PyTreeNode):
    step: jax.Array
    weight: jax.Array


def recipe(explode_at: int = -1) -> Recipe:
    def init(key):
        return State(jnp.int32(0), jax.random.normal(key, (3,)))

    def step(state, batch, key):
        mean = batch["image"].astype(jnp.float32).mean((0, 1, 2)) / 255
        weight = 0.9 * state.weight + mean + 0.1 * jax.random.normal(key, (3,))
        loss = jnp.where(state.step + 1 == explode_at, jnp.nan, weight.sum())
        return State(state.step + 1, weight), {"loss": loss}

    return Recipe(init, step)


def run(folder: Path, options: TrainOptions = OPTIONS, evaluate=None, recipe_=None) -> State:
    batches = loader.make_batches(PICTURES, batch_size=4, seed=0)
    with Log(folder) as log:
        return train(recipe_ or recipe(), batches, options, folder, log=log, evaluate=evaluate)


def same(a: State, b: State) -> None:
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(a), jax.device_get(b))


@pytest.mark.parametrize("stop", [1, 2, 5])
@pytest.mark.parametrize("parallel", ["jit", "pmap"])
def test_stopping_and_going_on_changes_nothing(tmp_path: Path, stop: int, parallel: str) -> None:
    options = OPTIONS._replace(parallel=parallel)
    whole = run(tmp_path / "whole", options)
    run(tmp_path / "parts", options._replace(steps=stop))
    same(whole, run(tmp_path / "parts", options))
    assert whole.step == 7


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)]
)
def test_a_signal_saves_and_exits(tmp_path: Path, number: int, code: int) -> None:
    whole = run(tmp_path / "whole")
    before = signal.signal(number, signal.SIG_DFL)  # It may be ignored, as under nohup.

    def kill(state):
        os.kill(os.getpid(), number)
        return Evaluation({}, {})

    try:
        with pytest.raises(SystemExit) as exit_:
            run(tmp_path / "stopped", evaluate=kill)
    finally:
        signal.signal(number, before)
    assert exit_.value.code == code
    with Checkpoints(tmp_path / "stopped") as checkpoints:
        assert checkpoints.latest == 3  # Where `kill` was called.
    same(whole, run(tmp_path / "stopped"))


@pytest.mark.parametrize("name", ["metrics.jsonl", "tensorboard", "samples"])
def test_a_disk_that_fails_is_one_sentence_with_what_is_kept(
    tmp_path: Path, monkeypatch, name: str
) -> None:
    def fails(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def evaluate(state: State) -> Evaluation:
        if state.step == 6:  # From here on; the last checkpoint is of step 5.
            if name == "tensorboard":
                monkeypatch.setattr(RecordWriter, "write", fails)
            else:
                (tmp_path / name).rename(tmp_path / "aside")
                (tmp_path / name).symlink_to("/proc/version")
        return Evaluation({"height": 1.0}, {"samples": np.zeros((4, 4, 3), np.uint8)})

    options = OPTIONS._replace(checkpoint_every=5, sample_every=2, log_every=1)
    with pytest.raises(FileError, match="the checkpoint of step 5 is kept") as found:
        run(tmp_path, options, evaluate)
    assert str(tmp_path / name) in str(found.value) and "\n" not in str(found.value)


def test_metrics_are_told_once_and_in_order(tmp_path: Path) -> None:
    run(tmp_path, OPTIONS._replace(steps=5))
    run(tmp_path)
    steps = [row["step"] for row in read_metrics(tmp_path)]
    assert steps == sorted(set(steps)) and steps[-1] == 7


def test_the_last_step_is_saved_and_running_again_does_nothing(tmp_path: Path) -> None:
    state = run(tmp_path)
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.latest == 7
    rows = read_metrics(tmp_path)
    same(state, run(tmp_path))
    assert read_metrics(tmp_path) == rows


def test_a_non_finite_loss_stops_with_its_step(tmp_path: Path) -> None:
    with pytest.raises(NotFiniteError, match="loss must be finite, got nan at step 5"):
        run(tmp_path, recipe_=recipe(explode_at=5))
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.latest == 4
        restored = checkpoints.restore(jax.eval_shape(recipe().init, jax.random.key(0)))
    assert np.isfinite(restored.state.weight).all()


def test_the_best_checkpoint_is_kept(tmp_path: Path) -> None:
    scores = iter([0.2, 0.9, 0.1, 0.3, 0.4, 0.5, 0.6])
    best = Best("score", "max")
    run(
        tmp_path,
        OPTIONS._replace(sample_every=1, best=best),
        evaluate=lambda state: Evaluation({"score": next(scores)}, {}),
    )
    with Checkpoints(tmp_path, best) as checkpoints:
        assert (checkpoints.best, checkpoints.latest) == (2, 7)


def test_a_full_disk_is_a_sentence(tmp_path: Path, monkeypatch) -> None:
    def full(self, step, **more):
        if step > 2:
            raise OSError(28, "No space left on device")
        return save(self, step, **more)

    save = ocp.CheckpointManager.save
    monkeypatch.setattr(ocp.CheckpointManager, "save", full)
    with pytest.raises(FileError, match=r"written \(No space .*; the checkpoint of step 2 is kept"):
        run(tmp_path)
    monkeypatch.undo()
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.latest == 2


def test_samples_are_saved(tmp_path: Path) -> None:
    picture = np.zeros((4, 4, 3), np.uint8)
    run(tmp_path, evaluate=lambda state: Evaluation({}, {"samples": picture}))
    names = sorted(p.name for p in (tmp_path / "samples").iterdir())
    assert names == ["0000003.png", "0000006.png", "0000007.png"]


def prelude_recipe() -> Recipe:
    """Two turns before the first step and one before every third, each of which adds 100."""

    def turn(state, batch, key):
        return State(state.step, state.weight + 100 + jax.random.normal(key, (3,))), {}

    return recipe()._replace(prelude=Prelude(turn, lambda step: 2 * (step == 0) or step % 3 == 0))


@pytest.mark.parametrize("stop", [1, 2, 3, 5])
def test_a_prelude_has_its_own_batches_and_resumes(tmp_path: Path, stop: int) -> None:
    whole = run(tmp_path / "whole", recipe_=prelude_recipe())
    run(tmp_path / "parts", OPTIONS._replace(steps=stop), recipe_=prelude_recipe())
    same(whole, run(tmp_path / "parts", recipe_=prelude_recipe()))
    state, made = run(tmp_path / "plain", OPTIONS._replace(steps=0)), prelude_recipe()
    train_key = jax.random.split(jax.random.key(0))[1]
    batches = loader.make_batches(PICTURES, batch_size=4, seed=0)
    for step in range(7):
        noise = jax.random.fold_in(train_key, step)
        for i in range(int(made.prelude.count(step))):
            state, _ = made.prelude.step(
                state, next(batches), jax.random.fold_in(jax.random.fold_in(noise, 2), i)
            )
        state, _ = made.step(state, next(batches), noise)
    np.testing.assert_allclose(whole.weight, state.weight, rtol=1e-5)


@pytest.mark.parametrize("stop", [1, 3])
def test_turns_share_a_batch_and_are_compiled_once(tmp_path: Path, stop: int) -> None:
    made, traced = recipe(), []

    def always(state, batch, key):
        traced.append("always")
        state, metrics = made.step(state, batch, key)
        return state, metrics

    def lazy(state, batch, key):
        traced.append("lazy")
        mean = batch["image"].astype(jnp.float32).mean()
        return State(state.step, state.weight + mean), {"mean": mean}

    turns = lambda step: [lazy, always] if step % 2 == 0 else [always]  # noqa: E731
    other = made._replace(step=None, turns=turns)
    options = OPTIONS._replace(log_every=1)
    whole = run(tmp_path / "whole", options, recipe_=other)
    assert sorted(traced) == ["always", "lazy"]
    rows = read_metrics(tmp_path / "whole")
    assert [row["step"] for row in rows if "mean" in row] == [1, 3, 5, 7]
    batches = loader.make_batches(PICTURES, batch_size=4, seed=0)
    for row in rows:
        assert row.get("mean", 0) in (0, pytest.approx(next(batches)["image"].mean(), rel=1e-5))

    run(tmp_path / "parts", options._replace(steps=stop), recipe_=other)
    same(whole, run(tmp_path / "parts", options, recipe_=other))


def collapses(rows: list[dict]) -> str | None:
    """An alarm at step 4, but not where the noise is another."""
    losses = [row["loss"] for row in rows if "loss" in row]
    return "the loss is what it was" if len(losses) == 4 and losses[3] == FOURTH[0] else None


FOURTH: list[float] = []


def test_a_rollback_goes_another_way_to_the_end(tmp_path: Path) -> None:
    options = OPTIONS._replace(log_every=1, alarm=collapses, rollbacks=1)
    FOURTH[:] = [float("nan")]
    plain = run(tmp_path / "plain", options)
    FOURTH[:] = [read_metrics(tmp_path / "plain")[3]["loss"]]
    warned = run(tmp_path / "warned", options)
    same(plain, warned)  # A warning changes nothing.
    assert "ALARM at step 4: the loss is what it was" in (tmp_path / "warned/log.txt").read_text()

    with pytest.raises(CollapseError, match="at step 4 the loss is what it was; the last good"):
        run(tmp_path / "stopped", options._replace(on_alarm="stop"))
    with Checkpoints(tmp_path / "stopped") as checkpoints:
        assert checkpoints.latest == 2

    rollback = options._replace(on_alarm="rollback")
    back = run(tmp_path / "back", rollback)
    assert back.step == 7 and not np.array_equal(back.weight, plain.weight)
    rows = read_metrics(tmp_path / "back")
    assert [row["step"] for row in rows] == list(range(1, 8))
    assert "back to the checkpoint of step 2" in (tmp_path / "back" / "log.txt").read_text()
    # Stopped after the rollback, it goes on the new way.
    run(tmp_path / "parts", rollback._replace(steps=6))
    same(back, run(tmp_path / "parts", rollback))


@pytest.mark.parametrize(("rollbacks", "times"), [(0, 0), (2, 2)])
def test_rollbacks_are_limited(tmp_path: Path, rollbacks: int, times: int) -> None:
    """A loss that is not finite, whatever the noise."""
    options = OPTIONS._replace(on_alarm="rollback", rollbacks=rollbacks)
    with pytest.raises(NotFiniteError, match="at step 5"):
        run(tmp_path, options, recipe_=recipe(explode_at=5))
    told = (tmp_path / "log.txt").read_text()
    assert told.count("back to the checkpoint of step 4") == times


def test_without_a_checkpoint_there_is_nothing_to_go_back_to(tmp_path: Path) -> None:
    options = OPTIONS._replace(on_alarm="rollback", rollbacks=2)
    with pytest.raises(NotFiniteError, match="at step 1"):
        run(tmp_path, options, recipe_=recipe(explode_at=1))


def test_it_begins_with_given_weights(tmp_path: Path) -> None:
    def start(state: State) -> State:
        return State(state.step, jnp.full(3, 50.0))

    begun = run(tmp_path, OPTIONS._replace(steps=1, start=start))
    assert (np.asarray(begun.weight) > 40).all()
    # A run that goes on has weights of its own.
    on = run(tmp_path, OPTIONS._replace(steps=2, start=lambda state: State(state.step, None)))
    assert on.step == 2


@pytest.mark.parametrize("parallel", ["jit", "pmap"])
def test_several_steps_in_a_call_are_the_same_steps(tmp_path: Path, parallel: str) -> None:
    """Where nothing is due between them, and no prelude comes before one."""
    options = OPTIONS._replace(log_every=2, sample_every=7, checkpoint_every=6, parallel=parallel)
    several = options._replace(steps_per_call=2)
    for name, make in (("plain", recipe), ("prelude", prelude_recipe)):
        one = run(tmp_path / name / "one", options, recipe_=make())
        whole = run(tmp_path / name / "several", several, recipe_=make())
        np.testing.assert_allclose(one.weight, whole.weight, rtol=1e-6)
        assert one.step == whole.step == 7
        rows = [read_metrics(tmp_path / name / kind) for kind in ("one", "several")]
        assert len(rows[1]) == (4 if name == "plain" else 5)  # The first line: of a call.
        losses = [{row["step"]: row["loss"] for row in some} for some in rows]
        for step in (4, 6, 7):
            assert losses[0][step] == pytest.approx(losses[1][step], rel=1e-5)
        run(tmp_path / name / "parts", several._replace(steps=3), recipe_=make())
        same(whole, run(tmp_path / name / "parts", several, recipe_=make()))


def test_a_checkpoint_is_saved_by_time_too(tmp_path: Path, monkeypatch) -> None:
    saved, save = [], Checkpoints.save
    monkeypatch.setattr(
        Checkpoints, "save", lambda self, step, *rest: (saved.append(step), save(self, step, *rest))
    )
    options = OPTIONS._replace(checkpoint_every=5, sample_every=100)
    plain = run(tmp_path / "plain", options)
    assert saved == [5, 7]
    saved.clear()
    same(plain, run(tmp_path / "often", options._replace(checkpoint_minutes=1e-9)))
    assert saved == [3, 5, 6, 7]  # At the lines of the log.
    saved.clear()
    run(tmp_path / "seldom", options._replace(checkpoint_minutes=60.0))
    assert saved == [5, 7]


def test_a_checkpoint_is_written_while_the_state_moves_on(tmp_path: Path, monkeypatch) -> None:
    def slow(self, step, **more):
        time.sleep(0.2)
        return real(self, step, **more)

    real = ocp.CheckpointManager.save
    monkeypatch.setattr(ocp.CheckpointManager, "save", slow)
    abstract = jax.eval_shape(recipe().init, jax.random.key(0))
    state = State(jnp.int32(1), jnp.ones(3))
    with Checkpoints(tmp_path) as checkpoints:
        clock = time.perf_counter()
        checkpoints.save(1, state, {}, {})
        assert time.perf_counter() - clock < 0.2
        jax.tree.map(lambda x: x.delete(), state)
    with Checkpoints(tmp_path, read_only=True) as checkpoints:
        np.testing.assert_array_equal(checkpoints.restore(abstract).state.weight, np.ones(3))


def test_a_few_steps_are_timed_as_they_are_trained() -> None:
    batches = loader.make_batches(PICTURES, batch_size=4, seed=0)
    look = lambda state: (int(state.step), 0.0)  # noqa: E731
    timing = time_steps(prelude_recipe(), batches, OPTIONS, 0.01, look)
    assert min(timing.init, timing.compile, timing.step, timing.prelude) > 0
    assert timing.look >= 4 and [timing.preludes(i) for i in range(4)] == [2, 0, 0, 1]
    assert timing.memory > 0
