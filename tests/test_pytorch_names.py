"""What a PyTorch script types: devices, modes, hooks, Function, grad, in-place forms, dtypes."""

from __future__ import annotations

import copy
import importlib
import inspect
import io
import math
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinynet
import tinynet as torch
from tinynet import ShapeError, nn
from tinynet.gradcheck import gradcheck

from . import method_stubs

# ----- devices -----------------------------------------------------------------------------------


def test_a_script_that_asks_for_a_gpu_takes_the_cpu():
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    assert str(device) == "cpu"
    assert device == torch.device("cpu")
    for absent in (torch.cuda, torch.mps, torch.xpu, torch.accelerator, torch.backends.mps):
        assert not absent.is_available()
    assert torch.cuda.device_count() == 0
    torch.cuda.manual_seed_all(1)
    torch.backends.cudnn.benchmark = False
    x = torch.ones(2, device=device)
    assert x.to(device) is x.cpu() is x
    assert x.device.type == "cpu"
    assert x.to(device, torch.float64).dtype == x.double().dtype == np.float64
    assert x.to(torch.zeros(1, dtype=torch.int32)).dtype == np.int32
    assert x.to("cpu", copy=True) is not x


@pytest.mark.parametrize(
    "use",
    [
        lambda x: x.to("cuda"),
        lambda x: x.cuda(),
        lambda x: x.to(torch.device("cuda:1")),
        lambda x: torch.zeros(2, device="mps"),
        lambda x: torch.tensor([1.0], device="cuda"),
        lambda x: torch.Generator("cuda"),
    ],
)
def test_a_script_that_insists_on_a_gpu_is_told(use):
    with pytest.raises(RuntimeError, match="computes on the CPU and has no device"):
        use(torch.ones(2))


def test_dtypes_by_pytorchs_names():
    x = torch.tensor([0, 1, 2])
    kinds = {"float": "float32", "double": "float64", "int": "int32", "bool": "bool"}
    for name, dtype in kinds.items():
        assert getattr(x, name)().dtype == dtype
    assert x.type_as(torch.ones(1)).dtype == x.type_as(other=torch.ones(1)).dtype == np.float32
    assert torch.Tensor.double.__doc__ == "As float64."
    assert x.type(torch.float64).dtype == np.float64
    assert torch.get_default_dtype() == np.float32
    torch.set_default_dtype(torch.float64)
    try:
        assert torch.tensor([1.0]).dtype == torch.zeros(1).dtype == torch.randn(1).dtype
        assert torch.zeros(1).dtype == nn.Linear(2, 2).weight.dtype == np.float64
        assert (torch.tensor([1]) * 2.5).dtype == np.float64
        assert (torch.tensor([1]) / torch.tensor([2])).dtype == np.float64
    finally:
        torch.set_default_dtype(torch.float32)
    with pytest.raises(TypeError, match="takes float32 or float64"):
        torch.set_default_dtype(torch.int64)


# ----- modes -------------------------------------------------------------------------------------


def test_grad_modes():
    x = torch.ones(1, requires_grad=True)
    with torch.set_grad_enabled(False):
        assert not (x * 2).requires_grad
    with torch.set_grad_enabled(True):
        assert (x * 2).requires_grad
    torch.set_grad_enabled(False)
    try:
        assert not torch.is_grad_enabled()
    finally:
        torch.set_grad_enabled(True)

    @torch.inference_mode()
    def infer():
        return x * 2

    @torch.inference_mode
    def infer_too():
        return x * 2

    @torch.set_grad_enabled(False)
    def recorded_not():
        return x * 2

    assert torch.is_grad_enabled()
    assert not infer().requires_grad
    assert not infer_too().requires_grad
    assert not recorded_not().requires_grad
    with torch.inference_mode(False):
        assert (x * 2).requires_grad


# ----- gradients ---------------------------------------------------------------------------------


def test_grad_gives_gradients_and_touches_none():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    w = torch.tensor([3.0, 4.0], requires_grad=True)
    h = x * w
    loss = (h * h).sum()
    dx, dh = torch.autograd.grad(loss, [x, h], retain_graph=True)
    assert dh.tolist() == [6, 16]
    assert dx.tolist() == [18, 64]
    assert x.grad is None
    assert h.grad is None
    (dw,) = torch.autograd.grad([loss, h], w, [None, torch.ones(2)])
    assert dw.tolist() == [2 * 3 * 1 + 1, 2 * 8 * 2 + 2]
    unused = torch.ones(1, requires_grad=True)
    assert torch.autograd.grad(x.sum(), [x, unused], allow_unused=True)[1] is None
    zero = torch.autograd.grad(x.sum(), [x, unused], materialize_grads=True)[1]
    assert zero.tolist() == [0]


@pytest.mark.parametrize(
    ("use", "error", "words"),
    [
        (lambda x, y: torch.autograd.grad(y, x), RuntimeError, "starts from a single value"),
        (lambda x, y: torch.autograd.grad(y.sum(), torch.ones(1)), RuntimeError, "not require"),
        (lambda x, y: torch.autograd.grad(y.detach(), x), RuntimeError, "not depend on anything"),
        (lambda x, y: torch.autograd.grad(y, x, torch.ones(3)), ShapeError, r"\(3,\)"),
        (lambda x, y: torch.autograd.grad([y], x, [1, 2]), ValueError, "2 grad_outputs"),
        (lambda x, y: torch.autograd.backward([y, y], [y]), ValueError, "1 grad_tensors for 2"),
        (
            lambda x, y: torch.autograd.grad(y.sum(), [x, torch.ones(1, requires_grad=True)]),
            RuntimeError,
            "do not depend on input 1; pass allow_unused=True",
        ),
    ],
)
def test_what_grad_refuses(use, error, words):
    x = torch.ones(2, requires_grad=True)
    with pytest.raises(error, match=words):
        use(x, x * 2)
    assert x.grad is None


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale):
        ctx.save_for_backward(x)
        ctx.scale = scale
        return scale * x**3

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved_tensors
        return ctx.scale * 3 * x * x * dy, None


class Later(torch.autograd.Function):
    @staticmethod
    def forward(x, y):
        return x * y

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, dz):
        x, y = ctx.saved_tensors
        return dz * y, dz * x


