"""The diagnosis by itself: what each suspect sees, and that nothing is named without proof."""

from __future__ import annotations

import numpy as np
import pytest
from faults_by_hand import fault

from tests.long.faults import ALL
from tests.long.faults import operations as o
from tinynet import differentiable, gradcheck
from tinynet.gradcheck.causes import diagnose


@pytest.fixture
def rng():
    return np.random.default_rng(7)


CONV = {"stride": 2, "padding": 1}


def conv_inputs(rng):
    return [rng.standard_normal(s) for s in [(2, 3, 7, 7), (2, 3, 3, 3), (2,)]]


def wrong_op(name):
    """The planted operation of this name."""
    return next(fault.op for fault in ALL if fault.op.__name__ == name)


def cause_of(fault):
    return (diagnose(fault) or ("", ""))[0]


RIGHT = [
    (o.conv, [(2, 2, 3, 4), (2, 2, 3, 2), (2,)], CONV, "x"),
    (o.conv, [(2, 2, 5, 4), (2, 2, 3, 2), (2,)], CONV, "w"),
    (o.max_pool, [(2, 1, 5, 5)], {"kernel_size": 3, "stride": 2}, "x"),
    (o.batch_norm, [(3, 2, 4, 3), (2,), (2,)], {"eps": 1e-5}, "x"),
    (o.linear, [(4, 3), (3, 3), (3,)], {}, "w"),
    (o.tanh, [(3, 4)], {}, "x"),
]
NAMES = [f"{body.__name__} {argument}" for body, _, _, argument in RIGHT]


