"""What may be asked for of a generator: seeds, numbers of images, formats."""

import re

from jaxgan.errors import InputError

FORMATS = {"png": {}, "jpg": {"quality": 95, "subsampling": 0}}
SEEDS = 10**7  # That one command may name.


def parse_seeds(text: str, flag: str = "--seeds") -> list[int]:
    """Return the seeds of "1-1000" or "1,5,7-9", in that order.

    Raises:
        InputError: malformed, or a seed that is not below 2**32.
    """
    ranges = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d{1,10})(?:\s*-\s*(\d{1,10}))?\s*", part, re.ASCII)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if not first <= last < 2**32:
            raise InputError(
                f"{flag} must be numbers and rising ranges below 2**32 like 1,5,7-9, got {text!r}"
            )
        ranges.append(range(first, last + 1))
    if (count := sum(map(len, ranges))) > SEEDS:
        raise InputError(f"{flag} must name at most {SEEDS:,} seeds, got {count:,}")
    return [seed for part in ranges for seed in part]


def check_request(num: int, seed: int, file_format: str) -> None:
    """Raise InputError for a number, seed or format that cannot be."""
    if num < 1:
        raise InputError(f"--num must be at least 1, got {num}")
    if not 0 <= seed <= 2**32 - num:
        raise InputError(f"--seed must be within [0, 2**32 - num], got {seed}")
    if file_format not in FORMATS:
        raise InputError(f"--format must be one of {', '.join(FORMATS)}, got {file_format!r}")
