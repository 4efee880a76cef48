"""Who sits for a drawn portrait: a cat or a dog, its traits, colours, pose and the light on it."""

from math import cos, sin
from typing import NamedTuple

import numpy as np

from jaxgan.data.toy.drawing import WHITE, Point, Rng, colours, mix, pick

KINDS = "cat", "dog"
EARS = {  # Chances for a cat and for a dog, as TONGUE.
    "pointed": (0.84, 0.15),
    "folded": (0.08, 0.1),
    "half": (0.06, 0.15),
    "floppy": (0.02, 0.6),
}
TONGUE = 0.15, 0.4
TRAITS = {  # (mean, standard deviation) of a cat's and of a dog's, and the limits of both.
    "muzzle": ((0.12, 0.1), (0.8, 0.14), (0, 1)),
    "width": ((1.05, 0.05), (0.9, 0.06), (0.8, 1.15)),
    "eye": ((0.29, 0.03), (0.19, 0.03), (0.15, 0.34)),
    "slant": ((0.25, 0.12), (0, 0.12), (-0.3, 0.5)),
    "pupil": ((0.5, 0.25), (0.95, 0.12), (0.16, 1)),
    "nose": ((0.1, 0.02), (0.235, 0.03), (0.08, 0.28)),
    "whiskers": ((0.8, 0.2), (0.2, 0.2), (0, 1)),
}

FURS = colours(
    "2b2725 3d3a3a 5d5f64 8a8b90 b9b7b2 efe9df e6d3b1 d9ab6c c98242 a85a2b 7a4a2b 4d3223"
)
IRISES = colours("7fb04f b7c24a d9a53a b5692b 6b3f22 4a2c1b 6fb1d6 4f9a8a")
NOSES = colours("e3989a d27f83 8c4a44 3a2b2a 1f1b1c 1f1b1c")
SCENES = colours(
    "7fb2d9 a9d0e8 f2d7b0 e9b9a0 c9d8a8 86ad72 4f7d55 d8c9e6 a893c4 f4efe6 8fa3ad 5a6470 b8845f "
    "7a5540 f0c75e d97b66"
)
BRASS, SKIN, PINK, RED = colours("f2c14e dd9a93 e2727c b04a58")


class Animal(NamedTuple):
    """One sitter: traits in head radii, colours ([3, 1, 1] each), pose and the light on it."""

    ears: str
    muzzle: float  # 0: flat as a Persian cat's, 1: long as a collie's
    width: float  # of the head
    eye: float
    slant: float  # of the eyes in radians, positive: outer corners up
    pupil: float  # width over height
    nose: float
    whiskers: float  # opacity
    tongue: bool
    fur: np.ndarray
    markings: np.ndarray
    pale: np.ndarray
    iris: np.ndarray
    nose_colour: np.ndarray
    light: Point  # where it comes from
    centre: Point  # of the head, in the image's coordinates
    scale: float  # radius of the head, half the image's side being 1
    tilt: float  # radians, this and the next two
    turn: float
    nod: float

    def place(self, x: float, y: float, z: float) -> Point:
        """Return where a point of the turned and nodding head is seen; z is towards the viewer."""
        return x * cos(self.turn) + z * sin(self.turn), y * cos(self.nod) + z * sin(self.nod)


def sample_animal(kind: str, rng: Rng) -> Animal:
    def near(mean: float, std: float, low: float, high: float) -> float:
        return min(high, max(low, rng.normal(mean, std)))

    k = KINDS.index(kind)
    fur, markings = pick(rng, FURS), pick(rng, FURS)
    if abs(fur - markings).sum() < 0.5:  # Too much alike to be seen.
        markings = fur * 0.45 if fur.mean() > 0.4 else fur + 0.35
    return Animal(
        ears=rng.choice(list(EARS), p=[chances[k] for chances in EARS.values()]),
        **{name: near(*trait[k], *trait[-1]) for name, trait in TRAITS.items()},
        tongue=rng.random() < TONGUE[k],
        fur=fur,
        markings=markings,
        pale=mix(fur, WHITE, rng.uniform(0.1, 1)),
        iris=pick(rng, IRISES),
        nose_colour=pick(rng, NOSES),
        light=(rng.uniform(-1, 1), rng.uniform(-1, -0.2)),
        centre=(rng.normal(0, 0.12), rng.normal(0.06, 0.09)),
        scale=rng.uniform(0.5, 0.7),
        tilt=near(0, 0.16, -0.5, 0.5),
        turn=near(0, 0.22, -0.5, 0.5),
        nod=near(0.02, 0.1, -0.2, 0.25),
    )
