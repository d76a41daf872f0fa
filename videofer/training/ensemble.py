"""Training an ensemble: its members one after the other, each a run of its own, then their combination.

A member's run is OUT/members/NAME. One that is finished is not trained again, one that was interrupted goes
on, and one that exists elsewhere can be taken instead: it is copied, so that OUT can be moved as a whole.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from cache.atomic import TEMP_SUFFIX, atomic_write_text
from preprocessing.config_file import nearest
from videofer.checkpoint import WEIGHTS, LoadedModel, load_checkpoint
from videofer.ensembles.model import DESCRIPTION, MEMBERS
from videofer.ensembles.recipe import Ensemble
from videofer.recipe import Recipe
from videofer.training.checks import check_data, check_recipe
from videofer.training.ensemble_finish import finish_ensemble
from videofer.training.initial import used_with_trunk
from videofer.training.progress import Event, Progress, print_progress
from videofer.training.run import TRAINED_ON, train
from videofer.training.split import Prepared, Split, TrainingError, prepare
from videofer.training.state import STATE_DIR, has_state
from videofer.training.trackers import check_wandb

GIVEN = "given.json"
"""In a member that was not trained here: which run it is."""
_OWN_FILES = {MEMBERS, TRAINED_ON, DESCRIPTION, "recipe.yaml", "contract.json", "labels.json"}
_OWN_FILES |= {"calibration.json", "metrics.json", "README.md", "reliability.png"}


@dataclass(frozen=True, kw_only=True)
class EnsembleReport:
    """What came of training an ensemble. After a dry run there are no figures and no members."""

    path: Path
    num_train: int  # labelled intervals
    num_val: int
    unused: list[str]
    """A line for each row of the manifest that could not be used: its name and why."""
    val_metrics: Mapping[str, Mapping[str, Any]]  # per head: `Metrics.to_json`, of the ensemble
    members: Mapping[str, Mapping[str, Any]]
    """Per member what metrics.json says of it."""
    tried: tuple[str, ...] = ()


def train_ensemble(
    ensemble: Ensemble,
    store: Path,
    out: Path,
    *,
    given: Mapping[str, Path] | None = None,
    workers: int = 1,
    resume: bool = False,
    manifest: Path | None = None,
    ray_address: str | None = None,
    dry_run: bool = False,
    wandb: str | None = None,
    progress: Progress = print_progress,
) -> EnsembleReport:
    """Trains the members that there are not yet, combines all and writes the folder `out`.

    given: member -> a finished run that takes its place, trained on the same division of the same store.
    The other parameters are those of `training.run.train`, for each member. Errors for the user are
    UserErrors of one line.
    """
    store, out, given = Path(store), Path(out), dict(given or {})
    _check_names(given, ensemble)
    check_wandb(wandb)
    for recipe in ensemble.members.values():
        check_recipe(recipe, workers)
    prepared = prepare(ensemble.first, store, manifest)
    ensemble = _same_division(ensemble, prepared, store, manifest)
    for recipe in ensemble.members.values():
        check_data(prepared, recipe, str(store))
    for name, run in given.items():
        _check_given(load_checkpoint(run), name, ensemble.members[name], prepared, store)

    tried: list[str] = []
    if not dry_run:
        _claim(out, resume)
        atomic_write_text(out / TRAINED_ON, json.dumps(_trained_on(store, prepared.split), indent=2) + "\n")
    for number, (name, recipe) in enumerate(ensemble.members.items(), start=1):
        folder, part = out / MEMBERS / name, f"member {number} of {len(ensemble.members)}, {name}"
        if name in given:
            if not dry_run:
                _take(given[name], folder)
        elif not _is_finished(folder, name, recipe, prepared, store):
            report = train(
                recipe,
                store,
                folder,
                workers=workers,
                resume=has_state(folder),
                manifest=manifest,
                ray_address=ray_address,
                dry_run=dry_run,
                wandb=wandb,
                progress=_named(progress, part),
            )
            tried += [f"{name}: {line}" for line in report.tried]
    split = prepared.split
    counts: dict[str, Any] = {"path": out, "num_train": len(split.train), "num_val": len(split.val)}
    if dry_run:
        return EnsembleReport(
            **counts, unused=prepared.unused, val_metrics={}, members={}, tried=tuple(tried)
        )
    metrics = finish_ensemble(ensemble, prepared, store.absolute(), out)
    return EnsembleReport(
        **counts, unused=prepared.unused, val_metrics=metrics["validation"], members=metrics["members"]
    )


def _check_names(given: Mapping[str, Path], ensemble: Ensemble) -> None:
    names = list(ensemble.members)
    for name in given:
        if name not in names:
            guess = nearest(name, names)
            hint = f"; did you mean {guess!r}?" if guess else ""
            raise TrainingError(
                f"{ensemble.recipe.name} has no member {name!r}{hint} (its: {', '.join(names)})"
            )


def _same_division(ensemble: Ensemble, prepared: Prepared, store: Path, manifest: Path | None) -> Ensemble:
    """All members train on and validate with what the first one does.

    Where the manifest has no split "val", members of different seeds would each draw their own subjects, and
    none would be left that no member was trained on.
    """

    def drawn_by(recipe: Recipe) -> tuple[Any, ...]:
        settings = recipe.training
        return settings.val_subjects, settings.val_fraction, settings.seed

    members = {}
    for name, recipe in ensemble.members.items():
        if drawn_by(recipe) != drawn_by(ensemble.first):
            theirs = prepare(recipe, store, manifest)
            if theirs.split.fingerprint() != prepared.split.fingerprint():
                subjects = prepared.split.used()["subjects"]["val"]
                pinned = recipe.training.model_copy(update={"val_subjects": subjects})
                recipe = recipe.model_copy(update={"training": pinned})
        members[name] = recipe
    return replace(ensemble, members=members)


def _check_given(model: LoadedModel, name: str, recipe: Recipe, prepared: Prepared, store: Path) -> None:
    """TrainingError where a run cannot be this member."""
    model.check_contract(prepared.contract, f"store {store}")
    if (model.recipe.model, model.recipe.data.classes) != (recipe.model, recipe.data.classes):
        raise TrainingError(
            f"{model.path} cannot be the member {name}: its model is that of the recipe "
            f"'{model.recipe.name}', and differs from '{recipe.name}'"
        )
    if model.spec != recipe.sample_spec():
        raise TrainingError(f"{model.path} cannot be the member {name}: it takes other samples")
    used = prepared.split.used()
    for kind, what in (("keys", "videos"), ("subjects", "subjects")):
        seen = set(model.used[kind]["train"]) & set(used[kind]["val"])
        if seen:
            raise TrainingError(
                f"{model.path} cannot be the member {name}: it was trained on {len(seen)} {what} of the "
                "validation split, on which the ensemble is fitted"
            )


def _is_finished(folder: Path, name: str, recipe: Recipe, prepared: Prepared, store: Path) -> bool:
    """TrainingError where a finished member is another recipe's, or of other data."""
    if not (folder / WEIGHTS).is_file():
        return False
    model = load_checkpoint(folder)
    _check_given(model, name, recipe, prepared, store)
    if (folder / GIVEN).is_file():
        return True
    if model.recipe != recipe or model.used != used_with_trunk(recipe, prepared.split):
        what = "another recipe" if model.recipe != recipe else "other labelled intervals"
        raise TrainingError(f"{folder} was trained with {what}: begin a new ensemble, or remove this member")
    return True


