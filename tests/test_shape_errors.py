"""Shapes that do not fit: each wrong use says the operation, the sizes, and what to type.

What `test_bad_input.py` has in its table (labels, NaN, settings, single operations) is not here.
"""

from __future__ import annotations

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tinynet
from tinynet import ShapeError, data, models, nn, optim, training
from tinynet.nn import functional as F
from tinynet.random import default_rng


def zeros(*shape):
    return tinynet.zeros(*shape)


def stepped(gradient):
    """An optimizer's step with a gradient of the wrong shape."""
    p = zeros(3).requires_grad_()
    p.grad = gradient
    optim.SGD([p], lr=0.1).step()


def with_weight(shape):
    """A layer whose weight was replaced by one of another shape."""
    layer = nn.Linear(2, 3)
    layer.weight.array = np.zeros(shape, np.float32)
    return layer


def own_gradient(dx):
    """Backward through an operation of one's own whose gradient is dx(dy)."""

    @tinynet.differentiable
    def total(x):
        return x.sum(0), dx

    total(tinynet.ones(3, 4, requires_grad=True)).sum().backward()


def trained(model, images, **settings):
    dataset = data.ArrayDataset(np.zeros(images, np.float32), np.zeros(images[0], int))
    training.fit(model, dataset, 1, progress=False, **settings)


