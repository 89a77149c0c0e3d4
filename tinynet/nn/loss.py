"""The losses as modules, for code that keeps its loss beside its model.

Each is a call to the function of the same meaning in `nn.functional`; formulas and gradients
stand in `tinynet.ops.loss`. reduction: "mean", "sum" or "none" (one loss for each example).
"""

from __future__ import annotations

from typing import Any

from tinynet import ops
from tinynet.nn.module import Module
from tinynet.ops.checks import within
from tinynet.ops.loss import check_reduction
from tinynet.tensor import Tensor


class _Loss(Module):
    """A loss with a reduction."""

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        check_reduction(type(self).__name__, reduction)
        self.reduction = reduction

    def extra_repr(self) -> str:
        """The reduction, if it is not the usual one."""
        return "" if self.reduction == "mean" else f"reduction={self.reduction!r}"


class CrossEntropyLoss(_Loss):
    """Cross entropy of the softmax of raw scores: -log p[target].

    Shapes: input (N, C) or (N, C, ...), target int labels (N) or (N, ...), or probabilities of
    the shape of the input. weight: (C), the importance of each class, kept as a buffer.
    Labels equal to ignore_index count for nothing. label_smoothing: the share of the target
    that is spread over all classes (Szegedy et al. 2015).
    """

    weight: Tensor | None

    def __init__(
        self,
        weight: Any = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.ignore_index = ignore_index
        self.label_smoothing = within("CrossEntropyLoss", "label_smoothing", label_smoothing, 0, 1)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:  # noqa: A002 (PyTorch's name)
        return ops.cross_entropy(
            input,
            target,
            self.weight,
            self.ignore_index,
            self.reduction,
            self.label_smoothing,
        )


class NLLLoss(_Loss):
    """-input[target]: cross entropy of log probabilities, which LogSoftmax gives.

    Shapes and arguments as for CrossEntropyLoss, with int labels alone.
    """

    weight: Tensor | None

    def __init__(
        self, weight: Any = None, ignore_index: int = -100, reduction: str = "mean"
    ) -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:  # noqa: A002
        return ops.nll_loss(input, target, self.weight, self.ignore_index, self.reduction)


class MSELoss(_Loss):
    """The square of the difference. Shapes: input and target alike."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:  # noqa: A002
        return ops.mse_loss(input, target, self.reduction)


class L1Loss(_Loss):
    """The absolute difference. Shapes: input and target alike."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:  # noqa: A002
        return ops.l1_loss(input, target, self.reduction)


class SmoothL1Loss(_Loss):
    """Half the square over beta for differences below beta, |difference| - beta/2 above.

    Shapes: input and target alike. beta = 0 is L1Loss.
    """

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction)
        self.beta = within("SmoothL1Loss", "beta", beta, 0, float("inf"))

    def forward(self, input: Tensor, target: Tensor) -> Tensor:  # noqa: A002
        return ops.smooth_l1_loss(input, target, self.reduction, self.beta)


class BCEWithLogitsLoss(_Loss):
    """Binary cross entropy of the sigmoid of raw scores.

    Shapes: input and target alike, targets between 0 and 1. weight: a factor for each element,
    pos_weight: a factor for the positive part; both broadcast, and are kept as buffers.
    """

    weight: Tensor | None
    pos_weight: Tensor | None

    def __init__(self, weight: Any = None, reduction: str = "mean", pos_weight: Any = None) -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:  # noqa: A002
        return ops.binary_cross_entropy_with_logits(
            input, target, self.weight, self.pos_weight, self.reduction
        )
