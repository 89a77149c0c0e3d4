"""The table of all targets by name."""

from __future__ import annotations

from tests.long.fuzz import checkpoint, data, images, networks
from tests.long.fuzz.harness import Target

TARGETS: dict[str, Target] = {
    **data.TARGETS,
    **images.TARGETS,
    **checkpoint.TARGETS,
    **networks.TARGETS,
}