def test_functions_are_operations_that_are_checked_like_ours():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = Cube.apply(x, 2.0)
    assert "Cube" in repr(y)
    y.sum().backward()
    assert x.grad.tolist() == [6, 24]
    assert gradcheck(lambda x: Cube.apply(x, 2.0), torch.randn(3))
    assert gradcheck(Later.apply, [torch.randn(3), torch.randn(3)])

    class Wrong(Cube):
        @staticmethod
        def backward(ctx, dy):
            (x,) = ctx.saved_tensors
            return ctx.scale * 3 * x * dy, None

    report = gradcheck(lambda x: Wrong.apply(x, 2.0), torch.randn(3))
    assert not report
    assert "Wrong" in str(report)


class Polar(torch.autograd.Function):
    """Two outputs of two inputs, and the place of the larger one, which is a constant."""

    @staticmethod
    def forward(ctx, r, angle):
        x, y = r * torch.cos(angle), r * torch.sin(angle)
        larger = (y > x).long()
        ctx.save_for_backward(r, angle, x, y)
        ctx.mark_non_differentiable(larger)
        return x, y.reshape(1, -1), larger

    @staticmethod
    def backward(ctx, dx, dy, dlarger):
        assert dlarger.shape == dx.shape
        _, angle, x, y = ctx.saved_tensors
        dy = dy.reshape(-1)
        return dx * torch.cos(angle) + dy * torch.sin(angle), dy * x - dx * y


def test_functions_may_have_several_outputs():
    r, angle = torch.rand(3) + 0.5, torch.rand(3)
    x, y, larger = Polar.apply(r, angle)
    assert np.allclose(x.array, r.array * np.cos(angle.array))
    assert (y.shape, larger.dtype, larger.requires_grad) == ((1, 3), torch.int64, False)
    for use in (lambda x, y, _: x * y, lambda x, y, _: y, lambda x, y, _: x.sum()):
        assert gradcheck(lambda r, angle, use=use: use(*Polar.apply(r, angle)), [r, angle])
        assert gradcheck(lambda r, angle, use=use: use(*Polar.apply(r, angle)), [r, angle], order=2)
    with torch.no_grad():
        assert all(not part.requires_grad for part in Polar.apply(r, angle))


def test_functions_that_break_their_word_are_told():
    class Pair(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x, x.numpy()

    class Short(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            return x + y

        @staticmethod
        def backward(ctx, dy):
            return dy

    x = torch.ones(2, requires_grad=True)
    with pytest.raises(TypeError, match=r"Pair\.forward must return tensors, got a ndarray"):
        Pair.apply(x)
    with pytest.raises(RuntimeError, match=r"Short\.backward returns 1 gradients.*takes 2"):
        Short.apply(x, x).sum().backward()


def test_a_part_of_a_tensor_that_is_asked_for_a_gradient_is_a_leaf():
    row = torch.ones(2, 2)[0].requires_grad_()
    with pytest.raises(RuntimeError, match="add_ changes a leaf"):
        row.add_(1)
    (row * 2).sum().backward()
    assert row.grad.tolist() == [2, 2]


@pytest.mark.parametrize(
    ("values", "gradient"),
    [([1, 2, 2, 5], [0, 0.5, 0.5, 0]), ([3, 1], [0, 1]), ([2, np.inf, np.inf], [0, 0.5, 0.5])],
)
def test_equal_elements_share_the_gradient_of_the_median_of_all(values, gradient):
    x = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    x.median().backward()
    assert x.grad.tolist() == gradient
    assert np.isnan(torch.tensor([1.0, np.nan]).median().item())


def test_hooks_see_and_replace_gradients():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    h = x * 3
    seen = []
    handle = h.register_hook(lambda grad: seen.append(grad.tolist()))
    h.register_hook(lambda grad: grad * 10)
    x.register_hook(lambda grad: grad + 1)
    (h * h).sum().backward(retain_graph=True)
    assert seen == [[6, 12]]
    assert x.grad.tolist() == [181, 361]
    handle.remove()
    handle.remove()
    (h * h).sum().backward()
    assert len(seen) == 1
    with pytest.raises(RuntimeError, match="does not require a gradient"):
        torch.ones(1).register_hook(print)
    y = torch.ones(2, requires_grad=True)
    y.register_hook(lambda grad: torch.ones(3))
    with pytest.raises(ShapeError, match="register_hook"):
        y.sum().backward()


@pytest.mark.parametrize("create_graph", [False, True])
def test_hooks_after_the_gradient_is_added_belong_to_the_backward_that_adds(create_graph):
    x, z, seen = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True), []
    x.register_post_accumulate_grad_hook(lambda leaf: seen.append(leaf.grad.tolist()))
    with torch.create_graph():
        (x * 2 * z).sum().backward(inputs=[x], create_graph=create_graph)
        assert (seen, z.grad) == ([[2, 2]], None)
        (x * 2 * z).sum().backward(inputs=[z], create_graph=create_graph)
        torch.autograd.grad((x * 2).sum(), x)
        fails = z * 1
        fails.register_hook(lambda dz: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            (fails + x).sum().backward(create_graph=create_graph)
        assert len(seen) == 1
        z.register_hook(lambda dz: torch.ones(1, requires_grad=True).backward())
        (z * 3 + x).sum().backward(create_graph=create_graph)
    assert seen == [[2, 2], [3, 3]]


@pytest.mark.parametrize("create_graph", [False, True])
def test_hooks_after_the_gradient_is_added_see_the_sum_and_may_step(create_graph):
    x, seen = torch.ones(2, requires_grad=True), []
    handle = x.register_post_accumulate_grad_hook(lambda leaf: seen.append(leaf.grad.tolist()))
    for _ in range(2):
        with torch.create_graph():
            (x * 3 + x).sum().backward(create_graph=create_graph)
    assert seen == [[4, 4], [8, 8]]
    torch.autograd.grad((x * 3).sum(), x)
    (torch.ones(2, requires_grad=True) * 2).sum().backward()
    handle.remove()
    x.sum().backward()
    assert len(seen) == 2

    optimizer = torch.optim.SGD([x], lr=0.5)

    def step(leaf):
        optimizer.step()
        leaf.grad = None

    x.grad = None
    x.register_post_accumulate_grad_hook(step)
    (x * 2).sum().backward()
    assert x.grad is None
    assert x.tolist() == [0, 0]
    with pytest.raises(RuntimeError, match="only a leaf that requires a gradient"):
        (x * 2).register_post_accumulate_grad_hook(print)


def test_a_gradient_that_was_kept_sees_what_is_added_to_it():
    x = torch.ones(2, requires_grad=True)
    (x * 2).sum().backward()
    kept, memory = x.grad, x.grad.numpy()
    (x * 3).sum().backward()
    assert x.grad is kept
    assert memory.tolist() == [5, 5]
    optimizer = torch.optim.SGD([x], lr=0.1)
    optimizer.zero_grad()
    x.sum().backward()
    assert kept.tolist() == [5, 5]
    with torch.create_graph():
        y = (x**3).sum()
    x.grad = None
    y.backward(create_graph=True)
    recorded = x.grad
    x.sum().backward()  # a gradient with a record is not overwritten
    assert recorded.tolist() == [3, 3]
    assert x.grad.tolist() == [4, 4]
    total = x.grad
    x.grad = torch.zeros(1).expand(2)  # whose memory cannot be written to
    x.sum().backward()
    assert x.grad.tolist() == [1, 1]
    assert total.tolist() == [4, 4]


# ----- modules -----------------------------------------------------------------------------------


def test_backward_hooks_see_the_gradients_of_one_layers_input_and_output():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 3))
    seen = []

    def look(module, grad_input, grad_output):
        shapes = [None if g is None else g.shape for g in (*grad_input, *grad_output)]
        seen.append((module._get_name(), *shapes))

    handles = [layer.register_full_backward_hook(look) for layer in model]
    x = torch.randn(1, 1, 8, 8)
    model(x).sum().backward()
    assert seen == [
        ("Linear", (1, 72), (1, 3)),
        ("Flatten", (1, 2, 6, 6), (1, 72)),
        ("ReLU", (1, 2, 6, 6), (1, 2, 6, 6)),
        ("Conv2d", None, (1, 2, 6, 6)),
    ]
    for handle in handles:
        handle.remove()
    before = [p.grad for p in model.parameters()]
    model.zero_grad()
    with model[1].register_full_backward_hook(lambda module, dx, dy: (dx[0] * 0,)):
        model(x).sum().backward()
    assert model[0].weight.grad.abs().sum() == 0
    model.zero_grad()
    model(x).sum().backward()
    assert len(seen) == 4
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), before))