def _take(run: Path, folder: Path) -> None:
    """Copies a finished run, without what its training needed. TrainingError where another one is there."""
    run = Path(run)
    if (folder / WEIGHTS).is_file():
        if load_checkpoint(folder).weights_sha256 != load_checkpoint(run).weights_sha256:
            raise TrainingError(f"{folder} holds another run than {run}: begin a new ensemble")
        return
    if folder.exists():
        raise TrainingError(f"{folder} is being trained already: go on without {run}, or remove the folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    temp = folder.with_name(f".{uuid4().hex}{TEMP_SUFFIX}")
    try:
        shutil.copytree(
            run, temp, ignore=shutil.ignore_patterns(STATE_DIR, "tensorboard", "onnx", "torch-export")
        )
        atomic_write_text(temp / GIVEN, json.dumps({"run": str(run)}, indent=2) + "\n")
        temp.rename(folder)
    finally:
        shutil.rmtree(temp, ignore_errors=True)


def _named(progress: Progress, part: str) -> Progress:
    def tell(event: Event) -> None:
        progress(replace(event, part=", ".join(filter(None, (part, event.part)))))

    return tell


def _trained_on(store: Path, split: Split) -> dict[str, Any]:
    return {"store": str(store.absolute()), **split.used()}


def _claim(out: Path, resume: bool) -> None:
    """An ensemble never writes over anything else."""
    if out.is_file():
        raise TrainingError(f"{out} is a file, not a folder for an ensemble")
    there = sorted(path.name for path in out.iterdir()) if out.is_dir() else []
    strangers = [name for name in there if name not in _OWN_FILES]
    if strangers:
        raise TrainingError(f"{out} is neither empty nor an ensemble: it holds '{strangers[0]}'")
    if there and not resume:
        raise TrainingError(
            f"{out} holds an ensemble already: go on with it by --resume (finished members are kept), or "
            "choose another folder"
        )
    out.mkdir(parents=True, exist_ok=True)
