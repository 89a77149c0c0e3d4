"""Progress: one line after each epoch, and on a terminal a tqdm bar while it runs."""

from __future__ import annotations

import sys
from typing import Any

from tinynet.training.callbacks import Callback, Run
from tinynet.training.history import Record, describe, format_values


def progress_callback(progress: bool | None) -> Callback:
    """What `fit(progress=...)` asks for: None looks whether stderr is a terminal, False is silent.

    True shows the bar even where there is no terminal (in a notebook, say).
    """
    if progress is False:
        return Callback()
    if sys.stderr is None:  # in a service, or a program without a window of text
        return EpochLine()
    return EpochBar() if progress or sys.stderr.isatty() else EpochLine()


class EpochLine(Callback):
    """Prints one line after each epoch to standard output, and why it ended early."""

    def on_train_begin(self, run: Run) -> None:
        for note in run.notes:
            print(note, flush=True)

    def on_train_end(self, run: Run) -> None:
        if run.stop:
            print(f"stopped: {run.stop}", flush=True)

    def on_epoch_end(self, run: Run, record: Record) -> None:
        print(describe(record, run.epochs), flush=True)


class EpochBar(EpochLine):
    """Shows the batches go by on stderr, with the running loss and metrics; then the line."""

    def __init__(self) -> None:
        self._bar: Any = None

    def on_epoch_begin(self, run: Run) -> None:
        from tqdm import tqdm

        title = f"epoch {run.epoch:>{len(str(run.epochs))}}/{run.epochs}"
        self._bar = tqdm(
            total=len(run.train),
            initial=run.so_far.steps,
            desc=title,
            unit="batch",
            dynamic_ncols=True,
            leave=False,
        )

    def on_step_end(self, run: Run, means: Record) -> None:
        self._bar.set_postfix_str(format_values(means), refresh=False)
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
