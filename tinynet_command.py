"""The command `tinynet`, outside of the package: Ctrl-C ends it quietly, while that loads too."""


def main() -> int:
    """Run the command line; returns the exit code."""
    try:
        from tinynet.cli import main
    except KeyboardInterrupt:
        return 130  # as of every command; to import `signal` takes time in which it may come
    return main()
