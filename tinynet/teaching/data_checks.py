"""What the doctor looks for in the data: the inputs, the labels and other targets."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinynet.nn.checks import LARGE, SMALL, badly_scaled
from tinynet.nn.preserving import preserving
from tinynet.teaching.case import BINARY, Case
from tinynet.teaching.catalogue import finding
from tinynet.teaching.relation import ORDERS, Examples, closer_than_chance, examples, neighbours
from tinynet.teaching.report import ERROR, WARNING, Finding, listed

COLUMNS = 40
"""Up to so many columns are features with a meaning each, and one that is constant is a mistake."""
APART = 20.0
"""How many times the usual spread a column may have, or be away from 0."""
RARE = 9.0
"""How many times as frequent as the rarest class the most frequent one may be."""
LARGE_TARGET = 30.0
"""Targets of a regression should not be larger, nor their spread: a net begins near 0."""


def check_finite(case: Case) -> Iterator[Finding]:
    """NaN or infinity among the inputs and the targets."""
    for name, array in (("input", case.x), ("target", case.target)):
        if array is None or array.dtype.kind != "f" or np.isfinite(array).all():
            continue
        places = np.argwhere(~np.isfinite(array))
        seen, rows = f"{len(places)} of {array.size} {name} values", len(np.unique(places[:, 0]))
        yield finding(f"{name}s-not-finite", seen=seen, rows=rows, N=len(array))


def check_scale(case: Case) -> Iterator[Finding]:
    """Inputs far from the scale that the initial weights are made for, all or some columns."""
    x = case.x
    if x.dtype.kind != "f":
        return  # layers refuse integers, and tell how to scale them
    apart = _columns_apart(x)
    if case.prepares and not any(map(_columns_apart, case.entering)):
        return
    if apart:
        told = [f"x[:, {c}] has mean {m:.4g} and standard deviation {s:.4g}" for c, m, s in apart]
        c, mean, std = apart[0]
        severity, seen = ERROR if badly_scaled(x) else WARNING, listed(told, 3)
        values = {"told": seen, "c": c, "mean": mean, "std": std or 1}
        yield finding("column-of-another-scale", severity, columns=x.shape[1], **values)
    elif badly_scaled(x):
        mean, std = _mean_and_std(x)
        twice = ". Were they divided by 255 twice?" if std <= SMALL else ""
        values = {"range": _range(x), "mean": mean, "std": std, "twice": twice}
        yield finding("inputs-not-scaled", WARNING if twice else ERROR, **values)


def _columns_apart(x: np.ndarray) -> list[tuple[int, float, float]]:
    """(column or channel, its mean, its standard deviation) of those of another scale."""
    if x.ndim not in (2, 4) or not 2 <= x.shape[1] <= COLUMNS or len(x) < 8:
        return []
    rows = np.moveaxis(x, 1, -1).reshape(-1, x.shape[1]).astype(np.float64)
    rows = rows[np.isfinite(rows).all(axis=1)]
    mean, std = (rows.mean(0), rows.std(0)) if len(rows) else np.zeros((2, x.shape[1]))
    varied = std > 0
    usual = float(np.median(std[varied])) if varied.any() else 0.0
    far = (std > APART * usual) | (np.abs(mean) > APART * max(usual, LARGE / APART))
    far |= varied & (std * APART * LARGE < usual)
    if usual == 0 or not 0 < far.sum() <= x.shape[1] / 2:
        return []
    return [(int(c), float(mean[c]), float(std[c])) for c in np.flatnonzero(far)]


def check_variety(case: Case) -> Iterator[Finding]:
    """Inputs that say nothing: the same number everywhere, or the same example again and again."""
    x, N = case.x, len(case.x)
    rows, columns = x.reshape(N, -1), x.shape[1] if x.ndim in (2, 4) else 0
    same = (rows == rows[:, :1]).all(axis=1) & (rows.shape[1] > 3)
    others = (0, *range(2, x.ndim))
    alike = np.flatnonzero(x.min(others) == x.max(others)) if columns and N else same[:0]
    if same.all():
        yield finding("inputs-constant", N=N, places=rows.shape[1], number=rows[0, 0])
    elif N >= 8 and 0 < len(alike) < columns <= COLUMNS and not case.words:
        told, left = listed([f"x[:, {c}]" for c in alike], 3), alike.tolist()
        number = float(x[0, left[0]].flat[0])
        if x.ndim == 2 and np.isin(x[0, left], (0, 1)).all():  # a rare category, or of a bias
            numbers = " or ".join(f"{n:g}" for n in np.unique(x[0, left]))
            case.notes.append(f"{told} is {numbers} in all {N} examples")
        else:
            values = {"columns": columns, "number": number, "left": left}
            yield finding("column-constant", told=told, N=N, **values)
    distinct = len({row.tobytes() for row in np.ascontiguousarray(rows)})
    if distinct > 1 and (case.redraws or (x.ndim == 2 and np.array_equal(rows, rows.round()))):
        return  # words and categories are equal by chance
    if not same.all() and (N - distinct) * 10 >= N > 1 and rows.shape[1] > 3:
        severity = ERROR if distinct == 1 else WARNING
        yield finding("inputs-duplicated", severity, groups=distinct, N=N)


def check_order(case: Case) -> Iterator[Finding]:
    """Batches whose targets differ more than those of shuffled ones do."""
    sizes = [len(x) for x, _ in case.batches]
    target = case.target
    if target is None or len(sizes) < 2 or sizes[0] < 4 or len(target) != len(case.x):
        return
    if target.dtype.kind not in "iuf":
        return
    values = target.reshape(len(target), -1).astype(np.float64)
    if case.classes:  # a column for each class, with its share of the labels
        values = np.stack([(values == c).mean(1) for c in np.unique(values)], 1)
    parts, mean, due = np.split(values, np.cumsum(sizes)[:-1]), values.mean(0), values.var(0).sum()
    apart = sum(len(part) * np.square(part.mean(0) - mean).sum() for part in parts)
    ratio = float(apart / (len(parts) - 1) / due) if due else 0.0
    if ratio > 4 + 8 / (len(sizes) - 1):
        row, what = ("labels", "classes") if case.classes else ("targets", "targets")
        yield finding(f"{row}-sorted", what=what, ratio=ratio)


def check_balance(case: Case) -> Iterator[Finding]:
    """One class alone, and rare classes."""
    labels, target, output = case.labels, case.target, case.trial.output
    tags = labels is None and bool(case.trial.of(*BINARY))
    if tags and target is not None and output is not None and target.shape[1:] == output.shape[1:]:
        labels = target[np.isin(target, (0, 1))].astype(np.int64)
    elif labels is None and target is not None and case.classes and case.classifies:
        tags, labels = True, target[(target >= 0) & (target < case.classes)]  # pixels, or words
    if labels is None or case.trial.error is not None or "loss-fails" in case.found:
        return
    size, (present, counts) = labels.size, np.unique(labels, return_counts=True)
    if len(present) < 2:
        if not tags and size >= 8 and case.classes != 1:
            yield finding("one-class-in-the-batch", size=size, label=present[0])
        return
    unused = np.setdiff1d(np.arange(case.classes or 0), present)
    if unused.size and size >= 64 and case.classifies and not (tags or case.words):
        names, C = listed([*map(str, unused)], 3), len(present)
        if len(unused) > C and size > 25 * len(unused) and "labels-sorted" not in case.found:
            yield finding("classes-imbalanced (absent)", size=size, names=names, C=C)
            return
        told = f"no label of {size} is {names}; if none ever is, count the classes from 0, and give"
        case.notes.append(f"{told} the last layer {C} outputs")
    ends = [counts.argmax(), counts.argmin()]
    classes, shares = present[ends], counts[ends] / size
    values: dict[str, Any] = {"size": size, "classes": classes, "shares": shares}
    w = _weights(case, classes)
    if shares[0] > 2 * shares[1] and w[0] > 1.5 * w[1] > 0:
        yield finding("class-weights-inverted", times=w[0] / w[1], **values)
    few = tags or size < 25 * len(present)  # tags are rare as a rule
    if not few and shares[0] > RARE * shares[1] and not (w[1] > 1.5 * w[0] or w[0] > 1.5 * w[1]):
        yield finding("classes-imbalanced", **values)


def _weights(case: Case, classes: np.ndarray) -> np.ndarray:
    """How much the loss makes of an example of each class, where all outputs are 0."""
    output, target = case.trial.output, case.usable[0][1]
    if target is None or output is None or target.size < len(classes):
        return np.ones(len(classes))
    labels = np.resize(classes, target.shape).astype(target.dtype)
    pull = case.pull(np.zeros_like(output.array), labels)
    if pull is None:
        return np.ones(len(classes))
    return np.array([pull[labels == c].mean() for c in classes])


def check_targets(case: Case) -> Iterator[Finding]:
    """Targets of a regression: their scale, and whether the model's outputs can reach them."""
    target, output = case.target, case.trial.output
    if target is None or output is None or not case.is_regression or not np.isfinite(target).all():
        return
    if case.trial.error is not None:
        return  # the message says what it does not take
    mean, std = _mean_and_std(target)
    low, middle, high = np.quantile(target, (0.05, 0.5, 0.95))
    limit = 20 * (high - low)
    far = target[np.abs(target - middle) > limit] if std > LARGE_TARGET else target[:0]
    if len(far) and limit:
        told = {"low": low, "middle": middle, "high": high, "limit": limit / 10}
        values = {"count": len(far), "value": far.flat[0], "N": len(target)}
        yield finding("targets-not-scaled (some)", **values, **told)
    elif max(std, abs(mean)) > LARGE_TARGET or 0 < max(std, abs(mean)) < SMALL:
        yield finding("targets-not-scaled", mean=mean, std=std)
    last = case.trial.maker(output)
    if last is None or not case.compares:
        return
    low, high = last.reach()
    if not np.isfinite([low, high]).any():
        low, high = case.limits()
    beyond = float(((target < low) | (target > high)).mean())
    if beyond > 0.02:
        ends = {"range": _range(target), "low": low, "high": high}
        yield finding("targets-out-of-reach", beyond=beyond, where=last.where(), **ends)


