"""explain: the terms of one gradient element add up to what backward() writes, and read well."""

from __future__ import annotations

import json

import numpy as np
import pytest

import tinynet
from tinynet import models, nn, optim
from tinynet.nn import functional as F


@pytest.fixture(autouse=True)
def _seeded():
    tinynet.manual_seed(0)


def check(loss, parameter, index, **settings):
    """Explain, and hold every step and the value against backward()."""
    tensor = parameter
    if isinstance(parameter, str):
        tensor = settings["model"].get_parameter(parameter)
    tensor.grad = None
    explanation = tinynet.explain(loss, parameter, index, **settings)
    assert tensor.grad is None
    loss.backward(retain_graph=True)
    value = tensor.grad.array[index]
    tensor.grad = None
    assert explanation.value == pytest.approx(float(value), rel=1e-6, abs=1e-12)
    scale = largest_term(explanation)
    for step in explanation.steps:
        total = sum(term.value for term in step.terms) + step.rest_sum
        assert total == pytest.approx(step.value, rel=1e-4, abs=1e-5 * scale)
        sizes = [abs(term.value) for term in step.terms]
        assert sizes == sorted(sizes, reverse=True)
        for term in step.terms:
            assert term.value == pytest.approx(term.upstream * term.local, rel=1e-5)
    for step, after in zip(explanation.steps, explanation.steps[1:]):
        assert step.terms[0].upstream == pytest.approx(after.value, rel=1e-6)
        assert (step.terms[0].name, step.terms[0].index) == (after.name, after.index)
    return explanation


def largest_term(explanation):
    return max((abs(term.value) for step in explanation.steps for term in step.terms), default=0)


def labels(n, classes=3):
    return tinynet.randint(0, classes, (n,))


