"""summary: counts that can be checked by hand, and a model that is left as it was."""

from __future__ import annotations

import numpy as np
import pytest

import tinynet
from tinynet import models, nn
from tinynet.errors import ShapeError
from tinynet.nn.summary import summary


def test_lenet_by_hand():
    table = summary(models.lenet5(), (1, 28, 28))
    rows = {row.name: row for row in table.rows}
    assert rows["c1"].multiply_adds == 6 * 28 * 28 * 25
    assert rows["c3"].multiply_adds == 16 * 10 * 10 * 6 * 25
    assert rows["c5"].multiply_adds == 400 * 120
    assert rows["c1"].parameters == 6 * 25 + 6
    assert rows["s2"].output_shape == (1, 6, 14, 14)
    assert rows["s2"].activation_bytes == 4 * 6 * 14 * 14
    assert rows["flatten"].activation_bytes == 0  # the memory is that of s4
    assert table.total_parameters == table.trainable_parameters == 61_706
    assert table.total_multiply_adds == 416_520
    assert table.parameter_bytes == 4 * 61_706
    assert table.activation_bytes == sum(row.activation_bytes for row in table.rows)


def test_the_batch_multiplies_work_and_activations_but_not_parameters():
    one, four = (summary(models.digits_cnn(), (1, 8, 8), batch_size=n) for n in (1, 4))
    assert four.total_multiply_adds == 4 * one.total_multiply_adds
    assert four.activation_bytes == 4 * one.activation_bytes
    assert four.total_parameters == one.total_parameters
    assert four.rows[0].output_shape == (4, 16, 8, 8)


def test_groups_and_transposed_convolutions():
    model = nn.Sequential(
        nn.Conv2d(4, 8, 3, padding=1, groups=4), nn.ConvTranspose2d(8, 2, 2, stride=2)
    )
    grouped, transposed = summary(model, (4, 6, 6)).rows
    assert grouped.multiply_adds == 8 * 36 * 1 * 9
    assert transposed.multiply_adds == 8 * 36 * 2 * 4
    assert transposed.output_shape == (1, 2, 12, 12)


def test_products_written_by_hand_in_a_forward_are_counted():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(3, 4)
            self.w = nn.Parameter(np.ones((4, 5), np.float32))

        def forward(self, x):
            return (self.first(x) @ self.w).relu()

    table = summary(Net(), (3,), batch_size=2)
    assert [(row.name, row.layer, row.multiply_adds) for row in table.rows] == [
        ("", "Net", 2 * 4 * 5),
        ("first", "Linear(3, 4)", 2 * 3 * 4),
    ]
    assert table.rows[0].parameters == 20
    assert table.rows[0].activation_bytes == 2 * (2 * 5 * 4)


def test_a_shared_layer_works_twice_and_is_counted_once():
    layer = nn.Linear(3, 3, bias=False)
    table = summary(nn.Sequential(layer, layer), (3,))
    assert [row.parameters for row in table.rows] == [9, 0]
    assert [row.multiply_adds for row in table.rows] == [9, 9]
    assert table.total_parameters == 9


def test_frozen_parameters_are_told_apart():
    model = models.digits_cnn()
    model.conv1.requires_grad_(False)
    table = summary(model, (1, 8, 8))
    assert table.trainable_parameters == table.total_parameters - 144
    assert "144 frozen" in str(table)


def test_the_model_is_left_as_it_was():
    model = models.resnet8(in_channels=1).train()
    model.get_submodule("stage1").eval()
    modes = [module.training for module in model.modules()]
    state = model.state_dict()
    table = summary(model, (1, 8, 8))
    assert [module.training for module in model.modules()] == modes
    assert all(not module.has_hooks() for module in model.modules())
    for name, values in model.state_dict().items():
        np.testing.assert_array_equal(values, state[name])
    assert [row.name for row in table.rows][:4] == ["conv1", "bn1", "relu1", "stage1.0"]


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("lenet5", r"must be a layer \(a Module\), got str"),
        (nn.ReLU, r"is the class ReLU, not a layer; make one: `ReLU\(...\)`"),
    ],
)
def test_what_is_no_model_is_named(model, told):
    with pytest.raises(TypeError, match=f"summary: the model comes first, and {told}"):
        summary(model, (1, 28, 28))


def test_a_shape_of_one_number_is_a_row():
    assert summary(nn.Linear(5, 2), 5).input_shape == (1, 5)


def test_a_wrong_input_names_the_layer_and_leaves_no_hook():
    model = models.lenet5()
    with pytest.raises(ShapeError, match="'c1'"):
        summary(model, (3, 28, 28))
    assert all(not module.has_hooks() for module in model.modules())
    assert all(module.training for module in model.modules())
    assert model(tinynet.zeros(1, 1, 28, 28)).requires_grad


def test_the_table_is_aligned_and_ends_with_the_totals(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    text = str(
        summary(
            models.vgg11(image_size=32, num_classes=10, rng=np.random.default_rng(0)), (3, 32, 32)
        )
    )
    lines = text.splitlines()
    assert lines[0].split() == [
        "name", "layer", "output", "parameters", "mul-adds", "memory",
    ]  # fmt: skip
    body = [line for line in lines[4:-4] if not line.startswith("-")]
    assert len({len(line) for line in [lines[0], *body]}) == 1
    assert lines[3].startswith("features.0    Conv2d(3, 64, 3x3)")
    assert lines[-4].split()[:3] == ["total", "Sequential", "28,144,010"]
    assert lines[-1] == "172 M multiply-adds for a batch of 1"


@pytest.mark.parametrize(("columns", "widest"), [("80", 80), ("200", 94)])
def test_a_table_fits_the_terminal_and_no_name_is_lost(monkeypatch, columns, widest):
    monkeypatch.setenv("COLUMNS", columns)
    rng = np.random.default_rng(0)
    lines = str(summary(models.vgg11(rng=rng), (3, 224, 224))).splitlines()
    assert max(map(len, lines)) <= widest
    names = [line.split()[0] for line in lines if "Conv2d" in line or "Linear" in line]
    assert len(set(names)) == len(names) == 11


def test_a_notebook_shows_the_table_with_names_escaped():
    model = nn.Sequential({"<b>": nn.Linear(2, 3)})
    shown = summary(model, (2,))._repr_html_()
    assert "&lt;b&gt;" in shown
    assert "<b>" not in shown


def test_the_table_is_data_too():
    data = summary(nn.Sequential(nn.Linear(2, 3)), (2,)).to_dict()
    assert data["rows"] == [
        {
            "name": "0", "layer": "Linear(2, 3)", "output_shape": (1, 3), "parameters": 9,
            "multiply_adds": 6, "activation_bytes": 12,
        }
    ]  # fmt: skip
    assert data["total_parameters"] == 9


def test_a_float64_model_gets_a_float64_input():
    assert summary(nn.Sequential(nn.Linear(2, 3)).double(), (2,)).activation_bytes == 24


def test_vgg16_sees_an_image_of_224_pixels():
    table = summary(models.vgg16(rng=np.random.default_rng(0)), (3, 224, 224))
    assert table.total_parameters == 138_357_544
    assert table.total_multiply_adds == 15_470_264_320
    assert table.rows[-1].output_shape == (1, 1000)
