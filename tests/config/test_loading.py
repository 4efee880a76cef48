import ast
from pathlib import Path

import pytest
from ml_collections import ConfigDict

from jaxgan.cli import command
from jaxgan.config import combinations
from jaxgan.config import loading as configs
from jaxgan.errors import FileError
from jaxgan.system import checked_files
from jaxgan.types import InputError

ROOT = Path(__file__).parents[2]
CONFIGS = sorted(Path(__file__).parents[2].glob("configs/*.py"))


def check(config: ConfigDict) -> None:
    if configs.is_experiment(config):
        combinations.check_experiment(config)
    else:
        combinations.check_training(config)


@pytest.mark.parametrize("file", CONFIGS, ids=lambda f: f.stem)
@pytest.mark.parametrize("test", [False, True], ids=["full", "twin"])
def test_every_config_and_its_twin_are_valid(file: Path, test: bool) -> None:
    check(configs.load(str(file), test=test))


@pytest.mark.parametrize("file", CONFIGS, ids=lambda f: f.stem)
def test_every_config_says_how_to_run_it(file: Path) -> None:
    docstring = file.read_text().split('"""')[1]
    assert f"--config configs/{file.name}" in docstring


def gan(name: str, **changes) -> ConfigDict:
    config = configs.load(str(CONFIGS[0].with_name(f"{name}.py")))
    config.update_from_flattened_dict(changes)
    return config