class Several(nn.Module):
    def forward(self, x, y, scale=1.0):
        return x * y * scale, x + y


def test_backward_hooks_of_several_inputs_and_outputs():
    layer, seen = Several(), []
    handle = layer.register_full_backward_hook(lambda m, dx, dy: seen.append((dx, dy)))
    x, y = (torch.tensor([v], requires_grad=True) for v in (2.0, 3.0))
    a, b = layer(x, y)
    (x * 10 + a + b * 2).sum().backward()
    (((dx, dy), (da, db)),) = seen
    assert [g.item() for g in (dx, dy, da, db)] == [5, 4, 1, 2]
    assert x.grad.item() == 15
    handle.remove()
    layer.register_full_backward_hook(lambda m, dx, dy: dx)
    with pytest.raises(RuntimeError, match="Several has 2 inputs"):
        sum(layer(x, y)).sum().backward()


def test_hooks_may_come_and_go_during_a_call():
    class Registering(nn.Module):
        def forward(self, x):
            self.register_full_backward_hook(lambda m, dx, dy: seen.append("registered"))
            return x * 2

    layer, seen = nn.ReLU(), []
    once = layer.register_forward_pre_hook(lambda m, args: once.remove())
    layer.register_full_backward_hook(lambda m, dx, dy: seen.append("backward"))
    x = torch.ones(2, requires_grad=True)
    layer(x).sum().backward()
    assert seen == ["backward"]
    Registering()(x).sum().backward()
    assert seen == ["backward"]  # as in PyTorch, the new one is for later calls


def test_backward_pre_hooks_replace_the_gradient_of_the_output():
    layer, seen = nn.Linear(2, 1, bias=False), []
    nn.init.ones_(layer.weight)
    layer.register_full_backward_hook(lambda m, dx, dy: seen.append((dx[0], dy[0])))
    handle = layer.register_full_backward_pre_hook(lambda m, dy: (dy[0] * 3,))
    x = torch.ones(1, 2, requires_grad=True)
    layer(x).sum().backward()
    assert x.grad.tolist() == layer.weight.grad.tolist() == [[3, 3]]
    assert [gradient.tolist() for gradient in seen[0]] == [[[3, 3]], [[3]]]
    handle.remove()
    layer(x).sum().backward()
    assert x.grad.tolist() == [[4, 4]]
    pair, seen = Several(), []
    with pair.register_full_backward_pre_hook(lambda m, dy: seen.append(dy)):
        pair(x, x)[1].sum().backward()
    assert [(unused, dy.tolist()) for unused, dy in seen] == [(None, [[1, 1]])]
    pair.register_full_backward_pre_hook(lambda m, dy: dy)
    with pytest.raises(RuntimeError, match="Several has 2 outputs"):
        sum(pair(x, x)).sum().backward()


def test_a_hook_may_go_before_the_others():
    layer, seen = nn.ReLU(), []
    layer.register_forward_hook(lambda m, args, y: seen.append("second"))
    handle = layer.register_forward_hook(lambda m, args, y: seen.append("first"), prepend=True)
    layer.register_forward_hook(lambda m, args, y: seen.append("third"))
    layer(torch.ones(2))
    handle.remove()
    layer(torch.ones(2))
    assert seen == ["first", "second", "third", "second", "third"]


def test_hooks_for_all_modules():
    from tinynet.nn.modules import module as for_all

    def note(module, *values):
        seen.append(f"{type(module).__name__} {len(values)}")

    model, seen = nn.Sequential(nn.ReLU(), nn.MaxPool2d(2)), []
    handles = [
        for_all.register_module_forward_pre_hook(note),
        for_all.register_module_forward_hook(note),
        for_all.register_module_full_backward_hook(note),
    ]
    x = torch.ones(1, 1, 2, 2, requires_grad=True)
    model(x).sum().backward()
    kinds = ("Sequential 1", "ReLU 1", "ReLU 2", "MaxPool2d 1", "MaxPool2d 2", "Sequential 2")
    assert seen == [*kinds, "MaxPool2d 2", "ReLU 2", "Sequential 2"]
    for handle in handles:
        handle.remove()
    model(x)
    assert len(seen) == 9


class Scaled(nn.Module):
    """Keeps a number of its own in the state, under an old name too, and an extra state."""

    def __init__(self):
        super().__init__()
        self.weight, self.count, self.extra = nn.Parameter(torch.ones(2)), 5, None

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[prefix + "count"] = torch.tensor(self.count)

    def _load_from_state_dict(self, state_dict, prefix, *lists):
        self.count = int(state_dict.pop(prefix + "count"))
        if prefix + "w" in state_dict:
            state_dict[prefix + "weight"] = state_dict.pop(prefix + "w")
        super()._load_from_state_dict(state_dict, prefix, *lists)
        if self.count < 0:
            lists[-1].append("count is negative")

    def get_extra_state(self):
        return {"steps": 3}

    def set_extra_state(self, state):
        self.extra = state


