"""From any pictures to a prepared set: find, scan in parallel, diagnose, decide, write."""

import csv
import fcntl
import hashlib
import importlib.util
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8

from jaxgan.data import align, doctor, files, outliers, records, scan, shards, splits
from jaxgan.data.doctor import Diagnosis
from jaxgan.data.files import Entry, Files
from jaxgan.data.folder import printable
from jaxgan.data.scan import Options
from jaxgan.data.shards import Scanned
from jaxgan.data.workers import Say, scan_all, workers
from jaxgan.errors import InputError

PART = 512  # Pictures, at most; a part that is done is not done again.
TIES = "like pictures of two sides of the split"
PART_BYTES = 2**26  # Of uncompressed pictures in a part, at most.
Features = Callable[[Iterator[UInt8[np.ndarray, "r r 3"]]], Float32[np.ndarray, "n d"]]
ReadAll = Callable[[Sequence[tuple], int, Say], None]  # As `scan_all`, of certain workers.


class Request(NamedTuple):
    """What `scripts/prepare.py` is asked for."""

    source: str
    out: Path | None  # None in a dry run that keeps nothing.
    options: Options
    clean: str = "report"  # or "drop" or "quarantine"
    dry_run: bool = False
    strangest: int = 0  # It is suggested to drop so many of the strangest pictures.
    fractions: tuple[float, ...] = (0.7, 0.15, 0.15)
    features: Features | None = None  # None: the light descriptor.
    features_name: str = "light"
    beam: tuple[str, ...] = ()  # Arguments of Apache Beam where that is to read the pictures.


class Result(NamedTuple):
    """What came of it; while `prepared` lasts, `scanned` has the pictures."""

    files: Files
    scanned: Scanned
    diagnosis: Diagnosis
    dropped: dict[int, str]  # Reasons, by position in the rows.
    findings: dict[str, Any]
    advice: list[str]
    about: dict[str, str]  # How it was made.


def request(
    flags: dict[str, Any],
    features: Callable[[int], Features | None],
    of_beam: Sequence[str] = (),
) -> Request:
    """The flags of `scripts/prepare.py`, checked; `of_beam` are those that it does not know.

    Raises:
        InputError: a value that will not do.
    """
    sides = tuple(_number(text, int, "--resolution") for text in flags["resolution"])
    if not sides or min(sides) < 8 or max(sides) > 4096 or len(set(sides)) < len(sides):
        got = ",".join(map(str, sides))
        raise InputError(f"--resolution must be pixels from 8 to 4096, each once, got {got}")
    if not flags["out"] and not flags["dry_run"]:
        raise InputError("--out must be given, a folder for the prepared set (or --dry-run)")
    out = Path(flags["out"]).expanduser() if flags["out"] else None
    if out is not None and any("\ud800" <= c <= "\udfff" for c in str(out)):
        raise InputError(
            f"--out must be a name in UTF-8, which ArrayRecord wants, got {str(out)!r}"
        )
    if out is not None and out.exists() and not out.is_dir():
        raise InputError(f"--out must be a folder, and {out} is a file")
    if not flags["source"]:
        raise InputError("--source must be given, a folder, a .zip, a .tar or tfds:NAME")
    source = Path(flags["source"].removeprefix(files.TFDS)).expanduser()
    if out is not None and source.is_dir() and out.resolve().is_relative_to(source.resolve()):
        raise InputError(f"--out must not lie in --source, and {out} lies in {source}")
    fractions = tuple(_number(text, float, "--split") for text in flags["split"])
    if len(fractions) != 3 or min(fractions) < 0 or not abs(sum(fractions) - 1) <= 1e-6:
        raise InputError(
            f"--split must be three shares >= 0 with sum 1, got {','.join(flags['split'])}"
        )
    if flags["crop"] == "none" and flags["align"] != "none":
        raise InputError("--crop=none and --align exclude each other: aligned faces are cropped")
    encoding = flags["encoding"]
    if encoding == "auto":
        encoding = "raw" if max(sides) <= 128 else "png"
    options = Options(
        resolutions=sides,
        crop=flags["crop"],
        encoding=encoding,
        quality=flags["quality"],
        align=flags["align"] == "landmarks",
        border=flags["border"],
        doctor=flags["doctor"],
    )
    runner = flags.get("runner")
    if runner and importlib.util.find_spec("apache_beam") is None:
        raise InputError(
            f"--runner needs apache-beam, which has an environment of its own (make beam): {runner}"
        )
    if runner and out is None:
        raise InputError(f"--runner needs --out, a folder that all workers see: {runner}")
    net = features(min(sides))
    return Request(
        *(flags["source"], out, options, flags["clean"], flags["dry_run"], flags["strangest"]),
        *(fractions, net, "light" if net is None else "vgg16"),
        (f"--runner={runner}", *of_beam) if runner else (),
    )


