"""Nested states (dicts, lists, numbers, arrays) as JSON, with the arrays put aside.

    members = {}
    text = json.dumps(pack(optimizer.state_dict(), "optimizer", members))

An array becomes {"$array": name} and is found in `members` under that name; a float that JSON
lacks becomes {"$float": "nan"}. Tuples come back as lists, and keys that are numbers as strings.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tinynet.errors import CheckpointError

ARRAY, FLOAT = "$array", "$float"
NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def pack(value: Any, name: str, members: dict[str, np.ndarray]) -> Any:
    """`value` as JSON can say it; its arrays are put into `members`, under names below `name`.

    Raises TypeError for what is neither number, text, array, list nor dict.

    >>> pack({"betas": (0.9, np.inf), 3: np.float32(0.5)}, "x", {})
    {'betas': [0.9, {'$float': 'inf'}], '3': 0.5}
    """
    if isinstance(value, np.ndarray):
        members[name] = value
        return {ARRAY: name}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {FLOAT: str(value)}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        return {str(k): pack(v, f"{name}/{k}", members) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [pack(v, f"{name}/{i}", members) for i, v in enumerate(value)]
    raise TypeError(f"{name}: a checkpoint cannot hold a {type(value).__name__}")


def unpack(value: Any, members: Mapping[str, np.ndarray]) -> Any:
    """What was packed. Raises CheckpointError for an array that is not among `members`.

    >>> unpack({"a": [{"$array": "x/a/0"}], "b": {"$float": "nan"}}, {"x/a/0": np.arange(2)})
    {'a': [array([0, 1])], 'b': nan}
    """
    if isinstance(value, list):
        return [unpack(item, members) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {ARRAY}:
        name = value[ARRAY]
        if not isinstance(name, str) or name not in members:
            raise CheckpointError(f"lacks the array {name!r:.80}")
        return members[name]
    if set(value) == {FLOAT}:
        if value[FLOAT] not in ("nan", "inf", "-inf"):
            raise CheckpointError(f"{value[FLOAT]!r:.40} is no float")
        return NOT_FINITE[value[FLOAT]]
    return {key: unpack(item, members) for key, item in value.items()}
