"""What goes on inside a model: kernels of the first layer, feature maps, and Grad-CAM."""

import contextlib
from typing import Any, NamedTuple

import numpy as np

from tinynet.autograd import wrap
from tinynet.derivatives import grad
from tinynet.grad_mode import enable_grad
from tinynet.nn import Module
from tinynet.nn.modes import evaluating
from tinynet.nn.shapes import title
from tinynet.tensor import Tensor

SMALLEST = 4  # rows of a map that still say where something is


class Insight(NamedTuple):
    """What a model made of one image: the maps (C, H, W) of its first and a late layer, each with
    the layer's path and class.

    heat: Grad-CAM (H, W) of the class that it takes the image for, from 0 to 1.
    """

    first: tuple[str, np.ndarray]
    late: tuple[str, np.ndarray]
    heat: np.ndarray


def first_kernels(model: Module) -> tuple[str, np.ndarray] | None:
    """The name and the weights (O, C, KH, KW) of the first convolution, if there is one."""
    for path, module in model.named_modules():
        weight = getattr(module, "weight", None)
        if isinstance(weight, Tensor) and weight.ndim == 4:
            return f"{path} {title(module)}".strip(), weight.array
    return None


def look_inside(model: Module, x: np.ndarray) -> list[Insight]:
    """The maps of each image of (N, C, H, W), and where the evidence for its class lies.

    Grad-CAM (Selvaraju et al. 2017, "Grad-CAM: visual explanations from deep networks via
    gradient-based localization"): of the last layer whose maps A are not too small, each weighted
    by the mean of the gradient of the class's score s, and what is positive of the sum,

        heat = relu(sum over c of mean(ds/dA_c) A_c).

    Empty for a model without maps, or whose output is no scores (N, K).
    """
    seen: list[tuple[str, Tensor]] = []

    def note(module: Module, args: tuple[Any, ...], output: Any) -> None:
        if isinstance(output, Tensor) and output.ndim == 4 and min(output.shape[2:]) > 1:
            seen.append((f"{names[id(module)]} {title(module)}".strip(), output))

    names = {id(module): path for path, module in model.named_modules()}
    leaves = [m for m in model.modules() if next(m.children(), None) is None]
    images = wrap(x)
    images.requires_grad = True  # so that frozen layers are recorded too
    with contextlib.ExitStack() as hooks, evaluating(model), enable_grad():
        for module in leaves:
            hooks.enter_context(module.register_forward_hook(note))
        scores = model(images)
    if not seen or not isinstance(scores, Tensor) or scores.ndim != 2:
        return []
    first, late = seen[0], [e for e in seen if min(e[1].shape[2:]) >= SMALLEST or e is seen[0]][-1]
    maps = late[1].array  # (N, C, H, W)
    highest = np.zeros_like(scores.array)
    highest[np.arange(len(x)), scores.array.argmax(1)] = 1
    (slope,) = grad(scores, late[1], wrap(highest), allow_unused=True)
    weight = np.zeros((1, 1, 1, 1)) if slope is None else slope.array.mean((2, 3), keepdims=True)
    heat = np.maximum((weight * maps).sum(1), 0)  # (N, H, W)
    heat /= np.maximum(heat.max((1, 2), keepdims=True), 1e-30)
    return [
        Insight((first[0], first[1].array[n]), (late[0], maps[n]), heat[n]) for n in range(len(x))
    ]
