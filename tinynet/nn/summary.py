"""summary: what a model is made of, what it costs, and what shapes pass through it.

The figures come from one real forward pass of zeros: hooks on the modules say which layer is
running, and an observer of the operations counts the multiply-adds of each convolution and
matrix product, so that those written by hand inside a `forward` are counted too.
"""

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, astuple, dataclass
from typing import Any

import numpy as np

from tinynet import autograd, html
from tinynet.console import columns, shortened
from tinynet.nn.members import check_model
from tinynet.nn.modes import evaluating
from tinynet.nn.module import Module
from tinynet.nn.shapes import aligned, sizes, title
from tinynet.tensor import Tensor, float32


@dataclass
class Row:
    """One call of a layer.

    name: path in the model. layer: class and main settings. output_shape: with the batch.
    parameters: elements of the layer's own parameters, 0 if a row above counted them.
    multiply_adds, activation_bytes: for the whole batch, of the layer's own operations.
    """

    name: str
    layer: str
    output_shape: tuple[int, ...]
    parameters: int = 0
    multiply_adds: int = 0
    activation_bytes: int = 0


@dataclass
class Summary:
    """What `summary` found: the rows, the totals, and as `str` a table of them."""

    model: str
    input_shape: tuple[int, ...]
    rows: list[Row]
    total_parameters: int
    trainable_parameters: int
    total_multiply_adds: int
    activation_bytes: int
    parameter_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """The same as plain dicts, lists and numbers, for JSON."""
        return asdict(self)

    def cells(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """The table as texts: its head, and its rows, of which the last is the total."""
        head = ("name", "layer", "output", "parameters", "mul-adds", "memory")
        totals = self.total_parameters, self.total_multiply_adds, self.activation_bytes
        each = map(astuple, [*self.rows, Row("total", self.model, (), *totals)])
        rows = [
            (name, layer, sizes(shape), f"{own:,}", _scaled(adds), _bytes(memory))
            for name, layer, shape, own, adds, memory in each
        ]
        return head, [("", "input", sizes(self.input_shape), "", "", ""), *rows]

    def notes(self) -> list[str]:
        """The totals in words, two lines."""
        frozen = self.total_parameters - self.trainable_parameters
        return [
            f"{self.trainable_parameters:,} trainable parameters"
            + (f", {frozen:,} frozen" if frozen else "")
            + f", {_bytes(self.parameter_bytes)} of parameters",
            f"{_scaled(self.total_multiply_adds)} multiply-adds for a batch of "
            f"{self.input_shape[0]}",
        ]

    def __str__(self) -> str:
        head, rows = self.cells()
        lines = aligned([head, *rows])
        if len(lines[0]) > columns():
            rows = [(name, layer.replace(", ", ","), *sizes) for name, layer, *sizes in rows]
            longest = max(len(name) for name, *_ in rows)
            excess = len(aligned([head, *rows])[0]) - columns()
            names = shortened([name for name, *_ in rows], max(longest - max(excess, 0), 10))
            lines = aligned([head, *((name, *row[1:]) for name, row in zip(names, rows))])
        rule = "-" * max(map(len, lines))
        return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1], "", *self.notes()])

    def _repr_html_(self) -> str:
        """The table, for notebooks."""
        return html.table(*self.cells(), left=2) + html.preformatted("\n".join(self.notes()))

    __repr__ = __str__


