"""Files that PyTorch writes are read without it, to the last bit."""

from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from jaxgan.types import InputError
from jaxgan.weights.torch_files import load, read_weights

KINDS = "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool complex64 complex128"
NEW = "uint16 uint32 float8_e4m3fn float8_e5m2"  # Not in files of before 1.6.


def tree(kinds: str) -> OrderedDict:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    found = net.state_dict()  # With attributes.
    values = torch.randn(3, 4)
    for kind in kinds.split():
        found[kind] = (4 * values).abs().to(getattr(torch, kind))
    found["transposed"] = values.t()
    found["part"] = values[1:, ::2]
    found["the same"] = values[0, 0].expand(2, 5)
    found["number"] = torch.tensor(3.0)
    found["none"] = torch.empty(0, 3)
    found["parameter"] = torch.nn.Parameter(values)
    return found


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("wrapped", [False, True])
def test_all_kinds_of_tensors(tmp_path: Path, older: bool, wrapped: bool) -> None:
    want = tree(KINDS if older else f"{KINDS} {NEW}")
    content = {"epoch": 3, "state_dict": want, "best": 0.5} if wrapped else want
    file = tmp_path / "weights.pt"
    torch.save(content, file, _use_new_zipfile_serialization=not older)
    got = read_weights(file)
    assert list(got) == list(want)
    for name, tensor in want.items():
        assert got[name].shape == tuple(tensor.shape)
        assert f"torch.{got[name].dtype}" == str(tensor.dtype)
        wide = torch.complex128 if tensor.is_complex() else torch.float64
        numbers = tensor.detach().to(wide).numpy()
        np.testing.assert_array_equal(got[name].astype(numbers.dtype), numbers)


def test_plain_pickles(tmp_path: Path) -> None:
    """As StyleGAN2-ADA's files are."""
    import pickle

    want = tree(KINDS)
    got = load(pickle.dumps({"G": want}), "x")["G"]
    for name in ("float32", "transposed", "part", "parameter"):
        np.testing.assert_array_equal(got[name].array(), want[name].detach().numpy())


def test_modules_are_refused(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "net.pth")
    with pytest.raises(InputError, match=r"needs no torch\.nn\.modules\.linear\.Linear"):
        read_weights(tmp_path / "net.pth")
