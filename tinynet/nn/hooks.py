"""Hooks: functions that a module calls before or after its forward pass, or in the backward."""

import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from tinynet.nn.members import check_initialised
from tinynet.ops import cat
from tinynet.tensor import RemovableHandle, Tensor

Args: TypeAlias = tuple[Any, ...]
Kwargs: TypeAlias = dict[str, Any]
NONE: Mapping[int, tuple[str, Callable[..., Any]]] = MappingProxyType({})


class Hooked:
    """What takes hooks: the part of every Module that registers them."""

    _hook_record = NONE  # in the order in which they are called, each with the kind it is of

    def __init__(self) -> None:
        self.__dict__["_hook_record"] = {}

    def _initialised(self, record: str) -> dict[Any, Any]:
        """One of the dicts that `__init__` makes; a clear error if it never ran."""
        check_initialised(self, record)
        return self.__dict__[record]  # type: ignore[no-any-return]

    def _registered(self, kind: str, hook: Callable[..., Any], prepend: bool) -> RemovableHandle:
        """Add a hook of a kind behind those that are there, or before."""
        hooks = self._initialised("_hook_record")
        there = {**hooks} if prepend else {}
        for number in there:
            del hooks[number]
        handle = RemovableHandle(hooks, (kind, hook))
        hooks.update(there)
        return handle

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args, output)` after each forward pass.

        What it returns, unless None, takes the place of the output. prepend: before the hooks that
        are there. with_kwargs: call `hook(module, args, kwargs, output)`.
        """
        full = hook if with_kwargs else functools.partial(without_kwargs, hook)
        return self._registered("forward", full, prepend)

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args)` before each forward pass.

        What it returns, unless None, takes the place of the arguments (a tuple, or the only one).
        with_kwargs: call `hook(module, args, kwargs)`, which returns None or new (args, kwargs).
        """
        full = hook if with_kwargs else functools.partial(without_kwargs, hook)
        return self._registered("forward_pre", full, prepend)

    def register_full_backward_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, grad_input, grad_output)` in each backward pass through the module.

        grad_input, grad_output: a gradient for each tensor that came in by position, and for each
        that went out; None where there is none. What it returns, unless None, takes the place of
        grad_input (a tuple, or the only one). See `Watched`.
        """
        return self._registered("backward", hook, prepend)

    register_backward_hook = register_full_backward_hook  # its name in older scripts

    def register_full_backward_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Before that, call `hook(module, grad_output)`, which may likewise replace grad_output."""
        return self._registered("backward", Early(hook), prepend)

    def has_hooks(self) -> bool:
        """Whether a hook is registered here, or for all modules."""
        return bool(self._hook_record or for_all)


every = Hooked()
"""What is registered here is called for every module, before its own hooks."""
for_all = every._hook_record


class Early(functools.partial[Any]):
    """A backward hook that is called before the gradient goes through the module."""


def without_kwargs(
    hook: Callable[..., Any], module: Any, args: Args, kwargs: Kwargs, *output: Any
) -> Any:
    """Call a hook that does not ask for the arguments by name, and return what one returns that
    does.
    """
    changed = hook(module, args, *output)
    if changed is None or output:
        return changed
    return changed if isinstance(changed, tuple) else (changed,), kwargs


def _all(kind: str, module: Any) -> list[Callable[..., Any]]:
    """The hooks of one kind for a module, those for every module first."""
    return [hook for own, hook in (*for_all.values(), *module._hook_record.values()) if own == kind]


def before(module: Any, args: Args, kwargs: Kwargs) -> tuple[Args, Kwargs, Callable[..., Any]]:
    """The arguments of `forward`, as the module's pre-hooks leave them; what to call after it."""
    for hook in _all("forward_pre", module):
        changed = hook(module, args, kwargs)
        if changed is not None:
            args, kwargs = changed
    watched = Watched(module, args) if _all("backward", module) else None
    return args if watched is None else watched.args, kwargs, functools.partial(after, watched)


def after(watched: "Watched | None", module: Any, args: Args, kwargs: Kwargs, y: Any) -> Any:
    """What the module gives, as its forward hooks leave it; its backward hooks will be called."""
    for hook in _all("forward", module):
        changed = hook(module, args, kwargs, y)
        if changed is not None:
            y = changed
    return y if watched is None else watched.watch(y)


class Watched:
    """One call of a module whose backward hooks wait for the gradients of its output and input.

    The inputs pass through a node of their own, so that a gradient is that of this use alone. The
    first of them that requires a gradient is the last to be reached in the backward pass: there
    the hooks are called (never, if the output does not depend on it), or, where no input requires
    a gradient, at the output.
    """

    def __init__(self, module: Any, args: Args) -> None:
        self.module = module
        self.args = tuple(map(_passed, args))
        self.inputs = [x for x in self.args if isinstance(x, Tensor)]
        self.asked = [i for i, x in enumerate(self.inputs) if x.requires_grad]
        self.dx: list[Tensor | None] = [None] * len(self.inputs)
        self.dy: list[Tensor | None] = []

    def watch(self, y: Any) -> Any:
        """Have the hooks called once the gradients of `y`, the module's output, are known."""
        several = type(y) in (tuple, list)
        outputs = list(y) if several else [y]
        tensors = [i for i, item in enumerate(outputs) if isinstance(item, Tensor)]
        self.dy = [None] * len(tensors)
        learn = [(k, i) for k, i in enumerate(tensors) if outputs[i].requires_grad]
        if learn:  # they pass through one node, whose gradient is there once all of theirs are
            joined = cat([outputs[i].reshape(-1) for _, i in learn])
            joined.register_hook(self._came_out)
            parts = joined.split([outputs[i].numel() for _, i in learn])
            for (k, i), part in zip(learn, parts):
                outputs[i] = part.reshape(outputs[i].shape).to(outputs[i].dtype)
                outputs[i].register_hook(functools.partial(self.dy.__setitem__, k))
        for i in self.asked:
            self.inputs[i].register_hook(functools.partial(self._came_in, i))
        return type(y)(outputs) if several else outputs[0]

    def _came_out(self, dy: Tensor) -> Tensor | None:
        replaced = self._call(True, self.dy)
        if not self.asked:
            self._call(False, self.dx, self.dy)
        return None if replaced is None else replaced.reshape(-1)

    def _came_in(self, place: int, dx: Tensor) -> Tensor | None:
        self.dx[place] = dx
        return self._call(False, self.dx, self.dy) if place == self.asked[0] else None

    def _call(self, early: bool, *gradients: list[Tensor | None]) -> Tensor | None:
        """Call the hooks; what replaces the first gradient of all, if anything."""
        replaced = None
        for hook in _all("backward", self.module):
            if isinstance(hook, Early) != early:
                continue
            changed = hook(self.module, *map(tuple, gradients))
            if changed is None:
                continue
            if len(gradients[0]) != 1:
                raise RuntimeError(
                    f"a backward hook: {type(self.module).__name__} has {len(gradients[0])} "
                    f"{'out' if early else 'in'}puts; it may replace the gradient of an only one"
                )
            (replaced,) = gradients[0][:] = changed if isinstance(changed, tuple) else [changed]
        return replaced


def _passed(x: Any) -> Any:
    """A tensor that requires a gradient behind a node of its own; anything else as it is."""
    return x.reshape(x.shape) if isinstance(x, Tensor) and x.requires_grad else x
