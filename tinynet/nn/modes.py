"""Training and evaluation: the mode of a module, who set it, and where it holds.

A module that was put into evaluation mode itself is ASLEEP, one that only followed the module
above it is in EVALUATION: so training can leave asleep what somebody put to sleep. Inside of
`evaluating` modes are the thread's own: other threads that use the model see nothing of it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING

from tinynet import grad_mode

if TYPE_CHECKING:
    from tinynet.nn.module import Module

TRAINING, EVALUATION, ASLEEP = 1, 0, -1

_here: ContextVar[dict[int, int] | None] = ContextVar("modes of this thread alone", default=None)


def mode_of(module: Module) -> int:
    """TRAINING, EVALUATION or ASLEEP."""
    here = _here.get()
    if here is not None and id(module) in here:
        return here[id(module)]
    mode: int = module.__dict__.get("training", TRAINING)
    return mode


def set_mode(module: Module, mode: int) -> None:
    """Put this module alone into a mode."""
    here = _here.get()
    if here is not None and id(module) in here:
        here[id(module)] = mode
    else:
        module.__dict__["training"] = mode


def follow(module: Module, training: bool) -> None:
    """`module.train(training)` on behalf of the module above, or of a function."""
    before = mode_of(module)
    module.train(training)
    if not training and before != ASLEEP:
        set_mode(module, EVALUATION)


def asleep(model: Module) -> dict[str, Module]:
    """The layers that were put into evaluation mode themselves, by path; without the model."""
    return {
        path: module
        for path, module in model.named_modules()
        if module is not model and mode_of(module) == ASLEEP
    }


def train_the_awake(model: Module) -> None:
    """`model.train()`, but layers that are asleep, and all below them, stay as they are."""
    before = [
        (module, mode_of(module)) for layer in asleep(model).values() for module in layer.modules()
    ]
    follow(model, True)
    for module, mode in before:
        set_mode(module, mode)


@contextlib.contextmanager
def evaluating(model: Module) -> Iterator[Module]:
    """The model in evaluation mode, and nothing recorded; every mode is afterwards as before.

    It holds in this thread alone, as `no_grad` does, so that others may use the model, and train
    it, meanwhile.

        with evaluating(model):
            scores = model(x)
    """
    before = _here.get()
    modules = list(model.modules())  # an id is of no other object as long as this lives
    try:
        _here.set({**(before or {}), **{id(module): mode_of(module) for module in modules}})
        model.eval()
        with grad_mode.no_grad():
            yield model
    finally:
        _here.set(before)
