"""Runs a plan to its end: manifest, store, training and test by the protocol, the figures, the card.

OUT/reproduce.json     what was asked for, so that --resume can refuse anything else
    manifest.csv       the labels; joints/ where a set has joints alone
    store/             what `videofer preprocess` makes of the videos
    folds/             what `videofer crossval` makes of the store; of an ensemble: run/ and evaluation/
    steps.json         how long each step took, and what it did
    result.json        the figures beside the published ones
    card.html          all of it on one page

Each step is what the command of its name does. One that is finished is not done again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cache.atomic import atomic_write_text
from preprocessing.config_file import dump_yaml
from preprocessing.device import Device, require_gpu
from preprocessing.engines import engines_of
from preprocessing.stage.cluster import ray_runs
from preprocessing.stage.report import RunReport
from preprocessing.stage.run import Progress
from preprocessing.stills import Progress as StillsProgress
from videofer.ensembles.recipe import Ensemble
from videofer.evaluation.report import evaluate
from videofer.experiments.claim import claim
from videofer.experiments.crossval import crossval
from videofer.experiments.progress import FoldProgress, print_fold
from videofer.models.pretrained import resnet18_weights
from videofer.reproduce.card import write_card
from videofer.reproduce.compare import Result, compare, save_result
from videofer.reproduce.inputs import MANIFEST, STORE, digest_of, store_stills, store_videos, write_rows
from videofer.reproduce.outcome import EVALUATION, FOLDS, RUN, read_outcome
from videofer.reproduce.plan import Plan
from videofer.reproduce.systems import ReproduceError
from videofer.training.ensemble import train_ensemble

ASKED, STEPS, CARD = "reproduce.json", "steps.json", "card.html"


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What the steps may use."""

    workers: int | None = None  # processes that preprocess; None: one a core
    folds_at_once: int = 1
    weights_dir: Path | None = None
    ray_address: str | None = None
    device: Device | None = None  # of the networks of `preprocess`


@dataclass(frozen=True, kw_only=True)
class Shown:
    """Who is told how far it is."""

    stage: Callable[[], AbstractContextManager[Progress]]  # while videos are stored
    stills: Callable[[], AbstractContextManager[StillsProgress]]  # while FER2013 is
    on_stored: Callable[[RunReport], None]
    step: Callable[[str], None]  # gets the step's name when it begins
    fold: FoldProgress = print_fold


@dataclass(frozen=True, kw_only=True)
class Reproduced:
    """What came of it."""

    card: Path
    result: Result
    failures: tuple[str, ...]  # videos and folds that are not in the figures, a line each


def reproduce(
    plan: Plan,
    out: Path,
    *,
    command: Sequence[str],
    machine: Machine,
    shown: Shown,
    resume: bool = False,
    retry_failed: bool = False,
) -> Reproduced:
    """All steps that are not done yet. UserErrors in one line; a bad video or fold stops nothing.

    retry_failed: videos that could not be stored are tried again, while nothing is trained without them.
    """
    out = Path(out)
    if isinstance(plan.recipe, Ensemble) and len(plan.seeds) > 1:
        raise ReproduceError(f"{plan.system.name} is an ensemble: it is trained once, with its own seeds")
    _look_for_what_is_needed(plan, machine)
    claim(out, _identity(plan), resume, file=ASKED, what="a reproduction")
    if retry_failed and any((out / folder).exists() for folder in (FOLDS, RUN)):
        raise ReproduceError(
            f"{out}: --retry-failed comes too late, models were trained without what failed: "
            "begin in another folder"
        )
    steps = Steps(out / STEPS)
    with steps.taking("manifest", shown.step):
        root, table = write_rows(plan, out)
    if retry_failed or "store" not in steps.finished:
        with steps.taking("store", shown.step) as facts:
            facts |= _store(plan, root, table, out, machine, shown, retry_failed)
    if "test" not in steps.finished:
        with steps.taking("test", shown.step) as facts:
            facts |= _train_and_test(plan, out, machine, shown)
    outcome = read_outcome(out)
    result = compare(plan, outcome)
    save_result(result, out / "result.json")
    write_card(plan, outcome, result, steps.done, out / CARD, command)
    failed = [line for step in steps.done.values() for line in step.get("failures", [])]
    return Reproduced(card=out / CARD, result=result, failures=tuple(failed))