def test_a_module_adds_to_its_state_and_reads_it(tmp_path):
    net = nn.Sequential(Scaled(), nn.Linear(1, 1))
    state = net.state_dict()
    assert list(state) == ["0.weight", "0._extra_state", "0.count", "1.weight", "1.bias"]
    state["0.w"], state["0.count"] = state.pop("0.weight") * 2, torch.tensor(7)
    assert repr(net.load_state_dict(state)) == "<All keys matched successfully>"
    assert (net[0].count, net[0].weight.tolist(), net[0].extra) == (7, [2, 2], {"steps": 3})
    assert "0.w" in state, "a copy was changed"
    state["0.count"] = torch.tensor(-1)
    state["0._extra_state"] = "of a state that is refused"
    with pytest.raises(RuntimeError, match="count is negative"):
        net.load_state_dict(state)
    assert net[0].extra == {"steps": 3}
    net[0].count = 7
    torch.save(net, tmp_path / "net.safetensors")
    torch.load(tmp_path / "net.safetensors", net)
    assert net.state_dict(keep_vars=True)["0.weight"] is net[0].weight
    assert list(net[1].state_dict(prefix="a.")) == ["a.weight", "a.bias"]


def test_forward_hooks_with_the_arguments_by_name():
    layer, seen = Several(), []

    def double(module, args, kwargs):
        return args, {"scale": 2 * kwargs["scale"]}

    layer.register_forward_pre_hook(double, with_kwargs=True)
    layer.register_forward_hook(lambda m, args, kwargs, y: seen.append(kwargs), with_kwargs=True)
    product, _ = layer(torch.ones(1), torch.ones(1), scale=3.0)
    assert product.item() == 6
    assert seen == [{"scale": 6.0}]


def test_members_are_there_by_pytorchs_names_and_can_be_set():
    net = nn.Module()
    for i in range(2):
        net._modules[str(i)] = nn.ReLU()
    net._parameters["w"] = nn.Parameter(torch.ones(2))
    net._buffers["b"] = torch.zeros(1)
    net.register_module("last", nn.Linear(2, 1))
    assert list(net._modules) == [name for name, _ in net.named_children()] == ["0", "1", "last"]
    assert list(net.state_dict(prefix="net.")) == [
        "net.w", "net.b", "net.last.weight", "net.last.bias",
    ]  # fmt: skip
    net.register_buffer("passing", torch.zeros(1), persistent=False)
    net._buffers["passing"] = torch.ones(1)
    assert net.passing.item() == 1
    assert "passing" not in net.state_dict()
    del net._modules["0"]
    assert "0" not in net._modules
    assert len(net._modules) == 2
    with pytest.raises(KeyError):
        net._buffers["w"]
    assert net.type(torch.float64).w.dtype == np.float64
    with pytest.raises(TypeError, match=r"must be tinynet\.float32 or tinynet\.float64"):
        net.half()


def kinds(row):
    return [(name, type(layer).__name__) for name, layer in row.named_children()]


def test_rows_of_layers_are_changed_as_lists_are():
    for row in (nn.Sequential(nn.ReLU(), nn.Tanh(), nn.Flatten()),
                nn.ModuleList([nn.ReLU(), nn.Tanh(), nn.Flatten()])):  # fmt: skip
        both = row + row
        assert type(both) is type(row)
        assert [name for name, _ in kinds(both)] == list("012345")
        both += row
        assert len(both) == 9
        del row[-1]
        assert isinstance(row.pop(0), nn.ReLU)
        assert kinds(row) == [("0", "Tanh")]
        assert kinds(row.insert(0, nn.Flatten())) == [("0", "Flatten"), ("1", "Tanh")]
        del row[:1]
        assert kinds(row) == [("0", "Tanh")]
    named = nn.ModuleDict([["a", nn.ReLU()], ("b", nn.Tanh())])
    assert isinstance(named.pop("a"), nn.ReLU)
    assert list(named) == ["b"]


def test_a_penalty_on_the_parameters_as_a_vector_has_a_gradient():
    net = nn.Linear(2, 1)
    (nn.utils.parameters_to_vector(net.parameters()) ** 2).sum().backward()
    assert torch.equal(net.weight.grad, 2 * net.weight.detach())


# ----- the top of a script -----------------------------------------------------------------------


def test_switches_at_the_top_of_a_script_have_no_effect():
    torch.use_deterministic_algorithms(True)
    torch.set_float32_matmul_precision("high")
    torch.set_default_device("cpu")
    torch.set_num_interop_threads(1)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    assert torch.version.cuda is None
    assert not torch.distributed.is_available()
    assert torch.ones(1, 1, 2, 2).to(memory_format=torch.channels_last).shape == (1, 1, 2, 2)
    with pytest.raises(RuntimeError, match="computes on the CPU"):
        torch.set_default_device("cuda")


def test_chance_is_kept_and_given_back(tmp_path):
    torch.manual_seed(3)
    assert torch.initial_seed() == 3
    torch.save(torch.get_rng_state(), tmp_path / "rng.pt")
    first = torch.randn(3)
    torch.set_rng_state(torch.load(tmp_path / "rng.pt"))
    assert torch.equal(torch.randn(3), first)


@pytest.mark.parametrize("amp", [torch.amp, torch.cuda.amp])
def test_mixed_precision_leaves_everything_as_it_is(amp):
    net, scaler = nn.DataParallel(nn.Linear(2, 1)), amp.GradScaler(enabled=False)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    before = net.bias.item()
    with torch.autocast("cpu", enabled=False), amp.autocast(enabled=False):
        loss = net(torch.ones(1, 2)).sum()
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer=optimizer)
    scaler.step(optimizer)
    scaler.update()
    scaler.load_state_dict(state_dict=scaler.state_dict())
    assert net.bias.item() == pytest.approx(before - 0.1)
    assert amp.autocast("cpu")(lambda: torch.ones(1))().dtype == np.float32


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("tensr", "tensor"),
        ("nn.Lineer", "Linear"),
        ("nn.functional.cross_entrpy", "cross_entropy"),
        ("nn.utils.clip_grad_nrm_", "clip_grad_norm_"),
        ("optim.Adamm", "Adam"),
        ("vision.models.resnet81", "resnet18"),
    ],
)
def test_a_name_misspelt_is_told(name, near):
    path, _, last = f"tinynet.{name}".rpartition(".")
    with pytest.raises(AttributeError, match=f"{last!r}; did you mean {near!r}"):
        getattr(importlib.import_module(path), last)


