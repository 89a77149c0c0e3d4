"""The case before the doctor: the model, the examples, and what one pass over them shows.

`Trial` runs the first batch forward and backward once, on copies, with an observer that notes
every operation. What the checks then say rests on these measurements. Where the inputs are not
finite or not scaled (which a check reports), the trial goes on with ones that are, so that one
mistake does not hide the next. What the model or the loss refuses is told in its own words.
"""

import contextlib
import functools
import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinynet import autograd, grad_mode, nn
from tinynet.nn.checks import badly_scaled
from tinynet.nn.location import layer_path, running_modules
from tinynet.nn.preserving import preserving
from tinynet.optim import Optimizer
from tinynet.optim.lr_scheduler import OneCycleLR
from tinynet.teaching.call import Call
from tinynet.teaching.reached import as_before, params_of, reached
from tinynet.teaching.report import Finding
from tinynet.tensor import Tensor

Batch = tuple[np.ndarray, "np.ndarray | None"]

IGNORED = -100  # the label that stands for "does not count"
REGRESSION = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
BINARY = ("binary_cross_entropy", "binary_cross_entropy_with_logits")
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
TAKES_SCORES = ("cross_entropy", BINARY[1], "softmax", "log_softmax")
"""Operations that make probabilities of scores."""
WEIGHTED = {"linear": 1, "conv2d": 1, "matmul": 1}
"""Operations with weights, and the place of these among the arguments."""
LOSSES = ("cross_entropy", "nll_loss", *BINARY, *REGRESSION)


@dataclass
class Trial:
    """What one forward and backward pass showed.

    stage, error: where it failed and how; "" and None if it did not. made: what the model gave.
    output: that, or of `several` the one at the `place` that a loss holds against the targets
    (`held`, if it is known to). forward: how many of the calls are of the model. loss: its value,
    None if it is no single number. calls: every operation, in order. ran: ids of the modules that
    ran. gradients: by parameter, None where none arrived.
    """

    stage: str = "forward"
    error: Exception | None = None
    made: Any = None
    output: Tensor | None = None
    several: bool = False
    held: bool = False
    place: int = 0
    forward: int = 0
    loss: float | None = None
    loss_shape: tuple[int, ...] = ()
    loss_depends: bool = True
    calls: list[Call] = field(default_factory=list)
    ran: set[int] = field(default_factory=set)
    gradients: dict[str, np.ndarray | None] = field(default_factory=dict)

    def note(self, op: str, args: tuple[Any, ...], given: dict[str, Any], output: Tensor) -> None:
        """The observer of operations."""
        modules = running_modules()
        self.ran.update(map(id, modules))
        name = op.rpartition(".")[2].lstrip("_")
        again, source = autograd.state.operation, getattr(args[0], "node", None) if args else None
        layer = layer_path(modules)
        if name in LOSSES and output.requires_grad:
            output.retain_grad()  # how much of the whole loss it is
        self.calls.append(Call(name, layer, args, given, output, again, output.node, source))

    def end_forward(self, made: Any) -> None:
        """The model made this, in the first of its forward passes."""
        if self.stage == "forward":
            self.made, self.output = made, _tensor("the model", next(tensors_of(made), made))
            self.several, self.forward = made is not self.output, len(self.calls)
            self.stage = "loss"

    def pick(self, target: np.ndarray) -> None:
        """Of several outputs take the first that a known loss holds against the targets."""
        outputs = [*tensors_of(self.made)]
        makers = [self.maker(y) for y in outputs]
        for call in self.of(*LOSSES):
            maker = self.maker(call.args[0])
            if call.holds(target) and maker in makers:
                self.place = min(self.place or len(makers), makers.index(maker))
                self.output, self.held = outputs[self.place], True

    def back(self, tensor: Any) -> Iterator[Call]:
        """The operations that led to a tensor, the last first, along each one's first argument."""
        node = getattr(tensor, "node", None)
        for call in reversed(self.calls):
            if call.made is node if node is not None else call.output is tensor:
                yield call
                node, tensor = call.source, call.args[0] if call.args else None

    def last(self, tensor: Any) -> Call | None:
        """The operation that a tensor is the result of."""
        return next(self.back(tensor), None)

    def maker(self, tensor: Any) -> Call | None:
        """The operation that made the numbers of a tensor; what came after only moved them."""
        return next((call for call in self.back(tensor) if not call.only_moves), None)

    def of(self, *ops: str) -> list[Call]:
        """All calls of these operations."""
        return [call for call in self.calls if call.op in ops]

    @property
    def leading(self) -> list[Call]:
        """The calls whose results go on into the loss."""
        nodes, found = {id(self.calls[-1].made)} if self.calls else set(), []
        for call in reversed(self.calls):
            if call.made is not None and id(call.made) in nodes:
                found.append(call)
                given = [getattr(x, "node", None) for x in flattened(call.args)]
                nodes |= {id(node) for node in (call.source, *given) if node is not None}
        return found[::-1]

    @property
    def loss_call(self) -> Call | None:
        """The loss among the operations, where it is one that tinynet knows."""
        return next(reversed(self.of(*LOSSES)), None)


