"""Many processes, one model: each computes its parts of every batch, and all take the same step.

    mpiexec -n 4 tinynet train --data mnist
    fit(model, train, epochs=5, comm=MPI.COMM_WORLD)      # in a script that mpiexec starts

A batch is cut into a fixed number of parts, `reproducible_for`, whoever computes which. Their
gradients are added by pairs in a fixed tree, ((0 + 1) + (2 + 3)) + ..., so the weights are the
same bit for bit for any number of ranks. Without it each rank computes its share in one go, and
MPI adds up in the order that is quickest.

comm: whatever has the methods of mpi4py's communicators that are called here.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from tinynet import changes
from tinynet.anomaly import first_anomaly
from tinynet.autograd import wrap
from tinynet.errors import DataError
from tinynet.nn import Module
from tinynet.nn.states import snapshot
from tinynet.optim import Optimizer
from tinynet.random import default_rng, use_rng
from tinynet.training.batches import Batches, pairs, size_of
from tinynet.training.environment import launched
from tinynet.training.loop import Loss, gradients_of, parameters_of
from tinynet.training.losses import fitted
from tinynet.training.metrics import Means, Metrics, cost_of, counted, means_of, of_matrix
from tinynet.training.watch import Watch
from tinynet.utils.data import DataLoader

if TYPE_CHECKING:
    from tinynet.training.report.findings import Findings

T = TypeVar("T")


def world() -> Any:
    """The communicator of all processes that were started together."""
    started = launched()
    if started < 2:
        return OneRank()
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise ImportError(
            f"{started} processes were started to train one model together, for which they need "
            'mpi4py and an MPI: pip install "tinynet-cnn[mpi]" mpich'
        ) from error
    comm = MPI.COMM_WORLD
    if comm.Get_size() != started:
        raise RuntimeError(
            f"{started} processes were started, but mpi4py's MPI knows of {comm.Get_size()}: this "
            "mpiexec belongs to another MPI than mpi4py was installed with"
        )
    Watch.over(comm)
    return comm


class OneRank:
    """The communicator of one process, which trains alone as it would among others."""

    def Get_rank(self) -> int:  # noqa: N802 (MPI's name)
        return 0

    def Get_size(self) -> int:  # noqa: N802
        return 1

    def bcast(self, value: T) -> T:
        return value

    def allgather(self, value: T) -> list[T]:
        return [value]

    gather = allgather

    def Bcast(self, array: np.ndarray) -> None:  # noqa: N802
        """What is sent is there already."""

    def Allreduce(self, array: np.ndarray, total: np.ndarray) -> None:  # noqa: N802
        total[...] = array


@dataclass
class Parts:
    """The inputs of this rank's parts of a batch of `size` examples."""

    size: int
    inputs: Sequence[Any]

    def __len__(self) -> int:
        return self.size

    @property
    def array(self) -> Any:
        """An example of the inputs."""
        return getattr(self.inputs[0], "array", None) if self.inputs else None


