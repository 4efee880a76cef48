"""From any images to a prepared set: find, scan in parallel, diagnose, decide, write."""

import errno
import os
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Int64

from jaxgan.data import class_counts, depths, duplicates, outliers, quality
from jaxgan.data.faces import landmarks
from jaxgan.data.faces.landmarks import Landmarks
from jaxgan.data.prepare import (
    advice,
    assign_splits,
    decisions,
    doctor,
    features,
    scan,
    scanned,
    work_folder,
    write,
)
from jaxgan.data.prepare import summary as findings
from jaxgan.data.prepare.doctor import Diagnosis
from jaxgan.data.prepare.options import Request
from jaxgan.data.prepare.scanned import Scanned
from jaxgan.data.prepare.workers import ReadAll, Say
from jaxgan.data.sources import discover
from jaxgan.data.sources.entries import Files
from jaxgan.errors import InputError
from jaxgan.system import checked_files, machine, paths
from jaxgan.system.terminal import few, printable

PART = 512  # Images, at most; a part that is done is not done again.
PART_BYTES = 2**26  # Of uncompressed images in a part, at most.


class Result(NamedTuple):
    """What came of it; while `prepared` lasts, `scanned` has the images."""

    files: Files
    scanned: Scanned
    diagnosis: Diagnosis
    dropped: dict[int, str]  # Reasons, by position in the rows.
    findings: dict[str, Any]
    advice: list[str]
    about: dict[str, str]  # How it was made.
    rule: str = ""  # By which duplicates were found.


@contextmanager
def log(out: Path | None) -> Iterator[Say]:
    """Say lines on the screen and, where there is a folder, in its `log.txt`.

    A folder that was made for a source that is refused is none that a set could lie in: it goes.
    """
    if out is None:
        yield lambda line: print(printable(line), flush=True)
        return
    is_new = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    file = open(out / "log.txt", "a", encoding="utf-8")  # noqa: SIM115

    def say(line: str) -> None:
        print(printable(line), flush=True)
        try:
            print(printable(line), file=file, flush=True)
        except OSError as error:
            raise checked_files.named(error, out / "log.txt") from error

    try:
        yield say
    except InputError:
        if is_new:
            work_folder.forget(out)
        raise
    finally:
        with suppress(OSError):  # On a full disk, what `say` has raised.
            file.close()


def summary(result: Result) -> list[str]:
    """Return what was found, in lines."""
    found, rows = result.findings, result.diagnosis.rows
    lines = []
    for reason in doctor.REASONS:
        of_it = [i for i, why in result.diagnosis.reasons.items() if why == reason]
        if of_it:
            left = sum(i in result.dropped for i in of_it)
            usual = ": most of a class are" if reason in result.diagnosis.usual else ""
            counted = f"{len(of_it):,} {reason} ({left:,} left out{usual})"
            lines.append(f"{counted}, like {rows.name(of_it[0])}")
    for what, names in sorted(found["oddities"].items()):
        note = quality.NOTES.get(what)
        lines.append(f"{len(names):,} {what}, like {names[0]}" + (f" ({note})" if note else ""))
    for resolution, kept in found["sets"].items():
        counts = few([f"{n:,} {name}" for name, n in kept["counts"].items()])
        mean, std = (" ".join(f"{x:.3f}" for x in kept[key]) for key in ("mean", "std"))
        where = f" at {resolution} px" if len(found["sets"]) > 1 else ""
        lines.append(f"kept{where}: {counts}; mean {mean}, deviation {std}")
    return [*lines, *result.advice]


