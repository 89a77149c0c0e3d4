"""Where PyTorch's import statements lead: `from tinynet.nn.modules.batchnorm import _BatchNorm`.

One table says where the thing stands here, another what is not here and what to do without. What
is not here may be imported, since many scripts import more than they use; using it raises.
"""

import importlib
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_HERE = {
    "autograd.function": "function", "autograd.gradcheck": "gradcheck",
    "autograd.grad_mode": "grad_mode", "autograd.variable": "autograd",
    **{f"distributions.{name}": "distributions" for name in (
        "bernoulli", "categorical", "distribution", "kl", "normal",
    )},
    "backends": "preamble:backends", "backends.cuda": "preamble:backends.cuda",
    "backends.cudnn": "preamble:backends.cudnn", "backends.mps": "preamble:backends.mps",
    "cuda": "devices:cuda", "cuda.amp": "amp", "distributed": "preamble:distributed",
    **{f"distributions.{name}": "distributions" for name in (
        "bernoulli", "categorical", "distribution", "kl", "normal",
    )},
    "nn.parallel.distributed": "nn.parallel", "types": "preamble",
    "nn.utils.stateless": "func", "utils.checkpoint": "preamble",
    "utils.data._utils": "utils.data", "utils.data._utils.collate": "utils.data.collate",
    "utils.data.distributed": "utils.data.sampler", "vision.models.resnet": "vision.models",
    "vision.models.vgg": "vision.models",
    **{f"nn.modules.{name}": "nn.modules" for name in (
        "activation", "batchnorm", "container", "conv", "distance", "dropout", "flatten", "fold",
        "instancenorm", "linear", "loss", "module", "normalization", "padding", "pixelshuffle",
        "pooling", "sparse", "upsampling",
    )},
}  # fmt: skip
"""Paths of PyTorch's modules, and where what is in them stands: in a module, or a part of one."""

_WEIGHTS = "weights come from files, model.load_state_dict(tinynet.load(path))"
NOT_HERE = {
    "hub": _WEIGHTS, "utils.model_zoo": _WEIGHTS,
    "fft": "numpy.fft has Fourier transforms",
    "jit": "a model runs as it is, and tinynet.onnx writes it for other programs",
    "multiprocessing": "operations share out their work among threads by themselves",
    "nn.utils.parametrize": "weight_norm and spectral_norm are in nn.utils.parametrizations",
    "profiler": "use cProfile, Python's own", "autograd.profiler": "use cProfile, Python's own",
    "sparse": "tensors are dense", "vision.ops": "layers are in nn, functions in nn.functional",
    "utils.tensorboard": "training.fit returns a history of losses and metrics, and `tinynet "
    "report RUN` draws them",
}  # fmt: skip
"""Modules of PyTorch's that scripts import, and what to do without."""


class Missing:
    """What a script may import, with all that it has: calling it raises NotImplementedError."""

    __path__, __spec__ = (), None

    def __init__(self, name: str, advice: str) -> None:
        self._name, self._advice = name, advice

    def __getattr__(self, name: str) -> "Missing":
        if name.startswith("__"):
            raise AttributeError(name)
        return Missing(f"{self._name}.{name}", self._advice)

    def __call__(self, *args: Any, **settings: Any) -> Any:
        raise NotImplementedError(f"tinynet has no {self._name}: {self._advice}")


class _Finder:
    """Python's import asks it first: the paths of the two tables are its modules."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        own, _, inner = name.partition(".")
        known = own == "tinynet" and (inner in _HERE or inner in NOT_HERE)
        return ModuleSpec(name, self, is_package=True) if known else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        """None: an empty module, as Python makes it."""

    def exec_module(self, module: ModuleType) -> None:
        """Put what stands here, or a stand-in, in the place of the empty module."""
        inner = module.__name__.partition(".")[2]
        where, _, parts = _HERE.get(inner, "").partition(":")
        found: Any = importlib.import_module(f"tinynet.{where}") if where else None
        for part in parts.split(".") if parts else ():
            found = getattr(found, part)
        sys.modules[module.__name__] = found or Missing(inner, NOT_HERE[inner])  # type: ignore[assignment]


sys.meta_path.insert(0, _Finder())  # type: ignore[arg-type]