def test_old_names_and_homes():
    from tinynet.nn.modules import Conv2d
    from tinynet.nn.modules.utils import _pair

    assert Conv2d is nn.Conv2d
    assert (_pair(3), _pair((1, 2))) == ((3, 3), (1, 2))
    assert nn.parallel.DataParallel is nn.DataParallel
    assert nn.init.kaiming_normal is nn.init.kaiming_normal_
    assert nn.utils.clip_grad_norm is nn.utils.clip_grad_norm_


# ----- files -------------------------------------------------------------------------------------


def test_files_may_be_open_ones_and_hold_dtypes_and_devices(tmp_path):
    kept = {"device": torch.device("cpu"), "dtype": torch.float32, torch.int64: [torch.bool_]}
    torch.save(kept, tmp_path / "kept.pt")
    assert torch.load(tmp_path / "kept.pt", torch.device("cpu")) == kept
    net, other, buffer = nn.Linear(2, 1), nn.Linear(2, 1), io.BytesIO()
    buffer.write(b"before")
    torch.save(net.state_dict(), buffer)
    with pytest.raises(RuntimeError, match=r"at its end: call \.seek\(0\)"):
        torch.load(buffer)
    buffer.seek(6)
    other.load_state_dict(torch.load(buffer, map_location="cpu"))
    assert torch.equal(net.weight, other.weight)
    with open(tmp_path / "model.pt", "wb") as file:
        torch.save(net, file)
    with open(tmp_path / "model.pt", "rb") as file:
        assert list(torch.load(file)) == ["weight", "bias"]
    with pytest.raises(RuntimeError, match="the file object: damaged, or no checkpoint"):
        torch.load(io.BytesIO(b"nothing of the kind"))
    with pytest.raises(TypeError, match="cannot hold a DateTime64DType"):
        torch.save(np.dtype("M8[s]"), tmp_path / "kept.pt")


def test_losses_are_known_by_their_base():
    from tinynet.nn.modules.loss import _Loss, _WeightedLoss

    assert isinstance(nn.MSELoss(), _Loss)
    assert not isinstance(nn.MSELoss(), _WeightedLoss)
    assert isinstance(nn.CrossEntropyLoss(weight=torch.ones(3)), _WeightedLoss)
    assert nn.L1Loss(size_average=False).reduction == "sum"


# ----- optimizers --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["SGD", "LBFGS", "Heavy"])
def test_hooks_around_a_step(kind):
    class Above(Heavy):
        def step(self, closure=None):
            return super().step(closure)

    def closure():
        optimizer.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        return loss

    w, seen = torch.ones(2, requires_grad=True), []
    optimizer = (Above if kind == "Heavy" else getattr(torch.optim, kind))([w], lr=0.1)
    optimizer.register_step_pre_hook(lambda o, args, kwargs: seen.append(w.tolist()))
    handle = optimizer.register_step_post_hook(lambda o, args, kwargs: seen.append(w.tolist()))
    closure()
    optimizer.step(closure)
    assert seen == [[1, 1], w.tolist()]
    handle.remove()
    optimizer.register_step_pre_hook(lambda o, args, kwargs: ((closure,), kwargs))
    optimizer.step()
    assert len(seen) == 3


def test_an_optimizer_may_wrap_another():
    class Around(torch.optim.Optimizer):
        def __init__(self, inner):
            self.inner, self.param_groups = inner, inner.param_groups

        def step(self, closure=None):
            self.inner.step(closure)

    w, seen = torch.ones(2, requires_grad=True), []
    optimizer = Around(torch.optim.SGD([w], lr=0.5))
    optimizer.register_step_post_hook(lambda o, args, kwargs: seen.append(o))
    w.grad = torch.ones(2)
    optimizer.step()
    assert w.tolist() == [0.5, 0.5]
    assert seen == [optimizer]


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_what_an_optimizer_remembers_may_be_changed(momentum):
    w = [torch.ones(2, requires_grad=True) for _ in range(2)]
    optimizer = torch.optim.RMSprop(w, lr=0.1, momentum=momentum)
    for p in w:
        p.grad = torch.ones(2)
    optimizer.step()
    first = w[0].tolist()
    for p in w:
        for name, value in optimizer.state[p].items():
            if name != "step":
                value.zero_()
        p.data.fill_(1.0)
    optimizer.step()
    assert w[0].tolist() == w[1].tolist() == first


class Heavy(torch.optim.Optimizer):
    """Written as for PyTorch: `step` and what it remembers are its own."""

    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                if len(state) == 0:
                    state["buffer"] = torch.zeros_like(p)
                state["buffer"].mul_(0.5).add_(p.grad)
                p.data.add_(state["buffer"], alpha=-group["lr"])


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda params: torch.optim.Adam(params, lr=0.1, foreach=True, fused=False), "exp_avg"),
        (lambda params: torch.optim.AdamW(params, lr=0.1, capturable=False), "exp_avg"),
        (lambda params: torch.optim.Adagrad(params, lr=0.1, differentiable=False), "sum"),
        (lambda params: Heavy(params, lr=0.1), "buffer"),
    ],
)
def test_what_optimizers_remember_is_tensors_and_goes_on(make, name, tmp_path):
    w, v = (torch.tensor([1.0, -2.0], requires_grad=True) for _ in range(2))
    first, second = make([w]), make([v])

    def steps(optimizer, p, count):
        for _ in range(count):
            optimizer.zero_grad()
            (p * p).sum().backward()
            optimizer.step()

    steps(first, w, 2)
    saved = first.state_dict()
    assert isinstance(saved["state"][0][name], torch.Tensor)
    torch.save(saved, tmp_path / "optimizer.pt")
    v.data = w.data.clone()
    second.load_state_dict(torch.load(tmp_path / "optimizer.pt"))
    steps(first, w, 2)
    steps(second, v, 2)
    assert torch.equal(w, v)


def test_optimizers_refuse_arguments_that_nobody_knows():
    with pytest.raises(TypeError, match="unknown SGD setting 'momentun'; did you mean 'momentum'"):
        torch.optim.SGD([torch.ones(1, requires_grad=True)], momentun=0.9)


# ----- in place ----------------------------------------------------------------------------------