def wgan(**changes) -> ConfigDict:
    return gan("wgan512", **changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data.resolution": 48}, "power of two from 16 to 1024, got 48"),
        ({"parallel": "mpi"}, "one of auto, jit, pmap, zero, fsdp, got 'mpi'"),
        ({"precision": "float8"}, "one of float32, bf16, got 'float8'"),
        ({"train.batch_size": 0}, "config.train.batch_size must be above 0, got 0"),
        ({"train.ema_decay": 1.0}, r"within \[0, 1\), got 1.0"),
        ({"optim.critic.learning_rate": -1.0}, "learning_rate must be above 0, got -1.0"),
        ({"loss.name": "sinkhorn"}, "one of wasserstein, non_saturating, .*, got 'sinkhorn'"),
        (
            {"model.name": "vae"},
            "one of wgan, dcgan, .*, googlenet, resnet, vgg16, got 'vae'",
        ),
        ({"train.epochs": None}, "one of config.train.steps, epochs and kimg must be set, got 0"),
        ({"data.crop": "oval"}, "one of center, stretch, got 'oval'"),
        ({"data.normalise": "median"}, "one of range, statistics, got 'median'"),
        ({"loss.real_labels": (0.8, 1.2)}, r"a range .* within \[0, 1\], got \(0.8, 1.2\)"),
        ({"loss.real_labels": (-0.1, 1.0)}, r"within \[0, 1\], got \(-0.1, 1.0\)"),
        ({"loss.real_labels": (0.9, 0.7)}, r"\(low, high\) within \[0, 1\], got \(0.9, 0.7\)"),
        ({"loss.real_labels": (0.9,)}, r"real_labels must be 2 numbers, got \(0.9,\)"),
        ({"loss.targets": (0.0, 1.0)}, r"targets must be 3 numbers, got \(0.0, 1.0\)"),
        ({"loss.flipped": 1.1}, r"flipped must be within \[0, 1\], got 1.1"),
        ({"loss.gradient_penalty": -1.0}, "gradient_penalty must not be negative, got -1.0"),
        ({"loss.r1": -0.5}, "r1 must not be negative, got -0.5"),
        ({"augment.policy": ("flip", "mixup")}, "flip, color, .*, bgcfn, bgcfnc, got 'mixup'"),
        ({"augment.p": 1.1}, r"augment.p must be within \[0, 1\], got 1.1"),
        ({"augment.noise": -0.1}, "augment.noise must not be negative, got -0.1"),
        ({"augment.noise_until": "soon"}, "noise_until must be a number of steps.*, got 'soon'"),
        ({"optim.critic.name": "sgd"}, "one of adam, rmsprop, got 'sgd'"),
        ({"optim.generator.schedule": "step"}, "constant, cosine, .*, got 'step'"),
        ({"optim.critic.schedule": "cosine"}, "t_max must be set with schedule=cosine, got None"),
        ({"optim.critic.t_max": "0 epochs"}, "t_max must be above 0, got '0 epochs'"),
        ({"optim.critic.warmup": "5 hours"}, "warmup must be a number of .*, got '5 hours'"),
        ({"optim.critic.final": -1e-4}, "final must not be negative, got -0.0001"),
        ({"optim.critic.clip": 0.0}, "clip must be above 0, got 0.0"),
        ({"train.n_critic": 0}, "n_critic must be above 0, got 0"),
        ({"train.boost.first": -1}, "boost.first must not be negative, got -1"),
        (
            {"train.boost.every": 500, "train.boost.n_critic": 7},
            r"boost.n_critic must be a multiple of config.train.n_critic \(5\), got 7",
        ),
        ({"train.on_collapse": "pray"}, "one of warn, stop, rollback, got 'pray'"),
        ({"train.rollbacks": -1}, "rollbacks must not be negative, got -1"),
        ({"train.min_diversity": 1.0}, r"min_diversity must be within \[0, 1\), got 1.0"),
        (
            {"train.on_collapse": "rollback", "train.checkpoint_every": 750},
            r"must be a multiple of config.train.sample_every \(500\) .*, got 750",
        ),
        (
            {"train.on_collapse": "rollback", "train.checkpoint_minutes": 5.0},
            r"checkpoint_minutes must be None with on_collapse=rollback, .*, got 5.0",
        ),
        ({"train.checkpoint_minutes": 0.0}, "checkpoint_minutes must be above 0, got 0.0"),
        ({"train.steps_per_call": 0}, "steps_per_call must be within|steps_per_call must be above"),
        ({"train.all_reduce": "fp8"}, "all_reduce must be one of float32, bf16, got 'fp8'"),
        ({"train.all_reduce": "bf16"}, "all_reduce must be float32 but with .*parallel=pmap"),
    ],
)
def test_bad_values_are_named(changes: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        combinations.check_training(wgan(**changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data.resolution": 96}, "power of two from 16 to 1024, got 96"),
        ({"model.dropout": (0.1, 1.0)}, r"model.dropout must be within \[0, 1\), got 1.0"),
        ({"model.generator_dropout": -0.1}, r"generator_dropout must be within \[0, 1\), got -0.1"),
        ({"model.slope": -0.2}, "slope must not be negative, got -0.2"),
        ({"loss.gradient_penalty": 10.0}, r"gradient_penalty must be 0 .*model.norm=False.*got 10"),
        ({"loss.r1": 1.0}, r"r1 must be 0 where .* has batch normalisation.*, got 1.0"),
        ({"loss.r2": 1.0}, r"r2 must be 0 where .* has batch normalisation.*, got 1.0"),
    ],
)
def test_bad_values_of_a_dcgan_are_named(changes: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        combinations.check_training(gan("dcgan64_paper", **changes))


@pytest.mark.parametrize("change", ["model.norm", "model.selu"])
def test_penalties_are_for_discriminators_without_batch_normalisation(change: str) -> None:
    combinations.check_training(gan("dcgan64", **{change: change == "model.selu", "loss.r1": 1.0}))


@pytest.mark.parametrize("file", CONFIGS, ids=lambda f: f.stem)
def test_the_same_keys_in_every_gans_config(file: Path) -> None:
    """wgan512, dcgan64_paper and stylegan2_ada128 list them all; a model's section is its own."""
    for test in (False, True):
        config = configs.load(str(file), test=test)
        own: set[str] = set()
        if configs.is_experiment(config):
            config, own = config.gan, {"retrain"}  # How many of it: the experiment's matter.
        if config.model.name not in configs.GANS:
            continue
        full = {"wgan": "wgan512", "dcgan": "dcgan64_paper", "projected": "refined64"}
        full["drifting"] = "drifted64"
        full |= {"stylegan2": "stylegan2_ada128", "fastgan": "fastgan256"}
        assert set(configs.flat(config)) == set(configs.flat(gan(full[config.model.name]))) | own
        if config.model.name in ("projected", "drifting", "stylegan2"):  # Steps of their own.
            continue
        mine, theirs = (
            {key for key in configs.flat(one) if not key.startswith("model.")}
            for one in (config, wgan())
        )
        assert mine == theirs | own


def test_bad_experiments_are_named() -> None:
    config = configs.load(str(CONFIGS[0].with_name("quickstart.py")))
    for changes, words in [
        ({"verdict.primary": ("add", "copies")}, "two different arms"),
        ({"arms": ("real", "magic")}, "must be one of real"),
        ({"seeds": (1, 1)}, "different whole numbers"),
        ({"data.split": (0.5, 0.5, 0.5)}, "add up to 1"),
        ({"replace.share": 1.5}, "replace.share must be within"),
    ]:
        bad = config.copy_and_resolve_references()
        bad.update_from_flattened_dict(changes)
        with pytest.raises(InputError, match=words):
            combinations.check_experiment(bad)


def test_the_nearest_name_is_suggested() -> None:
    with pytest.raises(InputError, match=r"did you mean config\.train\.batch_size"):
        configs.check_names(configs.flat(wgan()), ["train.batchsize"])
    with pytest.raises(InputError, match=r"did you mean config\.train\.n_critic"):
        configs.check_names(configs.flat(wgan()), ["n_critic"])


def test_load_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must be a file.*did you mean .*wgan512\.py"):
        configs.load(str(CONFIGS[0].with_name("wgan521.py")))
    with pytest.raises(InputError, match="cat or dog, got bird"):
        configs.load(str(CONFIGS[0].with_name("wgan512.py")) + ":bird")
    with pytest.raises(InputError, match="takes no argument"):
        configs.load(str(CONFIGS[0].with_name("googlenet.py")) + ":cat")
    empty = tmp_path / "empty.py"
    empty.write_text("x = 1\n")
    with pytest.raises(InputError, match="must define get_config"):
        configs.load(str(empty))


def test_the_argument_chooses_the_class() -> None:
    file = str(CONFIGS[0].with_name("wgan512.py"))
    assert configs.load(file).data.classes == ("cat",)
    assert configs.load(f"{file}:dog").data.classes == ("dog",)


@pytest.mark.parametrize(
    ("set_", "steps"), [({"steps": 7}, 7), ({"epochs": 2.0}, 20), ({"kimg": 0.5}, 50)]
)
def test_the_three_lengths(set_: dict, steps: int) -> None:
    train = ConfigDict({"steps": None, "epochs": None, "kimg": None} | set_)
    assert configs.total_steps(train, images=100, images_a_step=10) == steps


def test_the_command_line_wins_over_the_configs_length() -> None:
    train = ConfigDict({"steps": 5, "epochs": 130.0, "kimg": None})
    configs.settle_length(train, ["train.steps"], "train.")
    assert (train.steps, train.epochs) == (5, None)
    with pytest.raises(InputError, match="set one of"):
        configs.settle_length(train, ["train.steps", "train.kimg"], "train.")


def test_a_workdir_belongs_to_one_config(tmp_path: Path) -> None:
    configs.claim(tmp_path, wgan())
    configs.claim(tmp_path, wgan())
    configs.claim(tmp_path, wgan(**{"train.log_every": 1}))  # May change.
    with pytest.raises(InputError, match=r"train\.batch_size is 64 there and 32 here"):
        configs.claim(tmp_path, wgan(**{"train.batch_size": 32}))
    assert configs.read_claim(tmp_path).train.batch_size == 64
    with pytest.raises(InputError, match=r"config\.json"):
        configs.read_claim(tmp_path / "elsewhere")


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("", "seed", float("nan")),
        ("train", "batch_size", "64"),
        ("model", "latent_dim", None),
        ("data", "classes", ["a", 1]),
        ("", "data", []),
        ("", "model", "wgan"),
    ],
)
def test_a_stored_config_holds_what_a_setting_may_be(tmp_path, section, name, value) -> None:
    configs.claim(tmp_path, wgan())
    given = checked_files.load(tmp_path / "config.json", "")
    (given[section] if section else given)[name] = value
    checked_files.save(tmp_path / "config.json", given)
    with pytest.raises(InputError, match=name):
        configs.read_claim(tmp_path)


