"""Functions of functions: `grad(f)` is the gradient of f, itself a function that has a gradient.

    grad(f)(x)                f'(x), for an f that gives a single value
    value_and_grad(f)(x)      f(x) and f'(x)
    vjp(f, x)                 f(x), and the function that takes u to u^T J, with J = df/dx
    jvp(f, (x,), (v,))        f(x) and J v
    jacobian(f)(x)            J
    hessian(f)(x)             the Jacobian of the gradient
    hvp(f, (x,), (v,))        f(x) and H v, H the Hessian, which is not made

They take and give tensors, and tuples, lists and dicts of them, such as the parameters of a model.
They compose to any order. What they give is recorded if a tensor that requires a gradient, or a
transform around this one, could ask for its derivative; not inside `no_grad()`.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from tinynet import ops
from tinynet.autograd import Node, wrap
from tinynet.derivatives.replay import gradients, record
from tinynet.errors import ShapeError
from tinynet.grad_mode import create_graph, keeping, recording
from tinynet.tensor import Tensor

ArgNums = int | tuple[int, ...] | list[int]
Function = Callable[..., Any]


def value_and_grad(func: Function, argnums: ArgNums = 0, has_aux: bool = False) -> Function:
    """The function that gives func(x) and the gradient of func, as a pair.

    argnums: by which arguments; for several of them the gradients are a tuple. has_aux: func gives
    a pair, whose second is handed on as it is; the value is that pair then.
    Raises RuntimeError where func does not give a single value.
    """
    return _formed("value_and_grad", lambda value, dx: (value, dx), func, argnums, has_aux)


def _formed(name: str, form: Function, f: Function, argnums: ArgNums, has_aux: bool) -> Function:
    """The function that gives form(value, gradient). name: of the transform, for errors."""

    @functools.wraps(f)
    def gradient(*args: Any, **settings: Any) -> Any:
        call = _Call(name, f, args, argnums, has_aux, settings)
        if not isinstance(call.y, Tensor) or call.y.numel() != 1:
            raise RuntimeError(
                f"{name}: the function must give a single value, not {_kind(call.y)}; reduce it "
                "with .sum() or .mean(), or use jacobian or vjp"
            )
        value, dx = call.closed(call.y), call.pull_back(wrap(np.ones_like(call.y.array)))
        return form((value, call.aux) if has_aux else value, dx)

    return gradient


def grad_and_value(func: Function, argnums: ArgNums = 0, has_aux: bool = False) -> Function:
    """`value_and_grad` with the gradient first, as in PyTorch."""
    return _formed("grad_and_value", lambda value, dx: (dx, value), func, argnums, has_aux)


def grad(func: Function, argnums: ArgNums = 0, has_aux: bool = False) -> Function:
    """The gradient of a function that gives a single value, as a function of the same arguments.

    argnums and has_aux as for `value_and_grad`; with has_aux it gives (gradient, aux).

    >>> import tinynet
    >>> x = tinynet.tensor(2.0)
    >>> def cube(x):
    ...     return x**3
    >>> tinynet.grad(cube)(x), tinynet.grad(tinynet.grad(cube))(x)
    (tensor(12.), tensor(12.))
    """
    return _formed("grad", lambda y, dx: (dx, y[1]) if has_aux else dx, func, argnums, has_aux)


def vjp(func: Function, *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """y = func(*primals), and the function that takes u, of the shape of y, to the tuple of u^T J.

    has_aux: func gives a pair, whose second is handed on as the third.
    """
    call = _Call("vjp", func, primals, has_aux=has_aux)
    return call.closed(call.y), call.pull_back, *([call.aux] if has_aux else [])


def jvp(func: Function, primals: Any, tangents: Any, *, has_aux: bool = False) -> tuple[Any, ...]:
    """func(*primals), and its derivative along the tangents v, J v. Both: tuples, or one tensor.

    u^T J is linear in u, so its derivative by u along v is J v: two passes. has_aux: see `vjp`.
    """
    xs, vs = (tuple(x) if isinstance(x, (tuple, list)) else (x,) for x in (primals, tangents))
    call = _Call("jvp", func, xs, has_aux=has_aux)
    zeros = rebuilt(call.y, (wrap(np.zeros_like(y.array)) for y in leaves(call.y)))
    linear = _Call("jvp", call.pull_back, (zeros,), 0, own=call.own)
    return call.closed(call.y), linear.pull_back(vs, "primals"), *([call.aux] if has_aux else [])


def jacobian(func: Function, argnums: ArgNums = 0, has_aux: bool = False) -> Function:
    """All derivatives of the result of func by an argument: for y of shape Y and x of shape X, an
    array of shape (*Y, *X). One backward pass for each element of y. With has_aux (J, aux).

    >>> import tinynet
    >>> jacobian(lambda x: x * x)(tinynet.tensor([1.0, 3.0]))
    tensor([[2., 0.],
            [0., 6.]])
    """
    return _jacobian("jacobian", func, argnums, has_aux)


def jacrev(func: Function, argnums: ArgNums = 0, has_aux: bool = False) -> Function:
    """`jacobian` by PyTorch's name."""
    return _jacobian("jacrev", func, argnums, has_aux)


