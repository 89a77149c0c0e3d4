"""The derivation of one element of a gradient, as data and as text to read; see `explain`."""

from dataclasses import asdict, dataclass, field
from typing import Any

Index = tuple[int, ...]


@dataclass
class Term:
    """One product of a sum: what the loss feels of `name[index]`, times the local derivative.

    index: of the element of the operation's result. value: upstream * local.
    """

    name: str
    index: Index
    upstream: float
    local: float
    value: float

    def where(self) -> str:
        """The element as one writes it, such as `conv1[3, 0, 1, 2]`."""
        return _written(self.name, self.index)

    def factors(self) -> str:
        """The product to read."""
        return f"{self.upstream:.4g} * {self.local:.4g}"


@dataclass
class Step:
    """The sum for one element.

    name, index: the element. value: its gradient. uses: for each operation that used it the name of
    its result, its own, and its rule with what the local derivatives are. terms: the largest first;
    rest_count and rest_sum: how many smaller ones there are, and their sum. note: more about the
    numbers.
    """

    name: str
    index: Index
    value: float
    uses: list[tuple[str, str, str]]
    terms: list[Term]
    rest_count: int
    rest_sum: float
    note: str = ""

    @property
    def count(self) -> int:
        """The number of terms that are not 0."""
        return len(self.terms) + self.rest_count

    def lines(self) -> list[str]:
        """The sum to read."""
        names, table = list(dict.fromkeys(name for name, _, _ in reversed(self.uses))), []
        rules = dict.fromkeys(f"{op}: {rule}" for _, op, rule in self.uses if rule)
        used = f"is used for {' and '.join(filter(None, [', '.join(names[:-1]), names[-1]]))}"
        if not self.terms:
            told = f"{used}, but every term is 0: no change of it reaches the loss"
        elif self.count == 1:
            first = self.terms[0]
            told = f"goes to {first.where()} alone: {first.factors()} = {first.value:.4g}"
        else:
            told = used.replace("for ", f"for {self.count:,} elements of ", 1)
            of = names[0] if len(names) == 1 else "y"
            table = [f"each gives  d loss / d {of}  *  d {of} / d {self.name}", *self._table()]
        below = [*rules, *table, *filter(None, [self.note])]
        return [f"{_written(self.name, self.index)} {told}", *(f"     {line}" for line in below)]

    def _table(self) -> list[str]:
        """Rows of what, factors and product in columns."""
        rows = [(term.where(), term.factors(), f"{term.value:.4g}") for term in self.terms]
        if self.rest_count:
            terms = f"{self.rest_count:,} smaller terms that add up to"
            if self.rest_count == 1:
                terms = "1 smaller term that is"
            rows.append((f"and {terms}", "", f"{self.rest_sum:.4g}"))
        rows.append(("together", "", f"{self.value:.6g}"))
        first, second, third = (max(map(len, column)) for column in zip(*rows))
        second += 2 * (second > 0)
        return [f"  {a:<{first}}{'  ' + b if b else '':<{second}}  =  {c:>{third}}"
                for a, b, c in rows]  # fmt: skip


@dataclass
class Explanation:
    """How one element of a gradient comes about; as `str` to read.

    value: d loss / d parameter[index]. steps: the sums, from the parameter to the loss.
    terms: those of the first step. loss: its value. at: the value of the element itself.
    """

    parameter: str
    index: Index
    at: float
    loss: float
    value: float
    steps: list[Step] = field(default_factory=list)

    @property
    def terms(self) -> list[Term]:
        """The largest terms of the sum that is the gradient."""
        return self.steps[0].terms

    def to_dict(self) -> dict[str, Any]:
        """The explanation as plain data, ready for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        element = _written(self.parameter, self.index)
        lines = [
            f"d loss / d {element} = {self.value:.6g}      (loss = {self.loss:.6g}, "
            f"{element} = {self.at:.6g})"
        ]
        for number, step in enumerate(self.steps, 1):
            first, *rest = step.lines()
            lines += ["", f"{number}. {first}", *rest]
            if number < len(self.steps) and step.count > 1:
                lines.append(f"     the first of them, {step.terms[0].upstream:.4g}, in its turn:")
        return "\n".join(lines)

    __repr__ = __str__


def _written(name: str, index: Index) -> str:
    """An element as one writes it, such as `conv1[3, 0, 1, 2]`."""
    return f"{name}[{', '.join(map(str, index))}]" if index else name