LAYERS = {
    "conv": (nn.Conv2d(2, 4, 3, stride=2, padding=1), (3, 2, 7, 7)),
    "dilated, in groups": (nn.Conv2d(4, 4, 3, dilation=2, groups=2), (2, 4, 7, 7)),
    "transposed": (nn.ConvTranspose2d(2, 3, 3, stride=2), (2, 2, 4, 4)),
    "linear": (nn.Linear(5, 4), (6, 5)),
    "linear over leading axes": (nn.Linear(5, 4), (2, 3, 5)),
    "batch norm of images": (nn.BatchNorm2d(3), (4, 3, 5, 5)),
    "batch norm of rows": (nn.BatchNorm1d(4), (6, 4)),
    "batch norm in evaluation": (nn.BatchNorm2d(3).eval(), (4, 3, 5, 5)),
    "layer norm": (nn.LayerNorm(6), (4, 6)),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("parameter", ["weight", "bias"])
def test_parameters_of_each_layer(name, parameter):
    layer, shape = LAYERS[name]
    generator = np.random.default_rng(1)
    for p in layer.parameters():
        p.array = generator.standard_normal(p.shape).astype(np.float32)
    y = layer(tinynet.randn(*shape))
    loss = (y * tinynet.randn(*y.shape)).sum()
    tensor = getattr(layer, parameter)
    for index in (tuple(n - 1 for n in tensor.shape), (0,) * tensor.ndim):
        explanation = check(loss, tensor, index)
        assert explanation.terms[0].local is not None
        assert explanation.parameter == "parameter"


INNER = {
    "conv": lambda: nn.Conv2d(4, 5, 3, padding=1),
    "transposed": lambda: nn.ConvTranspose2d(4, 3, 3, stride=2, padding=1),
    "max-pool": lambda: nn.MaxPool2d(2),
    "max-pool with overlap": lambda: nn.MaxPool2d(3, stride=1),
    "mean pool": lambda: nn.AvgPool2d(2),
    "mean pool with overlap": lambda: nn.AvgPool2d(3, stride=1, padding=1),
    "adaptive pool": lambda: nn.AdaptiveAvgPool2d(2),
    "adaptive pool with overlap": lambda: nn.AdaptiveAvgPool2d(4),
    "batch norm": lambda: nn.BatchNorm2d(4),
    "batch norm in evaluation": lambda: nn.BatchNorm2d(4).eval(),
    "layer norm": lambda: nn.LayerNorm((6, 6)),
    "layer norm with weights": lambda: with_weights(nn.LayerNorm((6, 6))),
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "softmax": lambda: nn.Softmax(1),
    "log-softmax": lambda: nn.LogSoftmax(1),
    "dropout": lambda: nn.Dropout(0.5),
    "flatten and linear": lambda: nn.Sequential(nn.Flatten(), nn.Linear(144, 7)),
}


def with_weights(layer):
    layer.weight.array = 1 + np.random.default_rng(2).random(layer.weight.shape, np.float32)
    return layer


@pytest.mark.parametrize("name", INNER)
def test_inputs_of_each_layer(name):
    first = nn.Conv2d(1, 4, 3)
    y = INNER[name]()(first(tinynet.randn(3, 1, 8, 8)))
    loss = (y * tinynet.randn(*y.shape)).sum()
    explanation = check(loss, first.weight, (2, 0, 1, 0))
    assert len(explanation.steps) >= 4
    assert all(term.local is not None for step in explanation.steps for term in step.terms)


@pytest.mark.parametrize(
    ("name", "shape"),
    [("digits_cnn", (1, 8, 8)), ("lenet5", (1, 28, 28)), ("resnet8", (3, 16, 16))],
)
def test_every_parameter_of_whole_models(name, shape):
    model = models.build(name, num_classes=5, in_channels=shape[0], image_size=shape[1:])
    loss = F.cross_entropy(model(tinynet.randn(4, *shape)), labels(4, 5))
    for path, parameter in model.named_parameters():
        index = tuple(n // 2 for n in parameter.shape)
        explanation = check(loss, path, index, model=model)
        assert explanation.parameter == path
        end = explanation.steps[-1]
        assert not end.terms or end.uses[0][1] == "cross_entropy"


def test_a_shared_parameter_has_the_terms_of_all_its_uses():
    shared = nn.Linear(4, 4)
    x = tinynet.randn(3, 4)
    loss = (shared(shared(x)) ** 2).mean()
    explanation = check(loss, shared.weight, (1, 2), most=100)
    assert {term.name for term in explanation.terms} == {"linear", "linear#2"}
    assert "elements of linear and linear#2\n" in str(explanation)


def test_a_tensor_that_meets_itself_counts_twice():
    x = tinynet.tensor([3.0, 4.0], requires_grad=True)
    explanation = check((x * x).sum(), x, 0)
    assert [term.value for term in explanation.terms] == [3, 3]
    assert explanation.value == 6


def test_broadcasting_sums_over_the_stretched_axes():
    b = tinynet.randn(1, 3, 1, requires_grad=True)
    y = tinynet.randn(2, 3, 4) * b + b
    explanation = check((y * tinynet.randn(2, 3, 4)).sum(), b, (0, 1, 0), most=3)
    assert explanation.steps[0].count == 16


@pytest.mark.parametrize(
    "shapes",
    [((3, 4), (4, 5)), ((2, 3, 4), (4, 5)), ((2, 3, 4), (2, 4, 5)), ((4,), (4, 5)), ((3, 4), (4,))],
)
def test_matrix_products(shapes):
    x, w = (tinynet.randn(*shape, requires_grad=True) for shape in shapes)
    y = x @ w
    loss = (y * tinynet.randn(*y.shape)).sum()
    for tensor in (x, w):
        check(loss, tensor, tuple(n - 1 for n in tensor.shape))
        x.grad = w.grad = None


def test_an_operation_of_ones_own_that_knows_arrays_alone():
    @tinynet.differentiable
    def mix(x, w):
        """y = tanh(w) x: every result feels every weight of its column."""
        return x @ np.tanh(w), None, lambda dy: (x.T @ dy) * (1 - np.tanh(w) ** 2)

    w = tinynet.randn(3, 2, requires_grad=True)
    y = mix(tinynet.randn(6, 3), w)
    explanation = check((y * tinynet.randn(6, 2)).sum(), w, (1, 1), most=10)
    assert explanation.steps[0].count == 6
    assert all(term.local is not None for term in explanation.terms)
    assert {term.index[1] for term in explanation.terms} == {1}
    assert "mix: " not in str(explanation)


def test_a_zero_is_followed_to_the_relu_that_closed_it():
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 3))
    model[0].bias.array[:] = -100
    loss = F.cross_entropy(model(tinynet.randn(4, 2)), labels(4))
    explanation = tinynet.explain(loss, "0.weight", (0, 0), model=model)
    assert explanation.value == 0
    assert [step.name for step in explanation.steps] == ["0.weight", "layer 0"]
    assert explanation.steps[1].terms == []
    assert "every term is 0: no change of it reaches the loss" in str(explanation)
    assert "the derivative of relu is 0 here: it lets nothing through" in str(explanation)
    assert "used for 4 elements of layer 0" in str(explanation)


def test_a_result_in_the_middle_can_be_asked_for_too():
    layer = nn.Linear(3, 2)
    h = layer(tinynet.randn(4, 3))
    loss = (h.tanh() * tinynet.randn(4, 2)).sum()
    h.retain_grad()
    explanation = tinynet.explain(loss, h, (1, 1))
    loss.backward()
    assert explanation.value == pytest.approx(float(h.grad.array[1, 1]))