TURNS = ORDERS | {
    "flipped left to right": lambda t: t[:, :, ::-1],
    "flipped upside down": lambda t: t[:, ::-1],
    "transposed": lambda t: t.swapaxes(1, 2),
}
"""What masks (N, H, W) may have come through, or their images."""


def check_images(case: Case) -> Iterator[Finding]:
    """Images that are smooth with the channels last alone; masks that fit them when turned."""
    x, t = case.usable[0]
    if x.ndim == 4 and x.dtype.kind == "f" and x.shape[1] in (3, 4) and x.shape[3] > 4:
        N, C, H, W = x.shape
        rough = _roughness(x)
        other = _roughness(x.reshape(N, H, W, C).transpose(0, 3, 1, 2))
        if rough > 3 * other:
            yield finding("axes-mixed (inputs)", shape=x.shape, rough=rough, other=other)
    if x.ndim != 4 or t is None or t.ndim < 3 or t.dtype.kind not in "iuf":
        return
    if (len(t), *t.shape[-2:]) != (len(x), *x.shape[-2:]):
        return
    image, mask = (a.reshape(len(a), -1, *a.shape[-2:]).mean(1) for a in (x, t))
    raw = image
    for axis in (1, 2):  # less noise
        image = np.mean([np.roll(image, by, axis) for by in (-1, 0, 1)], axis=0)
    fit = _fit(image, mask)
    for how, turn in TURNS.items():
        turned = turn(mask)
        if turned.shape != mask.shape or np.array_equal(turned[1:-1], raw[1:-1]):
            continue  # the next frame of a film
        better = _fit(image, turned)
        better = (better > 0.3) & (better > 2 * fit)
        if better.mean() > 0.25:
            seen = f"in {better.sum()} of {len(x)} examples the target fits the image far better"
            yield finding("targets-turned", seen=seen, how=how)
            return


