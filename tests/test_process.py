"""What tinynet changes in the process it runs in, and when."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROCESS = """
import sys, tinynet
from tinynet.kernels import process
assert process.prepare.cache_info().currsize == 0 and "numba" not in sys.modules
done = []
process.keep_freed_memory = lambda: done.append("memory")
process.single_blas_thread = lambda: done.append("BLAS")
for _ in range(2):
    tinynet.{first}
print(*done)
"""


@pytest.mark.parametrize(
    "first", ["relu(tinynet.ones(2))", "linear(tinynet.ones(2, 3), tinynet.ones(2, 3))"]
)
@pytest.mark.parametrize(
    ("environment", "done"),
    [
        ({}, "memory BLAS"),
        ({"TINYNET_KEEP_MEMORY": "0"}, "BLAS"),
        ({"TINYNET_SINGLE_BLAS": "0"}, "memory"),
    ],
)
def test_the_process_is_changed_by_the_first_kernel_not_by_the_import(first, environment, done):
    environment = {**os.environ, "TINYNET_KERNELS": "numpy", **environment}
    code = [sys.executable, "-c", PROCESS.format(first=first)]
    assert subprocess.check_output(code, env=environment, text=True).strip() == done
