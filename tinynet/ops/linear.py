"""Matrix products, and the layer made of one.

For Y = X W the gradient is found from one element: y_ij = sum_k x_ik w_kj, so the loss feels
x_ik through every j, dx_ik = sum_j dy_ij w_kj. That is dX = dY W^T, and in the same way
dW = X^T dY. The shapes leave no other choice.
"""

import math

import numpy as np

from tinynet.autograd import Array, Op, differentiable
from tinynet.errors import ShapeError, no_broadcast
from tinynet.kernels.threads import matmul as matmul_2d


@differentiable(rule="y[i,j] = sum of x[i,k] w[k,j] over k")
def matmul(x: Array, w: Array) -> Op:
    """Matrix product by NumPy's rules: the last two axes multiply, those before broadcast.

    Shapes: x (..., M, K), w (..., K, P) -> y (..., M, P); a vector takes part as a row on the
    left, as a column on the right, and its axis is dropped again.
    Gradients: dx = dy w^T, dw = x^T dy; batch axes that were broadcast are summed.
    Keeps both inputs. Raises ShapeError if the inner sizes differ.
    """
    if x.ndim == 0 or w.ndim == 0 or x.shape[-1] != w.shape[-2 if w.ndim > 1 else 0]:
        raise _no_product(x.shape, w.shape)
    try:
        y = x @ w
    except ValueError as error:
        raise no_broadcast(
            f"matmul: the axes before the last two of {x.shape} and {w.shape}",
            [x.shape[:-2], w.shape[:-2]],
        ) from error
    if x.ndim == 2 == w.ndim:
        return y, lambda dy: dy @ w.T, lambda dy: x.T @ dy
    rows, columns, one_matrix = x.ndim > 1, w.ndim > 1, w.ndim == 2

    def as_matrix(dy: Array) -> Array:
        """dy with the axes back that a vector's product dropped."""
        dy = dy if columns else dy[..., None]
        return dy if rows else dy[..., None, :]

    def dx(dy: Array) -> Array:
        right = w if columns else w[:, None]
        d = as_matrix(dy) @ right.swapaxes(-1, -2)
        return d if rows else d[..., 0, :]

    def dw(dy: Array) -> Array:
        left = x if rows else x[None, :]
        if one_matrix:  # one product over all batches in place of a batch of products
            return _rows(left).T @ _rows(as_matrix(dy))
        d = left.swapaxes(-1, -2) @ as_matrix(dy)
        return d if columns else d[..., 0]

    return y, dx, dw


def _no_product(x: tuple[int, ...], w: tuple[int, ...]) -> ShapeError:
    """The error for inner sizes that differ, with the transpose or the shape that fits."""
    if not x or not w:
        return ShapeError(f"matmul: shapes {x} and {w}: a single value multiplies with `*`, not @")
    cure = f"The second must have shape ({x[-1]}, ...)."
    if len(w) > 1 and w[-1] == x[-1]:
        cure = f"Transpose the second: `x @ w.mT` multiplies by {(*w[:-2], w[-1], w[-2])}."
    elif len(x) > 1 and x[-2] == w[-2 if len(w) > 1 else 0]:
        cure = f"Transpose the first: `x.mT @ w` multiplies {(*x[:-2], x[-1], x[-2])}."
    return ShapeError(
        f"matmul: shapes {x} and {w} do not fit; the last size of the first ({x[-1]}) must equal "
        f"the last but one of the second ({w[-2 if len(w) > 1 else 0]}). {cure}"
    )


def _rows(x: Array) -> Array:
    """All but the last axis as one: (..., I) -> (N, I)."""
    return x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


@differentiable(rule="y[n,o] = b[o] + sum of w[o,i] x[n,i] over i")
def linear(x: Array, w: Array, b: Array = None) -> Op:
    """Affine map, y = x w^T + b.

    Shapes: x (..., I), w (O, I), b (O) or None -> y (..., O).
    Gradients: dx = dy w; dw = dy^T x, summed over all leading axes; db = dy, likewise.
    A batch-last input gives a batch-last result.
    Keeps x and w. Raises ShapeError if the sizes of x and w differ.
    """
    if x.ndim == 0 or w.ndim != 2 or x.shape[-1] != w.shape[1]:
        raise ShapeError(
            f"linear: the input has {x.shape[-1] if x.ndim else 'no'} features (shape {x.shape}), "
            f"the weight of shape {w.shape} takes {w.shape[-1] if w.ndim else 'none'}. "
            + _fitting_weight(x.shape, w.shape)
        )
    if b is not None and b.shape != w.shape[:1]:
        raise ShapeError(
            f"linear: the bias has shape {b.shape}, the weight of shape {w.shape} needs "
            f"{w.shape[:1]}" + (f": b.reshape({w.shape[0]})" if b.size == w.shape[0] else "")
        )
    batch_last = x.ndim == 2 and x.flags.f_contiguous and not x.flags.c_contiguous
    y = matmul_2d(w, x.T).T if batch_last else _product(x, w.T)
    if b is not None:
        y = np.add(y, b, out=y if y.dtype == b.dtype else None)

    def dx(dy: Array) -> Array:
        return matmul_2d(w.T, dy.T).T if batch_last else _product(dy, w)

    def dw(dy: Array) -> Array:
        dy, inputs = _rows(dy), _rows(x)
        if len(inputs) == 1:
            return dy.T * inputs  # as fast as memory is
        return matmul_2d(dy.T, inputs)

    def db(dy: Array) -> Array:
        dy = _rows(dy)
        return dy[0] if len(dy) == 1 else np.add.reduce(dy, 0)

    return y, dx, dw, db


def _fitting_weight(x: tuple[int, ...], w: tuple[int, ...]) -> str:
    """The weight that would fit an input of shape x."""
    if len(w) == 2 and x and w[0] == x[-1]:
        return f"The weight is (O, I), so use w.T, of shape {w[::-1]}."
    return f"Use a weight of shape ({w[0] if w else 'O'}, {x[-1] if x else 'I'})."


def _product(x: Array, w: Array) -> Array:
    """x (..., K) times w (K, P), by the threads if both are matrices."""
    return matmul_2d(x, w) if x.ndim == 2 else x @ w
