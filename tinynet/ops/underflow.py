"""Numbers too small for their dtype, which count as 0.

`np.seterr(under="raise")` would stop at e^-1000, though 0 is what a sigmoid needs there. So the
activations, losses and normalisations, whose intermediate values nobody sees, are `may_underflow`;
arithmetic (`*`, `exp`, ...) does as NumPy is told. Overflow and division by 0 are heeded in both.
"""

from __future__ import annotations

import numpy as np

may_underflow = np.errstate(under="ignore")
"""A decorator: every underflow in the operation is taken as 0, as in every backward pass."""
