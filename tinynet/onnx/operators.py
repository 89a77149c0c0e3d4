"""The table of ONNX's operators: what each is in tinynet.

A row is a function of the inputs, tensors or None where one is left out. Its keyword arguments are
the attributes, with the defaults of the specification; one that is not there is an error. Where an
attribute became an input in a later version, the function takes both. By keyword a function may
ask for what is in `ASKED` too.

Half precision is computed in float32: float16 and bfloat16 become float32 wherever they appear.
"""

import functools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx

from tinynet import functions, ops
from tinynet.autograd import wrap
from tinynet.nn import functional as F
from tinynet.onnx import spatial
from tinynet.onnx.arrays import TYPES, check_size, integers
from tinynet.ops import activation
from tinynet.tensor import Tensor

ASKED = ("opset", "outputs", "training")
"""The version of the file's operators, the number of outputs, the mode of the model."""

Axes = Sequence[int]
Maybe = Tensor | None


def _given(x: Maybe, attribute: Axes) -> list[int]:
    """What came as an input, in older versions as an attribute."""
    return list(attribute) if x is None else integers(x)


# ----- each element by itself ---------------------------------------------------------------------


def _sized(function: Callable[..., Any]) -> Callable[..., Tensor]:
    """The function of operands that broadcast, once it is known to what size."""

    def sized(*xs: Tensor) -> Tensor:
        shapes = [x.shape for x in xs]
        if (shape := np.broadcast_shapes(*shapes)) not in shapes:
            check_size(shape)
        y = function(*xs)
        return y if isinstance(y, Tensor) else wrap(y)

    return sized


def _of_any(function: Callable[..., Any]) -> Callable[..., Tensor]:
    """A function of two as one of any number."""
    return _sized(lambda *xs: functools.reduce(function, xs))


def _divide(x: Tensor, y: Tensor) -> Any:
    if x.dtype.kind == "f":
        return ops.div(x, y)
    quotient = np.abs(x.array) // np.abs(y.array) * np.sign(x.array) * np.sign(y.array)
    return quotient.astype(x.dtype)


def _power(x: Tensor, y: Tensor) -> Tensor:
    if x.dtype.kind == "f":
        return ops.pow(x, y if y.dtype == x.dtype else ops.astype(y, x.dtype))
    return wrap(np.power(x.array, y.array).astype(x.dtype))


def _clip(
    x: Tensor, low: Maybe = None, high: Maybe = None, /, *, max: float | None = None,
    min: float | None = None,
) -> Tensor:  # fmt: skip
    return ops.clip(x, min if low is None else low.array, max if high is None else high.array)


def _cast(x: Tensor, *, round_mode: str = "up", saturate: int = 1, to: int) -> Any:
    if to not in TYPES:
        raise ValueError(f"type {to}, which tinynet has not")
    target = TYPES[to]
    y = x if x.dtype == target else ops.astype(x, target)
    if to in (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16):
        rounded = y.array.astype(onnx.helper.tensor_dtype_to_np_dtype(to)).astype(target)
        return y + np.where(np.isfinite(y.array), rounded - y.array, 0)  # its gradient is not
    return y


# ----- sums, extremes, orders ---------------------------------------------------------------------