def test_a_stored_config_may_lack_settings_and_name_paths_of_elsewhere(tmp_path: Path) -> None:
    configs.claim(tmp_path, wgan())
    given = checked_files.load(tmp_path / "config.json", "")
    del given["train"]["log_every"]
    given["data"]["path"] = "~nosuchuser/pets"
    checked_files.save(tmp_path / "config.json", given)
    assert configs.read_claim(tmp_path).data.path == "~nosuchuser/pets"


def test_a_begun_run_must_have_what_it_began_with(tmp_path: Path) -> None:
    configs.claim(tmp_path, wgan())
    configs.claim_data(tmp_path, "1234")
    (tmp_path / "metrics.jsonl").write_text("")
    file, data = tmp_path / "config.json", tmp_path / "data.json"
    for text in (file.read_text().replace("64", "65", 1), "null", "[]", file.read_text()[:50]):
        whole = file.read_text()
        file.write_text(text)
        for read in (lambda: configs.claim(tmp_path, wgan()), lambda: configs.read_claim(tmp_path)):
            with pytest.raises(FileError, match=rf"{file} must be .*delete {tmp_path} "):
                read()
        file.write_text(whole)
    data.write_text(data.read_text().replace("1", "2", 1))
    with pytest.raises(FileError, match=rf"{data} .*was changed"):
        configs.claim_data(tmp_path, "2234")
    data.unlink()
    with pytest.raises(FileError, match=rf"{data} must be there"):
        configs.claim_data(tmp_path, "1234")
    file.unlink()
    with pytest.raises(FileError, match=rf"{file} must be there"):
        configs.claim(tmp_path, wgan())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optim.weight_decay": 0.1, "optim.name": "adam"}, "weight_decay must be 0 with adam"),
        ({"optim.schedule": "linear"}, "schedule must be one of constant, cosine, got 'linear'"),
        ({"optim.warmup": 1.0}, r"warmup must be within \[0, 1\), got 1.0"),
        ({"optim.frozen": ("conv1", "inception9")}, "conv1, fc, layer1_0, .*got 'inception9'"),
        ({"train.ema_decay": 1.0}, r"ema_decay must be within \[0, 1\), got 1.0"),
        ({"train.cutmix": 1.0, "train.batch_size": 5}, "must be even with cutmix, got 5"),
        ({"train.feature_noise": 0.1}, "feature_noise must be 0 where the trunk learns"),
        (
            {"train.cutmix": 1.0, "optim.trunk": 0.0, "model.pretrained": "imagenet"},
            "cutmix must be 0 with a frozen trunk",
        ),
        ({"model.stem": "large"}, "stem must be one of imagenet, strided, cifar, got 'large'"),
        ({"model.blocks": (2, 2)}, r"blocks must be 4 numbers, got \(2, 2\)"),
    ],
)
def test_senseless_values_of_a_classifier(changes: dict, message: str) -> None:
    config = configs.load(str(CONFIGS[0].with_name("resnet.py")))
    config.update_from_flattened_dict(changes)
    with pytest.raises(InputError, match=message):
        check(config)


