"""PyTorch's own samples of the operators that both have: none may be wrong, few are refused."""

from __future__ import annotations

import warnings

import pytest

pytest.importorskip("torch")
pytest.importorskip("expecttest")

from tests.against_torch.operator_samples import operators, outcomes

MOST = 40
"""Samples of one operator that a test looks at; `python -m tests.against_torch.operator_samples`
looks at all of them."""

LACKING = {  # what is refused with an error that says so, of which operator, and how often
    "norm nuc": 2,  # linalg.matrix_norm has it
    "linalg.pinv hermitian": 3,  # matrices that are not symmetric
    "nn.functional.batch_norm": 2,  # an empty batch without axes
    "nn.functional.embedding": 3,
    "nn.functional.grid_sample": 18,  # five axes, cubic
}


@pytest.fixture(scope="module")
def described():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {f"{i.name} {i.variant_test_name}".strip(): (i, f) for i, f in operators()}


def names():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [f"{i.name} {i.variant_test_name}".strip() for i, _ in operators()]


@pytest.mark.parametrize("name", names())
@pytest.mark.filterwarnings("ignore")
def test_samples_agree_or_are_refused(name, described):
    results = outcomes(*described[name], most=MOST)
    assert [r for r in results if r.startswith("wrong")] == []
    refused = [r for r in results if r.startswith("refused")]
    assert len(refused) <= LACKING.get(name, 0), refused


def test_there_are_many(described):
    assert len(described) > 300
