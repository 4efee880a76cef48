"""The jobs of an experiment as tasks of a Ray cluster: on all devices of a machine, or of several.

Ray places them and repeats those whose worker is lost; a task does what one process would do, and
leaves it in the workdir, which all see. This process asks for the tasks, logs, and then goes
through the experiment as if it had done them itself. It trains nothing, and leaves GPUs and TPUs
alone.
"""

import contextlib
import importlib
import os
import re
import secrets
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
from etils import epath

from jaxgan.config.typed import Experiment
from jaxgan.errors import InputError
from jaxgan.experiment.design.arms import Arm
from jaxgan.experiment.design.plan import Plan
from jaxgan.experiment.outlook import Outlook
from jaxgan.experiment.stages import classify, ray_task
from jaxgan.experiment.stages.ray_task import Done, Order, Part
from jaxgan.experiment.stages.site import Log
from jaxgan.system import screen, sealed

RETRIES = 10  # Of a task whose worker is lost: machines that cost little go often.
PATIENCE = 20.0  # Seconds for an address to answer.
STOPPING = 30.0  # Seconds in which jobs save what they have, after Ctrl-C.
PERIOD = 0.5
PASSED = ("JAX_", "XLA_", "TF_", "LIBTPU_", "JAXGAN_", "NPROC")  # Variables that workers get.


class On(NamedTuple):
    """Where the jobs are done, and what each takes; None: see `_Cluster`.

    Attributes:
        address: of the cluster; None: this machine, or the cluster that it is part of.
        cpus: of each job.
        devices: GPUs or TPU chips of each job.
    """

    address: str | None = None
    cpus: int | None = None
    devices: int | None = None

    def __str__(self) -> str:
        return f"--on={self.address or 'ray'}"


def parse(text: str | None, cpus: int | None = None, devices: int | None = None) -> On | None:
    """Read ray, ray://HOST:PORT or HOST:PORT; None is this process alone.

    Raises:
        InputError: it is none of these, or Ray is not installed.
    """
    if text is None:
        return None
    if text != "ray" and not re.fullmatch(r"(ray://)?([\w.-]+|\[[\da-fA-F:]+\]):\d{1,5}", text):
        raise InputError(f"--on must be ray, ray://HOST:PORT or HOST:PORT, got {text!r}")
    try:
        importlib.import_module("ray")
    except ImportError:
        raise InputError(f"--on={text} needs a package: pip install 'jaxgan[ray]'") from None
    return On(None if text == "ray" else text, cpus, devices)


@contextlib.contextmanager
def joined(on: On) -> Iterator[str | None]:
    """Be part of a cluster; from now on this process computes on its CPU.

    Yields:
        JAX's platforms, as they were asked for: the jobs'.

    Raises:
        InputError: it cannot be joined.
    """
    import ray

    platforms = jax.config.values["jax_platforms"]
    jax.config.update("jax_platforms", "cpu")  # Before it takes a device that jobs need.
    if ray.is_initialized():  # The caller's own.
        yield platforms
        return
    _check_answers(on)
    more = {} if on.address else {"include_dashboard": False}
    try:
        ray.init(on.address, logging_level="ERROR", log_to_driver=False, **more)
    except (Exception, SystemExit) as error:  # Ray exits where it waited in vain.
        why = " ".join(str(error).split())[:300]
        outside = "node_ip_address" in str(error) and "; outside the cluster use ray://HOST:10001"
        raise InputError(f"{on} cannot be joined: {why}{outside or ''}") from None
    try:
        yield platforms
    finally:
        ray.shutdown()


def _check_answers(on: On) -> None:
    """Raise InputError where nothing at the address speaks as Ray does, which would wait long."""
    if on.address is None:
        return
    import grpc

    address = on.address.removeprefix("ray://")
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()
        if os.environ.get("RAY_USE_TLS", "0") == "0":
            with grpc.insecure_channel(address) as channel:
                grpc.channel_ready_future(channel).result(PATIENCE)
    except (OSError, OverflowError, grpc.FutureTimeoutError) as error:
        why = getattr(error, "strerror", None) or str(error) or "it does not speak Ray's protocol"
        raise InputError(
            f"{on} must be the address of a Ray cluster, and {address}: {why}"
        ) from None


