"""The process that judges one submission of a folder: `python -m tinynet.lab.child`.

Its limits hold for itself alone: a submission that takes all memory, or ends its process, takes
nobody with it. The report so far is written at the beginning of each stage, so that the parent
knows where a process was that never came back.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
from pathlib import Path

from tinynet.kernels.threads import set_num_threads
from tinynet.lab.exercises import find
from tinynet.lab.judge import judge
from tinynet.lab.report import Report
from tinynet.training.files import write_json

LARGEST_FILE = 64 << 20  # bytes that a submission may write


def main(name: str, path: str, result: str, seconds: str, memory: str, train_seconds: str) -> None:
    """Judge the file and write the report to `result`.

    seconds: of processor time; the parent's clock is the real limit, and this one for a child
    whose parent was killed. memory: in MB, on top of what there is.
    """
    set_num_threads(1)
    exercise = find(name)
    limit(math.ceil(float(seconds)), int(memory) << 20)
    file = Path(result)

    def note(report: Report) -> None:
        write_json(file, report.to_dict())

    judge(exercise, Path(path), train_seconds=float(train_seconds), note=note)
    os._exit(0)  # threads that the submission left do not keep it


def limit(seconds: int, memory: int) -> None:
    """Bound processor time, memory and the size of files, where the system can do that."""
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds + 1, seconds + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
    with contextlib.suppress(OSError):  # where the system tells what is mapped
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


if __name__ == "__main__":
    main(*sys.argv[1:])
