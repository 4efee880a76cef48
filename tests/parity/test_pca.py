"""Principal components equal scikit-learn's."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from jaxgan.models import pca


class Pictures:
    """A source of one class, in memory."""

    def __init__(self, images: np.ndarray):
        self.images, self.resolution = images, images.shape[1]
        self.classes, self.labels = ("cat",), np.zeros(len(images), np.int32)
        self.names = tuple(f"{i}.png" for i in range(len(images)))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict:
        return {"image": self.images[index], "label": self.labels[index]}


@pytest.mark.parametrize("mirror", [False, True])
def test_equals_scikit_learn(mirror: bool) -> None:
    rng = np.random.default_rng(0)
    scale = rng.uniform(1, 30, (16, 16, 1))
    images = np.clip(128 + scale * rng.normal(size=(30, 16, 16, 3)), 0, 255).astype(np.uint8)
    fit = pca.fit(Pictures(images), 12, mirror)
    turned = images[:, :, ::-1]
    x = (np.concatenate([images, turned]) if mirror else images).reshape(-1, 16 * 16 * 3)
    theirs = PCA(12, svd_solver="full").fit(x.astype(np.float64))
    np.testing.assert_allclose(fit.mean.ravel(), theirs.mean_, rtol=1e-5)
    np.testing.assert_allclose(fit.variances, theirs.explained_variance_, rtol=1e-5)
    ours = fit.components.reshape(12, -1)
    signs = np.sign((ours * theirs.components_).sum(1, keepdims=True))
    np.testing.assert_allclose(ours * signs, theirs.components_, atol=1e-5)
