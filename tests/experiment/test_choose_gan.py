"""The GAN of `--gan`: chosen by the side of what the classifier sees, the device and weights."""

import jax
import pytest

import jaxgan
from jaxgan.config import loading
from jaxgan.errors import InputError
from jaxgan.experiment.design import choose_gan
from jaxgan.models import backbones


@pytest.mark.parametrize(
    ("side", "device", "spec", "resolution"),
    [
        (32, "cpu", "drifted32", 32),
        (48, "cpu", "drifted64", 64),
        (128, "cpu", "drifted128", 128),
        (250, "cpu", "drifted128", 128),
        (250, "gpu", "drifted128", 256),
        (64, "tpu", "drifted64", 64),
    ],
)
def test_generated_images_are_as_large_as_what_the_classifier_sees(side, device, spec, resolution):
    found, values = choose_gan.choose(side, device)
    gan = loading.load(found)
    gan.update_from_flattened_dict(values)
    assert (found, gan.data.resolution) == (spec, resolution)


@pytest.mark.parametrize("installed", [True, False])
def test_random_features_serve_where_weights_are_missing_and_that_is_said(monkeypatch, installed):
    monkeypatch.setattr(backbones, "available", lambda name: installed)
    gan, line = choose_gan.load("auto", 32, 3)
    assert gan.model.backbone == ("vgg16" if installed else "random")
    assert ("pip install" in line) != installed
    assert jax.default_backend() in line
    assert gan.retrain == 3


def test_a_named_gan_takes_the_place_of_the_configs_own():
    gan, line = choose_gan.load("meowgan64", 32, 1)
    assert gan.model.name == "dcgan"
    assert "meowgan64" in line


@pytest.mark.parametrize("name", ["resnet", "quickstart", "pca64", "meowgan46"])
def test_what_is_no_gan_is_refused(name):
    with pytest.raises(InputError, match=r"--gan must name a GAN|did you mean meowgan64"):
        choose_gan.load(name, 32, 1)


@pytest.mark.parametrize("name", ["auto", "meowgan64"])
def test_a_config_of_one_network_has_no_gan_to_be_replaced(name, tmp_path):
    with pytest.raises(InputError, match="this config trains one network"):
        jaxgan.experiment("toy", config="resnet", gan=name, workdir=tmp_path / "run")
