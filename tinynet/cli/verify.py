"""Do a run once more and say whether every loss and the weights come out the same, bit for bit.

examples:
  tinynet verify runs/digits-digits_cnn
  tinynet verify runs/mnist --from runs/mnist/epoch-0004.safetensors    only what came after

Nothing is written into the folder of the run. The exit code is 1 if nothing was compared or
something differs; the answer then names what is not as it was: versions, kernels, processor.
"""

import argparse
import dataclasses

from tinynet.cli import rows
from tinynet.cli.options import LAST, BadArgument, write_result
from tinynet.cli.plan import load_data, make_plan, recorded_settings, resumed_settings
from tinynet.cli.ranks import described, together
from tinynet.console import say

HELP = "do a run once more and compare it, bit for bit"


OPTIONS = [
    rows.RUN_FOLDER,
    rows.option("--from CHECKPOINT", rows.a_path,
        "start from this checkpoint of the run (default: from the seed)", dest="start"),
    *rows.MOVED,
    rows.DATA_DIR,
    rows.json_of("what was compared and found"),
]  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Replay and print the verdict; 0 if all is the same, and there was something, else 1."""
    from tinynet.training.verify import verify

    with together(args) as ranks:
        settings = recorded_settings(args.run)
        if settings is None or not (args.run / LAST).is_file():
            raise BadArgument(f"there is no run with a {LAST} in {args.run}")
        settings = resumed_settings(settings, vars(args))
        loaded = ranks.after_first(lambda: load_data(settings["data"], args.data_dir, settings))
        plan = make_plan(settings, *loaded, args.start)
        where = args.start or f"seed {settings['seed']}"
        say(
            f"replay of {args.run / LAST} from {where}", *described(plan.ranks, settings["threads"])
        )
        verdict = verify(
            args.run / LAST, plan.model, **plan.fit_options(), start=args.start, tell=say
        )
        if not ranks.first:
            return 0
        print(f"\n{verdict}")
        write_result(args.json, {"same": verdict.same, **dataclasses.asdict(verdict)})
        return 0 if verdict.same and verdict.first <= verdict.last else 1
