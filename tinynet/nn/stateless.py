"""Layers without parameters: a function of `nn.functional` with its settings, and nothing else.

`nn.Hardtanh(0, 6)(x)` is `F.hardtanh(x, 0, 6)`. What the layer takes are the arguments of the
function that are not data, and what it does is told there. Each class is made when it is first
asked for, see `nn.__getattr__`.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from tinynet.errors import ShapeError
from tinynet.nn import functional as F
from tinynet.nn.functional.arguments import HEIGHTS, name_reduction
from tinynet.nn.module import Module
from tinynet.ops.checks import one_of, positive, within
from tinynet.ops.elementwise import GELU_FORMS
from tinynet.ops.loss import check_reduction
from tinynet.ops.pool import adaptive_size, pool_arguments
from tinynet.ops.random import check_probability
from tinynet.tensor import Tensor

DATA = {
    "input", "target", "indices", "input1", "input2", "x1", "x2", "anchor", "positive", "negative",
    "var",
}  # fmt: skip

FUNCTIONS: dict[str, Callable[..., Any]] = {
    # activations
    "CELU": F.celu, "ELU": F.elu, "GELU": F.gelu, "GLU": F.glu, "Hardshrink": F.hardshrink,
    "Hardsigmoid": F.hardsigmoid, "Hardswish": F.hardswish, "Hardtanh": F.hardtanh,
    "LeakyReLU": F.leaky_relu, "LogSigmoid": F.logsigmoid, "LogSoftmax": F.log_softmax,
    "Mish": F.mish, "RReLU": F.rrelu, "ReLU6": F.relu6, "SELU": F.selu, "SiLU": F.silu,
    "Sigmoid": F.sigmoid, "Softmax": F.softmax,
    "Softmax2d": functools.partial(F.softmax, dim=-3), "Softmin": F.softmin,
    "Softplus": F.softplus, "Softshrink": F.softshrink, "Softsign": F.softsign, "Tanh": F.tanh,
    "Tanhshrink": F.tanhshrink, "Threshold": F.threshold,
    # pools
    "AdaptiveAvgPool1d": F.adaptive_avg_pool1d, "AdaptiveAvgPool2d": F.adaptive_avg_pool2d,
    "AdaptiveMaxPool1d": F.adaptive_max_pool1d, "AdaptiveMaxPool2d": F.adaptive_max_pool2d,
    "AvgPool1d": F.avg_pool1d, "AvgPool2d": F.avg_pool2d, "LPPool1d": F.lp_pool1d,
    "LPPool2d": F.lp_pool2d, "MaxPool1d": F.max_pool1d,
    "MaxUnpool1d": F.max_unpool1d, "MaxUnpool2d": F.max_unpool2d,
    # images
    "ChannelShuffle": F.channel_shuffle, "Fold": F.fold,
    "LocalResponseNorm": F.local_response_norm, "PixelShuffle": F.pixel_shuffle,
    "PixelUnshuffle": F.pixel_unshuffle, "Unfold": F.unfold, "Upsample": F.interpolate,
    "UpsamplingBilinear2d": F.upsample_bilinear, "UpsamplingNearest2d": F.upsample_nearest,
    # noise
    "AlphaDropout": F.alpha_dropout, "Dropout": F.dropout, "Dropout1d": F.dropout1d,
    "Dropout2d": F.dropout2d,
    # losses and distances
    "BCELoss": F.binary_cross_entropy, "BCEWithLogitsLoss": F.binary_cross_entropy_with_logits,
    "CosineEmbeddingLoss": F.cosine_embedding_loss, "CosineSimilarity": F.cosine_similarity,
    "CrossEntropyLoss": F.cross_entropy, "GaussianNLLLoss": F.gaussian_nll_loss,
    "HingeEmbeddingLoss": F.hinge_embedding_loss, "HuberLoss": F.huber_loss,
    "KLDivLoss": F.kl_div, "L1Loss": F.l1_loss, "MSELoss": F.mse_loss,
    "MarginRankingLoss": F.margin_ranking_loss, "MultiMarginLoss": F.multi_margin_loss,
    "MultiLabelMarginLoss": F.multilabel_margin_loss,
    "MultiLabelSoftMarginLoss": F.multilabel_soft_margin_loss, "NLLLoss": F.nll_loss,
    "PairwiseDistance": F.pairwise_distance, "PoissonNLLLoss": F.poisson_nll_loss,
    "SmoothL1Loss": F.smooth_l1_loss, "SoftMarginLoss": F.soft_margin_loss,
    "TripletMarginLoss": F.triplet_margin_loss,
    "TripletMarginWithDistanceLoss": F.triplet_margin_with_distance_loss,
}  # fmt: skip


def _surrounded(input: Any, padding: Sequence[int], value: float, *, axes: int, mode: str) -> Any:
    """An image (N, C, H, W) or a signal (N, C, L) with more elements around it, see `F.pad`.

    padding: (left, right), for images followed by top and bottom.
    """
    if len(padding) != 2 * axes:
        raise ShapeError(
            f"pad: padding must be a number or {2 * axes} of them (left, right"
            f"{', top, bottom' * (axes == 2)}), got {padding!r}"
        )
    return F.pad(input, padding, mode, value)


FUNCTIONS |= {
    f"{name}Pad{axes}d": functools.partial(_surrounded, axes=axes, **settings)  # type: ignore[arg-type]
    for name, settings in (
        ("Zero", {"mode": "constant", "value": 0.0}),
        ("Constant", {"mode": "constant"}),
        ("Reflection", {"mode": "reflect", "value": 0.0}),
        ("Replication", {"mode": "replicate", "value": 0.0}),
        ("Circular", {"mode": "circular", "value": 0.0}),
    )
    for axes in (1, 2)
}

NOISE = ("AlphaDropout", "Dropout", "Dropout1d", "Dropout2d")
CHECKS: dict[str, Callable[[str, Any], object]] = {
    "AdaptiveAvgPool2d": lambda op, x: adaptive_size(op, (1, 1, 1, 1), x.output_size),
    "AvgPool2d": lambda op, x: pool_arguments(op, x.kernel_size, x.stride, x.padding),
    **dict.fromkeys(NOISE, lambda op, x: check_probability(op, x.p)),
    "CrossEntropyLoss": lambda op, x: within(op, "label_smoothing", x.label_smoothing, 0, 1),
    "GELU": lambda op, x: one_of(op, "approximate", x.approximate, GELU_FORMS),
    "SmoothL1Loss": lambda op, x: within(op, "beta", x.beta, 0, np.inf),
    "Softplus": lambda op, x: positive(op, "beta", x.beta),
}
"""What is refused when the layer is made; the rest, its function refuses when it is called."""

HIDDEN = {
    **dict.fromkeys(("AvgPool1d", "AvgPool2d"), "ceil_mode count_include_pad divisor_override"),
    "Hardsigmoid": "inplace", "Hardswish": "inplace",
    "Upsample": "align_corners recompute_scale_factor", "CosineSimilarity": "dim eps",
    "PairwiseDistance": "p eps",
}  # fmt: skip
SHOWN = {
    **dict.fromkeys(NOISE, "inplace"),
    **dict.fromkeys(("LPPool1d", "LPPool2d"), "stride ceil_mode"), "MaxPool1d": "ceil_mode",
    **dict.fromkeys(("LogSoftmax", "Softmax", "Softmin"), "dim"),
}  # fmt: skip
BARE = {
    "Hardshrink": "lambd", "LocalResponseNorm": "size", "Softshrink": "lambd",
    **{name: "padding" for name in FUNCTIONS if "Pad" in name and "Constant" not in name},
}  # fmt: skip
"""Settings that PyTorch's `repr` leaves out, always shows, and shows without their names."""

