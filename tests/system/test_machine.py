"""What is left of a machine, read from files like those of Linux."""

import os

import pytest

from jaxgan.system import machine

GIB = 1024**3


@pytest.fixture
def group(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "CONTROL_GROUP", tmp_path)
    monkeypatch.setattr(machine, "MEMORY", tmp_path / "meminfo")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(16), raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("quota", "count"),
    [("max 100000", 16), ("200000 100000", 2), ("150000 100000", 2), ("9900000 100000", 16)],
)
def test_a_container_s_share_of_the_cores_counts(group, quota, count):
    assert machine.cores() == 16
    (group / "cpu.max").write_text(quota + "\n")
    assert machine.cores() == count


def test_systems_that_tell_no_affinity_still_have_cores(group, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    assert machine.cores() == os.cpu_count()
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert machine.cores() == 1


def test_the_smaller_of_the_machine_s_and_the_container_s_memory_counts(group):
    assert machine.free_memory() is None
    (group / "meminfo").write_text("MemTotal: 99 kB\nMemAvailable:   8388608 kB\nCached: 5 kB\n")
    assert machine.free_memory() == 8 * GIB
    (group / "memory.max").write_text("max\n")
    (group / "memory.current").write_text(f"{3 * GIB}\n")
    assert machine.free_memory() == 8 * GIB
    (group / "memory.max").write_text(f"{4 * GIB}\n")
    assert machine.free_memory() == GIB
    (group / "memory.stat").write_text(f"anon 7\ninactive_file {GIB}\n")
    assert machine.free_memory() == 2 * GIB
    (group / "memory.current").write_text(f"{6 * GIB}\n")
    assert machine.free_memory() == 0


def test_this_machine_has_some():
    free = machine.free_memory()
    assert machine.cores() >= 1 and (free is None or free > 0)