@dataclass
class Case:
    """All that there is to look at.

    batches: those that a training begins with. loader: where they are from, None for a single pair.
    steps: how long a recipe is tried, but no longer than a schedule goes. validation: batches of
    the validation data, and where they are from. notes: what is worth knowing besides the findings.
    found: the names of those so far. rivals: optimizers of other models, which the step trains too.
    others: all optimizers of the step but its own. narrow: layers that get one number of each
    example. added_up: how many batches a step adds up the gradients of; sums: whether it does not
    take their mean. feeds_other: whether the step gives the model other batches than it got, such
    as two views of each example. own_loss: whether the step has another loss than the one given, or
    gives the model other inputs; watched: whether that loss is known, as what the step goes back
    from. unjudged: what could not be looked at.
    """

    model: nn.Module
    batches: list[Batch]
    loss: Callable[[Any, Any], Tensor]
    optimizer: Optimizer | None
    step: Callable[..., Any] | None
    steps: int
    loader: Any = None
    validation: list[Batch] = field(default_factory=list)
    validation_loader: Any = None
    notes: list[str] = field(default_factory=list)
    found: set[str] = field(default_factory=set)
    narrow: list[str] = field(default_factory=list)
    added_up: int = 1
    sums: bool = False
    feeds_other: bool = False
    own_loss: bool = False
    watched: bool = False
    unjudged: str = ""

    def __post_init__(self) -> None:
        self.parameters = dict(self.model.named_parameters())
        self.dtype = next((p.dtype for p in self.parameters.values()), np.dtype(np.float32))
        self.x = np.concatenate([x for x, _ in self.batches])
        targets = [target for _, target in self.batches if target is not None]
        given = len(targets) == len(self.batches)
        self.target: np.ndarray | None = np.concatenate(targets) if given else None
        inner = {id(module) for module in self.model.modules()}
        self.reached = [v for v in reached(self.step, self.loss) if id(v) not in inner]
        own = {id(p) for p in self.parameters.values()}
        found = [value for value in self.reached if isinstance(value, Optimizer)]
        self.rivals = [v for v in found if not own & {id(p) for p in params_of(v)}]
        if self.optimizer is None and len(found) == 1 + len(self.rivals):
            self.optimizer = next(v for v in found if v not in self.rivals)  # that of the step
        self.others = [v for v in found if v is not self.optimizer]
        ends = [v.total_steps - v.last_epoch for v in self.reached if isinstance(v, OneCycleLR)]
        self.steps = min([self.steps, *ends])
        self.trial = Trial()
        self.usable = [(usable_input(self, x), target) for x, target in self.batches]
        self.redraws = self._redraws()
        self.run_trial()
        if self.target is not None and self.step is None and not self.asks:
            self.target = None
            self.notes.append("the loss does not look at the targets")

    def look(self, check: "Callable[[Case], Iterator[Finding]]") -> list[Finding]:
        """What a check finds, which later ones can see in `found`; it never ends the others."""
        findings: list[Finding] = []
        try:
            findings += check(self)
        except Exception as problem:
            name = check.__name__.removeprefix("check_").replace("_", " ")
            self.notes.append(f"{name}: not looked at, {type(problem).__name__}: {problem}")
        self.found |= {finding.name for finding in findings}
        return findings

    def layers(self, *kinds: type[nn.Module]) -> list[tuple[str, Any]]:
        """(path with class, layer) of each of these kinds."""
        return [
            (f"{path} ({type(layer).__name__})", layer)
            for path, layer in self.model.named_modules()
            if isinstance(layer, kinds)
        ]

    @property
    def wanted(self) -> dict[str, nn.Parameter]:
        """The parameters that ask for a gradient."""
        return {name: p for name, p in self.parameters.items() if p.requires_grad}

    @property
    def classes(self) -> int | None:
        """How many classes the model tells apart, where the targets are labels."""
        target, output = self.target, self.trial.output
        if output is None or target is None or output.ndim < 2 or target.ndim != output.ndim - 1:
            return None
        if self.matches or (self.trial.several and not self.trial.held):
            return None
        steps = target.shape[1:] == output.shape[1:-1] != output.shape[2:]  # (N, T, C), (N, T)
        return int(output.shape[-1 if steps else 1]) if target.dtype.kind in "iu" else None

    @property
    def words(self) -> bool:
        """Whether the inputs are numbers of words, or other categories."""
        return self.x.dtype.kind in "iu" and self.x.dtype != np.uint8

    @property
    def matches(self) -> bool:
        """Whether each target is the place of its example in the batch, which is to match it."""
        return all(
            t is not None and t.dtype.kind in "iu" and np.array_equal(t, np.arange(len(t)))
            for _, t in self.batches
        )

    @property
    def labels(self) -> np.ndarray | None:
        """One class for each example, be they 0 and 1 as floats; None if there is none."""
        target = self.target
        if target is None or target.ndim > 2 or target.size != len(target):
            return None
        call = self.trial.loss_call
        same = call is not None and call.op in REGRESSION and not np.ptp(target)
        binary = target.dtype.kind in "fb" and bool(np.isin(target, (0, 1)).all()) and not same
        if not binary and (target.dtype.kind not in "iu" or not self.classes):
            return None
        labels: np.ndarray = target[target != self.ignored].astype(np.int64)
        return labels if labels.size else None

    @functools.cached_property
    def entering(self) -> list[np.ndarray]:
        """What the first layers with weights get, of inputs as they are.

        A model may divide them, or take some as numbers of categories.
        """
        seen = Trial()
        with (
            preserving(self.model),
            grad_mode.enable_grad(),
            np.errstate(all="ignore"),
            contextlib.suppress(Exception),
            autograd.observe(seen.note),
        ):
            for x, _ in self.batches:
                self.model(Tensor(x.astype(self.dtype) if x.dtype.kind == "f" else x))
        calls = [(call, seen.back(call.args[0])) for call in seen.of(*WEIGHTED)]
        return [c.args[0].array for c, way in calls if not any(b.op in WEIGHTED for b in way)]

    @property
    def prepares(self) -> bool:
        """Whether the model itself scales inputs that are not."""
        return bool(self.entering) and not any(map(badly_scaled, self.entering))

    def _redraws(self) -> bool:
        """Whether a sampler of the user's draws some examples more often than others."""
        with preserving(self.model), contextlib.suppress(Exception):  # of a loader of another kind
            chosen = [*itertools.chain(*itertools.islice(self.loader.batch_sampler, 1000))]
            return len({*chosen}) < 0.9 * len(chosen)
        return False

    @property
    def ignored(self) -> int:
        """The label that does not count, as the loss says; that a class does not is a mistake."""
        call, index = self.trial.loss_call, IGNORED
        if call is not None and call.op in ("cross_entropy", "nll_loss"):
            index = int(call.setting("ignore_index", 3, IGNORED))
        return IGNORED if index in range(self.classes or 0) else index

    def _classifies(self) -> bool:
        """Whether labels must be classes of the model: not for a loss that runs with any."""
        output, scored = self.trial.output, ("cross_entropy", "nll_loss", "softmax", "log_softmax")
        if output is None or self.trial.error is not None:
            return True
        calls = (*self.trial.calls[self.trial.forward :], self.trial.maker(output))
        return any(c and c.op in scored and len(c.args[0]) == len(output) for c in calls)

    @property
    def is_regression(self) -> bool:
        """Whether the model is to give numbers, and not classes."""
        target, call = self.target, self.trial.loss_call
        if target is None or target.dtype.kind != "f":
            return False
        return self.labels is None and (call is None or call.op in REGRESSION)

    @property
    def compares(self) -> bool:
        """Whether the loss is lowest where the output is the target."""
        target, call = self.usable[0][1], self.trial.loss_call
        if target is None or self.trial.several or (call is not None and call.op in REGRESSION):
            return target is not None and not self.trial.several
        right = self.asked(target, target)
        return not any(self.asked(target + by, target) < right for by in (0.1, -0.1))

    def first_of(self, made: Any) -> Any:
        """Of what a model made the tensor that the loss holds against the targets."""
        return [*tensors_of(made)][self.trial.place]

    def outputs(self, x: np.ndarray) -> np.ndarray | None:
        """What the model makes of inputs in evaluation mode; None where it refuses them."""
        with preserving(self.model), grad_mode.no_grad(), contextlib.suppress(Exception):
            self.model.eval()
            made: np.ndarray = self.first_of(self.model(Tensor(x))).array
            return made
        return None

    def asked(self, output: np.ndarray, target: np.ndarray | None) -> float:
        """The loss of given outputs; NaN where it cannot be had."""
        return math.nan if self.trial.several else self._asked(output, target)

    def _asked(self, made: Any, target: np.ndarray | None) -> float:
        with (
            preserving(self.model),
            grad_mode.no_grad(),
            np.errstate(all="ignore"),
            contextlib.suppress(Exception),
        ):
            given = Tensor(made) if isinstance(made, np.ndarray) else made
            return self.loss(given, None if target is None else Tensor(target)).item()
        return math.nan

    @property
    def blank(self) -> float:
        """The loss of outputs that are all 0, which guess: with all its sums and factors."""
        return self._asked(zeros_like(self.trial.made), self.usable[0][1])

    def slopes(self, output: np.ndarray, target: np.ndarray | None) -> np.ndarray | None:
        """The gradient of the loss for given outputs; None where it cannot be had."""
        y, wanted = tensors(output, target)
        y.requires_grad = True
        with preserving(self.model), grad_mode.enable_grad(), contextlib.suppress(Exception):
            self.loss(y, wanted).backward()
            return np.zeros_like(output) if y.grad is None else y.grad.array
        return None

    def pull(self, output: np.ndarray, target: np.ndarray) -> np.ndarray | None:
        """How much the loss makes of the outputs at the place of each target; None if unknown."""
        slope = self.slopes(output, target)
        return None if slope is None else by_target(slope, target)

    def limits(self) -> tuple[float, float]:
        """Between what the outputs are with large weights, infinite where they grow with these."""
        y, rng = self.trial.output, np.random.default_rng(0)
        if y is not None and np.ptp(y.array):
            with preserving(self.model), grad_mode.no_grad(), contextlib.suppress(Exception):
                for p in self.parameters.values():
                    p.array[...] = 100 * p.array + 10 * rng.standard_normal(p.shape)
                large = self.first_of(self.model(Tensor(self.usable[0][0]))).array
                for p in self.parameters.values():
                    p.array *= 100
                larger = self.first_of(self.model(Tensor(self.usable[0][0]))).array
                if np.abs(larger).max() < 1.5 * np.abs(large).max():
                    return float(larger.min()), float(larger.max())
        return -math.inf, math.inf

    @property
    def is_contrary(self) -> bool:
        """Whether the loss is lower where outputs go against the targets than along with them.

        With numbers only where it turns its sign with the outputs, as hazards go against times; and
        outputs that are never below 0 may be distances, low where the targets say that two are one.
        """
        output, target, rng = self.trial.output, self.usable[0][1], np.random.default_rng(0)
        if output is None or target is None or target.size != output.array.size:
            return False
        y, right = output.array, target.reshape(output.shape) - target.mean(dtype=np.float64)
        along, against = (self.asked((s * right).astype(y.dtype), target) for s in (1, -1))
        if self.labels is not None:
            known = bool(y.min() < 0)
        else:
            tried = rng.standard_normal((3, *y.shape)).astype(y.dtype)
            sums = [self.asked(z, target) + self.asked(-z, target) for z in tried]
            known = bool(np.allclose(sums, sums[0], 1e-3, 1e-3))
        return known and against < along - 1e-3 * abs(along)

    def start_anew(self) -> None:
        """Initialise every layer again, in the way that layers are."""
        self.model.apply(lambda module: getattr(module, "reset_parameters", lambda: None)())

    def run_trial(self) -> None:
        """One forward and backward pass, of which the model keeps no trace."""
        trial = self.trial
        with (
            preserving(self.model),
            np.errstate(all="ignore"),
            autograd.observe(trial.note),
            grad_mode.enable_grad(),
        ):
            hook = self.model.register_forward_hook(lambda *given: trial.end_forward(given[-1]))
            try:
                loss = self.passed(Tensor(self.usable[0][0]), self.usable[0][1])
                trial.loss_shape, trial.loss_depends = loss.shape, loss.requires_grad
                if loss.array.size == 1:
                    trial.loss = loss.item()
                    trial.stage = "backward"
                    if loss.requires_grad:
                        loss.backward()
                trial.stage = ""
            except Exception as error:
                trial.error = error
            hook.remove()
            trial.gradients = {
                name: None if p.grad is None else p.grad.array
                for name, p in self.parameters.items()
            }
        target = self.usable[0][1]
        if trial.error is None and trial.several and target is not None:
            trial.pick(target)
        self.asks = trial.error is not None or self._asks(trial.made)
        self.classifies = self._classifies()

    def passed(self, x: Tensor, target: Any) -> Tensor:
        """The loss of a batch; where the step has its own, the tensor that this goes back from."""
        made = None if self.watched else self.model(x)
        wanted = Tensor(target) if isinstance(target, np.ndarray) else target
        if self.watched:
            return until_backward(self.step, x, wanted)
        self.trial.end_forward(made)  # of a model with a __call__ of its own, without hooks
        return _tensor("the loss", self.loss(made, wanted))

    def loss_of_step(self, made: Any, target: Tensor | None) -> Tensor:
        """The step's own loss of the first batch, where the model gave this."""
        with preserving(self.model), as_before(self.reached), grad_mode.enable_grad():
            self.model.__dict__["forward"] = lambda *given, **settings: made
            return until_backward(self.step, Tensor(self.usable[0][0]), target)

    def _asks(self, made: Any) -> bool:
        """Whether the loss is another one, or none, without the targets."""
        x, target = self.usable[0]
        told = []
        for given in (target, None):
            with preserving(self.model), contextlib.suppress(Exception):
                told.append(self.loss(made, tensors(x, given)[1]).item())
        return len(told) < 2 or told[0] != told[1]


