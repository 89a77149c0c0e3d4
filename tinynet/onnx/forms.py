"""Each operation as ONNX nodes: a row of `FORMS` under the operation's name.

A form is given the graph, the value that the operation made, and the operation's arguments in
their order; it adds nodes and returns the name of the last one's output.
"""

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinynet.onnx import spatial
from tinynet.onnx.nodes import Graph
from tinynet.onnx.operators import ALIKE
from tinynet.onnx.trace import Size, Value
from tinynet.ops import resize
from tinynet.ops.conv import conv_padding
from tinynet.ops.pool import max_pool_geometry
from tinynet.ops.reduction import axes_of
from tinynet.ops.windows import pair

START, END = -(2**63), 2**63 - 1  # before and after every place of an axis

Form = Callable[..., str]


# ----- layers -------------------------------------------------------------------------------------


def _sizes(g: Graph, x: Value) -> Any:
    """The sizes of an image, (H, W). Raises OnnxError where they are not fixed."""
    if any(isinstance(n, Size) for n in x.shape[2:]):
        g.call.refuse(f"the size of its image follows the batch: {x.shape}")
    return x.shape[2:]


def _windows(kernel: Any, stride: Any, padding: Any, dilation: Any) -> dict[str, Any]:
    """The attributes of windows; padding as ((top, bottom), (left, right))."""
    (top, bottom), (left, right) = padding
    pads = [top, left, bottom, right]
    return {"kernel_shape": kernel, "strides": stride, "pads": pads, "dilations": dilation}


def _conv2d(
    g: Graph, y: Value, x: Value, w: Value, b: Any, stride: Any, padding: Any, dilation: Any,
    groups: int,
) -> str:  # fmt: skip
    kernel: Any = w.shape[2:]
    stride, dilation = pair("conv2d", "stride", stride, 1), pair("conv2d", "dilation", dilation, 1)
    edges = conv_padding(padding, kernel, stride, dilation)
    return g("Conv", x, w, b, group=groups, **_windows(kernel, stride, edges, dilation))


def _conv_transpose2d(
    g: Graph, y: Value, x: Value, w: Value, b: Any, stride: Any, padding: Any,
    output_padding: Any, groups: int, dilation: Any,
) -> str:  # fmt: skip
    stride, padding, extra, dilation = (
        pair("conv_transpose2d", "", n, 0) for n in (stride, padding, output_padding, dilation)
    )
    settings = _windows(w.shape[2:], stride, [(n, n) for n in padding], dilation)
    return g("ConvTranspose", x, w, b, group=groups, output_padding=extra, **settings)


def _max_pool2d(
    g: Graph, y: Value, x: Value, kernel: Any, stride: Any, padding: Any, dilation: Any,
    ceil_mode: bool, relu: bool,
) -> str:  # fmt: skip
    w = max_pool_geometry(_sizes(g, x), kernel, stride, padding, dilation, ceil_mode)
    settings = _windows(w.kernel, w.stride, w.padding, w.dilation)
    return g("MaxPool", g("Relu", x) if relu else x, **settings)


def _avg_pool2d(
    g: Graph, y: Value, x: Value, kernel: Any, stride: Any, padding: Any, ceil_mode: bool,
    count_include_pad: bool, divisor_override: int | None,
) -> str:  # fmt: skip
    w = max_pool_geometry(_sizes(g, x), kernel, stride, padding, 1, ceil_mode)
    settings = _windows(w.kernel, w.stride, w.padding, w.dilation)
    del settings["dilations"]  # which older opsets do not have
    if divisor_override is not None:
        mean = g("AveragePool", x, count_include_pad=1, **settings)
        return g("Mul", mean, math.prod(w.kernel) / divisor_override)
    padded = count_include_pad and any(before for before, _ in w.padding)
    if padded and any(before != after for before, after in w.padding):
        g.call.refuse(
            "ONNX counts padding on both sides or on none; use count_include_pad=False, or "
            "ceil_mode=False"
        )
    return g("AveragePool", x, count_include_pad=int(padded), **settings)


