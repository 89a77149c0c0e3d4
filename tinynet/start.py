"""Ctrl-C while the command line is still being imported ends it as it ends any program: in
silence. From `cli.main` on it is a KeyboardInterrupt, as usual.
"""

import os
import signal
import sys

_named = os.path.basename("".join(sys.argv[:1])).removesuffix(".exe") == "tinynet"
_is_command = _named or sys.orig_argv[1:3] == ["-m", "tinynet"]
if _is_command and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def listen() -> None:
    """Make Ctrl-C a KeyboardInterrupt again."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
