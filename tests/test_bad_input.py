"""One table of wrong uses: each raises the error that fits, with the words that help.

The words are whole pieces of the message: the operation, the sizes involved, the cure.
"""

from __future__ import annotations

import re

import numpy as np
import pytest

import tinynet
from tinynet import nn
from tinynet.errors import DataError, ShapeError
from tinynet.nn import functional as F

nan, inf = np.nan, np.inf


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


def labels(*values):
    return np.array(values)


def with_value(shape, value, *places):
    x = zeros(*shape)
    for place in places:
        x[place] = value
    return x


def given(*args, **settings):
    return args, settings


# Rows: the call, what it is given, the error that it raises, words of the message.
CROSS_ENTROPY = [
    (F.cross_entropy, given(zeros(4, 10), labels(0, 9, 3, 12)), DataError,
     "cross_entropy: label 12 is out of range",
     "shape (4, 10) has 10 classes, so labels go from 0 to 9.",
     "at least 13 outputs in the last layer; ignore_index=12 leaves this label out"),
    (F.cross_entropy, given(zeros(4, 10), labels(0, -1, 3, 2)), DataError,
     "label -1 is out of range: ",
     "has 10 classes, so labels go from 0 to 9. ignore_index=-1 leaves this label out"),
    (F.cross_entropy, given(zeros(3, 2), labels(1, 2, 1)), DataError, "label 2 is out of range",
     "labels that start at 1 need `target - 1`"),
    (F.cross_entropy, given(zeros(2, 3, 2, 2), np.array([[[0, 1], [2, 0]], [[0, 0], [5, 0]]])),
     DataError, "label 5 is out of range"),
    (F.cross_entropy, given(zeros(3, 2), labels(-100, 1, 2)), DataError, "label 2 is out of range"),
    (F.nll_loss, given(zeros(3, 2), labels(0, 1, 2)), DataError,
     "nll_loss: label 2 is out of range"),
    (F.cross_entropy, given(zeros(3, 2), labels(0, 255, 0)), DataError,
     "Of a mask of bytes take target // 255; ignore_index=255"),
    (F.cross_entropy, given(zeros(4, 10), zeros(4)), TypeError,
     "cross_entropy: labels must be integers, got float32; convert with target.long()"),
    (F.nll_loss, given(zeros(2, 10), np.array([True, False])), TypeError,
     "nll_loss: labels must be integers, got bool"),
    (F.cross_entropy, given(zeros(2, 3), np.eye(3, dtype=int)[:2]), TypeError,
     "the target has the shape (2, 3) of the input, but is int64",
     "target.float() or, of an array, target.astype(np.float32)", "target.argmax(1)"),
    (F.nll_loss, given(zeros(2, 3), np.eye(3)[:2]), TypeError,
     "nll_loss: the target has the shape (2, 3)", "labels come from target.argmax(1)"),
    (F.cross_entropy, given(zeros(32, 10), np.zeros(64, int)), ShapeError,
     "for an input of shape (32, 10) the labels must have shape (32,)",
     "got (64,); there are 32 examples, but 64 labels"),
    (F.cross_entropy, given(zeros(4, 10), np.zeros((4, 1), int)), ShapeError,
     "got (4, 1); use target.reshape(-1,)"),
    (F.cross_entropy, given(zeros(4, 10), np.zeros((4, 9))), ShapeError,
     "or be probabilities of shape (4, 10), got (4, 9)"),
    (F.cross_entropy, given(zeros(), labels(0)), ShapeError,
     "the input must have shape (N, C), (N, C, ...) or (C)"),
    (F.cross_entropy, given(zeros(3, 0), labels(0, 0, 0)), ShapeError,
     "with C classes, at least 1, got (3, 0)"),
    (F.cross_entropy, given(zeros(2, 3), labels(0, 1), zeros(4)), ShapeError,
     "class weights have shape (4,); the input of shape (2, 3) has 3 classes"),
    (F.cross_entropy, given(zeros(2, 3), labels(0, 1), label_smoothing=1.5), ValueError,
     "cross_entropy: label_smoothing must be from 0 to 1, got 1.5"),
    (F.cross_entropy, given(zeros(2, 3), labels(0, 1), reduction="avg"), ValueError,
     "unknown reduction of cross_entropy 'avg'. Known: mean, sum, none"),
    (F.cross_entropy, given(zeros(2, 3, dtype=int), labels(0, 1)), TypeError,
     "cross_entropy: the input has dtype int64, it takes floats; convert with x.float()"),
]  # fmt: skip

