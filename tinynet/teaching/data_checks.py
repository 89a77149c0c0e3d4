"""What the doctor looks for in the data: the inputs, the labels and other targets."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinynet.nn.checks import LARGE, SMALL, badly_scaled
from tinynet.nn.preserving import preserving
from tinynet.teaching.case import IGNORED, Batch, Case, layout_cure
from tinynet.teaching.relation import closer_than_chance, examples
from tinynet.teaching.report import ERROR, WARNING, Finding, error, listed, warning

COLUMNS = 40
"""Up to so many columns are features with a meaning each, and one that is constant is a mistake."""
APART = 20.0
"""How many times the usual spread a column may have, or be away from 0."""
RARE = 9.0
"""How many times as frequent as the rarest class the most frequent one may be."""
LARGE_TARGET = 30.0
"""Targets of a regression should not be larger, nor their spread: a net begins near 0."""


def check_dtype(case: Case) -> Iterator[Finding]:
    """Integers, which layers refuse, and float64, which makes every layer slower."""
    x = case.x
    wanted = next((p.dtype for p in case.parameters.values()), np.dtype(np.float32))
    if x.ndim == 1 and x.dtype.kind in "iu" and case.target is not None and case.target.ndim > 1:
        return  # these are the targets, see `check_labels`
    if case.takes_numbers and x.dtype.kind in "iu":
        return
    if x.dtype.kind not in "f":
        scale = " / 255" if x.dtype == np.uint8 or (x.size and x.max() > 1) else ""
        yield error(
            "inputs-not-float",
            f"the inputs have dtype {x.dtype}, and they{_range(x)}; the layers take {wanted}",
            f"convert them: x = x.float(){scale}",
        )
    elif x.dtype != wanted:
        yield warning(
            "inputs-of-another-dtype",
            f"the inputs have dtype {x.dtype}, the parameters {wanted}: every layer converts, and "
            "the larger type costs twice the memory and time",
            f"convert them once: x = x.astype(tinynet.{wanted})",
        )


def check_finite(case: Case) -> Iterator[Finding]:
    """NaN or infinity among the inputs and the targets."""
    for name, array in (("input", case.x), ("target", case.target)):
        if array is None or array.dtype.kind != "f" or np.isfinite(array).all():
            continue
        bad = ~np.isfinite(array)
        examples = np.flatnonzero(bad.reshape(len(bad), -1).any(axis=1))
        yield error(
            f"{name}s-not-finite",
            f"{np.count_nonzero(bad)} of {bad.size} {name} values are NaN or infinite, in "
            f"{len(examples)} of {len(bad)} examples, the first at index "
            f"{tuple(int(i) for i in np.argwhere(bad)[0])}",
            "find where they come from (an empty field, a division by a standard deviation of 0); "
            "np.nan_to_num(x) only hides them",
        )


def check_scale(case: Case) -> Iterator[Finding]:
    """Inputs far from the scale that the initial weights are made for, all or some columns."""
    x = case.x
    if x.dtype.kind not in "f":
        return  # integers have a finding of their own, with the scaling in its cure
    apart = _columns_apart(x)
    if apart:
        axis = "x[:, {}]" if x.ndim == 2 else "x[:, {}] (a channel)"
        told = [f"{axis.format(c)} has mean {m:.4g} and standard deviation {s:.4g}"
                for c, m, s in apart]  # fmt: skip
        c, m, s = apart[0]
        yield Finding(
            "column-of-another-scale",
            ERROR if badly_scaled(x) else WARNING,
            f"of {x.shape[1]} columns, {listed(told, 3)}; it drowns the others",
            f"scale each column by itself: x[:, {c}] = (x[:, {c}] - {m:.4g}) / {s or 1:.4g}, with "
            "mean and standard deviation of the training data",
        )
        return
    if not badly_scaled(x):
        return
    values = x[np.isfinite(x)]
    mean, std = float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))
    if std > SMALL:
        bytes_like = values.min() >= 0 and 100 < values.max() <= 255
        yield error(
            "inputs-not-scaled",
            f"the inputs{_range(x)}, with mean {mean:.3g} and standard deviation {std:.3g}; "
            "layers are initialised for a mean near 0 and a standard deviation near 1",
            "divide by 255, or better: data.DataLoader(..., transform=data.standardize(train))"
            if bytes_like
            else f"use (x - {mean:.3g}) / {std:.3g}, the mean and standard deviation of the "
            "training data, for each feature or channel",
        )
    else:
        yield warning(
            "inputs-not-scaled",
            f"the inputs hardly vary: standard deviation {std:.3g}, mean {mean:.3g}; layers are "
            "initialised for a standard deviation near 1. Were they divided by 255 twice?",
            f"use (x - {mean:.3g}) / {std:.3g}, or data.standardize(train)",
        )


def _columns_apart(x: np.ndarray) -> list[tuple[int, float, float]]:
    """(column or channel, its mean, its standard deviation) of those of another scale."""
    if x.ndim not in (2, 4) or not 2 <= x.shape[1] <= COLUMNS or len(x) < 8:
        return []
    rows = np.moveaxis(x, 1, -1).reshape(-1, x.shape[1]).astype(np.float64)
    rows = np.where(np.isfinite(rows), rows, np.nan)
    if np.isnan(rows).all(axis=0).any():
        return []
    mean, std = np.nanmean(rows, axis=0), np.nanstd(rows, axis=0)
    varied = std > 0
    usual = float(np.median(std[varied])) if varied.any() else 0.0
    far = (std > APART * usual) | (np.abs(mean) > APART * max(usual, LARGE / APART))
    far |= varied & (std * APART * LARGE < usual)
    if usual == 0 or not 0 < far.sum() <= x.shape[1] / 2:
        return []
    return [(int(c), float(mean[c]), float(std[c])) for c in np.flatnonzero(far)]


def check_layout(case: Case) -> Iterator[Finding]:
    """Images with the channels last, or without an axis for them."""
    found = layout_cure(case.model, case.x)
    if found is not None:
        cure, _, C = found
        order = "(N, H, W, C)" if case.x.ndim == 4 else "(N, H, W)"
        yield error(
            "channels-last" if case.x.ndim == 4 else "no-channel-axis",
            f"the inputs have shape {case.x.shape}, which looks like {order}; the first "
            f"convolution takes (N, C, H, W) with C = {C}",
            f"reorder them: {cure}",
        )


def check_variety(case: Case) -> Iterator[Finding]:
    """Inputs that say nothing: the same number everywhere, or the same example again and again."""
    x, N = case.x, len(case.x)
    rows = x.reshape(N, -1) if x.size else x.reshape(N, 0)
    constant = int((rows == rows[:, :1]).all(axis=1).sum()) if rows.shape[1] > 3 else 0
    if constant < N and case.takes_numbers:
        constant = 0  # a word may follow itself
    if constant:
        yield Finding(
            "inputs-constant",
            ERROR if constant == N else WARNING,
            f"{constant} of {N} examples are constant, the same number in each of their "
            f"{rows.shape[1]} places" + (f" ({rows[0, 0]:g})" if constant == N else ""),
            "look at the data as it comes from the loader: files that were not read, a mask or a "
            "scaling that wipes everything out",
        )
    elif N >= 8 and x.ndim == 2 and x.shape[1] <= COLUMNS and (x == x[:1]).all(axis=0).any():
        columns = np.flatnonzero((x == x[:1]).all(axis=0))
        if len(columns) < x.shape[1]:
            yield warning(
                "column-constant",
                f"of {x.shape[1]} columns, {listed([f'x[:, {c}]' for c in columns], 3)} has the "
                f"same value in all {N} examples ({x[0, columns[0]]:g}): it says nothing",
                f"look at how it was read, or leave it out: np.delete(x, {columns.tolist()}, 1)",
            )
    if constant < N:
        yield from _duplicates(case, rows)


def _duplicates(case: Case, rows: np.ndarray) -> Iterator[Finding]:
    groups: dict[bytes, list[int]] = {}
    for i, row in enumerate(np.ascontiguousarray(rows)):
        groups.setdefault(row.tobytes(), []).append(i)
    N, repeated = len(rows), len(rows) - len(groups)
    target = case.target
    counted = case.x.ndim == 2 and np.array_equal(rows, rows.round())  # words, categories
    if counted and repeated < 0.75 * N:
        return
    if target is not None and target.ndim == 1 and target.dtype.kind in "iu" and len(target) == N:
        torn = [group for group in groups.values() if len(set(target[group].tolist())) > 1]
        if torn:
            i, j = next((i, j) for i in torn[0] for j in torn[0] if target[i] != target[j])
            yield Finding(
                "same-input-different-labels",
                ERROR if repeated == N - 1 else WARNING,
                f"examples {i} and {j} are equal, but their labels are {target[i]} and "
                f"{target[j]}; so it is with {len(torn)} groups of equal examples",
                "check that inputs and labels are shuffled together, and that a file is not read "
                "for every label",
            )
            return
    if N > 1 and repeated * 10 >= N and rows.shape[1] > 3:
        yield Finding(
            "inputs-duplicated",
            ERROR if repeated == N - 1 else WARNING,
            f"only {len(groups)} of the {N} examples differ from each other",
            "check how the batch is drawn: an index that does not move on, or a data set that "
            "holds everything several times",
        )


def check_labels(case: Case) -> Iterator[Finding]:
    """Labels that are no class of the model."""
    target, C = case.target, case.classes
    if target is None:
        return
    if target.dtype.kind not in "iufb":
        yield error(
            "labels-are-text",
            f"the targets are text or objects ({target.dtype}), such as {target.flat[0]}; a loss "
            "takes numbers",
            "number the classes: classes, target = np.unique(target, return_inverse=True)",
        )
        return
    if case.x.ndim == 1 and case.x.dtype.kind in "iu" and target.ndim > 1:
        yield error(
            "inputs-and-targets-swapped",
            f"the inputs have shape {case.x.shape} and dtype {case.x.dtype}, as labels have, and "
            f"the targets {target.shape}, as inputs have",
            "give the batch as (inputs, targets)",
        )
        return
    if len(target) != len(case.x):
        yield error(
            "batch-sizes-differ",
            f"{len(case.x)} inputs, but {len(target)} targets",
            "make inputs and targets of the same examples, in the same order",
        )
        return
    if C is None:
        return
    if case.float_labels and case.trial.stage != "loss":  # else it fails with integers too
        yield error(
            "labels-not-integers",
            f"the targets are {target.dtype} of shape {target.shape}, for {C} outputs: they seem "
            "to be class labels, but as floats",
            "convert them: target.astype(tinynet.int64)",
        )
    labels = target[target != IGNORED]
    if not labels.size:
        return
    low, high = int(labels.min()), int(labels.max())
    outside = int(((labels < 0) | (labels >= C)).sum())
    if low >= 1 and high == C:
        yield error(
            "labels-out-of-range",
            f"the labels run from {low} to {high}; with {C} outputs the classes are 0 to {C - 1}. "
            "They seem to be counted from 1",
            "subtract 1: target - 1",
        )
    elif low < 0:
        yield error(
            "labels-out-of-range",
            f"{outside} of {labels.size} labels are outside 0 to {C - 1}, the lowest is {low}",
            f"number the classes from 0; for labels that do not count use {IGNORED}, which "
            "cross_entropy leaves out (ignore_index)",
        )
    elif outside:
        yield error(
            "too-few-outputs",
            f"the model has {C} outputs, classes 0 to {C - 1}, but the labels go up to {high} "
            f"({outside} of {labels.size} are too large)",
            f"give the last layer an output for each class: at least {high + 1}",
        )


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
    means = [part.mean(0) for part in np.split(values, np.cumsum(sizes)[:-1])]
    due = values.var(0).sum() / sizes[0]
    ratio = float(np.var(means, axis=0, ddof=1).sum() / due) if due else 0.0
    if ratio > 4 + 8 / (len(sizes) - 1):
        what = "classes" if case.classes else "targets"
        yield error(
            f"{'labels' if case.classes else 'targets'}-sorted",
            f"from one batch to the next the {what} differ {ratio:.0f} times as much as those of "
            f"shuffled batches would: they come in their order, and a model learns some and "
            "forgets the others",
            "shuffle: data.DataLoader(train, ..., shuffle=True)",
        )


def check_balance(case: Case) -> Iterator[Finding]:
    """One class alone, rare classes, outputs for which there is no class."""
    labels = case.labels
    if labels is None or case.found & {"labels-out-of-range", "too-few-outputs"}:
        return
    counts = np.bincount(labels)
    present = np.flatnonzero(counts)
    if len(present) == 1 and labels.size >= 8 and case.classes != 1:
        yield warning(
            "one-class-in-the-batch",
            f"all {labels.size} labels of the batch are {present[0]}: batches in the order of the "
            "classes teach the model one answer after the other",
            "shuffle: data.DataLoader(train, ..., shuffle=True)",
        )
        return
    outputs = 0 if "labels-sorted" in case.found else case.classes or 0
    if labels.size >= 64 and outputs > 4 * len(counts):
        yield warning(
            "too-many-outputs",
            f"the model has {case.classes} outputs, but no label of {labels.size} is above "
            f"{present[-1]}",
            f"give the last layer {len(counts)} outputs, one for each class",
        )
    most, least = int(counts.argmax()), int(present[counts[present].argmin()])
    call = case.trial.loss_call
    weighed = call is not None and any(getattr(value, "ndim", 0) for value in call.args[2:])
    if (
        len(present) > 1
        and not weighed
        and labels.size >= 25 * len(present)
        and counts[most] > RARE * counts[least]
    ):
        yield warning(
            "classes-imbalanced",
            f"class {most} has {counts[most] / labels.size:.1%} of {labels.size} labels, class "
            f"{least} {counts[least] / labels.size:.1%}: a model that always answers {most} is "
            "right that often, and has learned nothing",
            "weigh the classes, F.cross_entropy(y, t, weight=...), or draw the rare ones more "
            "often; judge by each class's accuracy",
        )


def check_targets(case: Case) -> Iterator[Finding]:
    """Targets of a regression: their scale, and whether the model's outputs can reach them."""
    target, output = case.target, case.trial.output
    if target is None or output is None or not case.is_regression:
        return
    if not np.isfinite(target).all():
        return
    mean, std = float(target.mean(dtype=np.float64)), float(target.std(dtype=np.float64))
    if max(std, abs(mean)) > LARGE_TARGET or 0 < max(std, abs(mean)) < SMALL:
        yield error(
            "targets-not-scaled",
            f"the targets have mean {mean:.4g} and standard deviation {std:.4g}; the outputs of a "
            "new model lie around 0 and 1: the error, and with it the gradient, is out of scale",
            f"train on (target - {mean:.4g}) / {std:.4g}, and turn predictions back",
        )
    elif std == 0 and target.size > 1:
        yield error("targets-constant", f"all {target.size} targets are {mean:g}",
            "look at how they were read",
        )  # fmt: skip
    last = case.trial.maker(output)
    low, high = last.reach() if last is not None and case.compares else (-np.inf, np.inf)
    beyond = float(((target < low) | (target > high)).mean())
    if beyond > 0.02 and last is not None:
        yield error(
            "targets-out-of-reach",
            f"{beyond:.0%} of the targets, which{_range(target)}, are outside of {low:g} to "
            f"{high:g}, all that {last.where()} at the end can give",
            "end the model with its last linear layer, or scale the targets",
        )