class Ranks:
    """Processes that train one model, each of which has this object.

    parts: `reproducible_for`. whole: whether it is one process, and its batches are not cut.
    """

    def __init__(self, comm: Any, parts: int | None) -> None:
        self.comm, self.parts = comm, parts
        self.rank, self.size = int(comm.Get_rank()), int(comm.Get_size())
        self.first = self.rank == 0  # the one that writes and speaks
        self.whole = parts is None and self.size == 1
        self.watch = Watch.over(comm)

    def __enter__(self) -> Ranks:
        """A training of all ranks begins; one that fails in some of them ends all."""
        if self.watch is not None:
            self.watch.begin()
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if self.watch is not None and error is not None:
            self.watch.failed(error)

    def from_first(self, make: Callable[[], T]) -> T:
        """What `make` gives in the first rank."""
        value: T = self.comm.bcast(make() if self.first else None)
        return value

    def after_first(self, make: Callable[[], T]) -> T:
        """What `make` gives, which the first rank calls before the others, to download data."""
        made = [make()] if self.first else []
        self.from_first(lambda: None)  # for which the others wait
        return made[0] if made else make()

    def join(self, model: Module, told: Callable[[], dict[str, Any]]) -> None:
        """Begin as the first rank does, once it is known that all are to do the same."""
        if self.whole:
            return
        rng = default_rng().bit_generator
        rng.state = self.from_first(lambda: rng.state)
        cure = ". With reproducible_for=None processors, threads and BLAS may differ"
        first, *others = self.comm.allgather(told())
        for rank, other in enumerate(others, 1):
            pairs = {name: (other.get(name), first.get(name)) for name in {**first, **other}}
            differ = [
                f"{name} is {there!s:.200} there, and {here!s:.200} in rank 0"
                for name, (there, here) in pairs.items()
                if there != here
            ]
            if differ:
                raise ValueError(
                    f"fit: rank {rank} is unlike the others: {'; '.join(differ)}"
                    f"{cure if self.parts else ''}"
                )
        model.load_state_dict(self.from_first(lambda: snapshot(model)))

    # ----- training -----------------------------------------------------------------------------

    def own_parts(self, batches: Batches) -> Batches:
        """Of each batch this rank's parts, as `gradients` takes them."""

        def cut(number: int, size: int) -> list[slice]:
            count = self.count(size)
            return [slice(size * k // count, size * (k + 1) // count) for k in self.own(count)]

        def own() -> Iterator[tuple[Parts, Sequence[Any]]]:
            for size, parts in _cut(batches, cut):
                inputs, targets = zip(*pairs(parts)) if parts else ((), ())
                yield Parts(size, inputs), targets

        return batches if self.whole else own()

    def count(self, size: int) -> int:
        """Into how many parts a batch is cut; of two examples at least, for batch norm."""
        return max(1, min(self.parts or self.size, size // 2))

    def own(self, count: int) -> range:
        """Which of so many parts are this rank's."""
        return range(-(-count * self.rank // self.size), -(-count * (self.rank + 1) // self.size))

    def owner(self, part: int, count: int) -> int:
        """The rank that has a part of so many."""
        return part * self.size // count

    def gradients(
        self, model: Module, x: Any, target: Any, loss: Loss, metrics: Metrics, optimizer: Optimizer
    ) -> tuple[float, Means]:
        """As `gradients_of`, of a batch of which every rank has its parts.

        Each part draws from a generator of its own, whoever computes it.
        """
        if self.whole:
            return gradients_of(model, x, target, loss, metrics, optimizer)
        step = Step(model, loss, metrics, optimizer)
        count, seed = self.count(len(x)), int(default_rng().integers(2**63))

        def own() -> Iterator[tuple[int, np.ndarray]]:
            for k, *part in zip(self.own(count), x.inputs, target):
                with use_rng(np.random.default_rng([seed, k])):
                    numbers = step.of_part(*part)
                yield k, numbers

        value, means = step.finish(self.added(own(), count, step.zeros()))
        if not math.isfinite(value):
            anomalies = (first_anomaly(model, *part, loss) for part in zip(x.inputs, target))
            _raise_first(self.comm.allgather(next(filter(None, anomalies), step.wrong)))
            raise FloatingPointError(f"the loss is {value}")
        return value, means

    def added(
        self, own: Iterable[tuple[int, np.ndarray]], count: int, zeros: np.ndarray
    ) -> np.ndarray:
        """The sum over all parts, in every rank. own: those of this rank, by number.

        At each width the sums over `width` parts are added by pairs: the left one, whose first part
        is at an even multiple of it, takes in the right one, at an odd multiple.
        """
        total = np.empty_like(zeros)
        if self.parts is None:
            self.comm.Allreduce(next((numbers for _, numbers in own), zeros), total)
            return total
        roots: dict[int, np.ndarray] = {}  # the sums that are complete, by their first part
        for k, numbers in own:
            width = 1
            while k & width and k - width in roots:
                k -= width
                numbers += roots.pop(k)
                width *= 2
            roots[k] = numbers
        width = 1
        while width < count:
            for k in sorted(roots):
                left, right = k - width, k + width
                if k & width and left in roots:
                    roots[left] += roots.pop(k)
                elif k & width:
                    self.comm.Send(roots.pop(k), dest=self.owner(left, count))
                elif right < count and self.owner(right, count) != self.rank:
                    self.comm.Recv(total, source=self.owner(right, count))
                    roots[k] += total
            width *= 2
        total = roots.get(0, total)
        self.comm.Bcast(total)
        return total

    # ----- validation ---------------------------------------------------------------------------

    def own_batches(self, batches: Batches, findings: Findings | None) -> Batches:
        """The batches that this rank measures the model on, and takes note of in `findings`."""

        def cut(number: int, size: int) -> list[slice]:
            if number % self.size == self.rank:
                return [slice(0, size)]
            if findings is not None:
                findings.seen += size
            return []

        own = itertools.chain.from_iterable(parts for _, parts in _cut(batches, cut))
        return batches if self.whole else own

    def gather(self, own: Iterator[Means]) -> Iterator[Means]:
        """The means of all batches, in order, of those of the own."""
        wrong: FloatingPointError | None = None
        mine: list[Means] = []
        try:
            mine.extend(own)
        except FloatingPointError as error:  # that all ranks are to raise
            wrong = error
        everyone, errors = zip(*self.comm.allgather((mine, wrong)))
        _raise_first(errors)
        for turn in itertools.zip_longest(*everyone):
            yield from (means for means in turn if means is not None)

    def gather_findings(self, findings: Findings) -> None:
        """Include in the first rank's findings those of all others."""
        for other in (self.comm.gather(findings) or ())[1:]:
            findings.include(other)


def _raise_first(errors: Iterable[Exception | None]) -> None:
    """Raise, in every rank, the error of the first that has one."""
    if found := next((error for error in errors if error is not None), None):
        raise found


ALONE = Ranks(OneRank(), None)
"""The ordinary training by one process."""


def ranks_of(comm: Any, parts: int | None) -> Ranks:
    """The ranks of a communicator; ALONE for none."""
    if isinstance(comm, Ranks):
        return comm
    return ALONE if comm is None else Ranks(comm, parts)


def _cut(
    batches: Batches, cut: Callable[[int, int], list[slice]]
) -> Iterator[tuple[int, list[Any]]]:
    """The size of each batch, and the parts of it that cut(number, size) takes.

    A DataLoader makes no others.
    """
    if isinstance(batches, DataLoader) and batches.batch_sampler is not None:
        yield from batches.parts(cut)
        return
    for number, (x, target) in enumerate(pairs(batches)):
        size = size_of(x, target)
        both = x, target
        yield size, [tuple(_rows(each, part, size) for each in both) for part in cut(number, size)]


def _rows(x: Any, part: slice, size: int) -> Any:
    """Some examples of a batch of `size`, of each of several inputs in what holds them."""
    if not isinstance(x, (tuple, list)) or any(np.shape(one)[:1] != (size,) for one in x):
        return x[part]
    rows = [one[part] for one in x]
    return type(x)(*rows) if hasattr(x, "_fields") else type(x)(rows)  # by name


class Step:
    """One step, as numbers that are added up over the parts: one flat array.

    They are the gradient of each parameter, times what the part's loss is a mean over; by how much
    each buffer changes, times the examples; which gradients there are; for the loss and each metric
    over what it is a mean, and the sum; and how many examples there are.
    """

    def __init__(self, model: Module, loss: Loss, metrics: Metrics, optimizer: Optimizer) -> None:
        self.model, self.loss, self.metrics, self.optimizer = model, loss, metrics, optimizer
        self.moved, self.buffers = parameters_of(optimizer), [*model.buffers()]
        self.before = [buffer.array.copy() for buffer in self.buffers]
        self.names = ["loss", *(name for name, m in metrics.items() if not of_matrix(m))]
        arrays = [*(p.array for p in self.moved), *self.before]
        self.dtype = np.result_type(np.float32, *(a for a in arrays if a.dtype.kind in "fc"))
        rest = [len(self.moved), len(self.names), len(self.names), 1]
        self.ends = [*itertools.accumulate([*(a.size for a in arrays), *rest])]
        self.wrong: FloatingPointError | None = None

    def zeros(self) -> np.ndarray:
        """The numbers of no part."""
        return np.zeros(self.ends[-1], self.dtype)

    def of_part(self, x: Any, target: Any) -> np.ndarray:
        """The numbers of one part, forward and backward; the buffers stay as they were."""
        means, count, size = Means(), 0.0, size_of(x, target)
        self.optimizer.zero_grad()
        try:
            output = self.model(x)
            target = fitted(output, target, self.loss)
            count = counted(x, output, target, self.loss)
            if count:  # without, the loss is 0 / 0
                cost, value = cost_of(output, target, self.loss)
                cost.backward()
                means = means_of(x, output, target, self.loss, self.metrics, value)
        except FloatingPointError as error:  # which all ranks are to raise, once this is added up
            self.wrong = error
            means.add(1, {"loss": math.nan})
        there = [p.grad is not None for p in self.moved]
        flat = [np.zeros_like(p.array) if p.grad is None else p.grad.array for p in self.moved]
        for gradient in flat:
            gradient *= count
        for buffer, before in zip(self.buffers, self.before):
            flat.append(np.subtract(buffer.array, before, dtype=self.dtype) * size)
            np.copyto(buffer.array, before)
        sums = ([of.get(name, 0) for name in self.names] for of in (means.counts, means.sums))
        flat += map(np.array, (there, *sums, size))
        return np.concatenate([*map(np.ravel, flat)], dtype=self.dtype, casting="unsafe")

    def finish(self, total: np.ndarray) -> tuple[float, Means]:
        """Give the weights their gradients and the buffers their values; the loss and the means."""
        *flat, there, counts, sums, examples = np.split(total, self.ends[:-1])
        means = Means()
        for name, count, summed in zip(self.names, counts.tolist(), sums.tolist()):
            if count:
                means.counts[name], means.sums[name] = count, summed
        if "loss" not in means.counts:
            raise DataError("fit: a batch has no label that counts; leave such batches out")
        for p, gradient, is_there in zip(self.moved, flat, there.tolist()):
            gradient /= means.counts["loss"]
            grad = gradient.reshape(p.array.shape).astype(p.array.dtype, copy=False)
            p.grad = wrap(grad) if is_there else None
        for buffer, change in zip(self.buffers, flat[len(self.moved) :]):
            change /= examples
            whole = np.rint(change) if buffer.array.dtype.kind in "iu" else change
            moved = buffer.array + whole.reshape(buffer.array.shape)
            np.copyto(buffer.array, moved, casting="unsafe")
            changes.note_change(buffer.array)
        return means.values()["loss"], means