def garbage_like(gradient, rng):
    yield rng.standard_normal(gradient.shape)
    one_wrong = gradient.copy()
    one_wrong.flat[gradient.size // 2] += 0.5
    yield one_wrong
    yield gradient * rng.uniform(0.5, 2, gradient.shape)
    yield gradient + 0.1


@pytest.mark.parametrize("row", RIGHT, ids=NAMES)
def test_garbage_gets_no_name(row, rng):
    body, shapes, settings, argument = row
    inputs = [rng.standard_normal(shape) for shape in shapes]
    right = fault(body, inputs, settings, argument)
    for wrong in garbage_like(right.elements.numeric, rng):
        right.analytic, right.vjp = wrong, None
        assert not cause_of(right)


@pytest.mark.parametrize("row", RIGHT, ids=NAMES)
def test_a_right_gradient_gets_no_name(row, rng):
    body, shapes, settings, argument = row
    inputs = [rng.standard_normal(shape) for shape in shapes]
    right = fault(body, inputs, settings, argument)
    assert np.allclose(right.analytic, right.elements.numeric, atol=1e-6)
    assert not cause_of(right)


def test_a_mistake_that_explains_all_but_one_element_is_not_named(rng):
    inputs = conv_inputs(rng)
    wrong = fault(wrong_op("conv_dw_flipped"), inputs, CONV, "w")
    assert cause_of(wrong) == "gradient flipped"
    wrong.vjp = None
    wrong.analytic[0, 1, 2, 0] += 1e-3
    assert not cause_of(wrong)


def test_a_name_means_nothing_and_settings_may_be_hidden(rng):
    """The convolution is recognised by its numbers, whatever it is called and told."""

    def thing(image, kernel):
        return wrong_op("conv_without_stride")(image, kernel, np.zeros(2), 2, 1)[:3]

    x, w, _ = conv_inputs(rng)
    cause, evidence = diagnose(fault(thing, [x, w], argument="image"))
    assert cause == "stride ignored"
    assert "dy[p, q, r, s] meets kernel[q, b, c - r + 1, d - s + 1]" in evidence
    assert "right is kernel[q, b, c - 2r + 1, d - 2s + 1]" in evidence


def test_the_evidence_has_the_numbers(rng):
    inputs = conv_inputs(rng)

    def scaled(x, w, b, stride, padding):
        y, dx, dw, db = o.conv(x, w, b, stride, padding)
        return y, dx, lambda dy: dw(dy) * (dy.shape[2] * dy.shape[3]), db

    assert diagnose(fault(scaled, inputs, CONV, "w")) == (
        "constant factor",
        "analytic = 16 x numeric; 16 = OH*OW (all 54 elements)",
    )
    cause, evidence = diagnose(fault(wrong_op("conv_not_cropped"), inputs, CONV))
    assert cause == "padding cropped at the wrong side"
    assert "meets w[q, b, c - 2r, d - 2s]; right is w[q, b, c - 2r + 1, d - 2s + 1]" in evidence
    cause, evidence = diagnose(fault(wrong_op("swish"), [rng.standard_normal((3, 4))]))
    assert evidence == (
        "analytic = numeric - dy y sigmoid(-x), element by element; analytic = dy sigmoid(x)"
    )


def test_two_mistakes_that_give_the_same_gradient_are_both_named(rng):
    """With as many examples as features, the mean over either divides by the same number."""

    def rows_mean(x):
        return x.mean(1), lambda dy: np.repeat(dy[:, None], 2, 1) / 2 / 2

    def shifted_or_flipped(x):  # of two elements, a roll is a flip
        return x * np.array([2.0, 3.0]), lambda dy: (dy * np.array([2.0, 3.0]))[..., ::-1]

    x = rng.standard_normal((3, 2))
    cause, evidence = diagnose(fault(shifted_or_flipped, [x]))
    assert cause.startswith("either ")
    assert " or " in cause
    assert "; or " in evidence
    assert diagnose(fault(rows_mean, [x]))[0] == "average divided by the wrong count"


def test_one_number_is_a_constant_factor_of_another_if_it_is_for_two_output_gradients(rng):
    def scale(x, w):
        return x * w, lambda dy: dy * w, lambda dy: np.asarray((dy * x).sum() * 0.7341)

    inputs = [rng.standard_normal((3, 2)), np.array(1.3)]
    said = "constant factor: (dy * x).sum() * 0.7341 in place of (dy * x).sum()"
    assert cause_of(fault(scale, inputs, argument="w")) == said
    numeric = fault(scale, inputs, argument="w").elements.numeric
    assert not cause_of(fault(scale, inputs, argument="w", analytic=0.7341 * numeric))


def test_few_elements_are_looked_at_with_another_output_gradient(rng):
    """A gradient of one element that happens to be twice the right one is no factor of 2."""

    def total(x):
        y, dy_then = x * 2, np.random.default_rng(0).standard_normal(1)
        return y, lambda dy: 4 * dy_then + 0.3 * (dy - dy_then)

    wrong = fault(total, [np.array([1.5])])
    assert np.allclose(wrong.analytic, 2 * wrong.elements.numeric)
    assert cause_of(wrong) == "a term without the output gradient"


def test_kinks_without_a_numeric_gradient_do_not_hide_the_mistake(rng):
    wrong = fault(wrong_op("relu_without_mask"), [rng.standard_normal((4, 5))])
    wrong.elements.numeric[0, 0], wrong.elements.noise[0, 0] = np.nan, np.inf
    assert diagnose(wrong)[0] == "output gradient returned unchanged"


@pytest.mark.parametrize(
    ("body", "shapes", "argument"),
    [
        (wrong_op("linear_transposed"), [(4, 5), (5, 5), (5,)], "x"),
        (wrong_op("swish"), [(3, 4)], "x"),
        (wrong_op("batched_product"), [(3, 2, 4), (4, 2)], "w"),
    ],
)
def test_the_order_in_memory_makes_no_difference(body, shapes, argument, rng):
    inputs = [np.asfortranarray(rng.standard_normal(shape)) for shape in shapes]
    ordered = [np.ascontiguousarray(x) for x in inputs]
    found = diagnose(fault(body, inputs, argument=argument))
    assert found == diagnose(fault(body, ordered, argument=argument))
    assert found is not None


def test_a_function_that_changes_its_arguments_or_fails_elsewhere_is_diagnosed_all_the_same(rng):
    def touchy(x, w):
        if not x.any() or np.array_equal(w, w.T):
            raise ValueError("not here")
        y = x @ w
        saved = x.copy()
        x += 1  # what happens to the copy that the diagnosis hands out is no one's affair
        return y, lambda dy: dy @ w, lambda dy: saved.T @ dy

    x, w = rng.standard_normal((2, 3)), rng.standard_normal((3, 3))
    wrong = fault(lambda x, w: touchy(x.copy(), w), [x, w])
    wrong.call.body = touchy
    assert diagnose(wrong)[0] == "w transposed"


def test_a_saved_value_that_is_used_as_scratch_is_named_with_its_line(rng):
    def sigmoid(x):
        y = 1 / (1 + np.exp(-x))
        result = y.copy()
        np.subtract(y, 1, out=y)
        return result, lambda dy: dy * y * (1 - y)

    cause, evidence = diagnose(fault(sigmoid, [rng.standard_normal((3, 4))]))
    assert cause == "a saved value is overwritten in place"
    assert "`np.subtract(y, 1, out=y)`" in evidence


def test_a_saved_value_that_is_built_up_in_place_is_not_blamed_for_a_wrong_formula(rng):
    def running_tanh(x):
        y = np.zeros_like(x)
        y += x
        y += 0.1 * x * x
        np.tanh(y, out=y)
        return y.copy(), lambda dy: dy * (1 - y**4) * (1 + 0.3 * x)

    assert diagnose(fault(running_tanh, [rng.standard_normal((3, 4))])) is None


@pytest.mark.parametrize(
    ("forward", "backward", "cause"),
    [
        ("np.tanh(x)", "dy * (1 - y)", "dy (1 - y) in place of dy (1 - y^2)"),
        ("x * x", "dy * x", "constant factor"),
        ("np.exp(x)", "-dy * y", "wrong sign"),
        ("1 / x", "-dy * y", "-dy / x in place of -dy / x^2"),
        ("np.maximum(x, 0)", "dy", "output gradient returned unchanged"),
        ("np.maximum(x, 0)", "0 * dy", "zero gradient"),
        ("np.maximum(x, 0)", "dy * (x < 0)", "the two branches are exchanged"),
        ("np.maximum(x, 0)", "dy * (dy > 0)", "masked by the sign of dy"),
        ("np.where(x > 0, x, 0.1 * x)", "dy * (x > 0)", "left out, where x < 0"),
        ("x * x", "2 * x", "output gradient not used"),
        ("x * x", "dy * 2 * x + 1", "a term without the output gradient"),
        ("x.mean(1, keepdims=True)", "dy + 0 * x", "average not divided"),
        ("x.max(1, keepdims=True)", "dy + 0 * x", "gradient spread over the window"),
        ("x.max(1, keepdims=True)", "dy * (x == x.min(1, keepdims=True))", "wrong winner"),
        ("x.T", "dy.reshape(x.shape)", "reshaped where it must be transposed"),
        ("x * np.arange(1, 13).reshape(3, 4)", "(dy * y / x)[::-1]", "gradient flipped"),
        ("np.cumsum(x, 0)", "np.cumsum(dy, 0)", "Jacobian not transposed"),
        ("x - x.mean(1, keepdims=True)", "dy - dy.mean(0)", "summed over the wrong axis"),
        ("x / np.sqrt((x * x).sum(1, keepdims=True))", "dy * y / x", "treated as a constant"),
        ("x * np.tanh(x)", "dy * np.tanh(x)", "a term dy x (1 - tanh(x)^2) is missing"),
    ],
)
def test_the_common_mistakes_are_named_where_there_is_no_source(forward, backward, cause):
    space = {"np": np}
    exec(f"def typed(x):\n    y = {forward}\n    return y, lambda dy: {backward}", space)
    x = np.random.default_rng(8).standard_normal((3, 4))
    (failure,) = gradcheck(differentiable(space["typed"]), x).failures
    assert (failure.op, failure.argument) == ("typed", "x")
    assert cause in failure.cause


FILL = float("inf")


def test_an_infinity_in_reach_is_the_name_of_no_factor():
    @differentiable
    def cube(x):
        def dx(dy):
            return 2.37 * x * x * dy

        return np.minimum(x, FILL) ** 3, dx

    report = gradcheck(cube, np.linspace(0.5, 2, 6))
    assert "0.79 x numeric" in str(report)
    assert "= FILL" not in str(report)


class Refusing:
    def __getattribute__(self, name):
        if name == "__dict__":
            raise RuntimeError("no request is going on")
        return object.__getattribute__(self, name)

    def scale(self):
        return 1.5


PROXY = Refusing()


def test_an_object_in_reach_that_refuses_a_look_hides_no_cause():
    @differentiable
    def scaled(x):
        return x * PROXY.scale(), lambda dy: dy * 1.65

    assert "1.1 x numeric" in str(gradcheck(scaled, np.linspace(0.5, 2, 6)))
