"""The table of all targets by name."""

from __future__ import annotations

from benchmarks.fuzz import checkpoint, data, images
from benchmarks.fuzz.harness import Target

TARGETS: dict[str, Target] = {**data.TARGETS, **images.TARGETS, **checkpoint.TARGETS}
