"""Network files as the published StyleGAN2-ADA tool writes them, without it and without PyTorch.

Stand-ins take the places of the functions and classes that such a file names, while it is pickled.
"""

import io
import pickle
import struct
import sys
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import numpy as np

from jaxgan.weights import stylegan2_ada
from jaxgan.weights.torch_files import MAGIC

Nets = dict[str, dict[str, np.ndarray]]  # By "G", "D" and "G_ema", and by published names.


class EasyDict(dict):
    """A dict whose values are attributes, too."""


class FloatStorage:
    """Of `dnnlib`'s tensors: where their numbers are."""


def _reconstruct_persistent_obj(meta: dict) -> None: ...
def _rebuild_parameter(data: object, requires_grad: bool, hooks: dict) -> None: ...
def _rebuild_tensor_v2(*about: object) -> None: ...
def _load_from_bytes(content: bytes) -> None: ...


PLACES = {
    "torch_utils.persistence": [_reconstruct_persistent_obj],
    "dnnlib.util": [EasyDict],
    "torch": [FloatStorage],
    "torch._utils": [_rebuild_parameter, _rebuild_tensor_v2],
    "torch.storage": [_load_from_bytes],
}


@contextmanager
def places(*names: str) -> Iterator[None]:
    """The stand-ins, or those of some modules, can be imported from where files say they are."""
    names = names or tuple(PLACES)
    packages = {name.split(".")[0] for name in names} | set(names)
    before = {name: sys.modules.get(name) for name in packages}
    sys.modules |= {name: ModuleType(name) for name in packages}
    for name in names:
        for thing in PLACES[name]:
            thing.__module__, thing.__qualname__ = name, thing.__name__
            setattr(sys.modules[name], thing.__name__, thing)
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


class Storage:
    """The numbers of a tensor: pickled as a file of PyTorch's older format, in bytes."""

    def __init__(self, array: np.ndarray):
        self.array = np.ascontiguousarray(array, np.float32)

    def __reduce__(self) -> tuple:
        file = io.BytesIO()
        sizes = {"short": 2, "int": 4, "long": 4}
        about = {"protocol_version": 1001, "little_endian": True, "type_sizes": sizes}
        for part in (MAGIC, 1001, about):
            pickle.dump(part, file, protocol=2)

        storage, place = self, ("storage", FloatStorage, "94000", "cuda:0", self.array.size, None)

        class Pickler(pickle.Pickler):
            def persistent_id(self, thing: object) -> tuple | None:
                return place if thing is storage else None

        Pickler(file, protocol=2).dump(self)
        pickle.dump(["94000"], file, protocol=2)
        file.write(struct.pack("<q", self.array.size) + self.array.tobytes())
        return _load_from_bytes, (file.getvalue(),)


class Tensor:
    def __init__(self, array: np.ndarray):
        self.array = array

    def __reduce__(self) -> tuple:
        shape = self.array.shape
        strides = tuple(int(np.prod(shape[i + 1 :])) for i in range(len(shape)))
        about = (Storage(self.array), 0, shape, strides, False, OrderedDict())
        return _rebuild_tensor_v2, about


class Parameter(Tensor):
    def __reduce__(self) -> tuple:
        return _rebuild_parameter, (Tensor(self.array), True, OrderedDict())


class Module:
    """A network or a layer."""

    def __init__(self, name: str, **state: object):
        self.name = name
        empty = ("_parameters", "_buffers", "_modules", "_backward_hooks", "_forward_hooks")
        self.state = {
            "training": False,
            **{kind: OrderedDict() for kind in empty},
            "_non_persistent_buffers_set": set(),
            "_init_args": (),
            "_init_kwargs": EasyDict(),
            **state,
        }

    def __reduce__(self) -> tuple:
        source = "import os\nos.system('touch ran')\n"  # It is never run.
        meta = EasyDict(type="class", version=6, module_src=source, class_name=self.name)
        meta["state"] = self.state
        return _reconstruct_persistent_obj, (meta,)


BUFFERS = ("resample_filter", "noise_const", "w_avg")


def module(arrays: dict[str, np.ndarray], clamp: float | None, group_size: int = 4) -> Module:
    """A network of these arrays."""
    top = Module("Network", c_dim=0, img_channels=3, w_dim=512)
    for name, array in arrays.items():
        *path, last = name.split(".")
        here = top
        for part in path:
            bound = None if part in ("skip", "affine") else clamp
            there = Module("Layer", activation="lrelu", act_gain=np.float64(np.sqrt(2)), up=1)
            if part.startswith(("conv", "torgb", "fromrgb", "skip", "L")):
                there.state["conv_clamp"] = bound
            here = here.state["_modules"].setdefault(part, there)
        kind, wrap = ("_buffers", Tensor) if last in BUFFERS else ("_parameters", Parameter)
        here.state[kind][last] = wrap(array)
    if "b4" in top.state["_modules"]:
        deviation = Module("MinibatchStdLayer", group_size=group_size, num_channels=1)
        top.state["_modules"]["b4"].state["_modules"]["mbstd"] = deviation
    return top


def network_file(
    nets: Nets, protocol: int = 3, clamp: float | None = 256.0, group_size: int = 4
) -> bytes:
    """The file of these networks, as Python 3.7 (protocol 3) or 3.8 (4) writes it."""
    pipe = Module("AugmentPipe")
    pipe.state["_buffers"]["p"] = Tensor(np.full((), 0.25, np.float32))
    kwargs = EasyDict(class_name="training.dataset.ImageFolderDataset", max_size=600, xflip=False)
    content: dict[str, object] = {name: module(nets[name], clamp, group_size) for name in nets}
    content |= {"augment_pipe": pipe, "training_set_kwargs": kwargs}
    with places():
        made = pickle.dumps(content, protocol)
    # What numpy called its own before its version 2.
    return made.replace(b"cnumpy._core.", b"cnumpy.core.") if protocol == 3 else made


def random_nets(variables: dict[str, dict], seed: int = 0) -> Nets:
    """Networks of standard normal numbers, by published names.

    Args:
        variables: of "G" and "D", as `stylegan2_ada.to_published` takes them; their shapes alone
            count.
        seed: of the numbers.
    """
    rng = np.random.default_rng(seed)
    nets = {}
    for net in stylegan2_ada.NETS:
        shapes = stylegan2_ada.to_published(variables[net[0]], net)
        nets[net] = {
            name: array if name.endswith("resample_filter") else rng.standard_normal(array.shape)
            for name, array in shapes.items()
        }
        # Noise that is seen, and no more; averages of w that are near it.
        for name, array in nets[net].items():
            if name.endswith(("noise_strength", "bias", "w_avg")):
                array = array * 0.1 + (name.endswith("affine.bias"))
            elif name.startswith("mapping.fc"):
                array = array * 100  # They learn a hundredth as fast.
            nets[net][name] = np.asarray(array, np.float32)
    return nets
