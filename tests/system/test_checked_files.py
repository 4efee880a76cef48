"""What is read back is what was written, or one sentence; and one process at a time writes."""

import json
import os
import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from jaxgan.errors import FileError, InputError
from jaxgan.system import checked_files, lock

VALUES = {
    "arm": "réal",
    "seed": 3,
    "p": [0.25, 1e-07, float("nan")],
    "more": {"1": None, "b": True},
}
ROWS = [{"step": 1, "loss": 0.5}, {"step": 2, "loss": -1e-3, "name": "é"}, {"step": 3}]


def flips(data: bytes):
    for place in range(len(data)):
        for bit in (place % 8, (place + 3) % 8):
            yield data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]


def same(one: object, other: object) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def refusal(read, file: Path) -> str:
    with pytest.raises(FileError) as found:
        read(file)
    text = str(found.value)
    assert str(file) in text and "\n" not in text and len(text) < 600
    return text


def load(file: Path) -> dict:
    return checked_files.load(file, "delete it")


def check_flips(read, file: Path, values: object, said: str) -> None:
    """Each flipped bit is refused, or of no value: of white space, of A or a in an escape."""
    whole, refused = file.read_bytes(), 0
    assert same(read(file), values)
    for data in flips(whole):
        file.write_bytes(data)
        try:
            found = read(file)
        except FileError as error:
            refused += str(file) in str(error) and said in str(error)
        else:
            assert same(found, values), data
            refused += 1 if data.strip() == whole.strip() else 0
    assert refused > 0.8 * 2 * len(whole)


def test_no_flipped_bit_changes_a_value(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    checked_files.save(file, VALUES, indent=1)
    check_flips(load, file, VALUES, ": delete it")
    for row in ROWS:
        checked_files.append(tmp_path / "a.jsonl", row)
    check_flips(checked_files.rows, tmp_path / "a.jsonl", ROWS, "was changed")


def test_a_row_that_a_kill_cut_off_is_no_damage(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    whole = "".join(map(checked_files.row, ROWS)).encode()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]
    for cut in range(len(whole)):
        file.write_bytes(whole[:cut])
        if cut + 1 in ends:  # All but the end of its line.
            continue
        assert checked_files.rows(file) == ROWS[: sum(end <= cut for end in ends)]
        checked_files.append(file, {"step": 9})
        assert checked_files.rows(file)[-1] == {"step": 9}
    assert checked_files.rows(tmp_path / "nowhere") == []
    file.write_text('{"step": 1}\n{"step": 2}\n')  # Of another tool.
    assert checked_files.rows(file) == [{"step": 1}, {"step": 2}]


@pytest.mark.parametrize(
    "data",
    [b"", b"null", b"[1]", b"3", b'{"a": 1}', b'{"a"', b"\xff\xfe", b'"\xe9"', b"[" * 10**5],
    ids=lambda data: str(data[:6]),
)
def test_damage_is_one_sentence(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(data)
    assert "must be as it was written" in refusal(load, file)
    if data not in (b"", b'{"a": 1}', b'{"a"', b"[" * 10**5):
        assert "line 1 was changed" in refusal(checked_files.rows, file)


def test_a_missing_file_and_one_without_a_checksum(tmp_path: Path, caplog) -> None:
    assert "is missing: delete it" in refusal(load, tmp_path / "a.json")
    (tmp_path / "b.json").write_text('{"a": 1}')
    assert checked_files.load(tmp_path / "b.json", "", strict=False) == {"a": 1}
    assert "has no checksum" in caplog.text


def test_a_write_that_fails_leaves_the_old_file_alone(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    checked_files.write(file, "old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        for data in ("x" * 10**5, b"x" * 10**5, ["x" * 100] * 1000):
            with pytest.raises(OSError, match="File too large") as found:
                checked_files.write(file, data)
            assert found.value.filename == str(file) and checked_files.ends_all(found.value)
        with pytest.raises(OSError, match="File too large") as found:
            checked_files.append(tmp_path / "a.jsonl", {"x": "x" * 10**5})
        assert found.value.filename == str(tmp_path / "a.jsonl")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert file.read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} == {"a.json", "a.jsonl"}
    with pytest.raises(OSError, match="No such file") as found:
        checked_files.write(tmp_path / "gone" / "a.json", "x")
    assert found.value.filename == str(tmp_path / "gone" / "a.json")


HOLD = """
import sys, time
from jaxgan.system import lock
with lock.held(sys.argv[1], shared=len(sys.argv) > 2):
    print("held", flush=True)
    time.sleep(60)
"""


def hold(folder: Path, *more: str) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), *more],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_one_process_at_a_time_and_a_dead_one_counts_no_more(tmp_path: Path) -> None:
    with hold(tmp_path / "run") as other:
        who = f"process {other.pid} on {socket.gethostname()} is using it"
        for shared in (False, True):
            with pytest.raises(InputError, match=who), lock.held(tmp_path / "run", shared=shared):
                pass
        other.send_signal(signal.SIGKILL)
    for _ in range(2):
        with lock.held(tmp_path / "run"):
            assert str(os.getpid()) in (tmp_path / "run" / ".lock").read_text()
    with hold(tmp_path / "run", "shared") as other:
        with lock.held(tmp_path / "run", shared=True):
            pass
        with pytest.raises(InputError, match="is using it"), lock.held(tmp_path / "run"):
            pass
        other.kill()


def test_a_file_system_without_locks_is_a_warning(tmp_path: Path, monkeypatch, caplog) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(lock.fcntl, "flock", refuse)
    with lock.held(tmp_path):
        assert "cannot be locked (Operation not supported)" in caplog.text
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="must be a folder"), lock.held(tmp_path / "file"):
        pass


def test_links_and_devices_stay(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    checked_files.write(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "target").read_text() == "text"
    checked_files.write("/dev/null", "text")
    assert Path("/dev/null").is_char_device()
