"""Runs a `tinynet` command that is killed (SIGKILL) at a chosen moment of its own doing.

    python tests/dying.py step 17 train --out DIR ...      after its 17th optimizer step
    python tests/dying.py fsync 3 train ...                before the 3rd fsync, and so on

Moments: step, fsync, replace (the renaming of a finished file), replaced (just after it).
"""

from __future__ import annotations

import os
import signal
import sys


def die_at(count: int, function, after: bool = False):
    """`function`, but its `count`-th call is the process's last."""
    calls = 0

    def dying(*args, **kwargs):
        nonlocal calls
        calls += 1
        if calls == count and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*args, **kwargs)
        if calls == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return dying


def main(moment: str, count: int, command: list[str]) -> int:
    from tinynet.cli import main as tinynet
    from tinynet.optim import SGD

    if moment == "step":
        SGD.step = die_at(count, SGD.step, after=True)  # type: ignore[method-assign]
    elif moment == "fsync":
        os.fsync = die_at(count, os.fsync)
    else:
        os.replace = die_at(count, os.replace, after=moment == "replaced")
    return tinynet(command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