EMPTY = [
    *[
        (loss, given(zeros(0, 3), target), ShapeError,
         f"{loss.__name__}: the mean over an empty batch is undefined", "use reduction='sum'")
        for loss, target in [
            (F.cross_entropy, np.zeros(0, int)),
            (F.cross_entropy, zeros(0, 3)),
            (F.nll_loss, np.zeros(0, int)),
            (F.mse_loss, zeros(0, 3)),
            (F.l1_loss, zeros(0, 3)),
            (F.smooth_l1_loss, zeros(0, 3)),
            (F.huber_loss, zeros(0, 3)),
            (F.binary_cross_entropy, zeros(0, 3)),
            (F.binary_cross_entropy_with_logits, zeros(0, 3)),
        ]
    ],
    *[
        (loss, given(zeros(2, 3), labels(7, 7), ignore_index=7), DataError,
         f"{loss.__name__}: none of the 2 labels counts")
        for loss in (F.cross_entropy, F.nll_loss)
    ],
    (F.cross_entropy, given(zeros(2, 3), labels(1, 1), np.array([1, 0, 1])), DataError,
     "each is ignore_index or has a class weight of 0"),
]  # fmt: skip

CURE = "use a smaller learning rate, or nn.utils.clip_grad_norm_"
NOT_FINITE = [
    (F.cross_entropy, given(with_value((4, 3), nan, (1, 2), (3, 0)), labels(0, 1, 2, 0)),
     FloatingPointError,
     "cross_entropy: 2 of 12 values of the input (shape (4, 3)) are NaN, the first at index (1, 2)",
     CURE, "log of 0"),
    (F.cross_entropy, given(with_value((2, 3), inf, (1, 2)), labels(0, 1)), FloatingPointError,
     "1 of 6 values of the input (shape (2, 3)) are infinite, the first at index (1, 2)"),
    (F.cross_entropy, given(zeros(2, 3), with_value((2, 3), nan, (0, 1))), FloatingPointError,
     "1 of 6 values of the target"),
    (F.cross_entropy,
     given(with_value((2, 3), nan, (1, 0)), labels(0, 1), label_smoothing=0.1, reduction="none"),
     FloatingPointError, "cross_entropy: 1 of 6 values of the input"),
    (F.nll_loss, given(with_value((2, 3), nan, (1, 1)), labels(0, 1)), FloatingPointError,
     "nll_loss: 1 of 6 values of the input"),
    *[
        (loss, given(*arguments, reduction=reduction), FloatingPointError,
         f"{loss.__name__}: 1 of 6 values of the {which} (shape (2, 3)) are NaN", CURE)
        for loss in (
            F.mse_loss,
            F.l1_loss,
            F.smooth_l1_loss,
            F.huber_loss,
            F.binary_cross_entropy,
            F.binary_cross_entropy_with_logits,
        )
        for which, arguments in [
            ("input", (with_value((2, 3), nan, (0, 1)), zeros(2, 3))),
            ("target", (zeros(2, 3), with_value((2, 3), nan, (0, 1)))),
        ]
        for reduction in ("mean", "none")
    ],
]  # fmt: skip

