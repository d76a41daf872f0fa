"""From a copy of a data set to the store that is trained on: exactly the videos of the manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pandas as pd

from preprocessing.device import Device
from preprocessing.stage.report import RunReport
from preprocessing.stage.run import Progress, preprocess
from preprocessing.stills import Progress as StillsProgress
from videofer.datasets.adapters import ADAPTERS
from videofer.datasets.copy import read_copy
from videofer.datasets.fer2013 import read_fer2013
from videofer.datasets.fer2013_lists import make_lists
from videofer.datasets.fer2013_store import import_fer2013
from videofer.datasets.manifest import write_manifest
from videofer.reproduce.plan import Plan

MANIFEST, STORE, JOINTS = "manifest.csv", "store", "joints"


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What came of bringing the videos into the store."""

    num_videos: int  # in the store
    failures: tuple[str, ...]  # a line each


def write_rows(plan: Plan, out: Path) -> tuple[Path, pd.DataFrame]:
    """Writes OUT/manifest.csv, and inputs in OUT/joints for a set that has joints alone.

    Returns the folder that the names are relative to, and the table.
    """
    root, table = plan.reading.root, plan.table
    if "joints_to" in {field.name for field in fields(ADAPTERS[plan.system.dataset])}:  # type: ignore[arg-type]
        options = [*plan.options, f"joints_to={out / JOINTS}"]
        made, _ = read_copy(plan.data, plan.system.dataset, plan.system.labels or None, options=options)
        name = dict(zip(plan.reading.table["name"], made.table["name"], strict=True))
        root, table = made.root, table.assign(name=table["name"].map(name))
    write_manifest(table, out / MANIFEST)
    return root, table


def store_videos(
    plan: Plan,
    root: Path,
    table: pd.DataFrame,
    out: Path,
    *,
    num_workers: int | None,
    weights_dir: Path | None,
    ray_address: str | None,
    device: Device | None,
    retry_failed: bool,
    progress: Progress,
    on_end: Callable[[RunReport], None],
) -> Stored:
    """Preprocesses what the table names into OUT/store; what is there is not done again."""
    report = preprocess(
        [root],
        out / STORE,
        plan.spec,
        weights_dir=weights_dir,
        num_workers=num_workers,
        ray_address=ray_address,
        device=device,
        retry_failed=retry_failed,
        progress=progress,
        skip=all_but(root, table["name"].unique().tolist()),
        on_end=on_end,
    )
    num_failed = len({failure.name for failure in report.failures})
    return Stored(
        num_videos=len(report.sources) - num_failed,
        failures=tuple(f"{one.name}: {one.stage}: {one.reason}" for one in report.failures),
    )


def store_stills(
    plan: Plan, table: pd.DataFrame, out: Path, *, num_workers: int | None, progress: StillsProgress
) -> Stored:
    """FER2013's pictures of the table into OUT/store."""
    data = read_fer2013(plan.data)
    usage = set(table["usage"])  # the list that was chosen as the test split is the one in the table
    lists = make_lists(data, test="publictest" if "publictest" in usage else "privatetest")
    wanted = lists.table["name"].isin(set(table["name"])).to_numpy()
    lists = replace(lists, table=lists.table[wanted].reset_index(drop=True), place=lists.place[wanted])
    report = import_fer2013(
        data, lists, out / STORE, plan.spec, num_workers=num_workers, progress=progress
    ).stills
    return Stored(num_videos=report.num_stored + report.num_there_before, failures=())


def all_but(root: Path, names: list[str]) -> Callable[[Path], bool]:
    """Says of a file or folder below the root that it is no input: neither named, nor above or inside one."""
    wanted = {root / name for name in names}
    above = {parent for path in wanted for parent in path.parents}

    def skip(path: Path) -> bool:
        return path not in wanted and path not in above and wanted.isdisjoint(path.parents)

    return skip


def digest_of(table: pd.DataFrame) -> str:
    """Of a manifest: 16 hexadecimal digits."""
    content: Any = table.to_csv(index=False)
    return hashlib.sha256(content.encode()).hexdigest()[:16]
