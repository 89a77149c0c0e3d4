"""Progress: one line after each epoch, and on a terminal a tqdm bar while it runs."""

from __future__ import annotations

import sys
from typing import Any

from tinynet.console import is_gone, is_watched, progress_bar, say, visible
from tinynet.training.history import Record, describe
from tinynet.training.quantities import format_values
from tinynet.training.run import Callback, Run


def progress_callback(progress: bool | None) -> Callback:
    """What `fit(progress=...)` asks for: None looks whether somebody watches stderr, on a terminal
    or in a notebook; False is silent.

    True shows the bar even where nobody is known to watch, if there is a stderr.
    """
    if progress is False:
        return Callback()
    bar = is_watched() if progress is None else not is_gone(sys.stderr)
    return EpochBar() if bar else EpochLine()


class EpochLine(Callback):
    """Prints one line after each epoch to standard output, and why it ended early."""

    def on_train_begin(self, run: Run) -> None:
        for note in run.notes:
            say(note)

    def on_train_end(self, run: Run) -> None:
        if run.stop:
            say(f"stopped: {run.stop}")

    def on_epoch_end(self, run: Run, record: Record) -> None:
        say(describe(record, run.epochs))


class EpochBar(EpochLine):
    """Shows the batches go by on stderr, with the running loss and metrics; then the line."""

    def __init__(self) -> None:
        self._bar: Any = None

    def on_epoch_begin(self, run: Run) -> None:
        self._bar = progress_bar(
            total=len(run.train),
            initial=run.so_far.steps,
            desc=f"epoch {run.epoch:>{len(str(run.epochs))}}/{run.epochs}",
            bar_format="{desc} {percentage:3.0f}% |{bar}| {remaining} left{postfix}",
        )

    def on_step_end(self, run: Run, means: Record) -> None:
        self._bar.set_postfix_str(visible(format_values(means), sys.stderr), refresh=False)
        self._bar.update()

    def on_epoch_end(self, run: Run, record: Record) -> None:
        self._close()
        super().on_epoch_end(run, record)

    def on_train_end(self, run: Run) -> None:
        self._close()
        super().on_train_end(run)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
