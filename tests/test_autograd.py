"""The graph: what is recorded, how gradients add up, and what is let go."""

from __future__ import annotations

import contextlib
import gc
import threading
import weakref

import numpy as np
import pytest

import tinynet
from tinynet import ShapeError, Tensor, autograd, changes, differentiable
from tinynet.autograd import Node


def leaf(*values, dtype=np.float64):
    return tinynet.tensor(np.array(values, dtype), requires_grad=True)


@differentiable
def scaled(x, w, factor=1.0):
    """y = factor x w."""
    return factor * x * w, lambda dy: factor * dy * w, lambda dy: factor * dy * x


@pytest.fixture
def no_gc():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


# ----- gradients --------------------------------------------------------------------------------


def test_a_worked_example():
    # y = (a b + a)^2 / b at a = 2, b = 3: a b + a = 8
    a, b = leaf(2.0), leaf(3.0)
    y = (a * b + a) ** 2 / b
    y.backward()
    assert y.item() == pytest.approx(64 / 3)
    assert a.grad.item() == pytest.approx(2 * 8 * (3 + 1) / 3)
    assert b.grad.item() == pytest.approx(2 * 8 * 2 / 3 - 64 / 9)


def test_backward_needs_a_single_value_or_a_gradient():
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match=r"shape \(2,\).*\.sum\(\)"):
        (x * x).backward()
    with pytest.raises(ShapeError, match=r"shape \(3,\), the tensor \(2,\)"):
        (x * x).backward(np.ones(3))
    (x * x).backward([1.0, 10.0])
    assert x.grad.tolist() == [2, 40]


def test_backward_without_a_graph_says_so():
    with pytest.raises(RuntimeError, match="requires_grad=True"):
        tinynet.ones(1).backward()
    x = leaf(1.0)
    with tinynet.no_grad():
        y = x * 2
    with pytest.raises(RuntimeError, match=r"no_grad\(\)"):
        y.backward()


def test_backward_of_a_leaf_is_its_own_gradient():
    x = leaf(1.0)
    dy = np.array([3.0])
    x.backward(dy)
    dy += 1
    assert x.grad.tolist() == [3.0]


def test_broadcast_gradients_are_summed():
    for shape in [(3,), (1, 3), (2, 1), (1, 1), (), (1,), (2, 3)]:
        x = tinynet.ones(*shape, requires_grad=True) if shape else tinynet.full((), 1.0)
        x.requires_grad_()
        (x * np.arange(6, dtype=np.float32).reshape(2, 3)).sum().backward()
        assert x.grad.shape == shape
        assert x.grad.array.sum() == 15


def test_gradients_add_up_over_calls():
    x = leaf(1.0)
    for _ in range(3):
        (x * 2).backward()
    assert x.grad.item() == 6
    x.zero_grad()
    assert x.grad is None


def test_gradients_add_up_on_fan_out():
    x = leaf(2.0)
    y = x * x  # the same input twice
    z = y * x + y + x
    z.backward()
    assert x.grad.item() == 3 * 4 + 2 * 2 + 1


def test_a_diamond_visits_each_node_once():
    calls = []

    @differentiable
    def counted(x):
        def dx(dy):
            calls.append(1)
            return dy

        return x + 0, dx

    x = leaf(1.0)
    y = counted(x)
    for _ in range(20):
        y = counted(y) * 0.5 + y * 0.5
    y.backward()
    assert len(calls) == 21
    assert x.grad.item() == 1


def test_a_gradient_nobody_asked_for_is_not_computed():
    def fail(dy):
        raise AssertionError("computed")

    @differentiable
    def product(x, w):
        return x * w, fail, lambda dy: dy * x

    w = leaf(2.0)
    product(np.array([3.0]), w).backward()
    assert w.grad.item() == 3


# ----- aliasing ---------------------------------------------------------------------------------


def assert_grads_apart(*leaves):
    """No gradient shares memory with another, nor with any leaf's data; all can be written."""
    arrays = [x.grad.array for x in leaves] + [x.array for x in leaves]
    for i, a in enumerate(arrays):
        assert a.flags.writeable
        for b in arrays[:i]:
            assert not np.shares_memory(a, b)


