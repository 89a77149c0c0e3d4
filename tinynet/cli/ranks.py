"""Processes that run one command together, as mpiexec starts them.

The first of them, rank 0, decides, speaks and writes; the others are silent, unless they fail.
"""

from __future__ import annotations

import argparse
import contextlib
import time
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tinynet.console import say, some

if TYPE_CHECKING:
    from tinynet.training.distributed import Ranks


@contextlib.contextmanager
def together(args: argparse.Namespace) -> Iterator[Ranks]:
    """The ranks that run this command, which all end where one of them fails."""
    from tinynet.training import distributed, watch

    args.ranks = ranks = distributed.Ranks(distributed.world(), None)
    if ranks.first:
        yield ranks
        return
    with contextlib.redirect_stdout(None), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield ranks
        except BaseException:
            time.sleep(watch.GRACE)
            say(f"rank {ranks.rank} of {ranks.size}:", error=True)
            raise


def ranks_for(settings: dict[str, Any]) -> Ranks:
    """The ranks that train as the settings say, each with its threads."""
    from tinynet.kernels.threads import set_num_threads
    from tinynet.training import distributed

    if settings["threads"]:
        set_num_threads(settings["threads"])
    return distributed.ranks_of(distributed.world(), settings["reproducible_for"] or None)


def described(ranks: Ranks, threads: int | None) -> list[str]:
    """The ranks in a line; none for one process that trains as ever."""
    if ranks.whole:
        return []
    each = some(threads, "thread") if threads else "all threads"
    who = f"{some(ranks.size, 'process', 'es')} of {each}"
    if ranks.parts is None:
        return [f"ranks  {who}; each a share of every batch, so their number plays a part"]
    return [f"ranks  {who}; every batch in {ranks.parts} parts, the same for any number of them"]
