"""All checks of a finished experiment, from the pictures themselves; `checks` has each of them."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from ml_collections import ConfigDict

from jaxgan.data import loader, splits
from jaxgan.data.folder import Source
from jaxgan.experiment.design import arms, draws
from jaxgan.experiment.design.training_set import Labelled
from jaxgan.experiment.stages.generate import Fresh
from jaxgan.experiment.validity import checks as guards
from jaxgan.experiment.validity import grouped
from jaxgan.experiment.validity.leakage import leakage
from jaxgan.experiment.validity.likeness import copied, fidelity, looks
from jaxgan.experiment.validity.shortcut import shortcut
from jaxgan.metrics import judges


def checks(
    config: ConfigDict,
    planned: Sequence[arms.Arm],
    runs: list[dict],
    opened: list[dict],
    real: Source,
    parts: splits.Split,
    drawn: Mapping[int | None, Sequence[draws.Draw]],
    fresh: Fresh,
    failed: Sequence[dict] = (),
) -> list[dict]:
    """Every check that the report lists, see `checks`; pictures of `failed` GANs are missing."""
    rest = np.concatenate([parts.validation, parts.test])
    held_out = loader.Subset(real, rest)
    learned: dict[str, Source] = {"real": loader.Subset(real, parts.train)}
    made = [
        Labelled(source, tuple(real.classes), name)
        for sides in fresh.values()
        for side in sides
        for name, source in side.items()
    ]
    if made:
        learned["generated"] = loader.Concat(made)
    found = [
        leakage(learned, held_out),
        *grouped.respected(real, parts),
        guards.equal_steps(runs),
        guards.opened_once(opened, runs),
    ]
    begun = (stage for stage in ("gan", "classifier") if config[stage].get("init_from"))
    found += [guards.unknown_start(f"config.{stage}.init_from") for stage in begun]
    if not fresh:
        return found
    train, others = guards.classes_of(real, parts.train), guards.classes_of(real, rest)
    # Of the first seed that has any.
    first = {
        name: source
        for sides in fresh.values()
        for side in reversed(sides)
        for name, source in side.items()
    }
    critics = judges.seen_by_critics(config.gan)
    features = [
        {name: looks(source, critics) for name, source in side.items()} for side in (train, first)
    ]
    found += [shortcut(planned, *features), fidelity(*features)]
    audits = list(_generators(config, real, parts, drawn, fresh))
    for called, name, source, positions in audits:
        labelled = Labelled(source, tuple(real.classes), name)
        mine = loader.Subset(real, positions)
        found.append(copied(labelled, mine, others[name], called, len(audits)))
    return found + [guards.not_made(f"copies of {gan['name']}") for gan in failed]


def _generators(
    config: ConfigDict,
    real: Source,
    parts: splits.Split,
    drawn: Mapping[int | None, Sequence[draws.Draw]],
    fresh: Fresh,
) -> Iterator[tuple[str, str, Source, np.ndarray]]:
    """Of each GAN: what to call it, its class, some of its pictures, and what it learned from.

    Of pictures from elsewhere the same, as though they were learned from all that train.
    """
    elsewhere = arms.folders(config)
    for (size, selected, made_by), sides in fresh.items():
        seen: set[int] = set()
        for draw, side in zip(drawn[size], sides, strict=False):  # Of the seeds so far.
            if draw.gan in seen or (made_by in elsewhere and seen):
                continue
            seen.add(draw.gan)
            for name, source in side.items():
                mine = real.labels[parts.train] == real.classes.index(name)
                positions = parts.train[mine if made_by in elsewhere else draw.learned[name]]
                called = name + f"@{size}" * (size is not None) + " selected" * selected
                if made_by == "pca":
                    called += " of principal components"
                elif made_by not in (None, arms.GIVEN):
                    called += f" of {made_by}"
                if config.gan.retrain > 1 and made_by not in elsewhere:
                    called += f" of GAN {draw.gan}"
                yield called, name, source, positions