def test_leaves_never_share_a_gradient():
    x, y, z = leaf(1.0, 2.0), leaf(3.0, 4.0), leaf(5.0, 6.0)
    dy = np.ones(2)
    (x + y - (-z)).backward(dy)
    assert_grads_apart(x, y, z)
    x.grad += 1
    y.grad.fill_(7)
    assert z.grad.tolist() == [1, 1]
    assert dy.tolist() == [1, 1]


def test_views_of_one_gradient_become_separate_arrays():
    x, y, z = leaf(1.0, 2.0), leaf(3.0, 4.0), leaf(5.0, 6.0)
    (tinynet.cat([x, y]).reshape(2, 2).T + z.expand(2, 2)).sum().backward()
    assert_grads_apart(x, y, z)


def test_a_pull_that_returns_a_saved_value_does_not_give_it_away():
    @differentiable
    def product(x, w):
        return (x * w).sum(), lambda dy: w, lambda dy: x

    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    y = product(x, w)
    y.backward(retain_graph=True)
    assert_grads_apart(x, w)
    x.grad *= 0
    y.backward()
    assert x.grad.tolist() == [3.0, 4.0]


def test_accumulation_never_writes_into_shared_work():
    @differentiable
    def twin(x, w):
        work = []

        def shared(dy):
            if not work:
                work.append(dy * 2)
            return work[0]

        return x + w, shared, lambda dy: shared(dy)[...]

    x, w = leaf(1.0), leaf(1.0)
    y = twin(x, w) + x * 10 + x * 100  # x takes more gradients before and after
    z = x * 1000 + y
    z.backward()
    assert (x.grad.item(), w.grad.item()) == (1112, 2)
    assert_grads_apart(x, w)


def test_an_older_gradient_that_someone_holds_sees_the_sum_and_a_copy_does_not():
    x = leaf(1.0)
    (x * 2).backward()
    held, copied = x.grad, x.grad.clone()
    (x * 2).backward()
    assert (held.item(), x.grad.item(), copied.item()) == (4, 4, 2)


def shared_by_two(dy):
    dx = dy * 2
    return dx, dx


KEPT = [np.full(40_000, 3.0)]
GIVEN = {  # all of more elements than are copied sooner than looked at
    "one array for two": lambda dy: shared_by_two(dy),
    "dy itself": lambda dy: (dy, dy),
    "a part of the other": lambda dy: ((dx := dy * 2), dx[:]),
    "what a list keeps": lambda dy: (KEPT[0], dy),
    "tensors": lambda dy: tuple(map(tinynet.from_numpy, shared_by_two(dy))),
}


@pytest.mark.parametrize("name", GIVEN)
@pytest.mark.parametrize("way", ["each", "together", "Function"])
def test_gradients_that_others_wrote_grow_apart(name, way):
    class Own(autograd.Function):
        @staticmethod
        def forward(ctx, a, b):
            return a + b

        @staticmethod
        def backward(ctx, dy):
            return tuple(map(tinynet.as_tensor, GIVEN[name](dy.array)))

    @differentiable
    def own(a, b):
        made = []

        def both(dy):
            made[:] = made or GIVEN[name](dy)
            return tuple(made)

        if way == "together":
            return a + b, *autograd.together(GIVEN[name])
        return a + b, lambda dy: both(dy)[0], lambda dy: both(dy)[1]

    a, b = (tinynet.tensor(np.ones(40_000), requires_grad=True) for _ in range(2))
    expected = [float(np.asarray(dx)[0]) for dx in GIVEN[name](np.ones(40_000))]
    for k in range(1, 4):
        (Own.apply if way == "Function" else own)(a, b).sum().backward()
        assert [a.grad.array[0], b.grad.array[0]] == [k * dx for dx in expected]
        assert_grads_apart(a, b)
    assert (KEPT[0] == 3).all()


