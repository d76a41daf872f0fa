"""Search for better values of a recipe's keys with Ray Tune, judged by the validation subjects.

OUT/trials.csv   a row per trial: its values, its figures, how it ended
    best.yaml    the complete recipe of the best trial, search section and all
    trials.png   the figure against each searched key

Trials that fall behind are stopped early (asynchronous successive halving). Test rows are never looked at;
all the same the figure of the best of many trials is too good, since it was chosen for that.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cache.atomic import atomic_write, atomic_write_text
from cache.errors import UserError
from preprocessing.config_file import ConfigError, dump_yaml
from preprocessing.stage.cluster import running_ray, usable_cores
from videofer.experiments.parallel import Share, fair_share
from videofer.experiments.search import check_search, draw_trials, recipe_with, value_of
from videofer.experiments.trial import (
    Follower,
    Monitor,
    Trial,
    TrialProgress,
    best_trial,
    print_trial,
    rank_of,
    trials_table,
)
from videofer.experiments.trials_chart import save_trials
from videofer.recipe import Recipe
from videofer.training.checks import check_data, check_recipe
from videofer.training.progress import Event
from videofer.training.run import train
from videofer.training.split import prepare

_REDUCTION = 3  # at a rung one trial in so many goes on
_SCRATCH = ".tune"


class TuneError(UserError, ValueError):
    """A search cannot begin or has found nothing. The message is one line for the user."""


@dataclass(frozen=True, kw_only=True)
class TuneReport:
    """What a search found."""

    path: Path
    trials: list[Trial]
    best: Trial
    recipe: Recipe  # of the best trial
    num_val_subjects: int


@dataclass(frozen=True, kw_only=True)
class _Work:
    """What a trial's process needs. Picklable."""

    recipes: Mapping[int, Recipe]  # by the trial's number
    store: Path
    manifest: Path | None
    scratch: Path
    threads: int
    monitor: Monitor


def tune(
    recipe: Recipe,
    store: Path,
    out: Path,
    *,
    trials: int,
    workers: int = 1,
    ray_address: str | None = None,
    manifest: Path | None = None,
    progress: TrialProgress = print_trial,
) -> TuneReport:
    """Tries `trials` sets of values of the keys of `recipe.search`, `workers` at once.

    The first trial is the recipe as it stands. All have the same training and validation subjects, drawn by
    the recipe's seed. `manifest`: a file of labels; None: the store's own. Errors for the user are
    UserErrors in one line.
    """
    search, out = check_search(recipe), Path(out)
    if trials < 2 or workers < 1:
        raise TuneError(f"a search needs at least 2 trials and 1 worker, not {trials} and {workers}")
    prepared = prepare(recipe, Path(store), manifest)
    split = prepared.split
    first = _make_recipes(recipe, [Trial(1, {})])[1]
    check_recipe(first, 1)
    check_data(prepared, first, str(store))  # what the recipe as it stands fails by, all trials would
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise TuneError(f"{out} is not an empty folder: choose another one")
    out.mkdir(parents=True, exist_ok=True)
    drawn = draw_trials(search, trials, recipe.training.seed)
    all_trials = [
        Trial(number=n, values=values, keep=recipe.training.keep) for n, values in enumerate(drawn, start=1)
    ]
    recipes = _make_recipes(recipe, all_trials)  # the first is there always: it is the recipe itself
    monitor = recipe.training.monitor
    scratch = out.absolute() / _SCRATCH
    follower = Follower(all_trials, monitor, progress)
    with running_ray(ray_address, max(usable_cores(), workers)):
        share = fair_share(workers)
        work = _Work(
            recipes=recipes,
            store=Path(store).absolute(),
            manifest=None if manifest is None else manifest.absolute(),
            scratch=scratch,
            threads=share.threads,
            monitor=monitor,
        )
        try:
            _run(work, share, workers, follower)
        finally:  # also after Ctrl-C: what was found out is kept
            shutil.rmtree(scratch, ignore_errors=True)
            table = trials_table(all_trials, list(search), monitor)
            atomic_write_text(out / "trials.csv", table.to_csv(index=False))
    best = best_trial(all_trials, monitor)
    if best is None:
        raise TuneError(f"no trial could be trained; trial {all_trials[0].number}: {all_trials[0].reason}")
    found = recipe_with(recipe, best.values, source="best.yaml")
    atomic_write_text(out / "best.yaml", dump_yaml(found))
    standing = {key: value_of(recipe, key) for key in search}
    with atomic_write(out / "trials.png") as file:
        save_trials(all_trials, search, standing, monitor, file, f"{recipe.name}: {trials} trials")
    num_val_subjects = len({example.subject for example in split.val})
    return TuneReport(path=out, trials=all_trials, best=best, recipe=found, num_val_subjects=num_val_subjects)