def _fit(x: np.ndarray, t: np.ndarray) -> np.ndarray:
    """The squared correlation of each image with its target."""
    x, t = (a.reshape(len(a), -1).astype(np.float64) for a in (x, t))
    x, t = (a - a.mean(1, keepdims=True) for a in (x, t))
    spread = (x * x).sum(1) * (t * t).sum(1)
    return np.asarray((x * t).sum(1) ** 2 / np.where(spread > 0, spread, 1))


def _roughness(x: np.ndarray) -> float:
    """How much neighbouring pixels differ, as a share of the variance: 2 for noise."""
    steps = (np.diff(x, axis=axis) for axis in (2, 3))
    return float(np.mean([np.square(step).mean(dtype=np.float64) for step in steps]) / x.var())


def check_leak(case: Case) -> Iterator[Finding]:
    """A column that is the target in other numbers."""
    x, t = case.x, case.target
    rows, shape = x.reshape(len(x), -1), x.shape[1:]
    if case.words and t is not None and len(t) == len(x):  # each word is to tell the next one
        if np.array_equal(t, x) or (x.ndim == 2 and np.array_equal(t.ravel(), x[:, -1])):
            yield finding("label-among-the-inputs (words)", N=len(x))
        elif "axes-mixed" not in case.found:
            yield from _of_words(case, *case.usable[0])
        return
    if t is None or t.size != len(x) or t.dtype.kind == "U" or not 2 <= rows.shape[1] <= 1000:
        return
    wide = x.ndim > 2 or len(rows[0]) > COLUMNS  # among so many one may be close to it
    table = np.concatenate([rows, t.reshape(-1, 1)], 1).astype(np.float64)
    *columns, t = table[np.isfinite(table).all(axis=1)].T
    if len(t) < max(16, 8 * len(np.unique(t)) * (case.labels is not None)) or not np.ptp(t):
        return
    sorts = case.labels is not None and "labels-sorted" not in case.found
    for c, column in enumerate(columns) if sorts else ():
        changes = np.count_nonzero(np.diff(t[column.argsort()]))
        if changes < np.ptp(t) + 2 and _is_row_number(column):
            yield finding("label-among-the-inputs (row)", N=len(t), place=c)
            return
    left = np.array([_untold(c, t, case.labels is not None) if np.ptp(c) else 1.0 for c in columns])
    exact = 1e-5 if left.min() < 1e-5 else 0.02
    leaks = left < (1e-9 if wide else exact)
    # of all, as the last values of a series, it is natural
    apart = leaks.any() and left[~leaks].min(initial=1) > 10 * left[leaks].max()
    if leaks.any() and (left.min() < 1e-5 or (apart and not wide)):
        axis = int(np.argmax(shape)) + 1
        places = np.unravel_index(np.flatnonzero(leaks), shape)
        place = ", ".join(str(p[0]) for p in places)
        told = {"leaks": sorted({int(i) for i in places[axis - 1]}), "axis": axis, "place": place}
        yield finding("label-among-the-inputs", N=len(x), **told)