OPERATIONS = [
    (
        lambda: zeros(3, 4) @ zeros(3, 4),
        "matmul: shapes (3, 4) and (3, 4) do not fit; the last size of the first (4) must equal "
        "the last but one of the second (3). Transpose the second: `x @ w.mT` multiplies by (4, 3)",
    ),
    (
        lambda: zeros(4, 3) @ zeros(4, 5),
        "Transpose the first: `x.mT @ w` multiplies (3, 4).",
    ),
    (
        lambda: zeros(3, 4) @ zeros(5, 6),
        "matmul: shapes (3, 4) and (5, 6) do not fit; ... The second must have shape (4, ...).",
    ),
    (lambda: zeros(4) @ zeros(3), "matmul: shapes (4,) and (3,) do not fit; ... shape (4, ...)."),
    (lambda: zeros(4) @ zeros(), "a single value multiplies with `*`, not @"),
    (
        lambda: zeros(2, 3, 4) @ zeros(5, 4, 6),
        "matmul: the axes before the last two of (2, 3, 4) and (5, 4, 6): shapes (2,) and (5,) do "
        "not broadcast: at axis -1 the sizes are 2 and 5",
    ),
    (
        lambda: zeros(4, 3) + zeros(4),
        "add: shapes (4, 3) and (4,) do not broadcast: at axis -1 the sizes are 3 and 4, and "
        "neither is 1. Use .unsqueeze(1) on the one of shape (4,), which makes it (4, 1).",
    ),
    (
        lambda: zeros(8) * zeros(2, 8, 5, 5),
        "mul: shapes (8,) and (2, 8, 5, 5) do not broadcast: at axis -1 the sizes are 8 and 5",
    ),
    (
        lambda: zeros(8, 1) * zeros(2, 8, 5, 5),
        "Use .unsqueeze(2) on the one of shape (8, 1), which makes it (8, 1, 1).",
    ),
    (
        lambda: zeros(4, 3) - zeros(4, 2),
        "sub: shapes (4, 3) and (4, 2) do not broadcast: at axis -1 the sizes are 3 and 2",
    ),
    (
        lambda: tinynet.where(zeros(3) > 0, zeros(2), zeros(3)),
        "where: shapes (2,) and (3,) and (3,) do not broadcast: at axis -1 the sizes are 2 and 3",
    ),
    (
        lambda: zeros(3).__iadd__(zeros(2, 3)),
        "+=: the result has shape (2, 3), the tensor to hold it (3,); write `x = x + ...`",
    ),
    (
        lambda: zeros(2, 3, 4).reshape(2, 13),
        "reshape: 24 elements of shape (2, 3, 4) do not fit into shape (2, 13). It takes 26. Use "
        "(2, -1) to flatten all axes but the first.",
    ),
    (lambda: zeros(24).reshape(4, 5), "It takes 20. Use (4, 6), or -1 for one size."),
    (
        lambda: zeros(2, 3, 4).reshape(-1, 7),
        "24 is no multiple of 7, so no size fits in place of -1.",
    ),
    (lambda: zeros(6).reshape(-1, -1), "do not fit into shape (-1, -1). Only one size may be -1."),
    (
        lambda: zeros(2, 3).flatten(1, 4),
        "flatten: start_dim=1 and end_dim=4 must name axes of shape (2, 3) in this order; its axes "
        "are -2 to 1. Use end_dim=-1 for the last.",
    ),
    (
        lambda: tinynet.cat([zeros(2, 3), zeros(2, 4)]),
        "cat along axis 0: ... got shapes (2, 3), (2, 4). They differ at axis 1: use dim=1.",
    ),
    (
        lambda: tinynet.cat([zeros(2, 3), zeros(2, 3, 1)]),
        "got shapes (2, 3), (2, 3, 1). Give all of them equally many axes: .unsqueeze(axis)",
    ),
    (lambda: tinynet.cat([zeros(2, 3), zeros(4, 5)], 1), "They differ at the axes [0, 1]."),
    (lambda: tinynet.cat([zeros(2, 3)] * 2, 2), "cat along axis 2: ... Use dim=0 to 1."),
    (
        lambda: tinynet.stack([zeros(2, 3), zeros(3, 2)]),
        "stack: all shapes must be equal, got (2, 3), (3, 2). `cat` joins along an axis",
    ),
    (
        lambda: zeros(2, 3, 4).permute(0, 2),
        "permute: dims (0, 2) must name each of the 3 axes of shape (2, 3, 4) once, such as (2, 1,",
    ),
    (
        lambda: zeros(2, 3).transpose(0, 2),
        "transpose: axis 2 does not exist in shape (2, 3); its axes are -2 to 1",
    ),
    (
        lambda: np.squeeze(zeros(2, 1, 3, 1), 2),
        "squeeze: axis 2 of shape (2, 1, 3, 1) is not of size 1; the axes of size 1 are [1, 3]",
    ),
    (
        lambda: zeros(2, 3).unsqueeze(4),
        "unsqueeze: place 4 does not exist for shape (2, 3); choose from -3 to 2",
    ),
    (
        lambda: zeros(1, 3).expand(4, 5),
        "expand: shape (1, 3) cannot be stretched to (4, 5); only a size 1 can. Use (4, 3)",
    ),
    (
        lambda: tinynet.split(zeros(7, 2), [3, 3]),
        "split: sizes [3, 3] add up to 6, but axis 0 of shape (7, 2) has 7. Use [3, 3, 1].",
    ),
    (
        lambda: np.dot(zeros(2, 3, 4), zeros(4)),
        "dot: takes vectors and matrices, got shapes (2, 3, 4) and (4,); use `@`",
    ),
    (
        lambda: zeros(3, 4).__setitem__(0, np.zeros(5)),
        "x[...] = value: the place has shape (4,), the value (5,), which does not broadcast to it",
    ),
    (lambda: zeros(4).copy_(zeros(2, 2)), "(4,), the value (2, 2), ... use value.reshape(4,)"),
    (
        lambda: (tinynet.ones(3, requires_grad=True) * 2).backward(np.ones(4)),
        "backward(): the gradient has shape (4,), the tensor (3,); they must be equal",
    ),
    (
        lambda: own_gradient(lambda dy: dy[:3]),
        "total: the gradient <lambda>(dy) has shape (3,), but the input it belongs to has shape "
        "(3, 4). Return an array of the input's shape.",
    ),
    (
        lambda: F.linear(zeros(4, 5), zeros(5, 3)),
        "linear: the input has 5 features (shape (4, 5)), the weight of shape (5, 3) takes 3. The "
        "weight is (O, I), so use w.T, of shape (3, 5).",
    ),
    (lambda: F.linear(zeros(4, 5), zeros(3, 6)), "takes 6. Use a weight of shape (3, 5)."),
    (
        lambda: F.linear(zeros(4, 5), zeros(3, 5), zeros(1, 3)),
        "linear: the bias has shape (1, 3), the weight of shape (3, 5) needs (3,): b.reshape(3)",
    ),
    (
        lambda: F.conv2d(zeros(1, 3, 8, 8), zeros(4, 3, 3)),
        "conv2d: the weight must have shape (O, C/groups, KH, KW), got (4, 3, 3); for an input of "
        "shape (1, 3, 8, 8) such as (8, 3, 3, 3)",
    ),
    (
        lambda: F.conv2d(zeros(1, 6, 8, 8), zeros(4, 3, 3, 3), groups=3),
        "conv2d: groups=3 must divide the 6 channels of the input (1, 6, 8, 8) and the 4 filters "
        "of the weight (4, 3, 3, 3); 1, 2 would",
    ),
    (
        lambda: F.conv2d(zeros(1, 3, 8, 8), zeros(4, 3, 3, 3), zeros(1, 4)),
        "conv2d: the bias has shape (1, 4), 4 filters need (4,): b.reshape(4)",
    ),
    (
        lambda: F.conv2d(zeros(1, 3, 8, 8), zeros(4, 3, 5, 3), stride=2, padding="same"),
        "conv2d: padding='same' needs stride 1, got stride=(2, 2). Use padding=(2, 1)",
    ),
    (
        lambda: F.conv_transpose2d(zeros(1, 3, 8, 8), zeros(4, 3, 3, 3)),
        "conv_transpose2d: the weight must have shape (C, O/groups, KH, KW) with C the 3 channels "
        "of the input (1, 3, 8, 8) ... got (4, 3, 3, 3); use w.swapaxes(0, 1)",
    ),
    (
        lambda: F.conv_transpose2d(
            zeros(1, 3, 8, 8), zeros(3, 4, 3, 3), stride=2, output_padding=2
        ),
        "conv_transpose2d: output_padding=2 must be smaller than stride (2, 2) or dilation (1, 1). "
        "Use output_padding=1 or less.",
    ),
    (
        lambda: F.conv_transpose2d(zeros(1, 3, 2, 2), zeros(3, 4, 3, 3), padding=5),
        "conv_transpose2d: padding=5 leaves an output of -6x-6 from an input of 2x2; use padding=1",
    ),
    (
        lambda: F.max_pool2d(zeros(1, 1, 8, 8), (4, 3), padding=2),
        "max_pool2d: padding=2 must be at most half of kernel_size=(4, 3), ... Use padding=(2, 1)",
    ),
    (
        lambda: F.max_pool2d(zeros(1, 1, 2, 4), (2, 1), 1, (1, 0), (3, 1)),
        "max_pool2d: with kernel_size=(2, 1), padding=(1, 0) and dilation=(3, 1) some windows over "
        "the image of 2x4 would hold padding alone, along axis 2. ... a smaller dilation",
    ),
    (
        lambda: F.avg_pool2d(zeros(1, 1, 4, 0), 2, padding=1),
        "avg_pool2d: ... the image of 4x0 would hold padding alone, along axis 3.",
    ),
    (
        lambda: F.avg_pool2d(zeros(8, 8), 2),
        "avg_pool2d: the input must have shape (N, C, H, W) or (C, H, W), got (8, 8); ... x[None",
    ),
    (
        lambda: F.adaptive_avg_pool2d(zeros(2, 3, 0, 4), 1),
        "adaptive_avg_pool2d: the image of shape (2, 3, 0, 4) has no pixels",
    ),
]

