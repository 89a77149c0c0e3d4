"""The operations under PyTorch's names: `import tinynet.nn.functional as F`.

Each function takes PyTorch's argument names. Most call the operation of `tinynet.ops` that does
the work, where formulas and gradients stand; what is a composition of operations is written here.
`tinynet.relu` is `F.relu`, and so on. Inputs, targets and weights are Tensors or ndarrays.
"""

from typing import Any

from tinynet.errors import no_attribute
from tinynet.nn.functional import activation, dropouts, image, loss, norm, vectors, windows
from tinynet.nn.functional.activation import *  # noqa: F403
from tinynet.nn.functional.dropouts import *  # noqa: F403
from tinynet.nn.functional.image import *  # noqa: F403
from tinynet.nn.functional.loss import *  # noqa: F403
from tinynet.nn.functional.norm import *  # noqa: F403
from tinynet.nn.functional.vectors import *  # noqa: F403
from tinynet.nn.functional.windows import *  # noqa: F403

__all__ = [
    *activation.__all__, *dropouts.__all__, *image.__all__, *loss.__all__, *norm.__all__,
    *vectors.__all__, *windows.__all__,
]  # fmt: skip


def __getattr__(name: str) -> Any:
    lacks = {"attention": "attention", "multi_head": "attention", "ctc": "losses of sequences"}
    kind = next((lacks[part] for part in lacks if part in name), None)
    why = f"tinynet is for small convolutional nets, and has no {kind}" if kind else ""
    raise no_attribute(__name__, name, __all__, why)
