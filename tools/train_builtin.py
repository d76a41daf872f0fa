"""Trains the model that ships anew, from FER2013 and the FER+ votes: data, training, release.

    python -m tools.train_builtin --fer2013 PATH --out DIR [--version 1.1] [--set training.epochs=60]

PATH: fer2013.csv with fer2013new.csv beside it, or the packed files (docs/fer2013.md). DIR/store gets the
faces, warped as those of videos are, DIR/run the training of configs/train/builtin.yaml; with --version the
run becomes the built-in model (`tools.release_builtin`: weights in half precision, figures, card). What is
finished is not done again. About half an hour on 4 cores that have nothing else to do, minutes on a GPU.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from cache.errors import UserError
from tools import release_builtin
from videofer.checkpoint import WEIGHTS
from videofer.cli.store_shared import counting
from videofer.datasets.fer2013 import read_fer2013
from videofer.datasets.fer2013_lists import make_lists
from videofer.datasets.fer2013_store import aligned_spec, import_fer2013
from videofer.recipe import load_recipe
from videofer.training.log import log_to_console
from videofer.training.run import train

RECIPE = Path(__file__).parents[1] / "configs" / "train" / "builtin.yaml"


def main() -> int:
    """Exit code 2 and one line where something of the user's is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--fer2013", type=Path, required=True, metavar="PATH")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--version", help="release the run under this version")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of the recipe")
    # The fastest number is not measured: on a busy machine that would choose one thread for good.
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    try:
        prepare(arguments.fer2013, arguments.out / "store")
        if not (arguments.out / "run" / WEIGHTS).exists():
            with log_to_console():
                train(
                    load_recipe(RECIPE, arguments.set), arguments.out / "store", arguments.out / "run",
                    resume=True, threads=arguments.threads,
                )  # fmt: skip
        if arguments.version is not None:
            release_builtin.release(arguments.out / "run", arguments.version, arguments.fer2013)
    except UserError as error:
        print(f"train_builtin: error: {error}", file=sys.stderr)
        return 2
    return 0


def prepare(fer2013: Path, store: Path) -> None:
    """The faces of Training and PublicTest, aligned, with FER+ labels; what is in the store stays."""
    data = read_fer2013(fer2013)
    lists = make_lists(data, labels="ferplus", test="publictest", official_lists=False)
    with counting("pictures") as progress:
        import_fer2013(data, lists, store, aligned_spec("auto"), progress=progress)


if __name__ == "__main__":
    sys.exit(main())
