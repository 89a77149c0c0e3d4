"""Progress: a tqdm bar an epoch on a terminal, one line an epoch everywhere else."""

from __future__ import annotations

import sys
from typing import Any

from tinynet.training.callbacks import Callback, Run
from tinynet.training.history import Record, describe, format_value


def progress_callback(progress: bool | None) -> Callback:
    """What `fit(progress=...)` asks for: None looks whether stderr is a terminal, False is silent.

    True gives the bar even where there is no terminal (in a notebook, say).
    """
    if progress is False:
        return Callback()
    return EpochBar() if progress or sys.stderr.isatty() else EpochLine()


class EpochLine(Callback):
    """Prints one line after each epoch to standard output."""

    def on_epoch_end(self, run: Run, record: Record) -> None:
        print(describe(record, run.epochs), flush=True)


class EpochBar(Callback):
    """Shows the batches of each epoch go by, with the running loss and metrics, on stderr."""

    def __init__(self) -> None:
        self._bar: Any = None

    def on_epoch_begin(self, run: Run) -> None:
        from tqdm import tqdm

        width = len(str(run.epochs))
        title = f"epoch {run.epoch:>{width}}/{run.epochs}"
        self._bar = tqdm(total=len(run.train), desc=title, unit="batch", dynamic_ncols=True)

    def on_step_end(self, run: Run, means: Record) -> None:
        self._bar.set_postfix_str(_values(means), refresh=False)
        self._bar.update()

    def on_epoch_end(self, run: Run, record: Record) -> None:
        self._bar.set_postfix_str(_values(record))
        self.on_train_end(run)

    def on_train_end(self, run: Run) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _values(record: Record) -> str:
    hidden = ("epoch", "lr", "seconds")
    return ", ".join(format_value(name, v) for name, v in record.items() if name not in hidden)
