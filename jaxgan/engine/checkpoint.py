"""Checkpoints: all calls of Orbax.

`checkpoints/<step>/` holds the items `state`, `ema` (GANs), `config`, `data` (the loader's
position) and `checksums`. The two latest are kept and, where a metric says so, the best.
"""

import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp
from etils import epath
from orbax.checkpoint import checkpoint_managers as policies

from jaxgan.engine.checkpoint_items import check_metrics, checksums, items_of
from jaxgan.errors import FileError
from jaxgan.system import checked_files, paths
from jaxgan.types import InputError, State

logging.getLogger("absl").setLevel(logging.ERROR)  # Orbax narrates each of its steps.


def _quiet(hook: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """After a failed save TensorStore still answers, to a loop that is closed: prints nothing."""

    def told(what: Any) -> None:
        if str(what.exc_value) != "Event loop is closed":
            hook(what)

    return told


sys.unraisablehook = _quiet(sys.unraisablehook)


class Best(NamedTuple):
    """Which metric makes a checkpoint the best one."""

    metric: str
    mode: str  # "min" or "max"


class Restored(NamedTuple):
    step: int
    state: State
    config: dict
    data: dict  # The loader's position.


class DamagedError(Exception):
    """A part of a checkpoint is not what was saved."""


# What Orbax raises for damaged files; of stores and networks a ValueError with one of these words.
_DAMAGE = (DamagedError, FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError)
_PASSING = re.compile(
    r"\b(UNAVAILABLE|DEADLINE_EXCEEDED|RESOURCE_EXHAUSTED|ABORTED|CANCELLED"
    r"|PERMISSION_DENIED|UNAUTHENTICATED)\b"
)


class Checkpoints:
    """The checkpoints of one run. Use as a context manager: leaving waits for the last save.

    Of several processes only the first has any: every process holds the whole state, so that one
    can write it, and any number of them may go on from it.

    Args:
        workdir: the run's folder; local or `gs://`.
        best: the metric whose best checkpoint is kept too.
        read_only: nothing is saved, moved or tidied up: the run may still be training.
    """

    def __init__(
        self, workdir: epath.PathLike, best: Best | None = None, *, read_only: bool = False
    ):
        self.folder = epath.Path(workdir).absolute() / "checkpoints"
        self._best, self._read_only = best, read_only
        self._on = jax.process_index() == 0
        if self._on:
            self._manager = self._open()
            self._thread = ThreadPoolExecutor(1, "checkpoint")
            self._under_way: Future | None = None

    def _open(self) -> ocp.CheckpointManager:
        if not self._read_only:
            self.folder.mkdir(parents=True, exist_ok=True)
        paths.check_tree(self.folder)  # Orbax would wait for a pipe's other end.
        keep: list = [policies.LatestN(n=2)]
        best_fn = None
        if self._best is not None:
            check_metrics(self.folder)
            metric, mode = self._best
            best_fn = lambda m: m[metric]  # noqa: E731
            keep.append(
                policies.BestN(
                    get_metric_fn=best_fn,
                    reverse=mode == "min",
                    n=1,
                    keep_checkpoints_without_metrics=False,
                )
            )
        return ocp.CheckpointManager(
            self.folder,
            options=ocp.CheckpointManagerOptions(
                preservation_policy=policies.AnyPreservationPolicy(keep),
                best_fn=best_fn,
                best_mode=self._best.mode if self._best else "max",
                cleanup_tmp_directories=not self._read_only,
                read_only=self._read_only,
                create=False,
                multiprocessing_options=ocp.options.MultiprocessingOptions(
                    primary_host=0, active_processes={0}
                ),
            ),
        )

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind: Any, *error: Any) -> None:
        if self._on:
            # What is raised already must not be hidden.
            with suppress(*([FileError] if kind else [])), self._writing():
                try:
                    self._finish()
                finally:
                    self._thread.shutdown()
                    self._manager.close()

    def wait(self) -> None:
        """Blocks until the last save is on disk.

        Raises:
            FileError: it could not be written (a full disk); earlier checkpoints are untouched.
        """
        if self._on:
            with self._writing():
                self._finish()

    def _finish(self) -> None:
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            under_way.result()
        self._manager.wait_until_finished()
        self._manager.check_for_errors()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Put what Orbax and TensorStore raise where they cannot write in one sentence."""
        try:
            yield
        except InputError:
            raise
        except (OSError, ValueError, RuntimeError) as error:
            code = re.search(r"os_error_code='(\d+)'|\[Errno (\d+)\]", str(error))
            reason = (str(error).strip() or type(error).__name__).splitlines()[0][:150]
            if code is not None:
                reason = os.strerror(int(code[1] or code[2]))
            raise FileError(
                f"{self.folder} must have room for checkpoints, and one could not be written "
                f"({reason}); {self.kept()}"
            ) from error

    def kept(self) -> str:
        """Return what a user has where a run ends by itself; waits for the last save."""
        steps = []
        with suppress(Exception):  # That it failed is said elsewhere.
            self._finish()
        with suppress(OSError):
            steps = [int(p.name) for p in self.folder.iterdir() if p.name.isdecimal()]
        if not steps:
            return "there was no checkpoint yet: the same command begins anew"
        return f"the checkpoint of step {max(steps):,} is kept: the same command goes on from it"

    @property
    def latest(self) -> int | None:
        return self._manager.latest_step()

    @property
    def best(self) -> int | None:
        return self._manager.best_step()

    def save(
        self, step: int, state: State, config: dict, data: dict, metrics: dict | None = None
    ) -> None:
        """Save in the background; the state's arrays are copied to the host before it returns.

        Raises:
            FileError: the save before could not be written.
        """
        if not self._on:
            return
        self.wait()
        # On a CPU what JAX gives is the device's own memory, which the next step overwrites.
        items = jax.tree.map(np.array, jax.device_get(items_of(state)))
        self._under_way = self._thread.submit(self._write, step, items, config, data, metrics)

    def _write(
        self, step: int, items: dict, config: dict, data: dict, metrics: dict | None
    ) -> None:
        sums: dict[str, Any] = {k: checksums(v) for k, v in items.items()} | {"step": step}
        sums |= {
            "data": checked_files.checksum(data),
            "metrics": checked_files.checksum(metrics or {}),
        }
        self._manager.save(
            step,
            args=ocp.args.Composite(
                **{name: ocp.args.StandardSave(tree) for name, tree in items.items()},
                config=ocp.args.JsonSave(config),
                data=ocp.args.JsonSave(data),
                checksums=ocp.args.JsonSave(sums),
            ),
            metrics=metrics,
        )

    def restore(self, abstract: State, step: int | None = None) -> Restored | None:
        """The checkpoint of `step`, or else the latest that is whole; None where there is none.

        Of several processes the first has it; the others have None.

        Args:
            abstract: the state's shapes and types (`jax.eval_shape(recipe.init, key)`).
            step: the one to try first.

        Damaged checkpoints tried before the one that is taken are moved to `damaged/` in the run's
        folder, with a warning, so that training can save their steps again.

        Raises:
            InputError: where there are checkpoints, but none of them is whole; or where one could
                not be read for another reason than damage: a store may answer the next time.
        """
        if not self._on:
            return None
        restored, damaged = self._newest_whole(step, lambda s: self._read(s, abstract))
        if damaged and not self._read_only:
            self._set_aside(damaged)
        return restored

    def restore_ema(self, abstract: Any, step: int | None = None) -> tuple[int, Any] | None:
        """Like `restore`, but reads the averaged generator alone and moves nothing."""
        read = lambda s: (s, self._read_items(s, {"ema": abstract})["ema"])  # noqa: E731
        return self._newest_whole(step, read)[0]

    def _newest_whole(self, step: int | None, read: Callable[[int], Any]) -> tuple[Any, list[int]]:
        steps = sorted(self._manager.all_steps(), reverse=True)
        if step is not None and step not in steps:
            raise InputError(
                f"the step must be that of a checkpoint in {self.folder}, of "
                f"{', '.join(map(str, steps))}, got {step}"
            )
        steps = steps if step is None else [step, *(s for s in steps if s != step)]
        for i, each in enumerate(steps):
            try:
                return read(each), steps[:i]
            except (MemoryError, jax.errors.JaxRuntimeError):
                raise
            except Exception as error:
                reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
                if not isinstance(error, _DAMAGE) or _PASSING.search(str(error)):
                    raise InputError(
                        f"checkpoint {each} in {self.folder} must be readable, and nothing was "
                        f"changed (try again, or delete it to go on from another): {reason}"
                    ) from error
                logging.getLogger("jaxgan").warning(
                    "checkpoint %d is damaged (%s): falling back to another", each, reason
                )
        if steps:
            raise FileError(
                f"one checkpoint must be whole, and none is in {self.folder}: "
                f"{', '.join(map(str, steps))}; delete {self.folder.parent} and run the same "
                f"command again"
            )
        return None, []

    def _set_aside(self, steps: list[int]) -> None:
        self._manager.close()
        for step in steps:
            aside = self.folder.parent / "damaged" / str(step)
            if aside.exists():
                aside.rmtree()
            aside.parent.mkdir(parents=True, exist_ok=True)
            (self.folder / str(step)).rename(aside)
        self._manager = self._open()

    def _read(self, step: int, abstract: State) -> Restored:
        read = self._read_items(step, items_of(abstract))
        state = read["state"]
        if "ema" in read:
            state = state.replace(ema=read["ema"])
        rest = self._manager.restore(
            step,
            args=ocp.args.Composite(
                config=ocp.args.JsonRestore(),
                data=ocp.args.JsonRestore(),
                checksums=ocp.args.JsonRestore(),
            ),
        )
        found = checked_files.checksum(rest["data"])
        if rest["checksums"].get("data", found) != found:  # Older ones have none.
            raise DamagedError("the checksum of data does not match")
        return Restored(step, state, rest["config"], rest["data"])

    def _read_items(self, step: int, abstract: dict) -> dict:
        here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        target = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=here), abstract
        )
        read = self._manager.restore(
            step,
            args=ocp.args.Composite(
                **{name: ocp.args.StandardRestore(tree) for name, tree in target.items()},
                checksums=ocp.args.JsonRestore(),
            ),
        )
        if (own := read["checksums"].get("step", step)) != step:  # Older ones do not say.
            raise DamagedError(f"it is that of step {own}")
        if wrong := [k for k in abstract if checksums(read[k]) != read["checksums"][k]]:
            raise DamagedError(f"the checksum of {wrong[0]} does not match")
        return {name: read[name] for name in abstract}


def has_checkpoints(workdir: epath.PathLike) -> bool:
    """Return whether a run in `workdir` has saved anything."""
    folder = epath.Path(workdir) / "checkpoints"
    return folder.exists() and any(p.name.isdecimal() for p in folder.iterdir())
