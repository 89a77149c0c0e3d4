"""The kernel lab: exercises in which a learner writes what tinynet is made of.

A file with the function is held against the plain loops over a grid of small cases, its gradient
is checked, it is timed beside the loops and the built-in kernels, and then the digits net trains
with it. `tinynet lab` is the command; `judge` and `judge_folder` do its work.

    reference.py   the definitions in plain loops
    exercises.py   what is to be written, and how it is put in place
    adapter.py     between its functions and kernels, which take a Geometry
    grid.py        the cases
    submission.py  loading a file, calling its functions, what can be wrong with an answer
    hints.py       the usual mistakes
    judge.py       one submission, stage after stage
    folder.py      many, each in its own process
    starters/      the files that learners begin with
"""

from tinynet.lab.adapter import in_place
from tinynet.lab.exercises import EXERCISES, Exercise, find, starter, write_starter
from tinynet.lab.folder import judge_folder
from tinynet.lab.judge import judge
from tinynet.lab.report import Report

__all__ = [
    "EXERCISES", "Exercise", "Report", "find", "in_place", "judge", "judge_folder", "starter",
    "write_starter",
]  # fmt: skip