def check_leak(case: Case) -> Iterator[Finding]:
    """A column that is the target in other numbers."""
    x, t, labels = case.x, case.target, case.labels
    if (
        x.ndim != 2
        or not 2 <= x.shape[1] <= COLUMNS
        or len(x) < 16
        or t is None
        or len(t) != len(x)
        or t.dtype.kind not in "iufb"
    ):
        return
    if labels is not None:
        t = t.ravel()
        count = len(np.unique(t))
        told = [len(np.unique(np.stack([t, c]), axis=1).T) == count for c in x.T]
        leaks = [k for k, c in enumerate(x.T) if told[k] and np.ptp(c) > 0 and count > 1]
    else:
        y = t.reshape(len(t), -1).astype(np.float64)[:, :1]
        finite = np.isfinite(np.concatenate([x, y], 1)).all(axis=1)
        x, y = x[finite], y[finite]
        if len(x) < 16:
            return
        apart = [np.linalg.lstsq(np.stack([c, np.ones(len(c))], 1), y)[1].sum() for c in x.T]
        leaks = [k for k, rest in enumerate(apart) if 0 < rest < 1e-5 * len(y) * y.var()]
    if leaks:
        yield warning(
            "label-among-the-inputs",
            f"column x[:, {leaks[0]}] of the inputs is the target in other numbers, in all "
            f"{len(x)} examples: the model need only copy it, and new examples will not have it",
            f"leave it out: np.delete(x, {leaks}, 1)",
        )