def test_layers_that_may_be_frozen() -> None:
    config = configs.load(str(CONFIGS[0].with_name("resnet.py")))
    for start in ("conv", "layer1", "layer2_0/conv1"):
        config.optim.frozen = (start,)
        check(config)


@pytest.mark.parametrize(
    ("flag", "name", "value"),
    [
        ("--config.seeds=5", "seeds", (0, 1, 2, 3, 4)),
        ("--config.seeds=3,7", "seeds", (3, 7)),
        ("--config.arms=real,add", "arms", ("real", "add")),
        ("--config.arms=('real','add')", "arms", ("real", "add")),
    ],
)
def test_short_forms_of_seeds_and_arms(flag, name, value) -> None:
    config = configs.load(str(ROOT / "configs" / "quickstart.py"))
    told, _, text = command._with_tuple(configs.flat(config), flag).partition("=")
    assert told == f"--config.{name}" and ast.literal_eval(text) == value


@pytest.mark.parametrize(
    ("name", "set_instead"),
    [
        ("gan.data.crop", "data.crop"),
        ("classifier.data.split", "data.split"),
        ("gan.parallel", "parallel"),
    ],
)
def test_what_an_experiment_overwrites_is_refused(name, set_instead) -> None:
    words = rf"config\.{name} follows config\.{set_instead} here: set that one"
    with pytest.raises(InputError, match=words):
        configs.check_inherited([name])
    configs.check_inherited([set_instead])
