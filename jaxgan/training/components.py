"""Principal components: found at once, in the folder of a run like a GAN's."""

import json
import logging
import time
from typing import Any

import jax
import jax.numpy as jnp
from etils import epath

from jaxgan.config import loading as configs
from jaxgan.config.inputs import open_source
from jaxgan.config.model_settings import PCAModel
from jaxgan.config.typed import PCA
from jaxgan.data import class_counts, given_splits
from jaxgan.data.dataset import Dataset
from jaxgan.engine.checkpoint import Checkpoints, has_checkpoints
from jaxgan.engine.log import Log, grid
from jaxgan.engine.provenance import environment
from jaxgan.errors import InputError
from jaxgan.models import pca
from jaxgan.steps.state import GANState, Net
from jaxgan.system import lock


def fit_components(config: PCA, workdir: epath.PathLike) -> None:
    """Find the principal components of a config's images; `workdir` then holds a run like a GAN's.

    Raises:
        InputError: a folder that will not do, or that another process works in; too few images for
            the components, or images that are all alike.
    """
    if jax.process_count() > 1:
        raise InputError(f"principal components need one process, got {jax.process_count()}")
    source, said = given_splits.to_learn_from(open_source(config.data, config.seed))
    print("\n".join([said] * bool(said) + class_counts.lines(source)), flush=True)
    folder, about = epath.Path(workdir), class_counts.describe_data(source)
    if (folder / "config.json").exists():  # Their number was found before.
        before: PCA = configs.read_claim(folder)
        configs.claim(folder, config.changed({"model.latent_dim": before.model.latent_dim}))
        configs.claim_data(folder, about["fingerprint"], data=about)
        if _are_there(folder):
            return
    clock = time.perf_counter()
    fit = pca.fit(source, config.model.components, config.model.mirror)
    seconds = time.perf_counter() - clock
    with lock.held(folder):  # Not before: what was refused leaves no folder.
        config = config.changed({"model.latent_dim": len(fit.variances)})
        configs.claim(folder, config)
        configs.claim_data(folder, about["fingerprint"], data=about)
        if not _are_there(folder):  # Of another process, meanwhile.
            _write(config.model, config.given, source, folder, fit, seconds, about)


def _are_there(folder: epath.Path) -> bool:
    if there := has_checkpoints(folder):
        logging.getLogger("jaxgan").warning("the components of %s are there already", folder)
    return there


def _write(
    model: PCAModel,
    values: dict[str, Any],
    source: Dataset,
    folder: epath.Path,
    fit: pca.Fit,
    seconds: float,
    about: dict[str, Any],
) -> None:
    with Log(folder) as log, Checkpoints(folder) as checkpoints:
        (folder / "run.json").write_text(
            json.dumps(environment() | {"data": about}, indent=2) + "\n"
        )
        count, rest = len(fit.variances), float(fit.noise[0]) * (fit.mean.size - len(fit.variances))
        share = float(fit.variances.sum()) / (float(fit.variances.sum()) + rest)
        rule = "under which images left out are likeliest"
        if model.components is not None:
            rule = f"by model.components={model.components:g}"
        taken = min(len(source), pca.MOST)
        log.line(
            f"{count:,} components of {taken:,} of {len(source):,} images at {source.resolution} "
            f"px{', and their mirrors' * model.mirror}, {rule}: they hold {share:.1%} of "
            f"the variance; {seconds:.1f} s"
        )
        log.metrics(1, {"components": count, "variance_share": share})
        images = pca.draw(fit, range(36 if source.resolution <= 128 else 16), model.shrink)
        log.image(1, "samples", grid(images))
        nothing = Net({}, {}, ())
        state = GANState(jnp.int32(1), nothing, nothing, {"params": fit._asdict()})
        checkpoints.save(1, state, values, {"next_index": 0})
        checkpoints.wait()