def test_a_gradient_that_does_not_fit_what_is_set_leaves_all_as_they_were():
    for turned in (False, True):
        for way in ({}, {"create_graph": True}, {"inputs": True}):
            a, b = leaf(1.0, 2.0), leaf(1.0, 2.0)
            a.grad, b.grad = tinynet.tensor([5.0, 5.0]), tinynet.tensor([1.0])
            terms = [(a * 2).sum(), (b * 3).sum()]
            settings = {"inputs": [a, b]} if "inputs" in way else way
            with pytest.raises(ShapeError, match=r"shape \(1,\), .* shape \(2,\).*None"):
                (terms[turned] + terms[not turned]).backward(**settings)
            assert (a.grad.tolist(), b.grad.tolist()) == ([5, 5], [1])


def test_a_constant_gradient_is_copied():
    ones = np.ones(2)

    @differentiable
    def total(x):
        return x.sum(), lambda dy, ones=ones: ones

    x = leaf(1.0, 2.0)
    total(x).backward()
    x.grad += 5
    assert ones.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("body", "inputs", "lacking"),
    [
        (lambda c, x: (c * x, lambda dy: dy * x), "cx", 1),  # as many gradients as are asked for
        (lambda c, x: (c * x, lambda dy: dy * x), "xx", 1),
        (lambda c, x: (c * x, None, lambda dy: dy * c), "xx", 0),
        (lambda x, c, z: (x * c * z, lambda dy: dy * c * z, lambda dy: dy * x * z), "xcx", 2),
        (lambda c, x: (c * x, None, lambda dy: dy * c), "cx", None),
    ],
)
def test_a_gradient_belongs_to_the_input_at_its_place(body, inputs, lacking):
    given = [leaf(2.0) if kind == "x" else tinynet.tensor([3.0]) for kind in inputs]
    if lacking is not None:
        with pytest.raises(RuntimeError, match=f"input {lacking} requires a gradient, but"):
            differentiable(body)(*given)
    else:
        differentiable(body)(*given).sum().backward()
        assert [x.grad and x.grad.item() for x in given] == [None, 3]


# ----- what is kept and what is let go ----------------------------------------------------------


def test_a_second_backward_names_the_cure():
    x = leaf(1.0)
    y = x.exp()
    y.backward()
    with pytest.raises(RuntimeError, match=r"second time through 'exp'.*retain_graph=True"):
        y.backward()
    assert x.grad.item() == pytest.approx(np.e)


def test_retain_graph_allows_a_second_backward():
    x = leaf(2.0)
    y = x * x * x
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 24
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()


def test_a_shared_part_of_two_graphs_is_freed_by_the_first():
    x = leaf(2.0)
    h = x * x
    (h * 3).backward()
    with pytest.raises(RuntimeError, match="second time through 'mul'"):
        (h * 4).backward()


def test_a_gradient_that_is_on_its_way_changes_no_graph_that_others_see():
    x, z = leaf(2.0), leaf(3.0)
    y = x * z
    top = y * 2
    top.register_hook(lambda dy: y.sum().backward(retain_graph=True))
    [dx] = tinynet.autograd.grad(top.sum(), [x], retain_graph=True)
    assert (dx.item(), x.grad.item(), z.grad.item()) == (6, 3, 2)


def test_a_closure_with_a_variable_that_was_not_set_is_consumed_like_others():
    @differentiable
    def double(x, masked=False):
        if masked:
            mask = x > 0
        return x * 2, lambda dy: dy * 2 * mask if masked else dy * 2

    x = leaf(1.0)
    y = double(x)
    y.backward()
    assert x.grad.item() == 2


def test_arrays_die_as_the_backward_pass_consumes_them(no_gc):
    alive = []
    saved = []

    @differentiable
    def keep(x):
        y = x.copy()
        saved.append(weakref.ref(y))

        def dx(dy):
            alive.append(sum(ref() is not None for ref in saved))
            return dy * y

        return x + 1, dx  # y is kept by dx alone

    x = leaf(1.0, 2.0)
    h = x
    for _ in range(5):
        h = keep(h)
    h.sum().backward()
    assert alive == [5, 4, 3, 2, 1]
    assert all(ref() is None for ref in saved)


