"""No rank waits for one that has failed or left: all end together, with the reason.

A roll is called when a rank comes to a training, when its training fails, and when its process
ends. All answer in the same call, so each knows then what the others are about to do.
"""

import atexit
import math
import sys
import threading
import time
from typing import Any

import numpy as np

HERE, FAILED, LEAVING = range(3)

GRACE = 1.0  # seconds in which rank 0 says what every rank has to say, and ends them
PATIENCE = 5.0  # seconds in which what fails everywhere has failed in every rank
READ = 0.2  # seconds for mpiexec to read what was said

_watches: "dict[int, Watch]" = {}


class Watch:
    """Over the ranks of a communicator, one of which is this process."""

    def __init__(self, comm: Any) -> None:
        self.comm, self.line = comm, comm.Dup()  # of its own, so that calls meet nothing else
        self.rank, self.size = int(comm.Get_rank()), int(comm.Get_size())
        self.tell, sys.excepthook = sys.excepthook, self.end_in_turn
        atexit.register(self.leave)

    @staticmethod
    def over(comm: Any) -> "Watch | None":
        """That of the communicator; None over one rank, and in other threads than the first."""
        if comm.Get_size() < 2 or threading.current_thread() is not threading.main_thread():
            return None
        if id(comm) not in _watches:
            _watches[id(comm)] = Watch(comm)
        return _watches[id(comm)]

    def call(self, answer: int, patience: float = math.inf) -> list[int]:
        """What each rank answers; [] if not all have within the seconds of `patience`."""
        answers = np.empty(self.size, np.int64)
        request = self.line.Iallgather(np.array([answer], np.int64), answers)
        last = time.monotonic() + patience
        while not request.Test():
            if time.monotonic() > last:
                return []
            time.sleep(0.005)
        return answers.tolist()

    def begin(self) -> None:
        """Wait until all ranks have come to this training; end them if one is not to come."""
        answers = self.call(HERE)
        away = [rank for rank, answer in enumerate(answers) if answer != HERE]
        if away:
            if FAILED in answers:
                time.sleep(PATIENCE)  # for it to say why
            told = f"rank {away[0]} of {self.size} has ended, and this training needs it"
            cure = "; did its script end by sys.exit(), or call `fit` without comm= there?"
            self.end_in_turn(RuntimeError, RuntimeError(told + cure), None)

    def failed(self, error: BaseException) -> None:
        """Go on if the training has failed in every rank, as it does by itself, else end them."""
        if self.call(FAILED, PATIENCE) != [FAILED] * self.size:
            self.end(type(error), error, error.__traceback__)

    def leave(self) -> None:
        """Wait until all ranks end, or one that does not is told that this one has."""
        if not getattr(sys.modules.get("mpi4py.MPI"), "Is_finalized", bool)():
            self.call(LEAVING)

    def end_in_turn(self, *error: Any) -> None:
        """A sys.excepthook: what every rank has to say, rank 0 says before the others."""
        time.sleep(0 if self.rank == 0 else GRACE)
        self.end(*error)

    def end(self, *error: Any) -> None:
        """Say what went wrong in this rank, and end all."""
        print(f"rank {self.rank} of {self.size}:", file=sys.stderr)
        self.tell(*error)
        self.end_all()

    def end_all(self, code: int = 1) -> None:
        """End the processes of all ranks, once what was said is read."""
        sys.stderr.flush()
        time.sleep(READ)
        self.comm.Abort(code)
        time.sleep(GRACE)  # until this one is ended too