LAYERS = [
    (
        lambda: nn.Linear(256, 10)(zeros(32, 400)),
        "Linear(in_features=256): the input has 400 features (N=32). Use in_features=400.\n"
        "  raised in Linear",
    ),
    (
        lambda: nn.Linear(400, 10)(zeros(32, 16, 5, 5)),
        "has 5 features (shape (32, 16, 5, 5)). Put nn.Flatten() before it: 16x5x5 = 400.",
    ),
    (
        lambda: nn.Conv2d(1, 8, 3)(zeros(32, 3, 28, 28)),
        "Conv2d(in_channels=1): the input has 3 channels (N=32, images 28x28). Use in_channels=3.",
    ),
    (
        lambda: nn.Conv2d(1, 8, 5)(zeros(2, 1, 3, 3)),
        "conv2d: a window of 5x5 (kernel 5x5, dilation 1x1) does not fit into the padded image of "
        "3x3 (input 3x3). Use a smaller kernel, a larger image, or 1 more padding.\n"
        "  raised in Conv2d",
    ),
    (
        lambda: nn.BatchNorm2d(8)(zeros(2, 16, 4, 4)),
        "BatchNorm2d(num_features=8): the input has 16 channels (N=2, images 4x4). Use num_features"
        "=16.",
    ),
    (
        lambda: nn.LayerNorm((8, 4))(zeros(2, 4, 8)),
        "layer_norm: normalized_shape=(8, 4) must name the last sizes, none of them 0, of the "
        "input, whose shape is (2, 4, 8); use normalized_shape=(4, 8)",
    ),
    (
        lambda: nn.Unflatten(1, (2, 3))(zeros(4, 7)),
        "reshape: 28 elements of shape (4, 7) do not fit into shape (4, 2, 3). It takes 24. ... "
        "raised in Unflatten",
    ),
    (
        lambda: nn.Unflatten(2, (2, 3))(zeros(4, 6)),
        "unflatten: axis 2 does not exist in shape (4, 6); its axes are -2 to 1",
    ),
    (
        lambda: with_weight((3, 5))(zeros(4, 2)),
        "linear: the input has 2 features (shape (4, 2)), the weight of shape (3, 5) takes 5. Use "
        "a weight of shape (3, 2).\n  raised in Linear",
    ),
    (
        lambda: nn.CrossEntropyLoss()(zeros(2, 3, 4, 4), np.zeros(2, int)),
        "cross_entropy: for an input of shape (2, 3, 4, 4) the labels must have shape (2, 4, 4)",
    ),
    (
        lambda: nn.MSELoss()(zeros(4, 1), zeros(4)),
        "the input has shape (4, 1) and the target (4,); they must be equal; use target.reshape",
    ),
]

