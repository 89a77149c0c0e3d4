"""The doctor: each mistake is found and told with its cure, a healthy training passes, and nothing
that was looked at is changed."""

from __future__ import annotations

import copy
import json
import random
import re
import threading
from pathlib import Path

import numpy as np
import pytest

import tinynet
from tests.long.doctor_sixth import HEALTHY, MISTAKES
from tests.long.doctor_table import blobs, mlp
from tinynet import data, models, nn, optim
from tinynet.cli import main
from tinynet.nn import functional as F
from tinynet.teaching.catalogue import CATALOGUE
from tinynet.training import make_optimizer, usual_shape
from tinynet.utils import data as torch_data

N, C = 16, 3


@pytest.fixture(autouse=True)
def _seeded():
    tinynet.manual_seed(0)


def net(*last):
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, C), *last)


def cnn():
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, C)
    )


def flat():
    return nn.Sequential(nn.Flatten(), nn.Linear(32, C))


def batch(change=lambda x, t: None):
    """change: gives other (x, target), or None where it writes into them."""
    x, t = tinynet.randn(N, 4), tinynet.randint(0, C, (N,))
    return change(x, t) or (x, t)


def images(change=lambda x, t: None):
    x, t = tinynet.randn(N, 2, 4, 4), tinynet.randint(0, C, (N,))
    return change(x, t) or (x, t)


def sgd(model, lr=0.05):
    return optim.SGD(model.parameters(), lr=lr, momentum=0.9)


# ----- every finding ------------------------------------------------------------------------------


def wrong_size():
    return nn.Sequential(nn.Linear(4, 8), nn.Linear(9, C))


class Unused(nn.Module):
    def __init__(self):
        super().__init__()
        self.used = nn.Linear(4, C)
        self.forgotten = nn.Linear(4, 4)

    def forward(self, x):
        return self.used(x)


class Cut(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(4, 8)
        self.head = nn.Linear(8, C)

    def forward(self, x):
        return self.head(self.body(x).detach())


class Rounded(nn.Module):
    def forward(self, x):
        return x.round()


def stepping(model, optimizer, forget):
    def step(x, target):
        loss = F.cross_entropy(model(x), target)
        if forget != "zero_grad":
            optimizer.zero_grad()
        loss.backward()
        if forget != "step":
            optimizer.step()

    return step


def changed(model, change):
    change(model)
    return model


def forgetting(what):
    """A step of one's own in which something is forgotten."""

    def others(model):
        optimizer = sgd(model)
        return {"optimizer": optimizer, "step": stepping(model, optimizer, what)}

    return others


def two_layers(between):
    return nn.Sequential(nn.Linear(4, 8), between, nn.Tanh(), nn.Linear(8, C))


def bytes_of(x):
    return (x.array * 40 + 128).clip(0, 255)


# Rows: the finding, words of its evidence and of its cure; a minimal example of the mistake: the
# model, the batch, and further arguments, each as a function.
BROKEN = [
    # inputs
    ("forward-fails", "dtype int64, it takes floats; convert with x.float()", "the message", net,
     lambda: batch(lambda x, t: ((x * 3).astype(tinynet.int64), t))),
    ("forward-fails", "dtype uint8, it takes floats", "the message", cnn,
     lambda: images(lambda x, t: (bytes_of(x).astype(np.uint8), t))),
    ("inputs-not-finite", "1 of 64 input values", "find where they come from", net,
     lambda: batch(lambda x, t: np.put(x.array, 22, np.nan))),
    ("inputs-not-scaled", "mean 127 and standard deviation 40", "data.standardize(train)", flat,
     lambda: images(lambda x, t: ((x * 40 + 128).clip(0, 255), t))),
    ("inputs-not-scaled", "divided by 255 twice?", "(x - ", cnn,
     lambda: images(lambda x, t: (x * 0.001, t))),
    ("forward-fails", "Channels come second: `x.permute(0, 3, 1, 2)`", "the message", cnn,
     lambda: images(lambda x, t: (x.permute(0, 2, 3, 1), t))),
    ("forward-fails", "Add the axis of the channel: `x[:, None]`", "the message",
     lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, C)),
     lambda: images(lambda x, t: (x[:, 0], t))),
    ("inputs-constant", "all 16 examples are constant", "scaling that wipes everything", cnn,
     lambda: images(lambda x, t: x.array.fill(0.5))),
    ("inputs-duplicated", "only 8 of the 16 examples differ", "how the batch is drawn", cnn,
     lambda: images(lambda x, t: (x[[*range(8)] * 2], t[[*range(8)] * 2]))),
    # targets
    ("loss-fails", "16 examples, but 15 labels", "the message", net,
     lambda: batch(lambda x, t: (x, t[:-1]))),
    ("loss-fails", "labels that start at 1 need `target - 1`", "the message", net,
     lambda: batch(lambda x, t: (x, t + 1))),
    ("loss-fails", "label -1 is out of range", "the message", net,
     lambda: batch(lambda x, t: np.put(t.array, 3, -1))),
    ("loss-fails", "Use at least 8 outputs in the last layer", "the message", net,
     lambda: batch(lambda x, t: np.put(t.array, 3, C + 4))),
    ("one-class-in-the-batch", "all 16 labels of the batch are 2", "shuffle=True", net,
     lambda: batch(lambda x, t: t.array.fill(2))),
    ("loss-fails", "labels must be integers, got float32", "the message", net,
     lambda: batch(lambda x, t: (x, t.float()))),
    # the model
    ("weights-not-finite", "infinity in 2.weight", "build the model anew",
     lambda: changed(net(), lambda m: np.put(m[2].weight.array, 0, np.inf)), batch,
     lambda m: {"optimizer": sgd(m)}),
    ("nothing-to-train", "4 of 4 parameters do not require a gradient", "requires_grad_()",
     lambda: changed(net(), lambda m: m.requires_grad_(False)), batch),
    ("evaluation-mode", "3 (Dropout)", "model.train()", lambda: net(nn.Dropout(0.5)).eval(), batch),
    ("evaluation-mode", "1 (BatchNorm2d)", "model.train()",
     lambda: changed(cnn(), lambda m: m[1].eval()), images),
    ("dropout-too-strong", "p is 1 in dropout in 1 (Dropout)", "p=0.5",
     lambda: two_layers(nn.Dropout(1.0)), batch),
    ("dropout-on-the-scores", "dropout in 3 (Dropout) comes last", "before the last linear",
     lambda: net(nn.Dropout(0.5)), batch),
    ("forward-fails", "in_features", "is the batch (inputs, targets)?", net,
     lambda: batch(lambda x, t: (t, x))),
    ("nothing-nonlinear-between", "linear in 0 (Linear) and linear in 1 (Linear)", "nn.ReLU()",
     lambda: nn.Sequential(nn.Linear(4, 8), nn.Linear(8, C)), batch),
    ("batch-norm-with-batch-of-1", "has 1 example, and 1 (BatchNorm", "drop_last=True", cnn,
     lambda: images(lambda x, t: (x[:1], t[:1]))),
    ("batch-norm-with-batch-of-1", "has 1 example, and 1 (BatchNorm", "nn.LayerNorm",
     lambda: two_layers(nn.BatchNorm1d(8)), lambda: batch(lambda x, t: (x[:1], t[:1]))),
    # forward, loss, gradients
    ("forward-fails", "Use in_features=8", "the message says", wrong_size, batch),
    ("loss-fails", "the loss raises ShapeError: mse_loss", "for class labels the loss is", net,
     batch, lambda m: {"loss": F.mse_loss}),
    ("loss-fails", "the loss raises ZeroDivisionError", "the message says",
     lambda: nn.Linear(4, 1), lambda: (tinynet.randn(N, 4), tinynet.randn(N, 1)),
     lambda m: {"loss": lambda y, t: 1 / 0}),
    ("loss-not-a-number", "shape (16,)", "loss.mean()", net, batch,
     lambda m: {"loss": lambda y, t: F.cross_entropy(y, t, reduction="none")}),
    ("loss-depends-on-nothing", "depends on no parameter", ".detach()", net, batch,
     lambda m: {"loss": lambda y, t: F.cross_entropy(y.detach(), t)}),
    ("no-gradient", "forgotten.weight, forgotten.bias: their layers do not run", "layer not used",
     Unused, batch),
    ("no-gradient", "body.weight, body.bias, although their layers run", ".detach()", Cut, batch),
    ("dead-relu", "8 of 8 units in 1 (ReLU)", "nn.LeakyReLU",
     lambda: changed(net(), lambda m: m[0].bias.array.fill(-100)), batch),
    ("zero-gradient", "0.weight, 0.bias", "weights that are all 0",
     lambda: two_layers(Rounded()), batch),
    ("saturated-units", "100% of the numbers in tanh in 1 (Tanh)", "reset_parameters()",
     lambda: changed(two_layers(nn.Tanh()), lambda m: m[0].bias.array.fill(1e3)), batch),
    ("nll-loss-of-scores", "takes log-probabilities", "log_softmax before it", net, batch,
     lambda m: {"loss": F.nll_loss}),
    ("scores-out-of-reach", "made by 3 (Softmax)", "leave the softmax out",
     lambda: net(nn.Softmax(1)), batch),
    ("scores-out-of-reach", "come out of relu, made by 3 (ReLU)", "last linear layer",
     lambda: net(nn.ReLU()), batch),
    ("loss-not-finite", "the loss of this batch is -inf", "detect_anomaly", net, batch,
     lambda m: {"loss": lambda y, t: F.cross_entropy(y, t) + (y.sum() * 0).exp().log().log()}),
    ("first-loss-too-high", "the same answer for all gives 1.1", "make the initial weights smaller",
     lambda: changed(net(), lambda m: m[2].weight.array.__imul__(200)), batch),
    # the optimizer and the step
    ("optimizer-and-model-differ", "2 of 4 parameters are not in the optimizer",
     "model.parameters()", net, batch, lambda m: {"optimizer": sgd(m[0])}),
    ("optimizer-and-model-differ", "4 tensors in it", "after the model", net, batch,
     lambda m: {"optimizer": sgd(net())}),
    ("optimizer-and-model-differ",
     "2 tensors in it are not of this model",
     "model.parameters() alone", net, batch,
     lambda m: {"optimizer": optim.SGD([*m.parameters(), *nn.Linear(3, 3).parameters()], lr=0.1)}),
    ("forgotten-zero-grad", "adds its gradient to what the first one left", "optimizer.zero_grad()",
     net, batch, forgetting("zero_grad")),
    ("step-changes-nothing", "was not called in", "optimizer.step()", net, batch,
     forgetting("step")),
    ("learning-rate-zero", "the learning rate is 0", "lr", net, batch,
     lambda m: {"optimizer": optim.SGD(m.parameters(), lr=0)}),
    ("learning-rate-too-high", "the loss goes at lr=1000 from", "smaller rate: lr=", net, batch,
     lambda m: {"optimizer": sgd(m, 1000)}),
    ("learning-rate-too-low", "the loss goes at lr=1e-07 from", "larger learning rate: lr=", net,
     batch, lambda m: {"optimizer": sgd(m, 1e-7)}),
]  # fmt: skip


