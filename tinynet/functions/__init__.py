"""PyTorch's functions of tensors that are made of the operations of `tinynet.ops`.

Each is a function of its first argument and, under the same name, a method of Tensor: the class
takes them over as they are, so names, order and meaning of the arguments are the same in both.
Where PyTorch and NumPy disagree these mean what PyTorch's mean; `dim` and `keepdim` may be
written `axis` and `keepdims`.

    pointwise.py   each element by itself: remainder, lerp, comparisons, logic
    reduction.py   many to one, and orders: sum, max, sort, topk, cumsum
    indexing.py    choosing and placing: gather, scatter, masked_fill, nonzero
    counting.py    how often and where in order: histc, unique, searchsorted, quantile
    shaping.py     moving about: repeat, movedim, chunk, meshgrid
    algebra.py     products of matrices: mm, einsum, tensordot
"""

from tinynet.functions.algebra import *  # noqa: F403
from tinynet.functions.algebra import __all__ as _algebra
from tinynet.functions.counting import *  # noqa: F403
from tinynet.functions.counting import __all__ as _counting
from tinynet.functions.indexing import *  # noqa: F403
from tinynet.functions.indexing import __all__ as _indexing
from tinynet.functions.pointwise import *  # noqa: F403
from tinynet.functions.pointwise import __all__ as _pointwise
from tinynet.functions.reduction import *  # noqa: F403
from tinynet.functions.reduction import __all__ as _reduction
from tinynet.functions.shaping import *  # noqa: F403
from tinynet.functions.shaping import __all__ as _shaping

__all__ = [*_algebra, *_counting, *_indexing, *_pointwise, *_reduction, *_shaping]