OTHER_LOSSES = [
    (F.mse_loss, given(zeros(4, 1), zeros(4)), ShapeError,
     "mse_loss: the input has shape (4, 1) and the target (4,); they must be equal",
     "use target.reshape(-1, 1)"),
    (F.binary_cross_entropy_with_logits, given(zeros(4, 3), zeros(4)), ShapeError,
     "the input has shape (4, 3) and the target (4,); they must be equal"),
    (F.mse_loss, given(zeros(3, dtype=np.uint8), zeros(3)), TypeError,
     "mse_loss: the input has dtype uint8, it takes floats"),
    (F.l1_loss, given(zeros(3), zeros(3), reduction="men"), ValueError,
     "unknown reduction of l1_loss 'men'; did you mean 'mean'? Known: mean, sum, none"),
    (F.smooth_l1_loss, given(zeros(3), zeros(3), beta=-1), ValueError,
     "smooth_l1_loss: beta must be 0 or more, got -1"),
    *[
        (loss, given(np.full(2, 0.5, np.float32), np.array([target, 0.0])), DataError,
         f"{loss.__name__}: the target holds probabilities from 0 to 1, but {target:g} is among")
        for loss in (F.binary_cross_entropy, F.binary_cross_entropy_with_logits)
        for target in (200, -1, 2, inf)
    ],
    (F.cross_entropy, given(zeros(2, 3), np.eye(3)[:2] * 2), DataError,
     "cross_entropy: the target holds probabilities from 0 to 1, but 2 is among them"),
    *[
        (F.cross_entropy, given(zeros(2, 3), labels(0, 1), weight=np.array([weight, 1, 1])),
         ValueError, f"cross_entropy: each class weight must be finite, got {weight:g}")
        for weight in (inf, nan)
    ],
    *[
        (F.binary_cross_entropy_with_logits,
         given(zeros(2), zeros(2), **{name: np.array([inf, 1])}), ValueError,
         f"each {name} must be finite, got inf")
        for name in ("weight", "pos_weight")
    ],
    (F.huber_loss, given(zeros(3), zeros(3), delta=nan), ValueError, "more than 0, got nan"),
    *[
        (call, given(zeros(1, 2, 3, 3), zeros(*weight)), ShapeError,
         f"{call.__name__}: the weight must have shape", str(weight))
        for call in (F.conv2d, F.conv_transpose2d)
        for weight in [(2, 2, 0, 3), (2, 2, 3, 0), (0, 2, 3, 3)]
    ],
    (F.conv2d, given(zeros(1, 1, 3, 3), zeros(1, 1, 1, 1), 1.0), ShapeError,
     "the bias has shape (), 1 filters need (1,): b.reshape(1)"),
    (F.huber_loss, given(zeros(3), zeros(3), delta=0), ValueError,
     "huber_loss: delta must be more than 0, got 0"),
    (F.binary_cross_entropy_with_logits, given(zeros(4, 3), zeros(4, 3), pos_weight=zeros(4)),
     ShapeError,
     "pos_weight has shape (4,), which does not broadcast over the input of shape (4, 3)"),
    (F.binary_cross_entropy, given(zeros(4, 3), zeros(4, 3), weight=zeros(4)), ShapeError,
     "binary_cross_entropy: weight has shape (4,)"),
    (F.binary_cross_entropy, given(with_value((2, 3), 1.5, (1, 1)), zeros(2, 3)), DataError,
     "from 0 to 1, but 1.5 is among them", "binary_cross_entropy_with_logits"),
]  # fmt: skip