@contextmanager
def prepared(request: Request, say: Say) -> Iterator[Result]:
    """Scans, diagnoses and, but in a dry run, writes the sets.

    Raises:
        InputError: nothing to read, nothing left, another run that writes to the same folder, or a
            disk that is full; what was finished is taken up by the next run.
        OSError: a disk that is read-only.
    """
    for line in advice.of_classifiers_alone(request.options.resolutions):
        say(line)
    with work_folder.of(request) as work, _room(request):
        with work_folder.readers(request) as read_all:
            with _flags():
                found = discover.find(
                    request.source, work, reading=request.reading, grouped=request.grouped
                )
            say(f"{len(found.entries):,} files of {few(found.classes)}")
            for line in class_counts.left_out(found.left_out, found.kinds or {}, {}):
                say(line)
            for line in found.told:
                say(_as_flags(line))
            human = decisions.read(request.out)  # Before the long part: it may not do.
            scale, said = depths.scale(found)
            if scale is not None:
                say(said)
                request = request._replace(options=request.options._replace(scale=scale))
            scanned = _scan(read_all, found, request, work, say)
        if request.features is not None and request.options.doctor:
            name = request.features_name
            scanned = features.with_features(scanned, request.features, name, say)
        used = found.given is not None and request.given_sides == "use"
        decided = assign_splits.before(request, say, used)
        scanned, same = assign_splits.untied(
            scanned, decided, request.duplicates, say, found.groups
        )
        say(duplicates.sentence(same, lambda i: scanned.rows.name(int(scanned.good[i]))))
        diagnosis = _diagnose(request, found, scanned, same.group)
        dropped = doctor.decide(diagnosis, request.clean != "report", human)
        kept = ~np.isin(scanned.good, list(dropped))
        what = findings.findings(diagnosis, dropped, scanned)
        what["features"] = request.features_name
        about = _about(request)
        problem: InputError | None = None
        if request.out is not None:
            unmatched = decisions.unmatched(diagnosis, human)
            if unmatched:
                told = f"{len(unmatched):,} rows of decisions.csv name no image here"
                say(f"{told}, like {unmatched[0]}")
            table = decisions.table(diagnosis, dropped, human)
            checked_files.write(request.out / decisions.FILE, table)
        try:
            with _flags():
                side = assign_splits.assigned(
                    request, found, diagnosis, kept, dropped, decided, say
                )
            if found.groups is not None:
                say(f"{len(set(found.groups)):,} groups of images that stay on one side each")
            _account(diagnosis, kept, side, say)
            assign_splits.tell_gaps(request, diagnosis, side[kept], scanned.good[kept], say)
            if not request.dry_run and request.out is not None:
                if request.clean == "quarantine":
                    work_folder.quarantine(request.out / "quarantine", found, diagnosis, dropped)
                more = {
                    "source": about["source"],
                    "clean": request.clean,
                    "dropped": what["dropped"],
                    "decisions": {name: decision for name, (_, decision) in human.items()},
                    "fractions": [float((side[kept] == s).mean()) for s in range(3)]
                    if used
                    else list(request.fractions),
                    "given_sides": used,
                    "duplicates": same.rule,
                }
                about |= _write_sets(request.out, scanned, found, kept, side, more, say)
                work_folder.tidy(work, scanned.keys)
        except InputError as error:  # What was found is worth knowing all the same.
            problem = error
        advised = advice.advise(
            diagnosis, dropped, request.options.resolutions, request.options.align
        )
        yield Result(found, scanned, diagnosis, dropped, what, advised, about, same.rule)
        if problem is not None and request.dry_run and kept.any():
            say(f"these images cannot be split: {problem}")
        elif problem is not None:
            raise problem


def _as_flags(sentence: str) -> str:
    """Return a sentence that names settings of a config, with the flags that they are here."""
    return re.sub(r"data\.(layout|given_sides|groups)\b", r"--\1", sentence)


@contextmanager
def _flags() -> Iterator[None]:
    """Raise with the names of flags what is raised with those of settings."""
    try:
        yield
    except InputError as error:
        raise type(error)(_as_flags(str(error))) from error


def _account(
    diagnosis: Diagnosis,
    kept: Bool[np.ndarray, " n"],
    side: Int64[np.ndarray, " n"],
    say: Say,
) -> None:
    """Say how many images of each class go to each side, and what stands out."""
    labels = diagnosis.rows.table["label"][diagnosis.good[kept]]
    for line in class_counts.table(labels, diagnosis.classes, side[kept]):
        say(line)
    for line in class_counts.uneven(labels, diagnosis.classes, side[kept]):
        say(line)