def check_validation(case: Case) -> Iterator[Finding]:
    """Validation data that was trained on, or that was prepared otherwise."""
    if not case.validation:
        return
    shared, count = shared_examples(case.batches, case.validation)
    if shared > 0.02 * count:
        yield Finding(
            "validation-shares-examples",
            ERROR if shared == count else WARNING,
            f"{shared} of {count} validation examples are among the training examples too: their "
            "loss does not tell how the model does on new ones",
            "validate on data that is not trained on: train, validation = "
            "data.random_split(train, [0.9, 0.1])",
        )
    yield from _unlike_training(case)


PREPARED = (
    check_dtype,
    check_finite,
    check_layout,
    check_scale,
    check_labels,
    check_balance,
    check_targets,
)
"""What is looked for in the validation data too."""


def _unlike_training(case: Case) -> Iterator[Finding]:
    """What is wrong with the validation data, and not with that of the training."""
    size = len(case.batches[0][0])
    parts = [part for batch in case.validation for part in _split(batch, size)]
    with preserving(case.model):
        case.model.eval()
        other = Case(case.model, parts, case.loss, None, None, 0, case.validation_loader)
    seen = [finding for check in PREPARED for finding in other.look(check)]
    found = [finding for finding in seen if finding.name not in case.found]
    problem = other.trial.error
    if not found and problem is not None and case.trial.error is None:
        what = f"in evaluation mode the {other.trial.stage} raises {type(problem).__name__}"
        found = [error("fails", f"{what}: {problem}", "")]
    for name, x, v in (("inputs", case.x, other.x), ("targets", case.target, other.target)):
        if not found and x is not None and v is not None:
            found += _of_another_scale(name, x, v)
    if not found:
        found += _of_other_classes(case, other) or _of_other_targets(case, other)
    for finding in found:
        yield Finding(
            "validation-unlike-training",
            finding.severity,
            f"the validation data has what the training data has not, {finding.name}: "
            f"{finding.evidence}",
            "prepare both alike, with mean and standard deviation of the training data"
            + (f"; {finding.cure}" if finding.cure else ""),
        )