def jacfwd(func: Function, argnums: ArgNums = 0, has_aux: bool = False) -> Function:
    """`jacobian` by PyTorch's other name: the same numbers, here row by row too."""
    return _jacobian("jacfwd", func, argnums, has_aux)


def _jacobian(name: str, f: Function, argnums: ArgNums, has_aux: bool) -> Function:
    @functools.wraps(f)
    def derivatives(*args: Any, **settings: Any) -> Any:
        call = _Call(name, f, args, argnums, has_aux, settings)
        zeros = [np.zeros_like(y.array) for y in leaves(call.y)]
        blocks = []
        for unit in zeros:
            rows = []
            for place in np.ndindex(unit.shape):
                unit[place] = 1
                rows.append(call.pull_back(rebuilt(call.y, map(wrap, map(np.copy, zeros)))))
                unit[place] = 0
            columns = (ops.stack(column) for column in zip(*map(leaves, rows)))
            shaped = (ops.reshape(c, (*unit.shape, *c.shape[1:])) for c in columns)
            blocks.append(rebuilt(rows[0], shaped))
        whole = rebuilt(call.y, blocks)
        return (whole, call.aux) if has_aux else whole

    return derivatives


def hessian(func: Function, argnums: ArgNums = 0) -> Function:
    """The second derivatives of a function that gives a single value: the Jacobian of its grad."""
    gradient = _formed("hessian", lambda value, dx: dx, func, argnums, False)
    return _jacobian("hessian", gradient, argnums, False)


def hvp(func: Function, xs: Any, vs: Any) -> tuple[Any, Any]:
    """func(*xs), and its Hessian times v, in the form of xs: tuples, or one tensor each.

    The Hessian is symmetric, so this is the gradient of v^T df/dx.
    """
    return by_hessian("hvp", func, xs, vs)


def by_hessian(name: str, func: Function, xs: Any, vs: Any) -> tuple[Any, Any]:
    """`hvp` by the name that errors call it."""
    several = isinstance(xs, (tuple, list))
    args, argnums = (tuple(xs), tuple(range(len(xs)))) if several else ((xs,), 0)
    vs = tuple(vs) if isinstance(vs, (tuple, list)) else (vs,)
    gradient = _formed(name, lambda value, dx: (dx, value), func, argnums, False)
    call = _Call(name, gradient, args, argnums, has_aux=True)
    return call.closed(call.aux), call.pull_back(vs if several or len(vs) > 1 else vs[0], "xs")