def _make_recipes(recipe: Recipe, trials: Sequence[Trial]) -> dict[int, Recipe]:
    """By the trial's number. A trial whose values fit none fails at once: two keys may contradict each other.

    Without inner folds: their calibration does not change what is searched for, and takes most of the time.
    """
    recipes = {}
    for trial in trials:
        try:
            made = recipe_with(recipe, trial.values, source=f"trial {trial.number}")
        except ConfigError as error:
            trial.status, trial.reason = "failed", str(error)
            continue
        training = made.training.model_copy(update={"inner_folds": 0})
        recipes[trial.number] = made.model_copy(update={"training": training})
    return recipes


def _run(work: _Work, share: Share, workers: int, follower: Follower) -> None:
    """All trials to their end. Ray Tune chooses which go on."""
    _be_quiet()
    from ray import tune as ray_tune
    from ray.tune.schedulers import ASHAScheduler

    class Tell(ray_tune.Callback):  # type: ignore[misc]
        """From Ray's trials to ours."""

        def on_trial_result(
            self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
        ) -> None:
            follower.result(trial.config["trial"], result)

        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            follower.end(trial.config["trial"])

        def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            follower.end(trial.config["trial"], reason="its process died, or raised what is in Ray's log")

    most_epochs = max(recipe.training.epochs for recipe in work.recipes.values())
    tuner = ray_tune.Tuner(
        ray_tune.with_resources(
            ray_tune.with_parameters(_run_trial, work=work), {"cpu": share.threads, "gpu": share.gpus}
        ),
        param_space={"trial": ray_tune.grid_search(sorted(work.recipes))},
        tune_config=ray_tune.TuneConfig(
            metric="score",
            mode="max",
            max_concurrent_trials=workers,
            scheduler=ASHAScheduler(
                max_t=most_epochs,
                grace_period=max(1, most_epochs // _REDUCTION**2),
                reduction_factor=_REDUCTION,
            ),
        ),
        run_config=ray_tune.RunConfig(
            name="search", storage_path=str(work.scratch / "ray"), verbose=0, callbacks=[Tell()]
        ),
    )
    tuner.fit()


def _run_trial(config: dict[str, Any], work: _Work) -> None:
    """One trial, in a process of its own: reports after every epoch, and may be stopped there."""
    from ray import tune as ray_tune

    number = config["trial"]
    reported: list[dict[str, Any]] = []

    def score() -> float:
        """What a trial is judged by: the epoch that its run would keep if it ended here."""
        kept = reported[-1:] if work.recipes[number].training.keep == "last" else reported
        return max(rank_of(past, work.monitor)[0] for past in kept)

    def tell(event: Event) -> None:
        if not event.ends_epoch:
            return
        figures = {"val_uar": event.val_uar, "val_war": event.val_war, "val_loss": event.val_loss}
        completed = event.epoch + 1 == event.num_epochs
        reported.append({"epoch": event.epoch, "completed": completed, **figures})
        ray_tune.report({"score": score(), **reported[-1]})

    try:
        train(
            work.recipes[number],
            work.store,
            work.scratch / f"trial_{number}",
            manifest=work.manifest,
            threads=work.threads,
            progress=tell,
        )
    except UserError as error:
        ray_tune.report({"score": float("-inf"), "reason": " ".join(str(error).split())})
        return
    ray_tune.report({"score": score(), **reported[-1], "completed": True})


def _be_quiet() -> None:
    """Before ray.tune is imported: no tables on the terminal, no logs beside ours, no change of folder."""
    quiet = {
        "RAY_AIR_NEW_OUTPUT": "0",
        "RAY_CHDIR_TO_TRIAL_DIR": "0",
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
        "TUNE_DISABLE_SIGINT_HANDLER": "1",
    }
    for name, value in quiet.items():
        os.environ.setdefault(name, value)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
