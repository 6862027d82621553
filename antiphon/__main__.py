"""The entry point: nothing is imported before Ctrl-C is in good hands."""

import signal
import sys
from types import FrameType

INTERRUPTED = 130


def _end(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(INTERRUPTED)


def main() -> None:
    """Run the command line."""
    kept = signal.signal(signal.SIGINT, _end)
    # Most of a command's start is this import.
    from antiphon.cli import app  # noqa: PLC0415 - see above

    signal.signal(signal.SIGINT, kept)
    app()


if __name__ == "__main__":
    main()
