"""Every system's data set, as a miniature, to the end: store, folds, card. With a real Ray."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from preprocessing.stage.run import Silent
from tests.videofer.miniatures.media import Media
from tests.videofer.reproduce_sets import TINY, TRIALS, Trial
from videofer.experiments.claim import CrossvalError
from videofer.reproduce.plan import make_plan
from videofer.reproduce.run import Machine, Reproduced, Shown, reproduce
from videofer.reproduce.systems import SYSTEMS, ReproduceError, system_of

pytestmark = [
    pytest.mark.ray,
    pytest.mark.usefixtures("one_thread", "ray_of_two"),
    pytest.mark.filterwarnings("default"),  # Ray has warnings of its own
]


@pytest.fixture(scope="module")
def ray_of_two() -> Iterator[None]:
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


def run(trial: Trial, data: Path, out: Path, *, resume: bool = False) -> tuple[Reproduced, list[str]]:
    plan = make_plan(system_of(trial.system), data, changes=trial.changes, max_videos=trial.max_videos)
    steps: list[str] = []
    shown = Shown(
        stage=lambda: nullcontext(Silent()),
        stills=lambda: nullcontext(lambda _done, _total: None),
        on_stored=lambda _account: None,
        step=steps.append,
        fold=lambda _event: None,
    )
    machine = Machine(workers=1)
    done = reproduce(plan, out, command=["videofer"], machine=machine, shown=shown, resume=resume)
    return done, steps


def test_every_data_set_is_tried() -> None:
    tried = {SYSTEMS[trial.system].dataset for trial in TRIALS}
    assert tried == {system.dataset for system in SYSTEMS.values()}


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: trial.system)
def test_a_miniature_to_the_end(trial: Trial, tmp_path: Path, media: Media) -> None:
    data, out = trial.build(tmp_path / "data", media), tmp_path / "out"
    done, steps = run(trial, data, out)
    assert steps == ["manifest", "store", "test"] and not done.failures
    result = json.loads((out / "result.json").read_text())
    assert result["system"] == trial.system and result["why_a_trial"] and result["figures"]
    assert done.card.stat().st_size > 10_000
    tested = out / ("folds" if (out / "folds").is_dir() else "evaluation")
    manifest = pd.read_csv(out / "manifest.csv")
    assert set(pd.read_parquet(tested / "predictions.parquet")["name"]) <= set(manifest["name"])
    again, steps = run(trial, data, out, resume=True)
    assert steps == ["manifest"] and again.result == done.result


def test_joints_of_another_layout_are_one_line(tmp_path: Path, media: Media) -> None:
    trial = next(one for one in TRIALS if one.system == "hybrid-small-gemep7")
    data = trial.build(tmp_path / "data", media)
    other = replace(trial, changes=(*trial.changes, "preprocess.skeleton=openpose67"))
    with pytest.raises(ReproduceError, match=r"none of its videos could be stored: .* its joints are coco17"):
        run(other, data, tmp_path / "out")


def test_clips_longer_than_the_videos_are_one_line(tmp_path: Path, media: Media) -> None:
    trial = next(one for one in TRIALS if one.system == "ours-ferv39k")
    data = trial.build(tmp_path / "data", media)
    with pytest.raises(CrossvalError, match=r"validation intervals shows what .* lower data.clip_seconds"):
        run(replace(trial, changes=TINY), data, tmp_path / "out")  # two pictures at 25 a second