def summary(model: Module, input_shape: int | Sequence[int], batch_size: int = 1) -> Summary:
    """A table of a model's layers, output shapes, parameters, multiply-adds and activations.

    input_shape: without the axis of the batch, such as (3, 224, 224). The model runs once on
    zeros in evaluation mode, without recording, and is afterwards in the mode it was in.
    A row is one call of a layer that has no layers inside it, or that computes something of its
    own. Multiply-adds are those of convolutions and matrix products; elementwise work counts as
    none. Activations are the outputs of all operations, less those that share their input's memory.
    Raises ShapeError, with the layer, if the model cannot take such an input; TypeError for none.

    >>> from tinynet import nn
    >>> table = summary(nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)), (64,))
    >>> print(table)
    name   layer           output  parameters  mul-adds  memory
    -----------------------------------------------------------
           input            1x64
    0      Linear(64, 32)   1x32        2,080    2.05 k   128 B
    1      ReLU             1x32            0         0   128 B
    2      Linear(32, 10)   1x10          330       320    40 B
    -----------------------------------------------------------
    total  Sequential                   2,410    2.37 k   296 B
    <BLANKLINE>
    2,410 trainable parameters, 9.4 KiB of parameters
    2.37 k multiply-adds for a batch of 1
    >>> table.total_parameters
    2410
    """
    check_model("summary", model)
    parameters = list(model.parameters())
    dtype = parameters[0].dtype if parameters else float32
    shape = (batch_size, *np.broadcast_shapes(input_shape))  # of a number: a row of so many
    rows = _Walk(model).run(Tensor(np.zeros(shape, dtype)))
    return Summary(
        model=type(model).__name__,
        input_shape=shape,
        rows=rows,
        total_parameters=sum(p.numel() for p in parameters),
        trainable_parameters=sum(p.numel() for p in parameters if p.requires_grad),
        total_multiply_adds=sum(row.multiply_adds for row in rows),
        activation_bytes=sum(row.activation_bytes for row in rows),
        parameter_bytes=sum(p.array.nbytes for p in parameters),
    )


class _Walk:
    """One forward pass with a row for each call of a module."""

    def __init__(self, model: Module) -> None:
        self.model = model
        self.names = {id(module): name for name, module in model.named_modules()}
        self.rows: list[Row] = []
        self.running: list[Row] = []
        self.counted: set[int] = set()

    def run(self, x: Tensor) -> list[Row]:
        """The rows that are worth showing, in the order in which the calls began."""
        with ExitStack() as stack:
            for module in self.model.modules():
                stack.enter_context(module.register_forward_pre_hook(self.enter))
                stack.enter_context(module.register_forward_hook(self.leave))
            stack.enter_context(autograd.observe(self.count))
            stack.enter_context(evaluating(self.model))(x)
        return [row for row in self.rows if row.layer]

    def enter(self, module: Module, args: tuple[Any, ...]) -> None:
        row = Row(self.names[id(module)], title(module), ())
        for parameter in module.parameters(recurse=False):
            if id(parameter) not in self.counted:
                self.counted.add(id(parameter))
                row.parameters += parameter.numel()
        self.rows.append(row)
        self.running.append(row)

    def leave(self, module: Module, args: tuple[Any, ...], output: Any) -> None:
        row = self.running.pop()
        if isinstance(output, Tensor):
            row.output_shape = output.shape
        own = row.parameters + row.multiply_adds + row.activation_bytes
        if not own and next(module.children(), None) is not None:
            row.layer = ""  # nothing of its own to show

    def count(self, op: str, args: tuple[Any, ...], settings: dict[str, Any], output: Any) -> None:
        if not self.running:
            return
        row = self.running[-1]
        row.multiply_adds += multiply_adds(op.rpartition(".")[2], args, output)
        inputs = [x.array for x in args if isinstance(x, Tensor)]
        if not any(np.may_share_memory(output.array, x) for x in inputs):
            row.activation_bytes += output.array.nbytes


def multiply_adds(op: str, args: tuple[Any, ...], output: Any) -> int:
    """Multiply-adds of one call: for each output element, the length of the sum it is."""
    if op == "conv2d":
        return int(output.array.size * math.prod(args[1].shape[1:]))
    if op == "conv_transpose2d":  # each input element goes through the kernel once
        return int(args[0].array.size * math.prod(args[1].shape[1:]))
    if op in ("linear", "matmul"):
        return int(output.array.size * args[0].shape[-1])
    return 0


def _scaled(number: int) -> str:
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return str(number)


def _bytes(number: int) -> str:
    if number < 1024:
        return f"{number} B"
    units = (("KiB", 2**10), ("MiB", 2**20), ("GiB", 2**30))
    unit, size = next((pair for pair in units if number < 1000 * pair[1]), units[-1])
    return f"{number / size:.{int(number < 9.95 * size)}f} {unit}"