NORMALISATION = [
    (F.batch_norm, given(zeros(1, 3), None, None, training=True), ShapeError,
     "batch_norm: Expected more than 1 value per channel when training", "got input size (1, 3)",
     "drop_last=True", "model.eval()"),
    (F.batch_norm, given(zeros(0, 3, 4, 4), None, None, training=True), ShapeError,
     "got input size (0, 3, 4, 4)"),
    (F.batch_norm, given(zeros(3), None, None, training=True), ShapeError,
     "must have shape (N, C), (N, C, L) or (N, C, H, W), got (3,)"),
    (F.batch_norm, given(zeros(2, 3, 4, 4), zeros(4), zeros(4)), ShapeError,
     "3 channels (shape (2, 3, 4, 4)), running_mean has shape (4,) and must have (3,)"),
    (F.batch_norm, given(zeros(2, 3), None, None, weight=zeros(5), training=True), ShapeError,
     "weight has shape (5,)", "Use num_features=3"),
    (F.batch_norm, given(zeros(2, 3), None, None), ValueError,
     "batch_norm: evaluation (training=False) needs running_mean and running_var"),
    (F.batch_norm, given(zeros(2, 3, 4, 4, dtype=np.uint8), None, None, training=True), TypeError,
     "batch_norm: the input has dtype uint8", "x.float() / 255"),
    (F.layer_norm, given(zeros(2, 3), 4), ShapeError, "layer_norm: normalized_shape=(4,)",
     "shape is (2, 3); use normalized_shape=(3,)"),
    (F.layer_norm, given(zeros(3), (2, 3)), ShapeError,
     "normalized_shape=(2, 3) must name the last sizes"),
    (F.layer_norm, given(zeros(2, 0), 0), ShapeError, "none of them 0"),
    (F.layer_norm, given(zeros(2, 3), ()), ShapeError, "use normalized_shape=(3,)"),
    (F.layer_norm, given(zeros(2, 3), 3, zeros(2)), ShapeError,
     "layer_norm: weight has shape (2,), it must have (3,)"),
    (F.layer_norm, given(zeros(2, 3, dtype=int), 3), TypeError,
     "layer_norm: the input has dtype int64"),
    (F.dropout, given(zeros(3), 1.5), ValueError,
     "dropout: p is the probability to drop, from 0 to 1, got 1.5"),
    (F.dropout, given(zeros(3, dtype=int)), TypeError, "dropout: the input has dtype int64"),
]  # fmt: skip

IMAGES = [
    (F.conv2d, given(zeros(1, 3, 8, 8), zeros(4, 1, 3, 3)), ShapeError,
     "conv2d: the input has 3 channels (shape (1, 3, 8, 8))", "takes 1. Use in_channels=3",
     "x.permute(0, 3, 1, 2)"),
    (F.conv2d, given(zeros(1, 3, 2, 2), zeros(4, 3, 5, 5), padding=1), ShapeError,
     "conv2d: a window of 5x5", "padded image of 4x4 (input 2x2)", "1 more padding"),
    (F.conv2d, given(zeros(1, 3, 8, 8), zeros(4, 3, 3, 3), stride=0), ShapeError,
     "conv2d: stride must be at least 1, got 0"),
    (F.conv2d, given(zeros(1, 3, 8, 8), zeros(4, 3, 3, 3), padding=(0, -1)), ShapeError,
     "conv2d: padding must be at least 0, got (0, -1)"),
    (F.conv2d, given(zeros(1, 3, 8, 8), zeros(4, 3, 3, 3), padding="full"), ValueError,
     "padding must be an int, a pair, 'same' or 'valid', got 'full'"),
    (F.conv2d, given(zeros(8, 8), zeros(4, 1, 3, 3)), ShapeError,
     "must have shape (N, C, H, W) or (C, H, W), got (8, 8)", "x[None, None]"),
    (F.conv2d, given(zeros(1, 3, 8, 8), zeros(4, 3, 3, 3), zeros(3)), ShapeError,
     "conv2d: the bias has shape (3,), 4 filters need (4,)"),
    *[
        (call, given(zeros(1, 3, 8, 8, dtype=np.uint8), *args), TypeError,
         f"{call.__name__}: the input has dtype uint8", "x.float() / 255")
        for call, args in [
            (F.conv2d, (zeros(4, 3, 3, 3),)),
            (F.conv_transpose2d, (zeros(3, 4, 3, 3),)),
            (F.max_pool2d, (2,)),
            (F.avg_pool2d, (2,)),
            (F.adaptive_avg_pool2d, (2,)),
        ]
    ],
    *[
        (call, given(zeros(1, 3, 8, 8), kernel_size=2, **{argument: value}), ShapeError,
         f"{call.__name__}: {argument} must be at least {least}, got {value}")
        for call in (F.max_pool2d, F.avg_pool2d)
        for argument, value, least in [("stride", 0, 1), ("padding", -1, 0)]
    ],
    *[
        (call, given(zeros(1, 1, 4, 4), *rest, **{argument: value}), ShapeError,
         f"{call.__name__}: {argument} must be at most 2147483647, got {value}")
        for call, rest, arguments in [
            (F.conv2d, (zeros(1, 1, 1, 1),), ("stride", "padding", "dilation")),
            (F.conv_transpose2d, (zeros(1, 1, 1, 1),), ("stride", "padding", "dilation")),
            (F.max_pool2d, (1,), ("stride", "padding", "dilation")),
            (F.max_pool2d, (), ("kernel_size",)),
            (F.avg_pool2d, (1,), ("stride", "padding")),
        ]
        for argument in arguments
        for value in (2**31, 2**63, 10**30)
    ],
    (F.max_pool2d, given(zeros(1, 1, 4, 4), 5), ShapeError,
     "max_pool2d: a window of 5x5 (kernel 5x5, dilation 1x1) does not fit"),
    (F.linear, given(zeros(32, 400), zeros(10, 256)), ShapeError,
     "linear: the input has 400 features", "(10, 256) takes 256"),
]  # fmt: skip

