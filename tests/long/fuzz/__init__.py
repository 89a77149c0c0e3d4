"""Fuzzing: what the readers of files from outside do with files that are wrong.

    python -m tests.long.fuzz npz --inputs 1000000

A target is a reader that works on bytes in memory, valid inputs to start from, and the one
exception that it may raise. `harness` feeds it inputs that are nearly right and checks that nothing
else is raised, that nothing is allocated beyond twice the honest size, and that it comes to an end;
`mutate` makes the inputs; `data`, `images` and further modules hold the targets. Input i of a seed
is always the same, so what was found once is found again.
"""
