"""The network of FID against a PyTorch module with random weights."""

import hashlib
from functools import partial

import jax
import numpy as np
import pytest
import torch
from torch.nn import functional
from vision import models

from jaxgan.metrics import networks
from jaxgan.metrics.features import extract

blocks = models.inception
REST = ("AuxLogits", "avgpool", "dropout", "fc")


@pytest.fixture(scope="module")
def theirs():
    """torchvision's layers; what FID's differ in is in `look`."""
    torch.manual_seed(0)
    net = models.Inception3(1008, aux_logits=False, init_weights=False).eval()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.2)
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
        elif isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
    return net


def look(net, x, monkeypatch):
    means = partial(functional.avg_pool2d, count_include_pad=False)
    for name, module in net.named_children():
        if name in REST:
            continue
        pool = functional.max_pool2d if name == "Mixed_7c" else means
        with monkeypatch.context() as patch, torch.no_grad():
            patch.setattr(blocks.F, "avg_pool2d", pool)
            x = module(x)
    features = x.mean(dim=(2, 3))
    return features.numpy(), net.fc(features).detach().numpy()


def test_features_and_logits(theirs, tmp_path, monkeypatch):
    """From a file of the published one's format, that of before PyTorch 1.6, to the features."""
    images = np.random.default_rng(0).integers(0, 256, (3, 299, 299, 3), np.uint8)
    images[1] = images[1, :1, :1]  # Flat.
    x = (images.astype(np.float32) - 128) / 128
    want = look(theirs, torch.from_numpy(x.transpose(0, 3, 1, 2).copy()), monkeypatch)
    file = tmp_path / "inception.pth"
    torch.save(theirs.state_dict(), file, _use_new_zipfile_serialization=False)
    monkeypatch.setattr(networks, "CHECKSUM", hashlib.sha256(file.read_bytes()).hexdigest())
    net = networks.inception(str(file))
    features = extract(net, images)
    got = features, features @ net.head + net.weights["fc"]["bias"]
    for ours, reference in zip(got, want, strict=True):
        assert ours.shape == reference.shape and ours.dtype == np.float32
        for one, other in zip(ours, reference, strict=True):
            assert np.linalg.norm(one - other) <= 1e-4 * np.linalg.norm(other)
    count = sum(x.size for x in jax.tree.leaves(net.weights))
    folded = sum(m.num_features for m in theirs.modules() if isinstance(m, torch.nn.BatchNorm2d))
    assert count == sum(p.numel() for p in theirs.parameters()) - folded
