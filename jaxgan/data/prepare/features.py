"""A network's features of all images, computed once: what an earlier run computed is kept."""

import time
from collections.abc import Iterator

import numpy as np
from jaxtyping import UInt8

from jaxgan.data import npy_rows
from jaxgan.data.prepare import scan
from jaxgan.data.prepare import scanned as parts
from jaxgan.data.prepare.options import Features
from jaxgan.data.prepare.scanned import Scanned
from jaxgan.data.prepare.workers import Say

PARTS = 8  # Computed before any of them is kept: all of a network's batches but the last are full.
PAUSE = 10  # Seconds between lines of progress.


def with_features(scanned: Scanned, function: Features, name: str, say: Say) -> Scanned:
    """Return the same, but that strangeness goes by the network's features; before `Scanned.but`.

    Args:
        scanned: all parts, none of whose images was left out.
        function: computes them.
        name: of the network, and with it of its files beside the parts.
        say: takes lines of progress.
    """
    files = [scan.array_file(scanned.work, key, name) for key in scanned.keys]
    todo = [i for i, file in enumerate(files) if not file.exists()]
    of = scanned.part_of(scanned.good)
    total = int(np.isin(of, todo).sum())
    if total < len(scanned.good):
        say(f"{name}: {len(scanned.good) - total:,} images were seen by an earlier run")
    start = told = time.monotonic()
    done = 0

    def counted(pictures: Iterator[UInt8[np.ndarray, "r r 3"]]) -> Iterator[np.ndarray]:
        nonlocal done, told
        for picture in pictures:
            yield picture
            done, now = done + 1, time.monotonic()
            if now - told > PAUSE:
                told, eta = now, (total - done) * (now - start) / done
                rate = done / (now - start)
                say(f"{name}: {done:,} of {total:,} images  {rate:,.0f}/s  eta {eta:,.0f} s")

    for first in range(0, len(todo), PARTS):
        some = todo[first : first + PARTS]
        rows = scanned.good[np.isin(of, some)]
        found = function(counted(scanned.pictures(rows)))
        for part in some:
            npy_rows.save(files[part], found[scanned.part_of(rows) == part])
    if total:
        seconds = time.monotonic() - start
        say(f"{name}: {total:,} images in {seconds:,.0f} s, {total / seconds:,.0f}/s")
    every = parts.stored(scanned.work, scanned.keys, name, scanned.good, scanned.ends)
    return scanned._replace(features=every)
