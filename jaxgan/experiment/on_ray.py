"""The jobs of an experiment as tasks of a Ray cluster: on all devices of a machine, or of several.

Ray places them and repeats those whose worker is lost; a task does what one process would do, and
leaves it in the workdir, which all see. This process asks for the tasks, logs, and then goes
through the experiment as if it had done them itself. It trains nothing, and leaves GPUs and TPUs
alone.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import jax
from etils import epath

from jaxgan.errors import InputError
from jaxgan.experiment.design.arms import Arm
from jaxgan.experiment.design.plan import Plan
from jaxgan.experiment.ray_cluster import PATIENCE, RETRIES, On, check_nodes, needs, rooms
from jaxgan.experiment.remaining_time import RemainingTime
from jaxgan.experiment.stages import classify, ray_task
from jaxgan.experiment.stages.fold_context import Log
from jaxgan.experiment.stages.ray_task import Done, Order, Part
from jaxgan.system import screen

STOPPING = 30.0  # Seconds in which jobs save what they have, after Ctrl-C.
PERIOD = 0.5
PASSED = ("JAX_", "XLA_", "TF_", "LIBTPU_", "JAXGAN_", "NPROC")  # Variables that workers get.


class Cluster:
    """A cluster that does the jobs of an experiment.

    Args:
        on: what each job takes.
        plan: of the experiment.
        folder: its workdir.
        outlook: of all jobs.
        platforms: JAX's, for the jobs; "" is the best that a worker has.

    Raises:
        InputError: a node that could do jobs does not see the workdir or has other versions, or
            no node has what a job takes.
    """

    def __init__(
        self,
        on: On,
        plan: Plan,
        folder: epath.Path,
        outlook: RemainingTime,
        platforms: str | None,
    ):
        import ray

        self.plan, self.outlook, self.folder = plan, outlook, folder
        self.failed: dict[str, str] = {}
        self.devices: list[str] = []
        nodes = [node for node in ray.nodes() if node["Alive"]]
        kind, cpus, devices = needs(on, [node["Resources"] for node in nodes], platforms)
        self._options: dict[str, Any] = {"num_cpus": cpus, "max_retries": RETRIES}
        self._options |= {"num_gpus": devices} if kind == "GPU" else {}
        self._options |= {"resources": {"TPU": devices}} if kind == "TPU" and devices else {}
        room = {node["NodeID"]: rooms(node["Resources"], kind, cpus, devices) for node in nodes}
        if not any(room.values()):
            most = [max(n["Resources"].get(k, 0) for n in nodes) for k in ("CPU", kind or "GPU")]
            raise InputError(
                f"a job must fit a node, and {cpus} CPUs with {devices} {kind or 'GPU'}s are more "
                f"than any has (at most {most[0]:g} and {most[1]:g}): lower --job_cpus or "
                f"--job_devices"
            )
        self.at_once = sum(room.values())
        check_nodes([node for node in nodes if room[node["NodeID"]]], folder, plan.config.data.path)
        environment = {k: v for k, v in os.environ.items() if k.startswith(PASSED)}
        settings = {k: v for k, v in jax.config.values.items() if k != "jax_platforms"}
        order = Order(
            plan,
            os.path.abspath(folder),
            os.getcwd(),
            environment,
            settings | {"jax_platforms": platforms},
            None if devices else cpus,
        )
        self._order = ray.put(order)
        self._lines = ray.remote(num_cpus=0, max_restarts=-1)(_lines()).remote()
        # A process keeps the devices that it was given first, and its next task may get others.
        self._do = ray.remote(max_calls=1 if devices else 0)(ray_task.do)

    def parts(
        self, folds: Sequence[int], positions: range, samples_only: bool = False
    ) -> list[Part]:
        """Return what there is to do for some seeds, in tasks; none comes before what it needs."""
        found, config = [], self.plan.config
        for k in folds:
            by_gan: dict[str, list] = {}
            for job in self.plan.pick("samples", fold=k, seeds=positions):
                if job.key.source in (None, "pca"):  # Those of folders are read where they serve.
                    by_gan.setdefault((job.inputs or (job,))[0].folder, []).append(job)
            label = f"fold {k} " if len(self.plan.folds) > 1 else ""
            for folder, jobs in by_gan.items():
                gan = jobs[0].inputs[:1]
                number = self.outlook.number(gan[0]) if gan else ""
                name = f"GAN of {gan[0].name or 'all classes'}" if gan else f"samples of {folder}"
                found.append(Part(f"{label}{name}{number}", tuple(jobs)))
        for k in folds if not samples_only else ():
            label = f"fold {k} " if len(self.plan.folds) > 1 else ""
            jobs = self.plan.pick("classifier", "choice", fold=k, seeds=positions)
            for group in classify.groups(jobs, config.vmap_seeds):
                arm, seeds = group[0].arm, [str(config.seeds[job.seed or 0]) for job in group]
                assert arm is not None
                name = f"{label}{arm.name} seed{'s' * (len(seeds) > 1)} {', '.join(seeds)}"
                found.append(Part(name, tuple(group)))
        return found

    def alone(self, arm: Arm) -> Part:
        """Return a classifier of the first fold that is no arm of the verdict."""
        return Part(arm.name, (self.plan.alone(arm),), alone=True)

    def do(self, parts: Sequence[Part], log: Log) -> None:
        """Do what is not done yet; `failed` has what went wrong.

        Raises:
            InputError: what ends an experiment in one process, too.
            KeyboardInterrupt, SystemExit: after the jobs have saved what they can.
        """
        import ray

        asked: dict[Any, Part] = {}
        makes: dict[str, Any] = {}
        for part in parts:
            if all((self.folder / job.output).exists() for job in part.each):
                continue
            needs = dict.fromkeys(makes[j.output] for j in part.samples if j.output in makes)
            say = self._lines
            task = self._do.options(name=part.name, **self._options)
            ref = task.remote([self._order], part, say, *needs)
            asked[ref] = part
            makes |= {job.output: ref for job in part.each}
        left = [*asked]
        try:
            with _sigterm(), screen.stage(f"{len(left)} tasks on Ray", left=self._left):
                screen.at(*self.outlook.count())
                while left:
                    ready, left = ray.wait(left, timeout=PERIOD)
                    self._say()
                    for ref in ready:
                        self._finish(ref, asked[ref], log)
        except BaseException:
            for ref in left:
                ray.cancel(ref)
            with contextlib.suppress(BaseException):
                ray.wait(left, num_returns=len(left), timeout=STOPPING)
                self._say()
            raise

    def _finish(self, ref: Any, part: Part, log: Log) -> None:
        import ray

        try:
            done: Done = ray.get(ref)
        except ray.exceptions.RayTaskError as error:
            cause = getattr(error, "cause", error)
            if isinstance(cause, ray.exceptions.RayError):  # Of a task before it.
                return
            raise cause from None
        except ray.exceptions.RayError as error:
            file = self.folder / part.each[0].folder / "log.txt"
            why = f"its worker was lost {RETRIES + 1} times ({type(error).__name__}): see {file}"
            why += " and the logs of Ray"
            done = Done({job.output: why for job in part.each}, {}, [])
        self.failed |= done.failed
        self.devices = done.devices or self.devices
        for job in part.each:
            if job.output in done.seconds:
                self.outlook.note(job, done.seconds[job.output])
        count, total = self.outlook.count()
        screen.at(count, total)
        if why := next(iter(done.failed.values()), None):
            log.line(f"{part.name} failed: {why}", "progress")
        seconds = sum(done.seconds.values())
        log.line(
            f"{part.name}: {screen.duration(seconds)}; {count} of {total} jobs done{self._about()}",
            "progress",
        )

    def _say(self) -> None:
        import ray

        with contextlib.suppress(ray.exceptions.RayError):  # A node is lost, and lines with it.
            for text, kind in ray.get(self._lines.take.remote(), timeout=PATIENCE):
                screen.say(text, kind)

    def _left(self) -> float | str:
        left = self.outlook.left(self.at_once)
        return "" if left is None else f"about {screen.duration(left)} left"

    def _about(self) -> str:
        left = self._left()
        return f", {left}" if left else ""


def _lines() -> type:
    """Return the class of an actor that keeps lines from the jobs; sent as code."""

    class Lines:
        def __init__(self) -> None:
            self.kept: list[tuple[str, str]] = []

        def add(self, text: str, kind: str) -> None:
            self.kept.append((text, kind))

        def take(self) -> list[tuple[str, str]]:
            found, self.kept = self.kept, []
            return found

    return Lines


@contextlib.contextmanager
def _sigterm() -> Iterator[None]:
    """End by SIGTERM as a training does: 143. Ray has its own code."""

    def end(number: int, frame: Any) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
