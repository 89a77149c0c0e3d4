"""Einstein's summation: products and sums over named axes.

The gradient of such a sum is one again. In y_out = sum x_a * w_b the loss feels x through every
y, weighed by w: dx_a = sum dy_out * w_b. So dx is the einsum of dy and the other operands with
the letters of x as its result.
"""

import string

import numpy as np

from tinynet.autograd import Array, Op, differentiable
from tinynet.errors import ShapeError


@differentiable(rule="y = sum of products, dy/dx = the other factors")
def einsum(*operands: Array, equation: str) -> Op:
    """Sums of products by `equation`: "ij,jk->ik" is a matrix product, "bii->b" a batch of traces.

    Gradient: see above. A letter that is summed in one operand alone is stretched over that
    axis; one that stands twice in an operand is its diagonal, whose gradient is 0 off it.
    Keeps the operands. Raises ShapeError for letters that do not fit the shapes.
    """
    inputs, output = _letters(equation, [x.shape for x in operands])
    try:
        y = np.einsum(",".join(inputs) + "->" + output, *operands, optimize=len(operands) > 2)
    except ValueError as error:
        shapes = ", ".join(str(x.shape) for x in operands)
        raise ShapeError(
            f"einsum: {equation!r} does not fit the shapes {shapes}: {error}"
        ) from None
    sizes = {letter: n for s, x in zip(inputs, operands) for letter, n in zip(s, x.shape) if n != 1}

    def gradient(place: int) -> Array:
        own, x = inputs[place], operands[place]
        once = "".join(dict.fromkeys(own))

        def dx(dy: Array) -> Array:
            others = [operand for k, operand in enumerate(operands) if k != place]
            terms = [output, *(s for k, s in enumerate(inputs) if k != place)]
            alone = [letter for letter in once if not any(letter in term for term in terms)]
            stretched = [np.ones(sizes.get(letter, 1), x.dtype) for letter in alone]
            equation = ",".join([*terms, *alone]) + "->" + once
            dx = np.einsum(equation, dy, *others, *stretched, optimize=True)
            full = tuple(x.shape[own.index(letter)] for letter in once)
            dx = np.broadcast_to(dx, np.broadcast_shapes(dx.shape, full))  # a size 1 elsewhere
            return dx if once == own else _on_diagonal(dx, own, once, x)

        return dx

    return (y, *(gradient(place) for place in range(len(operands))))


def _on_diagonal(dx: Array, own: str, once: str, x: Array) -> Array:
    """dx with an axis for each letter of `once`, put into zeros where equal letters agree."""
    spread = np.zeros_like(dx, shape=x.shape)
    grid = dict(zip(once, np.ogrid[tuple(slice(n) for n in dx.shape)]))
    spread[tuple(grid[letter] for letter in own)] = dx
    return spread


def _letters(equation: str, shapes: list[tuple[int, ...]]) -> tuple[list[str], str]:
    """The letters of each operand and of the result, with letters in place of "..."."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    inputs = left.split(",")
    if len(inputs) != len(shapes):
        raise ShapeError(
            f"einsum: {equation!r} names {len(inputs)} operands, but {len(shapes)} were given"
        )
    free = [letter for letter in string.ascii_letters if letter not in equation]
    dots = [len(shape) - len(s.replace("...", "")) for s, shape in zip(inputs, shapes)]
    for s, shape, more in zip(inputs, shapes, dots):
        if more < 0 or (more > 0 and "..." not in s):
            raise ShapeError(
                f"einsum: {s!r} of {equation!r} names {len(s.replace('...', ''))} axes, but the "
                f"operand has shape {shape}; ... stands for any number of axes"
            )
    most = max((n for s, n in zip(inputs, dots) if "..." in s), default=0)
    named = "".join(free[:most])  # the axes of "...", aligned at the right
    full = [s.replace("...", named[most - n :] if n else "") for s, n in zip(inputs, dots)]
    if arrow:
        return full, right.replace("...", named)
    seen = "".join(inputs).replace("...", "")
    return full, named + "".join(sorted(x for x in set(seen) if seen.count(x) == 1))