# Findings, and trainings of the tables in `tests.long` in which they are all that is wrong.
TABLED = {
    "labels-sorted": "labels_sorted",
    "targets-sorted": "sorted_targets_of_a_regression",
    "loss-beyond-its-part":
        "a_penalty_larger_than_the_loss entropy_that_counts_for_more_than_the_labels",
    "evaluation-far-from-training":
        "batch_norm_that_remembers_nothing batch_norm_with_momentum_0 "
        "batch_norm_that_forgets_all_but_a_thousandth",
    "targets-turned": "images_flipped_and_not_their_masks masks_of_the_example_before",
    "targets-in-another-order": "labels_of_the_next_example",
    "padding-in-the-loss": "padding_that_counts padding_behind_words_moved_by_one",
    "inputs-not-finite": "nan_in_a_table",
    "validation-unlike-training":
        "validated_on_pixels validated_on_bytes validated_on_shares_of_one "
        "validated_on_labels_from_1 validated_on_larger_images "
        "validation_labels_in_another_order validation_of_one_class validation_of_the_last_classes",
    "step-ignores-its-batch":
        "inputs_from_outside_the_step targets_from_outside_the_step "
        "the_last_part_of_a_batch_alone",
    "loss-is-maximized": "steps_by_hand_uphill maximize",
    "step-changes-nothing": "steps_by_hand_into_other_tensors",
    "forgotten-zero-grad": "steps_by_hand_accumulated two_optimizers_of_which_one_is_never_zeroed",
    "learning-rate-too-high": "steps_by_hand_too_large",
    "step-without-gradient":
        "a_new_model_in_every_step no_backward zero_grad_before_step step_before_backward "
        "a_forger_that_learns_nothing",
    "probabilities-without-log": "kl_div_of_probabilities",
    "learning-rate-too-low": "loss_times_1e_5",
    "zero-gradient": "softmax_of_one_output layer_norm_over_one_number",
    "forward-fails": "forward_without_return",
    "step-does-not-learn": "rate_doubled_each_step",
    "weights-all-equal": "constant_weights all_zero_weights",
    "classes-imbalanced": "imbalance four_percent_of_ones",
    "targets-exchangeable":
        "differences_summed_before_squaring",
    "loss-without-a-lower-bound": "penalty_with_the_wrong_sign negated_loss "
        "differences_neither_squared_nor_absolute",
    "loss-with-the-wrong-sign":
        "focal_loss_of_p_in_place_of_1_minus_p similarity_in_place_of_its_loss",
    "nothing-nonlinear-between": "leaky_relu_of_slope_1 the_result_of_relu_is_left_aside",
    "scores-out-of-reach":
        "scores_clamped_to_0_1 tanh_before_the_loss_of_logits cosines_without_a_factor "
        "sigmoid_before_logits_loss",
    "momentum-too-high": "momentum_of_1 nesterov_with_momentum_0999",
    "class-left-out":
        "class_0_is_ignored a_class_with_weight_0 hinge_of_0_and_1 "
        "one_of_two_classes_of_pixels_ignored",
    "axes-mixed":
        "scores_reshaped_where_they_should_be_transposed pixels_reshaped_by_class "
        "attention_whose_queries_compete",
    "eps-too-large": "adam_with_eps_of_1",
    "learning-rate-falls-too-fast":
        "a_rate_that_adagrad_lets_fall_at_once a_tenth_less_each_batch "
        "rate_divided_by_ten_each_step",
    "examples-left-out": "loss_of_the_first_eight_examples",
    "loss-fails": "labels_that_are_text",
    "gradients-thrown-away":
        "zero_grad_at_the_head_of_every_micro_batch zero_grad_between_two_losses",
    "targets-broadcast": "scores_against_a_column mse_of_a_column_and_a_row",
    "weight-decay-too-large":
        "a_penalty_in_the_step decay_05_mlp parameters_overwritten_by_the_step",
    "inputs-and-targets-unrelated": "inputs_shuffled_in_the_step labels_of_other_images",
    "summed-loss": "sixteen_batches_added_up summed_loss",
    "learning-rate-zero": "a_warm_up_in_whole_thousands",
    "dropout-too-strong": "images_dropped_whole",
    "targets-out-of-reach":
        "batch_norm_at_the_end sigmoid_for_a_regression_beyond_1 "
        "shares_along_the_rows_of_an_image",
    "step-fails": "losses_of_all_steps_added_up step_within_no_grad",
    "class-weights-inverted":
        "class_weights_inverted positive_weight_inverted the_ground_weighs_more_than_the_object",
    "column-constant": "constant_column a_channel_that_is_always_0",
    "gradients-not-finite": "the_root_of_a_distance_of_0",
    "initial-weights-hinder": "a_layer_of_next_to_nothing",
    "column-of-another-scale": "column_of_another_scale",
    "label-among-the-inputs": "label_among_the_columns letters_to_come_are_seen",
    "validation-shares-examples": "validated_on_the_training_data",
    "targets-not-scaled": "targets_not_scaled",
    "softmax-over-the-batch": "softmax_over_the_batch",
    "examples-mixed": "reshape_that_mixes_examples",
    "random-in-evaluation": "dropout_that_never_ends",
    "parameters-not-registered": "layers_in_a_dict",
    "batch-norm-with-batch-of-1": "last_batch_of_one_with_batch_norm",
    "vanishing-gradients": "weights_of_1e_4 ten_sigmoids",
    "does-not-learn": "the_mean_of_the_image_alone dropout_of_08_four_times",
    "gradient-changed": "backward_twice clipped_to_nothing",
    "evaluation-mode": "step_in_evaluation_mode",
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "setup"), [(name, each) for name, every in TABLED.items() for each in every.split()]
)
def test_a_mistake_in_a_longer_training_is_found_alone(name, setup):
    words, make = next((words, make) for known, words, make in MISTAKES if known == setup)
    report = tinynet.doctor(**make())
    assert report.names() == [name]
    assert re.search(words, " ".join(str(report).split()), re.IGNORECASE)


