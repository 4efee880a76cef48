"""The images that one classifier trains on: those of its arm and seed."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Int

from jaxgan.data.dataset import Dataset, Source, concat
from jaxgan.data.loader import Subset
from jaxgan.experiment.design.arms import Arm


def assemble(
    arm: Arm,
    real: Source,
    given: Mapping[str, Int[np.ndarray, " n"]],
    generated: Mapping[str, Source],
    seed: int,
    steps: int = 0,
) -> Dataset:
    """Return the images of an arm and a seed, with their weights and their turns where they have
    any.

    Args:
        arm: how many of each kind.
        real: the training images.
        given: positions among them by class, at least as many as the arm needs; see `Draw`.
        generated: by class, those of the seed, at least as many as the arm needs.
        seed: of the copies: which images stand once more than others.
        steps: of the training, where generated images come first: half of these.
    """
    parts: list[Source] = []
    kinds: list[tuple[str, bool]] = []  # Of each part: its class, and whether it is generated.
    for label, (name, n) in enumerate(arm.pictures.items()):
        chosen = given[name][: n["real"]]
        again = np.random.default_rng([seed, label]).permutation(chosen)
        parts.append(Subset(real, np.sort(chosen)))
        kinds.append((name, False))
        if n["copies"]:
            parts.append(Subset(real, np.resize(again, n["copies"])))
            kinds.append((name, False))
        if n["generated"]:
            fresh = Subset(generated[name], np.arange(n["generated"]))
            parts.append(fresh.relabel(tuple(arm.pictures), name))
            kinds.append((name, True))
    lengths = [len(part) for part in parts]
    weights = phases = None
    if arm.weights is not None:
        each = [arm.weights[name][fresh] for name, fresh in kinds]
        weights = np.repeat(each, lengths).astype(np.float32)
    if arm.pretrain and arm.generated:
        fresh = np.repeat([fresh for _, fresh in kinds], lengths)
        phases = (0, np.flatnonzero(fresh)), (steps // 2, np.flatnonzero(~fresh))
    return concat([part for part in parts if len(part)], weights, phases)
