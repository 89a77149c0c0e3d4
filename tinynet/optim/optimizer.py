"""Optimizer: what every optimizer shares. The update formulas are in the files beside this one.

A step goes over the parameters of each group and calls `update` on their arrays, which changes
them in place: a parameter's memory stays the same array for life, so views onto it stay valid.
What an optimizer remembers of a parameter between steps (a velocity, an average of squares) lies
in `state[parameter]`, tensors of the parameter's dtype and memory order beside the count of steps.

How large arrays are cut into blocks and small ones put together is up to the `executor`.
"""

import functools
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, ParamSpec, TypeAlias, TypeVar

import numpy as np

from tinynet.autograd import Variable, wrap
from tinynet.changes import note_change
from tinynet.errors import CheckpointError, ShapeError, integer, unknown_name
from tinynet.grad_mode import enable_grad
from tinynet.nn.parameter import check_tensors, parameter_list
from tinynet.optim.checks import checks_of
from tinynet.optim.executor import Array, Executor, Pairs, Remembered, State
from tinynet.tensor import RemovableHandle, Tensor

Params: TypeAlias = Iterable[Tensor] | Iterable[dict[str, Any]]
Settings: TypeAlias = dict[str, Any]
P = ParamSpec("P")
R = TypeVar("R")
required: Any = type("required", (), {"__repr__": lambda self: "<required parameter>"})()
"""In place of a default: each group must give this setting."""
PLAIN = frozenset([float, int, bool, type(None)])
"""Types of settings that `_plain` leaves as they are."""
MAY_LACK = {"foreach", "fused", "capturable", "differentiable", "decoupled_weight_decay"}
"""Settings that older files do not have."""


def _hooked(step: Callable[P, R]) -> Callable[P, R]:
    """An optimizer's step between its hooks; one that a subclass's step calls does without."""

    @functools.wraps(step)
    def with_hooks(self: Any, *args: Any, **kwargs: Any) -> Any:
        if type(self).step is not with_hooks:
            return step(self, *args, **kwargs)  # type: ignore[call-arg, arg-type]
        for hook in tuple(self._step_pre_hooks.values()):
            args, kwargs = hook(self, args, kwargs) or (args, kwargs)
        result: Any = step(self, *args, **kwargs)  # type: ignore[call-arg, arg-type]
        for hook in tuple(self._step_post_hooks.values()):
            hook(self, args, kwargs)
        return result

    return with_hooks  # type: ignore[return-value]