IN_PLACE = {
    "add_": (2.0,), "sub_": (2.0,), "mul_": (2.0,), "div_": (2.0,), "pow_": (2,), "exp_": (),
    "sqrt_": (), "neg_": (), "abs_": (), "tanh_": (), "sigmoid_": (), "relu_": (), "floor_": (),
    "clamp_": (0.2, 1.0), "square_": (), "reciprocal_": (), "log_": (), "round_": (),
}  # fmt: skip


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place_forms_change_the_tensor_and_keep_the_graph_right(name):
    values = np.array([0.3, 1.7, 2.2])
    x = torch.tensor(values, requires_grad=True)
    y = x * 1
    memory = y.array
    assert getattr(y, name)(*IN_PLACE[name]) is y
    assert y.array is memory
    y.sum().backward()
    z = torch.tensor(values, requires_grad=True)
    expected = getattr(z, name.rstrip("_"))(*IN_PLACE[name])
    expected.sum().backward()
    np.testing.assert_allclose(y.array, expected.array)
    np.testing.assert_allclose(x.grad.array, z.grad.array)
    with pytest.raises(RuntimeError, match="changes a leaf"):
        getattr(z, name)(*IN_PLACE[name])


# ----- what differs ------------------------------------------------------------------------------


def differences():
    page = (Path(__file__).parents[1] / "docs" / "pytorch.md").read_text()
    rows = page.split("## What differs")[1].split("|---|---|")[1].strip().splitlines()
    return [(row, re.findall(r"`([^`]+)`", row.split("|")[1])) for row in rows]


@pytest.mark.parametrize(("row", "codes"), differences(), ids=lambda value: str(value)[:40])
def test_each_difference_is_one(row, codes, tmp_path):
    scope = {"torch": torch, "np": np, "path": tmp_path / "model.pt"}
    assert codes
    for code in codes:
        if code.startswith("."):
            code = codes[0].rpartition(".")[0] + code
        if "raises" in row.split("|")[1]:
            with pytest.raises((TypeError, ValueError, RuntimeError, AttributeError)):
                eval(code, scope)
        else:
            eval(code, scope)


def test_what_the_differences_say():
    assert torch.ones(2, 3, 4)[0, :, [0, 1]].shape == (2, 3)
    for error in (torch.ShapeError, torch.CheckpointError):
        assert issubclass(error, ValueError)
        assert issubclass(error, RuntimeError)
    assert torch.Tensor([1, 2]).dtype == torch.Tensor([np.float64(1)]).dtype == np.float32
    assert torch.Tensor(np.ones(2)).dtype == np.float64
    assert isinstance(torch.ones(2, requires_grad=True).numpy(), np.ndarray)
    assert torch.ones(2, 3).transpose().shape == torch.ones(2, 3).transpose((1, 0)).shape == (3, 2)
    assert (torch.ones(2, 3).T @ [1.0, 1.0]).tolist() == [2, 2, 2]
    relu = nn.ReLU()
    assert torch.compile(relu) is relu
    assert torch.compile(mode="default")(relu) is relu


# ----- interchange -------------------------------------------------------------------------------


def test_arrays_are_exchanged_without_a_copy():
    t = torch.arange(6.0).reshape(2, 3)
    for shared in (np.from_dlpack(t), np.asarray(t), t.numpy()):
        assert np.shares_memory(shared, t.array)
    array = np.ones(3, np.float32)
    assert np.shares_memory(torch.from_dlpack(array).array, array)
    assert np.shares_memory(torch.from_numpy(array).array, array)


def test_chance_by_a_generator_of_its_own():
    one, two = (torch.Generator().manual_seed(7) for _ in range(2))
    assert torch.equal(torch.randn(3, generator=one), torch.randn(3, generator=two))
    assert torch.equal(torch.randperm(9, generator=one), torch.randperm(9, generator=two))
    assert torch.randint(3, (4,), generator=one).shape == (4,)
    assert torch.normal(0.0, 1.0, (2, 3), generator=one).shape == (2, 3)
    rows = torch.multinomial(torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]), 1)
    assert rows.tolist() == [[1], [0]]
    assert torch.bernoulli(torch.tensor([0.0, 1.0])).tolist() == [0, 1]


def test_names_are_there_once():
    assert tinynet.add is tinynet.functions.add
    assert tinynet.Tensor.add is tinynet.add
    for name in set(tinynet.functions.__all__) - {"where"}:  # whose condition comes first
        method = getattr(tinynet.Tensor, name, None)
        assert method is None or method is getattr(tinynet, name), name
    aliases = {"add", "sub", "mul", "div", "expand", "invert", "trapezoid"}
    for name in tinynet.functions.__all__:
        assert getattr(tinynet, name).__name__ in {name, *aliases}, name
        assert getattr(tinynet, name).__doc__, name


# ----- what scripts in the wild type -------------------------------------------------------------


def test_typed_constructors_and_sizes():
    assert torch.FloatTensor(2, 3).shape == torch.Tensor(2, 3).shape == (2, 3)
    assert torch.Tensor(3).shape == (3,)
    x = torch.ones(2, 3, dtype=torch.float64)
    for made in (torch.DoubleTensor(x.size()), x.new(x.size()), x.new(2, 3)):
        assert (made.shape, made.dtype) == ((2, 3), x.dtype)
    assert x.new([1, 2]).tolist() == [1, 2]
    assert x.view(6).data_ptr() == x.data_ptr()
    assert torch.Tensor().shape == (0,)
    assert torch.LongTensor([1, 2]).tolist() == [1, 2]
    assert torch.ones(2).type(torch.LongTensor).dtype == np.int64
    assert isinstance(torch.ones(2), torch.FloatTensor)
    assert not isinstance(torch.ones(2), torch.LongTensor)
    assert torch.Size([2, 3]) == (2, 3)
    assert torch.Size([2, 3]).numel() == 6
    assert isinstance(x.shape, torch.Size)
    assert repr(x.shape) == "tinynet.Size([2, 3])"
    assert f"{x.shape}" == "(2, 3)"
    with pytest.raises(TypeError, match="requires_grad= and dtype= go by name"):
        torch.Tensor([1.0], True)


def test_every_operation_has_a_form_that_overwrites():
    x = torch.tensor([0.0, 1.0])
    assert x.cos_() is x
    assert np.allclose(x.array, np.cos([0, 1]))
    square = torch.ones(2, 2)
    assert square.tril_().tolist() == [[1, 0], [1, 1]]
    y = (leaf := torch.ones(2, requires_grad=True)) * 1
    y.sin_().sum().backward()
    assert np.allclose(leaf.grad.array, np.cos(1))
    with pytest.raises(torch.ShapeError, match="add_: the result has shape"):
        x.add_(square)
    for name in ("nothing_", "_become_"):
        assert not hasattr(x, name)