def train_otherwise(kind):
    """Steps of one's own that are wrong in ways of which no table tells."""
    model = net()
    x, target = blobs()
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def step(x, target):
        optimizer.zero_grad()
        hidden = model[1](model[0](x))
        y = model[2](hidden.detach() if kind == "the head alone" else hidden)
        loss = F.cross_entropy(y, (target + 1) % C if kind == "other targets" else target)
        (-loss if kind == "uphill" else loss).backward()
        optimizer.step()
        if kind == "twice on two gradients":
            optimizer.zero_grad()
            F.cross_entropy(model(x), target).backward()
        if kind.startswith("twice"):
            optimizer.step()

    return {"model": model, "batch": (x, target), "optimizer": optimizer, "step": step}


def test_steps_that_step_twice_or_learn_something_else():
    report = tinynet.doctor(**train_otherwise("twice"))
    assert report.names() == ["optimizer-steps-twice"]
    assert "2 times with the same gradient" in report["optimizer-steps-twice"].evidence
    assert not tinynet.doctor(**train_otherwise("twice on two gradients")).names()
    report = tinynet.doctor(**train_otherwise("uphill"))
    assert report.names() == ["gradient-changed"]
    assert "is -1 times that of the batch" in report["gradient-changed"].evidence
    assert "a factor, a sign" in report["gradient-changed"].cure
    report = tinynet.doctor(**train_otherwise("the head alone"))
    assert report.names() == ["step-misses-parameters"]
    assert "0.weight, 0.bias have no gradient" in report["step-misses-parameters"].evidence
    report = tinynet.doctor(**train_otherwise("other targets"))
    assert report.names() == ["step-does-not-learn"]
    assert "with zero_grad, backward and step alone" in report["step-does-not-learn"].evidence


class OfFixedSize(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, C)

    def forward(self, x):
        return self.layer(x.reshape(N, 4))


