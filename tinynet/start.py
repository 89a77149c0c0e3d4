"""Ctrl-C while the command line imports tinynet ends it as it ends any program: in silence.

Before and after, and in every other program, it is a KeyboardInterrupt as usual.
"""

import os
import signal
import sys
import threading

_program = os.path.basename("".join(sys.argv[:1])).removesuffix(".exe")
is_quiet = (
    _program in ("tinynet", "-m")  # which is all that there is while `python -m` finds a package
    and threading.current_thread() is threading.main_thread()
    and signal.getsignal(signal.SIGINT) is signal.default_int_handler
)
if is_quiet:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def listen() -> None:
    """Make Ctrl-C a KeyboardInterrupt again."""
    if is_quiet:
        signal.signal(signal.SIGINT, signal.default_int_handler)
