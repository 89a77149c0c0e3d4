"""What scripts name beside the usual: it has PyTorch's results, or says what is there instead."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from tinynet.utils.checkpoint import checkpoint

import tinynet
from tinynet import nn
from tinynet.nn import functional as F
from tinynet.nn.utils import prune
from tinynet.nn.utils.rnn import pad_sequence
from tinynet.optim import SGD, swa_utils
from tinynet.vision import models

torch = pytest.importorskip("torch")
torch_prune = pytest.importorskip("torch.nn.utils.prune")


def arrays(*shapes):
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


def close(ours, theirs):
    np.testing.assert_allclose(np.asarray(ours), theirs.detach().numpy(), rtol=1e-5, atol=1e-6)


def test_bilinear():
    ours, theirs = nn.Bilinear(3, 4, 5), torch.nn.Bilinear(3, 4, 5)
    assert repr(ours) == repr(theirs)
    theirs.load_state_dict({k: torch.as_tensor(v.array) for k, v in ours.state_dict().items()})
    x1, x2 = arrays((6, 2, 3), (6, 2, 4))
    y = ours(tinynet.tensor(x1), tinynet.tensor(x2))
    expected = theirs(torch.tensor(x1), torch.tensor(x2))
    close(y, expected)
    y.sum().backward()
    expected.sum().backward()
    close(ours.weight.grad, theirs.weight.grad)
    with pytest.raises(
        tinynet.ShapeError, match=r"do not fit the weight \(O, I, J\) = \(5, 3, 4\)"
    ):
        ours(tinynet.tensor(x2), tinynet.tensor(x1))


def test_channel_shuffle_and_pad_sequence():
    (x,) = arrays((2, 6, 3, 2))
    close(nn.ChannelShuffle(3)(tinynet.tensor(x)), torch.nn.ChannelShuffle(3)(torch.tensor(x)))
    with pytest.raises(tinynet.ShapeError, match="groups=4 must divide the channels"):
        F.channel_shuffle(x, 4)
    parts = arrays((4, 2), (1, 2), (3, 2))
    for settings in ({}, {"batch_first": True, "padding_value": 7.0}):
        theirs = torch.nn.utils.rnn.pad_sequence([torch.tensor(p) for p in parts], **settings)
        close(pad_sequence([tinynet.tensor(p) for p in parts], **settings), theirs)


def test_layers_take_pytorchs_name_of_their_input():
    x = tinynet.ones(2, 3)
    for layer in (nn.Linear(3, 1), nn.ReLU(), nn.Sequential(nn.Linear(3, 1)), nn.Softmax(1)):
        assert layer(input=x).tolist() == layer(x).tolist()


def test_lists_of_layers_fold_what_is_equal():
    def made(nn):
        same = [nn.Linear(2, 2) for _ in range(3)]
        nested = nn.Sequential(nn.ReLU(), nn.ReLU())
        return nn.ModuleList([*same, nn.ReLU(), nested, nn.Sequential(nn.ReLU(), nn.ReLU())])

    assert repr(made(nn)) == repr(made(torch.nn))
    assert repr(nn.ModuleList()) == repr(torch.nn.ModuleList())


# ----- pruning ------------------------------------------------------------------------------------


def test_pruned_weights_are_pytorchs():
    ours, theirs = nn.Linear(6, 4), torch.nn.Linear(6, 4)
    theirs.load_state_dict({k: torch.as_tensor(v.array) for k, v in ours.state_dict().items()})
    optimizer = SGD(ours.parameters(), lr=0.1)
    for amount in (0.3, 0.5, 2):
        prune.l1_unstructured(ours, "weight", amount)
        torch_prune.l1_unstructured(theirs, "weight", amount)
        close(ours.weight_mask, theirs.weight_mask)
        close(ours.weight, theirs.weight)
    assert sorted(ours.state_dict()) == sorted(theirs.state_dict())
    (x,) = arrays((5, 6))
    ours(tinynet.tensor(x)).sum().backward()
    theirs(torch.tensor(x)).sum().backward()
    close(ours.weight_orig.grad, theirs.weight_orig.grad)
    optimizer.step()
    assert prune.is_pruned(ours)
    prune.remove(ours, "weight")
    assert not prune.is_pruned(ours)
    assert [name for name, _ in ours.named_parameters()] == ["bias", "weight"]
    assert ours.weight is optimizer.param_groups[0]["params"][0]
    assert (ours.weight.array == 0).sum() == 17


def test_random_pruning_takes_as_many_as_are_asked_for():
    layer = prune.random_unstructured(nn.Conv2d(2, 3, 3), "weight", 0.5)
    assert (layer.weight.array == 0).sum() == 27
    assert layer(tinynet.ones(1, 2, 4, 4)).shape == (1, 3, 2, 2)
    with pytest.raises(ValueError, match="a number from 0 to 27 of what is not pruned yet, got 28"):
        prune.random_unstructured(layer, "weight", 28)
    with pytest.raises(ValueError, match="Conv2d has no parameter 'weigth'"):
        prune.l1_unstructured(layer, "weigth", 0.5)


METHODS = {
    "slices": lambda p, m: p.ln_structured(m, "weight", amount=0.5, n=2, dim=0),
    "slices of inputs": lambda p, m: p.ln_structured(m, "weight", 1, n=float("inf"), dim=1),
    "nothing yet": lambda p, m: p.identity(m, "weight"),
    "numbers": lambda p, m: p.L1Unstructured.apply(m, "weight", amount=5),
    "by other scores": lambda p, m: p.l1_unstructured(
        m, "weight", 5, importance_scores=2 - m.weight
    ),
    "several as one": lambda p, m: p.global_unstructured(
        [(m, "weight"), (m, "bias")], pruning_method=p.L1Unstructured, amount=0.4
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", METHODS)
def test_masks_are_pytorchs_and_so_are_those_of_a_second_round(name):
    ours, theirs = nn.Conv2d(4, 6, 3), torch.nn.Conv2d(4, 6, 3)
    theirs.load_state_dict({k: torch.as_tensor(v.array) for k, v in ours.state_dict().items()})
    for _ in range(2):
        METHODS[name](prune, ours)
        METHODS[name](torch_prune, theirs)
        close(ours.weight_mask, theirs.weight_mask)
        close(ours.weight, theirs.weight)
    assert sorted(ours.state_dict()) == sorted(theirs.state_dict())


def test_random_slices_and_a_way_to_prune_of_ones_own():
    layer = prune.random_structured(nn.Linear(4, 8), "weight", 0.5, dim=0)
    assert sorted(layer.weight_mask.sum(1).tolist()) == [0] * 4 + [4] * 4

    def third(module):
        class EveryThird(module.BasePruningMethod):
            PRUNING_TYPE = "unstructured"

            def compute_mask(self, t, default_mask):
                mask = default_mask.clone()
                mask.view(-1)[::3] = 0
                return mask

        return EveryThird

    ours, theirs = nn.Linear(4, 3), torch.nn.Linear(4, 3)
    for _ in range(2):
        third(prune).apply(ours, "weight")
        third(torch_prune).apply(theirs, "weight")
        close(ours.weight_mask, theirs.weight_mask)


def test_a_convolution_computes_its_weights_in_a_subclass():
    def made(n, mean):
        class Standardised(n.Conv2d):
            def forward(self, x):
                w = self.weight - mean(self.weight)
                return self._conv_forward(x, w, self.bias)

        return Standardised(2, 3, 3, padding=1, padding_mode="circular", stride=2)

    ours = made(nn, lambda w: w.mean(dim=(1, 2, 3), keepdim=True))
    theirs = made(torch.nn, lambda w: w.mean(dim=(1, 2, 3), keepdim=True))
    theirs.load_state_dict({k: torch.as_tensor(v.array) for k, v in ours.state_dict().items()})
    (x,) = arrays((2, 2, 5, 5))
    y, expected = ours(tinynet.tensor(x)), theirs(torch.tensor(x))
    close(y, expected)
    (y * y).sum().backward()
    (expected * expected).sum().backward()
    close(ours.weight.grad, theirs.weight.grad)


def test_files_of_before_batches_were_counted_load_strictly():
    for n, t in ((nn, tinynet), (torch.nn, torch)):
        model = n.BatchNorm2d(2)
        state = {k: t.ones(2) for k in model.state_dict() if k != "num_batches_tracked"}
        assert model.load_state_dict(state).missing_keys == []
        with pytest.raises(
            RuntimeError, match=r"(?s)Missing key\(s\) in state_dict.*bias"
        ) as error:
            model.load_state_dict({"weight": t.ones(2), "other": t.ones(2)})
        assert "Unexpected key(s) in state_dict" in str(error.value)


def test_an_optimizer_fills_in_what_older_files_lack():
    for optim, t in ((tinynet.optim, tinynet), (torch.optim, torch)):

        class Filled(optim.SGD):
            def __setstate__(self, state):
                super().__setstate__(state)
                for group in self.param_groups:
                    group.setdefault("extra", 3)

        optimizer = Filled([t.ones(1, requires_grad=True)], lr=0.1)
        optimizer.load_state_dict(optimizer.state_dict())
        assert optimizer.param_groups[0]["extra"] == 3


REPRS = """Hardshrink() Hardswish(True) Hardsigmoid(True) Mish(True) Softshrink() MaxPool1d(3,2,1)
LocalResponseNorm(2) Upsample(scale_factor=2) Upsample(scale_factor=(2,2),mode='bilinear')
Upsample(size=4) CosineSimilarity() PairwiseDistance() ParameterList([P(2,3),P(1)])
ParameterDict({'a':P(2),'b':P(2,3)}) Conv2d(2,2,3,groups=2,bias=False,padding_mode='reflect')"""


@pytest.mark.parametrize("layer", REPRS.split())
def test_layers_are_shown_as_pytorch_shows_them(layer):
    ours, theirs = (
        repr(eval(layer, {**{k: getattr(n, k) for k in [layer.split("(")[0]]},
                          "P": lambda *s, n=n, t=t: n.Parameter(t.ones(*s))}))
        for n, t in ((nn, tinynet), (torch.nn, torch))
    )  # fmt: skip
    assert ours.replace("tinynet.", "torch.") == theirs


# ----- averaged weights ---------------------------------------------------------------------------


def peers():
    ours = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    theirs.load_state_dict({k: torch.as_tensor(v.array) for k, v in ours.state_dict().items()})
    return ours, theirs


@pytest.mark.parametrize("kind", ["mean", "avg_fn", "multi_avg_fn", "buffers"])
def test_averaged_models_have_pytorchs_weights(kind):
    settings = {"use_buffers": True} if kind == "buffers" else {}
    theirs_too = dict(settings)
    if kind.endswith("avg_fn"):
        settings[kind] = getattr(swa_utils, f"get_ema_{kind}")(0.9)
        theirs_too[kind] = getattr(torch.optim.swa_utils, f"get_ema_{kind}")(0.9)
    model, peer = peers()
    ours = swa_utils.AveragedModel(model, **settings)
    theirs = torch.optim.swa_utils.AveragedModel(peer, **theirs_too)
    batches = arrays((8, 3), (8, 3), (8, 3))
    for k, x in enumerate(batches):
        for ps, make in ((model.parameters(), tinynet), (peer.parameters(), torch)):
            with make.no_grad():
                for p in ps:
                    p += k
        model(tinynet.tensor(x))
        peer(torch.tensor(x))
        ours.update_parameters(model)
        theirs.update_parameters(peer)
    swa_utils.update_bn([tinynet.tensor(x) for x in batches], ours)
    torch.optim.swa_utils.update_bn([torch.tensor(x) for x in batches], theirs)
    assert sorted(ours.state_dict()) == sorted(theirs.state_dict())
    for name, value in theirs.state_dict().items():
        close(ours.state_dict()[name], value)
    assert ours.module[1].momentum == 0.1


@pytest.mark.parametrize("strategy", ["cos", "linear"])
def test_the_rate_goes_from_where_it_is_to_that_of_the_average(strategy):
    rates = []
    for optim, parameter in (
        (tinynet.optim, nn.Parameter([1.0])),
        (torch.optim, torch.nn.Parameter(torch.ones(1))),
    ):
        optimizer = optim.SGD([parameter], lr=1.0)
        usual = optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        averaging = optim.swa_utils.SWALR(optimizer, 0.05, 4, strategy)
        seen = []
        for epoch in range(9):
            optimizer.step()
            (usual if epoch < 2 else averaging).step()
            seen.append(optimizer.param_groups[0]["lr"])
        rates.append(seen)
    np.testing.assert_allclose(*rates, rtol=1e-9)


# ----- what has no effect, or is not there --------------------------------------------------------


def test_checkpoints_compute_the_function():
    x = tinynet.ones(2, requires_grad=True)
    checkpoint(lambda a, b: a * b, x, 3.0, use_reentrant=False).sum().backward()
    assert x.grad.tolist() == [3, 3]


def test_mixed_precision_is_found_under_its_old_name():
    from tinynet.cuda.amp import GradScaler, autocast

    assert GradScaler is tinynet.amp.GradScaler
    assert autocast is tinynet.amp.autocast
    assert not importlib.import_module("tinynet.cuda").is_available()
    assert not tinynet.cuda.is_available()


IMPORTED = [
    ("autograd.function", "once_differentiable"), ("nn.modules.batchnorm", "_BatchNorm"),
    ("nn.modules.conv", "_ConvNd"), ("nn.modules.loss", "_Loss"), ("nn.modules.module", "Module"),
    ("distributed", "is_available"), ("nn.parallel", "DistributedDataParallel"),
    ("utils.data.distributed", "DistributedSampler"), ("multiprocessing", "spawn"),
    ("utils.data._utils.collate", "default_collate"), ("utils.model_zoo", "load_url"),
    ("hub", "load_state_dict_from_url"), ("optim.optimizer", "required"), ("profiler", "profile"),
    ("types", "Device"), ("nn.utils.rnn", "pack_padded_sequence"), ("nn.utils", "parametrize"),
    ("nn.utils", "get_total_norm"), ("random", "get_rng_state"), ("nn.init", "sparse_"),
    ("backends.cudnn", "version"), ("utils.checkpoint", "checkpoint"), ("autograd", "profiler"),
]  # fmt: skip


@pytest.mark.parametrize(("module", "name"), IMPORTED)
def test_what_scripts_import_is_there(module, name):
    for library in ("torch", "tinynet"):
        exec(f"from {library}.{module} import {name}")


@pytest.mark.parametrize(
    ("module", "name", "words"),
    [
        ("hub", "load_state_dict_from_url", "hub.load_state_dict_from_url: weights come from"),
        ("profiler", "profile", "profiler.profile: use cProfile"),
        ("nn.utils.rnn", "pack_padded_sequence", "there are no recurrent nets"),
        ("multiprocessing", "spawn", "share out their work among threads"),
        ("vision.ops", "nms", "layers are in nn"),
        ("vision.models", "ResNet18_Weights", "weights come from files"),
    ],
)
def test_what_is_imported_and_not_there_says_so_when_it_is_used(module, name, words):
    stand_in = getattr(importlib.import_module(f"tinynet.{module}"), name)
    with pytest.raises(NotImplementedError, match=words):
        stand_in(1)
    with pytest.raises(NotImplementedError, match=r"has no .*CPU"):
        stand_in.CPU()


def test_bases_of_layers_are_pytorchs():
    for library in (torch.nn, nn):
        homes = library.modules
        assert isinstance(library.BatchNorm1d(2), homes.batchnorm._BatchNorm)
        assert not isinstance(library.InstanceNorm2d(2), homes.batchnorm._BatchNorm)
        assert isinstance(library.Conv2d(1, 1, 1), homes.conv._ConvNd)
        assert issubclass(homes.loss._Loss, library.Module)
        assert homes.loss._Loss(reduction="sum").reduction == "sum"


NAMES = {
    "ger": lambda lib: lib.ger(lib.ones(2), lib.ones(3)),
    "logdet": lambda lib: lib.logdet(lib.eye(3) * 2),
    "matrix_power": lambda lib: lib.matrix_power(lib.tensor([[1.0, 2.0], [3.0, 4.0]]), 3),
    "multi_dot": lambda lib: lib.linalg.multi_dot([lib.ones(2, 3), lib.ones(3, 4), lib.ones(4)]),
    "pinverse": lambda lib: lib.pinverse(lib.ones(3, 2)),
    "copysign": lambda lib: lib.copysign(lib.ones(3), lib.tensor([-1.0, 0.0, 2.0])),
    "left": lambda lib: lib.tensor([1, 5]) << 2,
    "right": lambda lib: lib.bitwise_right_shift(lib.tensor([9, 5]), 1),
    "layout": lambda lib: lib.tensor([lib.ones(1).layout == lib.strided, lib.ones(1).is_sparse]),
    "sizes": lambda lib: lib.tensor([lib.ones(3).nbytes, lib.ones(3).get_device()]),
}


@pytest.mark.parametrize("name", NAMES)
def test_names_that_are_a_row(name):
    ours, theirs = NAMES[name](tinynet), NAMES[name](torch)
    assert str(ours.dtype) == str(theirs.dtype).removeprefix("torch.")
    np.testing.assert_allclose(np.asarray(ours), theirs.numpy(), rtol=1e-5, atol=1e-6)
    assert ours.shape == theirs.shape


@pytest.mark.parametrize("kind", [1, -1, 2, -2, float("inf"), "nuc", "fro"])
def test_norms_of_matrices(kind):
    ours, theirs = (lib.linalg.norm(lib.ones(2, 3).cumsum(1), kind) for lib in (tinynet, torch))
    close(ours, theirs)


def test_dtypes_that_meet():
    for pair in (("int64", "float32"), ("uint8", "int8"), ("float32", "float64")):
        ours, theirs = (
            lib.promote_types(*(getattr(lib, n) for n in pair)) for lib in (tinynet, torch)
        )
        assert str(ours) == str(theirs).removeprefix("torch.")
    for lib in (tinynet, torch):
        assert lib.result_type(lib.ones(1), 1) == lib.float32
        assert lib.result_type(lib.arange(2), 1.5) == lib.float32


def test_half_precision_has_names_and_no_tensors():
    x = tinynet.ones(2)
    assert x.dtype not in (tinynet.float16, tinynet.half, tinynet.bfloat16)
    with tinynet.autocast("cpu", dtype=tinynet.bfloat16):
        assert (x * 2).dtype == tinynet.float32
    for dtype in (tinynet.float16, tinynet.bfloat16):
        for make in (tinynet.zeros, tinynet.randn, lambda n, dtype: x.to(dtype)):
            with pytest.raises(TypeError, match="is not supported; tensors are float32, float64"):
                make(2, dtype=dtype)


def test_absent_devices_answer_as_pytorchs_do():
    for library in (torch, tinynet):
        assert library.cuda.memory_allocated() == library.cuda.max_memory_reserved() == 0
        assert not library.cuda.is_bf16_supported()
        assert library.backends.cudnn.version() is None
        with library.backends.cudnn.flags(enabled=False):
            pass


def test_a_setting_that_is_required():
    for library in (torch, tinynet):
        required = importlib.import_module(f"{library.__name__}.optim.optimizer").required
        assert repr(required) == "<required parameter>"
        w = library.ones(1, requires_grad=True)
        library.optim.Optimizer([{"params": [w], "lr": 1}], {"lr": required})
        with pytest.raises(ValueError, match="lr"):
            library.optim.Optimizer([w], {"lr": required})


def test_norms_of_tensors_together():
    given = arrays((3, 2), (4,))
    for p in (1.0, 2.0, float("inf")):
        ours = nn.utils.get_total_norm([tinynet.tensor(x) for x in given], p)
        close(ours, torch.nn.utils.get_total_norm([torch.tensor(x) for x in given], p))
    with pytest.raises(RuntimeError, match="the norm of the 1 tensors is nan"):
        nn.utils.get_total_norm([tinynet.tensor([np.nan])], error_if_nonfinite=True)


def test_sparse_weights_have_zeros_in_each_column():
    for library in (torch, tinynet):
        w = library.nn.init.sparse_(library.empty(10, 4), sparsity=0.25, std=0.1)
        assert (w == 0).sum(0).tolist() == [3] * 4


@pytest.mark.parametrize("drop_last", [False, True])
def test_the_examples_of_each_process_are_pytorchs(drop_last):
    for n, rank in ((10, 0), (11, 3), (3, 1)):
        rows = []
        for library in (torch, tinynet):
            kind = library.utils.data.DistributedSampler
            sampler = kind(range(n), 4, rank, False, drop_last=drop_last)
            rows.append([*sampler, len(sampler)])
        assert rows[0] == rows[1]
    shuffled = tinynet.utils.data.DistributedSampler(range(50))
    first = [*shuffled]
    shuffled.set_epoch(1)
    assert sorted(first) == sorted(shuffled) == [*range(50)]
    assert first != [*shuffled]


@pytest.mark.parametrize(
    ("module", "name", "words"),
    [
        ("nn.functional", "scaled_dot_product_attention", "has no attention"),
        ("nn.functional", "max_pol2d", "did you mean 'max_pool2d'"),
        ("nn", "MultiheadAttention", "has no attention"),
        ("nn.utils", "clip_grad_norm_s", "did you mean 'clip_grad_norm_'"),
        ("utils", "cpp_extension", "it has checkpoint, data, tensorboard"),
        ("vision", "io", "it has datasets, models, transforms, utils"),
        ("vision.transforms", "AutoAugment", "ColorJitter"),
        ("vision.models", "vit_b_16", "resnet18"),
    ],
)
def test_what_is_not_there_names_what_is(module, name, words):
    with pytest.raises(AttributeError, match=words):
        getattr(importlib.import_module(f"tinynet.{module}"), name)


def test_tensorboard_says_where_curves_are():
    from tinynet.utils.tensorboard import SummaryWriter

    with pytest.raises(NotImplementedError, match=r"training\.fit returns a history"):
        SummaryWriter("runs")


# ----- what scripts of strangers stumbled over ----------------------------------------------------


def overwritten_diagonal(torch):
    x = torch.ones(2, 3, 4)
    x[0].diagonal().zero_()
    x.diagonal(1, -2, -1).mul_(5)
    x.diagonal(-1, 1, 2).add_(7)
    return x


def recorded_diagonal(torch):
    x = torch.ones(3, 3, requires_grad=True)
    torch.diagonal(x * 2).add_(-1).pow_(2).sum().backward()
    return x.grad


def frozen_parameters(torch):
    learns, frozen = torch.ones(2, requires_grad=True), torch.ones(2)
    optimizer = torch.optim.SGD([frozen, learns], 0.5, momentum=0.9)
    learns.sum().backward()
    optimizer.step()
    return torch.stack([frozen, learns.detach()])


def subset_in_another_order(torch):
    part = torch.utils.data.random_split(torch.utils.data.TensorDataset(torch.arange(6.0)), [4, 2])
    part[0].indices = [3, 1, 2, 0]
    return next(iter(torch.utils.data.DataLoader(part[0], 4)))[0]


def keys_of_groups(torch):
    group = {"params": [torch.ones(1, requires_grad=True)], "weight_decay": 0.5, "place": 3}
    group = torch.optim.Rprop([group]).param_groups[0]
    return torch.tensor([group["weight_decay"], group["place"]])


def layers_in_a_list_and_added(torch):
    model = torch.nn.Module()
    model.heads = [torch.nn.Linear(3, 3) for _ in range(2)]
    for i, head in enumerate(model.heads):
        model.add_module(f"head_{i}", head)
    return torch.tensor([len(list(model.parameters()))])


def rates_of_one_cycle(torch):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.1, momentum=0.9)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=6)
    rates = []
    for _ in range(6):
        optimizer.step()
        schedule.step()
        rates += schedule.get_last_lr()
    with pytest.raises(ValueError, match="7 times"):
        schedule.step()
    return torch.tensor(rates)


def rests(torch):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.1)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, cooldown=2)
    resting = []
    for _ in range(6):
        schedule.step(1.0)
        resting.append(schedule.in_cooldown)
    return torch.tensor(resting)


@pytest.mark.parametrize(
    "script",
    [
        overwritten_diagonal, recorded_diagonal, frozen_parameters, subset_in_another_order,
        keys_of_groups, layers_in_a_list_and_added, rates_of_one_cycle, rests,
        lambda torch: torch.nanmean(torch.tensor([1.0, float("nan"), 4.0])),
    ],
)  # fmt: skip
def test_scripts_mean_the_same(script):
    ours, theirs = script(tinynet), script(torch)
    close(ours, theirs)
    assert ours.type() == theirs.type()


@pytest.mark.parametrize(
    "shown",
    [
        lambda torch: torch.zeros(3).nonzero(as_tuple=True),
        lambda torch: torch.ones(2).sort(),
        lambda torch: torch.nn.Linear(1, 1).load_state_dict({}, strict=False),
    ],
)
def test_texts_are_pytorchs(shown):
    text = repr(shown(torch))
    assert repr(shown(tinynet)).replace("tinynet.", "torch.") == text


RESNET = "conv1, bn1, relu, maxpool, layer1, layer2, layer3, layer4, avgpool, fc"


@pytest.mark.parametrize(
    ("name", "children"), [("resnet18", RESNET), ("vgg11_bn", "features, avgpool, classifier")]
)
def test_the_children_of_a_net_are_torchvisions(name, children):
    net = getattr(models, name)(num_classes=2)
    assert ", ".join(name for name, _ in net.named_children()) == children


def masked_by_bytes(lib):
    x = lib.tensor([1.0, -2.0, 3.0])
    y = x.clone()
    y[(x > 0).byte().bool()] = 0
    return x[(x > 0).byte()], x[lib.ByteTensor([1, 0, 1])], y


def typed_by_name(lib):
    x = lib.ones(2)
    p = lib.nn.Parameter(lib.ones(2)).type(lib.Tensor).detach()
    return p, x.type("torch.DoubleTensor"), x.long().type(lib.Tensor), x.double().type(x.type())


def of_a_shape(lib):
    y = lib.ones(2, 3)
    return (
        lib.Tensor(y.shape).zero_(),
        y.new(y.shape).fill_(2),
        y.clone().put_(lib.tensor([1, 4]), lib.tensor([[8.0], [9.0]]), accumulate=True),
    )


def clamped_in_the_closure(lib):
    x = lib.tensor([0.9, 0.2, 0.5], requires_grad=True)
    t, optimizer = lib.tensor([1.5, -0.3, 0.4]), lib.optim.LBFGS([x])

    def closure():
        with lib.no_grad():
            x.clamp_(0, 1)
        optimizer.zero_grad()
        loss = ((x - t) ** 4).sum() + (x[0] * x[1] - 0.3) ** 2
        loss.backward()
        return loss

    losses = [optimizer.step(closure) for _ in range(3)]
    return x.detach(), *(loss.detach() for loss in losses)


def at_least_so_many_axes(lib):
    x, y = lib.tensor(1.0), lib.ones(2, 3)
    several = *lib.atleast_1d(x, y), *lib.atleast_1d()
    return lib.atleast_2d(x), lib.atleast_3d(y), *several, *lib.atleast_2d([x, y])


def taken_by_a_tensor(lib):
    x, one, two = lib.zeros(3, 3), lib.tensor(1), lib.tensor(2)
    x[one][0] = 5
    x[two, 1:].add_(2)
    part = x[one, two]
    part += 7
    return x, part


def averaged_states(lib):
    state = lib.nn.BatchNorm2d(2).state_dict()
    state["num_batches_tracked"] += 5
    net = lib.nn.BatchNorm2d(2)
    net.load_state_dict({name: value / 2 for name, value in state.items()})
    return tuple(net.state_dict().values())


def of_ones_own_start(lib):
    class Zero(lib.nn.BatchNorm2d):
        def reset_parameters(self):
            super().reset_parameters()
            lib.nn.init.zeros_(self.weight)

    class Twos(lib.nn.Linear):
        def reset_parameters(self):
            lib.nn.init.constant_(self.weight, 2.0)
            lib.nn.init.zeros_(self.bias)

    class Halves(lib.nn.Embedding):
        def reset_parameters(self):
            lib.nn.init.constant_(self.weight, 0.5)

    class Thirds(lib.nn.Conv2d):
        def reset_parameters(self):
            lib.nn.init.constant_(self.weight, 1 / 3)

    slope = lib.nn.PReLU(2, init=0.3)
    lib.nn.init.zeros_(slope.weight)
    slope.reset_parameters()
    made = Zero(2), Twos(2, 1), Halves(2, 3), Thirds(1, 2, 3, bias=False), slope
    return tuple(p.detach() for layer in made for p in layer.parameters())


@pytest.mark.filterwarnings("ignore:indexing with dtype torch.uint8")
@pytest.mark.parametrize(
    "made",
    [
        masked_by_bytes, at_least_so_many_axes, typed_by_name, of_a_shape, clamped_in_the_closure,
        averaged_states, of_ones_own_start, taken_by_a_tensor,
    ],
)  # fmt: skip
def test_idioms_mean_the_same(made):
    for ours, theirs in zip(made(tinynet), made(torch), strict=True):
        assert ours.dtype.name == str(theirs.dtype).removeprefix("torch.")
        assert ours.shape == tuple(theirs.shape)
        close(ours, theirs)


def test_hooks_find_every_relu_of_a_residual_net():
    net = models.ResNet(models.resnet.Bottleneck, [1, 2, 1, 1], num_classes=3).eval()
    assert [name for name, _ in net.layer2[0].named_children()] == [
        "conv1", "bn1", "conv2", "bn2", "conv3", "bn3", "relu", "downsample",
    ]  # fmt: skip
    seen = []
    for layer in net.modules():
        if isinstance(layer, nn.ReLU):
            layer.register_forward_hook(lambda layer, x, y: seen.append(y.shape))
    net(tinynet.ones(1, 3, 32, 32))
    assert seen[:4] == [(1, 64, 16, 16), (1, 64, 8, 8), (1, 64, 8, 8), (1, 256, 8, 8)]
    assert len(seen) == 1 + 5 * 3


def test_several_models_are_called_as_one():
    models = [nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).eval() for _ in range(4)]
    parameters, buffers = tinynet.func.stack_module_state(models)
    assert parameters["0.weight"].shape == (4, 3, 2)
    assert buffers["1.num_batches_tracked"].shape == (4,)
    assert all(p.requires_grad and p.is_leaf for p in parameters.values())
    x = tinynet.tensor(arrays((5, 2))[0])

    def call(p, b, x):
        return tinynet.func.functional_call(models[0], (p, b), (x,))

    y = tinynet.func.vmap(call, in_dims=(0, 0, None))(parameters, buffers, x)
    for one, model in zip(y, models):
        close(one.detach(), torch.tensor(model(x).numpy()))
    with pytest.raises(RuntimeError, match=r"models of one class, got \['Linear', 'ReLU'\]"):
        tinynet.func.stack_module_state([nn.Linear(1, 1), nn.ReLU()])


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta"])
def test_the_settings_of_a_group_begin_with_its_own(name):
    groups = []
    for lib in (tinynet, torch):
        optimizer = getattr(lib.optim, name)([lib.nn.Parameter(lib.ones(1))], lr=0.1)
        saved = list(optimizer.state_dict()["param_groups"][0])
        groups.append((next(iter(optimizer.param_groups[0])), saved[0], saved[-1]))
    assert groups == [("params", "lr", "params")] * 2


def test_parts_and_sums_of_a_shape_are_shapes():
    def told(lib):
        shape = lib.ones(2, 3, 4).shape
        five = (5,)
        parts = [shape[1:], shape[:0], shape + five, five + shape, shape + shape, shape * 2]
        return [(isinstance(x, lib.Size), tuple(x), x.numel()) for x in parts], shape[1], shape[-1]

    assert told(tinynet) == told(torch)
