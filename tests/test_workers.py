"""The kernels' threads: whatever interrupts a call, however few there may be, the next is right."""

from __future__ import annotations

import gc
import hashlib
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import tinynet
from tinynet import kernels, nn, optim
from tinynet.kernels import threads, workers
from tinynet.kernels.workers import CAN_SPIN, Pool
from tinynet.nn import functional as F

THREAD_CODE = {threads.__file__, workers.__file__}
SMALL_WORK = [(threads, "PARALLEL_FROM"), (threads, "MATMUL_PARALLEL_FROM")]
if "numba" in kernels.available():
    from tinynet.kernels import numba_kernels
    from tinynet.kernels.numba_kernels import sharing, team

    THREAD_CODE |= {sharing.__file__, team.__file__}
    SMALL_WORK.append((numba_kernels, "SERIAL_BYTES"))


@pytest.fixture(autouse=True)
def three_threads(monkeypatch):
    """Three threads, and nobody who computes alone because a helper was late."""
    monkeypatch.setattr(threads, "_alone_until", 0.0)
    monkeypatch.setattr(threads, "LATE", float("inf"))
    before = threads.get_num_threads()
    threads.set_num_threads(3)
    yield
    threads.set_num_threads(before)


@pytest.fixture(params=kernels.available())
def kernel_set(request):
    before = kernels.current.name
    kernels.use(request.param)
    yield request.param
    kernels.use(before)


X = np.random.default_rng(0).standard_normal((32, 1, 12, 12)).astype(np.float32)
Y = np.arange(32) % 10


def trained(seed: int) -> str:
    """A step of a net whose convolutions, pools, products and optimizer use threads; its digest."""
    tinynet.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 16, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(576, 256),
        nn.Linear(256, 10),
    )
    optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    loss = F.cross_entropy(model(tinynet.tensor(X)), Y)
    loss.backward()
    optimizer.step()
    weights = b"".join(value.tobytes() for value in model.state_dict().values())
    return hashlib.sha256(weights).hexdigest()


def run_to_line(at: tuple[str, int, str, int] | None, work) -> dict[tuple[str, int, str], int]:
    """Run `work`, interrupted at a line of the threads' code: (file, line, kind, n-th pass).

    -> how often each line was passed.
    """
    passed: dict[tuple[str, int, str], int] = {}

    def at_line(frame, kind, arg):
        place = (frame.f_code.co_filename, frame.f_lineno, kind)
        passed[place] = passed.get(place, 0) + 1
        if (*place, passed[place]) == at:
            sys.settrace(None)
            raise KeyboardInterrupt
        return at_line

    def at_call(frame, kind, arg):
        return at_line(frame, kind, arg) if frame.f_code.co_filename in THREAD_CODE else None

    sys.settrace(at_call)
    try:
        work()
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(None)
    return passed


def every_line(work) -> list[tuple[str, int, str, int]]:
    """The first and the last pass of each line of the threads' code, as `run_to_line` takes it."""
    passes = run_to_line(None, work)
    return [(*place, n) for place, last in passes.items() for n in sorted({1, last})]


def helpers() -> set[threading.Thread]:
    return {t for t in threading.enumerate() if t.name == "tinynet-kernel"}


def test_an_interrupt_at_any_line_leaves_the_next_training_right(kernel_set, monkeypatch):
    for module, name in SMALL_WORK:
        monkeypatch.setattr(module, name, 0)
    threads.set_num_threads(2)  # more than there are processors wait for one another
    expected = trained(5)
    places = every_line(lambda: trained(7))
    assert len(places) > 100
    for at in places:
        run_to_line(at, lambda: trained(7))
        assert trained(5) == expected, f"after an interrupt at {at}"


def test_after_interrupts_the_same_number_of_threads_computes():
    def work():
        return set(threads.run(lambda i: threading.get_ident(), range(3)))

    before = helpers()
    for at in every_line(work):
        run_to_line(at, work)
        assert len(work()) == 3
    gc.collect()
    for _ in range(600):
        if len(helpers() - before) <= 2:  # those of dropped pools have ended
            return
        time.sleep(0.1)
    raise AssertionError(f"{len(helpers() - before)} new helpers are alive")