def _adaptive_avg_pool2d(g: Graph, y: Value, x: Value, output_size: Any) -> str:
    size, out = _sizes(g, x), _sizes(g, y)
    if out == (1, 1):
        return g("GlobalAveragePool", x)
    if not any(n % m for n, m in zip(size, out)):
        kernel = [n // m for n, m in zip(size, out)]
        return g("AveragePool", x, kernel_shape=kernel, strides=kernel)
    return _along(g, y, x, [resize.averaging(n, m) for n, m in zip(size, out)])


def _along(g: Graph, y: Value, x: Value, matrices: Sequence[np.ndarray]) -> str:
    """The product of each matrix with its axis, of the last one or two."""
    if len(matrices) > 2:
        g.call.refuse("along three axes it has no form; resize two at a time")
    *rows, columns = (A.astype(y.dtype) for A in matrices)
    name = g("MatMul", x, columns.T)
    return g("MatMul", rows[0], name) if rows else name


_RESIZE = (
    *itertools.product(("linear", "cubic"), ("half_pixel", "align_corners")),
    ("nearest", "asymmetric"),
)
"""Settings of Resize that tinynet has too."""


def _resample(g: Graph, y: Value, x: Value, matrices: Sequence[Value]) -> str:
    axes = list(zip(_sizes(g, x), _sizes(g, y)))
    arrays = [m.array for m in matrices if m.array is not None]
    scales = np.array([1, 1, *(out / n for n, out in axes)], np.float32)
    if all(scale == out / n for scale, (n, out) in zip(scales[2:].tolist(), axes)):  # is exact
        for mode, at in _RESIZE:
            along = functools.partial(spatial.weights, mode=mode, at=at, nearest="floor")
            if all(np.allclose(A, along(n, out, out / n)) for A, (n, out) in zip(arrays, axes)):
                settings = {"coordinate_transformation_mode": at, "nearest_mode": "floor"}
                return g("Resize", x, None, scales, mode=mode, **settings)
    return _along(g, y, x, arrays)


def _linear(g: Graph, y: Value, x: Value, w: Value, b: Any) -> str:
    if x.ndim == 2:
        return g("Gemm", x, w, b, transB=1)
    product = g("MatMul", x, g("Transpose", w, perm=[1, 0]))
    return product if b is None else g("Add", product, b)


def _batch_norm(
    g: Graph, y: Value, x: Value, w: Any, b: Any, mean: Any, var: Any, training: bool,
    momentum: float, eps: float,
) -> str:  # fmt: skip
    if training:
        g.call.refuse("it takes the statistics of the batch; it needs running ones")
    w = np.ones(x.shape[1], x.dtype) if w is None else w
    b = np.zeros(x.shape[1], x.dtype) if b is None else b
    return g("BatchNormalization", x, w, b, mean, var, epsilon=eps)


def _layer_norm(g: Graph, y: Value, x: Value, w: Any, b: Any, shape: Any, eps: float) -> str:
    sizes: Any = x.shape[-1:] if shape is None else shape if isinstance(shape, tuple) else (shape,)
    if x.ndim == 3 and len(sizes) == 1 and w is b is None and isinstance(x.shape[1], int):
        ones = np.ones(x.shape[1], x.dtype)
        return g("InstanceNormalization", x, ones, 0 * ones, epsilon=eps)
    w = np.ones(sizes, x.dtype) if w is None else w
    return g("LayerNormalization", x, w, b, axis=-len(sizes), epsilon=eps)


# ----- reductions ---------------------------------------------------------------------------------


def _reduce(kind: str) -> Form:
    def form(g: Graph, y: Value, x: Value, axis: Any, keepdims: bool) -> str:
        return _reduced(g, kind, x, axes_of(kind, x, axis), keepdims)

    return form


def _reduced(g: Graph, kind: str, x: Any, axes: Sequence[int], keepdims: bool) -> str:
    if kind == "ReduceSum" or g.opset >= 18:
        return g(kind, x, list(axes), keepdims=int(keepdims))
    return g(kind, x, axes=axes, keepdims=int(keepdims))


def _var(g: Graph, y: Value, x: Value, axis: Any, ddof: int, keepdims: bool) -> str:
    axes = axes_of("var", x, axis)
    count: Any = [x.shape[a] for a in axes]
    centred = g("Sub", x, _reduced(g, "ReduceMean", x, axes, True))
    mean = _reduced(g, "ReduceMean", g("Mul", centred, centred), axes, keepdims)
    if ddof == 0:
        return mean
    if any(isinstance(n, Size) for n in count):
        g.call.refuse("over the batch it needs correction=0 (unbiased=False)")
    n = math.prod(count)
    return g("Mul", mean, n / (n - ddof))


def _vector_norm(g: Graph, y: Value, x: Value, p: float, axis: Any, keepdims: bool) -> str:
    if p not in (1, 2):
        g.call.refuse(f"ONNX has the norms p=1 and p=2, not p={p}")
    return _reduce(f"ReduceL{p:.0f}")(g, y, x, axis, keepdims)


# ----- shapes -------------------------------------------------------------------------------------


def _reshape(g: Graph, y: Value, x: Value, *given: Any) -> str:
    """0 keeps the size that the axis has, one -1 takes what is left; else it is worked out."""
    size: Any = [
        0 if isinstance(n, Size) and x.shape[i : i + 1] == (n,) else n
        for i, n in enumerate(y.shape)
    ]
    following = [i for i, n in enumerate(size) if isinstance(n, Size)]
    if len(following) == 1:
        size[following[0]] = -1
    return g("Reshape", x, size)


def _expand(g: Graph, y: Value, x: Value, shape: Any) -> str:
    lead = y.ndim - x.ndim
    kept = [i >= lead and x.shape[i - lead] == n for i, n in enumerate(y.shape)]
    return g("Expand", x, [1 if same else n for same, n in zip(kept, y.shape)])


def _flip(g: Graph, y: Value, x: Value, dims: Any) -> str:
    axes = axes_of("flip", x, dims)
    index = tuple(slice(None, None, -1 if d in axes else 1) for d in range(x.ndim))
    return _getitem(g, y, x, index)


def _getitem(g: Graph, y: Value, x: Value, index: Any) -> str:
    parts = list(index) if isinstance(index, tuple) else [index]
    if Ellipsis not in parts:
        parts.append(Ellipsis)
    place = parts.index(Ellipsis)
    named = sum(part is not None for part in parts) - 1
    parts[place : place + 1] = [slice(None)] * (x.ndim - named)
    cuts: list[tuple[Any, Any, int, int]] = []  # (start, end, axis, step)
    taken: list[tuple[Any, int]] = []  # (places, axis) of integers and arrays of them
    new = []
    axis = at = 0  # of x, and of y
    for part in parts:
        if part is None:
            new.append(at)
            at += 1
            continue
        if isinstance(part, slice):
            step = 1 if part.step is None else part.step
            usual = (0, END) if step > 0 else (END, START)
            start, end = (u if n is None else n for n, u in zip((part.start, part.stop), usual))
            if (start, end, step) != (0, END, 1):
                cuts.append((start, end, axis, step))
            at += 1
        else:
            if isinstance(part, Size):
                part = Value((), np.dtype(np.int64), name=g("Squeeze", [part]))
            places = part if isinstance(part, Value) else np.array(part)
            taken.append((places, at - len(new)))
            at += places.ndim
        axis += 1
    arrays = [places for places, _ in taken if places.ndim]
    if arrays and (len(taken) > 1 or arrays[0].dtype.kind == "b"):
        g.call.refuse("an index takes one array of integers beside slices, no more")
    name: Any = g("Slice", x, *map(list, zip(*cuts))) if cuts else x
    for places, axis in taken:
        name = g("Gather", name, places, axis=axis)
    return g("Unsqueeze", name, new) if new else g.name_of(name)


# ----- each element by itself ---------------------------------------------------------------------


def _alike(kind: str, **attributes: Any) -> Form:
    """One node whose inputs are the operation's tensors, in the dtype of the result."""
    return lambda g, y, *xs: g(kind, *map(g.cast, xs), **attributes)


def _gelu(g: Graph, y: Value, x: Value, approximate: str) -> str:
    if approximate == "tanh":
        cube = g("Mul", g("Mul", g("Mul", x, x), x), 0.044715)
        s = g("Tanh", g("Mul", g("Add", x, cube), math.sqrt(2 / math.pi)))
    else:
        s = g("Erf", g("Mul", x, math.sqrt(0.5)))
    return g("Mul", g("Mul", x, 0.5), g("Add", s, 1))


def _clip(g: Graph, y: Value, x: Value, low: Any, high: Any) -> str:
    if any(isinstance(bound, Value) and bound.ndim for bound in (low, high)):
        name: Any = x if low is None else g("Max", x, g.cast(low))
        return name if high is None else g("Min", name, g.cast(high))
    return g("Clip", x, g.cast(low), g.cast(high))


def _round(g: Graph, y: Value, x: Value, decimals: int) -> str:
    if decimals:
        g.call.refuse("ONNX rounds to integers alone: decimals=0")
    return g("Round", x)


FORMS: dict[str, Form] = {
    # layers
    "conv2d": _conv2d, "conv_transpose2d": _conv_transpose2d, "linear": _linear,
    "max_pool2d": _max_pool2d, "avg_pool2d": _avg_pool2d,
    "adaptive_avg_pool2d": _adaptive_avg_pool2d, "resample": _resample,
    "batch_norm": _batch_norm, "layer_norm": _layer_norm, "matmul": _alike("MatMul"),
    "einsum": lambda g, y, xs, equation: g("Einsum", *map(g.cast, xs), equation=equation),
    # many to one
    "sum": _reduce("ReduceSum"), "mean": _reduce("ReduceMean"), "max": _reduce("ReduceMax"),
    "min": _reduce("ReduceMin"), "prod": _reduce("ReduceProd"),
    "logsumexp": _reduce("ReduceLogSumExp"), "var": _var, "vector_norm": _vector_norm,
    "std": lambda g, y, *args: g("Sqrt", _var(g, y, *args)),
    "softmax": lambda g, y, x, axis: g("Softmax", x, axis=axis),
    "log_softmax": lambda g, y, x, axis: g("LogSoftmax", x, axis=axis),
    "cumsum": lambda g, y, x, axis: g("CumSum", x, np.array(axis, np.int64)),
    # shapes
    "reshape": _reshape, "squeeze": _reshape, "unsqueeze": _reshape, "expand": _expand,
    "permute": lambda g, y, x, dims: g("Transpose", x, perm=[d % x.ndim for d in dims]),
    "cat": lambda g, y, xs, dim: g("Concat", *map(g.cast, xs), axis=dim),
    "pad": lambda g, y, x, widths, value: g("Pad", x, [*itertools.chain(*zip(*widths))], value),
    "flip": _flip, "getitem": _getitem, "astype": lambda g, y, x, dtype: g.name_of(g.cast(x)),
    "clone": lambda g, y, x, memory_format: g.name_of(x),
    # each element by itself
    **{
        name: _alike(name.capitalize())
        for name in (*ALIKE, "relu", "add", "sub", "mul", "div", "pow")
    },
    "maximum": _alike("Max"), "minimum": _alike("Min"), "prelu": _alike("PRelu"),
    "fmod": _alike("Mod", fmod=1), "gelu": _gelu, "clip": _clip, "hardtanh": _clip,
    "round": _round,
    "softplus": lambda g, y, x, beta: (
        g("Softplus", x) if beta == 1 else g("Div", g("Softplus", g("Mul", x, beta)), beta)
    ),
    "leaky_relu": lambda g, y, x, slope: g("LeakyRelu", x, alpha=slope),
    "elu": lambda g, y, x, alpha: g("Elu", x, alpha=alpha),
    "hardshrink": lambda g, y, x, lambd: g("Shrink", x, lambd=lambd, bias=0.0),
    "threshold": lambda g, y, x, limit, value: g("Where", g("Greater", x, limit), x, value),
    "where": lambda g, y, x, other, mask: g(
        "Where", np.array(mask) if isinstance(mask, bool) else mask, g.cast(x), g.cast(other)),
    "silu": lambda g, y, x: g("Mul", x, g("Sigmoid", x)),
    "exp2": lambda g, y, x: g("Pow", 2.0, x),
    "expm1": lambda g, y, x: g("Sub", g("Exp", x), 1.0),
    "log1p": lambda g, y, x: g("Log", g("Add", x, 1.0)),
    "log2": lambda g, y, x: g("Div", g("Log", x), math.log(2)),
    "log10": lambda g, y, x: g("Div", g("Log", x), math.log(10)),
    "rsqrt": lambda g, y, x: g("Reciprocal", g("Sqrt", x)),
    "trunc": lambda g, y, x: g("Mul", g("Sign", x), g("Floor", g("Abs", x))),
    "hypot": lambda g, y, a, b: g("Sqrt", g("Add", g("Mul", a, a), g("Mul", b, b))),
    "logaddexp": lambda g, y, a, b: g(
        "Add", g("Max", a, b), g("Softplus", g("Neg", g("Abs", g("Sub", a, b))))),
    "remainder": lambda g, y, a, b: (
        g("Mod", g.cast(a), g.cast(b)) if y.dtype.kind == "i"
        else g("Sub", g.cast(a), g("Mul", g.cast(b), g("Floor", g("Div", g.cast(a), g.cast(b)))))
    ),
}  # fmt: skip
