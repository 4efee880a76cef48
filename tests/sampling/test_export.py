import io
import json
import re
from pathlib import Path

import jax
import numpy as np
import pytest
import safetensors.numpy

from jaxgan import recipes
from jaxgan.config import loading as configs
from jaxgan.config.typed import parse
from jaxgan.engine.checkpoint import Checkpoints
from jaxgan.sampling import export, sample
from jaxgan.sampling.stylegan2 import Style

CONFIGS = Path(__file__).parents[2] / "configs"
# A config of each kind of generator.
GANS = ("wgan512", "dcgan64_paper", "dcgan128_selu", "stylegan2_ada128")


def made(name: str, folder: Path, classes: tuple[str, ...] = ()) -> Path:
    """A run with a checkpoint of random weights; with classes, of a network that is told them."""
    workdir = folder / "run"
    config = configs.load(str(CONFIGS / f"{name}.py"), test=True)
    if classes:
        with config.unlocked():
            config.model.conditional, config.data.classes = True, classes
    configs.claim(workdir, config)
    with Checkpoints(workdir) as checkpoints:
        state = recipes.build(config).init(jax.random.key(3))
        checkpoints.save(7, state, parse(config).given, {})
    return workdir


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return made("dcgan64_paper", tmp_path_factory.mktemp("export"))


def python(card: str) -> str:
    """The five lines that the card tells."""
    (code,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    assert len(code.splitlines()) == 5
    return code


@pytest.mark.parametrize("name", GANS)
def test_an_export_draws_what_sample_draws(name: str, tmp_path: Path, monkeypatch) -> None:
    of_style = name.startswith("stylegan2")
    run = made(name, tmp_path, ("cat", "dog") if of_style else ())
    sampler = sample.restore(run)
    export.run(sampler, run, tmp_path)
    card = (tmp_path / "model_card.md").read_text()
    monkeypatch.chdir(tmp_path)
    values: dict = {}
    exec(python(card), values)  # As somebody would who has the three files alone.
    size = sampler.config.data.resolution
    assert values["images"].shape == (8, size, size, 3) and values["images"].dtype == np.uint8
    assert set(values["sampler"].platforms) == {"cpu", "cuda", "tpu"}
    seeds = range(8)
    z = sampler.latents(seeds)
    more = [np.float32(1), np.arange(8, dtype=np.int32) % 2] if of_style else []
    found = np.asarray(values["sampler"].call(values["weights"], z, *more))
    expected = np.stack(list(sample.images(sampler, seeds, 8)))
    difference = np.abs(found.astype(int) - expected)
    assert difference.max() <= 1 and difference.mean() < 0.01
    if name == GANS[0]:  # Any number of pictures.
        np.testing.assert_array_equal(values["sampler"].call(values["weights"], z[:1]), found[:1])
    if of_style:  # Any truncation.
        style = Style(0.3)
        truncated = sample.Sampler.of(sampler.config, sampler.variables, style=style)
        more[0] = np.float32(0.3)
        found = np.asarray(values["sampler"].call(values["weights"], z, *more)).astype(int)
        assert np.abs(found - np.stack(list(sample.images(truncated, seeds, 8)))).max() <= 1


def test_a_program_says_not_where_code_lies(run: Path) -> None:
    sampler = sample.restore(run)
    program = bytes(export.program(sampler, export.flat(sampler.variables)).serialize())
    folders = {str(Path(file).parent) for file in (__file__, export.__file__, jax.__file__)}
    assert not [folder for folder in folders if folder.encode() in program]
    assert b"site-packages" not in program and b"export.py" in program


def test_weights_are_those_of_the_checkpoint(run: Path) -> None:
    variables = sample.restore(run).variables
    again = safetensors.numpy.load(safetensors.numpy.save(export.flat(variables)))
    leaves = jax.tree_util.tree_leaves_with_path(variables)
    assert len(leaves) == len(again)
    for path, leaf in leaves:
        name = "/".join(entry.key for entry in path)
        assert again[name].tobytes() == np.asarray(leaf).tobytes()


def test_the_card_says_what_the_run_knows(run: Path) -> None:
    about = {
        "command": "scripts/train.py --config=a|b",
        "started": "2026-11-24",
        "versions": {"jax": "0.10.2"},
        "devices": ["cpu cpu"],
        "data": {"fingerprint": "f1f1", "counts": {"cat": 1234}},
    }
    (run / "run.json").write_text(json.dumps(about))
    rows = [
        {"step": 5, "diversity": 0.25},
        {"step": 7, "diversity": 0.5},
        {"step": 9, "much_later": 1.0},
    ]
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (run / "distances.json").write_text(json.dumps({"frechet": 12.5}))
    card = export.card(sample.restore(run), run, "CC0")
    for text in ("f1f1", "1,234 of cat", "CC0", "| diversity | 0.5 | 7 |", '"frechet": 12.5'):
        assert text in card
    assert "much_later" not in card and "a\\|b" in card
    (config,) = re.findall(r"## Config\n\n```json\n(.*?)```", card, re.DOTALL)
    given, said = sample.restore(run).config.given, json.load(io.StringIO(config))
    said["data"]["path"] = given["data"]["path"]  # Only the folder's name is published.
    assert said == given


def test_the_card_says_what_it_does_not_know(run: Path) -> None:
    for name in ("run.json", "metrics.jsonl", "distances.json"):
        (run / name).unlink(missing_ok=True)
    card = export.card(sample.restore(run), run)
    assert "fingerprint | not known" in card and "licence | not stated" in card
    assert "jaxgan evaluate REAL GENERATED" in card