def test_an_interrupted_call_returns_when_its_helpers_are_done():
    begun, written = threading.Event(), []

    def work(i):
        if i == 0:
            begun.wait(60)
            raise KeyboardInterrupt
        begun.set()
        time.sleep(0.05)
        written.append(i)

    with pytest.raises(KeyboardInterrupt):
        threads.run(work, range(2))
    assert written == [1]


def test_a_pool_that_an_old_traceback_holds_is_not_waited_for():
    with pytest.raises(ZeroDivisionError) as held:
        threads.run(lambda i: 1 // i, range(3))
    assert len(set(threads.run(lambda i: threading.get_ident(), range(3)))) == 3
    del held


def test_a_second_caller_computes_alone_while_the_first_has_the_pool():
    inside, leave, seen = threading.Event(), threading.Event(), []

    def hold(i):
        inside.set()
        leave.wait(60)

    first = threading.Thread(target=lambda: threads.run(hold, range(3)))
    first.start()
    inside.wait(60)
    seen = threads.run(lambda i: threading.get_ident(), range(3))
    leave.set()
    first.join()
    assert set(seen) == {threading.get_ident()}
    assert len(set(threads.run(lambda i: threading.get_ident(), range(3)))) == 3


@pytest.mark.parametrize("allowed", [0, 1, 2])
def test_where_no_more_threads_may_be_started_fewer_compute(allowed, kernel_set, monkeypatch):
    threads.set_num_threads(4)  # another number of parts would be summed in another order
    expected = trained(5)
    start, started = threading.Thread.start, []

    def limited(thread):
        if len(started) == allowed:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    threads._forget_pools()
    threads.set_num_threads(4)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", limited)
        with pytest.warns(RuntimeWarning, match="no more threads. tinynet goes on computing with"):
            assert trained(5) == expected
        assert trained(5) == expected  # and says so once
    threads._forget_pools()


def test_threads_follow_the_error_state_of_their_caller():
    huge = np.full(1000, 1e38, np.float32)
    with np.errstate(over="ignore"):
        threads.run(lambda i: huge * huge, range(4))
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        threads.run(lambda i: huge * huge, range(4))


def test_after_a_helper_came_late_callers_compute_alone_for_a_while(monkeypatch):
    monkeypatch.setattr(threads, "_alone", 1e9)
    monkeypatch.setattr(threads, "LATE", -1e9)  # whoever helps is late
    pool = Pool()
    pool.grow(2)
    pool.share(lambda awake: None, [lambda: None] * 2)
    monkeypatch.setattr(pool, "share", lambda *a: (0.0, 0.0))
    monkeypatch.setattr(threads, "_spare", [pool])
    threads.run(lambda i: i, range(3))
    assert threads.run(lambda i: threading.get_ident(), range(3)) == [threading.get_ident()] * 3


def test_a_worker_that_went_to_sleep_works_again():
    pool, seen = Pool(), []
    pool.grow(1)
    for number in range(30):
        pool.share(lambda awake: None, [lambda number=number: seen.append(number)])
        if number % 2:
            pool.workers[0].rest()  # as the watchman does
    assert seen == list(range(30))


@pytest.mark.skipif(not CAN_SPIN, reason="workers do not spin here")
def test_whoever_has_nothing_to_do_sleeps():
    threads.run(lambda i: i, range(3))
    pool = threads._spare[0]
    for _ in range(6000):
        if pool._watchman._asleep:
            break
        time.sleep(0.01)
    assert all(worker._tired for worker in pool.workers)


def test_an_error_in_a_share_is_raised_and_the_next_call_is_right():
    for wrong in range(3):
        with pytest.raises(ZeroDivisionError):
            threads.run(lambda i, wrong=wrong: 1 // (i - wrong), range(3))
        assert threads.run(lambda i: i * i, range(4)) == [0, 1, 4, 9]


def test_a_forked_child_starts_threads_of_its_own():
    code = (
        "import os, threading\n"
        "from tinynet.kernels import threads\n"
        "threads.set_num_threads(2)\n"
        "threads.run(lambda i: i, range(2))\n"
        "child = os.fork()\n"
        "threads._alone_until, threads.LATE = 0.0, 1e9\n"
        "count = len(set(threads.run(lambda i: threading.get_ident(), range(2))))\n"
        "print(count, flush=True)\n"
        "os.wait() if child else os._exit(0)\n"
    )
    if not hasattr(__import__("os"), "fork"):
        pytest.skip("nothing forks here")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["2", "2"]
