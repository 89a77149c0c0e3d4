"""Wrong gradients in the manner of learners: sixty, written after the looks and not for them,
and five of those in which a stranger was told something wrong, or nothing.

    python -m tests.long.strangers_faults
    python -m tests.long.strangers_faults --only norm --show

Each is an operation as somebody writes it who is about to ask for help. The words beside it are a
pattern of what a report must say for its cause to be right. caught: the check fails. right: it
names operation and argument, and says the words. wrong: it gives a cause and does not say them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

import tinynet
from benchmarks import common


class Fault(NamedTuple):
    """op: the body, with one wrong gradient, that of `argument`. words: see above."""

    op: Callable[..., Any]
    inputs: tuple[Any, ...]
    settings: dict[str, Any]
    argument: str
    words: str


FAULTS: list[Fault] = []
rng = np.random.default_rng(2024)


def fault(words: str, *inputs: Any, argument: str = "x", **settings: Any) -> Callable[..., Any]:
    """Add the function below to the table; inputs: arrays, or shapes of normal ones."""
    arrays = tuple(rng.standard_normal(x) if isinstance(x, tuple) else x for x in inputs)

    def add(op: Callable[..., Any]) -> Callable[..., Any]:
        FAULTS.append(Fault(op, arrays, settings, argument, words))
        return op

    return add


def positive(*shape: int) -> np.ndarray:
    return rng.uniform(0.4, 2.0, shape)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


LABELS = np.array([1, 0, 2, 2])

# ----- activations --------------------------------------------------------------------------------


@fault(r"clip|x > 1|\|x\| > 1|left|none", (4, 5))
def hardtanh(x):
    return np.clip(x, -1, 1), lambda dy: dy * (x > -1)


@fault(r"3|1/6|factor|/ 6|x / 3|\(x \+ 3\)|where", (4, 5))
def hardswish(x):
    """The slope of the middle piece is (2 x + 3) / 6."""
    y = x * np.clip(x + 3, 0, 6) / 6
    return y, lambda dy: dy * np.where(x < -3, 0, np.where(x > 3, 1, (x + 3) / 6))


@fault(r"constant|use|tanh|missing", (3, 4))
def mish(x):
    t = np.tanh(np.log1p(np.exp(x)))
    return x * t, lambda dy: dy * t


@fault(r"scale|1\.05|factor", (3, 4), alpha=1.67, scale=1.05)
def selu(x, alpha, scale):
    y = scale * np.where(x > 0, x, alpha * (np.exp(x) - 1))
    return y, lambda dy: dy * np.where(x > 0, 1, alpha * np.exp(x))


@fault(r"x|where|factor|sign", (4, 6), np.array([0.25]), argument="a")
def prelu(x, a):
    y = np.where(x > 0, x, a * x)
    return y, lambda dy: dy * np.where(x > 0, 1, a), lambda dy: (dy * (x < 0)).sum(keepdims=True)


@fault(r"sigmoid\(x\)|sigmoid\(-x\)|e\^y|y", (3, 4))
def log_sigmoid(x):
    s = sigmoid(x)
    return np.log(s), lambda dy: dy * s


@fault(r"one use|constant|missing|left out|zero|half|place", (3, 6))
def glu(x):
    a, b = x[:, :3], x[:, 3:]
    s = sigmoid(b)
    return a * s, lambda dy: np.concatenate([dy * s, dy * a * s], axis=1)


@fault(r"2 x|inner|x\b|factor", (3, 4))
def gaussian(x):
    y = np.exp(-x * x)
    return y, lambda dy: -dy * y * x


@fault(r"1 \+ x|sqrt|y|factor", (3, 4))
def softplus_root(x):
    y = np.sqrt(1 + x * x)
    return y, lambda dy: dy * x


@fault(r"0\.5|1/2|factor|2", (3, 4))
def sinh_like(x):
    return (np.exp(x) - np.exp(-x)) / 2, lambda dy: dy * (np.exp(x) + np.exp(-x))


@fault(r"sign|-", (3, 4))
def cosh_slope(x):
    return np.cosh(x), lambda dy: -dy * np.sinh(x)


@fault(r"threshold|x > |left|where", (4, 5), threshold=0.3)
def thresholded(x, threshold):
    return np.where(x > threshold, x, 0), lambda dy: dy * (x > 0)


@fault(r"temperature|factor|1/2\.5|0\.4", (3, 4), temperature=2.5)
def scaled_tanh(x, temperature):
    y = np.tanh(x / temperature)
    return y, lambda dy: dy * (1 - y * y)


# ----- losses -------------------------------------------------------------------------------------


@fault(r"gamma|constant|missing|\(1 - p\)", rng.uniform(0.2, 0.9, (5,)), argument="p", gamma=2)
def focal(p, gamma):
    return -((1 - p) ** gamma) * np.log(p), lambda dy: -dy * (1 - p) ** gamma / p


@fault(r"q|sign|-1", softmax(rng.standard_normal((3, 4))), softmax(rng.standard_normal((3, 4))),
       argument="q")  # fmt: skip
def kullback_leibler(p, q):
    ratio = np.log(p / q)
    return (p * ratio).sum(), lambda dy: dy * (ratio + 1), lambda dy: dy * p / q


@fault(r"constant|norm|missing", (4, 3), (4, 3))
def cosine_similarity(x, z):
    n, m = (np.linalg.norm(a, axis=1, keepdims=True) for a in (x, z))
    return (x * z).sum(1) / (n * m)[:, 0], lambda dy: dy[:, None] * z / (n * m)


@fault(r"margin|y [>=]|where|zero|none|left", (6,), (6,), margin=0.5)
def ranking(x, z, margin):
    y = np.maximum(0, margin - (x - z))
    return y, lambda dy: -dy * np.ones_like(x), lambda dy: dy * (y > 0)


@fault(r"tanh|x\b", (4, 3), (4, 3))
def log_cosh(x, t):
    return np.log(np.cosh(x - t)).sum(), lambda dy: dy * np.sinh(x - t)


@fault(r"N|n\b|batch|divid|4|mean", (4, 3), target=LABELS)
def cross_entropy_summed(x, target):
    p = softmax(x)
    y = -np.log(p[np.arange(4), target]).mean()
    return y, lambda dy: dy * (p - np.eye(3)[target])


@fault(r"weight|class", (4, 3), target=LABELS, weight=np.array([0.5, 2.0, 1.4]))
def weighted_cross_entropy(x, target, weight):
    p = softmax(x)
    w = weight[target]
    y = -(w * np.log(p[np.arange(4), target])).sum()
    return y, lambda dy: dy * (p - np.eye(3)[target])


@fault(r"sigmoid|x\b|t\b|factor|p", (4, 3), rng.integers(0, 2, (4, 3)) * 1.0)
def bce_on_logits(x, t):
    p = sigmoid(x)
    y = -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean()
    return y, lambda dy: dy * (p - t) / (p * (1 - p)) / x.size


@fault(r"2|factor|1/2", (5, 2), lam=0.1)
def weight_decay(x, lam):
    return lam * (x * x).sum(), lambda dy: dy * lam * x


@fault(r"sign|x\b|lam", (5, 2), lam=0.1)
def lasso(x, lam):
    return lam * np.abs(x).sum(), lambda dy: dy * lam * np.ones_like(x)


@fault(r"t\b|x|1/t|relative|factor", positive(6), positive(6))
def relative_error(x, t):
    return ((x - t) / t) ** 2, lambda dy: dy * 2 * (x - t) / t


# ----- normalisation and reductions ---------------------------------------------------------------


@fault(r"constant|mean|part|unchanged", (4, 5))
def centred(x):
    return x - x.mean(1, keepdims=True), lambda dy: dy


@fault(r"constant|sum|total|missing", positive(3, 4))
def share_of_row(x):
    total = x.sum(1, keepdims=True)
    return x / total, lambda dy: dy / total


@fault(r"constant|deviation|std|var|part", (2, 4, 3), groups=2)
def group_norm(x, groups):
    g = x.reshape(2, groups, -1)
    d = g - g.mean(2, keepdims=True)
    s = np.sqrt((d * d).mean(2, keepdims=True) + 1e-5)
    y = d / s

    def dx(dy):
        h = dy.reshape(g.shape)
        return ((h - h.mean(2, keepdims=True)) / s).reshape(x.shape)

    return y.reshape(x.shape), dx


@fault(r"axis|sum|batch", (3, 3), positive(3), (3,), argument="w")
def layer_norm_scale(x, w, b):
    d = x - x.mean(1, keepdims=True)
    h = d / np.sqrt((d * d).mean(1, keepdims=True) + 1e-5)

    def dx(dy):
        g = dy * w
        s = h / np.where(d == 0, 1, d)
        return s * (g - g.mean(1, keepdims=True) - h * (g * h).mean(1, keepdims=True))

    return h * w + b, dx, lambda dy: (dy * h).sum(1), lambda dy: dy.sum(0)


@fault(r"n|count|N|5|4|factor", (4, 5))
def unbiased_std(x):
    d = x - x.mean(1, keepdims=True)
    y = np.sqrt((d * d).sum(1) / 4)
    return y, lambda dy: dy[:, None] * d / (5 * y[:, None])


@fault(r"softmax|e\^|y|exp", (3, 4))
def log_mean_exp(x):
    y = np.log(np.exp(x).mean(1))
    return y, lambda dy: dy[:, None] * np.exp(x - y[:, None])


@fault(r"x\b|y|product|/ x|factor", positive(3, 4))
def row_product(x):
    y = x.prod(1)
    return y, lambda dy: np.repeat(dy[:, None], 4, 1) * y[:, None]


@fault(r"winner|largest|smallest|where|spread|all", (4, 5))
def row_range(x):
    high, low = x.max(1, keepdims=True), x.min(1, keepdims=True)
    return (high - low)[:, 0], lambda dy: dy[:, None] * (x == high)


@fault(r"one|place|winner|middle|axis", (3, 5))
def row_median(x):
    order = np.argsort(x, axis=1)[:, 2]
    y = x[np.arange(3), order]

    def dx(dy):
        g = np.zeros_like(x)
        g[:, 2] = dy
        return g

    return y, dx


@fault(r"order|sort|place|unchanged|permut", (8,))
def sorted_values(x):
    return np.sort(x), lambda dy: dy


@fault(r"x\^2|\|x\||sign|3|factor", (3, 4))
def cubic_norm(x):
    y = (np.abs(x) ** 3).sum(1)
    return y, lambda dy: dy[:, None] * 3 * x**2


# ----- products -----------------------------------------------------------------------------------


@fault(r"transpos", (2, 3, 3), (2, 3, 3))
def batched_product(x, w):
    return x @ w, lambda dy: dy @ w, lambda dy: x.swapaxes(1, 2) @ dy


@fault(r"sum|batch|first|place|axis", (3, 4, 2), (2, 5), argument="w")
def shared_weight(x, w):
    return x @ w, lambda dy: dy @ w.T, lambda dy: x[-1].T @ dy[-1]


@fault(r"transpos", (3, 4), (4, 4), (3, 4), argument="w")
def bilinear(x, w, z):
    y = np.einsum("ni,ij,nj->n", x, w, z)
    return y, lambda dy: dy[:, None] * (z @ w.T), lambda dy: np.einsum("n,ni,nj->ji", dy, x, z)


@fault(r"identity|diagonal|ones|where|place|every", (4, 4))
def trace(x):
    return np.trace(x), lambda dy: dy * np.ones_like(x)


@fault(r"transpos|\.T\b", np.eye(3) * 2 + rng.standard_normal((3, 3)) * 0.3)
def inverse(x):
    y = np.linalg.inv(x)
    return y, lambda dy: -y @ dy @ y.T


@fault(r"transpos", np.eye(3) * 2 + rng.standard_normal((3, 3)) * 0.3)
def log_determinant(x):
    return np.log(np.abs(np.linalg.det(x))), lambda dy: dy * np.linalg.inv(x)


@fault(r"1 - |tanh|h\b|constant|gate|missing|factor", (3, 4), (4, 4), (3, 4), argument="h")
def rnn_step(x, w, h):
    y = np.tanh(x + h @ w)
    d = 1 - y * y
    return y, lambda dy: dy * d, lambda dy: h.T @ (dy * d), lambda dy: dy @ w.T


@fault(r"x left out|a term -dy x is missing", (3, 4), (3, 4), (3, 4), argument="z")
def gru_mix(x, h, z):
    """z * h + (1 - z) * x, whose gradient of z is h - x."""
    return z * h + (1 - z) * x, lambda dy: dy * (1 - z), lambda dy: dy * z, lambda dy: dy * h


@fault(r"f|sigmoid|\(1 - |gate|factor", (3, 4), (3, 4), argument="f")
def forget(c, f):
    s = sigmoid(f)
    return c * s, lambda dy: dy * s, lambda dy: dy * c * s


@fault(r"scale|sqrt|factor|2", (3, 4), (5, 4), argument="q")
def attention_scores(q, k):
    return q @ k.T / 2, lambda dy: dy @ k, lambda dy: dy.T @ q / 2


@fault(r"accumul|\+=|last|repeat|sum|left", (5, 2), index=np.array([1, 3, 1, 0]), argument="table")
def embedding(table, index):
    def dtable(dy):
        g = np.zeros_like(table)
        for row, i in enumerate(index):
            g[i] = dy[row]
        return g

    return table[index], dtable


# ----- shapes -------------------------------------------------------------------------------------


@fault(r"shift|crop|other|place|wrong", (3, 4), before=1)
def padded(x, before):
    return np.pad(x, ((0, 0), (before, 2))), lambda dy: dy[:, before + 1 : before + 5]


@fault(r"border|edge|first|last|missing|left", (2, 4))
def edge_padded(x):
    return np.pad(x, ((0, 0), (1, 1)), mode="edge"), lambda dy: dy[:, 1:-1]


@fault(r"transpos|order|reshape|axes", (2, 4, 2, 3))
def pixel_shuffle(x):
    y = x.reshape(2, 1, 2, 2, 2, 3).transpose(0, 1, 4, 2, 5, 3).reshape(2, 1, 4, 6)
    return y, lambda dy: dy.reshape(x.shape)


@fault(r"1/4|0\.25|sum|mean|divid|factor", (1, 2, 3, 2))
def upsampled(x):
    y = x.repeat(2, 2).repeat(2, 3)
    return y, lambda dy: dy.reshape(1, 2, 3, 2, 2, 2).mean((3, 5))


@fault(r"revers|flip", (3, 4))
def reversed_rows(x):
    return x[:, ::-1] * 2, lambda dy: 2 * dy


@fault(r"exchang|order|swap|half|halves|shift|unchanged|roll", (3, 6))
def stacked_halves(x):
    y = np.stack([x[:, :3], x[:, 3:]])

    def dx(dy):
        return np.concatenate([dy[1], dy[0]], axis=1)

    return y, dx


# ----- convolution and pools ----------------------------------------------------------------------


def correlate(x, w, stride=1):
    """(N, C, L) with (O, C, K)."""
    places = (x.shape[2] - w.shape[2]) // stride + 1
    windows = np.stack([x[:, :, p * stride : p * stride + w.shape[2]] for p in range(places)], 2)
    return np.einsum("ncpk,ock->nop", windows, w), windows


@fault(r"flip|backwards|revers", (2, 2, 7), (3, 2, 3))
def conv1d(x, w):
    y, windows = correlate(x, w)

    def dx(dy):
        g = np.zeros_like(x)
        for p in range(dy.shape[2]):
            g[:, :, p : p + 3] += np.einsum("no,ock->nck", dy[:, :, p], w[:, :, ::-1])
        return g

    return y, dx, lambda dy: np.einsum("nop,ncpk->ock", dy, windows)


@fault(r"stride", (2, 2, 9), (3, 2, 3), stride=2)
def strided_conv1d(x, w, stride):
    y, windows = correlate(x, w, stride)

    def dx(dy):
        g = np.zeros_like(x)
        for p in range(dy.shape[2]):
            g[:, :, p : p + 3] += np.einsum("no,ock->nck", dy[:, :, p], w)
        return g

    return y, dx, lambda dy: np.einsum("nop,ncpk->ock", dy, windows)


@fault(r"revers|flip|shift|backwards", (2, 2, 7), (3, 2, 3), argument="w")
def conv1d_kernel(x, w):
    y, windows = correlate(x, w)

    def dx(dy):
        g = np.zeros_like(x)
        for p in range(dy.shape[2]):
            g[:, :, p : p + 3] += np.einsum("no,ock->nck", dy[:, :, p], w)
        return g

    return y, dx, lambda dy: np.einsum("nop,ncpk->ock", dy, windows[..., ::-1])


@fault(r"bias|batch|sum|axis|first|place", (2, 2, 7), (3, 2, 3), (3,), argument="b")
def conv1d_bias(x, w, b):
    y, windows = correlate(x, w)

    def dx(dy):
        g = np.zeros_like(x)
        for p in range(dy.shape[2]):
            g[:, :, p : p + 3] += np.einsum("no,ock->nck", dy[:, :, p], w)
        return g

    def dw(dy):
        return np.einsum("nop,ncpk->ock", dy, windows)

    return y + b[:, None], dx, dw, lambda dy: dy[:, :, 0].sum(0)


@fault(r"accumul|overlap|=|overwrit", (1, 2, 7))
def overlapping_max(x):
    windows = np.stack([x[:, :, p : p + 3] for p in range(5)], 2)
    winner = windows.argmax(3)

    def dx(dy):
        g = np.zeros_like(x)
        for n, c, p in np.ndindex(winner.shape):
            g[n, c, p + winner[n, c, p]] = dy[n, c, p]
        return g

    return windows.max(3), dx


@fault(r"winner|first|place|offset|shift|window", (2, 3, 8))
def max_of_pairs(x):
    pairs = x.reshape(2, 3, 4, 2)
    winner = pairs.argmax(3)

    def dx(dy):
        g = np.zeros_like(x)
        for n, c, p in np.ndindex(winner.shape):
            g[n, c, p + winner[n, c, p]] += dy[n, c, p]
        return g

    return pairs.max(3), dx


@fault(r"count|divid|3|2", (2, 2, 9))
def mean_of_three(x):
    return x.reshape(2, 2, 3, 3).mean(3), lambda dy: dy.repeat(3, 2) / 2


@fault(r"last|stops|left|place|row", (2, 2, 8))
def mean_of_pairs_too_short(x):
    y = x.reshape(2, 2, 4, 2).mean(3)

    def dx(dy):
        g = np.zeros_like(x)
        for p in range(3):
            g[:, :, 2 * p : 2 * p + 2] = dy[:, :, p : p + 1] / 2
        return g

    return y, dx


# ----- what was told wrong, or not at all ---------------------------------------------------------


@fault(r"two parts of the gradient off by a factor", (3, 4), (4, 4))
def quadratic_form(x, A):
    y = np.einsum("ni,ij,nj->n", x, A, x)
    return y, lambda dy: 2 * dy[:, None] * (x @ A.T), lambda dy: np.einsum("n,ni,nj->ij", dy, x, x)


@fault(
    r"b.reshape\(2, 5, 4\) in place of b.reshape\(2, 4, 5\).swapaxes\(1, 2\)",
    (2, 3, 4),
    (2, 4, 5),
    argument="a",
)
def products_of_batches(a, b):
    return a @ b, lambda dy: dy @ b.reshape(2, 5, 4), lambda dy: a.transpose(0, 2, 1) @ dy


@fault(r"idx ignored", (3, 4), np.array([[0, 4, 4, 2], [1, 1, 0, 3], [2, 0, 3, 3]]), argument="src")
def scattered(src, idx):
    y = np.zeros((3, 5), src.dtype)
    np.add.at(y, (np.arange(3)[:, None], idx), src)
    return y, lambda dy: dy[:, :4]


@fault(r"weight p.* in place of .*weight\[target\] p", (5, 3), LABELS[[0, 2, 1, 1, 3]], positive(3))
def weighted_by_the_class_of_the_column(x, target, weight):
    p, i = softmax(x), np.arange(5)
    w = weight[target]
    return -(
        w * np.log(p[i, target])
    ).sum() / w.sum(), lambda dy: dy * (p - np.eye(3)[target]) * weight / w.sum()


@fault(r"left out, where it is the last element of x", (5, 10))
def all_but_the_last(x):
    def dx(dy):
        g = np.zeros_like(x)
        g.flat[:-1] = (2 * dy * x).flat[:-1]
        return g

    return x * x, dx


# ----- the check ----------------------------------------------------------------------------------


VERDICTS = ("right", "wrong", "no cause", "not caught")


class Answer(NamedTuple):
    """What the check said of a fault."""

    fault: Fault
    verdict: str  # one of VERDICTS
    said: str


def judged(one: Fault) -> Answer:
    """Check one operation, and hold what is said against the words."""
    op = tinynet.differentiable(one.op)
    with_gradient = len(one.op(*(x.copy() for x in one.inputs), **one.settings)) - 1
    inputs = [
        tinynet.Tensor(x.copy(), requires_grad=i < with_gradient) for i, x in enumerate(one.inputs)
    ]
    report = tinynet.gradcheck(lambda *xs: op(*xs, **one.settings), inputs)
    if report:
        return Answer(one, "not caught", str(report))
    failures = report.failures
    said = "; ".join(f"{f.op}, {f.argument}: {f.cause or '-'} ({f.evidence})" for f in failures)
    if not all(f.cause for f in failures):
        return Answer(one, "no cause", said)
    named = all((f.op, f.argument) == (one.op.__name__, one.argument) for f in failures)
    words = all(re.search(one.words, f"{f.cause} {f.evidence}") for f in failures)
    return Answer(one, "right" if named and words else "wrong", said)


def main(argv: Sequence[str] | None = None) -> int:
    """Check all faults, print what was said. Exit code 1 if one was not caught."""
    parser = common.new_parser(__doc__)
    parser.add_argument("--only", default="", metavar="TEXT", help="faults with TEXT in their name")
    parser.add_argument("--show", action="store_true", help="also what is right")
    args = parser.parse_args(argv)
    answers = [judged(one) for one in FAULTS if args.only in one.op.__name__]
    for answer in answers:
        if args.show or answer.verdict != "right":
            print(f"{answer.verdict:10s} {answer.fault.op.__name__}: {answer.said}")
    counts = Counter(answer.verdict for answer in answers)
    told = [f"{counts[verdict]} {verdict}" for verdict in VERDICTS]
    print(f"{len(answers)} faults: {', '.join(told)}")
    return 1 if counts["not caught"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