def flattened(args: Iterable[Any]) -> Iterator[Any]:
    """The arguments, and those in lists among them."""
    for value in args:
        yield from flattened(value) if isinstance(value, (list, tuple)) else (value,)


def by_target(slope: np.ndarray, target: np.ndarray) -> np.ndarray | None:
    """The largest number for each target; None where it is not known which are for which."""
    sizes = np.abs(slope)
    shares = [sizes, *(sizes.max(a) for a in {1, slope.ndim - 1} if 0 < a < slope.ndim)]
    return next((s.reshape(target.shape) for s in shares if s.size == target.size), None)


def tensors(x: np.ndarray, target: np.ndarray | None) -> tuple[Tensor, Any]:
    """A batch as the model and the loss take it."""
    return Tensor(x), None if target is None else Tensor(target)


def tensors_of(made: Any) -> Iterator[Tensor]:
    """All tensors that a model made: one, or those in a tuple, list or dict."""
    if isinstance(made, (tuple, list, dict)):
        for inner in made.values() if isinstance(made, dict) else made:
            yield from tensors_of(inner)
    elif isinstance(made, Tensor):
        yield made


def zeros_like(made: Any) -> Any:
    """Zeros in place of all that a model made."""
    if isinstance(made, dict):
        return {key: zeros_like(inner) for key, inner in made.items()}
    if isinstance(made, (tuple, list)):
        return getattr(made, "_make", type(made))(map(zeros_like, made))
    return Tensor(np.zeros_like(made.array)) if isinstance(made, Tensor) else made


