"""The switches of CUDA, which tinynet does not use."""

from types import SimpleNamespace

matmul = SimpleNamespace(allow_tf32=False)


def is_built() -> bool:
    """Whether CUDA is there: no."""
    return False
