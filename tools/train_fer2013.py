"""Trains and measures the systems of docs/fer2013.md: stores, nets, ensembles, evaluations, table, picture.

    python -m tools.train_fer2013 --fer2013 PATH --out DIR [--only best,blend] [--few-epochs]
                                  [--official-lists] [--plan]

PATH: see docs/fer2013.md. Each net is trained as its recipe says, which is for a GPU; with --few-epochs as
`tools.fer2013_few_epochs` says: so the figures of the docs were made on 4 cores. What an ensemble needs is
trained once, whoever needs it. What is finished is not done again, and what was interrupted goes on.

DIR/store           the pictures as they are; store_landmarks: with the 68 landmarks that `scn` learns;
                    store_ferplus: with the votes of FER+ as labels
    runs/NAME       a run; NAME_1, ...: the trainings before it
    evaluations/NAME  of each that was asked for, on PublicTest, with and without copies
    systems.png     the confusion matrices of all that were evaluated
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from cache.errors import UserError
from preprocessing.config_file import nearest
from tools.fer2013_few_epochs import EVERY, FEW_EPOCHS, WITHOUT, Stage
from tools.fer2013_systems import SYSTEMS, draw, read_systems
from videofer.checkpoint import WEIGHTS
from videofer.cli.store_shared import counting
from videofer.datasets.fer2013 import Fer2013, read_fer2013
from videofer.datasets.fer2013_lists import LabelSet, make_lists
from videofer.datasets.fer2013_store import AS_IT_IS, import_fer2013
from videofer.ensembles.model import DESCRIPTION
from videofer.ensembles.recipe import Ensemble, is_ensemble, load_ensemble_recipe, mismatch
from videofer.evaluation.fer2013 import evaluate_fer2013
from videofer.recipe import Recipe, load_recipe
from videofer.training.checks import check_recipe
from videofer.training.ensemble import train_ensemble
from videofer.training.log import log_to_console
from videofer.training.run import train

RECIPES = Path(__file__).parents[1] / "configs" / "train"
PREFIX = "fer2013_"  # of the recipes' names


@dataclass(frozen=True)
class Pictures:
    """A store that is trained on: Training and PublicTest as they are."""

    folder: str
    labels: LabelSet = "fer2013"
    landmarks: Literal["none", "mesh"] = "none"


PLAIN = Pictures("store")
OTHERS = {
    "scn": Pictures("store_landmarks", landmarks="mesh"),
    "best_ferplus": Pictures("store_ferplus", labels="ferplus"),
}


@dataclass(frozen=True)
class Training:
    """One step of the plan."""

    name: str  # of the folder in DIR/runs
    of: str  # the run that it is for: itself, or that of a later stage
    what: Recipe | Ensemble

    @property
    def text(self) -> str:
        if isinstance(self.what, Ensemble):
            return f"{self.name}: of {', '.join(run_of(name) for name in self.what.members)}"
        settings = self.what.training
        trunk = f", from the trunk of {Path(settings.init_from).name}" if settings.init_from else ""
        size = self.what.model.face.input_size if self.what.model.face else 0
        return f"{self.name}: {settings.epochs} epochs of {size} pixels{trunk}"


def plan(systems: Sequence[str], runs: Path, *, few_epochs: bool, overrides: Sequence[str]) -> list[Training]:
    """What must be trained for the systems, each thing once and after what it needs.

    overrides: "training.epochs=3", of every net. Errors of a recipe are raised here, not after hours.
    """
    steps: dict[str, Training] = {}
    for system in systems:
        file = RECIPES / f"{PREFIX}{system}.yaml"
        if not is_ensemble(file):
            _plan_net(system, runs, few_epochs, overrides, steps)
            continue
        ensemble = load_ensemble_recipe(file)
        members = {}
        without = WITHOUT.get(system, ()) if few_epochs else ()
        kept = [member for member in ensemble.recipe.members if member.name not in without]
        for name in (member.name for member in kept):
            recipe = _plan_net(run_of(name), runs, few_epochs, overrides, steps)
            # A member is a finished run by then: what it began with need not be there any more.
            training = recipe.training.model_copy(update={"init_from": None})
            members[name] = recipe.model_copy(update={"training": training})
        own = ensemble.recipe.model_copy(update={"members": kept})
        problem = mismatch(list(members.items()), ensemble.recipe.combine)
        if problem:
            raise UserError(f"{file}: {problem}")
        steps[system] = Training(system, system, Ensemble(recipe=own, members=members))
    return list(steps.values())


def run_of(member: str) -> str:
    """The run that an ensemble takes as its member: the first seed of a net is the net as it is."""
    return member.removeprefix(PREFIX).removesuffix("_seed0")


def _plan_net(
    net: str, runs: Path, few_epochs: bool, overrides: Sequence[str], steps: dict[str, Training]
) -> Recipe:
    """Adds the steps of a net; the recipe of the last one."""
    system, _, seed = net.partition("_seed")
    stages = FEW_EPOCHS[net] if few_epochs else (Stage(()),)
    trunk = stages[0].trunk_of
    if trunk is not None:
        _plan_net(trunk, runs, few_epochs, overrides, steps)
    for number, stage in enumerate(stages, start=1):
        keys = [*(EVERY if few_epochs else ()), *stage.settings]
        keys += [f"training.seed={seed}"] * bool(seed)
        keys += [] if trunk is None else [f"training.init_from={runs / trunk}"]
        recipe = load_recipe(RECIPES / f"{PREFIX}{system}.yaml", [*keys, *overrides])
        check_recipe(recipe, workers=1)
        trunk = net if number == len(stages) else f"{net}_{number}"
        steps[trunk] = Training(trunk, net, recipe)
    return recipe


def run(
    steps: Sequence[Training],
    data: Fer2013,
    out: Path,
    *,
    official_lists: bool,
    weights_dir: Path | None,
    threads: int,
) -> None:
    """Makes the stores that the steps need, and trains what is not trained yet."""
    runs = out / "runs"
    stores: set[Pictures] = set()  # made or looked through
    for step in steps:
        if _is_finished(runs / step.name) or _is_finished(runs / step.of):
            continue
        pictures = OTHERS.get(step.of, PLAIN)
        store = out / pictures.folder
        if pictures not in stores:
            prepare(pictures, data, store, official_lists, weights_dir)
            stores.add(pictures)
        print(step.text)
        if isinstance(step.what, Ensemble):
            given = {name: runs / run_of(name) for name in step.what.members}
            train_ensemble(step.what, store, runs / step.name, given=given, resume=True)
        else:
            train(step.what, store, runs / step.name, resume=True, threads=threads)


def _is_finished(folder: Path) -> bool:
    return (folder / WEIGHTS).exists() or (folder / DESCRIPTION).exists()


def prepare(
    pictures: Pictures, data: Fer2013, store: Path, official_lists: bool, weights_dir: Path | None
) -> None:
    """Makes a store; what is in it stays."""
    lists = make_lists(data, labels=pictures.labels, test="publictest", official_lists=official_lists)
    spec = AS_IT_IS.model_copy(update={"landmarks": pictures.landmarks})
    with counting("pictures") as progress:
        import_fer2013(data, lists, store, spec, weights_dir=weights_dir, progress=progress)


def measure(systems: Sequence[str], fer2013: Path, out: Path) -> None:
    """Evaluates each that is not evaluated yet, prints the table's rows and draws the picture."""
    for name in systems:
        folder = out / "evaluations" / name
        if not (folder / "figures.json").exists():
            with counting(f"{name}: pictures") as progress:
                evaluate_fer2013(out / "runs" / name, fer2013, folder, progress=progress)
    found = read_systems(out / "evaluations")
    draw(found, out / "systems.png")
    print("\n".join(system.row for system in found))


