"""A section of a config that its model does not read is refused, and not ignored."""

import pytest
from ml_collections import ConfigDict

from jaxgan.config import check_settings, loading
from jaxgan.errors import InputError


@pytest.mark.parametrize(
    ("name", "section"),
    [("pca64", "vision"), ("resnet", "vision"), ("resnet", "loss"), ("dcgan64", "evalute")],
)
def test_a_section_that_nothing_reads_is_refused(name: str, section: str) -> None:
    config = loading.load(name)
    with config.unlocked():
        config[section] = ConfigDict({"backbone": "vgg16"})
    with pytest.raises(InputError, match=f"config.{section} must not be set: model.name="):
        check_settings.check(config)


def test_every_config_reads_its_sections() -> None:
    for name in loading.known():
        check_settings.check(loading.load(name))
