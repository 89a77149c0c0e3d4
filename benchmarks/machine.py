"""What a figure was measured on: processor, versions, and the state of the project."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, table


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def describe() -> dict[str, str]:
    """Machine and versions, what is not installed left out."""
    import numpy as np

    import tinynet
    from tinynet.training.environment import processor  # not in the worker processes of others

    config: Any = np.show_config(mode="dicts")
    blas = config["Build Dependencies"]["blas"]
    found = {
        "processor": processor(),
        "cores": str(cores()),
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        "NumPy": f"{np.__version__} with {blas['name']} {blas['version']}",
    }
    for label, package in (("PyTorch", "torch"), ("Numba", "numba"), ("SciPy", "scipy")):
        try:
            found[label] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {**found, "tinynet": f"{tinynet.__version__} ({commit()})"}


def table_of_facts() -> str:
    """Machine and versions as a Markdown table."""
    return table(["measured on", ""], describe().items(), left=2)


def commit() -> str:
    """The commit that is checked out, with a + if files differ from it; "no git" without one."""
    try:
        found = _git("rev-parse", "--short", "HEAD")
        return found + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "no git"


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def peak_memory_mb() -> float:
    """The most memory that this process ever had in use, in MB (10^6 bytes).

    Linux's VmHWM is of this program alone; getrusage also remembers the process it was forked
    from, so it is only the fallback.
    """
    try:
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    except OSError:
        pass
    import resource

    unit = 1 if platform.system() == "Darwin" else 1024  # bytes there, kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


class Disturbance:
    """How much of the machine other processes took while this one worked.

    From the moment of its creation to `share()`: the part of all cores, 0 to 1, that was busy
    with something else, or None where there is no /proc/stat.
    """

    def __init__(self) -> None:
        self.start = time.perf_counter()
        self.before = _busy_elsewhere()

    def share(self) -> float | None:
        """The part of all cores that others took since the start."""
        now = _busy_elsewhere()
        if now is None or self.before is None:
            return None
        available = (time.perf_counter() - self.start) * (os.cpu_count() or 1)
        return min(1.0, max(0.0, (now - self.before) / available))


def _busy_elsewhere() -> float | None:
    """Seconds of work since the machine started that were not this process's."""
    try:
        line = Path("/proc/stat").read_text(encoding="utf-8").split("\n", 1)[0]
    except OSError:
        return None
    user, nice, system, _idle, _wait, irq, soft_irq, steal = map(int, line.split()[1:9])
    ticks = user + nice + system + irq + soft_irq + steal
    return ticks / os.sysconf("SC_CLK_TCK") - time.process_time()