def test_the_gradient_of_a_consumed_node_dies_too(no_gc):
    seen = []
    alive = []

    @differentiable
    def watch(x):
        def dx(dy):
            alive.append(sum(ref() is not None for ref in seen))
            dx = dy * 1
            seen.append(weakref.ref(dx))
            return dx

        return x + 0, dx

    h = leaf(1.0)
    x = h
    for _ in range(4):
        h = watch(h)
    h.backward()
    assert alive == [0, 1, 1, 1]  # the one that is dy now, and none before it
    assert x.grad.item() == 1


def test_nothing_is_kept_after_backward(no_gc):
    x = leaf(1.0, 2.0)
    h = x.exp()
    y = (h * h).sum()
    refs = [weakref.ref(h), weakref.ref(h.array), weakref.ref(h.node), weakref.ref(y.node)]
    del h
    y.backward()
    assert refs[0]() is None
    assert refs[1]() is None
    assert refs[2]() is y.node.edges[0][0].edges[0][0]  # where it led is still to be seen
    del y
    assert refs[2]() is None
    assert refs[3]() is None
    assert gc.collect() == 0


def test_a_graph_without_backward_goes_when_it_is_dropped(no_gc):
    x = leaf(1.0, 2.0)
    y = tinynet.cat([x.exp(), x[[0, 0]], x.sum().expand(2)]).softmax().sum()
    y += x.max()
    ref = weakref.ref(y.node)
    del y
    assert ref() is None
    assert gc.collect() == 0


def test_no_operation_makes_a_reference_cycle(no_gc):
    x = tinynet.ones(2, 2, requires_grad=True)
    methods = "exp std var max prod logsumexp softmax log_softmax gelu elu T mT clone"
    for name in methods.split():
        y = getattr(x, name)
        y = y if isinstance(y, Tensor) else y()
        y.sum().backward()
    (x @ x).sum().backward()
    del y
    assert gc.collect() == 0


def test_errors_make_no_cycle(no_gc):
    with contextlib.suppress(ShapeError):
        tinynet.ones(2) + tinynet.ones(3)
    assert gc.collect() == 0


def test_a_chain_of_100_000_operations():
    x = leaf(1.0)
    y = x
    for _ in range(100_000):
        y = y + x
    y.backward()
    assert x.grad.item() == 100_001


def test_a_chain_of_100_000_operations_can_be_dropped():
    y = leaf(1.0)
    for _ in range(100_000):
        y = y * 1.0
    ref = weakref.ref(y.node)
    del y
    assert ref() is None


# ----- errors in the middle ---------------------------------------------------------------------


def test_an_error_in_the_middle_leaves_every_gradient_alone():
    def broken(dy):
        raise ZeroDivisionError

    @differentiable
    def fails(x):
        return x * 1, broken

    x, w = leaf(1.0), leaf(2.0)
    (x + w).backward()
    h = fails(x)
    top = h * w
    h.retain_grad()
    top.retain_grad()
    with pytest.raises(ZeroDivisionError):
        (top + w).backward()
    assert (x.grad.item(), w.grad.item()) == (1, 1)
    assert h.grad is None
    assert top.grad is None


def test_a_gradient_of_the_wrong_shape_names_operation_and_function():
    @differentiable
    def wrong(x):
        def dx(dy):
            return dy[:1, :2]

        return x * 1, dx

    x = tinynet.ones(2, 3, requires_grad=True)
    with pytest.raises(ShapeError, match=r"wrong: the gradient dx\(dy\) has shape \(1, 2\).*2, 3"):
        wrong(x).sum().backward()


def test_an_operation_that_returns_no_tuple_is_refused():
    @differentiable
    def forgetful(x):
        return x * 2

    with pytest.raises(TypeError, match=r"forgetful.*\(y, dx, \.\.\.\)"):
        forgetful(leaf(1.0))


def test_an_input_without_a_gradient_is_refused_rather_than_ignored():
    x, bound = leaf(1.0), leaf(0.5)
    with pytest.raises(RuntimeError, match=r"clip: input 2 requires a gradient.*detach"):
        tinynet.ops.clip(x, None, bound)
    assert tinynet.ops.clip(x, None, bound.detach()).item() == 0.5

    @differentiable
    def first_only(x, w):
        return x * w, lambda dy: dy * w, None

    first_only(x, bound.detach()).backward()
    assert x.grad.item() == 0.5
    with pytest.raises(RuntimeError, match="first_only: input 1"):
        first_only(x, bound)


