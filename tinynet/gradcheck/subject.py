"""What is checked: a function of named tensors, which can be run at any values of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from tinynet import autograd
from tinynet.gradcheck import kinks
from tinynet.gradcheck.differences import Function, Outcome
from tinynet.gradcheck.trace import parameter_names, plain
from tinynet.nn.module import Module
from tinynet.tensor import Tensor

_names: dict[str, tuple[str, ...]] = {}  # of the parameters of operations that have kinks


class Subject:
    """A function `run` of the tensors `targets`, whose gradients are to be checked.

    name: how it is called in reports. model: the module whose layers are named in reports.
    """

    def __init__(
        self,
        name: str,
        run: Callable[[], Any],
        targets: dict[str, Tensor],
        model: Module | None = None,
    ) -> None:
        self.name, self.targets, self.model = name, targets, model
        self._run = run

    def run(self) -> Tensor:
        """The function at the present values, recorded. Raises TypeError unless it is a tensor."""
        with np.errstate(all="ignore"):
            y = self._run()
        if not isinstance(y, Tensor):
            raise TypeError(
                f"gradcheck: {self.name} returned {type(y).__name__}, it must return a Tensor; "
                "an operation written with NumPy needs @tinynet.differentiable above it"
            )
        return y

    def outcome(self) -> Outcome:
        """Values and branches at the present values; nothing is recorded."""
        branches: list[kinks.Branch] = []

        def observer(op: str, args: tuple[Any, ...], settings: dict[str, Any], output: Any) -> None:
            if op.rpartition(".")[2] not in kinks.SIGNATURES:
                return
            if op not in _names:
                _names[op] = parameter_names(autograd.state.operation.forward, 99)
            arrays = [plain(arg) for arg in args]
            branch = kinks.branch(op, _names[op], arrays, settings)
            if branch is not None:
                branches.append(branch)

        with autograd.no_grad(), autograd.observe(observer):
            y = self.run()
        return Outcome(np.array(y.data, np.float64), branches)

    @contextlib.contextmanager
    def at(self, values: Mapping[str, np.ndarray]) -> Iterator[None]:
        """Within the block, the named targets have other values."""
        before = {name: self.targets[name].data for name in values}
        try:
            for name, value in values.items():
                self.targets[name].data = value
            yield
        finally:
            for name, value in before.items():
                self.targets[name].data = value

    def function_of(self, name: str) -> Function:
        """The function of one target alone, the others staying as they are."""

        def f(x: np.ndarray) -> Outcome:
            with self.at({name: x}):
                return self.outcome()

        return f

    def gradients(self, u: np.ndarray) -> tuple[Tensor, dict[str, np.ndarray]]:
        """The result, and the gradient of sum(u * result) by the framework's own backward."""
        y = self.run()
        return y, self.pull_back(y, u)

    def pull_back(self, y: Tensor, u: np.ndarray) -> dict[str, np.ndarray]:
        """The gradient of each target for the output gradient u; 0 where none arrives."""
        try:
            with np.errstate(all="ignore"):
                y.backward(u.copy())
            return {
                name: np.zeros(x.shape) if x.grad is None else np.array(x.grad.data)
                for name, x in self.targets.items()
            }
        finally:
            for x in self.targets.values():
                x.grad = None

    def nearby(self, rng: np.random.Generator, share: float) -> dict[str, np.ndarray]:
        """Other values for all targets: each element changed by about this share of itself."""
        values = {}
        for name, x in self.targets.items():
            noise = rng.standard_normal(x.shape)
            values[name] = x.data * (1 + share * noise) + 1e-3 * noise * (x.data == 0)
        return values
