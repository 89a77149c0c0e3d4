"""Nested states (dicts, lists, numbers, tensors) as JSON, with the arrays put aside.

    arrays = {}
    text = json.dumps(pack(optimizer.state_dict(), "optimizer", arrays))
    state = unpack(json.loads(text), arrays)

What JSON cannot say becomes a dict of one entry, whose name begins with $: {"$array": NAME}, which
is in `arrays`, {"$tensor": NAME}, {"$float": "nan"}, {"$dtype": "float32"}, {"$device": "cpu"},
{"$tuple": [...]}, and {"$dict": [[KEY, VALUE], ...]} for a dict whose keys are not all texts.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tinynet.autograd import wrap
from tinynet.devices import device
from tinynet.errors import CheckpointError
from tinynet.tensor import Tensor

ARRAY, TENSOR, FLOAT, TUPLE, DICT = "$array", "$tensor", "$float", "$tuple", "$dict"
DTYPE, DEVICE = "$dtype", "$device"
DTYPES = [np.dtype(kind) for kind in ("?", "u1", "i1", "i2", "i4", "i8", "f4", "f8")]
DEEPEST = 200  # levels; more than that is mostly a list or dict that holds itself
RESERVED = "__metadata__"  # no name of an array in a file


def pack(value: Any, name: str, arrays: dict[str, np.ndarray]) -> Any:
    """`value` as JSON can say it; its arrays are put into `arrays`, under names below `name`.

    Raises TypeError for what is neither number, text, tensor, array, dtype, device, list, tuple nor
    dict, ValueError for a list or dict that holds itself.

    >>> pack({"betas": (0.9, np.inf), 3: np.float32(0.5)}, "x", {})
    {'$dict': [['betas', {'$tuple': [0.9, {'$float': 'inf'}]}], [3, 0.5]]}
    """
    if isinstance(value, (np.ndarray, Tensor)):
        while name in arrays or name == RESERVED:  # {"a/b": x, "a": {"b": y}}
            name += "'"
        arrays[name] = value.array if isinstance(value, Tensor) else value
        return {TENSOR if isinstance(value, Tensor) else ARRAY: name}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {FLOAT: str(value)}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.dtype) and value in DTYPES:
        return {DTYPE: value.name}
    if isinstance(value, device):
        return {DEVICE: str(value)}
    below = f"{name}/" if name else ""
    if name.count("/") > DEEPEST:
        raise ValueError(f"{name:.40}...: nested too deeply, or in itself, for a checkpoint")
    if isinstance(value, (list, tuple)):
        items = [pack(v, f"{below}{i}", arrays) for i, v in enumerate(value)]
        return {TUPLE: items} if isinstance(value, tuple) else items
    if isinstance(value, Mapping):
        pairs = [(k, pack(v, f"{below}{k}", arrays)) for k, v in value.items()]
        if all(isinstance(k, str) and not k.startswith("$") for k in value):
            return dict(pairs)
        return {DICT: [[pack(k, "a key", arrays), v] for k, v in pairs]}
    cure = "; save its .state_dict()" if hasattr(value, "state_dict") else ""
    raise TypeError(
        f"{name or 'save'}: a checkpoint cannot hold a {type(value).__name__}{cure}; it holds "
        "tensors, arrays, numbers, texts, dtypes, devices, True, False, None, and lists, tuples "
        "and dicts of these"
    )


def unpack(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    """What was packed. Its arrays are taken out of `arrays`, so that those of nobody are left.

    Raises CheckpointError for an array that is not there, or was taken before.

    >>> unpack({"a": [{"$array": "x/a/0"}], "b": {"$float": "nan"}}, {"x/a/0": np.arange(2)})
    {'a': [array([0, 1])], 'b': nan}
    """
    if isinstance(value, list):
        return [unpack(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    kind: str
    inner: Any
    kind, inner = next(iter(value.items()), ("", None))
    if len(value) != 1 or not kind.startswith("$"):
        return {key: unpack(item, arrays) for key, item in value.items()}
    try:
        if kind in (ARRAY, TENSOR):
            return arrays.pop(inner) if kind == ARRAY else wrap(arrays.pop(inner))
        if kind == FLOAT:
            return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[inner]
        if kind == DTYPE:
            return {dtype.name: dtype for dtype in DTYPES}[inner]
        if kind == DEVICE:
            return device(inner)
        if kind == TUPLE:
            return tuple([unpack(item, arrays) for item in inner])
        if kind == DICT:
            return {unpack(k, arrays): unpack(v, arrays) for k, v in inner}
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"lacks, or cannot be, {kind} {inner!r:.80}") from error
    raise CheckpointError(f"{kind!r:.40} is of no kind that this tinynet knows")
