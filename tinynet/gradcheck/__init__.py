"""Checking gradients against finite differences, and saying where and why they are wrong.

`check.py` is the front door. `engine.py` runs a function (`subject.py`) and compares slopes
(`differences.py`, `kinks.py`) once `sanity.py` has found it repeatable. Where one is wrong,
`locate.py` records the run and plays each operation again (`trace.py`, `replay.py`); `causes/`
looks for the mistake, and `report.py` tells it. `higher.py` makes gradients functions,
`signatures.py` speaks PyTorch, `table.py` checks every operation of tinynet.
"""

from tinynet.gradcheck.check import gradcheck, gradcheck_model
from tinynet.gradcheck.report import EmptyCheckError, Failure, GradientError, Report

__all__ = [
    "EmptyCheckError", "Failure", "GradientError", "Report", "gradcheck", "gradcheck_model",
]  # fmt: skip
