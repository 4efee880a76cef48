"""A Ray cluster: where it is, whether it can be joined, and whether its nodes can do jobs."""

import contextlib
import importlib
import os
import re
import secrets
import socket
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
from etils import epath

from jaxgan.errors import InputError
from jaxgan.system import checked_files

PATIENCE = 20.0  # Seconds for an address to answer.
RETRIES = 10  # Of a task whose worker is lost: machines that cost little go often.


class On(NamedTuple):
    """Where the jobs are done, and what each takes; None: see `needs`.

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
    os.environ.setdefault("RAY_task_oom_retries", str(RETRIES))  # Else it never gives up.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # It would call its makers.
    more = {} if on.address else {"include_dashboard": False}
    try:
        ray.init(on.address, logging_level="ERROR", log_to_driver=False, **more)
    except (Exception, SystemExit) as error:  # Ray exits where it waited in vain.
        ray.shutdown()
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
        raise InputError(f"{on} must be a Ray cluster, and {address} is none: {why}") from None


def needs(on: On, nodes: Sequence[dict], platforms: str | None) -> tuple[str | None, int, int]:
    """Return the kind of devices, and how many CPUs and devices a job takes.

    Unless `on` says it that is one GPU or TPU chip, where a node has any, with its part of the
    node's CPUs; else one CPU.
    """
    kinds = [k for k in ("GPU", "TPU") if any(node.get(k) for node in nodes)]
    kind = kinds[0] if kinds and platforms != "cpu" else None
    devices = on.devices if on.devices is not None else int(kind is not None)
    if not kind or not devices:
        return kind, on.cpus or 1, devices
    own = [node.get("CPU", 0) * devices // node[kind] for node in nodes if node.get(kind)]
    return kind, on.cpus or max(1, int(min(own))), devices


def rooms(node: dict, kind: str | None, cpus: int, devices: int) -> int:
    """Return how many jobs a node does at once."""
    room = int(node.get("CPU", 0) // cpus)
    return min(room, int(node.get(kind or "GPU", 0) // devices)) if devices else room


def check_nodes(nodes: Sequence[dict], folder: epath.Path, images: str) -> None:
    """Raise InputError for a node that has other versions, or does not see what this one does."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    probe = epath.Path(os.path.abspath(folder)) / ".ray"
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
    checked_files.write(probe, token)
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
                    f"--workdir must be seen by all nodes (a shared disk), and "
                    f"{name} does not see {folder}"
                )
            if not images_there:
                raise InputError(f"data.path must be seen by all nodes, and {name} has no {local}")
    except ray.exceptions.RayError as error:
        raise InputError(f"the nodes must answer, and one does not: {_first(error)}") from None
    finally:
        probe.unlink(missing_ok=True)


def _first(error: BaseException) -> str:
    """Return what an error says, without the stack of another process."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[-1][:300]
