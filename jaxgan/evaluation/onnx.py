"""A classifier as an ONNX file, by jax2onnx where that is installed.

No extra of the package names jax2onnx: its versions up to 0.17 ask for an older Orbax than the
checkpoints are written with. Its converter does without Orbax; docs/deploy.md has the command.
"""

import importlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from etils import epath
from jaxtyping import Array

from jaxgan.system import checked_files
from jaxgan.types import InputError

FILE = "classifier.onnx"
HOW = "pip install --no-deps jax2onnx onnx onnx-ir onnxscript sympy mpmath einops equinox dm-pix"
HOW += " wadler-lindig onnxruntime"
CLOSE = 1e-4  # How far probabilities may lie apart.


def check() -> None:
    """Raise InputError where jax2onnx cannot be imported."""
    try:
        importlib.import_module("jax2onnx")
    except ImportError as error:
        raise InputError(f"--onnx needs a package ({error}): {HOW}") from None


def write(
    probabilities: Any, weights: Mapping[str, Array | np.ndarray], side: int, out: epath.PathLike
) -> str:
    """Write `classifier.onnx`: uint8 [1, side, side, 3] -> probabilities [1, k].

    Its batch is 1: the converter's padding takes no unknown one.

    Args:
        probabilities: see `evaluation.export.say`.
        weights: its first argument, which become a part of the file.
        side: of the images, in pixels.
        out: the folder.

    Returns:
        A sentence on how near onnxruntime comes to JAX.

    Raises:
        InputError: no jax2onnx, it cannot convert this classifier, or what it makes is wrong.
    """
    check()
    from jax2onnx import to_onnx  # type: ignore[import-not-found]

    image = np.random.default_rng(0).integers(0, 256, (1, side, side, 3), np.uint8)
    expected = np.asarray(probabilities(weights, image))
    jax.clear_caches()  # The converter traces anew, with primitives of its own.
    try:
        made = to_onnx(
            lambda images: probabilities(weights, images),
            [jax.ShapeDtypeStruct(image.shape, image.dtype)],
        ).SerializeToString()
    except Exception as error:  # Of any kind: whatever a primitive's conversion meets.
        why = (str(error).strip() or type(error).__name__).splitlines()[0][:150]
        raise InputError(f"--onnx: jax2onnx cannot convert this classifier ({why})") from error
    finally:
        jax.clear_caches()
    file = epath.Path(out) / FILE
    checked_files.write(file, made)
    try:
        runtime = importlib.import_module("onnxruntime")
    except ImportError:
        return f"{FILE}: not checked, as onnxruntime is not installed"
    options = runtime.SessionOptions()
    options.log_severity_level = 3  # It warns of shapes that the converter notes too loosely.
    session = runtime.InferenceSession(made, options, providers=["CPUExecutionProvider"])
    found = session.run(None, {session.get_inputs()[0].name: image})[0]
    apart = float(np.abs(found - expected).max())
    if not apart <= CLOSE:
        file.unlink()
        raise InputError(f"--onnx: probabilities must be those of JAX, and lie {apart:.2g} apart")
    return f"{FILE}: within {apart:.1g} of JAX on onnxruntime {runtime.__version__}"
