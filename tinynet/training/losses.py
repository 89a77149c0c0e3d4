"""Losses by name, and what the outputs of a model mean that was trained with one.

| loss | an output is |
|---|---|
| cross_entropy, nll | the score of a class, of which softmax makes probabilities |
| bce_with_logits | a score by itself, of which the sigmoid makes a probability |
| bce | a probability by itself |
| any other | a number, such as a price |

A single output for bce is the probability of the second of two classes.
"""

import functools
import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tinynet import nn
from tinynet.autograd import wrap
from tinynet.errors import CheckpointError, unknown_name
from tinynet.nn import functional as F
from tinynet.tensor import Tensor

LOSSES: dict[str, tuple[Callable[..., Tensor], type[nn.Module]]] = {
    "cross_entropy": (F.cross_entropy, nn.CrossEntropyLoss),
    "ce": (F.cross_entropy, nn.CrossEntropyLoss),
    "nll": (F.nll_loss, nn.NLLLoss),
    "mse": (F.mse_loss, nn.MSELoss),
    "mae": (F.l1_loss, nn.L1Loss),
    "l1": (F.l1_loss, nn.L1Loss),
    "smooth_l1": (F.smooth_l1_loss, nn.SmoothL1Loss),
    "huber": (F.huber_loss, nn.HuberLoss),
    "bce": (F.binary_cross_entropy, nn.BCELoss),
    "bce_with_logits": (F.binary_cross_entropy_with_logits, nn.BCEWithLogitsLoss),
}
"""A function by each name, and the layer that is the same."""

OF_CLASSES, BINARY = ("cross_entropy", "nll"), ("bce", "bce_with_logits")


def as_loss(loss: Any) -> Any:
    """The loss of a name; any other loss as it is. Raises ValueError for an unknown name."""
    if str(getattr(loss, "__module__", "")).split(".")[0] == "torch":
        name = getattr(loss, "__name__", type(loss).__name__)
        raise TypeError(f"the loss {name} is PyTorch's, for its own tensors: take tinynet's")
    if not isinstance(loss, str):
        return loss
    if loss not in LOSSES:
        raise unknown_name("loss", loss, LOSSES)
    return LOSSES[loss][0]


def name_of(loss: Any) -> str | None:
    """The first name in LOSSES of a loss; None for one that is not there."""
    loss = getattr(loss, "func", loss)  # of a functools.partial
    for name, (function, layer) in LOSSES.items():
        if loss is function or isinstance(loss, layer):
            return name
    return None


def settings_of(loss: Any) -> dict[str, Any]:
    """The settings of a loss of ours that are not the usual ones, as numbers, texts and lists."""
    if (name := name_of(loss)) is None:
        return {}
    usual = {k: p.default for k, p in inspect.signature(LOSSES[name][0]).parameters.items()}
    given = getattr(loss, "keywords", None) or {k: getattr(loss, k, None) for k in usual}
    numbers = {k: v.tolist() if hasattr(v, "tolist") else v for k, v in given.items()}
    return {k: v for k, v in numbers.items() if v is not None and v != usual.get(k, v)}


def with_settings(name: str, settings: Mapping[str, Any] | None) -> Callable[..., Tensor]:
    """The loss of this name with such settings."""
    given = dict(settings or {})
    made = {k: wrap(np.asarray(v, np.float32)) for k, v in given.items() if isinstance(v, list)}
    return functools.partial(as_loss(name), **{**given, **made})


def are_numbers(loss: str) -> bool:
    """Whether a model of this loss predicts numbers, and no classes."""
    return loss not in (*OF_CLASSES, *BINARY)


def probabilities_of(outputs: np.ndarray, loss: str) -> np.ndarray:
    """The probability of each class (N, K, ...). Raises CheckpointError for numbers."""
    if are_numbers(loss):
        raise CheckpointError(
            f"the model was trained with the loss {loss}: it predicts numbers and has no "
            "probabilities; training.predict(model, x) gives the numbers"
        )
    if loss in OF_CLASSES:
        probabilities: np.ndarray = F.softmax(wrap(outputs), 1).array
        return probabilities
    each = outputs if loss == "bce" else F.sigmoid(wrap(outputs)).array
    each = each[:, None] if each.ndim == 1 else each
    return np.concatenate([1 - each, each], axis=1) if each.shape[1] == 1 else each


def watched(loss: Any) -> Any:
    """The loss; one of the user's that warns at its first batch if it compares each output with
    every target, as it happens of (N, 1) and (N,): it is the same once targets change places.
    """
    if name_of(loss) is not None:
        return loss
    first = iter([True])

    @functools.wraps(loss)
    def watching(output: Any, target: Any) -> Any:
        cost = loss(output, target)
        shapes = sorted(tuple(x.shape) for x in (output, target) if isinstance(x, Tensor))
        if next(first, False) and len(shapes) == 2 and shapes[1] == (*shapes[0], 1):
            x, t = output.array, target.array
            moved = loss(wrap(x), wrap(np.roll(t, 1, axis=0)))
            if np.ptp(x) > 0 < np.ptp(t) and np.allclose(moved.array, cost.array, 1e-5):
                warnings.warn(
                    "fit: the loss compares each output with every target, for they have the "
                    f"shapes {x.shape} and {t.shape}: give it target.reshape(output.shape)",
                    stacklevel=2,
                )
        return cost

    return watching


def fitted(output: Any, target: Any, loss: Any) -> Any:
    """The target in the shape that a loss of ours compares with the output.

    What differs by a last axis of one alone means the same: numbers (N,) for a single output
    (N, 1), or the other way round, and a column (N, 1) of labels. So do labels and one-hot rows of
    integers or bools. All else stays as it is.
    """
    name = name_of(loss)
    if name is None or not isinstance(output, Tensor) or not isinstance(target, Tensor):
        return target
    wanted, shape = tuple(output.shape), tuple(target.shape)
    if name in OF_CLASSES and wanted == shape and target.ndim == 2:  # one-hot rows, or none
        ones, is_whole = target.array == 1, target.array.dtype.kind in "iub"
        is_one_hot = is_whole and ((target.array != 0).sum(1) == 1).all() and ones.any(1).all()
        return wrap(ones.argmax(1)) if is_one_hot else target
    if name in OF_CLASSES and target.array.dtype.kind in "iu":
        wanted = wanted[:1] + wanted[2:]
    return target.reshape(wanted) if (*shape, 1) == wanted or shape == (*wanted, 1) else target


def as_scores(output: Tensor, target: Tensor, loss: str | None) -> tuple[Tensor, Tensor]:
    """Scores (N, 2, ...) and labels (N, ...) of a single output for bce, of one (N,) or (N, 1), or
    of a map (N, 1, H, W); all others as they are.
    """
    x, t = output.array, target.array
    x = x[:, None] if x.ndim == 1 else x  # (N, 1, ...)
    if loss not in BINARY or x.shape[1] != 1 or x.size != t.size:
        return output, target
    tiny = np.finfo(x.dtype).tiny
    scores = np.log(np.maximum(probabilities_of(x, loss), tiny))
    return wrap(scores), wrap((t.reshape(len(x), *x.shape[2:]) > 0.5).astype(np.int64))