TUPLES = {"AvgPool1d": 1, "MaxUnpool1d": 1, "MaxUnpool2d": 2}
TUPLES |= {name: 2 * int(name[-2]) for name in FUNCTIONS if "Pad" in name}
"""How many numbers a size is, if one was given for all, in layers where PyTorch has it so."""


class Stateless(Module):
    """A function as a layer: it is called with the layer's inputs and all settings by name."""

    function: ClassVar[Callable[..., Any]]
    signature: ClassVar[inspect.Signature]
    trains: ClassVar[bool]  # whether the function is told if it is training

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__()
        name = type(self).__name__
        if "reduction" in self.signature.parameters:
            name_reduction(settings)
        try:
            given = self.signature.bind(*args, **settings)
        except TypeError as error:
            raise TypeError(f"{name}: {error}; it takes {self.signature}") from None
        given.apply_defaults()
        for key, value in given.arguments.items():
            if key in ("weight", "pos_weight"):
                self.register_buffer(key, value)
            else:
                many = name in TUPLES and key in HEIGHTS and isinstance(value, int)
                setattr(self, key, (value,) * TUPLES[name] if many else value)
        if given.arguments.get("scale_factor") is not None:
            scale = given.arguments["scale_factor"]
            self.scale_factor = tuple(map(float, scale)) if np.ndim(scale) else float(scale)
        if given.arguments.get("stride", 0) is None and "stride" not in SHOWN.get(name, ""):
            self.stride = self.settings()["kernel_size"]
        if "reduction" in given.arguments and name != "KLDivLoss":  # which has one more
            check_reduction(name, given.arguments["reduction"])
        if name in CHECKS:
            CHECKS[name](name, self)

    def settings(self) -> dict[str, Any]:
        """The settings by name."""
        return {name: getattr(self, name) for name in self.signature.parameters}

    def forward(self, *inputs: Any, **more: Any) -> Any:
        settings = {**self.settings(), **more}
        if self.trains:
            settings["training"] = self.training
        return self.function(*inputs, **settings)

    def extra_repr(self) -> str:
        """The settings but for switches, and numbers of a loss, that are as usual."""
        shown, owner = [], type(self).__name__
        for name, value in self.settings().items():
            usual = self.signature.parameters[name].default
            quiet = usual is None or isinstance(usual, bool) or hasattr(self, "reduction")
            quiet = quiet and name not in SHOWN.get(owner, "").split()
            hidden = isinstance(value, Tensor) or name in HIDDEN.get(owner, "").split()
            if not hidden and not (quiet and value == usual):
                shown.append(f"{value!r}" if BARE.get(owner) == name else f"{name}={value!r}")
        return ", ".join(shown)