def _split(batch: Batch, size: int) -> list[Batch]:
    """A batch in parts of at most `size` inputs."""
    x, target = batch
    count = -(-len(x) // size)
    targets = [None] * count if target is None else np.array_split(target, count)
    return list(zip(np.array_split(x, count), targets))


def _of_another_scale(name: str, x: np.ndarray, v: np.ndarray) -> Iterator[Finding]:
    """Validation data v whose mean or spread is not that of the training data x."""
    if x.dtype.kind != "f" or v.dtype.kind != "f":
        return
    x, v = x[np.isfinite(x)].astype(np.float64), v[np.isfinite(v)].astype(np.float64)
    if min(x.size, v.size) < 100:
        return
    mean, std, v_mean, v_std = x.mean(), x.std(), v.mean(), v.std()
    if std and (not 1 / 2 <= v_std / std <= 2 or abs(v_mean - mean) > std):
        yield warning(
            f"{name} of another scale",
            f"mean {v_mean:.4g} and standard deviation {v_std:.4g} in place of {mean:.4g} and "
            f"{std:.4g}",
            "",
        )


def _of_other_classes(case: Case, other: Case) -> list[Finding]:
    """Validation labels that no training example has."""
    if case.labels is None or other.labels is None:
        return []
    foreign = ~np.isin(other.labels, case.labels)
    if foreign.mean() < 0.2:  # a few may be rare classes
        return []
    names = listed([str(c) for c in np.unique(other.labels[foreign])])
    what = f"{foreign.mean():.0%} of its labels are of class {names}, of which it has no example"
    return [error("labels of other classes", what, "split the data after it was shuffled")]


def _of_other_targets(case: Case, other: Case) -> list[Finding]:
    """Validation targets that are not those of similar training examples."""
    own, held = examples(case), examples(other)
    if own is None or held is None or own[0].shape[1:] != held[0].shape[1:] or len(held[0]) < 50:
        return []
    within, across = closer_than_chance(own), closer_than_chance(held, own)
    if within < 5 or across > 2:
        return []
    return [
        error(
            "targets of other examples",
            "its targets are no more alike to those of similar training examples than chance "
            f"({across:.1f} deviations; within the training data it is {within:.1f})",
            "shuffle, sort and filter inputs and targets with the same indices: x[order], y[order]",
        )
    ]


def shared_examples(train: list[Batch], validation: list[Batch]) -> tuple[int, int]:
    """(how many validation examples are equal to a training example, how many there are)."""
    known = {row.tobytes() for x, _ in train for row in np.ascontiguousarray(x)}
    rows = [row.tobytes() for x, _ in validation for row in np.ascontiguousarray(x)]
    return sum(row in known for row in rows), len(rows)


def _range(x: np.ndarray) -> str:
    finite = x[np.isfinite(x)] if x.dtype.kind == "f" else x
    return f" run from {finite.min():.4g} to {finite.max():.4g}" if finite.size else ""