def test_a_failed_operation_records_nothing_and_changes_nothing():
    x = leaf(1.0, 2.0)
    with pytest.raises(ShapeError):
        x + leaf(1.0, 2.0, 3.0)
    assert x.is_leaf
    assert x.grad is None


# ----- operations -------------------------------------------------------------------------------


def test_tensors_given_by_name_are_found():
    x, w = leaf(2.0), leaf(3.0)
    scaled(x, w=w, factor=10.0).backward()
    assert (x.grad.item(), w.grad.item()) == (30, 20)
    x.zero_grad()
    scaled(w=w.detach(), x=x).backward()
    assert x.grad.item() == 3


def test_operations_take_arrays_and_numbers():
    y = scaled(np.ones(2), 3.0)
    assert type(y) is Tensor
    assert not y.requires_grad
    x = leaf(1.0, 1.0, dtype=np.float32)
    assert scaled(x, np.float64(3)).dtype == np.float32


def test_every_operation_is_in_the_registry_with_its_body():
    op = autograd.registry["tinynet.ops.elementwise.exp"]
    y, dx = op.forward(np.zeros(2))
    assert y.tolist() == [1, 1]
    assert dx(np.ones(2)).tolist() == [1, 1]
    assert f"{__name__}.scaled" in autograd.registry
    assert scaled.__doc__ == "y = factor x w."


def test_an_operation_that_returns_its_input_shares_no_tensor():
    @differentiable
    def reverse(x):
        """The gradient with its sign turned, the value as it is."""
        return x, lambda dy: -dy

    x = leaf(1.0)
    y = reverse(x)
    y += 1
    assert x.item() == 1
    y.backward()
    assert x.grad.item() == -1


def test_nodes_know_their_operation_and_their_order():
    x = leaf(1.0)
    y = x.exp()
    z = y * 2
    assert (y.node.name, z.node.name) == ("exp", "mul")
    assert y.node.number < z.node.number
    assert repr(y.grad_fn).startswith("<ExpBackward0 object at 0x")
    assert type(z.grad_fn).__name__ == z.grad_fn.name() == "MulBackward0"
    for happens in (list, z.backward):
        happens()
        assert z.grad_fn.next_functions == ((y.grad_fn, 0), (None, 0))
        (accumulate, place), *rest = y.grad_fn.next_functions
        assert (accumulate.variable is x, place, rest) == (True, 0, [])
        assert (accumulate.name(), accumulate.next_functions) == ("AccumulateGrad", ())
    assert repr(accumulate).startswith("<AccumulateGrad object at 0x")
    [(target, shape, dtype)] = z.node.edges
    assert target is y.node
    assert (shape, dtype) == ((1,), np.float64)
    assert isinstance(z.node, Node)


def test_saved_arrays_are_found_wherever_a_closure_keeps_them():
    a, b, c, d, e = (np.ones(1) for _ in range(5))
    inner = lambda: c  # noqa: E731
    pair, table = (a, [b]), {"d": d}

    def vjp(dy, e=e):
        return pair, inner, table, e

    found = {id(x) for x in changes.saved_arrays(vjp)}
    assert found == {id(x) for x in (a, b, c, d, e)}


def test_an_observer_sees_each_operation_of_its_thread():
    seen = []
    x = leaf(1.0)
    with autograd.observe(lambda op, args, settings, output: seen.append((op, output.item()))):
        scaled(x, 2.0, factor=3.0)
        thread = threading.Thread(target=lambda: x.exp())
        thread.start()
        thread.join()
    x.exp()
    assert seen == [(f"{__name__}.scaled", 6.0)]


# ----- recording on and off ---------------------------------------------------------------------


def test_no_grad_and_enable_grad_nest():
    x = leaf(1.0)
    with tinynet.no_grad():
        assert not tinynet.is_grad_enabled()
        with tinynet.enable_grad():
            assert (x * 2).requires_grad
            with tinynet.no_grad():
                assert not (x * 2).requires_grad
            assert (x * 2).requires_grad
        assert not (x * 2).requires_grad
    assert tinynet.is_grad_enabled()


