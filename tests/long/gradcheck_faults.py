"""How many wrong backward passes are caught, and named: tinynet beside torch.autograd.gradcheck.

examples:
  python -m tests.long.gradcheck_faults
  python -m tests.long.gradcheck_faults --only conv --show
  python -m tests.long.gradcheck_faults --json figures.json

Each fault is an operation in NumPy whose backward pass has one mistake, by itself or deep in a
model (`tests/long/faults/`). tinynet checks the operation with `gradcheck`, the model with
`gradcheck_model`. PyTorch, where it is installed, gets the same NumPy code wrapped in an
`autograd.Function`: the operation, or the whole model as a function of its parameters.

caught: the check fails. named: it says of which operation and argument; of PyTorch's message that
is the number of the input, which says it where there is but one operation. cause: tinynet says
which mistake it was: the words that were written down with the fault are in its cause or evidence.
An "either ... or ..." counts if the mistake is one of the two, and is counted by itself too.
"""

from __future__ import annotations

import importlib.util
import re
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from benchmarks import common
from benchmarks.common import table


class Result:
    """What a checker said of a fault: caught, named (operation and argument), cause, seconds.

    said: its words.
    """

    def __init__(self, caught: bool, named: bool, cause: bool, seconds: float, said: str) -> None:
        self.caught = caught
        self.named = named
        self.cause = cause
        self.seconds = seconds
        self.said = said


def by_tinynet(fault: Any) -> Result:
    """Check a fault with tinynet."""
    start = time.perf_counter()
    try:
        report = _checked(fault)
    except (ValueError, RuntimeError) as error:  # refused, with a sentence why
        seconds, said = time.perf_counter() - start, str(error)
        return Result(True, said.startswith(fault.op.__name__), fault.cause in said, seconds, said)
    seconds = time.perf_counter() - start
    failures = report.failures
    named = bool(failures) and all(names(fault, failure) for failure in failures)
    cause = named and all(fault.cause in f"{f.cause} ({f.evidence})" for f in failures)
    said = "; ".join(f"{f.op}, {f.argument}: {f.cause or '-'} ({f.evidence})" for f in failures)
    return Result(bool(failures), named, cause, seconds, said or str(report))


def _checked(fault: Any) -> Any:
    """The report of the check that a user would run."""
    import tinynet

    if fault.build is not None:
        model, loss = fault.build()
        return tinynet.gradcheck_model(model, tuple(fault.inputs), loss)
    op = tinynet.differentiable(fault.op)
    inputs = [tinynet.Tensor(x.copy(), requires_grad=True) for x in fault.inputs]
    return tinynet.gradcheck(lambda *inputs: op(*inputs, **fault.settings), inputs)


def names(fault: Any, failure: Any) -> bool:
    """Whether a failure blames the operation and the argument that are wrong."""
    right_op = failure.op == fault.op.__name__
    return right_op and (not fault.argument or failure.argument == fault.argument)


# ----- PyTorch ------------------------------------------------------------------------------------


def by_torch(fault: Any) -> Result:
    """Check a fault with torch.autograd.gradcheck, the NumPy code in an autograd.Function."""
    import torch

    forward, inputs = torch_function(fault)
    tensors = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in inputs]
    start = time.perf_counter()
    caught, message = False, "(nothing)"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.autograd.gradcheck(forward, tensors)
    except Exception as error:  # gradcheck's own, or what the backward pass raises
        caught, message = True, str(error).strip()
    seconds = time.perf_counter() - start
    named = caught and _torch_names(fault, message)
    return Result(caught, named, False, seconds, message.split("\n")[0])


def _torch_names(fault: Any, message: str) -> bool:
    """Whether the message has the number of the argument, and there is but one operation."""
    import inspect

    found = re.search(r"with respect to input (\d+)", message)
    parameters = list(inspect.signature(fault.op).parameters)
    return (
        fault.build is None
        and found is not None
        and fault.argument in parameters
        and int(found[1]) == parameters.index(fault.argument)
    )


def torch_function(fault: Any) -> tuple[Callable[..., Any], list[np.ndarray]]:
    """The fault as a function of torch's tensors, and its inputs as arrays."""
    import torch

    forward, inputs = _operation(fault) if fault.build is None else _model(fault)

    class Wrapped(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *tensors: Any) -> Any:
            y, ctx.vjp = forward(*(t.detach().numpy() for t in tensors))
            return torch.from_numpy(np.array(y, dtype=np.float64))

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            gradients = ctx.vjp(np.array(dy.numpy()))
            return tuple(torch.from_numpy(np.array(g)) for g in gradients)

    return Wrapped.apply, inputs


Forward = Callable[..., tuple[np.ndarray, Callable[[np.ndarray], Iterable[np.ndarray]]]]


def _operation(fault: Any) -> tuple[Forward, list[np.ndarray]]:
    def forward(*inputs: np.ndarray) -> Any:
        y, *vjps = fault.op(*inputs, **fault.settings)
        return y, lambda dy: [vjp(dy) for vjp in vjps[: len(inputs)]]

    return forward, fault.inputs


