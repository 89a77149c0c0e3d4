"""Ctrl-C while the command line imports tinynet ends it as it ends any program: in silence."""

import os
import signal
import sys
import threading

_program = os.path.basename("".join(sys.argv[:1])).removesuffix(".exe")
_is_command = _program in ("tinynet", "-m")  # `-m` is all there is while Python finds a package
_is_first = threading.current_thread() is threading.main_thread()
_is_usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
if is_quiet := _is_command and _is_first and _is_usual:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def listen() -> None:
    """Make Ctrl-C a KeyboardInterrupt again."""
    if is_quiet:
        signal.signal(signal.SIGINT, signal.default_int_handler)
