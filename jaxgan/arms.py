"""Names of an experiment's arms: what a classifier learns from, in a word.

    kind[:amount][@size][+variant...]

`add:2x@50+augmentation` is 50 real pictures a class and twice as many generated ones, changed at
random while they are learned from.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from jaxgan.errors import InputError

# Of a class's real pictures, how many of the largest class, and the amount, to how many are real,
# generated and plain copies.
Numbers = tuple[int, int, int]
KINDS: dict[str, Callable[[int, int, int], Numbers]] = {
    "real": lambda n, most, amount: (n, 0, 0),
    "replace": lambda n, most, amount: (n - amount, amount, 0),
    "add": lambda n, most, amount: (n, amount, 0),
    "generated": lambda n, most, amount: (0, n, 0),  # As many as there are real ones.
    "balance": lambda n, most, amount: (n, most - n, 0),  # The smaller classes are filled up.
    "copies": lambda n, most, amount: (n, 0, amount),  # A placebo: real pictures again.
    "oversample": lambda n, most, amount: (n, 0, most - n),  # Copies fill up the smaller classes.
}
WITHOUT = ("real", "copies", "oversample")  # No generated pictures.
AMOUNTS = ("replace", "add", "copies")  # They can have an amount, `all` of `replace` classes too.
VARIANTS = ("augmentation", "randaugment", "mixup", "selection")
FORM = re.compile(
    rf"({'|'.join(KINDS)})(-all)?(?::([\d.]+)(x?))?(?:@(\d+))?((?:\+(?:{'|'.join(VARIANTS)}))*)"
)


class Name(NamedTuple):
    """An arm's name, read.

    Attributes:
        kind: one of KINDS.
        everywhere: of `replace-all`: in all classes, whatever those of `replace.classes`.
        number: pictures a class, generated ones or copies; None where `ratio` or the config says.
        ratio: the same per real picture; of `replace` it is a share.
        size: real pictures a class; None: all that there are.
        variants: of VARIANTS, in their order.
    """

    kind: str
    everywhere: bool = False
    number: int | None = None
    ratio: float | None = None
    size: int | None = None
    variants: tuple[str, ...] = ()

    @property
    def generates(self) -> bool:
        """Whether the arm has generated pictures."""
        return self.kind not in WITHOUT and self.number != 0 and self.ratio != 0

    @property
    def selection(self) -> bool:
        """Whether they are the best of a surplus."""
        return "selection" in self.variants


def parse(name: str) -> Name:
    """Reads an arm's name.

    Raises:
        InputError: malformed, or an amount that its kind cannot have.
    """
    found = FORM.fullmatch(name)
    if found is None:
        raise InputError(
            f"each of config.arms must be one of {', '.join(KINDS)}, with :number or :ratiox, "
            f"@real pictures a class and {', '.join('+' + v for v in VARIANTS)} where wanted, "
            f"got {name!r}"
        )
    kind, everywhere, amount, times, size, variants = found.groups()
    variants = variants.split("+")[1:]
    share = kind == "replace"

    def refuse(rule: str) -> InputError:
        return InputError(f"config.arms: {rule}, got {name!r}")

    if everywhere and not share:
        raise refuse("only replace can be of -all classes")
    if amount is not None and kind not in AMOUNTS:
        raise refuse(f"only {', '.join(AMOUNTS)} can have an amount")
    if len(set(variants)) != len(variants):
        raise refuse("each of the variants can stand once")
    number = ratio = None
    if amount is not None:
        try:
            ratio = float(amount) if times or share else None
            number = int(amount) if ratio is None else None
        except ValueError:
            raise refuse("an amount must be a number like :1000 or :2x") from None
    if share and ratio is not None and not 0 < ratio <= 1:
        raise refuse("what replace replaces must be a share within (0, 1]")
    if size is not None and not int(size):
        raise refuse("@ must be followed by at least 1 picture a class")
    read = Name(
        kind,
        everywhere is not None,
        number,
        ratio,
        int(size) if size else None,
        tuple(v for v in VARIANTS if v in variants),
    )
    if read.selection and not read.generates:
        raise refuse("+selection needs generated pictures")
    return read
