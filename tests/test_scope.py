"""What stands above a function with @ holds inside it, whatever kind of function it is."""

from __future__ import annotations

import asyncio
import functools
import inspect

import numpy as np
import pytest

import tinynet
from tinynet import autograd, grad_mode, kernels
from tinynet.random import default_rng, use_rng

RNG = np.random.default_rng(0)


def not_recording():
    return not grad_mode.is_grad_enabled()


SCOPES = {
    "no_grad": (tinynet.no_grad, not_recording),
    "enable_grad": (tinynet.enable_grad, grad_mode.is_grad_enabled),
    "detect_anomaly": (tinynet.detect_anomaly, lambda: autograd.state.observer is not None),
    "override": (lambda: kernels.override(relu=abs), lambda: "relu" in vars(kernels.current)),
    "use_rng": (lambda: use_rng(RNG), lambda: default_rng() is RNG),
}


@pytest.fixture(params=SCOPES)
def scope(request):
    """(decorator, whether it holds); outside it never does."""
    make, holds = SCOPES[request.param]
    with tinynet.no_grad() if request.param == "enable_grad" else tinynet.enable_grad():
        assert not holds()
        yield make(), holds
        assert not holds()


def generator(holds, log):
    """Yields whether it holds, and notes it at the end, however that comes."""
    try:
        while (yield holds()) != "stop":
            pass
        return holds()
    except KeyError:
        yield holds()
    finally:
        log.append(holds())


def test_it_holds_inside_a_generator_but_not_between_its_values(scope):
    decorate, holds = scope
    log = []
    run = decorate(generator)(holds, log)
    assert inspect.isgenerator(run)
    assert next(run)
    assert not holds()
    assert run.send("go on")
    assert not holds()
    with pytest.raises(StopIteration) as end:
        run.send("stop")
    assert end.value.value is True
    assert log == [True]


def test_it_holds_where_an_error_is_thrown_into_a_generator(scope):
    decorate, holds = scope
    run = decorate(generator)(holds, [])
    next(run)
    assert run.throw(KeyError("in"))
    with pytest.raises(ValueError, match="out"):
        run.throw(ValueError("out"))
    assert not holds()


@pytest.mark.parametrize("end", ["close", "collect"])
def test_it_holds_while_a_generator_that_is_given_up_cleans_up(scope, end):
    decorate, holds = scope
    log = []
    run = decorate(generator)(holds, log)
    next(run)
    if end == "close":
        run.close()
    del run
    assert log == [True]


def test_two_generators_may_take_turns(scope):
    decorate, holds = scope
    inner, outer = (decorate(generator)(holds, []) for _ in range(2))
    assert all((next(inner), next(outer), next(inner)))
    inner.close()
    assert next(outer)
    assert not holds()


def test_it_holds_inside_a_coroutine_but_not_while_it_waits(scope):
    decorate, holds = scope
    seen = []

    @decorate
    async def work():
        seen.append(holds())
        await asyncio.sleep(0)
        seen.append(holds())
        return "done"

    async def other():
        seen.append(not holds())
        await asyncio.sleep(0)
        return "too"

    async def both():
        return await asyncio.gather(work(), other())

    assert inspect.iscoroutinefunction(work)
    assert asyncio.run(both()) == ["done", "too"]
    assert seen == [True, True, True]


class Holder:
    """Functions of all kinds that a class may have; each says whether the recording is off."""

    @tinynet.no_grad()
    def method(self):
        return not_recording()

    @tinynet.no_grad()
    def values(self):
        yield not_recording()

    @staticmethod
    @tinynet.no_grad()
    def static_values():
        yield not_recording()

    @staticmethod
    @tinynet.no_grad
    def static():
        return not_recording()

    @classmethod
    @tinynet.no_grad()
    def of_class(cls):
        return not_recording()


def test_it_holds_inside_methods():
    holder = Holder()
    assert [holder.method(), holder.static(), holder.of_class()] == [True] * 3
    assert list(holder.values()) == list(holder.static_values()) == [True]


def test_it_holds_inside_a_generator_given_as_a_partial():
    assert next(tinynet.no_grad()(functools.partial(generator, not_recording, []))())


async def asynchronous_generator():
    yield 1


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (asynchronous_generator, "in a `with` inside the asynchronous generator"),
        (Holder, "'Holder'; write it above its methods"),
        (staticmethod(generator), "directly above a function, below @staticmethod"),
        (classmethod(generator), "directly above a function, below @staticmethod, @classmethod"),
        (property(generator), "@classmethod or @property"),
        (tinynet.ones(2), "'Tensor'; write it directly above a function"),
    ],
)
def test_what_it_could_not_hold_in_is_refused(scope, function, words):
    with pytest.raises(TypeError, match=words):
        scope[0](function)
    with pytest.raises(TypeError, match=r"no_grad cannot decorate"):
        tinynet.no_grad(function)


def test_an_anomaly_in_a_generator_is_placed_though_its_graph_was_made_before_a_yield():
    @tinynet.detect_anomaly()
    def steps():
        y = tinynet.zeros(2, requires_grad=True).sqrt().sum()
        yield
        y.backward()

    run = steps()
    next(run)
    with pytest.raises(FloatingPointError, match="the gradient of sqrt for x") as error:
        next(run)
    assert "called in" in str(error.value)


def test_no_grad_holds_in_its_own_task_alone():
    """Tasks take turns in one thread: what one of them switched off is on in the others."""
    x, seen = tinynet.ones(1, requires_grad=True), []

    async def without(wait, hold):
        for _ in range(wait):
            await asyncio.sleep(0)
        with tinynet.no_grad():
            for _ in range(hold):
                await asyncio.sleep(0)
                seen.append(("without", (x * 2).requires_grad))

    async def beside():
        for _ in range(6):
            seen.append(("beside", (x * 2).requires_grad))
            await asyncio.sleep(0)

    async def together():
        await asyncio.gather(without(0, 3), without(1, 4), beside())

    asyncio.run(together())
    assert set(seen) == {("without", False), ("beside", True)}
    assert tinynet.is_grad_enabled()