def _number(text: str, kind: Callable[[str], Any], flag: str) -> Any:
    try:
        return kind(text)
    except ValueError as error:
        raise InputError(f"{flag} must be numbers, got {text!r}") from error


@contextmanager
def log(out: Path | None) -> Iterator[Say]:
    """Says lines on the screen and, where there is a folder, in its `log.txt`."""
    if out is None:
        yield lambda line: print(printable(line), flush=True)
        return
    out.mkdir(parents=True, exist_ok=True)
    with open(out / "log.txt", "a", encoding="utf-8") as file:

        def say(line: str) -> None:
            for target in (sys.stdout, file):
                print(printable(line), file=target, flush=True)

        yield say


def summary(result: Result) -> list[str]:
    """What was found, in lines."""
    found = result.findings
    lines = []
    for reason in doctor.REASONS:
        rows = [i for i, why in result.diagnosis.reasons.items() if why == reason]
        if rows:
            name = result.diagnosis.rows[rows[0]].name
            left = sum(i in result.dropped for i in rows)
            lines.append(f"{len(rows):,} {reason} ({left:,} left out), like {name}")
    for what, names in sorted(found["oddities"].items()):
        lines.append(f"{len(names):,} {what}, like {names[0]}")
    counts = ", ".join(f"{n:,} {name}" for name, n in found["counts"].items())
    mean, std = (" ".join(f"{x:.3f}" for x in found[key]) for key in ("mean", "std"))
    return [*lines, f"kept: {counts}; mean {mean}, deviation {std}", *result.advice]


@contextmanager
def prepared(request: Request, say: Say) -> Iterator[Result]:
    """Scans, diagnoses and, but in a dry run, writes the sets.

    Raises:
        InputError: nothing to read, nothing left, or another run that writes to the same folder.
        OSError: a disk that is full or read-only; what was finished is taken up by the next run.
    """
    options = request.options
    with _workplace(request) as work:
        with _readers(request) as read_all:
            found = files.find(request.source, work)
            left = "".join(f", {n:,} {what}" for what, n in sorted(found.left_out.items()))
            say(f"{len(found.entries):,} files of {', '.join(found.classes)}{left}")
            human = _human_decisions(request.out)  # Before the long part: it may not do.
            scanned = _scan(read_all, found, options, work, say)
        problem: InputError | None = None
        decided = _sides_before(request, say)
        scanned, group = _untied(scanned, decided, say)
        diagnosis = _diagnose(request, found, scanned, group, say)
        dropped = doctor.decide(diagnosis, request.clean != "report", human)
        kept = ~np.isin(scanned.good, list(dropped))
        mean, std = doctor.mean_and_std(scanned.moments[kept, 0], options.resolutions[0])
        findings = doctor.findings(diagnosis, dropped)
        findings |= {"mean": mean, "std": std, "features": request.features_name}
        about = _about(request)
        if request.out is not None:
            _tell_unmatched(human, scanned, say)
            table = doctor.write_decisions(diagnosis, dropped, human)
            records.write(request.out / "decisions.csv", table)
        try:
            sides = _sides(request, diagnosis, kept, dropped, decided)
            _tell_gaps(request, diagnosis, sides[scanned.good[kept]], scanned.good[kept], say)
            if not request.dry_run and request.out is not None:
                if request.clean == "quarantine":
                    _quarantine(request.out / "quarantine", found, diagnosis, dropped)
                more = {
                    "source": about["source"],
                    "clean": request.clean,
                    "dropped": findings["dropped"],
                    "decisions": {name: decision for name, (_, decision) in human.items()},
                    "fractions": list(request.fractions),
                }
                for at, resolution in enumerate(options.resolutions):
                    more["options"] = options._replace(resolutions=(resolution,))._asdict()
                    folder = _set_folder(request, resolution)
                    count, fingerprint = shards.write_set(
                        folder, scanned, at, found.classes, dropped, sides, more
                    )
                    about[f"fingerprint at {resolution} px"] = fingerprint
                    say(f"{count:,} pictures at {resolution} px: {folder}")
        except InputError as error:  # What was found is worth knowing all the same.
            problem = error
        yield Result(
            *(found, scanned, diagnosis, dropped, findings),
            doctor.advise(diagnosis, dropped, options.resolutions[0], options.align),
            about,
        )
        if problem is not None and request.dry_run and kept.any():
            say(f"these pictures cannot be split: {problem}")
        elif problem is not None:
            raise problem


def _about(request: Request) -> dict[str, str]:
    options = request.options
    return {
        "source": _name(request.source),
        "resolution": ", ".join(f"{r} px" for r in options.resolutions),
        "crop": f"landmarks, border {options.border}" if options.align else options.crop,
        "encoding": options.encoding,
        "clean": request.clean,
        "split": ", ".join(f"{share:g}" for share in request.fractions),
        "strangeness by": request.features_name if options.doctor else "none",
        "date": time.strftime("%Y-%m-%d"),
    }


