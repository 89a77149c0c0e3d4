"""List the data sets, where their files are, and download them.

examples:
  tinynet data                 what there is, and where
  tinynet data mnist           download MNIST, if it is not there yet
  tinynet data mnist --data-dir ~/data

Own images need no download: --data folder:PATH takes PATH/CLASS/*.png, or PATH/train/CLASS/*.png
and PATH/test/CLASS/*.png; npz:PATH takes a file with the arrays x_train, y_train, x_test, y_test.
"""

import argparse
from pathlib import Path

from tinynet.cli import rows
from tinynet.cli.options import choose
from tinynet.console import say

HELP = "list the data sets, or download one"


OPTIONS = [rows.option("name NAME", str, "the data set to download", nargs="?"), rows.DATA_DIR]


def run(args: argparse.Namespace) -> int:
    """Print the list, or download one data set and say where it is."""
    from tinynet.data import KNOWN, download

    if args.name is None:
        _list(args.data_dir)
        return 0
    known = KNOWN[choose("data set", args.name, KNOWN)]
    there = not known.missing(args.data_dir)
    folder = download(known.name, args.data_dir)
    say(f"{known.name}: {'is' if there else 'downloaded, now'} in {folder}")
    print(f"{known.title}. Licence: {known.licence}. Source: {known.source}")
    place = "" if args.data_dir is None else f" --data-dir {args.data_dir}"
    say("", "next:", f"  tinynet train --data {known.name}{place}")
    return 0


def _list(data_dir: Path | None) -> None:
    from tinynet.data import KNOWN
    from tinynet.data.files import data_root

    root = data_root(data_dir)
    for known in KNOWN.values():
        shape = "x".join(str(n) for n in known.shape)
        missing = known.missing(data_dir)
        there = "comes with tinynet" if not known.files else "there"
        if missing:
            size = sum(file.size for file in missing) / 1e6
            there = f"{size:.0f} MB {'packed' if known.archive else 'unpacked'}, to be downloaded"
        print(f"{known.name:15} {shape:8} {known.train:>6,} + {known.test:>6,}  {there}")
        print(f"{'':15} {known.title}")
        if missing:
            say(f"{'':15} get it: tinynet data {known.name}")
        elif known.files:
            say(f"{'':15} in {root / known.folder}")
    say("", f"They lie in {root}, each in a folder of its own.")
    print("\nYour own: --data folder:PATH, npz:PATH, csv:FILE or idx:FOLDER")
