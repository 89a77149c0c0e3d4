"""Judging every submission in a folder, each in a process of its own with its own limits.

A submission that takes all memory, or ends its process, takes nobody with it. The report so far is
written at the beginning of each stage, so that the parent knows where a process was that never came
back.
"""

import contextlib
import json
import math
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import tinynet
from tinynet.kernels.threads import set_num_threads
from tinynet.lab.exercises import Exercise, find
from tinynet.lab.judge import TRAIN_SECONDS, judge
from tinynet.lab.report import Report, from_dict
from tinynet.training.files import write_json

IN_CHILD = "import sys; from tinynet.lab.folder import judge_in_child as j; j(*sys.argv[1:])"
LARGEST_FILE = 64 << 20  # bytes that a submission may write
TIMEOUT = 120.0
MEMORY = 1024
LARGEST_REPORT = 16 << 20  # bytes
MARK = "TINYNET_LAB"  # of the environment: what a submission starts inherits it
PATIENCE = 5.0  # seconds that ending what is left may take


def submissions(folder: Path) -> list[Path]:
    """The Python files in a folder and below it, sorted; hidden ones and caches left out."""
    found = []
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).parts
        if path.is_file() and not any(part.startswith((".", "__")) for part in parts):
            found.append(path)
    return found


def judge_folder(
    exercise: Exercise,
    folder: Path,
    *,
    timeout: float = TIMEOUT,
    memory: int = MEMORY,
    train_seconds: float = TRAIN_SECONDS,
) -> Iterator[Report]:
    """The reports of a folder's submissions, one after the other, so that timings are fair.

    timeout: seconds for each, all stages together. memory: MB for each on top of tinynet's own.
    The limits are against accidents, not against malice: a submission is code that runs.
    """
    for path in submissions(folder):
        report = _judge_apart(exercise, path.resolve(), timeout, memory, train_seconds)
        report.file = str(path.relative_to(folder))
        yield report


def _judge_apart(
    exercise: Exercise, path: Path, timeout: float, memory: int, train_seconds: float
) -> Report:
    with tempfile.TemporaryDirectory(prefix="tinynet-lab-") as scratch:
        result = Path(scratch, "report.json")
        work = Path(scratch, "work")  # so that what it writes does not lie in the class's folder
        work.mkdir()
        given = [exercise.name, str(path), str(result)]
        limits = map(str, (timeout, memory, train_seconds))
        process = subprocess.Popen(
            [sys.executable, "-c", IN_CHILD, *given, *limits],
            cwd=work,
            env=_environment(scratch),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            code: int | None = process.wait(timeout)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            _end(process, scratch)
        report = _read(result) or Report(exercise.name, str(path))
    if code is None:
        report.problem = f"took longer than {timeout:g} s; stopped {_where(report)}"
    elif not report.problem and report.stage != "done":
        report.problem = f"{_how(code)} {_where(report)}"
    return report


def judge_in_child(
    name: str, path: str, result: str, seconds: str, memory: str, train_seconds: str
) -> None:
    """Judge the file in this process, write the report to `result`, and end.

    seconds: of processor time; the parent's clock is the real limit, and this one for a child
    whose parent was killed. memory: in MB, on top of what there is.
    """
    set_num_threads(1)
    _limit(math.ceil(float(seconds)), int(memory) << 20)

    def note(report: Report) -> None:
        write_json(Path(result), report.to_dict())

    judge(find(name), Path(path), train_seconds=float(train_seconds), note=note)
    os._exit(0)  # threads that the submission left do not keep it


def _limit(seconds: int, memory: int) -> None:
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


def _read(file: Path) -> Report | None:
    """The report in a file, as far as there is one: a submission may have put anything there."""
    try:
        if not stat.S_ISREG(os.lstat(file).st_mode) or file.stat().st_size > LARGEST_REPORT:
            return None
        return from_dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError):
        return None


def _environment(mark: str) -> dict[str, str]:
    """One thread, no files left behind, the same tinynet as here, and the mark of the process."""
    home = str(Path(tinynet.__file__).parent.parent)
    paths = [home, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **os.environ,
        **dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONDONTWRITEBYTECODE": "1",
        MARK: mark,
    }


def _end(process: subprocess.Popen[bytes], mark: str) -> None:
    """Kill the process if it still runs, and whatever it has started: all that have its mark.

    Where the system does not show environments, only what is in its session.
    """
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()
    marked = f"{MARK}={mark}".encode()
    start = time.monotonic()
    while time.monotonic() - start < PATIENCE and _kill_all(marked):
        time.sleep(0.01)


def _kill_all(marked: bytes) -> int:
    """Kill the processes whose environment has `marked` in it; returns how many there were."""
    found = 0
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):  # it is another's, or has ended meanwhile
            if marked in environment.read_bytes().split(b"\0"):
                os.kill(int(environment.parent.name), signal.SIGKILL)
                found += 1
    return found


def _where(report: Report) -> str:
    at = {
        "loading": "while the file was loaded",
        "grid": f"in case {report.passed + 1} of the grid",
        "gradient": "in the gradient check",
        "speed": "while it was timed",
        "training": "in training",
    }
    return at.get(report.stage, "at the end")


def _how(code: int) -> str:
    if code >= 0:
        return f"ended its process (exit code {code})"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"crashed its process ({name})"
