"""The switches of cuDNN, which tinynet does not use: results are deterministic anyway."""

enabled = False
deterministic = True
benchmark = False
allow_tf32 = False


def is_available() -> bool:
    """Whether cuDNN is there: no."""
    return False