class _Call:
    """A call of f, recorded from the chosen arguments on, from all if none are named.

    name: of the transform. y: the result, aux: what f gave beside it. own: the leaves made for it.
    is_open: whether y goes back to any other, outside of `no_grad`.
    """

    def __init__(
        self, name: str, f: Callable[..., Any], args: tuple[Any, ...], argnums: Any = None,
        has_aux: bool = False, settings: Mapping[str, Any] = {}, own: Iterable[Any] = (),
    ) -> None:  # fmt: skip
        self.name = name
        argnums = range(len(args)) if argnums is None else argnums
        chosen = (argnums,) if isinstance(argnums, int) else tuple(argnums)
        if any(not -len(args) <= place < len(args) for place in chosen):
            raise IndexError(
                f"{name}: argnums={argnums}, but the function is called with {len(args)} "
                f"argument{'s' * (len(args) != 1)} by position, counted from 0"
            )
        self.own: set[Any] = set(own)
        outside, given = recording.get(), list(args)
        with create_graph():
            keeping.set(2)
            for place in chosen:
                starts = [self._start(leaf) for leaf in leaves(args[place], name)]
                given[place] = rebuilt(args[place], starts)
            y = f(*given, **settings)
        self.aux: Any
        self.y, self.aux = y if has_aux else (y, None)
        self.x = given[argnums] if isinstance(argnums, int) else tuple(given[i] for i in chosen)
        roots = [y.node or y for y in leaves(self.y, name) if y.requires_grad]
        self.is_open = outside and any(not isinstance(x, Node) for x in {*record(roots)} - self.own)

    def closed(self, y: Any) -> Any:
        """A value as part of a record that goes beyond this call, or of none."""
        return y if self.is_open else rebuilt(y, (leaf.detach() for leaf in leaves(y)))

    def _start(self, x: Tensor) -> Tensor:
        """x as the first of a record, made of x or, if it has none, of a leaf of its own."""
        if x.dtype.kind != "f":
            raise TypeError(
                f"{self.name}: only float tensors have a gradient, not one of {x.dtype}; convert "
                "it with x.float(), or leave it out (argnums)"
            )
        if not x.requires_grad:
            self.own.add(x := wrap(x.array).requires_grad_())
        start = ops.reshape(x, x.shape)
        start.node.name = f"argument_of_{self.name}"  # type: ignore[union-attr]
        return start

    def pull_back(self, dy: Any, of: str = "the result") -> Any:
        """The gradient by the chosen arguments, for the gradient dy of what errors call `of`."""
        starts, paired = list(leaves(self.x)), list(pairs(f"{self.name}: {of}", self.y, dy))
        asked = [(y, u) for y, u in paired if y.requires_grad]
        recorded = recording.get() and (self.is_open or any(u.requires_grad for _, u in paired))
        found = gradients(asked, starts, recorded, retain_graph=True)
        zeros = (wrap(np.zeros_like(x.array)) for x in starts)
        return rebuilt(self.x, (z if dx is None else dx for dx, z in zip(found, zeros)))


def pairs(name: str, own: Any, other: Any) -> Iterator[tuple[Tensor, Tensor]]:
    """Each tensor with the one in its place in another value: by keys and numbers.

    Raises ShapeError, which names the place, unless both are built alike of equal shapes.
    """
    if _kind(own) != _kind(other):
        raise ShapeError(
            f"{name} is {_kind(own)}, what belongs to it is {_kind(other)}; make them alike"
        )
    if isinstance(own, (tuple, list, dict)):
        for key in own if isinstance(own, dict) else range(len(own)):
            yield from pairs(f"{name}[{key!r}]", own[key], other[key])
    else:
        yield own, other


def leaves(value: Any, name: str = "") -> Iterator[Tensor]:
    """The tensors in tuples, lists and dicts; TypeError, which names the function, for others."""
    if isinstance(value, (tuple, list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from leaves(item, name)
    elif isinstance(value, Tensor):
        yield value
    else:
        raise TypeError(
            f"{name}: takes tensors, or tuples, lists and dicts of them, not {_kind(value)}; make "
            "it a tensor, leave it out (argnums, in_dims), or pass it on by has_aux"
        )


def rebuilt(value: Any, leaves: Iterable[Any]) -> Any:
    """The same tuples, lists and dicts with other leaves."""
    remaining = iter(leaves)

    def build(item: Any) -> Any:
        if isinstance(item, dict):
            return {key: build(inner) for key, inner in item.items()}
        if isinstance(item, (tuple, list)):
            return getattr(item, "_make", type(item))(map(build, item))
        return next(remaining)

    return build(value)


def _kind(value: Any) -> str:
    """What it is on its first level, in words that are equal for what is built alike."""
    if isinstance(value, dict):
        return f"a dict of {', '.join(sorted(map(repr, value)))}"
    if isinstance(value, (tuple, list)):
        return f"a tuple or list of {len(value)}"
    return f"of shape {value.shape}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