def _reduced(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A row for `function(x, axes, keep)`."""

    def reduce(
        x: Tensor, along: Maybe = None, /, *, axes: Axes = (), keepdims: int = 1,
        noop_with_empty_axes: int = 0,
    ) -> Tensor:  # fmt: skip
        named = tuple(_given(along, axes))
        y = function(x, named if named or noop_with_empty_axes else None, bool(keepdims))
        return y if y.dtype == x.dtype else ops.astype(y, x.dtype)

    return reduce


def _place_of(function: Callable[..., Any]) -> Callable[..., Tensor]:
    def place(x: Tensor, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Tensor:
        turned = np.flip(x.array, axis) if select_last_index else x.array
        found = function(turned, axis, keepdims=bool(keepdims))
        return wrap(x.shape[axis] - 1 - found if select_last_index else found)

    return place


def _cumulative(x: Tensor, along: Tensor, *, exclusive: int = 0, reverse: int = 0) -> Tensor:
    (axis,) = integers(along)
    turned = ops.flip(x, axis) if reverse else x
    y = ops.astype(ops.cumsum(turned, axis), x.dtype)
    y = ops.sub(y, turned) if exclusive else y
    return ops.flip(y, axis) if reverse else y


def _softmax(function: Callable[[Tensor, int], Tensor]) -> Callable[..., Tensor]:
    def along(x: Tensor, *, axis: int | None = None, opset: int) -> Tensor:
        if opset >= 13:
            return function(x, -1 if axis is None else axis)
        return function(_flatten(x, axis=1 if axis is None else axis), 1).reshape(x.shape)

    return along


# ----- shapes -------------------------------------------------------------------------------------


def _reshape(x: Tensor, shape: Tensor, *, allowzero: int = 0) -> Tensor:
    sizes = integers(shape)
    if min(sizes, default=0) < -1:
        raise ValueError(f"a size is negative, and not -1, which is what is left: {sizes!r:.80}")
    if not allowzero:
        sizes = [x.shape[i] if n == 0 else n for i, n in enumerate(sizes)]
    return ops.reshape(x, tuple(sizes))


def _flatten(x: Tensor, *, axis: int = 1) -> Tensor:
    if not -x.ndim <= axis <= x.ndim:
        raise ValueError(f"axis {axis} of shape {x.shape}")
    return ops.reshape(x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


def _expand(x: Tensor, shape: Tensor) -> Tensor:
    sizes = np.broadcast_shapes(x.shape, tuple(integers(shape)))
    check_size(sizes)
    return ops.expand(x, sizes)


def _tile(x: Tensor, repeats: Tensor) -> Tensor:
    times = integers(repeats)
    check_size(times, x.shape)
    return functions.tile(x, times)


def _concat(x: Tensor, *more: Tensor, axis: int) -> Tensor:
    check_size(sum(part.array.size for part in (x, *more)))
    return ops.cat([x, *more], axis)


def _split(
    x: Tensor, sizes: Maybe = None, /, *, axis: int = 0, num_outputs: int | None = None,
    split: Axes = (), outputs: int,
) -> tuple[Tensor, ...]:  # fmt: skip
    if sizes is not None or split:
        return ops.split(x, _given(sizes, split), axis)
    count, n = outputs if num_outputs is None else num_outputs, x.shape[axis]
    if not 0 < count <= outputs:
        raise ValueError(f"{count} parts for {outputs} outputs")
    size = -(-n // count)
    return ops.split(x, [max(min(size, n - i * size), 0) for i in range(count)], axis)


def _slice(
    x: Tensor, begin: Maybe = None, end: Maybe = None, along: Maybe = None, step: Maybe = None, /,
    *, axes: Axes = (), ends: Axes = (), starts: Axes = (),
) -> Tensor:  # fmt: skip
    first, last = _given(begin, starts), _given(end, ends)
    named = _given(along, axes or range(len(first)))
    steps = _given(step, [1] * len(first))
    if not len(first) == len(last) == len(named) == len(steps) or 0 in steps:
        raise ValueError(f"starts {first}, ends {last}, axes {named} and steps {steps} do not fit")
    index = [slice(None)] * x.ndim
    for d, *bounds in zip(named, first, last, steps):
        index[d] = slice(*bounds)
    return ops.getitem(x, tuple(index))


def _from_the_front(indices: Tensor, size: int) -> np.ndarray:
    places = indices.array
    if places.dtype.kind not in "iu" or ((places < -size) | (places >= size)).any():
        raise ValueError(f"indices must be integers from {-size} to {size - 1}")
    return np.asarray(np.where(places < 0, places + size, places))


def _gather(x: Tensor, indices: Tensor, *, axis: int = 0) -> Tensor:
    places = _from_the_front(indices, x.shape[axis])
    check_size(places.shape, x.shape[: axis % x.ndim], x.shape[axis % x.ndim + 1 :])
    return ops.getitem(x, (*(slice(None),) * (axis % x.ndim), places))


def _pad(
    x: Tensor, widths: Maybe = None, fill: Maybe = None, along: Maybe = None, /, *,
    mode: str = "constant", pads: Axes = (), value: float = 0.0,
) -> Tensor:  # fmt: skip
    each, named = _given(widths, pads), _given(along, range(x.ndim))
    if len(each) != 2 * len(named):
        raise ValueError(f"{len(each)} pads for {len(named)} axes")
    both = [(0, 0)] * x.ndim
    for d, edge in zip(named, zip(each[: len(named)], each[len(named) :])):
        both[d] = edge
    word = {"edge": "replicate", "wrap": "circular"}.get(mode, mode)
    return spatial.padded(x, both, value if fill is None else fill.array.item(), word)


def _constant_of_shape(shape: Tensor, *, value: np.ndarray | None = None) -> Tensor:
    sizes = integers(shape)
    check_size(sizes)
    fill = np.zeros(1, np.float32) if value is None else value
    return wrap(np.full(sizes, fill.item(), fill.dtype))


def _range(start: Tensor, limit: Tensor, delta: Tensor) -> Tensor:
    first, last, step = (x.array.item() for x in (start, limit, delta))
    count = max(math.ceil((last - first) / step), 0)
    check_size(count)
    return wrap((first + np.arange(count) * step).astype(start.dtype))


def _depth_to_space(x: Tensor, *, blocksize: int, mode: str = "DCR") -> Tensor:
    if mode == "CRD":
        return F.pixel_shuffle(x, blocksize)
    N, C, H, W = x.shape
    parts = x.reshape(N, blocksize, blocksize, C // blocksize**2, H, W)
    return parts.permute(0, 3, 4, 1, 5, 2).reshape(N, -1, H * blocksize, W * blocksize)


# ----- layers -------------------------------------------------------------------------------------


def _matmul(x: Tensor, w: Tensor) -> Tensor:
    if x.ndim > 1 and w.ndim > 1:
        batch = np.broadcast_shapes(x.shape[:-2], w.shape[:-2])
        check_size(batch, x.shape[-2], w.shape[-1])
    return ops.matmul(x, w)


def _gemm(
    a: Tensor, b: Tensor, c: Maybe = None, *, alpha: float = 1.0, beta: float = 1.0,
    transA: int = 0, transB: int = 0,
) -> Tensor:  # fmt: skip
    if (alpha, beta, transA, transB) == (1, 1, 0, 1) and (c is None or c.shape == b.shape[:1]):
        check_size(a.shape[:1], b.shape[:1])
        return ops.linear(a, b, c)
    y = _matmul(a.T if transA else a, b.T if transB else b)
    y = y if alpha == 1 else y * alpha  # integers stay integers
    return y if c is None else y + (c if beta == 1 else c * beta)


def _einsum(*xs: Tensor, equation: str) -> Tensor:
    terms, arrow, result = equation.replace(" ", "").partition("->")
    sizes: dict[str, int] = {}  # of letters, and of axes that `...` stands for, from the last
    for term, x in zip(terms.split(","), xs):
        before, _, after = term.partition("...")
        rest = range(x.ndim - len(before) - len(after), 0, -1)
        for letter, n in zip([*before, *map(str, rest), *after], x.shape):
            sizes[letter] = max(n, sizes.get(letter, n))
    made = [n for letter, n in sizes.items() if not arrow or letter in result or letter.isdigit()]
    check_size(made)
    return ops.einsum(*xs, equation=equation)


def _batch_norm(
    x: Tensor, w: Tensor, b: Tensor, mean: Tensor, var: Tensor, *, epsilon: float = 1e-5,
    momentum: float = 0.9, spatial: int = 1, training_mode: int = 0, training: bool,
) -> Any:  # fmt: skip
    """As PyTorch trains it: the running variance follows the unbiased one."""
    if not spatial:
        raise ValueError("spatial=0: statistics for each place are not there")
    return ops.batch_norm(x, w, b, mean, var, training, 1 - momentum, epsilon)


def _layer_norm(
    x: Tensor, w: Tensor, b: Maybe = None, *, axis: int = -1, epsilon: float = 1e-5,
    stash_type: int = 1, outputs: int,
) -> Any:  # fmt: skip
    y = ops.layer_norm(x, None, None, x.shape[axis:], epsilon) * w
    y = y if b is None else y + b
    if outputs == 1:
        return y
    axes = tuple(range(x.ndim)[axis:])
    return y, ops.mean(x, axes, True), 1 / ops.sqrt(ops.var(x, axes, keepdims=True) + epsilon)


def _group_norm(
    x: Tensor, w: Tensor, b: Tensor, *, epsilon: float = 1e-5, num_groups: int,
    stash_type: int = 1, opset: int,
) -> Tensor:  # fmt: skip
    if opset < 21:  # a value for each group
        w, b = (functions.repeat_interleave(v, x.shape[1] // num_groups) for v in (w, b))
    return F.group_norm(x, num_groups, w, b, epsilon)


def _lrn(
    x: Tensor, *, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0, size: int
) -> Tensor:
    """Of an even size the larger half of the neighbours comes after; before, in PyTorch."""
    check_size(x.shape[:1], x.shape[1] + size, x.shape[2:])
    y = F.local_response_norm(ops.flip(x, 1), size, alpha, beta, bias)
    return ops.flip(y, 1)


def _dropout(
    x: Tensor, share: Maybe = None, drops: Maybe = None, /, *, ratio: float = 0.5,
    seed: int | None = None, training: bool,
) -> Any:  # fmt: skip
    """Whether it drops is for the model's mode to say, as in PyTorch, whatever the file says."""
    p = ratio if share is None else share.array.item()
    if seed is not None and drops is not None and p and drops.array.item():
        raise ValueError("what a seed draws is not specified; leave it out of the file")
    return F.dropout(x, p, training)


# ----- the table ----------------------------------------------------------------------------------

ALIKE = (
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "cos", "cosh", "erf", "exp",
    "floor", "log", "neg", "reciprocal", "sigmoid", "sign", "sin", "sinh", "sqrt", "tan", "tanh",
)  # fmt: skip
"""Functions of one array that have the same name and meaning in tinynet."""

OPERATORS: dict[str, Callable[..., Any]] = {
    # each element by itself
    **{name.capitalize(): getattr(ops, name) for name in ALIKE},
    "Identity": lambda x: x,
    "IsInf": lambda x, *, detect_negative=1, detect_positive=1: wrap(
        ((x.array == math.inf) & bool(detect_positive))
        | ((x.array == -math.inf) & bool(detect_negative))
    ),
    "IsNaN": lambda x: wrap(np.isnan(x.array)),
    "Not": lambda x: wrap(np.logical_not(x.array)),
    "Round": lambda x: ops.round(x),
    # activations
    "Elu": lambda x, *, alpha=1.0: ops.elu(x, alpha),
    "Gelu": lambda x, *, approximate="none": ops.gelu(x, approximate),
    "HardSigmoid": lambda x, *, alpha=0.2, beta=0.5: ops.clip(x * alpha + beta, 0, 1),
    "HardSwish": lambda x: F.hardswish(x),
    "LeakyRelu": lambda x, *, alpha=0.01: ops.leaky_relu(x, alpha),
    "Mish": lambda x: F.mish(x),
    "PRelu": _sized(activation.prelu),
    "Relu": lambda x: ops.relu(x) if x.dtype.kind == "f" else ops.clip(x, 0),
    "Selu": lambda x, *, alpha=1.6732632423543772, gamma=1.0507009873554805: (
        ops.elu(x, alpha) * gamma
    ),
    "Shrink": lambda x, *, bias=0.0, lambd=0.5: ops.where(
        x < -lambd, x + bias, ops.where(x > lambd, x - bias, x * 0)
    ),
    "Softplus": lambda x: ops.softplus(x),
    "Softsign": lambda x: F.softsign(x),
    "Swish": lambda x, *, alpha=1.0: x * ops.sigmoid(x * alpha),
    # two or more elements
    "Add": _sized(ops.add), "Div": _sized(_divide), "Mul": _sized(ops.mul), "Pow": _sized(_power),
    "Sub": _sized(ops.sub), "Where": _sized(ops.where),
    "Max": _of_any(ops.maximum), "Min": _of_any(ops.minimum), "Sum": _of_any(ops.add),
    "Mean": lambda *xs: _of_any(ops.add)(*xs) / len(xs),
    "Mod": lambda x, y, *, fmod=0: _sized(ops.fmod if fmod else ops.remainder)(x, y),
    "And": _sized(operator.and_), "Equal": _sized(operator.eq), "Greater": _sized(operator.gt),
    "GreaterOrEqual": _sized(operator.ge), "Less": _sized(operator.lt),
    "LessOrEqual": _sized(operator.le), "Or": _sized(operator.or_), "Xor": _sized(operator.xor),
    # limits and types
    "Cast": _cast, "Clip": _clip,
    "CastLike": lambda x, like, *, round_mode="up", saturate=1: ops.astype(x, like.dtype),
    # sums, extremes, orders
    "ArgMax": _place_of(np.argmax), "ArgMin": _place_of(np.argmin), "CumSum": _cumulative,
    "LogSoftmax": _softmax(ops.log_softmax), "Softmax": _softmax(ops.softmax),
    "TopK": lambda x, k, *, axis=-1, largest=1, sorted=1: functions.topk(
        x, integers(k)[0], axis, bool(largest)
    ),
    "ReduceL1": _reduced(lambda x, axes, keep: ops.sum(ops.abs(x), axes, keep)),
    "ReduceL2": _reduced(lambda x, axes, keep: ops.sqrt(ops.sum(x * x, axes, keep))),
    "ReduceLogSumExp": _reduced(ops.logsumexp),
    "ReduceMax": _reduced(ops.max), "ReduceMean": _reduced(ops.mean),
    "ReduceMin": _reduced(ops.min), "ReduceProd": _reduced(ops.prod),
    "ReduceSum": _reduced(ops.sum),
    "ReduceSumSquare": _reduced(lambda x, axes, keep: ops.sum(x * x, axes, keep)),
    # shapes
    "Concat": _concat, "ConstantOfShape": _constant_of_shape, "DepthToSpace": _depth_to_space,
    "Expand": _expand, "Flatten": _flatten, "Gather": _gather, "Pad": _pad, "Range": _range,
    "Reshape": _reshape, "Slice": _slice, "Split": _split, "Tile": _tile,
    "GatherElements": lambda x, indices, *, axis=0: functions.gather(
        x, axis, wrap(_from_the_front(indices, x.shape[axis]))
    ),
    "SplitToSequence": lambda x, sizes, *, axis=0, keepdims=1: [  # a sequence is a list
        *ops.split(x, integers(sizes) if sizes.ndim else integers(sizes)[0], axis)
    ],
    "Squeeze": lambda x, along=None, /, *, axes=(): ops.squeeze(
        x, tuple(_given(along, axes)) or None
    ),
    "Transpose": lambda x, *, perm=None: ops.permute(x, list(perm or range(x.ndim)[::-1])),
    "Trilu": lambda x, k=None, *, upper=1: (functions.triu if upper else functions.tril)(
        x, 0 if k is None else int(k.array.item())
    ),
    "Unsqueeze": lambda x, along=None, /, *, axes=(): ops.reshape(
        x, np.expand_dims(x.array, tuple(_given(along, axes))).shape
    ),
    "SequenceAt": lambda parts, place: parts[int(place.array.item())],
    "Shape": lambda x, *, end=None, start=0: wrap(np.array(x.shape[start:end], np.int64)),
    "Size": lambda x: wrap(np.array(x.array.size, np.int64)),
    # layers
    "AveragePool": spatial.average_pool, "BatchNormalization": _batch_norm, "Conv": spatial.conv,
    "ConvTranspose": spatial.conv_transpose, "Dropout": _dropout, "Einsum": _einsum,
    "Gemm": _gemm, "GlobalAveragePool": lambda x: ops.mean(x, tuple(range(2, x.ndim)), True),
    "GlobalMaxPool": lambda x: ops.max(x, tuple(range(2, x.ndim)), True),
    "GroupNormalization": _group_norm, "LRN": _lrn,
    "LayerNormalization": _layer_norm, "MatMul": _matmul,
    "MaxPool": spatial.max_pool, "Resize": spatial.resize, "Upsample": spatial.upsample,
    "InstanceNormalization": lambda x, w, b, *, epsilon=1e-5: F.instance_norm(
        x, None, None, w, b, eps=epsilon
    ),
}  # fmt: skip
