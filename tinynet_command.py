"""The command `tinynet`, beside the package: Ctrl-C while that is imported is no traceback."""

import sys


def main() -> int:
    """Import the command line and run it; returns the exit code."""
    try:
        from tinynet.cli import main as run

        return run()
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
