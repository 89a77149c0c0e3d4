"""Module: a part of a model, with what it learns and the parts it is made of.

Setting a Parameter, a Module or (with `register_buffer`) a tensor of state as an attribute is all
it takes to be found. The values live where Python puts attributes; `_members` only remembers the
names and kinds in the order of assignment, and everything else here is a walk over that record.

    class Net(Module):
        def __init__(self):
            super().__init__()
            self.hidden = Linear(64, 32)     # found: parameters "hidden.weight", "hidden.bias"
            self.output = Linear(32, 10)

        def forward(self, x):
            return self.output(self.hidden(x).relu())
"""

from __future__ import annotations

import functools
import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

import numpy as np

from tinynet.devices import check_device, dtype_of_to
from tinynet.errors import unknown_name
from tinynet.nn import members
from tinynet.nn.hooks import Hooked
from tinynet.nn.members import BUFFER, MODULE, PARAMETER, TRANSIENT, Members
from tinynet.nn.modes import ASLEEP, TRAINING, follow, mode_of, set_mode
from tinynet.nn.parameter import Parameter
from tinynet.nn.states import LoadResult, OwnState, load
from tinynet.nn.trail import call
from tinynet.tensor import Tensor, float32, float64

Self = TypeVar("Self", bound="Module")


class Module(Hooked, OwnState):
    """Base of all layers and models: subclass it, set layers as attributes, define `forward`."""

    _first: ClassVar[Sequence[str]] = ()  # the settings that `repr` shows without their names
    _shown: ClassVar[Sequence[str]] = ()  # and those with their names
    _members: Mapping[str, str] = MappingProxyType({})

    def __init__(self) -> None:
        super().__init__()
        object.__setattr__(self, "_members", {})

    # ----- calling ----------------------------------------------------------------------------

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes. Every subclass defines its own."""
        raise NotImplementedError(f"{type(self).__name__} needs a method `forward(self, x)`")

    __call__ = call

    # ----- members ----------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Parameter):
            self._register(name, PARAMETER)
        elif isinstance(value, Module) and self._members.get(name) != PARAMETER:
            self._register(name, MODULE)
        elif name in self._members:
            members.check_replacement(self, name, self._members[name], value)
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        if name in self._members:
            del self._initialised("_members")[name]

    def _register(self, name: str, kind: str) -> None:
        known = self._initialised("_members")
        if name not in known:
            members.check_name(self, name, kind, Module)
        known[name] = kind

    def register_buffer(self, name: str, tensor: Any, persistent: bool = True) -> None:
        """Set a tensor that is state but is not learned, such as a running mean.

        tensor: a Tensor, array or None. persistent: whether it belongs to the state_dict.
        """
        members.check_free(self, name, BUFFER, TRANSIENT)
        self._register(name, BUFFER if persistent else TRANSIENT)
        if tensor is not None and not isinstance(tensor, Tensor):
            tensor = Tensor(tensor)
        object.__setattr__(self, name, tensor)

    def register_parameter(self, name: str, parameter: Parameter | None) -> None:
        """Set a parameter by name; None keeps the place of one that is left out."""
        if not isinstance(parameter, Parameter):
            members.check_replacement(self, name, PARAMETER, parameter)
        members.check_free(self, name, PARAMETER)
        self._register(name, PARAMETER)
        object.__setattr__(self, name, parameter)

    def add_module(self, name: str, module: Module | None) -> None:
        """Set a sub-module by name, which may be a number such as "0"."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{type(self).__name__}: {name!r} {members.not_a_layer(module)}")
        members.check_free(self, name, MODULE)
        self._register(name, MODULE)
        object.__setattr__(self, name, module)

    register_module = add_module

    @property
    def _modules(self) -> Members:
        """The sub-modules by name, as PyTorch's `_modules`: what is put in is set here."""
        return Members(self, (MODULE,), self.add_module)

    @property
    def _parameters(self) -> Members:
        """The module's own parameters by name, likewise."""
        return Members(self, (PARAMETER,), self.register_parameter)

    @property
    def _buffers(self) -> Members:
        """The module's own buffers by name, likewise."""
        return Members(self, (BUFFER, TRANSIENT), self.register_buffer)

    # ----- walks ------------------------------------------------------------------------------

    def _own(self, *kinds: str) -> Iterator[tuple[str, Any]]:
        """The module's own members of these kinds, those that are None left out."""
        for name, kind in list(self._members.items()):
            if kind in kinds and self.__dict__[name] is not None:
                yield name, self.__dict__[name]

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The direct sub-modules with their names, in the order of assignment."""
        return self._own(MODULE)

    def children(self) -> Iterator[Module]:
        """The direct sub-modules."""
        return (module for _, module in self._own(MODULE))

    def named_modules(
        self, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """The module itself (named `prefix`) and all below it, each with its path."""
        seen: set[int] = set()
        pending = [(prefix, self)]
        while pending:
            path, module = pending.pop()
            if remove_duplicate and id(module) in seen:
                continue
            seen.add(id(module))
            yield path, module
            below = [(_join(path, name), child) for name, child in module.named_children()]
            pending.extend(reversed(below))

    def modules(self) -> Iterator[Module]:
        """The module itself and all below it, each once."""
        return (module for _, module in self.named_modules())

    def _named(
        self, kinds: tuple[str, ...], prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        modules = self.named_modules(prefix, remove_duplicate) if recurse else [(prefix, self)]
        seen: set[int] = set()
        for path, module in modules:
            for name, value in module._own(*kinds):
                if not (remove_duplicate and id(value) in seen):
                    seen.add(id(value))
                    yield _join(path, name), value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """All parameters with their paths, such as "features.0.weight"; a shared one once."""
        return self._named((PARAMETER,), prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters, each once. TypeError where a list, no ModuleList, hides layers."""
        if recurse:
            members.check_lists(self)
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """All buffers with their paths."""
        return self._named((BUFFER, TRANSIENT), prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All buffers, each once."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def get_submodule(self, path: str) -> Module:
        """The module at a path such as "features.0"; "" is the module itself.

        Raises ValueError with the names that exist.
        """
        module = self
        for part in path.split(".") if path else ():
            children = dict(module.named_children())
            if part not in children:
                raise unknown_name(f"layer of {type(module).__name__}", part, children)
            module = children[part]
        return module

    def get_parameter(self, path: str) -> Parameter:
        """The parameter at a path such as "features.0.weight"; ValueError names the known ones."""
        parent, _, name = path.rpartition(".")
        parameters = dict(self.get_submodule(parent).named_parameters(recurse=False))
        if name not in parameters:
            raise unknown_name("parameter", name, parameters)
        return parameters[name]

    def apply(self: Self, function: Callable[[Module], Any]) -> Self:
        """Call `function` on every module below and then on this one; returns the module."""
        for child in self.children():
            child.apply(function)
        function(self)
        return self

    # ----- modes ------------------------------------------------------------------------------

    @property
    def training(self) -> bool:
        """Whether layers such as Dropout and BatchNorm behave as in training; see `train`."""
        return mode_of(self) == TRAINING

    @training.setter
    def training(self, training: bool) -> None:
        if training != self.training:
            set_mode(self, TRAINING if training else ASLEEP)

    def train(self: Self, mode: bool = True) -> Self:
        """Behave as in training (mode=False: as in use), the sub-modules too.

        A layer put into evaluation mode by itself, and not with the whole model, is left in it by
        `fit`; only `train` on it, or on what holds it, wakes it up.
        """
        set_mode(self, TRAINING if mode else ASLEEP)
        for child in self.children():
            follow(child, mode)
        return self

    def eval(self: Self) -> Self:
        """Behave as in use: no dropout, batch norm by its running statistics."""
        return self.train(False)

    def requires_grad_(self: Self, requires_grad: bool = True) -> Self:
        """Have all parameters learn, or (False) freeze them."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters (set_to_none=False: fill them with 0)."""
        for parameter in self.parameters():
            if set_to_none or parameter.grad is None:
                parameter.grad = None
            else:
                parameter.grad.zero_()

    def to(self: Self, *args: Any, **settings: Any) -> Self:
        """Convert all float parameters, gradients and buffers to float32 or float64, in place.

        As in PyTorch `to("cpu")`, `to(dtype)` or both; see `Tensor.to`. Returns the module.
        """
        dtype = dtype_of_to(*args, **settings)
        if dtype is not None:
            target = members.float_dtype(f"{type(self).__name__}.to", dtype)
            for tensor in itertools.chain(self.parameters(), self.buffers()):
                members.convert(tensor, target)
        return self

    def cpu(self: Self) -> Self:
        """The module itself, which is on the CPU."""
        return self

    def cuda(self: Self, device: Any = None) -> Self:
        """RuntimeError: tinynet computes on the CPU."""
        check_device("cuda" if device is None else device)
        return self

    astype = type = to
    float, double = functools.partialmethod(to, float32), functools.partialmethod(to, float64)
    half = bfloat16 = functools.partialmethod(to, np.float16)  # raises: there are float32, float64

    # ----- state ------------------------------------------------------------------------------

    def _named_state(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        """Parameters, then persistent buffers, then those of the children: PyTorch's order."""
        for name, tensor in (*self._own(PARAMETER), *self._own(BUFFER)):
            yield _join(prefix, name), tensor
        for name, child in self.named_children():
            yield from child._named_state(_join(prefix, name))

    def state_dict(self, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> Any:
        """All parameters and persistent buffers by path, under PyTorch's names and in its order.

        As in PyTorch they share the model's memory: training goes on in them. `copy.deepcopy` of
        the dict keeps the values of now. destination: the dict to fill. prefix: begins the names,
        such as "net.". keep_vars: the tensors themselves, with their gradients.
        """
        state = OrderedDict() if destination is None else destination
        self._save_to_state_dict(state, prefix, keep_vars)
        for name, child in self.named_children():
            child.state_dict(destination=state, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        return state

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> LoadResult:
        """Take over the values of a state_dict, in place.

        state_dict: arrays or tensors (of any framework that NumPy takes) by path. Another float
        dtype is converted, as is another integer dtype. Everything is checked before anything is
        written: a model is never half loaded. assign: take the arrays themselves where they need
        no conversion, in place of their values.

        Raises CheckpointError with the whole list of what is missing, unexpected, or does not
        fit. With strict=False names may be missing and unexpected; those are returned.
        """
        return load(self, state_dict, strict, assign)

    # ----- text -------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """The settings to show in `repr`, such as "in_features=2, out_features=3"."""
        first = [repr(getattr(self, name)) for name in self._first]
        shown = [(name, getattr(self, name)) for name in self._shown]
        named = [f"{k}={value is not None if k == 'bias' else value!r}" for k, value in shown]
        return ", ".join(first + named)

    def _get_name(self) -> str:
        return type(self).__name__

    def _lines(self) -> list[str]:
        """A line or more for each child in `repr`."""
        return [f"({name}): {child!r}" for name, child in self.named_children()]

    def __repr__(self) -> str:
        lines = self._lines()
        if not lines:
            return f"{type(self).__name__}({self.extra_repr()})"
        body = "\n".join([self.extra_repr(), *lines] if self.extra_repr() else lines)
        return f"{type(self).__name__}(\n  " + body.replace("\n", "\n  ") + "\n)"


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
