"""What a run ran on, as far as its numbers depend on it.

The same seed gives the same weights bit for bit where all of this is the same; where it is not,
the last digits of a sum may differ, and training makes more of them. A run's checkpoints carry
it, so that `tinynet verify` can say what has changed.
"""

import functools
import importlib.metadata
import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tinynet import kernels
from tinynet.kernels.threads import get_num_threads
from tinynet.version import __version__


def versions() -> dict[str, str]:
    """The versions that write a file."""
    return {"tinynet": __version__, "numpy": np.__version__, "python": platform.python_version()}


LAUNCHERS = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE")  # of MPICH, Intel MPI, Slurm; of Open MPI


def launched() -> int:
    """How many processes mpiexec or the like has started together with this one; 0 for none."""
    return next((int(os.environ[name]) for name in LAUNCHERS if os.environ.get(name)), 0)


def environment() -> dict[str, str]:
    """Versions, kernel set, threads, BLAS, processor, system and ranks of this process."""
    found = {
        **versions(),
        "kernels": str(kernels.current.name),
        "threads": str(get_num_threads()),
        "BLAS": _blas(),
        "processor": processor(),
        "system": f"{platform.system()} {platform.machine()}",
    }
    if kernels.current.name == "numba":
        found["numba"] = importlib.metadata.version("numba")
    if launched():
        found["ranks"] = str(launched())
    return found


@functools.cache
def _blas() -> str:
    config: Any = np.show_config(mode="dicts")
    blas = config["Build Dependencies"]["blas"]
    return f"{blas.get('name', '?')} {blas.get('version', '?')}"


def differences(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What is no longer as it was, one line each.

    >>> differences({"threads": "2", "kernels": "numpy"}, {"threads": "4", "kernels": "numpy"})
    ['threads: 2 then, 4 now']
    """
    return [
        f"{name}: {then.get(name, 'none')} then, {now.get(name, 'none')} now"
        for name in {**then, **now}
        if then.get(name) != now.get(name)
    ]


@functools.cache
def processor() -> str:
    """The processor's name, with its family and model where the name says little."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    facts: dict[str, str] = dict(reversed(re.findall(r"^(\S.*?)\s*: (.*)$", text, re.MULTILINE)))
    name = facts.get("model name", platform.machine())
    if "cpu family" in facts:
        name += f" (family {facts['cpu family']}, model {facts.get('model', '?')})"
    return name
