"""Layers and shapes as text, for tables and messages."""

from collections.abc import Iterable, Sequence


def sizes(shape: Iterable[int]) -> str:
    """Sizes as people write them, 16x5x5; empty for a single value."""
    return "x".join(map(str, shape))


def title(module: object) -> str:
    """Class and the settings without names, such as `Conv2d(3, 64, 3x3)`."""
    name = type(module).__name__
    channels = [getattr(module, key, None) for key in ("in_channels", "out_channels")]
    if None not in channels:
        kernel = sizes(getattr(module, "kernel_size", ()))
        return f"{name}({channels[0]}, {channels[1]}, {kernel})"
    if hasattr(module, "in_features") and hasattr(module, "out_features"):
        return f"{name}({module.in_features}, {module.out_features})"
    return name


def aligned(table: Sequence[tuple[str, ...]], left: int = 2) -> list[str]:
    """Lines with columns of equal width: the first `left` to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*table)]
    lines = []
    for cells in table:
        begin = [cell.ljust(width) for cell, width in zip(cells[:left], widths)]
        end = [cell.rjust(width) for cell, width in zip(cells[left:], widths[left:])]
        lines.append("  ".join(begin + end).rstrip())
    return lines