def test_no_grad_ends_with_an_error_too():
    with pytest.raises(KeyError), tinynet.no_grad():
        raise KeyError
    assert tinynet.is_grad_enabled()


def test_one_no_grad_object_can_be_entered_again():
    mode = tinynet.no_grad()
    with mode, mode:
        assert not tinynet.is_grad_enabled()
    assert tinynet.is_grad_enabled()


def test_no_grad_decorates():
    @tinynet.no_grad()
    def plain(x, depth=0):
        return plain(x, depth - 1) if depth else x * 2

    @tinynet.no_grad
    def bare(x):
        return x * 2

    x = leaf(1.0)
    assert not plain(x, depth=3).requires_grad
    assert not bare(x).requires_grad
    assert bare.__name__ == "bare"
    assert tinynet.is_grad_enabled()


def test_recording_is_per_thread():
    inside, may_leave, results = threading.Event(), threading.Event(), []

    @tinynet.no_grad()
    def work():
        inside.set()
        may_leave.wait(5)
        results.append(tinynet.is_grad_enabled())

    thread = threading.Thread(target=work)
    thread.start()
    assert inside.wait(5)
    assert tinynet.is_grad_enabled()
    may_leave.set()
    thread.join()
    assert results == [False]


def test_a_decorated_function_runs_in_several_threads_at_once():
    barrier = threading.Barrier(2, timeout=5)
    wrong = []

    @tinynet.no_grad()
    def work():
        barrier.wait()

    def without():
        work()
        if not tinynet.is_grad_enabled():
            wrong.append("recording was lost")

    def within():
        with tinynet.no_grad():
            work()
            if tinynet.is_grad_enabled():
                wrong.append("recording came back")

    threads = [threading.Thread(target=f) for f in (without, within)]
    for _ in range(20):
        threads = [threading.Thread(target=f) for f in (without, within)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_threads_have_graphs_of_their_own():
    results = {}

    def train(seed):
        x = leaf(float(seed))
        for _ in range(200):
            x.zero_grad()
            ((x * 3 + 1) ** 2).backward()
        results[seed] = x.grad.item()

    threads = [threading.Thread(target=train, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {k: 6 * (3 * k + 1) for k in range(4)}


def test_retain_grad_keeps_the_gradient_of_an_intermediate_result():
    x = leaf(2.0)
    h = x * 3
    h.retain_grad()
    (h * h).backward(retain_graph=False)
    assert h.grad.item() == 12
    assert x.grad.item() == 36
    dead = x * 3
    dead.retain_grad()
    y = dead * 2
    del dead
    y.backward()
    assert x.grad.item() == 42


def test_a_gradient_retained_is_an_array_of_its_own():
    x = leaf(1.0, 2.0)
    h = x + 1
    h.retain_grad()
    h.sum().backward()
    h.grad += 1
    assert x.grad.tolist() == [1, 1]


def shared_product(calls):
    def both(dy):
        calls.append(dy)
        return dy * 3, dy * 2

    @tinynet.differentiable
    def product(x, w):
        return x * w, *autograd.together(both)

    return product


@pytest.mark.parametrize("wanted", [(True, True), (True, False), (False, True)])
def test_gradients_that_come_together_are_computed_by_one_call(wanted):
    calls = []
    x, w = (tinynet.tensor([value], requires_grad=yes) for value, yes in zip((2.0, 3.0), wanted))
    y = shared_product(calls)(x, w)
    for times in (1, 2):
        y.backward(np.ones(1, np.float32), retain_graph=True)
        assert len(calls) == times
    grads = [None if t.grad is None else t.grad.item() for t in (x, w)]
    assert grads == [2 * g if yes else None for g, yes in zip((3, 2), wanted)]


def test_gradients_that_come_together_may_not_write_into_dy():
    def both(dy):
        dy *= 2
        return dy, dy

    @tinynet.differentiable
    def total(x, w):
        return x + w, *autograd.together(both)

    x, w = (tinynet.ones(1, requires_grad=True) for _ in range(2))
    with pytest.raises(RuntimeError, match="total: its gradient both writes into"):
        total(x, w).sum().backward()
