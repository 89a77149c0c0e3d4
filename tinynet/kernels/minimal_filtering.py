"""The matrices of Winograd's minimal filtering F(4, 3), which both kernel sets convolve with.

4 neighbouring outputs y of a row see 6 pixels d. With a filter's row g they are

    y = A^T [ (G g) * (B^T d) ]        (* is elementwise)

6 multiplications, where the definition needs 12.

Error: the usual points 0, 1, -1, 2, -2 lose two bits. With 0, +-1/sqrt(2), +-sqrt(2) a convolution
errs 1.4 to 3.1 times as much as the direct sum does (tests/test_winograd.py, docs/kernels.md).

Source of the points: Alam et al., "Winograd convolution for deep neural networks: efficient point
selection", ACM Transactions on Embedded Computing Systems 21 (2022), doi:10.1145/3524069.
"""

import numpy as np

M = 4  # outputs of a tile
S = M + 2  # pixels that it sees
POINTS = (0, 2**-0.5, -(2**-0.5), 2**0.5, -(2**0.5))


def minimal_filtering() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(A^T, G, B^T) of F(4, 3).

    A filter and a row of outputs are polynomials of degree 2 and 3; their product is known from
    its values at 5 points and at infinity (the leading coefficient). G and A evaluate, the
    inverse of evaluation gives the coefficients, and transposing the whole turns the product of
    polynomials into the sliding of a filter.
    """

    def evaluate(coefficients: int) -> np.ndarray:
        powers = [[p**k for k in range(coefficients)] for p in POINTS]
        return np.array([*powers, [0] * (coefficients - 1) + [1]], np.float64)

    B_T = np.linalg.inv(evaluate(S)).T
    B_T[abs(B_T) < 1e-12] = 0
    largest = abs(B_T).max(1, keepdims=True)  # moved into G, so that no plane outgrows the others
    return evaluate(M).T, evaluate(3) * largest, B_T / largest


A_T, G, B_T = minimal_filtering()
