"""Typed configs hold what the user's have; nothing writes to them, JSON does not change."""

import dataclasses
import json
from pathlib import Path

import pytest
from ml_collections import ConfigDict

from jaxgan.config import check_settings, settings, typed
from jaxgan.config import loading as configs
from jaxgan.config.typed import parse
from jaxgan.errors import InputError

CONFIGS = sorted(Path(__file__).parents[2].glob("configs/*.py"))
TWINS = {file.stem: configs.load(str(file), test=True) for file in CONFIGS}


def assert_same(given: ConfigDict, made: object) -> None:
    for name, value in given.items():
        found = getattr(made, name)
        if isinstance(value, ConfigDict):
            assert_same(value, found)
        else:
            assert found == value, name


@pytest.mark.parametrize("name", TWINS)
def test_every_value_is_there_and_json_has_the_same_bytes(name: str) -> None:
    given = TWINS[name]
    made = typed.parse(given)
    assert_same(given, made)
    assert json.dumps(made.given) == given.to_json()
    assert typed.parse(made) is made


@pytest.mark.parametrize("name", ["quickstart", "stylegan2_ada64", "vgg16_small", "pca64"])
def test_nothing_writes_to_one(name: str) -> None:
    made = typed.parse(TWINS[name])
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.seed = 5
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.data.path = "elsewhere"


def test_changed_makes_another_one() -> None:
    made = typed.parse(TWINS["quickstart"])
    new = {"seed": 7, "gan.data.classes": ("dog",), "classifier.train.steps": 9}
    other = made.changed(new)
    assert (other.seed, other.gan.data.classes, other.classifier.train.steps) == (7, ("dog",), 9)
    assert made.seed == 0 and made.gan.data.classes == ("cat",)
    whole = TWINS["quickstart"].copy_and_resolve_references()
    whole.update_from_flattened_dict(new)
    assert other.given == parse(whole).given
    assert made.changed({}) == made


def test_older_configs_have_what_was_before_a_setting() -> None:
    old = TWINS["dcgan64"].copy_and_resolve_references()
    del old.evaluate, old.vision, old.data.layout, old.train.steps_per_call
    made = typed.parse(old)
    assert made.vision is None and made.evaluate.every == 0 and made.evaluate.best == ""
    assert (made.data.layout, made.data.rule, made.train.steps_per_call) == ("auto", "auto", 1)
    assert made.given == parse(old).given


def test_a_model_that_there_is_not_is_named() -> None:
    with pytest.raises(InputError, match=r"model.name must be one of wgan, .*, got 'vae'"):
        typed.read_given({"model": {"name": "vae"}})


def test_a_section_declares_what_is_checked() -> None:
    assert check_settings.TRAINING["train.batch_size"].most == 2**20
    assert check_settings.OF_MODEL["wgan"]["loss.r1"] is check_settings.OF_MODEL["dcgan"]["loss.r1"]
    assert settings.Train(kimg=2.0).steps is None  # All of them have a default.
    assert not any(name.startswith("vision") for name in check_settings.OF_MODEL["dcgan"])