MODELS_AND_TRAINING = [
    (
        lambda: models.lenet5()(zeros(4, 1, 32, 32)),
        "Linear(in_features=400): the input has 576 features (N=4, after Flatten of 16x6x6). Use "
        "in_features=576.\n  raised in layer 'c5' (Linear)",
    ),
    (
        lambda: models.resnet8()(zeros(2, 1, 32, 32)),
        "Use in_channels=1.\n  raised in layer 'conv1' (Conv2d)",
    ),
    (
        lambda: tinynet.summary(nn.Sequential(nn.Linear(4, 3)), (5,)),
        "Linear(in_features=4): the input has 5 features (N=1). Use in_features=5.\n"
        "  raised in layer '0' (Linear)",
    ),
    (
        lambda: trained(nn.Sequential(nn.Flatten(), nn.Linear(10, 3)), (8, 1, 2, 2)),
        "has 4 features (N=8, after Flatten of 1x2x2). Use in_features=4.\n  raised in layer '1'",
    ),
    (
        lambda: trained(nn.Linear(4, 3), (8, 1, 2, 2)),
        "Linear(in_features=4): the input has 2 features (shape (8, 1, 2, 2)). Put nn.Flatten()",
    ),
    (
        lambda: stepped(zeros(4)),
        "SGD: a parameter of shape (3,) has a .grad of shape (4,); they must be equal.",
    ),
    (
        lambda: nn.utils.vector_to_parameters(zeros(8), nn.Linear(2, 3).parameters()),
        "the vector has shape (8,), the parameters need (9,)",
    ),
    (
        lambda: training.accuracy(zeros(4, 3), np.zeros(5, int)),
        "accuracy: takes scores (N, classes) and labels (N,), got (4, 3) and (5,).",
    ),
    (
        lambda: data.Normalize((0.5, 0.4, 0.3), (0.1, 0.1, 0.1))(
            np.zeros((2, 1, 8, 8), np.float32)
        ),
        "Normalize: mean has 3 values, but the images have C = 1 channels (N, C, H, W = (2, 1, 8,",
    ),
    (
        lambda: data.RandomCrop(40)(np.zeros((2, 1, 8, 8), np.uint8)),
        "RandomCrop: size (40, 40) is larger than the image, (8, 8) with padding 0. Use size "
        "(8, 8) or less, or pad_if_needed=True.",
    ),
]

