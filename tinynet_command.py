"""The command `tinynet`, outside of the package: Ctrl-C ends it quietly, while that loads too."""

from __future__ import annotations

import signal


def main() -> int:
    """Run the command line; returns the exit code."""
    try:
        from tinynet.cli import main
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return main()
