"""The images that classifiers see, read once; as features where the trunk is frozen."""

from collections.abc import Sequence

import numpy as np
from ml_collections import ConfigDict

from jaxgan.data import loader, splits
from jaxgan.data.folder import Source
from jaxgan.experiment.design import arms, draws, training_set
from jaxgan.experiment.stages.generate import Fresh
from jaxgan.training import frozen_features
from jaxgan.types import InputError


class ClassifierImages:
    """All pictures of an experiment, read once; as features where the trunk is frozen."""

    def __init__(
        self,
        section: ConfigDict,
        planned: Sequence[arms.Arm],
        real: Source,
        parts: splits.Split,
        fresh: Fresh,
    ):
        self._look = frozen_features.applies(section)
        self._section, self._fresh = section, fresh
        self._views = section.train.views if any(arm.policy for arm in planned) else 1
        self._training, self.validation, self.test = (
            self._seen(loader.in_memory(loader.Subset(real, i)), views)
            for i, views in zip(parts, (self._views, 1, 1), strict=True)
        )
        self._kept: dict[tuple, Source] = {}

    def _seen(self, source: Source, views: int) -> Source:
        return frozen_features.look(self._section, source, views) if self._look else source

    def of(self, arm: arms.Arm, draw: draws.Draw, position: int, seed: int, steps: int) -> Source:
        """What the classifier of an arm and a seed learns from in so many steps."""

        def own(source: Source) -> Source:  # The first view is the picture as it is.
            if isinstance(source, frozen_features.Views) and not arm.policy:
                return frozen_features.Views(source, source.images[:, :1])
            return source

        sides = {}
        if arm.generated:
            fresh = self._fresh[arm.key][position]
            for name, n in arm.pictures.items():
                if not n["generated"]:
                    continue
                if name not in fresh:
                    raise InputError(f"it needs generated pictures of {name}, whose GAN failed")
                source = fresh[name]
                count = arm.pictures[name]["generated"] if arm.policy else len(source)
                key = (arm.key, position, name, count, arm.policy)
                if key not in self._kept:
                    kept = loader.in_memory(loader.Subset(source, np.arange(count)))
                    self._kept[key] = self._seen(kept, self._views if arm.policy else 1)
                sides[name] = self._kept[key]
        real = own(self._training)
        return loader.in_memory(training_set.assemble(arm, real, draw.given, sides, seed, steps))
