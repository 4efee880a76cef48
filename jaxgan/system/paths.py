"""Flags that name files and folders: what cannot be one is refused when they are parsed."""

import difflib
import errno
import os
import re
import stat
from contextlib import suppress
from itertools import islice
from typing import Any

from absl import flags

from jaxgan.errors import InputError

flags.disclaim_key_flags()  # They are those of the module that defines them.

REMOTE = ("gs://", "s3://", "az://", "hf://")  # What epath opens.
SET = ("dataset_info.json", "features.json")  # What a prepared set has.
IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
MOST_ENTRIES = 1000  # Of a folder, that are looked at.
# What a run or an experiment keeps in folders of its own.
OWN, FOLD = ("gan", "classifiers", "generated", "samples", "tensorboard"), r"fold\d+$"
TFDS, HF = NAMED = "tfds:", "hf:"  # What sets of tensorflow-datasets and of datasets begin with.


class _Parser(flags.ArgumentParser):
    """Checks a path and expands "~"."""

    syntactic_help = "a path"

    def __init__(self, name: str, remote: bool, sets: bool, empty: bool):
        self.name, self.remote, self.sets, self.empty = name, remote, sets, empty

    def parse(self, argument: str) -> str:
        if argument == "" and self.empty:
            return argument
        return checked(argument, f"--{self.name}", self.remote, self.sets)


def path_flag(
    name: str,
    help_string: str,
    *,
    remote: bool = False,
    sets: bool = False,
    empty: bool = False,
    **more: Any,
) -> None:
    """Define a flag that names a file or folder, or what else `help_string` says.

    Args:
        name: of the flag.
        help_string: what it is for.
        remote: whether it may be in an object store.
        sets: whether it may name a set of another library, like tfds:NAME.
        empty: whether it may be "".
        more: for `flags.DEFINE`, like required.
    """
    parser = _Parser(name, remote, sets, empty)
    flags.DEFINE(parser, name, None, help_string, flags.FLAGS, flags.ArgumentSerializer(), **more)


def checked(path: str, flag: str, remote: bool = False, sets: bool = True) -> str:
    """Return a path with "~" expanded.

    Raises:
        InputError: it is empty, of a file system or a library that is not for this flag, of no
            such user, or links lead in a circle.
    """
    if not path.strip():
        raise InputError(f"{flag} must name a file or folder, got {path!r}")
    if "://" in path:
        if remote and path.startswith(REMOTE):
            return path
        kinds = f", or begin with {', '.join(REMOTE)}" if remote else ""
        raise InputError(f"{flag} must be a path on this machine{kinds}, got {path!r}")
    kind = next((kind for kind in NAMED if path.startswith(kind)), "")
    if kind and not sets:
        raise InputError(f"{flag} must be a path, and none of a set ({kind}), got {path!r}")
    expanded = os.path.expanduser(path.removeprefix(kind))
    if expanded.startswith("~") and not os.path.lexists(expanded):
        raise InputError(f"{flag} must begin with no ~ but that of a user, got {path!r}")
    try:
        os.stat(expanded)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENAMETOOLONG):
            raise InputError(
                f"{flag} must be a path that can be followed, got {path[:200]!r}: {error.strerror}"
            ) from error
    return kind + expanded


def near(path: str | os.PathLike[str]) -> str:
    """Return "; did you mean X?" for the folder or archive beside a path that is missing, or ""."""
    folder, name = os.path.split(os.fspath(path).rstrip("/"))
    with suppress(OSError):
        beside = [
            one
            for one in os.listdir(folder or ".")
            if one[0] != "." and one != name
            if one.endswith((".zip", ".tar")) or os.path.isdir(os.path.join(folder, one))
        ]
        if found := difflib.get_close_matches(name, beside, 1):
            return f"; did you mean {os.path.join(folder, found[0])}?"
    return ""


def check_no_run(folder: str | os.PathLike, flag: str) -> None:
    """Raise InputError for a run's folder in place of one with images."""
    claimed = os.path.lexists(os.path.join(folder, "config.json"))
    left = ("metrics.jsonl", "results.json", "checkpoints", "gan", "classifiers")
    if claimed and any(os.path.lexists(os.path.join(folder, one)) for one in left):
        raise InputError(
            f"{flag} must be a folder of images, and {folder} is that of a run: its samples come "
            f"from jaxgan sample {folder} --out DIR"
        )


