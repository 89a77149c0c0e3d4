"""Short trainings on copies: what becomes of the loss under a recipe, and under changes of it."""

import contextlib
import itertools
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinynet import grad_mode
from tinynet.nn.preserving import preserving
from tinynet.optim import Adam, Optimizer
from tinynet.teaching.case import Case, replaced, tensors
from tinynet.teaching.reached import as_before
from tinynet.tensor import Tensor

LEARNED = 0.93
"""A loss below this share of the first has fallen."""
BETTER = 0.3
"""How much more of the way a change must cover, to be what was wrong."""
ROSE = 1.5
"""A loss that ends above this times the first has diverged. It may be there in between: a net with
batch norm goes up to ten times its first loss and is back in eight steps."""


class Run(NamedTuple):
    """A short training: the loss of its batches before and after, and the highest on the way.

    used: the learning rates of the groups in every update. asleep: the loss afterwards, in
    evaluation mode. recall: the share of right answers afterwards, mean of the classes. spread: how
    much outputs differ from each other, as a share of the beginning.
    """

    what: str
    first: float
    highest: float
    last: float
    used: list[list[float]]
    asleep: float
    recall: float
    spread: float

    @property
    def idle(self) -> int:
        """How many groups had a rate of 0 in every update."""
        return sum(not any(rates) for rates in zip(*self.used))

    @property
    def most(self) -> float:
        """The highest rate of an update."""
        return max(itertools.chain(*self.used), default=math.nan)

    @property
    def fell(self) -> float:
        """The rate at half of the updates, as a share of the first."""
        half = self.used[len(self.used) // 2 :]
        return max(half[0]) / (max(self.used[0]) or 1) if half else 1.0

    @property
    def diverged(self) -> bool:
        """Whether the loss ended far above where it began, or in NaN or infinity."""
        return not self.last <= ROSE * abs(self.first) + 0.1

    def __str__(self) -> str:
        rates = [max(rates) for rates in self.used[:: max(len(self.used) - 1, 1)]]
        large = len(rates) > 1 and not 0.1 * rates[0] <= rates[1] <= 10 * rates[0]
        told = f" (and the learning rate from {rates[0]:.3g} to {rates[1]:.3g})" if large else ""
        over = self.highest > 2 * max(abs(self.first), abs(self.last)) or math.isnan(self.last)
        peak = f" over {self.highest:.4g}" if over and math.isfinite(self.highest) else ""
        return f"{self.what} from {self.first:.4g}{peak} to {self.last:.4g}{told}"


class Way:
    """From the loss at the start to the lowest that some run reached.

    own: the run by the recipe, if there is one. usual: with Adam at its usual rate, the last of the
    others. floor: no run can get below it.
    """

    def __init__(self, own: Run | None, others: list[Run], floor: float = 0.0) -> None:
        self.own, self.floor = own, floor
        self.best = own or others[0]
        self.usual = others[-1] if others else self.best
        self.first = self.best.first
        for run in others:
            self.see(run)
        self.shown = own or self.best

    def see(self, run: Run) -> Run:
        """The run, which is the best from now on if it is."""
        if run.last < self.best.last or math.isnan(self.best.last):
            self.best = run
        return run

    def share(self, run: Run | None) -> float:
        """The share of the way that a run covered; below 0 where the loss rose."""
        if run is None or not math.isfinite(run.last):
            return -math.inf
        return (run.first - run.last) / max(self.first - self.best.last, 1e-12)

    def calmest(self, runs: list[Run]) -> Run:
        """The best, or the first that is nearly as good and does not rise in between."""
        best = max(runs, key=self.share)
        good = (run for run in runs if self.share(run) > 0.8 * self.share(best))
        return next((run for run in good if run.highest < 2 * abs(run.first)), best)

    def helps(self, run: Run, by: float = BETTER) -> bool:
        """Whether a change of the recipe covers so much more of the way."""
        return self.share(self.see(run)) > max(self.share(self.own), 0.0) + by and self.learned

    @property
    def learned(self) -> bool:
        """Whether any run made the loss fall."""
        return self.best.last < self.first - (1 - LEARNED) * (abs(self.first) - self.floor)


def train(
    case: Case,
    what: str = "",
    *,
    rate: float = 1.0,
    held: bool = False,
    adam: float | None = None,
    settings: dict[str, Any] | None = None,
    step: Callable[..., Any] | None = None,
    prepare: Callable[[], Any] = lambda: None,
    targets: Sequence[np.ndarray | None] | None = None,
    steps: int = 0,
) -> Run:
    """Make `case.steps` steps on the batches of the case, of which nothing keeps a trace.

    rate: what the optimizer's rates are multiplied with; held: they stay as at first; settings:
    others of its settings; adam: Adam at this rate in its place. step: the user's own in place of
    forward, backward and step. prepare: done before. targets: others for the batches. steps: how
    many, if not `case.steps`; of a step that adds up gradients as many more, up to ten times. It
    ends early where the loss is not finite.
    """
    others = [target for _, target in case.usable] if targets is None else targets
    batches = [tensors(x, target) for (x, _), target in zip(case.usable, others)]
    optimizer = case.optimizer
    if adam is not None or optimizer is None:
        optimizer = Adam(case.wanted.values(), lr=adam or 1e-3)
    losses, used = list[float](), list[list[float]]()
    count = (steps or case.steps) * (1 if step is None else min(case.added_up, 10))
    with trying(case, optimizer), np.errstate(all="ignore"):
        prepare()
        groups, update = optimizer.param_groups, optimizer.step
        for group in groups:
            group.update(settings or {})

        def at_rate(*args: Any, **settings: Any) -> Any:
            rates = [group["lr"] for group in groups]
            for group, initial in zip(groups, starts):
                group["lr"] = rate * (initial if held else group["lr"])
            used.append([group["lr"] for group in groups])
            result = update(*args, **settings)
            for group, usual in zip(groups, rates):
                group["lr"] = usual
            return result

        def noted(made: Tensor, *given: Any, **settings: Any) -> None:
            losses.append(float(made.array.sum()))
            backward(made, *given, **settings)

        backward = Tensor.backward
        optimizer.__dict__["step"] = at_rate  # a schedule sets the rates anew
        starts = [group["lr"] for group in groups]
        first, varied = _measured(case, batches), _varied(case, batches)
        for k in range(count):
            x, target = batches[k % len(batches)]
            try:
                if step is not None:
                    with replaced(Tensor, "backward", noted if case.watched else backward):
                        step(x, target)
                    if not case.watched:
                        losses.append(_measured(case, [batches[k % len(batches)]]))
                else:
                    optimizer.zero_grad()
                    made = case.passed(x, target)
                    losses.append(made.item())
                    made.backward()
                    optimizer.step()
            except FloatingPointError:  # the loss refuses NaN
                losses.append(math.nan)
            if not math.isfinite(losses[-1]):
                break
        last = _measured(case, batches) if math.isfinite(losses[-1]) else losses[-1]
        recall, spread = _recall(case, batches), _varied(case, batches) / (varied or 1)
        case.model.eval()
        asleep = _measured(case, batches)
    highest = max([first, *(value for value in losses if not math.isnan(value))])
    return Run(what, first, highest, last, used, asleep, recall, spread)


def _measured(case: Case, batches: list[tuple[Tensor, Tensor | None]]) -> float:
    """The mean of the loss over the batches, in the mode in which the model is."""
    try:
        with trying(case) if case.watched else grad_mode.no_grad():
            return float(np.mean([case.passed(x, t).item() for x, t in batches]))
    except FloatingPointError:
        return math.nan


def _varied(case: Case, batches: list[tuple[Tensor, Tensor | None]]) -> float:
    """How much the outputs of a batch differ from each other, in evaluation mode."""
    made = case.outputs(batches[0][0].array)
    return math.nan if made is None else float(np.std(made, axis=0).max(initial=0))


def _recall(case: Case, batches: list[tuple[Tensor, Tensor | None]]) -> float:
    """The mean over the classes of the share of their examples with the highest score for them."""
    labels = [t.array for _, t in batches if t is not None]
    if not case.classes or not case.classifies or case.watched or labels[0].ndim != 1:
        return math.nan
    with grad_mode.no_grad():
        made = [case.first_of(case.model(x)).array.argmax(1) for x, _ in batches]
    answers, right = np.concatenate(made), np.concatenate(labels)
    return float(np.mean([(answers == c)[right == c].mean() for c in np.unique(right)]))


@contextlib.contextmanager
def trying(case: Case, optimizer: Optimizer | None = None) -> Iterator[None]:
    """Steps may be made inside: the model, the optimizer and all else that the user's step reaches
    are afterwards as before."""
    every = {id(v): v for v in (optimizer, case.optimizer, *case.reached) if v is not None}
    with preserving(case.model), grad_mode.enable_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a schedule in the user's step does not know of this
        with as_before(every.values()):
            yield