def test_it_reads_as_a_derivation_with_its_numbers():
    model = nn.Sequential({"fc": nn.Linear(3, 4), "relu": nn.ReLU(), "out": nn.Linear(4, 3)})
    model.fc.weight.array[:] = np.arange(12).reshape(4, 3) / 10
    model.out.weight.array[:] = [[0.1, 0.2, -0.3, 0.4], [0, 0, 1, 0], [-1, 0, 0, 0]]
    for layer in (model.fc, model.out):
        layer.bias.array[:] = 0
    x = tinynet.tensor([[1.0, 2.0, 0.5], [0.5, -1.0, 2.0]])
    loss = F.cross_entropy(model(x), tinynet.tensor([0, 2]))
    explanation = tinynet.explain(loss, model.fc.weight, (2, 1), model=model)
    text = str(explanation)
    assert text.splitlines()[:10] == [
        "d loss / d fc.weight[2, 1] = 0.762573      (loss = 1.87098, fc.weight[2, 1] = 0.7)",
        "",
        "1. fc.weight[2, 1] is used for 2 elements of fc",
        "     linear: y[n,o] = b[o] + sum of w[o,i] x[n,i] over i",
        "     each gives  d loss / d fc  *  d fc / d fc.weight",
        "       fc[0, 2]  0.5061 * 2   =     1.012",
        "       fc[1, 2]  0.2497 * -1  =   -0.2497",
        "       together               =  0.762573",
        "     the first of them, 0.5061, in its turn:",
        "",
    ]
    assert "2. fc[0, 2] goes to relu[0, 2] alone: 0.5061 * 1 = 0.5061" in text
    loss.backward()
    assert explanation.value == float(model.fc.weight.grad.array[2, 1])


def test_smaller_terms_are_counted_and_added_up():
    layer = nn.Linear(3, 2)
    y = layer(tinynet.randn(60, 3))
    explanation = tinynet.explain((y * y).sum(), layer.weight, (1, 2), most=3)
    assert len(explanation.terms) == 3
    assert explanation.steps[0].rest_count == 57
    words = " ".join(str(explanation).split())
    assert f"and 57 smaller terms that add up to = {explanation.steps[0].rest_sum:.4g}" in words


def test_to_dict_is_ready_for_json():
    layer = nn.Linear(3, 2)
    explanation = tinynet.explain(layer(tinynet.randn(2, 3)).sum(), layer.weight, (1, -1))
    plain = json.loads(json.dumps(explanation.to_dict()))
    assert plain["index"] == [1, 2]
    assert plain["value"] == explanation.value
    assert plain["steps"][0]["terms"][0]["value"] == explanation.terms[0].value


def test_the_graph_is_not_consumed_and_no_gradient_is_written():
    model = models.build("digits_cnn", num_classes=3)
    loss = F.cross_entropy(model(tinynet.randn(4, 1, 8, 8)), labels(4))
    tinynet.explain(loss, "conv1.weight", (0, 0, 0, 0), model=model)
    assert all(p.grad is None for p in model.parameters())
    loss.backward()
    assert all(p.grad is not None for p in model.parameters())


def test_what_cannot_be_explained_is_told_with_the_cure():
    layer = nn.Linear(3, 2)
    loss = layer(tinynet.randn(2, 3)).sum()
    with pytest.raises(IndexError, match=r"shape \(2, 3\), in which there is no \(2, 0\)"):
        tinynet.explain(loss, layer.weight, (2, 0))
    with pytest.raises(IndexError, match=r"no \(1,\)"):
        tinynet.explain(loss, layer.weight, 1)
    with pytest.raises(ValueError, match="pass model= too"):
        tinynet.explain(loss, "weight", (0, 0))
    with pytest.raises(ValueError, match="must be a single number, this tensor has shape"):
        tinynet.explain(layer(tinynet.randn(2, 3)), layer.weight, (0, 0))
    with pytest.raises(ValueError, match="does not depend on parameter"):
        tinynet.explain(loss, nn.Linear(3, 2).weight, (0, 0))
    with pytest.raises(ValueError, match="does not depend on parameter"):
        tinynet.explain(loss.detach(), layer.weight, (0, 0))
    loss.backward()
    with pytest.raises(RuntimeError, match=r"Call explain\(\) before loss\.backward\(\)"):
        tinynet.explain(loss, layer.weight, (0, 0))


def test_a_graph_whose_weights_have_moved_since_is_refused():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
    loss = model(tinynet.randn(2, 3)).sum()
    loss.backward(retain_graph=True)
    optim.SGD(model.parameters(), lr=0.1).step()
    with pytest.raises(RuntimeError, match="changed in place"):
        tinynet.explain(loss, model[0].weight, (0, 0))


def test_a_pool_that_does_the_work_of_the_relu_before_it_has_the_rules_of_both():
    layers = {"conv": nn.Conv2d(1, 2, 3), "relu": nn.ReLU(), "pool": nn.MaxPool2d(2)}
    model = nn.Sequential({**layers, "flat": nn.Flatten(), "out": nn.Linear(18, 3)})
    loss = F.cross_entropy(model(tinynet.randn(4, 1, 8, 8)), labels(4))
    explanation = check(loss, "conv.weight", (0, 0, 1, 1), model=model)
    names = [step.name for step in explanation.steps]
    assert names[:4] == ["conv.weight", "conv", "relu_max_pool2d", "reshape"]
    shown = "\n".join(explanation.steps[1].lines())
    assert "relu: y = max(x, 0)" in shown
    assert "max_pool2d: y = the largest" in shown


def test_every_operation_of_tinynet_carries_its_rule():
    ops = {name: op for name, op in tinynet.autograd.registry.items() if ".ops." in name}
    assert len(ops) > 50
    assert [name for name, op in ops.items() if not op.rule] == []