def read(file: str | os.PathLike, most: int | None = None) -> bytes:
    """Return the bytes of a plain file: a pipe or a device could be read for ever.

    Raises:
        InputError: it is none, or has more than `most` bytes.
        OSError: it cannot be read.
    """
    opened = os.open(file, os.O_RDONLY | os.O_NONBLOCK)  # Opening a pipe would wait.
    with open(opened, "rb") as stream:
        about = os.fstat(opened)
        if not stat.S_ISREG(about.st_mode):
            raise InputError(f"what is read must be a plain file, and {os.fspath(file)} is none")
        if most is not None and about.st_size > most:
            raise InputError(f"{os.fspath(file)} must have at most {most:,} bytes, and has more")
        return stream.read()


def check_plain(file: Any) -> Any:
    """Return a file of a run; raise InputError where it is there and is a pipe or the like."""
    if "://" not in (name := os.fspath(file)):
        with suppress(OSError):
            if not stat.S_ISREG(os.stat(name).st_mode):
                raise InputError(f"what is read must be a plain file, and {name} is none")
    return file


def check_tree(folder: str | os.PathLike) -> None:
    """Raise InputError where a local folder holds a pipe, a device or the like, at any depth."""
    if "://" not in os.fspath(folder):
        for place, _, names in os.walk(folder):
            for name in names:
                check_plain(os.path.join(place, name))


def check_output(file: str) -> None:
    """Raise InputError for a folder, or for a pipe, at whose other end nobody may be."""
    try:
        mode = os.stat(file).st_mode
    except OSError:
        return
    if not (stat.S_ISREG(mode) or stat.S_ISCHR(mode)):
        raise InputError(f"a file to write must be one, and {file} is a folder, a pipe or the like")


def check_folder(folder: str, flag: str, *, of_set: bool = False, of_run: bool = False) -> None:
    """Raise InputError for an output folder that holds a run or a set, lies in one of a run's own
    folders, or is a file.

    Args:
        folder: to write to.
        flag: that named it.
        of_set: whether a prepared set is what it may hold.
        of_run: whether it may lie in a run's own folder: an experiment's stages are runs there.
    """
    if os.path.isfile(folder):
        raise InputError(f"{flag} must be a folder, got the file {folder}")
    if os.path.lexists(os.path.join(folder, "config.json")):
        raise InputError(f"{flag} must be another folder than that of a run, got {folder}")
    parts = os.path.realpath(folder).split(os.sep)
    for i, part in enumerate(parts):
        run = os.sep.join(parts[:i])
        # Anybody's file may be called config.json.
        known = ("config.json", *["data.json"] * (part != "checkpoints"))
        owned = part == "checkpoints" or (not of_run and (part in OWN or re.match(FOLD, part)))
        if owned and all(os.path.lexists(os.path.join(run, name)) for name in known):
            raise InputError(f"{flag} must be no folder of {part} of a run, got {folder}")
    if not of_set and all(os.path.lexists(os.path.join(folder, name)) for name in SET):
        raise InputError(f"{flag} must be another folder than that of a set, got {folder}")


def check_no_images(folder: str, flag: str, *, but: str = "", deep: bool = False) -> None:
    """Raise InputError where images lie that what is written would be mixed with, now or later.

    Args:
        folder: to write to.
        flag: that named it.
        but: a pattern of names that may be there.
        deep: look into the folders inside, too, which may be classes; not those of runs.
    """
    if "://" in folder or not os.path.isdir(folder):
        return
    with os.scandir(folder) as entries:
        for entry in islice(entries, MOST_ENTRIES):
            inside = entry.is_dir() and not os.path.lexists(os.path.join(entry.path, "config.json"))
            if deep and inside:
                check_no_images(entry.path, flag, but=but)
            elif entry.name.lower().endswith(IMAGES) and not re.fullmatch(but, entry.name):
                raise InputError(
                    f"{flag} must be a folder without images of others, and {entry.path} lies there"
                )
