"""What a finished run left in its folder, read back for the comparison and the card."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cache.store import Store
from preprocessing.weights.choice import sha256_of
from videofer.reproduce.inputs import MANIFEST, STORE

FOLDS, RUN, EVALUATION = "folds", "run", "evaluation"
_LEAKS = "leaks/leaks.html"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Figures, and how they were made."""

    metrics: Mapping[str, Any]  # content of metrics.json, see `evaluation.results`
    report: str  # page of the evaluation, relative to the run's folder
    leaks: str  # page of what stands on both sides of a fold; "" where nothing was found
    trained: Mapping[str, Any]  # the last start in a run's environment.json
    epochs: Sequence[tuple[str, int, int]]  # of each training: its name, epochs done, the kept one
    preprocessed: Mapping[str, Any]  # the store's last account that did something; empty without one
    contract: Mapping[str, Any]  # of the store
    hashes: Mapping[str, str]  # name -> SHA-256

    @property
    def heads(self) -> dict[str, Mapping[str, Any]]:
        """Per head its figures; the model's answer last."""
        return dict(self.metrics["heads"])

    @property
    def answer(self) -> str:
        """The head that is the model's answer."""
        return str(self.metrics["answer"])


def read_outcome(out: Path) -> Outcome:
    """The outcome of a run whose steps are all done."""
    is_single = (out / EVALUATION).is_dir()
    tested = out / (EVALUATION if is_single else FOLDS)
    runs = [out / RUN] if is_single else sorted(tested.glob("seed_*/fold_*/run"), key=_natural)
    trained = [path for run in runs for path in sorted(run.glob("**/environment.json"))]
    store = Store.open(out / STORE)
    hashes = {
        "manifest": sha256_of(out / MANIFEST),
        "predictions": sha256_of(tested / "predictions.parquet"),
    }
    return Outcome(
        metrics=_json(tested / "metrics.json"),
        report=f"{tested.name}/report.html",
        leaks=f"{tested.name}/{_LEAKS}" if (tested / _LEAKS).is_file() else "",
        trained=_json(trained[-1])["starts"][-1] if trained else {},
        epochs=[found for run in runs for found in _epochs(run, out)],
        preprocessed=_account(store.path),
        contract=dict(store.contract),
        hashes=hashes,
    )


def _account(store: Path) -> Mapping[str, Any]:
    accounts = [_json(path) for path in sorted((store / "runs").glob("*.json"))]
    return next((one for one in reversed(accounts) if one["num_done"]), {})


def _epochs(run: Path, out: Path) -> list[tuple[str, int, int]]:
    """Of a run, or of the members of an ensemble."""
    found = []
    for path in sorted(run.glob("**/metrics.json"), key=_natural):
        figures = _json(path)
        if "num_epochs" in figures:
            name = path.parent.relative_to(out).as_posix()
            found.append((name, int(figures["num_epochs"]), int(figures["kept_epoch"])))
    return found


def _natural(path: Path) -> list[tuple[int, str]]:
    """fold_2 before fold_10."""
    return [
        (int(part.rpartition("_")[2]), "") if part.rpartition("_")[2].isdecimal() else (-1, part)
        for part in path.parts
    ]


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