SHAPES = [
    (F.pad, given(zeros(2, 3), (1, 2, 3)), ShapeError, "pad: needs (left, right, top, bottom, ...)",
     "got (1, 2, 3)"),
    (F.pad, given(zeros(2, 3), (1,) * 6), ShapeError, "at most 4 for shape (2, 3)"),
    (F.pad, given(zeros(2, 3), (-2, -2)), ShapeError, "(-2, -2) cuts off more than there is of"),
    (F.pad, given(zeros(2, 3), (3, 0), mode="reflect"), ShapeError,
     "mode='reflect' can add at most 2 elements at each end of axis 1, which has 3"),
    (F.pad, given(zeros(2, 3), (0, 4), mode="circular"), ShapeError,
     "mode='circular' can add at most 3 elements"),
    (F.pad, given(zeros(2, 0), (0, 1), mode="replicate"), ShapeError,
     "mode='replicate' can add at most 0 elements"),
    (F.pad, given(zeros(2, 3), (1, 1), mode="mirror"), ValueError, "unknown mode of pad 'mirror'"),
    (F.one_hot, given(labels(0, 3), 3), DataError,
     "one_hot: label 3 is out of range for num_classes=3, which takes 0 to 2"),
    (F.one_hot, given(labels(-1, 3)), DataError, "label -1 is out of range"),
    (F.one_hot, given(zeros(2)), TypeError, "one_hot: takes integers"),
    (F.one_hot, given(np.zeros(0, int)), ShapeError, "pass num_classes"),
    (F.softmax, given(zeros(2, 3), dim=2), ShapeError,
     "softmax: axis 2 does not exist in shape (2, 3)"),
    (F.gelu, given(zeros(2), approximate="erf"), ValueError,
     "gelu: approximate must be 'none' or 'tanh', got 'erf'"),
]  # fmt: skip

TABLE = CROSS_ENTROPY + EMPTY + NOT_FINITE + OTHER_LOSSES + NORMALISATION + IMAGES + SHAPES


IDS = [f"{call.__name__}: {words[0]}" for call, _, _, *words in TABLE]


@pytest.mark.parametrize("row", TABLE, ids=IDS)
def test_wrong_use_gives_a_helpful_error(row):
    call, (args, settings), error, *words = row
    with pytest.raises(error) as caught:
        call(*args, **settings)
    assert caught.type is error
    for some in words:
        assert some in str(caught.value)


