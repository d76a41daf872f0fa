"""The whole stage: inputs in, a store and a report out."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from cache.schema import FailureRecord
from cache.store import Store
from preprocessing.discover import discover
from preprocessing.engines import EngineChoices, resolve_engines
from preprocessing.spec import PreprocessSpec
from preprocessing.stage.cluster import usable_cores
from preprocessing.stage.driver import Driver, Totals, Watch
from preprocessing.stage.plan import Plan, make_plan
from preprocessing.types import Source


class Progress(Protocol):
    """Shows a person how far the stage is."""

    def hashing(self, num_done: int, num_sources: int) -> None: ...

    def working(self, totals: Totals) -> None: ...

    def note(self, message: str) -> None: ...


class Silent:
    """Shows nothing."""

    def hashing(self, num_done: int, num_sources: int) -> None: ...

    def working(self, totals: Totals) -> None: ...

    def note(self, message: str) -> None: ...


@dataclass(frozen=True)
class StageReport:
    """What one run of the stage did."""

    sources: list[Source]
    choices: EngineChoices
    plan: Plan
    totals: Totals
    failures: list[FailureRecord] = field(default_factory=list)  # of this run and unchanged from before
    wall_seconds: float = 0.0

    @property
    def nothing_to_do(self) -> bool:
        return not self.plan.jobs


def preprocess(
    inputs: list[Path],
    out: Path,
    spec: PreprocessSpec,
    *,
    weights_dir: Path | None = None,
    num_workers: int | None = None,
    ray_address: str | None = None,
    retry_failed: bool = False,
    progress: Progress | None = None,
    watch: Watch | None = None,
) -> StageReport:
    """Preprocess every input that the store does not hold yet.

    A bad video never stops the others; it is among `failures`. Raises StoreError, WeightsError or
    StageError, each one line for the user, where nothing at all can be done. One job and no cluster:
    a spawned child does it; else a pool of Ray actors, one a core.
    """
    progress = progress or Silent()
    began = time.monotonic()
    sources, lost = discover(inputs, sidecars=spec.pose == "sidecar", frames_fps=spec.frames_fps)
    choices = resolve_engines(
        decoder=spec.decoder, faces_name=spec.faces, pose=spec.pose, weights_dir=weights_dir
    )
    progress.note(describe(choices))
    store = open_or_create(out, spec)
    with store.lock():
        store.sweep_partials()
        for failure in lost:
            store.record_failure(failure)
        num_hashed = 0

        def hashed(_source: Source) -> None:
            nonlocal num_hashed
            num_hashed += 1
            progress.hashing(num_hashed, len(sources))

        plan = make_plan(store, sources, retry_failed=retry_failed, on_hashed=hashed)
        for failure in plan.failures:
            store.record_failure(failure)
        failures = lost + plan.failures + plan.failed_before
        totals = Totals(0)
        if plan.jobs:
            workers = min(num_workers or usable_cores(), len(plan.jobs))
            driver = _driver(store, spec, choices, workers, ray_address, len(plan.jobs), watch, progress)
            failures += driver.run(plan.jobs)
            store.sweep_partials()  # of workers that died
            totals = driver.totals
    return StageReport(sources, choices, plan, totals, failures, time.monotonic() - began)


def _driver(
    store: Store,
    spec: PreprocessSpec,
    choices: EngineChoices,
    num_workers: int,
    ray_address: str | None,
    num_jobs: int,
    watch: Watch | None,
    progress: Progress,
) -> Driver:
    """A driver over a spawned child for a single video, over Ray otherwise."""
    from preprocessing.stage.child_pool import ChildPool
    from preprocessing.stage.job import Pool

    pool: Pool
    if num_jobs == 1 and ray_address is None:
        pool = ChildPool(store.path, spec, choices)
    else:
        from preprocessing.stage.ray_pool import RayPool

        pool = RayPool(store.path, spec, choices, num_workers=num_workers, address=ray_address)
    return Driver(store, pool, num_workers, watch, progress.working)


def open_or_create(out: Path, spec: PreprocessSpec) -> Store:
    """The store at `out`, new or with the same input contract. Raises StoreError otherwise."""
    if (out / "store.json").exists():
        return Store.open(out, contract=spec.contract())
    return Store.create(out, spec=spec.model_dump(mode="json"), contract=spec.contract(), codec=spec.codec)


def describe(choices: EngineChoices) -> str:
    """One line for the user: which engines work and why these."""
    parts = [f"decoder {choices.decoder}", f"faces {choices.faces.name}"]
    if choices.faces.reason:
        parts[-1] += f" ({choices.faces.reason})"
    parts.append(f"skeletons {choices.skeletons.name}")
    return ", ".join(parts)
