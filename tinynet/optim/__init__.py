"""Optimizers, which turn gradients into steps, and learning-rate schedules.

    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    scheduler = lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=1000)
    for x, y in loader:
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()
        scheduler.step()

`optimizer` holds what all share (groups, state, saving), `executor` how a step is carried out fast;
the formulas are in `sgd`, `adam` and `adaptive`.
"""

import importlib
from typing import Any

from tinynet.errors import no_attribute
from tinynet.optim import lr_scheduler
from tinynet.optim.adam import Adam, Adamax, AdamW, NAdam, RAdam
from tinynet.optim.adaptive import Adadelta, Adagrad, RMSprop, Rprop
from tinynet.optim.optimizer import Optimizer
from tinynet.optim.sgd import ASGD, SGD

__all__ = [
    "ASGD", "LBFGS", "SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "NAdam",
    "Optimizer", "RAdam", "RMSprop", "Rprop", "lr_scheduler",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "swa_utils":  # seldom needed, as the other
        return importlib.import_module("tinynet.optim.swa_utils")
    if name == "LBFGS":
        return importlib.import_module("tinynet.optim.lbfgs").LBFGS
    raise no_attribute("tinynet.optim", name, __all__)