@pytest.mark.parametrize("row", TABLE, ids=IDS)
def test_wrong_use_is_noticed_with_tensors_that_require_gradients_too(row):
    call, (args, settings), error, *words = row
    tensors = [
        tinynet.Tensor(x, requires_grad=x.dtype.kind == "f") if isinstance(x, np.ndarray) else x
        for x in args
    ]
    with pytest.raises(error) as caught:
        call(*tensors, **settings)
    assert words[0] in str(caught.value)


def test_a_rejected_batch_leaves_the_running_statistics_alone():
    mean, var = np.zeros(3), np.ones(3)
    with pytest.raises(ShapeError):
        F.batch_norm(zeros(1, 3), mean, var, training=True)
    with pytest.raises(ShapeError):
        F.batch_norm(zeros(4, 3) + 1, mean, var, bias=zeros(2), training=True)
    assert mean.tolist() == [0] * 3
    assert var.tolist() == [1] * 3


def test_an_error_inside_a_model_names_the_layer():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(7, 2))
    with pytest.raises(ShapeError, match=r"in_features=7.*144"):
        model(tinynet.zeros(1, 3, 8, 8))
    with pytest.raises(TypeError, match="uint8"):
        model(tinynet.zeros(1, 3, 8, 8, dtype=np.uint8))


def test_images_without_their_axes_rows_for_images_and_conditions_of_floats():
    for channels, cure in (
        (1, r"`x\.reshape\(-1, 1, height, width\)`; of one image a batch, `x\[None, None\]`"),
        (3, r"Of flat rows make images, `x\.reshape\(-1, 3, height, width\)`\."),
    ):
        with pytest.raises(ShapeError, match=cure):
            nn.Conv2d(channels, 8, 3)(tinynet.zeros(8, 8))
    with pytest.raises(ShapeError, match=r"as after Linear, use BatchNorm1d\(16\)"):
        nn.BatchNorm2d(16)(tinynet.zeros(4, 16))
    with pytest.raises(TypeError, match="condition is float32, it must be true or false: x > 0"):
        tinynet.where(tinynet.zeros(3), tinynet.ones(3), tinynet.zeros(3))
    with pytest.raises(IndexError, match=r"out of bounds .*; the tensor has shape \(3, 4\)"):
        tinynet.zeros(3, 4)[5]


def test_labels_that_are_text_are_to_be_numbered():
    with pytest.raises(TypeError, match=r"got <U3; number the classes: .* np\.unique\(target"):
        F.cross_entropy(zeros(2, 10), ["cat", "dog"])


@pytest.mark.parametrize(
    ("name", "call", "got"),
    [
        (
            "Linear",
            lambda: nn.Linear(4, 2)([[1.0, 2, 3, 4]]),
            "[[1.0, 2, 3, 4]]; tinynet.t",
        ),
        ("Linear", lambda: nn.Sequential(nn.Linear(4, 2))(None), "None"),
        ("Conv1d", lambda: nn.Conv1d(1, 2, 3)([[1.0]]), "["),
        ("Conv2d", lambda: nn.Conv2d(1, 2, 3)(3), "3; "),
        ("Flatten", lambda: nn.Flatten()([[1.0]]), "["),
        ("cross_entropy", lambda: nn.CrossEntropyLoss()([[1.0, 2]], [0]), "["),
        ("nll_loss", lambda: F.nll_loss(([1.0],), [0]), "([1.0],); "),
        ("conv2d", lambda: F.conv2d([[1.0]], tinynet.ones(1, 1, 3, 3)), "["),
    ],
)
def test_what_is_no_tensor_is_told_by_the_operation_it_is_given_to(name, call, got):
    with pytest.raises(TypeError, match=re.escape(f"{name}: takes a tensor, got {got}")):
        call()


def test_an_error_of_a_model_of_ones_own_is_as_it_was():
    class Own(nn.Module):
        def forward(self, x):
            return x.shape

    with pytest.raises(AttributeError, match="'list' object has no attribute 'shape'"):
        Own()([1.0])