@contextmanager
def _room(request: Request) -> Iterator[None]:
    """Put a full disk in words."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        where = error.filename or request.out or "the folder for temporary files"
        goes_on = ", and the same command goes on with what is finished" if request.out else ""
        raise InputError(
            f"there must be room for all that is written, and for {where} there is none "
            f"({error.strerror}): make room{goes_on}"
        ) from error


def _about(request: Request) -> dict[str, str]:
    options = request.options
    return {
        "source": _name(request.source),
        "resolution": ", ".join(f"{r} px" for r in options.resolutions),
        "crop": f"landmarks, border {options.border}" if options.align else options.crop,
        "encoding": options.encoding,
        "clean": request.clean,
        "groups": request.grouped or "none",
        "split": ", ".join(f"{share:g}" for share in request.fractions),
        "strangeness by": request.features_name if options.doctor else "none",
        "date": time.strftime("%Y-%m-%d"),
    }


def _name(source: str) -> str:
    """Return the source without where it lies on this machine."""
    for kind in paths.NAMED:
        if source.startswith(kind):
            return kind + "/".join(Path(source.removeprefix(kind)).parts[-2:])
    return printable(os.path.basename(os.path.abspath(source)))


def _write_sets(
    out: Path,
    scanned: Scanned,
    found: Files,
    kept: Bool[np.ndarray, " n"],
    side: Int64[np.ndarray, " n"],
    more: dict[str, Any],
    say: Say,
) -> dict[str, str]:
    """Return a set for each resolution, in folders of their own where there are several."""
    prints, options = {}, scanned.options
    entry = scanned.rows.table["entry"][scanned.good]
    grouped = None if found.groups is None else np.array(found.groups)[entry]
    for at, resolution in enumerate(options.resolutions):
        folder = out / str(resolution) if len(options.resolutions) > 1 else out
        more["options"] = options._replace(resolutions=(resolution,))._asdict()
        info = write.write_set(folder, scanned, at, found.classes, kept, side, more, grouped)
        prints[f"fingerprint at {resolution} px"] = info["fingerprint"]
        say(f"{sum(info['counts'].values()):,} images at {resolution} px: {folder}")
    return prints


def _scan(read_all: ReadAll, found: Files, request: Request, work: Path, say: Say) -> Scanned:
    """Return all parts, those done before as they are."""
    options, entries = request.options, found.entries
    marks = _marks(found) if options.align and found.tables else {}
    size = min(PART, max(32, PART_BYTES // (3 * max(options.resolutions) ** 2)))
    starts = range(0, len(entries), size)

    def marks_of(start: int) -> dict[str, list[Landmarks]]:
        names = (entry.name for entry in entries[start : start + size]) if marks else ()
        return {name: marks[name] for name in names if name in marks}

    keys = [
        scan.part_key(entries.digest(start, start + size), marks_of(start), options)
        for start in starts
    ]

    def task(part: int) -> tuple:
        some = entries[starts[part] : starts[part] + size]
        return found.root, some, marks_of(starts[part]), options, work, keys[part]

    with ThreadPoolExecutor(machine.cores()) as threads:
        done = list(threads.map(lambda key: scan.is_whole(work, key), keys))
    todo = [part for part, is_done in enumerate(done) if not is_done]
    for part in todo:
        (work / f"{keys[part]}.json").unlink(missing_ok=True)  # Of a part that is damaged.
    left = sum(min(size, len(entries) - starts[part]) for part in todo)
    if left < len(entries):
        say(f"{len(entries) - left:,} of them were read by an earlier run")
    read_all(todo, task, left, say)
    return scanned.together(work, keys, entries, size, options)


def _marks(found: Files) -> dict[str, list[Landmarks]]:
    """Landmarks of the tables at the top, by the images' names or, where it is clear, the last
    part of them."""
    marks: dict[str, list[Landmarks]] = {}
    for table in found.tables:
        marks |= landmarks.read_points(discover.read(found.root, table))
    short: dict[str, list[str]] = {}
    for entry in found.entries:
        short.setdefault(entry.name.rpartition("/")[2], []).append(entry.name)
    named = {}
    for file, faces in marks.items():
        full = short.get(file, [])
        named[full[0] if len(full) == 1 else file] = faces
    return named


def _diagnose(
    request: Request, found: Files, scanned: Scanned, group: Int64[np.ndarray, " n"]
) -> Diagnosis:
    strangeness = None
    if scanned.features is not None:
        labels = scanned.rows.table["label"][scanned.good]
        strangeness = outliers.strangeness(scanned.features, labels, group)
    return doctor.diagnose(
        *(scanned.rows, found.classes, scanned.good, group, strangeness),
        *(request.options.resolutions[0], request.strangest),
    )