class Tired(nn.Module):
    """Works a few times."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, C)
        self.calls = [0]

    def forward(self, x):
        self.calls[0] += 1
        if self.calls[0] > 12:
            raise RuntimeError("tired")
        return self.layer(x)


def test_what_does_little_harm_is_a_note():
    x, target = blobs()
    more = nn.Sequential(nn.Linear(x.shape[1], 8), nn.ReLU(), nn.Linear(8, C + 2))
    for model, given, told in (
        (net(nn.LogSoftmax(1)), batch(), "leave log_softmax out"),
        (net(), batch(lambda x, t: (x.double(), t)), "x.astype(tinynet.float32)"),
        (more, (x, target), f"no label of {len(x)} is {C}, {C + 1}; if none ever is"),
        (more, (x, target + 1), f"no label of {len(x)} is 0, {C + 1}; if none ever is"),
    ):
        report = tinynet.doctor(model, given)
        assert report.names() == []
        assert told in " ".join(str(report).split())


def test_models_that_work_on_the_first_batch_alone():
    report = tinynet.doctor(OfFixedSize(), batch())
    assert report.names() == ["other-batches-fail"]
    assert "one of 15, the model raises" in report["other-batches-fail"].evidence
    model = Tired()
    report = tinynet.doctor(model, batch(), optimizer=sgd(model))
    assert report.names() == ["training-fails"]
    assert "end with RuntimeError: tired" in report["training-fails"].evidence


def test_targets_that_are_not_finite():
    x, target = tinynet.randn(N, 4), tinynet.randn(N, 1)
    target.array[3] = np.nan
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    report = tinynet.doctor(model, (x, target), loss=lambda y, t: ((y - t) ** 2).mean())
    assert "targets-not-finite" in report.names()


@pytest.mark.parametrize("row", HEALTHY[::5], ids=lambda row: row[0])
def test_healthy_trainings_are_not_blamed(row):
    """All of them: `python -m tests.long.doctor_mistakes`."""
    assert tinynet.doctor(**row[1]()).names() == []


@pytest.mark.parametrize("row", BROKEN, ids=lambda row: f"{row[0]}: {row[1]}")
def test_a_mistake_is_found_alone_with_its_evidence_and_its_cure(row):
    name, evidence, cure, make_model, make_batch, *others = row
    model = make_model()
    report = tinynet.doctor(model, make_batch(), **(others[0](model) if others else {}))
    assert report.names() == [name]
    assert not report
    assert evidence in report[name].evidence
    assert cure in report[name].cure
    assert name in str(report)


def test_the_documentation_tells_of_every_finding():
    text = (Path(__file__).parents[1] / "docs" / "debugging.md").read_text(encoding="utf-8")
    told = {line.split("`")[1] for line in text.splitlines() if line.startswith("| `")}
    assert told == {row.name for row in CATALOGUE.values()}


def test_a_gradient_of_ones_own_that_fails_is_told():
    @tinynet.differentiable
    def twice(x):
        return 2 * x, lambda dy: dy[0]

    report = tinynet.doctor(net(), batch(), loss=lambda y, t: F.cross_entropy(twice(y), t))
    assert report.names() == ["backward-fails"]
    assert "twice: the gradient" in report["backward-fails"].evidence


def test_every_mistake_has_a_training_without_it_that_is_healthy():
    for make in (net, cnn):
        model = make()
        optimizer = sgd(model)
        given = batch() if make is net else images()
        step = stepping(model, optimizer, "")
        report = tinynet.doctor(model, given, optimizer=optimizer, step=step)
        assert report.names() == []
        assert report
        assert "healthy, none of 24 checks found anything" in str(report)


def test_several_mistakes_do_not_hide_each_other_and_errors_come_first():
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.ReLU(),
        nn.Dropout(0.1),
        nn.Flatten(),
        nn.Linear(16, 2),
        nn.Softmax(1),
    )
    model[2].eval()
    x = tinynet.randn(N, 1, 4, 4).array
    x[0, 0, 0, 0] = np.nan
    report = tinynet.doctor(model, (x, tinynet.randint(0, 2, (N,))), optimizer=sgd(model[4]))
    assert set(report.names()) == {
        "inputs-not-finite",
        "scores-out-of-reach",
        "optimizer-and-model-differ",
        "evaluation-mode",
    }
    assert [finding.severity for finding in report] == ["error"] * 3 + ["warning"]
    assert len(report) == 4
    assert "not tried yet: a short training" in str(report)
    plain = json.loads(json.dumps(report.to_dict()))
    assert plain["ok"] is False
    assert plain["findings"][0]["name"] == report.names()[0]
    with pytest.raises(KeyError, match="there are: inputs-not-finite"):
        report["no such"]


# ----- healthy -----------------------------------------------------------------------------------


def first_batch(name, size=32):
    train = data.load(name, "train")
    return data.DataLoader(train, size, shuffle=True, seed=0, transform=data.standardize(train))


@pytest.mark.parametrize(
    "name", [name for name in models.names() if not name.startswith(("vgg", "resnet20"))]
)
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_models_that_come_along_are_healthy(name, optimizer):
    """The VGG family and ResNet-20, which take seconds: `python -m tests.long.doctor`."""
    shape = usual_shape(name)
    model = models.build(name, num_classes=10, in_channels=shape[0])
    given = tinynet.randn(4, *shape), tinynet.randint(0, 10, (4,))
    chosen = make_optimizer(optimizer, model.parameters())
    assert tinynet.doctor(model, given, optimizer=chosen, probe_steps=20).names() == []


@pytest.mark.parametrize(
    ("name", "model"), [("digits", "resnet8"), ("digits-last360", "digits_cnn")]
)
def test_the_digits_that_come_along_are_healthy(name, model):
    built = models.build(model, in_channels=1, image_size=8)
    optimizer = make_optimizer("sgd", built.parameters())
    assert tinynet.doctor(built, first_batch(name), optimizer=optimizer).names() == []


def test_mnist_is_healthy():
    if data.KNOWN["mnist"].missing():
        pytest.skip("MNIST is not in $TINYNET_DATA")
    for name, lr in (("lenet5", 0.05), ("digits_cnn", 0.005)):
        model = models.build(name, in_channels=1, image_size=28)
        optimizer = make_optimizer("sgd", model.parameters(), lr)
        assert tinynet.doctor(model, first_batch("mnist"), optimizer=optimizer).names() == []


def test_a_trained_model_is_healthy_but_for_its_mode():
    from tinynet import training

    model = models.build("digits_cnn")
    training.fit(model, first_batch("digits", 64), 1, seed=0, progress=False)
    report = tinynet.doctor(model, first_batch("digits"), probe_steps=20)
    assert report.names() == ["evaluation-mode"]
    model.train()
    assert tinynet.doctor(model, first_batch("digits")).names() == []


class Distance(nn.Module):
    """How far two numbers of an example are apart, once embedded."""

    def __init__(self, output=lambda a, b: F.pairwise_distance(a, b)):
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 4))
        self.output = output

    def forward(self, x):
        return self.output(self.embed(x[:, :4]), self.embed(x[:, 4:]))


def pairs():
    """Pairs of examples, and whether they are of one class."""
    x, labels = blobs()
    other = np.random.default_rng(0).permutation(len(x))
    return np.concatenate([x, x[other]], 1), (labels == labels[other]).astype(np.float32)


def contrastive(distance, same):
    return (same * distance**2 + (1 - same) * F.relu(1.5 - distance) ** 2).mean()


def test_distances_are_low_where_the_targets_are_high():
    model = Distance()
    report = tinynet.doctor(
        model, pairs(), loss=contrastive, optimizer=optim.Adam(model.parameters(), lr=3e-3)
    )
    assert report.names() == []
    assert "embed.2.bias cancels in what follows" in str(report)


def test_a_loss_that_needs_no_targets():
    model = Distance(lambda a, b: tinynet.stack([a, b], 1))
    x, _ = pairs()
    report = tinynet.doctor(
        model,
        (x, np.arange(len(x), dtype=np.float32) / len(x)),
        loss=lambda y, _: F.triplet_margin_loss(y[:, 0], y[:, 1], y.roll(1, 0)[:, 1]),
        optimizer=optim.Adam(model.parameters(), lr=3e-3),
    )
    assert "targets-exchangeable" not in report.names()
    assert "the loss does not look at the targets" in report.notes


def added_up(count, zero):
    """A step that adds up the gradients of so many batches, and may set them to zero then."""
    model = net()
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    calls = []

    def step(x, target):
        (F.cross_entropy(model(x), target) / count).backward()
        calls.append(1)
        if len(calls) % count == 0:
            optimizer.step()
            if zero:
                optimizer.zero_grad()

    return {"model": model, "batch": blobs(), "optimizer": optimizer, "step": step}


def test_gradients_added_up_before_a_step():
    assert tinynet.doctor(**added_up(4, zero=True)).names() == []


def test_a_step_that_puts_the_weights_back_needs_no_other_rate():
    model = net()
    optimizer = optim.SGD(model.parameters(), lr=0.05)
    start = {name: value.clone() for name, value in model.state_dict().items()}

    def step(x, target):
        model.load_state_dict(start)
        optimizer.zero_grad()
        F.cross_entropy(model(x), target).backward()
        optimizer.step()

    report = tinynet.doctor(model, blobs(), optimizer=optimizer, step=step)
    assert report.names() == ["step-does-not-learn"]


def test_a_frozen_part_may_be_in_evaluation_mode():
    body = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU())
    body.requires_grad_(False).eval()
    report = tinynet.doctor(nn.Sequential(body, nn.Linear(16, C)), blobs())
    assert report.names() == []
    assert "frozen, and in evaluation mode: 0.1 (BatchNorm1d)" in report.notes


several = np.random.default_rng(0).integers(0, 2, (64, 5)).astype(np.float32)
standardised = np.random.default_rng(0).standard_normal((64, 6)).astype(np.float32)


@pytest.mark.parametrize(
    ("last", "loss", "target", "names"),
    [
        ([nn.Linear(8, 5)], F.cross_entropy, several, ["targets-out-of-reach"]),
        ([nn.Linear(8, 5), nn.Softmax(1)], nn.BCELoss(), several, ["targets-out-of-reach"]),
        ([nn.Linear(8, 5), nn.Sigmoid()], nn.BCELoss(), several, []),
        ([nn.Linear(8, 6), nn.Sigmoid(), nn.Unflatten(1, (2, 3))], nn.MSELoss(),
         standardised[::-1].reshape(64, 2, 3), ["targets-out-of-reach"]),
        ([nn.Linear(8, 5), nn.LogSoftmax(1)], nn.KLDivLoss(reduction="batchmean"),
         np.random.default_rng(0).dirichlet(np.ones(5), 64).astype(np.float32), []),
    ],
)  # fmt: skip
def test_targets_that_the_outputs_can_and_cannot_reach(last, loss, target, names):
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), *last)
    report = tinynet.doctor(model, (standardised, target), loss=loss, probe_steps=0)
    assert report.names() == names


def test_sorted_labels_are_not_all_that_there_are():
    labels = tinynet.arange(10).repeat_interleave(100)
    given = torch_data.TensorDataset(tinynet.randn(1000, 6), labels)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 10))
    report = tinynet.doctor(model, torch_data.DataLoader(given, 32))
    assert report.names() == ["labels-sorted"]


# ----- nothing is changed ------------------------------------------------------------------------


class Restless(nn.Module):
    """Counts its calls, draws from every generator, keeps what it saw."""

    def __init__(self):
        super().__init__()
        self.calls = 0
        self.last = None
        self.rng = np.random.default_rng(5)

    def forward(self, x):
        self.calls += 1
        self.last = x
        noise = self.rng.standard_normal() + np.random.standard_normal() + random.random()
        return x + 1e-6 * float(noise)


def everything(model, optimizer, loader, x, target):
    """All that could have been changed: arrays by identity and content, and states."""
    found = {}
    for kind, tensors in (
        ("parameter", model.named_parameters()),
        ("buffer", model.named_buffers()),
        ("batch", [("x", x), ("target", target)]),
    ):
        for name, tensor in tensors:
            grad = tensor.grad
            found[kind, name] = (
                id(tensor), id(tensor.array), tensor.array.tobytes(), tensor.array.strides,
                id(grad), None if grad is None else grad.array.tobytes(), tensor.requires_grad,
            )  # fmt: skip
    for name, module in model.named_modules():
        state = dict(module.__dict__)
        found["module", name] = {key: id(value) for key, value in state.items()}
        if isinstance(module, Restless):
            found["rng"] = module.rng.bit_generator.state
            assert (module.calls, module.last) == (0, None)
    found["optimizer"] = {
        (i, key): value.array.tobytes() if isinstance(value, tinynet.Tensor) else value
        for i, state in optimizer.state_dict()["state"].items()
        for key, value in state.items()
    }
    found["groups"] = optimizer.state_dict()["param_groups"]
    found["state arrays"] = [
        id(v)
        for state in optimizer.state.values()
        for v in state.values()
        if isinstance(v, np.ndarray)
    ]
    found["loader"] = loader.state_dict()
    found["chance"] = (
        tinynet.random.default_rng().bit_generator.state, random.getstate(),
        [str(part) for part in np.random.get_state()],
    )  # fmt: skip
    found["recording"] = tinynet.is_grad_enabled(), tinynet.autograd.state.observer
    return found


@pytest.mark.parametrize("make", ["sgd", "adam"])
def test_model_optimizer_generators_and_data_are_left_as_they_were_bit_for_bit(make):
    model = nn.Sequential(
        Restless(), nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.2),
        nn.Flatten(), nn.Linear(16, C),
    )  # fmt: skip
    other = nn.Linear(2, 2)
    optimizer = make_optimizer(make, [*model.parameters(), *other.parameters()])
    step = stepping(model, optimizer, "")
    x, target = images()
    step(x, target)  # so that the optimizer has a state, and parameters a gradient
    other.weight.grad = tinynet.ones(2, 2)
    model[0].calls, model[0].last = 0, None
    loader = data.DataLoader(data.ArrayDataset(x.array, target.array), 8, shuffle=True, seed=3)
    next(iter(loader))
    before = everything(model, optimizer, loader, x, target), other.weight.array.tobytes()
    tinynet.doctor(model, (x, target), optimizer=optimizer, step=step, probe_steps=20)
    tinynet.doctor(model, loader, optimizer=optimizer, probe_steps=20)
    with tinynet.no_grad():
        tinynet.doctor(model, loader, optimizer=optimizer, probe_steps=20)
    after = everything(model, optimizer, loader, x, target), other.weight.array.tobytes()
    assert before == after
    step(x, target)  # and it goes on as if nothing had been


class Trainer:
    """A training step that reaches a schedule, a second model, its optimizer and counters."""

    def __init__(self, model, optimizer):
        self.model, self.optimizer, self.count = model, optimizer, 0
        self.schedule = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=24)
        self.other, self.scale = copy.deepcopy(model), tinynet.zeros(1, requires_grad=True)
        self.second = sgd(self.other)
        self.losses, self.generator = [], np.random.default_rng(3)

    def step(self, x, target):
        self.optimizer.zero_grad()
        self.second.zero_grad()
        loss = F.cross_entropy(self.model(x) + 0 * self.scale, target)
        (loss + F.cross_entropy(self.other(x), target)).backward()
        self.optimizer.step()
        self.second.step()
        self.schedule.step()
        self.count += 1
        self.losses.append(loss.item() + 0 * self.generator.random())

    def state(self):
        return [
            json.dumps(self.schedule.state_dict()), self.count, [*self.losses], self.scale.grad,
            self.generator.bit_generator.state, len(self.second.state),
            [p.array.tobytes() for p in [*self.model.parameters(), *self.other.parameters()]],
        ]  # fmt: skip


def test_what_the_step_reaches_is_left_as_it_was_bit_for_bit():
    x, t = blobs(64)
    model = nn.Sequential(nn.Linear(x.shape[1], 8), nn.ReLU(), nn.Linear(8, int(t.max()) + 1))
    trainer = Trainer(model, sgd(model, 0.01))
    draws, count = np.random.default_rng(1), 0

    def step(x, target):
        nonlocal count
        count += 1 + 0 * draws.integers(2)
        trainer.step(x, target)

    before, drawn = trainer.state(), draws.bit_generator.state
    tinynet.doctor(model, (x, t), optimizer=trainer.optimizer, step=step)
    assert trainer.state() == before
    assert (count, draws.bit_generator.state) == (0, drawn)


def test_the_chance_of_a_loader_is_left_as_it_was():
    x, t = tinynet.randn(96, 4), tinynet.randint(0, C, (96,))
    model, seen = net(), []
    for look in (False, True):
        generator = tinynet.Generator().manual_seed(3)
        tinynet.manual_seed(7)
        made = torch_data.DataLoader(
            torch_data.TensorDataset(x, t), batch_size=32, shuffle=True, generator=generator
        )
        if look:
            tinynet.doctor(model, made, probe_steps=0)
        seen.append([next(iter(made))[1].tolist(), generator.rng.random(), tinynet.rand(1).item()])
    assert seen[0] == seen[1]


def test_a_model_that_fails_is_left_as_it_was_too():
    model = wrong_size()
    before = model.state_dict()
    tinynet.doctor(model, batch(), optimizer=sgd(model))
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_a_generator_that_nobody_seeded_stays_unmade(monkeypatch):
    monkeypatch.setattr(tinynet.random._state, "generator", None)
    model = nn.Sequential(nn.Linear(4, C, rng=np.random.default_rng(0)), nn.Dropout(0.5))
    x = np.random.default_rng(0).standard_normal((N, 4)).astype(np.float32)
    tinynet.doctor(model, (x, np.arange(N) % C))
    assert tinynet.random._state.generator is None


# ----- arguments ---------------------------------------------------------------------------------


def test_wrong_arguments_are_told():
    model = net()
    with pytest.raises(
        TypeError, match=r"the model comes first, and must be a layer .* got function"
    ):
        tinynet.doctor(net, batch())
    with pytest.raises(
        TypeError, match=r"batch must be \(x, target\), a dataset or a DataLoader, got int"
    ):
        tinynet.doctor(model, 3)
    with pytest.raises(TypeError, match=r"validate must be \(x, target\), a dataset"):
        tinynet.doctor(model, batch(), validate=3)
    with pytest.raises(TypeError, match="optimizer must be one Optimizer, got list"):
        tinynet.doctor(model, batch(), optimizer=[sgd(model), sgd(model)])
    with pytest.raises(TypeError, match="the inputs must be numbers, got <U3"):
        tinynet.doctor(model, (np.array(["one", "two"]), np.arange(2)))
    with pytest.raises(ValueError, match="the batch is empty"):
        tinynet.doctor(model, (np.zeros((0, 4)), np.zeros(0, int)))
    with pytest.raises(ValueError, match="no batch to look at"):
        tinynet.doctor(model, [])
    with pytest.raises(ValueError, match="lazy layers 0 have no weights yet"):
        tinynet.doctor(nn.Sequential(nn.LazyLinear(C)), batch())


class Endless(torch_data.IterableDataset):
    def __init__(self, pairs):
        self.pairs = pairs

    def __iter__(self):
        return (self.pairs[i % len(self.pairs)] for i in range(16))


def cnn_of_rows():
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, C))


def test_batches_of_every_kind_are_looked_at():
    x, target = batch()
    for given in (
        [(x, target)] * 2,
        ((x[i : i + 8], target[i : i + 8]) for i in (0, 8)),
        (x.array.tolist(), target.array.tolist()),
    ):
        report = tinynet.doctor(net(), given)
        assert set(report.names()) <= {"inputs-duplicated"}
    pairs = torch_data.TensorDataset(x, target)
    for dataset in (torch_data.random_split(pairs, [12, 4])[0], Endless(pairs)):
        report = tinynet.doctor(cnn_of_rows(), torch_data.DataLoader(dataset, batch_size=4))
        assert report.names() == []
    model = nn.Sequential(nn.Embedding(20, 8), nn.Flatten(), nn.Linear(40, C))
    words = tinynet.randint(0, 20, (N, 5))
    assert tinynet.doctor(model, (words, target), optimizer=sgd(model)).names() == []
    assert tinynet.doctor(nn.Flatten(), (x, target)).names() == ["nothing-to-train"]
    for given, words in (
        ([(x, target, target)], "of several examples, got tuple"),
        ({"x": x}, "a dataset or a DataLoader, got dict"),
        ([{"x": x}], "of several examples, got dict"),
    ):
        with pytest.raises(TypeError, match=words):
            tinynet.doctor(net(), given)


def test_regression_with_its_own_loss_is_healthy():
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    x = tinynet.randn(N, 4)
    report = tinynet.doctor(
        model, (x, x.sum(1, keepdims=True)), loss=F.mse_loss, optimizer=sgd(model)
    )
    assert report.names() == []


def pairwise(e, t):
    half = len(t) // 2
    far = ((e[:half] - e[half:]) ** 2).sum(1)
    same = (t[:half] == t[half:]).float()
    return (same * far + (1 - same) * F.relu(2 - (far + 1e-6).sqrt()) ** 2).mean()


def noisy(model, x, t):
    s = tinynet.rand(len(x), 1)
    return F.mse_loss(model(tinynet.cat([x + s, s], 1)), t.unsqueeze(1) * s)


def stepped(model, batch, of, **others):
    """A set-up with a step of the loss that `of` makes of model, inputs and targets."""
    optimizer = optim.Adam([*model.parameters(), *others.pop("extra", ())], lr=0.01)

    def step(x, t):
        optimizer.zero_grad()
        loss = of(model, x, t)
        loss.backward()
        optimizer.step()

    return {"model": model, "batch": batch, "optimizer": optimizer, "step": step, **others}


def labelled():
    """Four classes that a straight line tells apart."""
    x = tinynet.randn(64, 4)
    return x, (x[:, 0] > 0).long() + 2 * (x[:, 1] > 0).long()


@pytest.mark.parametrize("outputs", [2, 8])
def test_a_loss_of_the_steps_own_is_watched_and_not_judged_by_cross_entropy(outputs):
    model, centres = nn.Linear(4, outputs), tinynet.randn(4, outputs, requires_grad=True)
    for of, extra in (
        (lambda m, x, t: pairwise(m(x), t), []),
        (lambda m, x, t: F.cross_entropy(-((m(x)[:, None] - centres) ** 2).sum(2), t), [centres]),
    ):
        report = tinynet.doctor(**stepped(model, labelled(), of, extra=extra))
        assert report.names() == []
        assert "has its own loss; that is what is looked at" in " ".join(str(report).split())


def test_a_model_that_only_the_step_can_call_is_not_called():
    x, t = labelled()
    report = tinynet.doctor(**stepped(nn.Linear(5, 1), (x, t.float()), noisy))
    assert report.names() == []
    assert "gives the model other inputs" in " ".join(str(report).split())


def test_a_part_that_the_step_alone_trains_has_its_gradient():
    class Heads(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 1)

        def forward(self, x):
            return self.a(x), self.b(x)

    def both(model, x, t):
        a, b = model(x)
        return F.cross_entropy(a, t) + F.mse_loss(b, x[:, :1])

    setup = stepped(Heads(), labelled(), both, loss=lambda y, t: F.cross_entropy(y[0], t))
    assert tinynet.doctor(**setup).names() == []


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize(
    "loss",
    [
        lambda y, t: F.cross_entropy(y, t, reduction="sum"),
        lambda y, t: 100 * F.cross_entropy(y, t),
        lambda y, t: 5 + F.cross_entropy(y, t),
    ],
)
def test_sums_factors_and_terms_of_a_loss_are_healthy_with_adam(loss, given):
    model = nn.Linear(4, 4)
    setup = stepped(model, labelled(), lambda m, x, t: loss(m(x), t))
    if given:
        setup = {**setup, "step": None, "loss": loss}
    assert tinynet.doctor(**setup).names() == []


def cox(y, t):
    at_risk = (t[None] >= t[:, None]).float()
    return ((y[:, 0].exp()[None] * at_risk).sum(1).log() - y[:, 0]).mean()


@pytest.mark.parametrize("loss", [cox, lambda y, t: (t[:, None] * y.exp() - y).mean()])
def test_a_hazard_goes_against_the_time(loss):
    x, model = tinynet.randn(64, 4), nn.Linear(4, 1)
    t = (-x[:, 0] - 0.3 * x[:, 1]).exp()
    setup = {"optimizer": optim.Adam(model.parameters(), lr=0.01), "loss": loss}
    assert tinynet.doctor(model, (x, t), **setup).names() == []


@pytest.mark.parametrize(
    ("loss", "names"),
    [
        (lambda y, t: F.gaussian_nll_loss(y[:, 0], t, y[:, 1].exp()), []),
        (lambda y, t: (y[:, 0].exp() - t * y[:, 0]).mean() + 0 * y.sum(), []),
        (lambda y, t: ((t - y[:, 0]) ** 2 * (-y[:, 1]).exp() - y[:, 1]).mean(), "endless"),
        (lambda y, t: (y[:, 0] - t * y[:, 0]).mean() + 0 * y.sum(), "endless"),
    ],
)
def test_a_loss_without_an_end_is_told_from_a_density(loss, names):
    x, model = tinynet.randn(64, 4), nn.Linear(4, 2)
    setup = {"optimizer": optim.Adam(model.parameters(), lr=0.01), "loss": loss}
    report = tinynet.doctor(model, (x, (0.1 * x[:, 0] * x[:, 1]).exp()), **setup)
    assert report.names() == (names and ["loss-without-a-lower-bound"])


def test_a_schedule_that_keeps_the_rate_near_0_is_named():
    model = nn.Linear(4, 4)
    optimizer = sgd(model)
    for rise, name in (
        (lambda k: k / 100_000, "learning-rate-too-low"),
        (lambda k: k // 1000, "learning-rate-zero"),
    ):
        schedule = optim.lr_scheduler.LambdaLR(optimizer, rise)

        def step(x, t, schedule=schedule):
            optimizer.zero_grad()
            F.cross_entropy(model(x), t).backward()
            optimizer.step()
            schedule.step()

        report = tinynet.doctor(model, labelled(), optimizer=optimizer, step=step)
        assert report.names() == [name]
        assert "schedule" in str(report)
        assert "(k + 1) / 500" in report[name].cure


# ----- the command line ---------------------------------------------------------------------------


def test_inputs_of_bools_are_looked_at_by_every_check():
    class OfBools(nn.Linear):
        def forward(self, x):
            return super().forward(x.float())

    x = np.random.default_rng(0).random((32, 4)) > 0.5
    x[:, 2] = True
    report = tinynet.doctor(OfBools(4, 2), (x, x[:, 0].astype(int)))
    assert "x[:, 2] is 1 in all 32 examples" in report.notes
    assert "not looked at, " not in str(report)


MY_TRAIN = """
import tinynet
from tinynet import nn, optim