def test_other_names_of_the_same():
    assert isinstance(np.dtype(np.float32), torch.dtype)
    assert torch.greater(torch.ones(1), torch.zeros(1)).item()
    assert torch.arctan2(torch.zeros(1), torch.ones(1)) == 0
    assert torch.exp_(torch.zeros(1)).item() == torch.negative(torch.tensor([-1.0])).item() == 1
    assert torch.eye(2).det() == torch.eye(2).inverse().trace() / 2 == 1
    assert torch.eye(2).lgamma_().abs().max() == np.inf
    assert torch.ops.atan2(y=torch.ones(1), x=torch.zeros(1)).item() == pytest.approx(math.pi / 2)
    assert torch.ones(2)[:, torch.newaxis].shape == (2, 1)
    x = torch.ones(2, 3)
    assert x.pin_memory() is x.share_memory_() is x
    assert x.ndimension() == 2


def test_results_are_written_into_out():
    x, y = torch.ones(2, 2), torch.zeros(2, 2)
    for function, value in ((torch.matmul, 2), (torch.add, 2), (torch.mul, 1), (torch.maximum, 1)):
        assert function(x, x, out=y) is y
        assert (y == value).all()
    with pytest.raises(torch.ShapeError, match="does not broadcast"):
        torch.mul(x, x, out=torch.ones(3))


def test_dtypes_are_pytorchs():
    whole = torch.tensor([1, 2])
    for name in ("sqrt", "exp", "log", "sin", "tanh", "sigmoid", "log1p", "reciprocal"):
        assert getattr(whole, name)().dtype == np.float32, name
        assert getattr(torch, name)(whole).dtype == np.float32, name
    assert torch.cat([torch.ones(1), whole]).dtype == np.float32
    assert torch.fmax(whole, torch.ones(2)).dtype == np.float32
    assert torch.normal(0, 1, (2,)).dtype == np.float32
    assert torch.tensor(np.float64(2.0)).dtype == torch.tensor([np.float64(2.0)]).dtype == float
    assert (torch.ones(3, dtype=torch.uint8).sum() - 5).item() == -2
    assert torch.bincount(torch.tensor([0, 1]), weights=torch.ones(2)).dtype == np.float32


def test_text_and_comparison():
    assert f"{torch.tensor(21)}/96" == "21/96"
    assert f"{torch.tensor(2.25):.1f}" == "2.2"
    assert (torch.ones(2) == None) is False  # noqa: E711
    assert torch.ones(2) != "ones"


def test_backward_by_pytorchs_names():
    x = torch.ones(2, requires_grad=True)
    assert x.grad_fn is None
    y = x * 2
    assert y.grad_fn is not None
    y.backward(gradient=torch.ones(2))
    torch.autograd.backward([x.sum(), (x * x).sum()])
    assert x.grad.tolist() == [5, 5]


def test_a_function_may_return_none_for_defaults_left_out():
    class Scale(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, factor=3.0):
            ctx.factor = factor
            return x * factor

        @staticmethod
        def backward(ctx, dy):
            return dy * ctx.factor, None

    x = torch.ones(2, requires_grad=True)
    Scale.apply(x).sum().backward()
    assert x.grad.tolist() == [3, 3]


def test_shapes_changed_in_place():
    x = torch.ones(2, 3)
    assert x.unsqueeze_(0).shape == x.shape == (1, 2, 3)
    assert x.squeeze_().t_().shape == (3, 2)
    assert x.transpose_(0, 1).shape == (2, 3)
    leaf = torch.ones(2, requires_grad=True)
    y = leaf * 1
    y.unsqueeze_(0)
    (y * 2).sum().backward()
    assert leaf.grad.tolist() == [2, 2]
    with pytest.raises(RuntimeError, match="changes a leaf"):
        leaf.unsqueeze_(0)
    square = torch.zeros(2, 2)
    assert square.fill_diagonal_(1).tolist() == [[1, 0], [0, 1]]


def test_axes_by_either_name_and_numbers_of_numpy():
    x = torch.ones(2, 3)
    assert x.unsqueeze(dim=0).shape == torch.unsqueeze(x, dim=0).shape == (1, 2, 3)
    assert torch.stack([x, x], axis=-1).shape == (2, 3, 2)
    assert torch.cat([x, x], axis=1).shape == (2, 6)
    for y in (torch.arange(2) * np.log(1e4), np.float64(2) * torch.arange(2), x * np.sqrt(4)):
        assert y.dtype == np.float32


def test_a_copied_model_has_no_gradients_and_a_list_of_parameters_is_one():
    layer = nn.Linear(2, 1)
    layer(torch.ones(1, 2)).sum().backward()
    assert copy.deepcopy(layer).weight.grad is None
    optimizer = torch.optim.SGD(nn.ParameterList([torch.ones(2)]), lr=0.1)
    assert len(optimizer.param_groups[0]["params"]) == 1
    with pytest.raises(TypeError, match=r"pass model.parameters\(\)"):
        torch.optim.SGD(nn.ModuleList([layer]), lr=0.1)


def test_arguments_by_pytorchs_names(tmp_path):
    x, path = torch.arange(6.0).reshape(2, 3), tmp_path / "x.pt"
    assert x.transpose(dim0=0, dim1=1).shape == x.view(size=(3, 2)).shape == (3, 2)
    assert x.pow(exponent=2).sum() == x.mul(other=x).sum()
    assert x.eq(other=x).all()
    assert x.amax(axis=1, keepdims=True).tolist() == [[2], [5]]
    torch.save(obj=x, f=path)
    assert torch.equal(torch.load(f=path), x)
    y, z = (torch.ones(2, requires_grad=True) for _ in range(2))
    for _ in range(2):
        (y * z).sum().backward(inputs=[y])
    assert y.grad.tolist() == [2, 2]
    assert z.grad is None
    with pytest.raises(TypeError, match="either dim or axis"):
        x.sum(dim=0, axis=0)


def test_several_results_say_which_function_gave_them():
    x = torch.tensor([[1.0, 2.0]])
    text = "tinynet.return_types.max(\nvalues=tensor([2.]),\nindices=tensor([1]))"
    assert repr(x.max(1)) == repr(pickle.loads(pickle.dumps(x.max(1)))) == text
    assert repr(torch.aminmax(x)).startswith("tinynet.return_types.aminmax(\nmin=tensor(1.),")
    assert torch.linalg.svd(x)._fields == ("U", "S", "Vh")


