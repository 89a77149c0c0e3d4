"""From examples to a batch: what is alike in each example is stacked, by PyTorch's rules."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinynet import ops
from tinynet.autograd import wrap
from tinynet.errors import ShapeError
from tinynet.tensor import Tensor

TEXT, NUMBERS, ARRAYS = (str, bytes), (bool, int, float, np.generic), (Tensor, np.ndarray)
KINDS: tuple[Any, ...] = (TEXT, NUMBERS, ARRAYS, Mapping, (tuple, list))


def default_collate(batch: Sequence[Any]) -> Any:
    """A batch of examples that are built alike, as one example whose leaves have a batch axis.

    | an example, or a part of it | the batch |
    |---|---|
    | tensor, array | a tensor (B, ...) of the same dtype |
    | int, float, bool | a tensor (B,) of int64, float64, bool |
    | text, bytes | a list or tuple of them |
    | dict | a dict, collated entry by entry |
    | namedtuple | such a namedtuple, collated part by part |
    | tuple, list | a list, collated part by part |

    Raises ShapeError for parts that differ in shape, length or keys, and TypeError for other
    things, such as PIL images; both name the part.

    >>> default_collate([(np.zeros(2), 0), (np.ones(2), 1)])
    [tensor([[0., 0.],
            [1., 1.]], dtype=tinynet.float64), tensor([0, 1])]
    """
    return _collated(list(batch), "")


def default_convert(example: Any) -> Any:
    """One example, or a batch of arrays, with tensors that share memory where arrays were."""
    if isinstance(example, (np.ndarray, np.generic)) and example.dtype.kind in "fiub":
        return wrap(example)
    if isinstance(example, Mapping):
        return {key: default_convert(value) for key, value in example.items()}
    if isinstance(example, (tuple, list)):
        parts = [default_convert(part) for part in example]
        return type(example)(*parts) if hasattr(example, "_fields") else parts
    return example


def _collated(parts: Sequence[Any], where: str) -> Any:
    """The parts at one place of the examples as a batch. where: the place, for messages."""
    first = parts[0]
    kind = next((kind for kind in KINDS if isinstance(first, kind)), None)
    if kind is None:
        raise _no_batch(first, where)
    for part in parts:
        if not isinstance(part, kind):
            names = f"{type(first).__name__} and {type(part).__name__}"
            raise TypeError(f"cannot collate {_place(where)}: they are {names}; return one kind")
    if kind is TEXT:
        return parts
    if kind is NUMBERS:
        return _tensor(np.asarray(parts), first, where)
    if kind is ARRAYS:
        _check_alike("shapes", [part.shape for part in parts], where)
        if any(isinstance(part, Tensor) and part.requires_grad for part in parts):
            return ops.stack(parts)
        return _tensor(np.stack([np.asarray(part) for part in parts]), first, where)
    if kind is Mapping:
        _check_alike("keys", [tuple(sorted(part, key=str)) for part in parts], where)
        return {k: _collated([part[k] for part in parts], f"{where}[{k!r}]") for k in first}
    _check_alike("numbers of parts", [len(part) for part in parts], where)
    columns = [_collated(column, f"{where}[{k}]") for k, column in enumerate(zip(*parts))]
    return type(first)(*columns) if hasattr(first, "_fields") else columns


def _tensor(array: np.ndarray, first: Any, where: str) -> Tensor:
    if array.dtype.kind not in "fiub":
        raise _no_batch(first, where)
    return wrap(array)


def _check_alike(what: str, values: Sequence[Any], where: str) -> None:
    different = sorted(map(format, set(values)))
    if len(different) > 1:
        raise ShapeError(
            f"cannot collate {_place(where)}: the {what} are {', '.join(different)}. Make them "
            "equal in the dataset (images by a transform that resizes or crops), or give the "
            "DataLoader a collate_fn"
        )


def _no_batch(part: Any, where: str) -> TypeError:
    """The error for a part of the examples that cannot be a part of a batch."""
    kind = f"{type(part).__module__}.{type(part).__qualname__}".removeprefix("builtins.")
    cure = "Make a number, an array or a tensor of it in the dataset"
    if kind.startswith("PIL."):
        cure = "Put ToTensor() into the transform of the dataset"
    elif isinstance(part, (np.ndarray, np.generic)):
        kind += f" of {part.dtype}"
    return TypeError(
        f"cannot collate {_place(where)}: a batch is made of tensors, arrays, numbers, text, "
        f"dicts, tuples and lists, not of {kind}. {cure}, or give the DataLoader a collate_fn"
    )


def _place(where: str) -> str:
    return f"part {where} of the examples" if where else "the examples"
