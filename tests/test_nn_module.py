"""Module: what it finds, in which order, under which names; modes, hooks, state."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest

import tinynet
from tinynet import nn
from tinynet.errors import CheckpointError, ShapeError


class Net(nn.Module):
    """Two layers, a parameter of its own and a buffer, on purpose in mixed order."""

    def __init__(self, rng=None):
        super().__init__()
        self.hidden = nn.Linear(4, 3, rng=rng)
        self.scale = nn.Parameter(np.ones(3, np.float32))
        self.register_buffer("shift", np.zeros(3, np.float32))
        self.blocks = nn.ModuleList([nn.Linear(3, 3), nn.BatchNorm1d(3)])
        self.note = "not a member"

    def forward(self, x):
        h = self.hidden(x) * self.scale + self.shift
        for block in self.blocks:
            h = block(h)
        return h


# ----- what is found --------------------------------------------------------------------------


def test_parameters_are_named_own_first_then_children_in_assignment_order():
    assert [name for name, _ in Net().named_parameters()] == [
        "scale", "hidden.weight", "hidden.bias", "blocks.0.weight", "blocks.0.bias",
        "blocks.1.weight", "blocks.1.bias",
    ]  # fmt: skip


def test_modules_and_children_are_found_by_path():
    net = Net()
    assert [name for name, _ in net.named_modules()] == [
        "", "hidden", "blocks", "blocks.0", "blocks.1",
    ]  # fmt: skip
    assert [name for name, _ in net.named_children()] == ["hidden", "blocks"]
    assert list(net.children()) == [net.hidden, net.blocks]
    assert net.get_submodule("blocks.1") is net.blocks[1]
    assert net.get_submodule("") is net
    assert net.get_parameter("blocks.0.weight") is net.blocks[0].weight


def test_an_unknown_path_lists_the_names_there():
    with pytest.raises(ValueError, match=r"'block'; did you mean 'blocks'\? Known: hidden, blocks"):
        Net().get_submodule("block.0")
    with pytest.raises(ValueError, match="unknown parameter 'wieght'; did you mean 'weight'"):
        Net().get_parameter("hidden.wieght")


def test_buffers_are_found_and_kept_apart_from_parameters():
    names = [name for name, _ in Net().named_buffers()]
    assert names == [
        "shift", "blocks.1.running_mean", "blocks.1.running_var", "blocks.1.num_batches_tracked",
    ]  # fmt: skip


def test_a_shared_layer_is_counted_once_but_saved_under_both_names():
    layer = nn.Linear(2, 2)
    model = nn.Sequential(layer, nn.ReLU(), layer)
    assert [name for name, _ in model.named_parameters()] == ["0.weight", "0.bias"]
    both = [name for name, _ in model.named_parameters(remove_duplicate=False)]
    assert both == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert list(model.state_dict()) == both


def test_none_takes_a_member_out_and_a_new_one_puts_it_back():
    layer = nn.Linear(2, 2)
    layer.bias = None
    assert [name for name, _ in layer.named_parameters()] == ["weight"]
    layer.bias = nn.Parameter(np.zeros(2, np.float32))
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]
    del layer.bias
    assert not hasattr(layer, "bias")
    assert [name for name, _ in layer.named_parameters()] == ["weight"]


def test_a_plain_tensor_that_requires_grad_is_an_attribute_and_no_parameter():
    layer = nn.Module()
    layer.t = tinynet.ones(2, requires_grad=True)
    assert list(layer.parameters()) == []


def test_register_parameter_and_add_module_take_names_from_outside():
    module = nn.Module()
    module.register_parameter("w", nn.Parameter([1.0]))
    module.register_parameter("b", None)
    module.add_module("0", nn.Identity())
    assert [name for name, _ in module.named_parameters()] == ["w"]
    assert [name for name, _ in module.named_children()] == ["0"]
    with pytest.raises(
        TypeError,
        match=r"Module.w is a parameter and cannot become Tensor; assign nn.Parameter\(...\)",
    ):
        module.register_parameter("w", tinynet.ones(1))
    with pytest.raises(TypeError, match=r"'act' is the class ReLU, not a layer; make one: `ReLU"):
        module.add_module("act", nn.ReLU)
    with pytest.raises(TypeError, match=r"Sequential: '1' must be a layer .*, got NoneType"):
        nn.Sequential(nn.ReLU(), None)


def test_a_container_may_have_attributes_of_its_own():
    class Block(nn.Sequential):
        def __init__(self, kind):
            super().__init__(nn.Linear(2, 2), nn.ReLU())
            self.kind = kind

    assert len(Block("narrow")) == len(Block("narrow")[:1]) + 1 == 2


# ----- mistakes -------------------------------------------------------------------------------


def test_forgetting_super_init_is_a_clear_error():
    class Forgetful(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(1, 1)

    with pytest.raises(RuntimeError, match=r"Forgetful: call `super\(\).__init__\(\)` first"):
        Forgetful()


def test_a_parameter_cannot_silently_become_something_else():
    layer = nn.Linear(2, 2)
    with pytest.raises(TypeError, match=r"Linear.weight is a parameter and cannot become Tensor"):
        layer.weight = tinynet.ones(2, 2)
    with pytest.raises(TypeError, match=r"Linear.weight is a parameter and cannot become ReLU"):
        layer.weight = nn.ReLU()
    for take in (
        lambda: layer.register_buffer("weight", tinynet.ones(1)),
        lambda: layer.add_module("bias", nn.ReLU()),
        lambda: layer.register_parameter("in_features", None),
        lambda: nn.Sequential(layer).register_buffer("0", tinynet.ones(1)),
    ):
        with pytest.raises(KeyError, match=r"is there already, a (param|plain|module)"):
            take()
    assert len(layer.state_dict()) == 2
    net = Net()
    with pytest.raises(TypeError, match=r"Net.hidden is a module and cannot become function"):
        net.hidden = lambda x: x
    net.shift = tinynet.ones(3)  # a buffer may become another tensor
    assert net.state_dict()["shift"].tolist() == [1, 1, 1]


def test_a_list_of_layers_is_refused_because_it_hides_them():
    class Listed(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = [nn.Linear(1, 1) for _ in range(2)]

    with pytest.raises(TypeError, match=r"self.layers = nn.ModuleList\(\[...\]\)"):
        Listed().parameters()


def test_a_list_of_layers_that_learn_nothing_is_fine():
    module = nn.Module()
    module.losses = [nn.MSELoss(), nn.ReLU()]
    assert list(module.parameters()) == []


def test_a_list_of_layers_that_are_found_elsewhere_is_fine():
    net = Net()
    net.order = [net.hidden, net.blocks[0]]
    net.hidden_from_training = (nn.Linear(1, 1),)
    net.teacher = [nn.Linear(1, 1)]
    net.frozen = [nn.Linear(1, 1).requires_grad_(False) for _ in range(2)]
    assert len(list(net.parameters())) == 7


@pytest.mark.parametrize("name", ["", "a.b", "forward", "parameters", "training"])
def test_names_that_would_break_the_module_are_refused(name):
    with pytest.raises(ValueError, match="cannot be named"):
        nn.Module().add_module(name, nn.Identity())


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Linear(2, 3), (3, 2)),
        (nn.Conv2d(1, 2, 3), (1, 1, 5, 5)),
        (nn.MaxPool2d(2), (1, 1, 4, 4)),
    ],
)
def test_layers_take_arrays_and_refuse_lists(layer, shape):
    assert layer(np.ones(shape, np.float32)).shape == layer(tinynet.ones(shape)).shape
    with pytest.raises(TypeError, match=r"takes a tensor, got .*tinynet.tensor"):
        layer(np.ones(shape).tolist())


def test_a_module_without_forward_says_so():
    class Empty(nn.Module):
        pass

    with pytest.raises(NotImplementedError, match="Empty needs a method `forward"):
        Empty()(1)


# ----- modes ----------------------------------------------------------------------------------


def test_train_and_eval_reach_every_module():
    net = Net()
    assert net.eval() is net
    assert not any(module.training for module in net.modules())
    net.train()
    assert all(module.training for module in net.modules())


def test_modes_are_copied_and_pickled_and_may_be_set():
    net = Net()
    net.hidden.eval()
    net.blocks.training = False
    modes = [module.training for module in net.modules()]
    assert modes.count(False) == 2
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert [module.training for module in twin.modules()] == modes
        twin.train()
        assert [module.training for module in net.modules()] == modes


def test_train_and_eval_of_ones_own_are_heard_in_every_part():
    class Still(nn.Linear):
        def train(self, mode=True):
            return super().train(False)

    net = nn.Sequential(nn.Sequential(Still(2, 2), nn.ReLU()))
    net.train()
    assert [module.training for module in net.modules()] == [True, True, False, True]


def test_freezing_and_zero_grad_reach_every_parameter():
    net = Net()
    net(tinynet.ones(5, 4)).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    net.zero_grad(set_to_none=False)
    assert all((p.grad.array == 0).all() for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    net.requires_grad_(False)
    assert not net(tinynet.ones(5, 4)).requires_grad


def test_dtype_changes_in_place_and_leaves_integers():
    net = Net()
    before = list(net.parameters())
    net(tinynet.ones(5, 4)).sum().backward()
    assert net.double() is net
    assert list(net.parameters()) == before
    assert {p.dtype for p in net.parameters()} == {tinynet.float64}
    assert {p.grad.dtype for p in net.parameters()} == {tinynet.float64}
    assert net.shift.dtype == tinynet.float64
    assert net.blocks[1].num_batches_tracked.dtype == tinynet.int64
    assert net(tinynet.ones(5, 4, dtype=tinynet.float64)).dtype == tinynet.float64
    assert {p.dtype for p in net.float().parameters()} == {tinynet.float32}
    assert {p.dtype for p in net.astype(np.float64).parameters()} == {tinynet.float64}


@pytest.mark.parametrize("dtype", [np.int64, np.float16])
def test_other_dtypes_and_devices_are_refused(dtype):
    net = Net()
    with pytest.raises(TypeError, match=r"Net.to: dtype must be tinynet.float32 or"):
        net.to(dtype)
    for move in (lambda: net.to("cuda"), net.cuda):
        with pytest.raises(RuntimeError, match="computes on the CPU and has no device 'cuda'"):
            move()
    assert net.to("cpu") is net.cpu() is net
    assert net.to("cpu", tinynet.float64).scale.dtype == np.float64


def test_apply_visits_children_before_parents():
    seen = []
    nn.Sequential(nn.ReLU(), nn.Sequential(nn.Tanh())).apply(
        lambda module: seen.append(type(module).__name__)
    )
    assert seen == ["ReLU", "Tanh", "Sequential", "Sequential"]


def test_copies_and_pickles_are_independent_and_keep_shared_parameters():
    net = Net()
    net.tied = net.hidden
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert twin.tied is twin.hidden
        assert twin.tied is not net.tied
        assert isinstance(twin.hidden.weight, nn.Parameter)
        twin.hidden.weight.array[:] = 7
        assert not (net.hidden.weight.array == 7).any()
        assert list(twin.state_dict()) == list(net.state_dict())


# ----- hooks ----------------------------------------------------------------------------------


def test_forward_hooks_see_and_may_replace_the_output():
    layer = nn.ReLU()
    seen = []
    looking = layer.register_forward_hook(lambda m, args, y: seen.append((m, args[0], y)))
    doubling = layer.register_forward_hook(lambda m, args, y: y * 2)
    x = tinynet.tensor([-1.0, 3.0])
    assert layer(x).tolist() == [0, 6]
    assert seen[0][0] is layer
    assert seen[0][1] is x
    assert seen[0][2].tolist() == [0, 3]
    doubling.remove()
    doubling.remove()
    assert layer(x).tolist() == [0, 3]
    looking.remove()
    assert len(seen) == 2


def test_a_module_may_keep_the_handles_of_its_hooks_under_any_usual_name():
    class Watching(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.seen = nn.Linear(2, 1), []
            self._hooks = [self.inner.register_forward_hook(lambda m, x, y: self.seen.append(y))]
            self._handles = [*self._hooks]

        def forward(self, x):
            return self.inner(x)

    model = Watching()
    assert model(tinynet.ones(1, 2)) is model.seen[0]


def test_pre_hooks_may_replace_the_input_and_handles_are_context_managers():
    layer = nn.ReLU()
    x = tinynet.tensor([-1.0, 3.0])
    with layer.register_forward_pre_hook(lambda m, args: -args[0]):
        assert layer(x).tolist() == [1, 0]
    with layer.register_forward_pre_hook(lambda m, args: (args[0] + 1,)):
        assert layer(x).tolist() == [0, 4]
    assert layer(x).tolist() == [0, 3]


# ----- state ----------------------------------------------------------------------------------


def test_state_dict_shares_memory_in_pytorchs_order():
    net = Net()
    state = net.state_dict()
    assert list(state) == [
        "scale", "shift", "hidden.weight", "hidden.bias", "blocks.0.weight", "blocks.0.bias",
        "blocks.1.weight", "blocks.1.bias", "blocks.1.running_mean", "blocks.1.running_var",
        "blocks.1.num_batches_tracked",
    ]  # fmt: skip
    state["scale"][:] = 9
    assert net.scale.tolist() == [9, 9, 9]
    assert not state["scale"].requires_grad
    net.load_state_dict(copy.deepcopy(state))


def test_a_transient_buffer_is_not_saved():
    module = nn.Module()
    module.register_buffer("kept", [1.0])
    module.register_buffer("grid", [2.0], persistent=False)
    assert list(module.state_dict()) == ["kept"]
    assert [name for name, _ in module.named_buffers()] == ["kept", "grid"]


def test_a_state_goes_into_another_model_and_its_memory_stays():
    source, target = Net(np.random.default_rng(1)), Net(np.random.default_rng(2))
    source(tinynet.randn(5, 4, rng=np.random.default_rng(0)))
    memory = target.hidden.weight.array
    result = target.load_state_dict(source.state_dict())
    assert result == ([], [])
    assert target.hidden.weight.array is memory
    for name, array in target.state_dict().items():
        np.testing.assert_array_equal(array, source.state_dict()[name])


def test_other_float_dtypes_are_converted_on_loading():
    net = nn.Linear(2, 1)
    net.load_state_dict({"weight": np.array([[1.5, 2.5]]), "bias": tinynet.tensor([0.5])})
    assert net.weight.dtype == tinynet.float32
    assert net.weight.tolist() == [[1.5, 2.5]]


def test_a_wrong_state_is_refused_with_the_whole_list_and_nothing_is_written():
    net = Net()
    before = net.state_dict()
    wrong = {**before, "scale": np.full(3, 5.0), "hidden.weight": np.zeros((3, 5))}
    wrong["blocks.1.num_batches_tracked"] = np.array("one")
    del wrong["hidden.bias"], wrong["blocks.0.bias"]
    wrong["extra.weight"] = np.zeros(1)
    with pytest.raises(CheckpointError) as caught:
        net.load_state_dict(wrong)
    message = str(caught.value)
    assert "does not fit this Net; nothing was loaded" in message
    assert "Missing key(s) in state_dict (2): hidden.bias, blocks.0.bias" in message
    assert "Unexpected key(s) in state_dict (1): extra.weight" in message
    assert "hidden.weight: the model has shape (3, 4), the state (3, 5)" in message
    assert "num_batches_tracked: the model has dtype int64, the state <U3" in message
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_loading_without_strict_takes_what_is_in_both_and_returns_the_rest():
    net = Net()
    state = {"scale": np.full(3, 5.0), "extra": np.zeros(1)}
    missing, unexpected = net.load_state_dict(state, strict=False)
    assert net.scale.tolist() == [5, 5, 5]
    assert "hidden.bias" in missing
    assert unexpected == ["extra"]
    state["hidden.weight"] = np.zeros((3, 5))
    with pytest.raises(RuntimeError, match=r"hidden\.weight: the model has shape \(3, 4\), the st"):
        net.load_state_dict(state, strict=False)
    assert str(net.load_state_dict(net.state_dict())) == "<All keys matched successfully>"


def test_loading_with_assign_takes_the_arrays_themselves():
    net, weight = nn.Linear(2, 1, bias=False), np.ones((1, 2), np.float32)
    net.load_state_dict({"weight": weight}, assign=True)
    assert net.weight.array is weight


@pytest.mark.parametrize(
    "values", [np.zeros((1, 2), np.int64), np.zeros((1, 2), complex), np.array([["a", "b"]])]
)
def test_values_that_are_no_floats_are_not_loaded_into_floats(values):
    with pytest.raises(CheckpointError, match="weight: the model has dtype float32, the state"):
        nn.Linear(2, 1, bias=False).load_state_dict({"weight": values})


class Foreign:
    """A tensor of another framework, which NumPy takes only when it is detached."""

    def __init__(self, values, refuses: str = "call detach() first") -> None:
        self.values, self.refuses = np.asarray(values, np.float32), refuses

    def detach(self) -> Foreign:
        return Foreign(self.values, "" if self.refuses.startswith("call") else self.refuses)

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        if self.refuses:
            raise RuntimeError(self.refuses)
        return self.values


@pytest.mark.parametrize(
    "values",
    [
        Foreign([[1, 2]]),
        [[1.0, 2.0]],
        np.array([[1, 2]], np.float16),
        np.array([[1, 2]], ">f8"),
        tinynet.tensor([[1.0, 2.0]], requires_grad=True),
    ],
    ids=["another framework's", "list", "float16", "big-endian", "with a gradient"],
)
def test_whatever_numpy_takes_is_loaded(values):
    net = nn.Linear(2, 1, bias=False)
    net.load_state_dict({"weight": values})
    assert net.weight.tolist() == [[1, 2]]


def test_torch_parameters_are_loaded_and_bfloat16_is_told_the_way():
    torch = pytest.importorskip("torch")
    peer, net = torch.nn.Linear(2, 1), nn.Linear(2, 1)
    net.load_state_dict(dict(peer.named_parameters()))
    assert net.weight.tolist() == peer.weight.tolist()
    with pytest.raises(CheckpointError, match=r"BFloat16\); pass an array: .*\.float\(\)\.numpy"):
        net.load_state_dict(peer.bfloat16().state_dict())


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (Foreign([[1, 2]], "no gpu"), r"NumPy cannot take it \(no gpu\); pass an array: tensor"),
        ([[1.0, 2.0], [3.0]], r"NumPy cannot take it \(.*inhomogeneous"),
        (3.0, r"the model has shape \(1, 2\), the state \(\)"),
        (None, r"the model has shape \(1, 2\), the state \(\)"),
        (np.array([[1, 1e39]]), "1e.39 is too large for the model's dtype float32"),
    ],
)
def test_values_that_cannot_be_taken_are_refused_and_nothing_is_written(values, words):
    net = nn.Linear(2, 1)
    before = net.state_dict()
    with pytest.raises(CheckpointError, match=f"weight: {words}"):
        net.load_state_dict({"bias": np.ones(1), "weight": values})
    assert all(np.array_equal(before[name], value) for name, value in net.state_dict().items())


def test_integers_that_do_not_fit_are_refused():
    module = nn.Module()
    module.register_buffer("count", np.zeros((), np.int32))
    module.load_state_dict({"count": np.int64(7)})
    with pytest.raises(
        CheckpointError, match="4294967296 is too large for the model's dtype int32"
    ):
        module.load_state_dict({"count": np.int64(1 << 32)})
    assert module.count.item() == 7


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (nn.Linear(2, 1), r"a Linear is no state_dict; pass its \.state_dict\(\)"),
        ([("weight", 1)], "a list is no state_dict; pass a dict of arrays by name"),
        (nn.Linear(2, 1).named_parameters(), "a generator is no state_dict; pass a dict"),
        ("w.safetensors", r"to read a file use tinynet\.load\(path, model\)"),
        (Path("w.safetensors"), r"to read a file use tinynet\.load\(path, model\)"),
        (None, "a NoneType is no state_dict"),
    ],
)
def test_what_is_no_state_is_refused_with_the_cure(state, words):
    with pytest.raises(TypeError, match=words):
        nn.Linear(2, 1).load_state_dict(state)


@pytest.mark.parametrize(
    ("wrap", "words"),
    [
        (lambda s: {"epoch": 3, "state_dict": s}, r"one level down: pass state\['state_dict'\]"),
        (lambda s: {"module." + k: v for k, v in s.items()}, r"removeprefix\('module\.'\)"),
        (lambda s: {"model/" + k: v for k, v in s.items()}, r"removeprefix\('model/'\)"),
        (lambda s: {"net": {"module." + k: v for k, v in s.items()}}, r"pass state\['net'\]"),
        (
            lambda s: {i + k: v for i in ("0.", "2.") for k, v in s.items()},
            r"2\.bias\nBuild the model",
        ),
        (lambda s: {1: 2}, r"Unexpected key\(s\) in state_dict \(1\): 1\nBuild the model"),
        (lambda s: {}, r"Missing key\(s\) in state_dict \(2\): weight, bias\nBuild the model"),
    ],
)
def test_a_state_in_a_wrapping_is_recognised(wrap, words):
    net = nn.Linear(2, 1)
    with pytest.raises(CheckpointError, match=words):
        net.load_state_dict(wrap(net.state_dict()))
    with pytest.raises(CheckpointError, match="Unexpected"):
        nn.Sequential().load_state_dict({"a": {"b": 1}})


def test_loading_makes_an_older_graph_stale_rather_than_wrong():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    loss = net(tinynet.ones(1, 2)).sum()
    net.load_state_dict(net.state_dict())
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


# ----- errors and text ------------------------------------------------------------------------


def test_a_shape_error_names_the_path_of_the_layer():
    net = Net()
    with pytest.raises(ShapeError) as caught:
        net(tinynet.ones(5, 6))
    assert "\n  raised in layer 'hidden' (Linear)\n" in str(caught.value)
    assert caught.value.layers == [("hidden", "Linear"), ("", "Net")]


def test_the_path_goes_through_containers_that_are_not_called_themselves():
    net = Net()
    net.hidden = nn.Linear(4, 2)
    net.scale = nn.Parameter(np.ones(2, np.float32))
    net.shift = None
    net.forward = lambda x: net.blocks[0](net.hidden(x))
    with pytest.raises(ShapeError, match=r"raised in layer 'blocks.0' \(Linear\)"):
        net(tinynet.ones(5, 4))


def test_a_layer_alone_is_named_by_its_class():
    with pytest.raises(ShapeError, match=r"raised in Linear$"):
        nn.Linear(2, 3)(tinynet.ones(1, 5))


def test_repr_shows_the_tree():
    model = nn.Sequential({"a": nn.Linear(2, 3, bias=False), "b": nn.Sequential(nn.ReLU())})
    assert repr(model) == (
        "Sequential(\n"
        "  (a): Linear(in_features=2, out_features=3, bias=False)\n"
        "  (b): Sequential(\n"
        "    (0): ReLU()\n"
        "  )\n"
        ")"
    )


@pytest.mark.parametrize(
    ("lazy", "made", "shape"),
    [
        (lambda: nn.LazyLinear(3), lambda: nn.Linear(5, 3), (2, 5)),
        (lambda: nn.LazyConv2d(4, 3, groups=2), lambda: nn.Conv2d(6, 4, 3, groups=2), (2, 6, 4, 4)),
        (lambda: nn.LazyConv1d(4, 3), lambda: nn.Conv1d(6, 4, 3), (2, 6, 4)),
        (lambda: nn.LazyBatchNorm2d(), lambda: nn.BatchNorm2d(6), (2, 6, 4, 4)),
        (lambda: nn.LazyBatchNorm1d(affine=False), lambda: nn.BatchNorm1d(6, affine=False), (2, 6)),
    ],
)
def test_a_lazy_layer_takes_its_size_from_a_state_too(lazy, made, shape):
    peer, x = made(), tinynet.randn(shape)
    for model, kept in (
        (lazy(), peer),
        (nn.Sequential(nn.ReLU(), lazy()), nn.Sequential(nn.ReLU(), peer)),
    ):
        model.load_state_dict(kept.state_dict())
        np.testing.assert_array_equal(model(x).array, kept(x).array)
    with pytest.raises(tinynet.CheckpointError, match="nothing was loaded"):
        lazy().load_state_dict({})
