"""The losses as modules, for code that keeps its loss beside its model.

Each is a call to the function of the same meaning in `nn.functional`, where the formulas stand.
reduction: "mean", "sum" or "none" (one loss for each example). size_average and reduce are
PyTorch's old arguments for it, and are refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tinynet.nn import functional as F
from tinynet.nn.functional.arguments import refuse_legacy
from tinynet.nn.stateless import Stateless
from tinynet.ops.checks import within
from tinynet.ops.loss import check_reduction
from tinynet.tensor import Tensor


@dataclass(eq=False, repr=False)
class _Loss(Stateless):
    """A loss with a reduction; weights are kept as buffers."""

    def __post_init__(self) -> None:
        layer, settings = type(self).__name__, self.settings()
        refuse_legacy(layer, settings.get("size_average"), settings.get("reduce"))
        self._check_reduction(layer, settings["reduction"])
        for name in ("weight", "pos_weight"):
            if name in settings:
                delattr(self, name)
                self.register_buffer(name, settings[name])

    def _check_reduction(self, layer: str, reduction: Any) -> None:
        check_reduction(layer, reduction)

    def extra_repr(self) -> str:
        """The reduction, if it is not the usual one."""
        reduction = self.settings()["reduction"]
        return "" if reduction == "mean" else f"reduction={reduction!r}"


# ----- classes ------------------------------------------------------------------------------------


@dataclass(eq=False, repr=False)
class CrossEntropyLoss(_Loss):
    """Cross entropy of the softmax of raw scores: -log p[target].

    Shapes: input (N, C) or (N, C, ...), target int labels (N) or (N, ...), or probabilities of
    the shape of the input. weight: (C), the importance of each class, kept as a buffer.
    Labels equal to ignore_index count for nothing. label_smoothing: the share of the target
    that is spread over all classes (Szegedy et al. 2015).
    """

    weight: Any = None
    size_average: None = None
    ignore_index: int = -100
    reduce: None = None
    reduction: str = "mean"
    label_smoothing: float = 0.0
    function = staticmethod(F.cross_entropy)

    def __post_init__(self) -> None:
        super().__post_init__()
        within("CrossEntropyLoss", "label_smoothing", self.label_smoothing, 0, 1)


@dataclass(eq=False, repr=False)
class NLLLoss(_Loss):
    """-input[target]: cross entropy of log probabilities, which LogSoftmax gives.

    Shapes and arguments as for CrossEntropyLoss, with int labels alone.
    """

    weight: Any = None
    size_average: None = None
    ignore_index: int = -100
    reduce: None = None
    reduction: str = "mean"
    function = staticmethod(F.nll_loss)


@dataclass(eq=False, repr=False)
class MultiMarginLoss(_Loss):
    """By how much another class comes within `margin` of the label's own; p is 1 or 2.

    Shapes: input scores (N, C), target int labels (N). weight: (C), kept as a buffer.
    """

    p: int = 1
    margin: float = 1.0
    weight: Any = None
    size_average: None = None
    reduce: None = None
    reduction: str = "mean"
    function = staticmethod(F.multi_margin_loss)


# ----- numbers ------------------------------------------------------------------------------------


@dataclass(eq=False, repr=False)
class MSELoss(_Loss):
    """The square of the difference. Shapes: input and target alike."""

    size_average: None = None
    reduce: None = None
    reduction: str = "mean"
    function = staticmethod(F.mse_loss)


@dataclass(eq=False, repr=False)
class L1Loss(_Loss):
    """The absolute difference. Shapes: input and target alike."""

    size_average: None = None
    reduce: None = None
    reduction: str = "mean"
    function = staticmethod(F.l1_loss)


@dataclass(eq=False, repr=False)
class SmoothL1Loss(_Loss):
    """Half the square over beta for differences below beta, |difference| - beta/2 above.

    Shapes: input and target alike. beta = 0 is L1Loss.
    """

    size_average: None = None
    reduce: None = None
    reduction: str = "mean"
    beta: float = 1.0
    function = staticmethod(F.smooth_l1_loss)

    def __post_init__(self) -> None:
        super().__post_init__()
        within("SmoothL1Loss", "beta", self.beta, 0, float("inf"))


@dataclass(eq=False, repr=False)
class HuberLoss(_Loss):
    """Half the square for differences below delta, delta (|difference| - delta/2) above."""

    reduction: str = "mean"
    delta: float = 1.0
    function = staticmethod(F.huber_loss)


@dataclass(eq=False, repr=False)
class PoissonNLLLoss(_Loss):
    """Negative log-likelihood of counts under Poisson's distribution, see F.poisson_nll_loss."""

    log_input: bool = True
    full: bool = False
    size_average: None = None
    eps: float = 1e-8
    reduce: None = None
    reduction: str = "mean"
    function = staticmethod(F.poisson_nll_loss)


@dataclass(eq=False, repr=False, kw_only=True)
class GaussianNLLLoss(_Loss):
    """Negative log-likelihood under a normal distribution: called with (input, target, var)."""

    full: bool = False
    eps: float = 1e-6
    reduction: str = "mean"
    function = staticmethod(F.gaussian_nll_loss)


