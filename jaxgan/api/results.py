"""A finished experiment, and a comparison of images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from etils import epath
from markupsafe import escape as text

from jaxgan.api.arguments import named
from jaxgan.api.models import Classifier, Generator
from jaxgan.errors import InputError
from jaxgan.evaluation import folders, report
from jaxgan.experiment import ensemble, stored
from jaxgan.experiment.schema import Sentence
from jaxgan.system import checked_files, paths


class Experiment:
    """A finished experiment.

    Attributes:
        workdir: its folder.
        results: what `results.json` holds.
    """

    @named()
    def __init__(self, workdir: str | Path):
        self.workdir = Path(workdir)
        self.results = stored.read(self.workdir)

    @property
    def verdict(self) -> str:
        """*helps*, *hurts*, *no evidence*, ... ."""
        return self.results["verdict"]["word"]

    @property
    def sentence(self) -> str:
        """The verdict in a sentence."""
        return self.results["verdict"]["sentence"]

    @property
    def difference(self) -> float | None:
        """Of the verdict's two arms, as a share of the test images; None where an arm failed."""
        return self.results["verdict"]["difference"]

    @property
    def interval(self) -> tuple[float, float] | None:
        """That of the difference, at the config's level; None with too few seeds."""
        low, high = self.results["verdict"]["low"], self.results["verdict"]["high"]
        return None if low is None else (low, high)

    @property
    def arms(self) -> list[dict[str, Any]]:
        """A row for each arm: name, accuracy and its interval; `pandas.DataFrame(x.arms)`."""
        return [
            {"arm": name, "accuracy": arm["accuracy"], "low": arm["low"], "high": arm["high"]}
            for name, arm in self.results["arms"].items()
        ]

    @property
    def report(self) -> Path:
        """The file of the report."""
        return self.workdir / "report.html"

    @named()
    def classifier(self, arm: str = ensemble.BEST) -> Classifier:
        """Return all classifiers of an arm as one; by default of the one that validates best."""
        return Classifier(self.workdir, arm=arm)

    @property
    def next(self) -> list[Sentence]:
        """What is worth doing now: each a "sentence" and, where one helps, a "command"."""
        return self.results["next"]

    def generator(self, name: str) -> Generator:
        """Return the GAN of a class, or of all, then for that class; of the first fold.

        Raises:
            InputError: there is none of that name.
        """
        found: dict[str, str] = {}
        for one in self.results["generators"]:
            found.setdefault(one["class"], one["workdir"])
        if name not in found:
            raise InputError(f"there is a GAN of {', '.join(found) or 'no class'}, not of {name!r}")
        whole = Generator(self.workdir / found[name])
        one_of_all = whole.sampler.config.num_classes > 0
        return Generator(whole.workdir, label=name) if one_of_all else whole

    def __repr__(self) -> str:
        return f"Experiment({str(self.workdir)!r}: {self.sentence})"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{text(arm['arm'])}</td><td>{arm['accuracy']:.1%}</td></tr>"
            for arm in self.arms
        )
        return (
            f"<p><b>{text(self.verdict)}</b>: {text(self.sentence)}</p>"
            f"<table><tr><th>arm</th><th>accuracy</th></tr>{rows}</table>"
            f'<p><a href="{text(str(self.report))}">report</a></p>'
        )


class Comparison:
    """Generated images beside real ones.

    Attributes:
        result: what `evaluate.py --json` writes.
    """

    def __init__(self, result: dict[str, Any], pairs: Sequence[folders.Pair]):
        self.result, self._pairs = result, pairs

    @property
    def metrics(self) -> dict[str, float]:
        """The value of each metric."""
        return {name: one["value"] for name, one in self.result["metrics"].items()}

    def save(self, file: str | Path) -> None:
        """Write a page with all measures and the nearest pairs, like `jaxgan evaluate --html`."""
        paths.check_output(str(file))
        checked_files.write(epath.Path(file), report.page(self.result, self._pairs))

    def __repr__(self) -> str:
        return report.table(self.result)

    def _repr_html_(self) -> str:
        return f"<pre>{text(report.table(self.result))}</pre>"
