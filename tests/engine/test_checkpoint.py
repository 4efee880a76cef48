import logging
import resource
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan.engine.checkpoint import Best, Checkpoints
from jaxgan.errors import FileError
from jaxgan.steps.state import ClassifierState, GANState, new_net
from jaxgan.types import InputError

TX = optax.adam(1e-3)


def gan_state(value: float = 1) -> GANState:
    value = float(value)
    net = new_net(
        {"params": {"w": jnp.full((64, 64), value)}, "batch_stats": {"mean": jnp.zeros(3)}}, TX
    )
    ema = {"params": {"w": jnp.full((64, 64), value + 1)}, "batch_stats": {"mean": jnp.ones(3)}}
    return GANState(jnp.int32(5), net, new_net({"params": {"c": jnp.arange(4.0)}}, TX), ema)


ABSTRACT = jax.eval_shape(gan_state)


def save(folder: Path, steps: range, best: Best | None = None, scores=()) -> None:
    with Checkpoints(folder, best) as checkpoints:
        for i, step in enumerate(steps):
            metrics = {"score": scores[i]} if scores else None
            checkpoints.save(step, gan_state(step), {"a": 1}, {"next_index": step}, metrics)
            checkpoints.wait()


def damage(folder: Path, step: int) -> None:
    """Flips 64 bytes within the largest file of the state."""
    files = [p for p in (folder / "checkpoints" / str(step) / "state").rglob("*") if p.is_file()]
    file = max(files, key=lambda p: p.stat().st_size)
    data = bytearray(file.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 64] = bytes(b ^ 255 for b in data[middle : middle + 64])
    file.write_bytes(data)


def test_round_trip_to_the_bit(tmp_path: Path) -> None:
    save(tmp_path, range(3, 4))
    with Checkpoints(tmp_path) as checkpoints:
        restored = checkpoints.restore(ABSTRACT)
    assert (restored.step, restored.config, restored.data) == (3, {"a": 1}, {"next_index": 3})
    jax.tree.map(np.testing.assert_array_equal, restored.state, gan_state(3))


def test_items_lie_apart(tmp_path: Path) -> None:
    save(tmp_path, range(1, 2))
    names = {p.name for p in (tmp_path / "checkpoints" / "1").iterdir() if p.is_dir()}
    assert {"state", "ema", "config", "data"} <= names


def test_sampling_reads_the_average_alone(tmp_path: Path) -> None:
    save(tmp_path, range(1, 2))
    for file in (tmp_path / "checkpoints" / "1" / "state").rglob("*"):
        if file.is_file():
            file.unlink()
    with Checkpoints(tmp_path) as checkpoints:
        step, ema = checkpoints.restore_ema(ABSTRACT.ema)
    assert step == 1
    jax.tree.map(np.testing.assert_array_equal, ema, gan_state(1).ema)


def test_keeps_the_two_latest_and_the_best(tmp_path: Path) -> None:
    best = Best("score", "max")
    save(tmp_path, range(1, 6), best, scores=[0.2, 0.9, 0.1, 0.3, 0.4])
    with Checkpoints(tmp_path, best) as checkpoints:
        assert (checkpoints.latest, checkpoints.best) == (5, 2)
    kept = {p.name for p in (tmp_path / "checkpoints").iterdir() if p.is_dir()}
    assert kept == {"2", "4", "5"}


def test_a_flipped_byte_is_noticed_and_the_one_before_taken(tmp_path: Path, caplog) -> None:
    save(tmp_path, range(1, 3))
    damage(tmp_path, 2)
    with caplog.at_level(logging.WARNING, "jaxgan"), Checkpoints(tmp_path) as checkpoints:
        restored = checkpoints.restore(ABSTRACT)
        assert restored.step == 1
        # Its step can be saved again, and what was there is not lost.
        checkpoints.save(2, gan_state(7), {}, {})
        checkpoints.wait()
        again = checkpoints.restore(ABSTRACT)
    assert "checkpoint 2 is damaged" in caplog.text
    assert (tmp_path / "damaged" / "2").is_dir()
    jax.tree.map(np.testing.assert_array_equal, again.state, gan_state(7))


