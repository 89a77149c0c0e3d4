"""Ranks without MPI: a thread each, of which one runs at a time, until it waits for another.

    results = run_ranks(4, lambda comm: fit(..., comm=comm))

Whose turn it is follows from the program alone, so nothing depends on time. That all wait for each
other is found at once, and so is a rank that calls another collective than the others. Sending
waits for the receiver, as MPI may.
"""

from __future__ import annotations

import pickle
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

STACK = 1 << 19


class Aborted(BaseException):
    """A rank has failed, and with it all."""


class World:
    """What the ranks share."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.turns = [threading.Semaphore(0) for _ in range(size)]
        self.alive = [True] * size
        self.idle = 0  # how many turns came to nothing, one after the other
        self.rounds: dict[int, dict[int, tuple[str, Any]]] = {}  # collectives under way
        self.results: dict[int, list[Any]] = {}
        self.left: Counter[int] = Counter()
        self.mail: dict[tuple[int, int], bytes] = {}
        self.over: Aborted | None = None
        self.calls: Counter[str] = Counter()  # of rank 0

    def give_turn(self, rank: int) -> None:
        """To the next rank that is still at work, if there is one."""
        for step in range(1, self.size + 1):
            following = (rank + step) % self.size
            if self.alive[following]:
                self.turns[following].release()
                return

    def wait(self, rank: int, until: Callable[[], bool]) -> None:
        while not until() and self.over is None:
            self.idle += 1
            if self.idle > self.size + 1:
                raise AssertionError(f"all ranks wait for each other; rank {rank} saw it")
            self.give_turn(rank)
            self.turns[rank].acquire()
        self.idle = 0
        if not until():
            raise self.over


class FakeComm:
    """One rank's communicator."""

    def __init__(self, world: World, rank: int) -> None:
        self.world, self.rank = world, rank
        self.round = 0

    def Get_rank(self) -> int:
        return self.rank

    def Get_size(self) -> int:
        return self.world.size

    def _together(self, kind: str, value: Any, taken: Callable[[list[Any]], Any] = list) -> Any:
        """What all ranks bring to a collective, as `taken` makes it, once for all of them."""
        world, number = self.world, self.round
        self.round += 1
        world.calls[kind] += self.rank == 0
        brought = world.rounds.setdefault(number, {})
        brought[self.rank] = kind, value
        world.wait(self.rank, lambda: len(brought) == world.size)
        if number not in world.results:
            kinds = {kind for kind, _ in brought.values()}
            assert len(kinds) == 1, f"the ranks call {kinds} at the same time"
            world.results[number] = taken([brought[rank][1] for rank in range(world.size)])
        result = world.results[number]
        world.left[number] += 1
        if world.left[number] == world.size:
            del world.rounds[number], world.left[number], world.results[number]
        return result

    def bcast(self, value: Any) -> Any:
        sent = pickle.dumps(value) if self.rank == 0 else b""
        return pickle.loads(self._together("bcast", sent)[0])

    def allgather(self, value: Any) -> list[Any]:
        return list(self._together("allgather", pickle.dumps(value), _unpickled))

    def gather(self, value: Any) -> list[Any] | None:
        everyone = self._together("gather", pickle.dumps(value), _unpickled)
        return everyone if self.rank == 0 else None

    def Bcast(self, array: np.ndarray) -> None:
        np.copyto(array, self._together("Bcast", array.copy())[0])

    def Allreduce(self, array: np.ndarray, total: np.ndarray) -> None:
        total[...] = self._together("Allreduce", array.copy(), sum)

    def Send(self, array: np.ndarray, dest: int) -> None:
        place = self.rank, dest
        self.world.wait(self.rank, lambda: place not in self.world.mail)
        self.world.mail[place] = array.tobytes()
        self.world.wait(self.rank, lambda: place not in self.world.mail)

    def Recv(self, array: np.ndarray, source: int) -> None:
        place = source, self.rank
        self.world.wait(self.rank, lambda: place in self.world.mail)
        array[...] = np.frombuffer(self.world.mail.pop(place), array.dtype)


def _unpickled(sent: list[bytes]) -> list[Any]:
    return [*map(pickle.loads, sent)]


def run_ranks(size: int, work: Callable[[FakeComm], Any]) -> list[Any]:
    """What `work` gives in each rank, or the error that it raised there."""
    world = World(size)
    results: list[Any] = [None] * size

    def run(rank: int) -> None:
        world.turns[rank].acquire()
        try:
            results[rank] = work(FakeComm(world, rank))
        except BaseException as error:
            results[rank] = error
            world.over = world.over or Aborted(rank)
        finally:
            world.alive[rank] = False
            world.idle = 0
            world.give_turn(rank)

    before = threading.stack_size(STACK)
    try:
        threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
        for thread in threads:
            thread.start()
    finally:
        threading.stack_size(before)
    world.turns[0].release()
    for thread in threads:
        thread.join()
    return results