def chosen(only: str | None) -> list[str]:
    """The systems of --only in the table's order; UserError where it names another."""
    names = list(SYSTEMS) if only is None else [name.strip() for name in only.split(",")]
    for name in names:
        if name not in SYSTEMS:
            guess = nearest(name, list(SYSTEMS))
            hint = f"; did you mean '{guess}'?" if guess else ""
            raise UserError(f"--only: no system '{name}', there are {', '.join(SYSTEMS)}{hint}")
    return [name for name in SYSTEMS if name in names]


def main() -> int:
    """Exit code 2 and one line where something of the user's is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--fer2013", type=Path, required=True, metavar="PATH")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--only", metavar="NAME,NAME", help=f"of {', '.join(SYSTEMS)}; by default all")
    parser.add_argument("--few-epochs", action="store_true", help="as on 4 cores, see above")
    parser.add_argument("--official-lists", action="store_true", help="Training keeps copies of PublicTest")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="of every net's recipe"
    )
    # The fastest number is not measured: on a busy machine that would choose one thread for good.
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--weights-dir", type=Path, help="of the face mesh, for the landmarks of scn")
    parser.add_argument("--plan", action="store_true", help="say what would be trained, and stop")
    arguments = parser.parse_args()
    out = arguments.out.absolute()
    try:
        systems = chosen(arguments.only)
        steps = plan(systems, out / "runs", few_epochs=arguments.few_epochs, overrides=arguments.set)
        if arguments.plan:
            print("\n".join(step.text for step in steps))
            return 0
        if not (torch.cuda.is_available() or arguments.few_epochs):
            print("no GPU: this takes days; --few-epochs takes about eight hours of 4 cores", file=sys.stderr)
        with log_to_console():
            run(
                steps, read_fer2013(arguments.fer2013), out,
                official_lists=arguments.official_lists, weights_dir=arguments.weights_dir,
                threads=arguments.threads,
            )  # fmt: skip
        measure(systems, arguments.fer2013, out)
    except UserError as error:
        print(f"train_fer2013: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