class Steps:
    """What was done, in OUT/steps.json: seconds of all attempts together, and what each step says."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.done: dict[str, dict[str, Any]] = {}
        if path.is_file():
            self.done = json.loads(path.read_text(encoding="utf-8"))

    @property
    def finished(self) -> set[str]:
        """Steps that need not be done again."""
        return {name for name, facts in self.done.items() if facts["finished"]}

    @contextmanager
    def taking(self, name: str, tell: Callable[[str], None]) -> Iterator[dict[str, Any]]:
        """Times the step; what is put into the dict is kept. `unfinished` in it: there is more to do."""
        tell(name)
        began, before = time.monotonic(), self.done.get(name, {}).get("seconds", 0.0)
        facts: dict[str, Any] = {}
        finished = False
        try:
            yield facts
            finished = not facts.pop("unfinished", False)
        finally:
            seconds = round(before + time.monotonic() - began, 1)
            self.done[name] = {"finished": finished, "seconds": seconds, **facts}
            atomic_write_text(self._path, json.dumps(self.done, indent=2, ensure_ascii=False) + "\n")


def _look_for_what_is_needed(plan: Plan, machine: Machine) -> None:
    """Fetches weights that may be fetched; one line for what is missing, before anything is written."""
    if machine.device is not None and machine.ray_address is None and not ray_runs():
        require_gpu()
    if plan.system.dataset != "fer2013":
        engines_of(plan.spec, machine.weights_dir, gpu=machine.device is not None)
    for source in {recipe.training.pretrained_trunk for recipe in plan.recipes.values()} - {None}:
        resnet18_weights(str(source))


def _store(
    plan: Plan,
    root: Path,
    table: pd.DataFrame,
    out: Path,
    machine: Machine,
    shown: Shown,
    retry_failed: bool,
) -> dict[str, Any]:
    """Facts of the step."""
    if plan.system.dataset == "fer2013":
        with shown.stills() as stills:
            stored = store_stills(plan, table, out, num_workers=machine.workers, progress=stills)
    else:
        with shown.stage() as stage:
            stored = store_videos(
                plan,
                root,
                table,
                out,
                num_workers=machine.workers,
                weights_dir=machine.weights_dir,
                ray_address=machine.ray_address,
                device=machine.device,
                retry_failed=retry_failed,
                progress=stage,
                on_end=shown.on_stored,
            )
    if not stored.num_videos:
        raise ReproduceError(f"{root}: none of its videos could be stored: {stored.failures[0]}")
    return {"num_videos": stored.num_videos, "failures": list(stored.failures)}


def _train_and_test(plan: Plan, out: Path, machine: Machine, shown: Shown) -> dict[str, Any]:
    """Facts of the step."""
    store, manifest = out / STORE, out / MANIFEST
    if isinstance(plan.recipe, Ensemble):
        report = train_ensemble(plan.recipe, store, out / RUN, manifest=manifest, resume=(out / RUN).is_dir())
        tested = evaluate(out / RUN, store, out / EVALUATION, split="test", manifest=manifest)
        return {"unused": list(dict.fromkeys([*report.unused, *tested.unused]))}
    done = crossval(
        plan.recipe,
        store,
        out / FOLDS,
        protocol=plan.protocol,
        num_folds=plan.system.num_folds,
        seeds=plan.seeds,
        workers=machine.folds_at_once,
        ray_address=machine.ray_address,
        manifest=manifest,
        resume=(out / FOLDS).is_dir(),
        progress=shown.fold,
    )
    failed = [f"seed {one.seed} fold {one.fold}: {one.reason}" for one in done.failed]
    return {"unused": done.unused, "spread": done.spread(), "failures": failed, "unfinished": bool(failed)}


def _identity(plan: Plan) -> dict[str, Any]:
    """What --resume may not change."""
    return {
        "system": plan.system.name,
        "recipe": "\n".join(dump_yaml(recipe) for recipe in plan.recipes.values()),
        "preprocessing": dump_yaml(plan.spec),
        "protocol": plan.protocol,
        "seeds": list(plan.seeds),
        "manifests": digest_of(plan.table),
    }
