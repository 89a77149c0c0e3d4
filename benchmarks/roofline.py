"""Which share of the processor's matrix-product speed each layer reaches, and where time goes.

examples:
  python -m benchmarks.roofline
  python -m benchmarks.roofline --nets vgg --batch 32 --kernels numpy

The peak is that of a large float32 matrix product, measured here. A training step is run once
while every kernel call and every linear layer's product is noted with its arguments, which lie in
memory as they do in training; each is then timed alone. A call's speed counts two operations for
each multiply-add of the definition, whatever the kernel really does, so that Winograd's saving
could lift a layer above 100 %.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks import common, frameworks, machine
from benchmarks.common import short, table
from benchmarks.nets import NETS

LEAST_SECONDS, LEAST_CALLS = 0.1, 5


@dataclass
class Call:
    """One kernel call of a training step: its name, what it multiplies, how to repeat it."""

    name: str
    shape: str
    multiply_adds: int
    repeat: Callable[[], Any]
    ms: float = 0.0

    def gflops(self) -> float | None:
        """Thousand million operations a second; None for what multiplies nothing."""
        return 2e-6 * self.multiply_adds / self.ms if self.multiply_adds else None


def milliseconds(call: Callable[[], Any]) -> float:
    """The least time of a call, over at least 5 calls and 0.1 s."""
    call()
    times: list[float] = []
    end = time.perf_counter() + LEAST_SECONDS
    while len(times) < LEAST_CALLS or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


def measured_peak() -> float:
    """GFLOP/s of the best of some large float32 matrix products, one on each thread that is set."""
    best = 0.0
    from tinynet.kernels.threads import get_num_threads, run

    count = get_num_threads()
    for n in (768, 1536, 2304):
        a, products = np.ones((n, n), np.float32), np.empty((count, n, n), np.float32)

        def multiply(i: int, a: np.ndarray = a, products: np.ndarray = products) -> None:
            np.matmul(a, a, out=products[i])

        ms = milliseconds(lambda multiply=multiply: run(multiply, range(count)))  # type: ignore[misc]
        best = max(best, 2e-6 * count * n**3 / ms)
    return best


def kernel_calls(net: str, batch: int, framework: frameworks.Framework) -> tuple[list[Call], float]:
    """The calls of one training step in their order, and the milliseconds of a whole step."""
    known = NETS[net]
    batches = frameworks.random_batches(1, batch, known.image, known.classes)
    step = frameworks.training_step(framework, known.build(framework.nn), batches)
    step()
    calls: list[Call] = []
    with _noting_kernels(calls), _noting_linear(calls):
        step()
    whole = milliseconds(step)
    for call in calls:
        call.ms = milliseconds(call.repeat)
    return calls, whole


@contextlib.contextmanager
def _noting_kernels(calls: list[Call]) -> Iterator[None]:
    """Append to `calls` every kernel that is called inside."""
    from tinynet import kernels
    from tinynet.kernels.plain import Kernels

    def noting(name: str, kernel: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(kernel)
        def noted(*args: Any) -> Any:
            result = kernel(*args)
            calls.append(
                Call(
                    name,
                    _shape(name, args),
                    _multiply_adds(name, args, result),
                    lambda: kernel(*args),
                )
            )
            return result

        return noted

    noted_set = copy.copy(kernels.current)
    for name, kernel in vars(Kernels).items():
        if callable(kernel) and name != "arranged":
            vars(noted_set)[name] = noting(name, getattr(kernels.current, name))
    before = kernels.use(noted_set)
    try:
        yield
    finally:
        kernels.use(before)


@contextlib.contextmanager
def _noting_linear(calls: list[Call]) -> Iterator[None]:
    """Append to `calls` the products of every linear layer that is called inside."""
    from tinynet import autograd, ops

    body = ops.linear.forward  # type: ignore[attr-defined]

    def observer(op: str, args: tuple[Any, ...], settings: dict[str, Any], output: Any) -> None:
        if op != "tinynet.ops.linear.linear":
            return
        x, w, b = args[0].array, args[1].array, args[2].array
        dy = np.ones_like(output.array)
        _, dx, dw, _ = body(x, w, b)
        shape, work = f"{x.shape} {w.shape}", len(x) * w.size
        calls.append(Call("linear", shape, work, lambda: body(x, w, b)))
        if args[0].requires_grad:
            calls.append(Call("linear dx", shape, work, lambda: dx(dy)))
        calls.append(Call("linear dw", shape, work, lambda: dw(dy)))

    with autograd.observe(observer):
        yield


def _shape(name: str, args: tuple[Any, ...]) -> str:
    """The shapes of the first arrays, such as `(128, 6, 14, 14) (16, 6, 5, 5)`."""
    arrays = [a for a in args if isinstance(a, np.ndarray) and a.ndim > 1]
    return " ".join(str(a.shape) for a in arrays[: 2 if name.startswith("conv") else 1])


def _multiply_adds(name: str, args: tuple[Any, ...], result: Any) -> int:
    """Those of the definition: each output place meets every weight of each filter."""
    if name == "conv2d":
        return int(result.size * args[1][0].size)
    if name == "conv2d_dx":
        return int(args[0].size * args[1][0].size)
    if name == "conv2d_dw_db":
        return int(args[0].size * result[0][0].size)
    return 0


def net_table(calls: list[Call], whole: float, peak: float) -> str:
    """A row for each call, then what the step takes beside them."""
    rows = []
    for call in calls:
        speed = call.gflops()
        rows.append(
            [
                call.name,
                call.shape,
                short(call.ms),
                f"{100 * call.ms / whole:.0f} %",
                "" if speed is None else f"{speed:.0f}",
                "" if speed is None else f"{100 * speed / peak:.0f} %",
            ]
        )
    rest = max(0.0, whole - sum(call.ms for call in calls))
    rows.append(["everything else", "", short(rest), f"{100 * rest / whole:.0f} %", "", ""])
    work = sum(call.multiply_adds for call in calls)
    speed = 2e-6 * work / whole
    rows.append(
        ["whole step", "", short(whole), "100 %", f"{speed:.0f}", f"{100 * speed / peak:.0f} %"]
    )
    return table(["kernel", "arrays", "ms", "of step", "GFLOP/s", "of peak"], rows, left=2)


def measure(
    nets: Sequence[str], batches: Sequence[int], kernel_sets: Sequence[str], threads: int
) -> tuple[str, list[dict[str, Any]]]:
    """The tables as Markdown, and the figures for JSON."""
    parts: list[str] = []
    figures = []
    for kernel_set in kernel_sets:
        framework = frameworks.load("tinynet", kernel_set, threads)
        peak = measured_peak()
        parts.append(f"{kernel_set} kernels; the peak is {peak:.0f} GFLOP/s on {threads} threads.")
        for net in nets:
            for batch in batches:
                calls, whole = kernel_calls(net, batch, framework)
                parts += [f"**{net}, batch {batch}**", net_table(calls, whole, peak)]
                figures.append(
                    {
                        "kernels": kernel_set,
                        "net": net,
                        "batch": batch,
                        "peak_gflops": peak,
                        "step_ms": whole,
                        "calls": [
                            {
                                "kernel": call.name,
                                "arrays": call.shape,
                                "ms": call.ms,
                                "gflops": call.gflops(),
                            }
                            for call in calls
                        ],
                    }
                )
    return "\n\n".join(parts), figures


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = common.new_parser(__doc__)
    shown = [name for name in NETS if name != "vgg16"]
    common.add_list(parser, "net", shown, shown)
    common.add_batch(parser, [128])
    common.add_contestants(parser)
    common.add_json(parser)
    parser.set_defaults(against="nothing")
    args = parser.parse_args(argv)
    contestants = common.resolve_contestants(parser, args)
    kernel_sets = [who["variant"] for who in contestants.values()]
    text, figures = measure(args.nets, args.batch, kernel_sets, args.threads)
    print(text)
    common.write_json(args.json, {"machine": machine.describe(), "nets": figures})


if __name__ == "__main__":
    main()