class Cluster:
    """A cluster that does the jobs of an experiment.

    Each takes one GPU or the least that a TPU host gives, where a node has any, with its part of
    the node's CPUs; else one CPU.

    Args:
        on: what each job takes.
        plan: of the experiment.
        config: the experiment's.
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
        config: Experiment,
        folder: epath.Path,
        outlook: Outlook,
        platforms: str | None,
    ):
        import ray

        self.plan, self.config, self.outlook, self.folder = plan, config, outlook, folder
        self.failed: dict[str, str] = {}
        self.devices: list[str] = []
        nodes = [node for node in ray.nodes() if node["Alive"]]
        kind, cpus, devices = _needs(on, [node["Resources"] for node in nodes], platforms)
        self._options: dict[str, Any] = {"num_cpus": cpus, "max_retries": RETRIES}
        self._options |= {"num_gpus": devices} if kind == "GPU" else {}
        self._options |= {"resources": {"TPU": devices}} if kind == "TPU" and devices else {}
        rooms = {node["NodeID"]: _rooms(node["Resources"], kind, cpus, devices) for node in nodes}
        if not any(rooms.values()):
            most = [max(n["Resources"].get(k, 0) for n in nodes) for k in ("CPU", kind or "GPU")]
            raise InputError(
                f"a job must fit a node, and {cpus} CPUs with {devices} {kind or 'GPU'}s are more "
                f"than any has (at most {most[0]:g} and {most[1]:g}): lower --job_cpus or "
                f"--job_devices"
            )
        self.at_once = sum(rooms.values())
        _check_nodes([node for node in nodes if rooms[node["NodeID"]]], folder, config.data.path)
        place = os.fspath(folder)
        environment = {k: v for k, v in os.environ.items() if k.startswith(PASSED)}
        settings = {k: v for k, v in jax.config.values.items() if k != "jax_platforms"}
        order = Order(
            plan,
            config,
            place if "://" in place else os.path.abspath(place),
            os.getcwd(),
            environment,
            settings | {"jax_platforms": platforms},
            None if devices else cpus,
        )
        self._order = ray.put(order)
        self._lines = ray.remote(num_cpus=0, max_restarts=-1)(_lines()).remote()
        self._do = ray.remote(ray_task.do)

    def parts(
        self, folds: Sequence[int], positions: range, samples_only: bool = False
    ) -> list[Part]:
        """Return what there is to do for some seeds, in tasks; none comes before what it needs."""
        found, config = [], self.config
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
        job = classify.alone(self.config, self.plan.folds[0], arm)
        return Part(arm.name, (job,), alone=True)

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
                while left:
                    ready, left = ray.wait(left, timeout=PERIOD)
                    self._say()
                    for ref in ready:
                        self._finish(ref, asked[ref], log)
                    screen.at(*self.outlook.finished())
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
        count, total = self.outlook.finished()
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


def _needs(on: On, nodes: Sequence[dict], platforms: str | None) -> tuple[str | None, int, int]:
    """Return the kind of devices, and how many CPUs and devices a job takes."""
    kinds = [k for k in ("GPU", "TPU") if any(node.get(k) for node in nodes)]
    kind = kinds[0] if kinds and platforms != "cpu" else None
    devices = on.devices if on.devices is not None else int(kind is not None)
    if not kind or not devices:
        return kind, on.cpus or 1, devices
    own = [node.get("CPU", 0) * devices // node[kind] for node in nodes if node.get(kind)]
    return kind, on.cpus or max(1, int(min(own))), devices


def _rooms(node: dict, kind: str | None, cpus: int, devices: int) -> int:
    """Return how many jobs a node does at once."""
    room = int(node.get("CPU", 0) // cpus)
    return min(room, int(node.get(kind or "GPU", 0) // devices)) if devices else room


def _check_nodes(nodes: Sequence[dict], folder: epath.Path, images: str) -> None:
    """Raise InputError for a node that has other versions, or does not see what this one does."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    place = os.fspath(folder)
    probe = (folder if "://" in place else epath.Path(os.path.abspath(place))) / ".ray"
    local = os.path.abspath(images) if os.path.exists(images) else None

    def look(file: str) -> tuple[dict[str, str], str, bool]:  # Sent as code: no package is needed.
        import importlib
        import os
        import sys
        from contextlib import suppress

        versions, seen = {"Python": "{}.{}".format(*sys.version_info)}, ""
        for name in ("jaxgan", "jax"):
            try:
                versions[name] = importlib.import_module(name).__version__
            except ImportError:
                versions[name] = "none"
        with suppress(ImportError, OSError):
            seen = importlib.import_module("etils.epath").Path(file).read_text()
        return versions, seen, local is None or os.path.exists(local)

    mine, token = look(__file__)[0], secrets.token_hex(8)
    sealed.write(probe, token)
    try:
        looks = []
        for node in nodes:
            where = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            task = ray.remote(num_cpus=0, scheduling_strategy=where)(look)
            looks.append(task.remote(os.fspath(probe)))
        for node, (versions, seen, images_there) in zip(nodes, ray.get(looks), strict=True):
            name = node["NodeManagerAddress"]
            for package, version in mine.items():
                if versions[package] != version:
                    raise InputError(
                        f"all nodes must have the same versions, and {name} has {package} "
                        f"{versions[package]}, while here it is {version}"
                    )
            if seen != token:
                raise InputError(
                    f"--workdir must be seen by all nodes (a shared disk, gs:// or s3://), and "
                    f"{name} does not see {folder}"
                )
            if not images_there:
                raise InputError(f"data.path must be seen by all nodes, and {name} has no {local}")
    except ray.exceptions.RayError as error:
        raise InputError(f"the nodes must answer, and one does not: {_first(error)}") from None
    finally:
        probe.unlink(missing_ok=True)


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


def _first(error: BaseException) -> str:
    """Return what an error says, without the stack of another process."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[-1][:300]
