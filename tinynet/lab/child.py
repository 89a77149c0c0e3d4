"""The process that judges one submission of a folder: `python -m tinynet.lab.child`.

Its limits hold for itself alone: a submission that takes all memory, or ends its process, takes
nobody with it. The report so far is written at the beginning of each stage, so that the parent
knows where a process was that never came back.

Where the system can do that, the judging is done in a fork, and the process that forked adopts
whatever the submission leaves behind, in sessions of its own too, and ends it.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import sys
import time
from pathlib import Path

from tinynet.kernels.threads import set_num_threads
from tinynet.lab.exercises import find
from tinynet.lab.judge import judge
from tinynet.lab.report import Report
from tinynet.training.files import write_json

LARGEST_FILE = 64 << 20  # bytes that a submission may write
PR_SET_CHILD_SUBREAPER = 36  # of <linux/prctl.h>
PATIENCE = 5.0  # seconds that ending what is left may take


def main(name: str, path: str, result: str, seconds: str, memory: str, train_seconds: str) -> None:
    """Judge the file and write the report to `result`.

    seconds: of processor time; the parent's clock is the real limit, and this one for a child
    whose parent was killed. memory: in MB, on top of what there is.
    """
    set_num_threads(1)
    exercise = find(name)
    adopt_and_end()
    limit(math.ceil(float(seconds)), int(memory) << 20)
    file = Path(result)

    def note(report: Report) -> None:
        write_json(file, report.to_dict())

    judge(exercise, Path(path), train_seconds=float(train_seconds), note=note)
    os._exit(0)  # threads that the submission left do not keep it


def adopt_and_end() -> None:
    """Go on in a fork. This process waits for it, ends all that it leaves, and ends like it.

    SIGTERM ends everything. Nothing happens where the system cannot have orphans adopted.
    """
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        return
    judging = os.fork()
    if judging == 0:
        return
    signal.signal(signal.SIGTERM, lambda *_: os.kill(judging, signal.SIGKILL))
    _, status = os.waitpid(judging, 0)
    end_descendants()
    if os.WIFSIGNALED(status):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.waitstatus_to_exitcode(status))


def end_descendants() -> None:
    """Kill every child of this process, those that it adopts by that too, until there is none."""
    start = time.monotonic()
    while time.monotonic() - start < PATIENCE:
        for pid in children():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.01)
        except ChildProcessError:
            return


def children() -> list[int]:
    """The children of this process, as /proc shows them."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, IndexError, ValueError):  # it has ended meanwhile
            after_name = stat.read_text(errors="replace").rpartition(")")[2].split()
            if int(after_name[1]) == os.getpid():
                found.append(int(stat.parent.name))
    return found


def limit(seconds: int, memory: int) -> None:
    """Bound processor time, memory and the size of files, where the system can do that."""
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds + 1, seconds + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
    used = address_space()
    if used:
        resource.setrlimit(resource.RLIMIT_AS, (used + memory, used + memory))


def address_space() -> int:
    """Bytes of memory that this process has mapped; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return 0
    import resource

    return pages * resource.getpagesize()


if __name__ == "__main__":
    main(*sys.argv[1:])