def _is_row_number(column: np.ndarray) -> bool:
    """Whether numbers are all different, and mostly one step apart, in whatever unit."""
    steps = np.diff(np.sort(column))
    places = steps / max(steps.min(), 1e-12)
    whole = np.allclose(places, places.round(), 0, 0.05)
    return bool(len(column) > 50 and places.mean() < 4 and whole)


def _untold(column: np.ndarray, target: np.ndarray, classes: bool) -> float:
    """The share of a target's variance that one column leaves open: by rank, or within classes."""
    if classes:
        within = [column[target == c].var() * (target == c).mean() for c in np.unique(target)]
        return float(sum(within) / column.var())
    ranks = [np.unique(a, return_inverse=True)[1] for a in (column, target)]
    line, order = (1 - float(np.corrcoef(*pair)[0, 1]) ** 2 for pair in ((column, target), ranks))
    return min(line, 20 * order)


def _of_words(case: Case, x: np.ndarray, t: np.ndarray | None) -> Iterator[Finding]:
    """Words that fill up rows and count in the loss; next words that the model sees."""
    output, T = case.trial.output, x.shape[-1]
    if output is None or t is None or t.shape != x.shape or x.ndim != 2 or T < 4:
        return
    numbers, counts = np.unique(t[:, -1], return_counts=True)
    filling, pull = numbers[counts.argmax()], case.pull(output.array, t)
    ends, filled = t == filling, (t == filling) & (x == filling)
    whole = np.diff(ends.astype(int)).min() >= 0 and np.ptp(ends.sum(1)) > 1
    if whole and filled.mean() > 0.1 and pull is not None and pull[filled].any():
        yield finding("padding-in-the-loss", share=filled.mean(), filling=filling)
    later = x.copy()
    later[:, T // 2 :] = np.roll(x, 1, 0)[:, T // 2 :]
    made, again, other = (case.outputs(given) for given in (x, x, later))
    if made is None or again is None or other is None or made.shape[1:].count(T) != 1:
        return
    first = [np.take(y, range(T // 2), made.shape.index(T, 1)) for y in (made, again, other)]
    draws, sees = (not np.allclose(y, first[0], 1e-3, 1e-4) for y in first[1:])
    if sees and not draws and np.array_equal(t[:, :-1], x[:, 1:]):
        yield finding("label-among-the-inputs (to come)", place=T // 2)


def check_validation(case: Case) -> Iterator[Finding]:
    """Validation data that was trained on, or that was prepared otherwise."""
    if not case.validation:
        return
    known = {row.tobytes() for x, _ in case.batches for row in np.ascontiguousarray(x)}
    shared = [row.tobytes() in known for x, _ in case.validation for row in np.ascontiguousarray(x)]
    if sum(shared) > 0.02 * len(shared):
        severity = ERROR if all(shared) else WARNING
        yield finding("validation-shares-examples", severity, n=sum(shared), N=len(shared))
    for other in _unlike_training(case):
        cure = f"; {other.cure}" if other.cure else ""
        evidence = f"{other.name}: {other.evidence}"
        yield finding("validation-unlike-training", other.severity, evidence=evidence, cure=cure)


PREPARED = check_finite, check_scale, check_balance, check_targets
"""What is looked for in the validation data too."""


def _unlike_training(case: Case) -> list[Finding]:
    """What is wrong with the validation data, and not with that of the training."""
    size = len(case.batches[0][0])  # of the first batch, which alone is run through the model
    parts = [(x[i], None if t is None else t[i]) for x, t in case.validation
             for i in (slice(size), slice(size, None)) if len(x[i])]  # fmt: skip
    with preserving(case.model):
        case.model.eval()
        other = Case(case.model, parts, case.loss, None, None, 0, case.validation_loader)
    seen = [found for check in PREPARED for found in other.look(check)]
    seen = [found for found in seen if found.name not in case.found]
    problem = other.trial.error
    if not (seen or case.own_loss) and problem is not None and case.trial.error is None:
        what = f"{other.trial.stage} raises {type(problem).__name__}: {problem}"
        seen = [Finding("fails", ERROR, f"in evaluation mode the {what}", "")]
    few = {"one-class-in-the-batch", "classes-imbalanced"}.issuperset(found.name for found in seen)
    if seen and few and case.labels is not None and other.labels is not None:
        seen = _strange([f"{c:g}" for c in np.setdiff1d(other.labels, case.labels)]) or seen
    return seen or [
        *_of_another_scale("inputs", case.x, other.x),
        *_of_another_scale("targets", case.target, other.target),
    ] or _of_other_targets(case, other)  # fmt: skip


def _of_another_scale(name: str, x: np.ndarray | None, v: np.ndarray | None) -> Iterator[Finding]:
    """Validation data v whose mean or spread is not that of the training data x."""
    if x is None or v is None or x.dtype.kind != "f" or v.dtype.kind != "f":
        return
    (mean, std), (v_mean, v_std) = _mean_and_std(x), _mean_and_std(v)
    if min(x.size, v.size) < 100 or not std:
        return
    if not 1 / 2 <= v_std / std <= 2 or abs(v_mean - mean) > std:
        told = f"mean {v_mean:.4g} and standard deviation {v_std:.4g} in place of {mean:.4g} and "
        yield Finding(f"{name} of another scale", WARNING, f"{told}{std:.4g}", "")


def _of_other_targets(case: Case, other: Case) -> list[Finding]:
    """Validation targets that are not those of similar training examples."""
    own, held = examples(case), examples(other)
    if own is None or held is None or own[0].shape[1:] != held[0].shape[1:] or len(held[0]) < 50:
        return []
    if case.labels is not None and other.labels is not None:
        return _strange(_strange_classes(own, held))
    within, across = closer_than_chance(own), closer_than_chance(held, own)
    told = "its targets are no more alike to those of similar training examples than chance"
    told += f" ({across:.1f} deviations; within the training data it is {within:.1f})"
    return _strange(["all"] if within > 5 and across < 2 else [], told)


def _strange(classes: list[str], told: str = "") -> list[Finding]:
    """The finding of these classes of validation data; none of none."""
    told = told or (
        f"its examples of class {listed(classes, 3)} are unlike those of training, if it has any"
    )
    cure = "shuffle before the split, number classes once for both, and prepare, sort and filter "
    cure += "inputs and targets alike: x[order], y[order]"
    return [Finding("targets of other examples", ERROR, told, cure)] if classes else []


def _strange_classes(own: Examples, held: Examples) -> list[str]:
    """Classes of validation data that training has not, or whose examples are near others there."""
    known, given = own[1].ravel(), held[1].ravel()
    near, far = known[neighbours(own)], known[neighbours(held, own)]
    found = []
    for c in np.unique(given):
        usual = float((near[known == c] == c).mean()) if (known == c).any() else 1.0
        common = (given == c).mean() * len(known) > 10
        if common and usual > 0.5 and (far[given == c] == c).mean() < usual / 3:
            found.append(f"{c:g}")
    return found


def _mean_and_std(x: np.ndarray) -> tuple[float, float]:
    """Those of the finite values."""
    x = x[np.isfinite(x)].astype(np.float64)
    return (float(x.mean()), float(x.std())) if x.size else (0.0, 0.0)


def _range(x: np.ndarray) -> str:
    finite = x[np.isfinite(x)] if x.dtype.kind == "f" else x
    return f" run from {finite.min():.4g} to {finite.max():.4g}" if finite.size else ""