def make():
    model = nn.Sequential(nn.Linear(4, 3), nn.Softmax(1))
    batch = tinynet.randn(16, 4), tinynet.randint(0, 3, (16,))
    return model, batch, optim.SGD(model.parameters(), lr=0.05)

def wrong():
    return 3

_hidden = wrong
"""


def test_the_command_line_looks_at_a_file_of_ones_own(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_train.py").write_text(MY_TRAIN)
    assert main(["doctor", "--file", "my_train.py:make", "--json", "report.json"]) == 1
    assert "error: scores-out-of-reach" in capsys.readouterr().out
    found = json.loads((tmp_path / "report.json").read_text())
    assert [finding["name"] for finding in found["findings"]] == ["scores-out-of-reach"]
    for arguments, code, message in (
        (["my_train.py:mak"], 2, "'mak'; did you mean 'make'? Known: make, wrong"),
        (["my_train.py"], 2, "no FILE.py:FUNCTION"),
        (["other.py:make"], 2, "there is no file other.py"),
        (["my_train.py:wrong"], 1, "returned int; return a dict with model and batch"),
        (["my_train.py:_hidden"], 1, "returned int; return a dict with model and batch"),
        (["my_train.py:make", "--lr", "1"], 2, "--lr is for known models"),
    ):
        assert main(["doctor", "--file", *arguments]) == code
        assert message in capsys.readouterr().err


def test_the_command_line_finds_the_defaults_healthy_and_a_wild_rate_not(capsys):
    assert main(["doctor"]) == 0
    assert "doctor: healthy" in capsys.readouterr().out
    assert main(["doctor", "--lr", "1e4", "--optimizer", "sgd", "--steps", "5"]) == 1
    assert "learning-rate-too-high" in capsys.readouterr().out
    assert main(["doctor", "--model", "lenet"]) == 2
    assert "did you mean 'lenet5'" in capsys.readouterr().err


@pytest.mark.parametrize("power", [1, 2])
def test_a_penalty_of_the_weights_counts_for_less_than_the_rest_of_the_loss(power):
    def names(factor):
        model = net()

        def loss(y, t):
            sizes = sum((p.abs() ** power).sum() for p in model.parameters())
            return F.cross_entropy(y, t) + factor * sizes

        return tinynet.doctor(model, blobs(), loss=loss, optimizer=sgd(model)).names()

    assert names(1.5 / 10**power) == []
    assert names(1.0) == ["weight-decay-too-large" if power == 2 else "loss-beyond-its-part"]


def test_targets_that_are_those_of_other_examples():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 3)).astype(np.float32)
    t = np.sin(x[:, :1] + x[:, 1:2]) + 0.1 * rng.standard_normal((300, 1)).astype(np.float32)
    series = rng.standard_normal(310).astype(np.float32)
    windows = np.stack([series[k : k + 8] for k in range(300)])
    for inputs, targets, seen in (
        (x, t, ""),
        (x, np.roll(t, 1, 0), "of the next example"),
        (x, np.roll(t, -1, 0), "of the example before"),
        (x, t[::-1].copy(), "as far from the end"),
        (windows, 2 * series[8:308, None], ""),  # the target before is the last of the inputs
    ):
        model = mlp(inputs.shape[1], 16, 1)
        report = tinynet.doctor(model, (inputs, targets), loss=F.mse_loss, optimizer=sgd(model))
        assert ("targets-in-another-order" in report.names()) == bool(seen)
        assert seen in str(report)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_similarity_that_is_made_small_in_place_of_its_distance(sign):
    x, model = tinynet.randn(64, 6), mlp(6, 16, 4)
    report = tinynet.doctor(
        model, (x, x[:, :4]), loss=lambda y, t: sign * F.cosine_similarity(y, t).mean(),
        optimizer=optim.Adam(model.parameters(), lr=1e-2),
    )  # fmt: skip
    assert report.names() == ["loss-with-the-wrong-sign"] * (sign == 1)


def test_what_the_step_does_before_it_goes_back_is_undone():
    model, head, teacher, calls = mlp(8, 16, 4), mlp(4, 8), mlp(8, 16, 4), []
    optimizer = optim.Adam([*model.parameters(), *head.parameters()], lr=1e-3)

    def step(x, t):
        calls.append(len(x))
        with tinynet.no_grad():
            for p, q in zip(teacher.parameters(), model.parameters()):
                p.data = 0.99 * p.data + 0.01 * q.data
            wanted = teacher(x + 0.1 * tinynet.randn(*x.shape))
        y = model(x)
        loss = ((y - wanted) ** 2).mean() + ((head(y) - x) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    before = [p.array.copy() for p in teacher.parameters()]
    batch = tinynet.randn(64, 8), tinynet.randint(0, 3, (64,))
    report = tinynet.doctor(model, batch, optimizer=optimizer, step=step)
    assert report, report  # the teacher's weights ask for a gradient, but get none
    assert calls == []
    assert all(map(np.array_equal, before, [p.array for p in teacher.parameters()]))
    assert all(p.grad is None for p in head.parameters())


def test_a_model_with_its_own_call_is_looked_at():
    class Called(nn.Linear):
        def __call__(self, x):
            return self.forward(x)

    assert "3 classes" in str(tinynet.doctor(Called(4, C), batch(), probe_steps=0))


def test_labels_that_the_model_gives_with_its_scores():
    class Contrast(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.others = mlp(8, 16, 4), tinynet.randn(4, 20)

        def forward(self, one, other):
            one, other = self.inner(one), self.inner(other).detach()
            scores = tinynet.cat([(one * other).sum(1, keepdims=True), one @ self.others], 1)
            return scores, tinynet.zeros(len(one), dtype=tinynet.int64)

    model = Contrast()
    optimizer = optim.Adam(model.parameters(), lr=1e-3)

    def step(x, t):
        scores, labels = model(x, x + 0.1 * tinynet.randn(*x.shape))
        optimizer.zero_grad()
        F.cross_entropy(scores, labels).backward()
        optimizer.step()

    given = tinynet.randn(64, 8), tinynet.randint(0, 3, (64,))
    report = tinynet.doctor(model, given, optimizer=optimizer, step=step)
    assert "step-ignores-its-batch" not in report.names()


def test_two_steps_at_the_rate_of_0_of_a_warm_up():
    model = mlp(4, 8, C)
    optimizer = sgd(model, 0.1)
    schedule = optim.lr_scheduler.LambdaLR(optimizer, lambda k: min(k / 10, 1))

    def step(x, t):
        for _ in range(2):
            optimizer.zero_grad()
            F.cross_entropy(model(x), t).backward()
            optimizer.step()
        schedule.step()

    report = tinynet.doctor(model, batch(), optimizer=optimizer, step=step, probe_steps=0)
    assert "optimizer-steps-twice" not in report.names()


def test_columns_of_one_value_are_told_with_it():
    x = tinynet.randn(64, 4).array
    x[:, 0], x[:, 3] = 1, 7
    report = tinynet.doctor(mlp(4, 8, C), (x, tinynet.randint(0, C, (64,))), probe_steps=0)
    assert "column-constant" in report.names()
    x[:, 3] = 0
    report = tinynet.doctor(mlp(4, 8, C), (x, tinynet.randint(0, C, (64,))), probe_steps=0)
    assert "x[:, 0], x[:, 3] is 0 or 1 in all 64 examples" in report.notes


def test_targets_that_are_no_probabilities_are_not_exchanged_with_the_outputs():
    x, t = tinynet.randn(64, 4), 1 + tinynet.randint(0, 2, (64, 1)).float()
    loss = F.binary_cross_entropy_with_logits
    report = tinynet.doctor(mlp(4, 8, 1).append(nn.Sigmoid()), (x, t), loss=loss)
    assert "exchange" not in report["loss-fails"].cure


def test_a_step_of_its_own_loss_that_leaves_out_small_batches():
    model, t = mlp(4, 8, 1), tinynet.randint(0, C, (40,))
    optimizer, x = optim.Adam(model.parameters(), lr=1e-2), tinynet.randn(40, 4)

    def step(x, t):
        if len(x) >= 16:
            optimizer.zero_grad()
            ((model(x)[:, 0] - t) ** 2 / 2).mean().backward()
            optimizer.step()

    batches = [(x[:32], t[:32]), (x[32:], t[32:])]
    assert tinynet.doctor(model, batches, optimizer=optimizer, step=step).names() == []


def test_an_optimizer_of_frozen_weights_may_step_without_a_gradient():
    model, x, t = mlp(4, 8, C), tinynet.randn(40, 4), tinynet.randint(0, C, (40,))
    early, late = (optim.Adam(model[k].parameters(), lr=1e-2) for k in (0, 2))
    model[0].requires_grad_(False)

    def step(x, t):
        late.zero_grad()
        F.cross_entropy(model(x), t).backward()
        late.step()
        early.step()

    report = tinynet.doctor(model, (x, t), optimizer=late, step=step)
    assert "step-without-gradient" not in report.names()


def test_a_net_before_the_model_that_the_optimizer_trains_too():
    before, model = nn.Linear(8, 5), nn.Linear(5, C)
    optimizer = optim.Adam([*model.parameters(), *before.parameters()], lr=1e-2)

    def step(x, t):
        optimizer.zero_grad()
        F.cross_entropy(model(before(x).relu()), t).backward()
        optimizer.step()

    given = tinynet.randn(64, 8), tinynet.randint(0, C, (64,))
    report = tinynet.doctor(model, given, optimizer=optimizer, step=step)
    assert "parameters-not-registered" not in report.names()


class Counted(threading.local):
    steps = 0


COUNTED = Counted()


def test_what_a_thread_has_for_itself_is_put_back():
    model = mlp(4, 8, C)
    optimizer = sgd(model)

    def step(x, t):
        COUNTED.steps += 1
        optimizer.zero_grad()
        F.cross_entropy(model(x), t).backward()
        optimizer.step()

    COUNTED.steps = 7
    tinynet.doctor(model, batch(), optimizer=optimizer, step=step, probe_steps=0)
    assert COUNTED.steps == 7
