"""Values that a setting should not have: one sentence, whatever they are."""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from absl import flags
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from ml_collections import ConfigDict, config_flags

from jaxgan.cli import command, complaints
from jaxgan.config import check_settings as declared
from jaxgan.config import combinations
from jaxgan.config import loading as configs
from jaxgan.errors import InputError

LONGER = int(os.environ.get("FUZZ", "1"))
FILES = sorted((Path(__file__).parents[2] / "configs").glob("*.py"))
CONFIGS = {str(file): configs.load(str(file)) for file in FILES}
KEYS = {file: sorted(configs.flat(config)) for file, config in CONFIGS.items()}
SHORT = settings(
    max_examples=100 * LONGER,
    phases=(Phase.generate, Phase.shrink),
    deadline=None,
    derandomize=LONGER == 1,
    database=None,
    suppress_health_check=list(HealthCheck),
)
NUMBERS = st.sampled_from(
    [0, -1, 1, 2, 1.5, 1e308, -1e308, 1e21, 1e-320, 10**9, 10**30, 10**400, 2**32, 2**63]
) | st.floats() | st.integers()  # fmt: skip
WORDS = st.sampled_from(
    [
        *("", "x", "None", "resnet", "wgan", "stylegan2", "toy", "~", "/dev/zero", "features"),
        *("1:2", "1:" + "9" * 5000, "9" * 400 + " epochs", "1e5 epochs", "0 kimg", "kid", "cosine"),
        *("add:9999999999x", "real@" + "9" * 5000, "pca:1e308x", "replace:2", "a\0b", "a" * 9999),
    ]
) | st.text(max_size=20)  # fmt: skip
PLAIN = NUMBERS | WORDS | st.booleans() | st.none()
VALUES = PLAIN | st.lists(PLAIN, max_size=5).map(tuple) | st.lists(PLAIN, max_size=3)
NAMES = WORDS.filter(lambda word: "." not in word)  # No ConfigDict has others.
VALUES |= st.dictionaries(NAMES, PLAIN, max_size=2).map(ConfigDict) | st.binary(max_size=3)


def check(config: ConfigDict) -> None:
    """As the scripts do before they read a picture."""
    declared.check(config)
    if configs.is_experiment(config):
        combinations.check_experiment(config)
    else:
        combinations.check_training(config)


def sentence(call: Callable[[], object]) -> str | None:
    """What the user is told; anything else than bad input is a traceback."""
    try:
        call()
    except (InputError, flags.Error) as error:
        return str(error)
    return None


def told(sentence: str | None) -> bool:
    return sentence is None or ("config" in sentence and len(sentence) < 12_000)


@SHORT
@given(data=st.data())
def test_any_value_of_any_setting(data: st.DataObject) -> None:
    """As a config file of the user's may set them."""
    file = data.draw(st.sampled_from(sorted(KEYS)))
    config = CONFIGS[file].copy_and_resolve_references()
    for key in data.draw(st.lists(st.sampled_from(KEYS[file]), min_size=1, max_size=2)):
        *path, last = key.split(".")
        section = config
        for part in path:
            section = section.get(part) if isinstance(section, ConfigDict) else None
        if isinstance(section, ConfigDict):
            with section.ignore_type(), section.unlocked():
                if data.draw(st.integers(0, 9)):
                    with suppress(OverflowError):  # Of ml_collections: 10**400 for a float.
                        section[last] = data.draw(VALUES)
                elif last in section:
                    del section[last]
    assert told(sentence(lambda: check(config)))


@pytest.mark.filterwarnings("ignore:the load_module")  # Of ml_collections.
@SHORT
@given(data=st.data())
def test_any_text_behind_a_flag(data: st.DataObject) -> None:
    """As the command line sets them: parsed, with what `command` makes of it."""
    file = data.draw(st.sampled_from(sorted(KEYS)))
    text = WORDS | NUMBERS.map(repr) | VALUES.map(str)
    text |= st.sampled_from(
        ["{}", "[]", "()", "(1,", "(None,)", "(inf,)", "\u0661", "0x1", "\udcff"]
    )
    keys = data.draw(st.lists(st.sampled_from(KEYS[file]), min_size=1, max_size=2))
    argv = ["x.py", f"--config={file}", *(f"--config.{key}={data.draw(text)}" for key in keys)]
    values = flags.FlagValues()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "FLAGS", values)
        config_flags.DEFINE_config_file("config", flag_values=values)
        flags.DEFINE_string("workdir", None, "", flag_values=values)
        assert told(sentence(lambda: check(parsed(values, argv, patch))))


def parsed(values: flags.FlagValues, argv: list[str], patch: pytest.MonkeyPatch) -> ConfigDict:
    config = command._check_overrides(argv)
    known = configs.flat(config) if config is not None else {}
    argv = [command._with_tuple(known, argument) for argument in argv]
    patch.setattr(sys, "argv", argv)  # There ml_collections looks for overrides.
    try:
        values(argv)
    except flags.IllegalFlagValueError as error:
        raise complaints.wrong_type(config, error) from error
    return command.read_config()[0]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_setting_is_declared(file: Path) -> None:
    for test in (False, True):
        config = configs.load(str(file), test=test)
        parts = {"": config}
        if configs.is_experiment(config):
            parts |= {"gan.": config.gan, "classifier.": config.classifier}
        for prefix, part in parts.items():
            known = declared.EXPERIMENT
            if "model" in part:
                known = declared.PCA
            if "model" in part and part.model.name != "pca":
                known = declared.TRAINING | declared.OF_MODEL[part.model.name]
            if "vision" in part:
                known = known | declared.VISION
            names = {key for key in configs.flat(part) if key.split(".")[0] not in configs.STAGES}
            sections = {key.rpartition(".")[0] for key in names}
            assert names - sections <= set(known), prefix
