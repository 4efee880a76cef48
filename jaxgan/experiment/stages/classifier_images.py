"""The images that classifiers see, read once; as features where the trunk is frozen."""

from collections.abc import Mapping

import numpy as np

from jaxgan.data import loader
from jaxgan.data.folder import Source
from jaxgan.experiment.design import training_set
from jaxgan.experiment.design.jobs import Job
from jaxgan.experiment.stages.fold_context import FoldContext
from jaxgan.training import frozen_features
from jaxgan.types import InputError


class ClassifierImages:
    """All images of a fold, as its jobs of features have them.

    Args:
        context: where the jobs are done.
        samples: the generated images, by their job's output.
    """

    def __init__(self, context: FoldContext, samples: Mapping[str, Source]):
        self._context, self._samples, self._section = context, samples, context.config.classifier
        parts = [loader.Subset(context.plan.real, i) for i in context.fold.sides]
        jobs = [
            j for j in context.plan.pick("features", fold=context.fold.number) if j.seed is None
        ]
        self._training, self.validation, self.test = (
            self._read(part, job)
            for part, job in zip(parts, jobs or [None] * len(parts), strict=True)
        )
        self._kept: dict[str, Source] = {}

    def _read(self, source: Source, features: Job | None) -> Source:
        images = loader.in_memory(source)
        if features is None:
            return images
        return frozen_features.look(self._section, images, features.views)

    def of(self, job: Job) -> Source:
        """Return what the classifier of a job trains on."""
        arm, real = job.arm, self._training
        assert arm is not None and job.seed is not None
        if isinstance(real, frozen_features.Views) and not arm.policy:
            real = frozen_features.Views(real, real.images[:, :1])  # Each image as it is.
        given = self._context.fold.draws[arm.size][job.seed].given
        generated = {one.name: self._generated(one) for one in job.inputs}
        seed = self._context.config.seeds[job.seed]
        return loader.in_memory(training_set.assemble(arm, real, given, generated, seed, job.steps))

    def _generated(self, job: Job) -> Source:
        """Return samples, or a frozen trunk's features of them."""
        if job.output not in self._kept:
            features = job if job.kind == "features" else None
            samples = job.inputs[0] if features else job
            if samples.output not in self._samples:
                raise InputError(f"it needs generated images of {job.name}, whose GAN failed")
            source = self._samples[samples.output]
            if features:
                source = loader.Subset(source, np.arange(features.images))
            self._kept[job.output] = self._read(source, features)
        return self._kept[job.output]