def test_integers_meet_floats_and_zero_as_in_pytorch():
    m = torch.tensor([2, 4])
    for y in (1 / m, 2 / m[0], torch.div(1, m), torch.atan2(m, m), m.logsumexp(0), m.softmax(0)):
        assert y.dtype == torch.float32
    assert torch.full((1,), np.float64(2)).dtype == torch.float32
    for divided in (lambda: m // 0, lambda: m % 0, lambda: torch.fmod(m, 0)):
        with pytest.raises(ZeroDivisionError, match="divided by 0"):
            divided()
    with pytest.raises(TypeError, match="takes floats"):
        m.std()
    with pytest.raises(ValueError, match="from 0 to 1"):
        torch.bernoulli(torch.full((3,), 1.5))
    with pytest.raises(TypeError, match="single element"):
        f"{m:.2f}"
    assert type(torch.finfo(torch.float32).eps) is float
    assert torch.finfo().bits == 32
    place = torch.tensor([1])
    assert torch.ones(2).scatter_(0, place, 2.0, reduce="multiply").tolist() == [1, 2]
    for reduce, value in (("mean", 4), ("amax", 7)):
        y = m.scatter_reduce(0, torch.tensor([0, 0]), torch.tensor([5, 7]), reduce)
        assert (y.dtype, y.tolist()) == (torch.int64, [value, 4])


def test_dtypes_of_tensors_and_numbers_are_those_of_pytorch():
    x, m, double = torch.tensor([1.0, 5.0]), torch.tensor([1, 5]), torch.tensor(2.5).double()
    for y in (
        torch.max(m, x), torch.min(x, double), x.max(double), x.clamp(min=double), m.clamp(max=x),
        torch.dist(x, double), torch.floor_divide(x, 2), torch.copysign(m, -2), torch.xlogy(x, 2),
        x.masked_fill(x > 1, double), x.masked_fill(x > 1, -2),
    ):  # fmt: skip
        assert y.dtype == torch.float32
    for y in (torch.tensor([True]) ** 2, torch.tensor([True]).square(), m.byte()[None].trace()):
        assert (y.dtype, y.tolist()) in [(torch.int64, [1]), (torch.int64, 1)]
    assert m.masked_fill(m > 1, 2.0).tolist() == [1, 2]
    for wrong, value in ((m, 1.9), (m, -math.inf), (m > 1, 2)):
        with pytest.raises(TypeError, match="is no value of"):
            wrong.masked_fill(m > 1, value)
    for draw in (torch.rand_like, torch.randn_like):
        with pytest.raises(TypeError, match="which int64 cannot hold"):
            draw(m)
    with pytest.raises(RuntimeError, match=r"change x.clone\(\)"):
        x.expand(2, 2)[0, 0] = 1


def test_older_names_and_sizes():
    torch.set_default_tensor_type("torch.DoubleTensor")
    assert torch.ones(1).dtype == torch.float64
    torch.set_default_tensor_type(torch.FloatTensor)
    assert torch.typename(torch.ones(1)) == "torch.FloatTensor"
    assert torch.typename(nn.ReLU()).endswith(".ReLU")
    assert torch.vander(torch.ones(2)).dtype == torch.float32
    with pytest.raises(TypeError, match="made of ints"):
        torch.Size([1.5])


def test_decompositions_by_their_older_names():
    x = torch.randn(4, 3, dtype=torch.float64)
    U, S, V = torch.svd(x)
    assert torch.linalg.matrix_norm(x, "nuc") == S.sum()
    np.testing.assert_allclose((U * S @ V.T).array, x.array)
    square = x.T @ x
    np.testing.assert_allclose(torch.cholesky(square, upper=True).array, torch.cholesky(square).T)
    with pytest.raises(ValueError, match="symmetric"):
        torch.linalg.cholesky(torch.tensor([[1.0, 0.5], [0.0, 1.0]]))
    assert gradcheck(lambda a, b: torch.linalg.lstsq(a, b).solution, x, x[:, 0] + 1, order=2)


@pytest.mark.parametrize("name", ["erfinv", "lgamma", "digamma"])
def test_special_functions_have_gradients_and_these_too(name):
    function, x = getattr(torch, name), torch.tensor([0.3, -0.7, 0.95], dtype=torch.float64)
    assert gradcheck(function, x)
    assert gradcheck(function, x, order=2)
    if name == "digamma":
        for n in range(4):
            assert gradcheck(lambda x, n=n: torch.polygamma(n, x), x)
        far = torch.tensor([-2e2 - 0.25, -3.0, float("nan")])  # by reflection, in float32 too
        for n, values in enumerate(([8.4437, np.nan], [19.7342, np.inf], [124.0251, -np.inf])):
            y = torch.polygamma(n, far)
            np.testing.assert_allclose(y.array, [*values, np.nan], rtol=1e-4)
            assert y.dtype == np.float32


def test_a_missing_file_is_pythons_error_too():
    with pytest.raises(FileNotFoundError, match="no such file"):
        torch.load("nothing.pt")


# ----- what an editor shows -----------------------------------------------------------------------


def test_every_public_method_says_what_it_does_and_what_it_takes():
    for name in dir(torch.Tensor):
        if not name.startswith("_"):
            member = getattr(torch.Tensor, name)
            assert inspect.getdoc(member) or name in ("is_sparse", "layout"), name
            if callable(member):
                assert inspect.signature(member), name
    assert str(inspect.signature(torch.Tensor.add_)).startswith("(input: 'Data', other: 'Data', *")
    assert torch.Tensor.exp_.__name__ == "exp_"
    assert torch.Tensor.det.__doc__ == torch.det.__doc__


def test_editors_and_type_checkers_are_told_of_every_method_that_comes_from_a_table():
    assert method_stubs.PLACE.read_text(encoding="utf-8") == method_stubs.written()


QUIET = """
import warnings, numpy as np, tinynet as torch
x = torch.tensor([0.0, -1.0, 1000.0], requires_grad=True)
y = [x / 0, torch.log(x), torch.exp(x), x.sqrt(), x.rsqrt(), 1 / x, x**-1, x.acos(), x * 3e38]
sum(y).sum().backward()
assert torch.isnan(x.grad).any() and np.isinf(y[2].array).any()
print(np.log(np.array(0.0)))
"""


@pytest.mark.parametrize(("options", "warned"), [([], "<string>"), (["-W", "error"], "tinynet")])
def test_nan_and_infinity_come_without_a_word_from_operations_alone(options, warned):
    run = subprocess.run([sys.executable, *options, "-c", QUIET], capture_output=True, text=True)
    assert warned in run.stderr
    assert ("tinynet" in run.stderr) == (warned == "tinynet")
    with np.errstate(all="raise"), pytest.raises(FloatingPointError):
        torch.log(torch.zeros(1))