# ----- yes or no, probabilities -------------------------------------------------------------------


@dataclass(eq=False, repr=False)
class BCELoss(_Loss):
    """Binary cross entropy of probabilities; from raw scores use BCEWithLogitsLoss.

    Shapes: input and target alike, both between 0 and 1. weight: a factor for each element, which
    broadcasts, kept as a buffer.
    """

    weight: Any = None
    size_average: None = None
    reduce: None = None
    reduction: str = "mean"
    function = staticmethod(F.binary_cross_entropy)


@dataclass(eq=False, repr=False)
class BCEWithLogitsLoss(_Loss):
    """Binary cross entropy of the sigmoid of raw scores.

    Shapes: input and target alike, targets between 0 and 1. weight: a factor for each element,
    pos_weight: a factor for the positive part; both broadcast, and are kept as buffers.
    """

    weight: Any = None
    size_average: None = None
    reduce: None = None
    reduction: str = "mean"
    pos_weight: Any = None
    function = staticmethod(F.binary_cross_entropy_with_logits)


@dataclass(eq=False, repr=False)
class MultiLabelSoftMarginLoss(_Loss):
    """BCEWithLogitsLoss averaged over the classes (..., C) first. weight: (C), kept as a buffer."""

    weight: Any = None
    size_average: None = None
    reduce: None = None
    reduction: str = "mean"
    function = staticmethod(F.multilabel_soft_margin_loss)


@dataclass(eq=False, repr=False)
class KLDivLoss(_Loss):
    """Kullback-Leibler divergence from log-probabilities to probabilities, see F.kl_div.

    reduction: also "batchmean", the sum over the number of examples, which is the divergence.
    """

    size_average: None = None
    reduce: None = None
    reduction: str = "mean"
    log_target: bool = False
    function = staticmethod(F.kl_div)

    def _check_reduction(self, layer: str, reduction: Any) -> None:
        if reduction != "batchmean":
            check_reduction(layer, reduction)


@dataclass(eq=False, repr=False)
class SoftMarginLoss(_Loss):
    """log(1 + e^(-target input)), targets 1 and -1. Shapes: input and target alike."""

    size_average: None = None
    reduce: None = None
    reduction: str = "mean"
    function = staticmethod(F.soft_margin_loss)


# ----- pairs and triplets -------------------------------------------------------------------------


@dataclass(eq=False, repr=False)
class HingeEmbeddingLoss(_Loss):
    """The input, a distance, where the target is 1; max(0, margin - input) where it is -1."""

    margin: float = 1.0
    size_average: None = None
    reduce: None = None
    reduction: str = "mean"
    function = staticmethod(F.hinge_embedding_loss)


@dataclass(eq=False, repr=False)
class MarginRankingLoss(_Loss):
    """max(0, margin - target (input1 - input2)); called with (input1, input2, target)."""

    margin: float = 0.0
    size_average: None = None
    reduce: None = None
    reduction: str = "mean"
    function = staticmethod(F.margin_ranking_loss)


@dataclass(eq=False, repr=False)
class CosineEmbeddingLoss(_Loss):
    """1 - cos where the target is 1, max(0, cos - margin) where it is -1.

    Called with (input1, input2, target) of shapes (N, D), (N, D), (N).
    """

    margin: float = 0.0
    size_average: None = None
    reduce: None = None
    reduction: str = "mean"
    function = staticmethod(F.cosine_embedding_loss)


@dataclass(eq=False, repr=False)
class TripletMarginLoss(_Loss):
    """max(0, margin + |anchor - positive|_p - |anchor - negative|_p), for vectors (N, D).

    swap: the negative's distance to the positive counts if it is smaller than to the anchor.
    """

    margin: float = 1.0
    p: float = 2.0
    eps: float = 1e-6
    swap: bool = False
    size_average: None = None
    reduce: None = None
    reduction: str = "mean"
    function = staticmethod(F.triplet_margin_loss)


@dataclass(eq=False, repr=False, kw_only=True)
class TripletMarginWithDistanceLoss(_Loss):
    """TripletMarginLoss with a distance of your own, a function of two batches of vectors."""

    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None
    margin: float = 1.0
    swap: bool = False
    reduction: str = "mean"
    function = staticmethod(F.triplet_margin_with_distance_loss)


# ----- distances, which are no losses -------------------------------------------------------------


@dataclass(eq=False, repr=False)
class CosineSimilarity(Stateless):
    """The cosine of the angle between the vectors of two inputs along `dim`."""

    dim: int = 1
    eps: float = 1e-8
    function = staticmethod(F.cosine_similarity)


@dataclass(eq=False, repr=False)
class PairwiseDistance(Stateless):
    """The p-norm of x1 - x2 + eps along the last axis."""

    p: float = 2.0
    eps: float = 1e-6
    keepdim: bool = False
    function = staticmethod(F.pairwise_distance)
