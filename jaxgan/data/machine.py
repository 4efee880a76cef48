"""What this machine, or the container on it, leaves to this process."""

import os
from pathlib import Path

CONTROL_GROUP = Path("/sys/fs/cgroup")  # In a container, its own; absent or unlimited elsewhere.
MEMORY = Path("/proc/meminfo")


def cores() -> int:
    """CPU cores that this process may use: at least 1."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota, _, period = _read(CONTROL_GROUP / "cpu.max").partition(" ")
    if quota.isdecimal():
        allowed = min(allowed or 1, -(-int(quota) // int(period)))
    return max(1, allowed or 1)


def free_memory() -> int | None:
    """Bytes of memory that can be had without swapping; None where the system does not tell."""
    lines = _read(MEMORY).splitlines()
    free = [1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]
    limit, used = (_read(CONTROL_GROUP / f"memory.{name}") for name in ("max", "current"))
    if limit.isdecimal():
        # Cached files count as used, and give way.
        stats = dict(line.split() for line in _read(CONTROL_GROUP / "memory.stat").splitlines())
        free.append(int(limit) - int(used) + int(stats.get("inactive_file", 0)))
    return max(0, min(free)) if free else None


def cache_folder(name: str) -> Path:
    """Where things are kept that can be had again; the user's own: compiled programs are run."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "jaxgan" / name


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
