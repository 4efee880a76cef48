"""The area under the ROC curve equals scikit-learn's, one class against the rest."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from jaxgan.metrics.classification import auroc


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_equals_scikit_learn(classes: int) -> None:
    rng = np.random.default_rng(classes)
    labels = rng.integers(classes, size=300)
    p = rng.dirichlet(np.ones(classes), size=300) + 0.3 * np.eye(classes)[labels]
    p = (p / p.sum(1, keepdims=True)).round(2)  # With ties.
    theirs = [roc_auc_score(labels == i, p[:, i]) for i in range(classes)]
    assert auroc(p, labels) == pytest.approx(np.mean(theirs), abs=1e-12)