class Optimizer:
    """Base of all optimizers: parameter groups, state, `step`, `zero_grad`, saving and loading.

    params: the tensors to optimize, as `model.parameters()` or with their names; or a list of
    groups, dicts with `params` and the settings that differ from the defaults:
    `SGD([{"params": body}, {"params": head, "lr": 0.1}], lr=0.01)`. A group may have a `name`.
    defaults: the settings for groups that do not give them.

    A subclass declares which arrays it remembers, and writes `update`. How a setting is checked
    may stand in the signature: `lr: Annotated[float, at_least_zero]`, see `optim.checks`.

    >>> import tinynet
    >>> from tinynet.optim import Optimizer
    >>> class SignDescent(Optimizer):
    ...     def __init__(self, params, lr=0.01):
    ...         super().__init__(params, {"lr": lr})
    ...
    ...     def update(self, p, g, state, settings, t, u):
    ...         p -= settings["lr"] * np.sign(g)
    >>> w = tinynet.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = SignDescent([w], lr=0.5)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([ 0.5000, -1.5000], requires_grad=True)

    Frozen parameters are left as they are, as all without `.grad`. Raises ValueError for no
    parameters, duplicates, tensors that are not leaves, impossible settings and misspelt ones;
    TypeError for what is no parameter at all.
    """

    required_state: ClassVar[tuple[str, ...]] = ()
    """Arrays remembered of every parameter."""
    optional_state: ClassVar[dict[str, str]] = {}
    """Arrays remembered only where a setting is not 0, each with the name of the setting."""
    initial_state: ClassVar[dict[str, str | float]] = {}
    """What arrays are filled with before the first step, if not with 0: a setting or a number."""
    elementwise: ClassVar[bool] = False
    """Whether `update`, defined in this class, treats each number alone: then small parameters
    are given to it together, as one, and large ones in blocks."""

    _step_pre_hooks: Mapping[int, Callable[..., Any]] = MappingProxyType({})
    _step_post_hooks = _step_pre_hooks  # of one that wraps another and is not initialised

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        self.defaults = {name: self._checked(name, value) for name, value in defaults.items()}
        self.param_groups: list[dict[str, Any]] = []
        self.state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        self._step_pre_hooks, self._step_post_hooks = {}, {}
        writer = next(c for c in type(self).__mro__ if "update" in vars(c))
        self._executor = Executor(bool(vars(writer).get("elementwise")))
        items = parameter_list(type(self).__name__, params)
        grouped = all(isinstance(item, dict) for item in items)
        for group in items if grouped else [{"params": items}]:
            self.add_param_group(group)

    # ----- what a subclass writes -------------------------------------------------------------

    def update(self, p: Array, g: Array, state: State, group: Settings, t: Array, u: Array) -> None:
        """Change the array `p`, and the arrays in `state`, in place by one step along `g`.

        p, g: a parameter and its gradient, which must not be changed; if the optimizer is
        `elementwise`, also blocks of them, or several parameters side by side. Weight decay and
        `maximize` are in g already. state: the arrays that `remembered` names, of the shape of p,
        and `step`, which counts from 1. group: its settings, as plain numbers. t, u:
        scratch arrays of the shape and dtype of p.
        """
        raise NotImplementedError(f"{type(self).__name__} must define update()")

    def remembered(self, settings: Settings) -> tuple[str, ...]:
        """The names of the arrays that `update` needs in `state` under these settings."""
        optional = [name for name, switch in self.optional_state.items() if settings[switch]]
        return (*self.required_state, *optional)

    def check_together(self, settings: Settings) -> None:
        """Raise ValueError if the settings, each fine alone, do not go together."""

    # ----- groups -----------------------------------------------------------------------------

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group: a dict with `params` and the settings that differ from the defaults.

        What else is in it is kept, unless it looks like a setting misspelt.
        """
        name = type(self).__name__
        if not isinstance(param_group, dict) or "params" not in param_group:
            raise TypeError(
                f"{name}: a parameter group is a dict with the key 'params', such as "
                f"{{'params': model.parameters(), 'lr': 0.01}}, not {_shown(param_group)}"
            )
        settings = self._checked_settings(param_group)
        params = param_group["params"]
        params = [params] if isinstance(params, Variable) else parameter_list(name, params)
        if all(type(p) is tuple and len(p) == 2 for p in params):  # model.named_parameters()
            settings["param_names"], params = map(list, zip(*params))
        self._check_params(params)
        self.param_groups.append({"params": params, **settings})

    def _check_params(self, params: list[Any]) -> None:
        check_tensors(type(self).__name__, params)
        known = {id(p) for p in self._all_params()}
        for i, p in enumerate(params):
            wrong = None
            if p.node is not None:
                wrong = (
                    f"is the result of {p.node.name!r}, so its gradient passes through to where it "
                    "came from. Optimize the tensor it was computed from, or make a leaf: "
                    "x.detach().clone().requires_grad_()."
                )
            elif id(p) in known:
                wrong = "is given twice, so each step would move it twice. Give it to one group."
            if wrong:
                raise ValueError(f"{type(self).__name__}: params[{i}] of shape {p.shape} {wrong}")
            known.add(id(p))

    def _checked(self, name: str, value: Any) -> Any:
        check = checks_of(type(self)).get(name)
        return value if check is None else check(type(self).__name__, name, value)

    def _checked_settings(self, group: dict[str, Any]) -> dict[str, Any]:
        """The settings of a group, defaults filled in, each checked and made a plain number."""
        for name in group.keys() - {*self.defaults, "params", "name", "initial_lr"}:
            import difflib  # only needed here, and slow to load

            if difflib.get_close_matches(str(name), self.defaults, 1, cutoff=0.75):
                raise unknown_name(f"{type(self).__name__} setting", name, self.defaults)
        settings = {**self.defaults, **group}
        for name, value in settings.items():
            if value is required:
                raise ValueError(f"{type(self).__name__}: each group must give {name}")
        del settings["params"]
        if "initial_lr" in group:  # written by a schedule
            self._checked("lr", group["initial_lr"])
        settings = {name: self._checked(name, value) for name, value in settings.items()}
        self.check_together(settings)
        return settings

    # ----- the step ---------------------------------------------------------------------------

    def __init_subclass__(cls) -> None:
        """A step of a subclass's own calls the hooks too."""
        if "step" in vars(cls):
            cls.step = _hooked(cls.step)  # type: ignore[method-assign]

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` before each step.

        What it returns, unless None, takes the place of (args, kwargs).
        """
        return RemovableHandle(vars(self).setdefault("_step_pre_hooks", {}), hook)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` after each step."""
        return RemovableHandle(vars(self).setdefault("_step_post_hooks", {}), hook)

    @_hooked
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change every parameter that has a gradient, in place, by one step.

        Parameters whose `.grad` is None are left alone. closure: computes the loss and its
        gradients anew before the step; its result is returned. All gradients are looked at
        before the first parameter is changed. Raises ShapeError for a gradient of another shape;
        FloatingPointError for what is too large, such as the square of a gradient of 1e20 in
        float32: the parameters before it have moved by then. What is too small counts as 0.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        work = [self._pairs(group["params"]) for group in self.param_groups]
        try:
            self._step_groups(work)
        except FloatingPointError as error:
            if "overflow" not in str(error):
                raise
            raise self._too_large(error) from error
        return loss

    @np.errstate(over="raise", under="ignore")
    def _step_groups(self, work: list[Pairs]) -> None:
        for i, (group, pairs) in enumerate(zip(self.param_groups, work, strict=True)):
            settings = {**group}
            del settings["params"]
            if not PLAIN.issuperset(map(type, settings.values())):
                settings = {name: _plain(value) for name, value in settings.items()}
            names = self.remembered(settings)
            formula = functools.partial(self._formula, settings)
            for p, g in self._executor.update_small(formula, i, pairs, self.state, names):
                state = self.state[p]
                step = state["step"] = state.get("step", 0) + 1
                for name in names:
                    if name not in state:
                        start: Any = self.initial_state.get(name, 0.0)
                        state[name] = wrap(np.full_like(p.array, settings.get(start, start)))
                kept = [(name, _array_like(p, "state[p]", name, state[name])) for name in names]
                self._executor.update(formula, p.array, g, Remembered(kept, step=step), names)
                note_change(p.array)

    def _formula(
        self, settings: Settings, p: Array, g: Array, state: State, scratch: tuple[Array, ...]
    ) -> None:
        """`maximize` and weight decay, the same for all, and then the subclass's formula."""
        t, u, d = scratch
        if settings.get("maximize"):
            g = np.negative(g, out=d, casting="same_kind")
        weight_decay = settings.get("weight_decay")
        if weight_decay and settings.get("decoupled_weight_decay"):
            p *= 1 - settings["lr"] * weight_decay
        elif weight_decay:
            np.multiply(p, weight_decay, out=t)
            g = np.add(g, t, out=d, casting="same_kind")
        self.update(p, g, state, settings, t, u)

    def _too_large(self, error: FloatingPointError) -> FloatingPointError:
        """The error for a number that overflows: where the gradient is largest, and what helps."""
        sizes = [
            (float(np.abs(p.grad.array).max()), -i, p.shape)
            for i, p in enumerate(self._all_params())
            if p.grad is not None and p.grad.numel()
        ]
        size, i, shape = max(sizes)
        return FloatingPointError(
            f"{type(self).__name__}: {error}, with lr={self.param_groups[0].get('lr')} and "
            f"gradients of up to {size:.3g} (that of parameter {-i}, of shape {shape}). Limit "
            "them before the step, nn.utils.clip_grad_norm_(model.parameters(), 1.0), or scale "
            "inputs and targets to about 1."
        )

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters; set_to_none=False fills them with zeros."""
        for p in self._all_params():
            if set_to_none:
                p.grad = None
            elif p.grad is not None:
                p.grad.zero_()

    def _pairs(self, params: list[Tensor]) -> Pairs:
        """Each parameter with its gradient's array, once it is known that the step can be made."""
        pairs = []
        for p in params:
            grad, x = p.grad, p.array
            if isinstance(grad, Variable) and grad.array.shape == x.shape and x.flags.writeable:
                pairs.append((p, grad.array))
            elif grad is not None:
                raise self._unfit(p)
        return pairs

    def _unfit(self, p: Tensor) -> Exception:
        """The error for a parameter that cannot be stepped with its gradient."""
        where = f"{type(self).__name__}: a parameter of shape {p.shape} has"
        if not isinstance(p.grad, Variable):
            kind = type(p.grad).__name__
            return TypeError(
                f"{where} a .grad that is a {kind}; it must be a Tensor: tinynet.tensor(gradient)"
            )
        if p.grad.shape != p.shape:
            return ShapeError(
                f"{where} a .grad of shape {p.grad.shape}; they must be equal. Was p.data replaced "
                "after backward()?"
            )
        return ValueError(
            f"{where} memory that is read-only, so it cannot be trained; give it memory of its "
            "own: p.data = p.data.clone()"
        )

    # ----- saving and loading -----------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to continue bit for bit, as plain dicts of numbers and tensors, copies.

        `param_groups` holds the settings of each group, with the positions of its parameters in
        place of the tensors; `state` maps each position to its step count and tensors. A parameter
        that has not been stepped has no entry.
        """
        groups = [
            {name: _plain(value) for name, value in group.items() if name != "params"}
            | {"params": positions}
            for group, positions in zip(self.param_groups, self._positions(), strict=True)
        ]
        state = {
            i: {name: _copied(value) for name, value in self.state[p].items()}
            for i, p in enumerate(self._all_params())
            if self.state.get(p)
        }
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a `state_dict()` of the same optimizer over the same parameters.

        The parameters' own values are the model's to restore. The keys of `state` may be the
        strings that JSON makes of numbers, its tensors may be arrays. Everything is checked before
        anything is changed; raises CheckpointError with the entry that does not fit.
        """
        try:
            groups, state = self._loaded(state_dict)
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"{type(self).__name__}: the saved state: {error}") from error
        for group, settings in zip(self.param_groups, groups, strict=True):
            group.update(settings)
        self.__setstate__({"state": state, "param_groups": self.param_groups})

    def __setstate__(self, state: dict[str, Any]) -> None:
        """The last of `load_state_dict`: a subclass may fill in what older files lack."""
        vars(self).update(state)

    def _loaded(self, saved: Any) -> tuple[list[dict[str, Any]], defaultdict[Tensor, State]]:
        """The groups and the state of a state_dict that fits, new."""
        if not isinstance(saved, dict) or set(saved) != {"state", "param_groups"}:
            raise ValueError(f"its keys must be 'state' and 'param_groups', it is {_shown(saved)}")
        groups, positions = saved["param_groups"], self._positions()
        found = groups
        if isinstance(groups, (list, tuple)):
            found = [entry.get("params") if isinstance(entry, dict) else entry for entry in groups]
        if str(found) != str(positions):
            raise ValueError(
                f"its param_groups have the params {_shown(found)}, where the optimizer has "
                f"{_shown(positions)}; build it with the same parameters, groups and order"
            )
        for i, entry in enumerate(groups):
            missing = self.defaults.keys() - entry.keys() - MAY_LACK
            if missing:
                raise ValueError(
                    f"param_groups[{i}] lacks {', '.join(sorted(missing))}: it is of another "
                    f"optimizer than {type(self).__name__}, or damaged"
                )
        if not isinstance(saved["state"], dict):
            raise TypeError(f"its state is {_shown(saved['state'])}, no dict")
        params = {key: p for i, p in enumerate(self._all_params()) for key in (i, str(i))}
        state: defaultdict[Tensor, State] = defaultdict(dict)
        for key, entry in saved["state"].items():
            p = params.get(key)
            if p is None or p in state:
                raise ValueError(
                    f"state[{_shown(key)}] belongs to no parameter of its own; they are numbered "
                    f"from 0 to {len(params) // 2 - 1}"
                )
            state[p] = self._loaded_entry(f"state[{key}]", entry, p)
        return [self._checked_settings(entry) for entry in groups], state

    def _loaded_entry(self, where: str, entry: Any, p: Tensor) -> dict[str, Any]:
        if isinstance(entry, dict) and type(self).update is Optimizer.update:  # names of its own
            return {key: _copied(value) for key, value in entry.items()}
        required = ("step", *self.required_state)
        known = (*required, *self.optional_state)
        if not isinstance(entry, dict) or not set(required) <= set(entry) <= set(known):
            raise ValueError(
                f"{where} is {_shown(entry)}; it must have {', '.join(required)}, and nothing "
                f"but {', '.join(known)}"
            )
        loaded: dict[str, Any] = {"step": integer(where, "step", entry["step"])}
        for key in [name for name in known[1:] if name in entry]:
            loaded[key] = wrap(np.zeros_like(p.array))  # the parameter's memory order
            loaded[key].array[...] = _array_like(p, where, key, entry[key])
        return loaded

    def _all_params(self) -> list[Tensor]:
        return [p for group in self.param_groups for p in group["params"]]

    def _positions(self) -> list[list[int]]:
        """Each group's parameters as numbers, which count through all groups."""
        count = itertools.count()
        return [[next(count) for _ in group["params"]] for group in self.param_groups]

    def __repr__(self) -> str:
        text = f"{type(self).__name__} ("
        for i, group in enumerate(self.param_groups):
            text += f"\nParameter Group {i}\n"
            for name in sorted(group.keys() - {"params"}):
                text += f"    {name}: {_plain(group[name])}\n"
        return text + ")"


def _array_like(p: Tensor, where: str, name: str, value: Any) -> Array:
    """The array of what is remembered of a parameter by a name, of its shape and dtype."""
    array, x = getattr(value, "array", value), p.array
    if not isinstance(array, np.ndarray) or array.shape != x.shape or array.dtype != x.dtype:
        needed = f"an array of shape {p.shape} and dtype {p.dtype}"
        raise ValueError(f"{where}[{name!r}] is {_shown(array)}, it must be {needed}")
    return array


def _copied(value: Any) -> Any:
    """What is remembered of a parameter, arrays and tensors as tensors with memory of their own."""
    if isinstance(value, (np.ndarray, Variable)):
        return wrap(np.array(value.array if isinstance(value, Variable) else value, order="K"))
    return list(map(_copied, value)) if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    """A setting as a plain Python number: NumPy's scalars would promote float32 to float64."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (tuple, list)):
        return tuple(_plain(item) for item in value)
    return value


def _shown(value: Any) -> str:
    """A short description of a value that should have been another."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and dtype {value.dtype}"
    if isinstance(value, dict):
        return f"a dict with the keys {', '.join(map(repr, value)) or '(none)'}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
