"""tinynet: a deep-learning framework small enough to read and fast enough to use.

>>> import tinynet
>>> x = tinynet.tensor([1.0, 2.0, 3.0], requires_grad=True)
>>> (x * x).sum().backward()
>>> x.grad
tensor([2., 4., 6.])

What is where: `tinynet.nn` (layers), `tinynet.nn.functional`, `tinynet.optim`, `tinynet.data`,
`tinynet.models`, `tinynet.training` (fit), `tinynet.kernels`; the operations are here, by name.
"""

from tinynet import start  # before NumPy, which takes longest

# isort: split

import importlib
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from tinynet import aliases, autograd, derivatives, errors, nn, random
from tinynet.autograd import differentiable
from tinynet.creation import *  # noqa: F403
from tinynet.creation import __all__ as _creation
from tinynet.derivatives import backward as _backward
from tinynet.derivatives import grad as _grad
from tinynet.devices import (
    accelerator,
    compile,
    cuda,
    device,
    finfo,
    get_default_dtype,
    mps,
    set_default_dtype,
    xpu,
)
from tinynet.errors import CheckpointError, DataError, OnnxError, OutOfMemoryError, ShapeError
from tinynet.function import Function as _Function
from tinynet.functions import *  # noqa: F403
from tinynet.functions import __all__ as _composed
from tinynet.grad_mode import (
    create_graph,
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from tinynet.gradcheck import gradcheck, gradcheck_model
from tinynet.kernels.threads import get_num_threads, set_num_threads
from tinynet.methods import OTHER_NAMES
from tinynet.nn.functional import *  # noqa: F403
from tinynet.nn.functional import __all__ as _functions
from tinynet.ops import *  # noqa: F403
from tinynet.ops import __all__ as _operations
from tinynet.random import Generator, manual_seed
from tinynet.tensor import Size, Tensor, bool_, float32, float64, int8, int16, int32, int64, uint8
from tinynet.version import __version__

__all__ = [
    "BoolTensor", "ByteTensor", "CheckpointError", "DataError", "DoubleTensor", "FloatTensor",
    "Generator", "IntTensor", "LongTensor", "OnnxError", "OutOfMemoryError", "ShapeError",
    "Size", "Tensor", "__version__", "accelerator", "autograd", "backends", "bool_", "compile",
    "concat", "concatenate", "create_graph", "cuda", "data", "detect_anomaly", "device",
    "differentiable", "distributions", "doctor", "enable_grad", "explain", "finfo", "float32",
    "float64", "func", "get_default_dtype", "get_num_threads", "grad", "gradcheck",
    "gradcheck_model", "hessian", "hvp", "iinfo", "inf", "inference_mode", "int8", "int16",
    "int32", "int64", "is_grad_enabled", "jacobian", "jvp", "linalg", "load", "manual_seed",
    "models", "mps", "nan", "nn", "no_grad", "onnx", "optim", "pi", "save", "set_default_dtype",
    "set_grad_enabled", "set_num_threads", "set_printoptions", "summary", "training", "uint8",
    "utils", "value_and_grad", "vision", "vjp", "xpu",
]  # fmt: skip
__all__ += _creation + _functions + _operations + _composed

# NaN and infinity come without a word, as in PyTorch, unless np.errstate or -W asks for one
_WORDS = "(divide by zero|invalid value|overflow) encountered"
warnings.filterwarnings("ignore", _WORDS, RuntimeWarning, r"tinynet\.", append=True)
start.listen()

# Other names of the same things, and numbers
concat = concatenate = cat  # noqa: F405
asarray = as_tensor  # noqa: F405
inf, nan, pi, e, newaxis = np.inf, np.nan, np.pi, np.e, None
iinfo, dtype, broadcast_shapes = np.iinfo, np.dtype, np.broadcast_shapes

# PyTorch's names of dtypes; none of them is in __all__, where they would hide Python's
float, double, int, short, long, bool = float32, float64, int32, int16, int64, bool_  # noqa: A001
float16 = half = np.dtype(np.float16)  # names to compare with: no tensor has these dtypes
bfloat16 = np.dtype([("bfloat16", np.uint16)])

# PyTorch's names for two things that stand above the graph
autograd.Function, autograd.grad = _Function, _grad  # type: ignore[attr-defined]
autograd.backward = _backward  # type: ignore[attr-defined]

_UNDER_AUTOGRAD = {
    "detect_anomaly": "anomaly",
    "set_detect_anomaly": "anomaly",
    "functional": "autograd.",
    "function": "",
    "gradcheck": "gradcheck.signatures",
    "gradgradcheck": "gradcheck.signatures",
    **dict.fromkeys(("enable_grad", "inference_mode", "no_grad", "set_grad_enabled"), "grad_mode"),
}
_UNDER_RANDOM = dict.fromkeys(("get_rng_state", "initial_seed", "set_rng_state"), "preamble")


def _complete(module: Any, elsewhere: dict[str, str]) -> None:
    """Give a module a few more names, as PyTorch's has them, which stand elsewhere."""

    def found(name: str) -> Any:
        if name not in elsewhere:
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
        return _named(elsewhere[name], name)

    module.__getattr__ = found


autograd.__path__ = derivatives.__path__  # where `tinynet.autograd.functional` is found
_complete(autograd, _UNDER_AUTOGRAD)
_complete(random, _UNDER_RANDOM)

if TYPE_CHECKING:  # isort: off
    from tinynet import (
        data, distributions, func, linalg, models, onnx, optim, training, utils, vision,
    )  # fmt: skip
    from tinynet.anomaly import detect_anomaly
    from tinynet.derivatives.transforms import (
        grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp,
    )  # fmt: skip
    from tinynet.legacy import (
        BoolTensor, ByteTensor, DoubleTensor, FloatTensor, IntTensor, LongTensor,
    )  # fmt: skip
    from tinynet.nn.summary import summary
    from tinynet.preamble import backends
    from tinynet.printing import set_printoptions
    from tinynet.teaching.doctor import doctor
    from tinynet.teaching.explain import explain
    from tinynet.training import load, save

_LATER = {
    "": (
        "amp", "data", "distributions", "func", "linalg", "models", "onnx", "optim",
        "return_types", "special", "training", "utils", "vision",
    ),
    "amp": ("autocast",),
    "anomaly": ("detect_anomaly",),
    "derivatives.transforms": (
        "grad", "hessian", "hvp", "jacobian", "jvp", "value_and_grad", "vjp",
    ),
    "legacy": (
        "BoolTensor", "ByteTensor", "DoubleTensor", "FloatTensor", "IntTensor", "LongTensor",
        "set_default_tensor_type", "svd", "typename",
    ),
    "linalg": (
        "chain_matmul", "cholesky", "cross", "det", "inverse", "logdet", "matrix_power", "pinverse",
        "slogdet",
    ),
    "func": ("vmap",),
    "nn.summary": ("summary",),
    "preamble": (
        "are_deterministic_algorithms_enabled", "backends", "channels_last", "contiguous_format",
        "distributed", "get_float32_matmul_precision", "get_rng_state", "initial_seed",
        "preserve_format", "set_default_device", "set_float32_matmul_precision",
        "set_num_interop_threads", "set_rng_state", "strided", "use_deterministic_algorithms",
    ),
    "printing": ("set_printoptions",),
    "special": ("digamma", "erfinv", "lgamma", "polygamma"),
    "teaching": ("doctor", "explain"),
    "training": ("load", "save"),
}  # fmt: skip
"""Names that are loaded when they are used, by the module that has them; "" are modules."""
_HOMES = {name: module for module, names in _LATER.items() for name in names}

_EXTRAS = ("sklearn",)
"""Modules that need an extra; dir() leaves them out, since who looks at all may not have it."""
_NOT_HERE = {
    **dict.fromkeys(("complex64", "complex128"), "floats are float32 and float64"),
    **aliases.NOT_HERE,
}
"""Names of PyTorch's that scripts use, and what to do without."""


def __getattr__(name: str) -> Any:
    """Load the parts that a program may not need when it first names them."""
    if name in OTHER_NAMES or (name.endswith("_") and name[:-1] in globals()):
        return getattr(Tensor, name)
    if name not in _HOMES and name not in _EXTRAS:
        raise errors.no_attribute("tinynet", name, __dir__(), _NOT_HERE.get(name, ""))
    return _named(_HOMES.get(name, ""), name)


def _named(where: str, name: str) -> Any:
    """What has a name in a module; the module of that name after a dot, or under tinynet itself."""
    if not where or where.endswith("."):
        return importlib.import_module(f"tinynet.{where}{name}")
    return getattr(importlib.import_module(f"tinynet.{where}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