class _Loss(Module):
    """A class to derive losses of one's own from; size_average and reduce have no effect."""

    def __init__(
        self, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
    ) -> None:
        super().__init__()
        self.reduction = reduction


class _WeightedLoss(_Loss):
    """The same for losses with a weight for each class, a buffer."""

    def __init__(self, weight: Any = None, *settings: Any, **named: Any) -> None:
        super().__init__(*settings, **named)
        self.register_buffer("weight", weight)


def layer(name: str) -> type[Stateless]:
    """The class of this name in `FUNCTIONS`."""
    function = FUNCTIONS[name]
    fixed: Any = getattr(function, "keywords", {})
    arguments = inspect.signature(function).parameters
    settings = [p for key, p in arguments.items() if key not in {"training", *DATA, *fixed}]
    if "return_indices" in arguments:  # stands before ceil_mode in PyTorch's layers
        settings.sort(key=lambda p: p.name == "ceil_mode")
    members = {
        "__doc__": str(getattr(function, "func", function).__doc__).partition(">>>")[0],
        "__module__": "tinynet.nn",
        "__signature__": inspect.Signature(settings),
        "function": staticmethod(function),
        "signature": inspect.Signature(settings),
        "trains": "training" in arguments,
    }
    bases: list[type] = [Stateless]
    if "reduction" in arguments:
        bases.append(_WeightedLoss if "weight" in arguments else _Loss)
    return type(name, tuple(bases), members)