def _tell_unmatched(
    human: dict[str, tuple[str, doctor.Decision]], scanned: Scanned, say: Say
) -> None:
    there = {name for row in scanned.rows for name in (row.name, row.file)}
    unmatched = sorted(set(human) - there)
    if unmatched:
        say(f"{len(unmatched):,} rows of decisions.csv name no picture here, like {unmatched[0]}")


def _name(source: str) -> str:
    """The source without where it lies on this machine."""
    if source.startswith(files.TFDS):
        return files.TFDS + "/".join(Path(source.removeprefix(files.TFDS)).parts[-2:])
    return printable(os.path.basename(os.path.abspath(source)))


def _set_folder(request: Request, resolution: int) -> Path:
    assert request.out is not None
    several = len(request.options.resolutions) > 1
    return request.out / str(resolution) if several else request.out


@contextmanager
def _workplace(request: Request) -> Iterator[Path]:
    """The folder for parts: of `out`, alone, until all is done; or a temporary one."""
    if request.out is None:
        with tempfile.TemporaryDirectory(prefix="jaxgan") as folder:
            yield Path(folder)
        return
    work = request.out / ".work"
    work.mkdir(parents=True, exist_ok=True)
    with open(request.out / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(
                f"one run at a time may write to {request.out}, and another one is at it"
            ) from error
        yield work
        if not request.dry_run:  # The next run can use what a dry one has read.
            shutil.rmtree(work)


@contextmanager
def _readers(request: Request) -> Iterator[ReadAll]:
    """Who reads the pictures: Beam's workers, or processes here."""
    if request.beam:
        from jaxgan.data import beam  # Only an environment of its own has what it imports.

        yield partial(beam.scan_all, request.beam)
        return
    with workers() as those:
        yield partial(scan_all, those)


def _scan(read_all: ReadAll, found: Files, options: Options, work: Path, say: Say) -> Scanned:
    """All parts, those done before as they are."""
    marks = _marks(found) if options.align else {}
    size = min(PART, max(32, PART_BYTES // (3 * max(options.resolutions) ** 2)))
    entries = [found.entries[i : i + size] for i in range(0, len(found.entries), size)]
    parts = [(part, {e.name: marks[e.name] for e in part if e.name in marks}) for part in entries]
    keys = [scan.part_key(part, of_part, options) for part, of_part in parts]
    todo = [i for i, key in enumerate(keys) if not scan.is_done(work, key)]
    left = sum(len(parts[i][0]) for i in todo)
    if left < len(found.entries):
        say(f"{len(found.entries) - left:,} of them were read by an earlier run")
    tasks = [(found.root, *parts[i], options, work, keys[i]) for i in todo]
    read_all(tasks, left, say)
    return Scanned.of(work, keys, options)


def _marks(found: Files) -> dict[str, list[align.Landmarks]]:
    """Landmarks of the tables at the top, by the pictures' names or, where it is clear, the last
    part of them."""
    marks: dict[str, list[align.Landmarks]] = {}
    for table in found.tables:
        marks |= align.read_points(table)
    short: dict[str, list[str]] = {}
    for entry in found.entries:
        short.setdefault(entry.name.rpartition("/")[2], []).append(entry.name)
    named = {}
    for file, faces in marks.items():
        full = short.get(file, [])
        named[full[0] if len(full) == 1 else file] = faces
    return named


def _sides_before(request: Request, say: Say) -> dict[bytes, int]:
    """The sides that an earlier run into the same folder decided, by what stands for each file."""
    if request.out is None:
        return {}
    folders = [request.out, *(request.out / str(r) for r in request.options.resolutions)]
    before = next((info for folder in folders if (info := records.before(folder))), None)
    if before is None:
        return {}
    if before["fractions"] != list(request.fractions):
        say("the shares of the split are others than before: all pictures are parted anew")
        return {}
    return {bytes.fromhex(source): side for source, side in before["sides"].items()}


def _untied(
    scanned: Scanned, decided: dict[bytes, int], say: Say
) -> tuple[Scanned, Int64[np.ndarray, " n"]]:
    """Without new pictures that are like some of two sides; and which of the rest are the same."""
    while True:
        rows = [scanned.rows[i] for i in scanned.good.tolist()]
        group = doctor.same_pictures(rows, scanned.vectors)
        own = np.array([decided.get(bytes.fromhex(row.source), -1) for row in rows], np.int64)
        _, member = np.unique(group, return_inverse=True)
        touched = np.zeros((len(group), 3), bool)
        touched[member[own >= 0], own[own >= 0]] = True
        new = np.flatnonzero((touched.sum(axis=1) > 1)[member] & (own < 0))
        if not len(new):  # What was there before stays where it is.
            return scanned, group
        say(f"left out {len(new):,} new pictures that tie two sides of the split together")
        scanned = scanned.without(dict.fromkeys(scanned.good[new].tolist(), TIES))


def _diagnose(
    request: Request,
    found: Files,
    scanned: Scanned,
    group: Int64[np.ndarray, " n"],
    say: Say,
) -> Diagnosis:
    good, strangeness = scanned.good, None
    if request.options.doctor:
        features = scanned.descriptors
        if request.features is not None:
            features = _features(request.features, scanned, say)
        labels = np.array([scanned.rows[i].label for i in good.tolist()], np.int64)
        strangeness = outliers.strangeness(features, labels, group)
    return doctor.diagnose(
        *(scanned.rows, found.classes, good, group, strangeness),
        *(request.options.resolutions[0], request.strangest),
    )


def _features(features: Features, scanned: Scanned, say: Say) -> Float32[np.ndarray, "n d"]:
    start, total = time.monotonic(), len(scanned.good)

    def pictures() -> Iterator[UInt8[np.ndarray, "r r 3"]]:
        told = 0.0
        for done, i in enumerate(scanned.good.tolist(), 1):
            yield scanned.picture(i)
            seconds = time.monotonic() - start
            if seconds - told > 10:
                told, eta = seconds, (total - done) * seconds / done
                say(f"features of {done:,} pictures  {done / seconds:,.0f}/s  eta {eta:,.0f} s")

    found = features(pictures())
    seconds = time.monotonic() - start
    say(f"features of {total:,} pictures in {seconds:,.0f} s, {total / seconds:,.0f}/s")
    return found


def _human_decisions(out: Path | None) -> dict[str, tuple[str, doctor.Decision]]:
    file = None if out is None else out / "decisions.csv"
    if file is None or not file.exists():
        return {}
    try:
        text = file.read_text("utf-8-sig")  # Spreadsheets put a mark at its start.
        return doctor.read_decisions(text, str(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{file} must be a table in UTF-8, and is not: {error}") from error


def _sides(
    request: Request,
    diagnosis: Diagnosis,
    kept: Bool[np.ndarray, " n"],
    dropped: dict[int, str],
    decided: dict[bytes, int],
) -> Int64[np.ndarray, " rows"]:
    """The side of each row that has a picture, also of one that is dropped; -1 of others.

    It hangs on the files' bytes: it is the same at any resolution, and in any crop.
    """
    if not kept.any():
        raise InputError(
            f"a picture must be left, and of {len(diagnosis.rows):,} none is: "
            + "; ".join(sorted(set(dropped.values()))[:3])
        )
    rows = [diagnosis.rows[i] for i in diagnosis.good.tolist()]
    same = splits.Duplicates(diagnosis.group, tuple(bytes.fromhex(row.source) for row in rows))
    labels = np.array([row.label for row in rows], np.int64)
    sides = np.full(len(diagnosis.rows), -1, np.int64)
    sides[diagnosis.good] = splits.assign(
        labels, diagnosis.classes, request.fractions, same, decided, kept
    )
    return sides


def _tell_gaps(
    request: Request,
    diagnosis: Diagnosis,
    sides: Int64[np.ndarray, " n"],
    rows: Int64[np.ndarray, " n"],
    say: Say,
) -> None:
    """Says where a side that was decided before has lost its last picture of a class."""
    labels = np.array([diagnosis.rows[i].label for i in rows.tolist()])
    for side, name in enumerate(records.SIDES):
        for label, of_class in enumerate(diagnosis.classes):
            if request.fractions[side] and not (labels[sides == side] == label).any():
                say(f"no picture of {of_class} is left to {name}: another --out is parted anew")


def _quarantine(folder: Path, found: Files, diagnosis: Diagnosis, dropped: dict[int, str]) -> None:
    """Copies of the files that are left out, by reason."""
    if folder.exists():
        shutil.rmtree(folder)
    entries: dict[str, Entry] = {entry.name: entry for entry in found.entries}
    for i in dropped:
        row = diagnosis.rows[i]
        reason = diagnosis.reasons.get(i, "decided")
        try:
            data = files.read(found.root, entries[row.file].place)
        except Exception:  # Not even its bytes can be read, for whatever reason.
            continue
        parts = (_short(part) for part in row.file.replace("\\", "_").split("/"))
        target = folder.joinpath(reason.replace(" ", "_"), *parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def _short(name: str) -> str:
    """A name that file systems take: escaped, or in an archive, it may be too long for them."""
    data = name.encode()
    if len(data) <= 255:
        return name
    return hashlib.sha256(data).hexdigest()[:16] + "_" + data[-200:].decode(errors="ignore")