@pytest.mark.parametrize("harm", ["truncate", "remove", "rename", "empty"])
def test_other_damage_falls_back_too(tmp_path: Path, harm: str) -> None:
    save(tmp_path, range(1, 3))
    step = tmp_path / "checkpoints" / "2"
    files = sorted((p for p in (step / "state").rglob("*") if p.is_file()), key=str)
    largest = max(files, key=lambda p: p.stat().st_size)
    if harm == "truncate":
        largest.write_bytes(largest.read_bytes()[:100])
    elif harm == "remove":
        largest.unlink()
    elif harm == "rename":
        step.rename(step.with_name("7"))
    else:
        (tmp_path / "checkpoints" / "99").mkdir()
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.restore(ABSTRACT).step == (2 if harm == "empty" else 1)


class HttpError(Exception):
    """Like that of Google's file system, which is no OSError."""


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError("timed out"),
        OSError(5, "Input/output error"),
        HttpError("503"),
        ValueError("Error reading gs://b/c: DEADLINE_EXCEEDED: no answer"),
    ],
)
def test_a_store_that_fails_is_no_damage(tmp_path: Path, monkeypatch, error: Exception) -> None:
    save(tmp_path, range(1, 3))

    def fail(*args: object, **kwargs: object) -> None:
        raise error

    with Checkpoints(tmp_path) as checkpoints:
        with monkeypatch.context() as patch:
            patch.setattr(checkpoints._manager, "restore", fail)
            with pytest.raises(InputError, match=r"checkpoint 2 .*must be readable") as caught:
                checkpoints.restore(ABSTRACT)
        assert str(caught.value).endswith(str(error)) and not (tmp_path / "damaged").exists()
        assert checkpoints.restore(ABSTRACT).step == 2


def test_too_little_memory_is_no_damage(tmp_path: Path, monkeypatch) -> None:
    save(tmp_path, range(1, 2))
    monkeypatch.setattr("jaxgan.engine.checkpoint.checksums", lambda tree: bytes(1 << 60))
    with Checkpoints(tmp_path) as checkpoints, pytest.raises(MemoryError):
        checkpoints.restore(ABSTRACT)


def test_all_damaged_is_a_sentence_and_moves_nothing(tmp_path: Path) -> None:
    save(tmp_path, range(1, 3))
    damage(tmp_path, 1)
    damage(tmp_path, 2)
    with Checkpoints(tmp_path) as checkpoints, pytest.raises(InputError, match="none is in"):
        checkpoints.restore(ABSTRACT)
    assert not (tmp_path / "damaged").exists()


def test_nothing_there_is_none(tmp_path: Path) -> None:
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.restore(ABSTRACT) is None
        assert checkpoints.restore_ema(ABSTRACT.ema) is None


def test_a_failed_write_leaves_the_last_good_one(tmp_path: Path) -> None:
    save(tmp_path, range(1, 2))
    # Noise, which cannot be compressed to less than the limit.
    noise = {"w": jax.random.normal(jax.random.key(0), (64, 64))}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Checkpoints(tmp_path) as checkpoints:
        # The kernel refuses longer files in the middle of the write, as a full disk does.
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
        try:
            with pytest.raises((OSError, ValueError), match="File too large"):  # noqa: PT012
                checkpoints.save(2, gan_state(2).replace(ema=noise), {}, {})
                checkpoints.wait()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.restore(ABSTRACT).step == 1


def test_a_state_without_an_average(tmp_path: Path) -> None:
    state = ClassifierState(jnp.int32(1), new_net({"params": {"w": jnp.ones(3)}}, TX))
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, state, {}, {})
    with Checkpoints(tmp_path) as checkpoints:
        restored = checkpoints.restore(jax.eval_shape(lambda: state))
    jax.tree.map(np.testing.assert_array_equal, restored.state, state)
    assert not (tmp_path / "checkpoints" / "1" / "ema").exists()


def test_a_changed_position_or_metric_is_noticed(tmp_path: Path, caplog) -> None:
    with Checkpoints(tmp_path, Best("score", "max")) as checkpoints:
        for step in (1, 2):
            checkpoints.save(step, gan_state(step), {}, {"rollbacks": 0}, {"score": 0.5})
            checkpoints.wait()
    data = tmp_path / "checkpoints" / "2" / "data" / "metadata"
    data.write_text(data.read_text().replace("0", "1"))
    with Checkpoints(tmp_path, Best("score", "max")) as checkpoints:
        assert checkpoints.restore(ABSTRACT).step == 1
    assert "the checksum of data does not match" in caplog.text
    file = tmp_path / "checkpoints" / "1" / "metrics" / "metrics"
    for text in (file.read_text().replace("5", "6"), "null", "{"):
        file.write_text(text)
        with pytest.raises(FileError, match=rf"{file} must be as it was written"):
            Checkpoints(tmp_path, Best("score", "max"))
