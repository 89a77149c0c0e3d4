"""What the doctor looks for in the batch: the inputs and the labels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinynet.nn.checks import SMALL, badly_scaled
from tinynet.teaching.case import IGNORED, Case, layout_cure
from tinynet.teaching.report import ERROR, WARNING, Finding


def check_dtype(case: Case) -> Iterator[Finding]:
    """Integers, which layers refuse, and float64, which makes every layer slower."""
    x = case.x
    wanted = next((p.dtype for p in case.parameters.values()), np.dtype(np.float32))
    if x.dtype.kind not in "f":
        scale = " / 255" if x.dtype == np.uint8 or (x.size and x.max() > 1) else ""
        yield Finding(
            "inputs-not-float",
            ERROR,
            f"the inputs have dtype {x.dtype}, and they{_range(x)}; the layers take {wanted}",
            f"convert them: x = x.float(){scale}",
        )
    elif x.dtype != wanted:
        yield Finding(
            "inputs-of-another-dtype",
            WARNING,
            f"the inputs have dtype {x.dtype}, the parameters {wanted}: every layer converts, and "
            "the larger type costs twice the memory and time",
            f"convert them once: x = x.astype(tinynet.{wanted})",
        )


def check_finite(case: Case) -> Iterator[Finding]:
    """NaN or infinity among the inputs."""
    if case.x.dtype.kind != "f":
        return
    bad = ~np.isfinite(case.x)
    if bad.any():
        examples = np.flatnonzero(bad.reshape(len(bad), -1).any(axis=1))
        yield Finding(
            "inputs-not-finite",
            ERROR,
            f"{np.count_nonzero(bad)} of {bad.size} input values are NaN or infinite, in "
            f"{len(examples)} of {len(bad)} examples, the first at index "
            f"{tuple(int(i) for i in np.argwhere(bad)[0])}",
            "find where they come from (an empty field, a division by a standard deviation of 0); "
            "np.nan_to_num(x) only hides them",
        )


def check_scale(case: Case) -> Iterator[Finding]:
    """Inputs far from the scale that the initial weights are made for."""
    x = case.x
    if x.dtype.kind not in "f" or not badly_scaled(x):
        return  # integers have a finding of their own, with the scaling in its cure
    values = x[np.isfinite(x)]
    mean, std = float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))
    if std > SMALL:
        bytes_like = values.min() >= 0 and 100 < values.max() <= 255
        yield Finding(
            "inputs-not-scaled",
            ERROR,
            f"the inputs{_range(x)}, with mean {mean:.3g} and standard deviation {std:.3g}; "
            "layers are initialised for a mean near 0 and a standard deviation near 1",
            "divide by 255, or better: data.DataLoader(..., transform=data.standardize(train))"
            if bytes_like
            else f"use (x - {mean:.3g}) / {std:.3g}, the mean and standard deviation of the "
            "training data, for each feature or channel",
        )
    else:
        yield Finding(
            "inputs-not-scaled",
            WARNING,
            f"the inputs hardly vary: standard deviation {std:.3g}, mean {mean:.3g}; layers are "
            "initialised for a standard deviation near 1. Were they divided by 255 twice?",
            f"use (x - {mean:.3g}) / {std:.3g}, or data.standardize(train)",
        )


def check_layout(case: Case) -> Iterator[Finding]:
    """Images with the channels last, or without an axis for them."""
    found = layout_cure(case.model, case.x)
    if found is not None:
        cure, _, C = found
        order = "(N, H, W, C)" if case.x.ndim == 4 else "(N, H, W)"
        yield Finding(
            "channels-last" if case.x.ndim == 4 else "no-channel-axis",
            ERROR,
            f"the inputs have shape {case.x.shape}, which looks like {order}; the first "
            f"convolution takes (N, C, H, W) with C = {C}",
            f"reorder them: {cure}",
        )


def check_variety(case: Case) -> Iterator[Finding]:
    """Inputs that say nothing: the same number everywhere, or the same example again and again."""
    x, N = case.x, len(case.x)
    rows = x.reshape(N, -1) if x.size else x.reshape(N, 0)
    if rows.shape[1] > 1:
        constant = int((rows == rows[:, :1]).all(axis=1).sum())
        if constant:
            yield Finding(
                "inputs-constant",
                ERROR if constant == N else WARNING,
                f"{constant} of {N} examples are constant, the same number in each of their "
                f"{rows.shape[1]} places" + (f" ({rows[0, 0]:g})" if constant == N else ""),
                "look at the data as it comes from the loader: files that were not read, a mask "
                "or a scaling that wipes everything out",
            )
            if constant == N:
                return
    yield from _duplicates(case, rows)


def _duplicates(case: Case, rows: np.ndarray) -> Iterator[Finding]:
    groups: dict[bytes, list[int]] = {}
    for i, row in enumerate(np.ascontiguousarray(rows)):
        groups.setdefault(row.tobytes(), []).append(i)
    N, repeated = len(rows), len(rows) - len(groups)
    target = case.target
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
    if N > 1 and repeated * 10 >= N:
        yield Finding(
            "inputs-duplicated",
            ERROR if repeated == N - 1 else WARNING,
            f"only {len(groups)} of the {N} examples differ from each other",
            "check how the batch is drawn: an index that does not move on, or a data set that "
            "holds everything several times",
        )


def check_labels(case: Case) -> Iterator[Finding]:
    """Labels that are no class of the model, or only one class."""
    target, C = case.target, case.classes
    if target is None:
        return
    if len(target) != len(case.x):
        yield Finding(
            "batch-sizes-differ",
            ERROR,
            f"{len(case.x)} inputs, but {len(target)} targets",
            "make inputs and targets of the same examples, in the same order",
        )
        return
    if C is None:
        return
    if case.float_labels:
        yield Finding(
            "labels-not-integers",
            ERROR,
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
        yield Finding(
            "labels-out-of-range",
            ERROR,
            f"the labels run from {low} to {high}; with {C} outputs the classes are 0 to {C - 1}. "
            "They seem to be counted from 1",
            "subtract 1: target - 1",
        )
    elif low < 0:
        yield Finding(
            "labels-out-of-range",
            ERROR,
            f"{outside} of {labels.size} labels are outside 0 to {C - 1}, the lowest is {low}",
            f"number the classes from 0; for labels that do not count use {IGNORED}, which "
            "cross_entropy leaves out (ignore_index)",
        )
    elif outside:
        yield Finding(
            "too-few-outputs",
            ERROR,
            f"the model has {C} outputs, classes 0 to {C - 1}, but the labels go up to {high} "
            f"({outside} of {labels.size} are too large)",
            f"give the last layer an output for each class: at least {high + 1}",
        )
    elif labels.size >= 8 and low == high and C > 1:
        yield Finding(
            "one-class-in-the-batch",
            WARNING,
            f"all {labels.size} labels of the batch are {low}: batches in the order of the classes "
            "teach the model one answer after the other",
            "shuffle: data.DataLoader(train, ..., shuffle=True)",
        )


def _range(x: np.ndarray) -> str:
    finite = x[np.isfinite(x)] if x.dtype.kind == "f" else x
    return f" run from {finite.min():.4g} to {finite.max():.4g}" if finite.size else ""