def _model(fault: Any) -> tuple[Forward, list[np.ndarray]]:
    """The loss as a function of all the model's parameters."""
    import tinynet

    model, loss = fault.build()
    model.double()
    x, target = tinynet.Tensor(fault.inputs[0]), fault.inputs[1]
    parameters = list(model.parameters())

    def forward(*values: np.ndarray) -> Any:
        for parameter, value in zip(parameters, values):
            parameter.array = value.copy()
        y = loss(model(x), target)

        def vjp(dy: np.ndarray) -> list[np.ndarray]:
            model.zero_grad()
            y.backward(dy, retain_graph=True)  # PyTorch's check goes back several times
            return [np.zeros(p.shape) if p.grad is None else p.grad.array for p in parameters]

        return y.array, vjp

    return forward, [parameter.array.copy() for parameter in parameters]


# ----- the table ----------------------------------------------------------------------------------

CLAIMS = ("caught", "named", "cause")

Row = tuple[Any, Result, "Result | None"]


def measure(faults: Sequence[Any], with_torch: bool) -> list[Row]:
    """Check every fault with both, once what they load at the first call is there."""
    by_tinynet(faults[0])
    if with_torch:
        by_torch(faults[0])
    return [(fault, by_tinynet(fault), by_torch(fault) if with_torch else None) for fault in faults]


def yes(value: bool) -> str:
    """A cell: "yes", or "NO" that one sees."""
    return "yes" if value else "NO"


def report(rows: Sequence[Row]) -> str:
    """All faults as a Markdown table."""
    with_torch = rows[0][2] is not None
    header = ["fault", "mistake", "caught", "named", "cause", "s"]
    header += ["torch: caught", "input", "s"] if with_torch else []
    lines = []
    for fault, ours, theirs in rows:
        line = [fault.name, fault.cause, yes(ours.caught), yes(ours.named), yes(ours.cause)]
        line.append(common.short(ours.seconds))
        if theirs is not None:
            line += [yes(theirs.caught), yes(theirs.named), common.short(theirs.seconds)]
        lines.append(line)
    return table(header, lines, left=2)


def by_mistake(rows: Sequence[Row]) -> str:
    """The faults counted by mistake, with the operations that have it, as a Markdown table."""
    with_torch = rows[0][2] is not None
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row[0].cause, []).append(row)
    header = ["mistake", "faults", "caught", "named", "cause"]
    header += ["torch: caught", "input"] if with_torch else []
    lines = []
    for cause, group in sorted(groups.items(), key=lambda item: item[0].lower()):
        ours = [row[1] for row in group]
        line = [cause, len(group), *(sum(getattr(r, what) for r in ours) for what in CLAIMS)]
        if with_torch:
            theirs = [row[2] for row in group if row[2] is not None]
            line += [sum(r.caught for r in theirs), sum(r.named for r in theirs)]
        lines.append(line)
    return table(header, lines)


def totals(rows: Sequence[Row]) -> str:
    """The shares that were caught and named, alone and in models."""
    groups = {
        "alone": [row for row in rows if row[0].build is None],
        "deep in a model": [row for row in rows if row[0].build is not None],
        "all": list(rows),
    }
    lines = []
    for name, group in groups.items():
        for which, label in ((1, "tinynet"), (2, "torch")):
            results = [row[which] for row in group if row[which] is not None]
            if results:
                lines.append([
                    name, label, len(results), share(r.caught for r in results),
                    share(r.named for r in results),
                    share(r.cause for r in results) if which == 1 else "-",
                    common.short(sum(r.seconds for r in results)),
                ])  # fmt: skip
    header = ["faults", "checker", "count", "caught", "operation, argument", "cause", "seconds"]
    return table(header, lines, left=2)


def share(values: Iterable[bool]) -> str:
    """A percentage.

    >>> share([True, True, False, True])
    '75.0 %'
    """
    values = list(values)
    return f"{100 * sum(values) / len(values):.1f} %"


def main(argv: Sequence[str] | None = None) -> int:
    """Check all faults, print the tables. Exit code 1 if one was not caught."""
    from tests.long.faults import ALL

    parser = common.new_parser(__doc__)
    parser.add_argument("--only", default="", metavar="TEXT", help="faults with TEXT in their name")
    parser.add_argument("--show", action="store_true", help="also what the checks say")
    parser.add_argument(
        "--against",
        choices=("torch", "nothing"),
        help="the peer (default: torch if it is installed)",
    )
    common.add_json(parser)
    args = parser.parse_args(argv)
    faults = [fault for fault in ALL if args.only in fault.name]
    if not faults:
        parser.error(f"--only {args.only}: no fault has this in its name")
    there = importlib.util.find_spec("torch") is not None
    if args.against == "torch" and not there:
        parser.error("--against torch: PyTorch is not installed; pip install torch")
    rows = measure(faults, there and args.against != "nothing")
    print(report(rows))
    print(f"\n{by_mistake(rows)}")
    print(f"\n{totals(rows)}")
    either = sum("either " in ours.said for _, ours, _ in rows)
    print(f"\n{either} of the causes are an either-or.")
    if args.show:
        for fault, ours, theirs in rows:
            print(f"\n{fault.name}\n  mistake  {fault.cause}\n  tinynet  {ours.said}")
            if theirs is not None:
                print(f"  torch    {theirs.said}")
    common.write_json(args.json, [record(*row) for row in rows])
    return 0 if all(ours.caught for _, ours, _ in rows) else 1


def record(fault: Any, ours: Result, theirs: Result | None) -> dict[str, Any]:
    """One fault as plain data."""
    return {
        "fault": fault.name,
        "argument": fault.argument,
        "cause": fault.cause,
        "tinynet": vars(ours),
        "torch": None if theirs is None else vars(theirs),
    }


if __name__ == "__main__":
    raise SystemExit(main())
