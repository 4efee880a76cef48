"""What this machine, or the container on it, leaves to this process."""

import os
import stat
from contextlib import suppress
from pathlib import Path

with suppress(ImportError):  # Of Unix.
    import grp
    import pwd

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
    """Return bytes of memory that can be had without swapping; None where the system
    does not tell.
    """
    lines = _read(MEMORY).splitlines()
    free = [1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]
    limit, used = (_read(CONTROL_GROUP / f"memory.{name}") for name in ("max", "current"))
    if limit.isdecimal():
        # Cached files count as used, and give way.
        stats = dict(line.split() for line in _read(CONTROL_GROUP / "memory.stat").splitlines())
        free.append(int(limit) - int(used) + int(stats.get("inactive_file", 0)))
    return max(0, min(free)) if free else None


def cache_folder(name: str) -> Path:
    """Return where things are kept that can be had again; the user's own: compiled programs are
    run.
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "jaxgan" / name


def open_to_others(folder: Path) -> str:
    """Return why a folder cannot be trusted, as others may write to it; "" where it can be.

    A group that only this user is in, as many systems make one for each, is not others.
    """
    if not hasattr(os, "getuid"):
        return ""
    folder = folder.resolve()
    about = folder.stat()
    if about.st_uid not in (os.getuid(), 0):
        return "it belongs to another user"
    shared = about.st_mode & stat.S_IWGRP and not _is_own(about.st_gid)
    if shared or about.st_mode & stat.S_IWOTH:
        return "others may write to it"
    for parent in folder.parents:
        mode = parent.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            return f"others may write to {parent}"
    return ""


def _is_own(group: int) -> bool:
    try:
        found, user = grp.getgrgid(group), pwd.getpwuid(os.getuid())
    except KeyError:
        return False
    return found.gr_name == user.pw_name and set(found.gr_mem) <= {user.pw_name}


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
