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
    return Progress(is_watched() if progress is None else not is_gone(sys.stderr))


class Progress(Callback):
    """Prints one line after each epoch to standard output, and why training ended early.

    bar: whether the batches go by on stderr meanwhile, with the running loss and metrics.
    """

    def __init__(self, bar: bool) -> None:
        self.has_bar = bar
        self._bar: Any = None

    def on_train_begin(self, run: Run) -> None:
        for note in run.notes:
            say(note)

    def on_epoch_begin(self, run: Run) -> None:
        if self.has_bar:
            self._bar = progress_bar(
                total=len(run.train),
                initial=run.so_far.steps,
                desc=f"epoch {run.epoch:>{len(str(run.epochs))}}/{run.epochs}",
                bar_format="{desc} {percentage:3.0f}% |{bar}| {remaining} left{postfix}",
            )

    def on_step_end(self, run: Run, means: Record) -> None:
        if self._bar is not None:
            self._bar.set_postfix_str(visible(format_values(means), sys.stderr), refresh=False)
            self._bar.update()

    def on_epoch_end(self, run: Run, record: Record) -> None:
        self._close()
        say(describe(record, run.epochs))

    def on_train_end(self, run: Run) -> None:
        self._close()
        if run.stop:
            say(f"stopped: {run.stop}")

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
