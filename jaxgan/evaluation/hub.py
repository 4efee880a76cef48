"""Runs, exports and samples to and from the Hugging Face hub (the extra `hub`)."""

import importlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jaxgan.config import loading as configs
from jaxgan.errors import InputError
from jaxgan.evaluation import export as classifiers
from jaxgan.metrics import networks
from jaxgan.sampling import cards, export, imagefolder, sample
from jaxgan.system import checked_files

REPO = re.compile(r"[\w][\w.\-]{0,95}/[\w][\w.\-]{0,95}", re.ASCII)
CARD = "model_card.md"  # Of an export; the hub shows README.md.
# What is fetched: nothing that anything here would run.
FILES = ["*.json", "*.jsonl", "*.md", "*.jax", "*.safetensors", "*.onnx", "*.png", "checkpoints/**"]
IMAGES = ["*.jsonl", "*.json", "*.md", "*.png", "*.jpg", "*.csv"]


def push(
    source: str,
    repo: str,
    *,
    public: bool = False,
    step: int | str | None = None,
    licence: str | None = None,
    data_licence: str | None = None,
    hub: Any = None,
) -> str:
    """Upload a run, an export or samples with metadata; private unless asked otherwise.

    Of a run go its config, its figures, one checkpoint and the export; paths of this machine stay.

    Args:
        source: the folder.
        repo: USER/NAME on the hub.
        public: whether everybody may see it.
        step: the checkpoint of a run.
        licence: of the weights, an identifier of the hub.
        data_licence: of the training images.
        hub: stands in for the package huggingface_hub.

    Returns:
        What was uploaded, and where.

    Raises:
        InputError: another folder, a malformed name, no package, or the hub refuses.
    """
    check_repo(repo)
    cards.check_licence(licence)
    folder = Path(source).expanduser()
    kind = _kind(folder)
    hub = hub or _package()
    of = "dataset" if kind == "samples" else "model"
    _check_links(folder)
    for name, value in {"step": step, "licence": licence, "data_licence": data_licence}.items():
        if value is not None and kind != "run":
            raise InputError(f"--{name} goes with a run, and {folder} holds {kind}")
    with tempfile.TemporaryDirectory() as place:
        staged = Path(place)
        if kind == "run":
            _stage_run(folder, staged, step, {"licence": licence, "data_licence": data_licence})
        else:
            for file in folder.iterdir():
                if file.is_file():
                    name = "README.md" if file.name == CARD else file.name
                    shutil.copyfile(file, staged / name)
        with _speaking(repo):
            url = hub.create_repo(repo, private=not public, repo_type=of, exist_ok=True)
            hub.upload_folder(
                repo_id=repo, folder_path=place, repo_type=of, commit_message=f"Upload a {kind}"
            )
        size = sum(file.stat().st_size for file in staged.rglob("*") if file.is_file())
    seen = "public" if public else "private, unless it was there and public"
    return f"{kind} of {size / 2**20:.1f} MiB: {url} ({seen})"


def pull(repo: str, out: str, *, dataset: bool = False, hub: Any = None) -> str:
    """Download what `push` uploaded into a new folder.

    Args:
        repo: USER/NAME on the hub.
        out: a folder that is new or empty.
        dataset: whether it holds samples.
        hub: stands in for the package huggingface_hub.

    Returns:
        What it is, and what to do with it.

    Raises:
        InputError: a folder that holds something, a malformed name, no package, or the hub refuses.
    """
    check_repo(repo)
    folder = Path(out).expanduser()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"--out must be a new or empty folder, got {out}")
    hub = hub or _package()
    with _speaking(repo):
        hub.snapshot_download(
            repo_id=repo,
            repo_type="dataset" if dataset else "model",
            local_dir=str(folder),
            allow_patterns=IMAGES if dataset else FILES,
        )
    if not (folder / "config.json").exists():
        return f"{out}: see its README.md"
    verb = "predict" if configs.read_claim(folder).model.name in configs.CLASSIFIERS else "sample"
    return f"a run: jaxgan {verb} {out}"


def check_repo(repo: str) -> None:
    """Raise InputError for what is no name of a repository."""
    if not REPO.fullmatch(repo):
        raise InputError(
            f"a repository must be USER/NAME, of letters, digits, - _ and ., got {repo!r}"
        )


def _kind(folder: Path) -> str:
    if not folder.is_dir():
        raise InputError(f"push takes a folder, and {folder} is none")
    if (folder / CARD).exists():
        return "export"
    if (folder / imagefolder.METADATA).exists():
        return "samples"
    if not (folder / "config.json").exists():
        raise InputError(
            f"push takes a run, what jaxgan export wrote, or samples with {imagefolder.METADATA} "
            f"(jaxgan sample RUN --out DIR --metadata), and {folder} is none of them"
        )
    if configs.is_experiment(configs.read_claim(folder)):
        raise InputError(
            f"push takes one run, and {folder} is an experiment's: jaxgan export {folder} --out DIR"
            " writes its best arm, and jaxgan push DIR uploads that"
        )
    return "run"


def _check_links(folder: Path) -> None:
    """Raise InputError for a link: in a folder of others it could name a file of yours."""
    for place, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            if os.path.islink(os.path.join(place, name)):
                raise InputError(f"what is uploaded must hold no links, and {place}/{name} is one")


def _stage_run(
    folder: Path, staged: Path, step: int | str | None, licences: dict[str, Any]
) -> None:
    """Copy what of a run is to be seen, and export it."""
    config = configs.read_claim(folder)
    if config.model.name in configs.CLASSIFIERS:
        if step not in (None, "best") and not str(step).isdecimal():
            raise InputError(f"--step must be the number of a checkpoint or best, got {step!r}")
        number = int(step) if step not in (None, "best") else None
        one = networks.load_classifier(folder, number)
        classifiers.run([one], folder, staged, **licences)
        taken = one.step
    else:
        sampler = sample.restore(folder, step)
        export.run(sampler, folder, staged, **licences)
        taken = sampler.step
    (staged / CARD).rename(staged / "README.md")
    checked_files.save(staged / "config.json", cards.published(config.given), indent=2)
    if about := cards.read_about(folder):
        about |= {"command": cards.short(about.get("command") or "")}
        checked_files.save(staged / "run.json", about, indent=2)
    for name in ("data.json", "metrics.jsonl"):
        if (folder / name).exists():
            shutil.copyfile(folder / name, staged / name)
    place = Path("checkpoints") / str(taken)
    shutil.copytree(folder / place, staged / place)
    if shown := sorted((folder / "samples").glob("*.png")):
        shutil.copyfile(shown[-1], staged / "samples.png")


@contextmanager
def _speaking(repo: str) -> Iterator[None]:
    """Put what the hub's package raises in one sentence."""
    try:
        yield
    except Exception as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        why = (lines or [type(error).__name__])[0].strip()[:200]
        raise InputError(f"the hub did not take or give {repo}: {why}") from error


def _package() -> Any:
    try:
        return importlib.import_module("huggingface_hub")
    except ImportError:
        raise InputError(
            "the hub needs a package: pip install 'jaxgan[hub]', then hf auth login"
        ) from None
