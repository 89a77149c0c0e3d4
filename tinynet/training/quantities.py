"""Losses, metrics and other quantities by name: which value is better, and how one is written."""

import re
import warnings
from collections.abc import Iterable, Mapping

from tinynet.errors import unknown_name
from tinynet.training.metrics import VALIDATION


def names_in(records: Iterable[Mapping[str, float]]) -> list[str]:
    """The quantities in any of the records, in the order in which they come."""
    return list(dict.fromkeys(name for record in records for name in record))


def better_is(name: str, mode: str | None = None) -> str:
    """Which value of a quantity is the better one: "min", the lower, or "max", the higher.

    mode: what the user says of it; without that the name decides. Of a name that says nothing a
    warning asks, and "max" is taken.

    >>> better_is("validation_error_rate"), better_is("top5"), better_is("energy", mode="min")
    ('min', 'max', 'min')
    """
    if mode is not None:
        if mode not in ("min", "max"):
            raise unknown_name("mode", mode, ["min", "max"])
        return mode
    known = known_direction(name)
    if known is None:
        warnings.warn(
            f"is a high value of {name} a good one or a bad one? It is taken for good; say which "
            "with mode='max' or mode='min'",
            stacklevel=3,
        )
    return known or "max"


LOW = re.compile(
    r"((log|cross)?(loss|losses|entropy))|errors?|r?msl?e|mae|mape|perplexity|divergence|distance"
    r"|deviation|costs?|nll|ppl|bce|ce|kld?|hinge|huber|brier|ece|wer|cer|fpr|fnr"
)
HIGH = re.compile(
    r"accuracy|precision|recall|score|correlation|similarity|sensitivity|specificity|likelihood"
    r"|acc|top\d*|f\d|auc|auroc|ap|map|m?iou|dice|jaccard|r2|psnr|ssim|kappa|mcc|tpr|tnr"
)
TURNED = re.compile(
    r"neg|minus|inverse|(reduc|improve|chang|decr|differ|drop)|(non|not|gap|gains?|delta|fall)$"
)


def known_direction(name: str) -> str | None:
    """What the name of a quantity says of it: "min", "max", or None for nothing.

    Whole words count, those of camelCase too.
    """
    words = re.split(r"[^a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", "_", name).lower())
    if any(TURNED.match(word) for word in words):
        return None  # a loss turned round, or how far an accuracy fell
    if any(LOW.fullmatch(word) for word in words):
        return "min"
    return "max" if any(HIGH.fullmatch(word) for word in words) else None


def format_values(values: Mapping[str, float]) -> str:
    """Losses and metrics on a line, those of validation after the word; the same ones in the same
    order need no names a second time.

    >>> format_values({"loss": 0.1, "accuracy": 0.8, "validation_loss": 0.2})
    'loss 0.1000  accuracy 80.00 %  validation loss 0.2000'
    >>> format_values({"loss": 0.1, "validation_loss": 0.2})
    'loss 0.1000  validation 0.2000'
    """
    trained = {k: v for k, v in values.items() if not k.startswith(VALIDATION)}
    validated = {k.removeprefix(VALIDATION): v for k, v in values.items() if k not in trained}
    told = [format_value(name, value) for name, value in trained.items()]
    if validated:
        write = format_number if list(validated) == list(trained) else format_value
        told.append("validation " + "  ".join(write(k, v) for k, v in validated.items()))
    return "  ".join(told)


def format_value(name: str, value: float) -> str:
    """`loss 0.2500`, or for shares `accuracy 91.30 %`."""
    return f"{name.replace('_', ' ')} {format_number(name, value)}"


def format_number(name: str, value: float) -> str:
    """`0.2500`, or for shares `91.30 %`; what is very large or small in scientific notation."""
    if "accuracy" in name:
        return f"{100 * value:.2f} %"
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e5 or not value else f"{value:.3g}"
