"""Stochastic weight averaging: a model whose weights are the mean of those seen in training.

    averaged = AveragedModel(model)
    schedule = SWALR(optimizer, swa_lr=0.05)
    for epoch in range(epochs):
        ...
        averaged.update_parameters(model)
        schedule.step()
    update_bn(loader, averaged)

Source: Izmailov et al., "Averaging weights leads to wider optima", 2018, arXiv:1803.05407.
"""

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinynet.grad_mode import no_grad
from tinynet.nn.module import Module
from tinynet.nn.norm import BatchNorm1d, BatchNorm2d
from tinynet.optim.checks import Anneal, Count, PerGroup
from tinynet.optim.lr_scheduler import LRScheduler, cosine

Mean = Callable[[Any, Any, Any], Any]


class AveragedModel(Module):
    """A copy of the model, whose weights become the mean of those that `update_parameters` sees.

    avg_fn(mean, new, number): the next mean, by default mean + (new - mean) / (number + 1).
    use_buffers: average buffers too; else they are copied.
    """

    n_averaged: Any

    def __init__(
        self, model: Module, device: Any = None, avg_fn: Mean | None = None,
        multi_avg_fn: Callable[..., None] | None = None, use_buffers: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.module = copy.deepcopy(model).to(device=device)
        self.register_buffer("n_averaged", np.zeros((), np.int64))
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def forward(self, *args: Any, **settings: Any) -> Any:
        return self.module(*args, **settings)

    @no_grad()
    def update_parameters(self, model: Module) -> None:
        """Take the weights of the model into the mean."""
        n = int(self.n_averaged.item())
        buffers: list[Any] = list(zip(self.module.buffers(), model.buffers()))
        pairs: list[Any] = list(zip(self.module.parameters(), model.parameters()))
        pairs += buffers if self.use_buffers else []
        if n and self.multi_avg_fn:
            self.multi_avg_fn([mean for mean, _ in pairs], [new for _, new in pairs], n)
        average = self.avg_fn or (lambda mean, new, n: mean + (new - mean) / (n + 1))
        for mean, new in pairs if not (n and self.multi_avg_fn) else ():
            mean.copy_(average(mean, new, n) if n else new)
        for own, new in () if self.use_buffers else buffers:
            own.copy_(new)
        self.n_averaged += 1


def get_ema_avg_fn(decay: float = 0.999) -> Mean:
    """The moving mean decay * mean + (1 - decay) * new, for `avg_fn`."""
    return lambda mean, new, n: decay * mean + (1 - decay) * new


def get_ema_multi_avg_fn(decay: float = 0.999) -> Callable[..., None]:
    """The moving mean of all parameters, for `multi_avg_fn`."""

    def update(means: Iterable[Any], news: Iterable[Any], n: Any) -> None:
        for mean, new in zip(means, news):
            mean.copy_(decay * mean + (1 - decay) * new)

    return update


@no_grad()
def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Compute the running statistics of batch norm anew, as means over the batches of the loader.

    Needed for averaged weights, whose activations nobody has seen.
    """
    norms = [m for m in model.modules() if isinstance(m, (BatchNorm1d, BatchNorm2d))]
    before = model.training, [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean
    model.train()
    for batch in loader if norms else ():
        model(batch[0] if isinstance(batch, (tuple, list)) else batch)
    for norm, momentum in zip(norms, before[1]):
        norm.momentum = momentum
    model.train(before[0])


@dataclass(eq=False, repr=False)
class SWALR(LRScheduler):
    """From the rate that it finds to `swa_lr` in `anneal_epochs` steps, then constant.

    anneal_strategy: "cos", half a cosine wave, or "linear".
    """

    swa_lr: PerGroup
    anneal_epochs: Count = 10
    anneal_strategy: Anneal = "cos"
    last_epoch: int = -1

    def step(self, epoch: float | None = None) -> None:
        """Set the next rates, from those that another schedule may have set meanwhile."""
        self._last_lr = [float(group["lr"]) for group in self.optimizer.param_groups]
        super().step(epoch)

    def get_lr(self) -> list[float]:
        left, now = self._left(self.last_epoch - 1), self._left(self.last_epoch)
        rates = zip(self._last_lr, self.swa_lr)
        return [end + (lr - end) * (now / left if left else 0.0) for lr, end in rates]

    def _left(self, n: float) -> float:
        """The part of the way that is left after n steps."""
        done = min(max(n, 0) / max(self.anneal_epochs, 1), 1.0)
        return cosine(1.0, 0.0, np.pi * done) if self.anneal_strategy == "cos" else 1.0 - done
