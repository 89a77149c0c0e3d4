"""Ctrl-C and SIGTERM during training: once asks it to save and stop, twice stops it at once."""

import contextlib
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from tinynet.training.files import shown

NAMES: dict[int, str] = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}

STOPPING = b"\nstopping once this step, or validation, is saved; once more stops at once\n"


class Interrupted(KeyboardInterrupt):
    """Training was stopped by a signal.

    signal: its number. place: how far the training came. saved: the checkpoint that was written
    then; None if it was stopped at once, without saving.
    """

    def __init__(self, number: int, place: str = "", saved: Path | None = None) -> None:
        super().__init__(number, place, saved)
        self.signal = number
        self.place = place
        self.saved = saved

    def __str__(self) -> str:
        if self.saved is None:
            return f"stopped at once by {NAMES[self.signal]}"
        return f"stopped by {NAMES[self.signal]} after {self.place}; saved in {shown(self.saved)}"


class StopSignals:
    """Notes the first signal in `caught`; the second raises KeyboardInterrupt where it finds us.

    Only in the main thread, where Python handles signals; elsewhere nothing is ever caught.
    """

    def __init__(self) -> None:
        self.caught = 0
        self._before: dict[int, Any] = {}

    def listen(self, heed: bool = True) -> None:
        """Take over the signals; without `heed` nothing comes of them."""
        if threading.current_thread() is threading.main_thread():
            for number in NAMES:
                if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                    self._before[number] = signal.signal(
                        number, self._handle if heed else signal.SIG_IGN
                    )

    def release(self) -> None:
        """Give them back to whoever had them before."""
        for number, handler in self._before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        self._before.clear()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.caught:
            self.release()
            raise Interrupted(number)
        self.caught = number
        # Not print: the signal may have come in the middle of one. Whoever read it may be gone.
        if sys.stderr is not None:
            with contextlib.suppress(OSError):
                os.write(2, STOPPING)