class _Goes(BaseException):
    """A step goes back from this loss."""


class NoLossError(RuntimeError):
    """A step goes back from none."""


def until_backward(step: Any, x: Tensor, target: Tensor | None) -> Tensor:
    """The loss of a step, which is ended where it calls `backward()`."""

    def ended(loss: Tensor, *given: Any, **settings: Any) -> None:
        raise _Goes(loss)

    with replaced(Tensor, "backward", ended):
        try:
            step(x, target)
        except _Goes as found:
            return found.args[0]  # type: ignore[no-any-return]
    raise NoLossError("the step does not call backward()")


@contextlib.contextmanager
def replaced(kind: type, method: str, by: Callable[..., None]) -> Iterator[None]:
    """Inside, objects of a class do something else where this method is called."""
    usual = getattr(kind, method)
    setattr(kind, method, by)
    try:
        yield
    finally:
        setattr(kind, method, usual)


def _tensor(what: str, result: Any) -> Tensor:
    """What a model or a loss returned; TypeError, with the cure, where it is no tensor."""
    if isinstance(result, Tensor):
        return result
    cure = "does it end with `return`, without .item(), .numpy() and float()?"
    raise TypeError(f"{what} returns {type(result).__name__}, no tensor: {cure}")


def usable_input(case: Case, x: np.ndarray) -> np.ndarray:
    """Inputs as the model can take them: finite floats, scaled; integers as they are."""
    if x.dtype.kind in "iu":
        return x
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        x = np.where(np.isfinite(x), x, 0).astype(x.dtype)
    if badly_scaled(case.x) and not case.prepares:
        values = case.x[np.isfinite(case.x)]
        x = (x - values.mean(dtype=np.float64)) / (values.std(dtype=np.float64) or 1)
    return x.astype(case.dtype)
