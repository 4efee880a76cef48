"""Names of an experiment's arms: what a classifier learns from, in a word.

    kind[[source]][:amount][@size][+variant...]

`add:2x@50+augmentation` is 50 real images a class and twice as many generated ones, changed at
random while they are learned from; `add[diffusion]:best` has them from the folder that
`config.generated` calls diffusion, and takes of some amounts the one that validates best.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from jaxgan.errors import InputError

# Of a class's real images, how many of the largest class, and the amount, to how many are real,
# generated and plain copies.
Numbers = tuple[int, int, int]
KINDS: dict[str, Callable[[int, int, int], Numbers]] = {
    "real": lambda n, most, amount: (n, 0, 0),
    "replace": lambda n, most, amount: (n - amount, amount, 0),
    "add": lambda n, most, amount: (n, amount, 0),
    "generated": lambda n, most, amount: (0, n, 0),  # As many as there are real ones.
    "balance": lambda n, most, amount: (n, most - n, 0),  # The smaller classes are filled up.
    "copies": lambda n, most, amount: (n, 0, amount),  # A placebo: real images again.
    "oversample": lambda n, most, amount: (n, 0, most - n),  # Copies fill up the smaller classes.
    "reweight": lambda n, most, amount: (n, 0, 0),  # Classes weigh the same in the loss.
    "weight": lambda n, most, amount: (n, amount, 0),  # Generated ones weigh less in the loss.
    "pca": lambda n, most, amount: (n, amount, 0),  # Drawn from principal components.
    "pretrain": lambda n, most, amount: (n, amount, 0),  # Generated ones first, then real ones.
}
WITHOUT = ("real", "copies", "oversample", "reweight")  # No generated images.
# They can have an amount, `all` of `replace` classes too.
AMOUNTS = ("replace", "add", "copies", "pca", "pretrain")
BEST = ("add", "pca")  # Their amount can be chosen on validation images.
MOST, MOST_TIMES = 10**7, 1000  # Generated images a class, and per real one.
VARIANTS = (
    "augmentation",
    "randaugment",
    "trivialaugment",
    "mixup",
    "cutmix",
    "features",
    "selection",
)
FORM = re.compile(
    rf"({'|'.join(KINDS)})(-all)?(?:\[([\w.-]+)\])?(?::(?:(best)|([\d.]+)(x?)))?(?:@(\d+))?"
    rf"((?:\+(?:{'|'.join(VARIANTS)}))*)"
)


class Name(NamedTuple):
    """An arm's name, read.

    Attributes:
        kind: one of KINDS.
        everywhere: of `replace-all`: in all classes, whatever those of `replace.classes`.
        number: images a class, generated ones or copies; None where `ratio` or the config says.
        ratio: the same per real image; of `replace` it is a share.
        size: real images a class; None: all that there are.
        variants: of VARIANTS, in their order.
        source: what generates: None the experiment's GANs (or the one folder that it is given),
            "pca" principal components, else one of the folders of `config.generated`.
        best: whether the amount is chosen on validation images.
        weight: of a generated image in the loss, of `weight`.
    """

    kind: str
    everywhere: bool = False
    number: int | None = None
    ratio: float | None = None
    size: int | None = None
    variants: tuple[str, ...] = ()
    source: str | None = None
    best: bool = False
    weight: float | None = None

    @property
    def generates(self) -> bool:
        """Whether the arm has generated images."""
        return self.kind not in WITHOUT and self.number != 0 and self.ratio != 0

    @property
    def selection(self) -> bool:
        """Whether they are the best of a surplus."""
        return "selection" in self.variants


def parse(name: str) -> Name:
    """Read an arm's name.

    Raises:
        InputError: malformed, or an amount that its kind cannot have.
    """
    found = FORM.fullmatch(name)
    if found is None:
        changes = ", ".join("+" + v for v in VARIANTS)
        raise InputError(
            f"each of config.arms must be one of {', '.join(KINDS)}, with :number or :ratiox (or "
            f":best), @real images a class and {changes} where wanted, got {name!r}"
        )
    kind, everywhere, source, best, amount, times, size, variants = found.groups()
    variants = variants.split("+")[1:]
    share = kind == "replace"

    def refuse(rule: str) -> InputError:
        return InputError(f"config.arms: {rule}, got {name!r}")

    if everywhere and not share:
        raise refuse("only replace can be of -all classes")
    weight = None
    if kind == "weight":
        try:
            weight = float("nan" if best or times or amount is None else amount)
        except ValueError:
            weight = float("nan")
        if not 0 < weight < 1:
            raise refuse("weight must have the weight of a generated image, like :0.3, in (0, 1)")
        amount = None
    if amount is not None and kind not in AMOUNTS:
        raise refuse(f"only {', '.join(AMOUNTS)} can have an amount")
    if best and kind not in BEST:
        raise refuse(f"only {', '.join(BEST)} can have the best of some amounts")
    if source is not None and (kind in WITHOUT or kind == "pca"):
        raise refuse("only an arm with generated images can name their [source]")
    if source == "pca":
        raise refuse("principal components are an arm of their own, pca")
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
    if (number or 0) > MOST or (ratio or 0.0) > MOST_TIMES:
        raise refuse(f"an amount must be at most {MOST:,} images a class, or {MOST_TIMES:,}x")
    if size is not None and not (len(size) < 10 and int(size)):
        raise refuse("@ must be followed by at least 1 image a class")
    read = Name(
        kind,
        everywhere is not None,
        number,
        ratio,
        int(size) if size else None,
        tuple(v for v in VARIANTS if v in variants),
        "pca" if kind == "pca" else source,
        best is not None,
        weight,
    )
    if read.selection and not read.generates:
        raise refuse("+selection needs generated images")
    return read