TABLE = OPERATIONS + LAYERS + MODELS_AND_TRAINING


@pytest.mark.parametrize(("use", "words"), TABLE, ids=[words[:40] for _, words in TABLE])
@pytest.mark.filterwarnings("ignore:fit")
def test_a_wrong_shape_says_what_to_type(use, words):
    with pytest.raises(ShapeError) as caught:
        use()
    message, place = str(caught.value), 0
    for part in words.split(" ... "):
        assert part in message[place:], message
        place = message.index(part, place)


def test_the_table_is_as_long_as_promised_and_no_use_is_there_twice():
    assert len({words for _, words in TABLE}) == len(TABLE) >= 40


def test_a_shape_error_is_a_value_error():
    assert issubclass(tinynet.ShapeError, ValueError)


# ----- the shapes on the way there ----------------------------------------------------------------


class Net(nn.Module):
    """Layers with plain functions between them."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 6, 5)
        self.head = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(864), nn.Linear(800, 10))
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        x = F.max_pool2d(self.conv(x).relu(), 2)
        return self.head(x.flatten(1))


def message_of(call):
    with pytest.raises(ShapeError) as caught:
        call()
    return str(caught.value)


def test_the_message_shows_every_shape_up_to_the_layer_that_refused():
    model = nn.Sequential(nn.Conv2d(1, 16, 4), nn.ReLU(), nn.Flatten(), nn.Linear(256, 10))
    assert message_of(lambda: model(zeros(32, 1, 8, 8))) == (
        "Linear(in_features=256): the input has 400 features (N=32, after Flatten of 16x5x5). "
        "Use in_features=400.\n"
        "  raised in layer '3' (Linear)\n"
        "  shapes on the way there:\n"
        "    input                      32x1x8x8\n"
        "    0      Conv2d(1, 16, 4x4)  32x16x5x5\n"
        "    1      ReLU                32x16x5x5\n"
        "    2      Flatten             32x400\n"
        "    3      Linear(256, 10)     32x400  <- refused"
    )


def test_layers_stand_as_they_are_written_in_whatever_order_they_are_computed():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Linear(7, 3))
    assert message_of(lambda: model(zeros(5, 1, 8, 8))) == (
        "Linear(in_features=7): the input has 3 features (shape (5, 2, 3, 3), after MaxPool2d of "
        "2x6x6). Put nn.Flatten() before it and use in_features=18, or use in_features=3 to map "
        "the last axis alone.\n"
        "  raised in layer '3' (Linear)\n"
        "  shapes on the way there:\n"
        "    input                     5x1x8x8\n"
        "    0      Conv2d(1, 2, 3x3)  5x2x6x6\n"
        "    1      ReLU               5x2x6x6\n"
        "    2      MaxPool2d          5x2x3x3\n"
        "    3      Linear(7, 3)       5x2x3x3  <- refused"
    )


def test_a_shape_that_no_layer_gave_was_made_between_them():
    assert message_of(lambda: Net()(zeros(2, 1, 28, 28))).partition("there:\n")[2] == (
        "    input                            2x1x28x28\n"
        "    conv    Conv2d(1, 6, 5x5)        2x6x24x24\n"
        "            reshape(...) in forward  2x864\n"
        "    head.0  Dropout                  2x864\n"
        "    head.1  BatchNorm1d              2x864\n"
        "    head.2  Linear(800, 10)          2x864  <- refused"
    )


def test_without_a_graph_the_operation_between_them_has_no_name():
    net = Net().eval()
    with tinynet.no_grad():
        assert "            in forward         2x864\n" in message_of(
            lambda: net(zeros(2, 1, 28, 28))
        )


def test_the_layers_run_once():
    net = Net()
    tinynet.manual_seed(3)
    rng = default_rng()
    expected = np.random.default_rng(3)
    expected.random((2, 864), np.float32)  # what dropout draws
    message_of(lambda: net(zeros(2, 1, 28, 28)))
    assert net.calls == 1
    assert net.head[1].num_batches_tracked.item() == 1
    assert rng.random() == expected.random()


def test_an_operation_that_fails_between_the_layers_is_placed():
    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(4, 3), nn.Linear(4, 2)

        def forward(self, x):
            return self.a(x) + self.b(x)

    assert message_of(lambda: nn.Sequential(Sum())(zeros(2, 4))).splitlines()[1:] == [
        "  raised in layer '0' (Sum)",
        "  shapes on the way there:",
        "    input                2x4",
        "    0.a    Linear(4, 3)  2x3",
        "    0.b    Linear(4, 2)  2x2",
        "    0      in forward    <- here",
    ]
    assert message_of(lambda: Sum()(zeros(2, 4))).endswith("in forward    <- here")


def test_layers_that_keep_the_shape_are_counted_in_a_long_way():
    same = [nn.ReLU() for _ in range(25)]
    model = nn.Sequential(nn.Conv2d(1, 2, 3), *same, nn.Flatten(), nn.Linear(5, 2))
    assert message_of(lambda: model(zeros(3, 1, 4, 4))).partition("there:\n")[2] == (
        "    input                                3x1x4x4\n"
        "    0      Conv2d(1, 2, 3x3)             3x2x2x2\n"
        "    ...    25 steps that keep the shape  3x2x2x2\n"
        "    26     Flatten                       3x8\n"
        "    27     Linear(5, 2)                  3x8  <- refused"
    )


def test_a_layer_alone_has_no_way_to_show():
    assert "on the way" not in message_of(lambda: nn.Linear(2, 3)(zeros(1, 5)))


def test_an_error_keeps_no_layer_and_no_array_alive():
    model = nn.Sequential(nn.Linear(5, 3), nn.Linear(2, 3))
    x = zeros(2, 5)
    alive = [weakref.ref(model[1]), weakref.ref(x.array)]
    with pytest.raises(ShapeError) as caught:
        model(x)
    error = caught.value.with_traceback(None)
    del caught, model, x
    gc.collect()
    assert "refused" in str(error)
    assert [ref() for ref in alive] == [None, None]


def test_what_failed_before_is_not_on_the_way():
    model = nn.Sequential(nn.Linear(5, 3), nn.Linear(3, 3))
    message_of(lambda: model(zeros(2, 4)))
    assert model(zeros(2, 5)).shape == (2, 3)
    assert message_of(lambda: model(zeros(2, 4))).splitlines()[3:] == [
        "    input                2x4",
        "    0      Linear(5, 3)  2x4  <- refused",
    ]


def test_threads_have_ways_of_their_own():
    good, bad = nn.Sequential(nn.Linear(5, 3)), nn.Sequential(nn.ReLU(), nn.Linear(5, 3))

    class Both(nn.Module):
        def forward(self, x):
            with ThreadPoolExecutor(1) as pool:
                pool.submit(good, x).result()
            return bad(x[:, :4])

    assert message_of(lambda: Both()(zeros(2, 5))).count("Linear") == 2
