"""Archives, measured rates and plans: against sums that can be done by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.errors import UserError
from preprocessing.scale.archive import Archive, cut, drawn_archive, fitted_spread, read_archive
from preprocessing.scale.overheads import Overheads, read_overheads
from preprocessing.scale.plan import Setup, make_jobs, make_plan, plan_for_deadline
from preprocessing.scale.rates import Rates, fit_job_seconds, rates_of, read_rates
from preprocessing.scale.text import text_of, to_json
from preprocessing.stage.costs import VideoCost
from preprocessing.stage.report import FINISHED, RunReport

FREE = Overheads(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
RATES = Rates(
    job_seconds=0.0,
    per_second=np.array([0.1]),
    weights=np.array([1.0]),
    bytes_read_per_second=1e5,
    bytes_written_per_second=1e4,
    failed_share=0.0,
    deaths_per_worker_hour=0.0,
    durations_seconds=np.array([60.0]),
    described="a run",
)
SETUP = Setup(num_workers=4, workers_per_node=2)


def archive_of(*durations: float) -> Archive:
    return Archive(np.array(durations), None, "a list")


def report_of(costs: list[VideoCost], **changes: object) -> RunReport:
    report = RunReport(
        started_utc="2026-01-31T23:59:59Z", ended=FINISHED, num_inputs=len(costs), num_stored_before=0,
        num_jobs=len(costs), num_done=len(costs), num_failed=0, num_skipped=0,
        num_frames=sum(c.num_frames for c in costs), num_segments=sum(c.num_segments for c in costs),
        media_seconds=sum(c.media_seconds for c in costs), wall_seconds=10.0, work_seconds=8.0, num_workers=2,
        num_workers_lost=0, worker_seconds=sum(c.worker_seconds for c in costs), bytes_read=1_000_000,
        bytes_written=200_000, stage_seconds={"decode": 3.0}, engines={}, machine={"pid": 7}, sample=costs,
    )  # fmt: skip
    return replace(report, **changes)  # type: ignore[arg-type]


def costs(*lengths: float, per_job: float = 0.5, per_second: float = 0.1) -> list[VideoCost]:
    return [
        VideoCost(f"v{n}", seconds, int(25 * seconds), 1, 1000, per_job + per_second * seconds)
        for n, seconds in enumerate(lengths)
    ]


# --- archives ------------------------------------------------------------------------------------


def test_cuts_are_those_of_the_stage() -> None:
    """Up to 1.5 segments whole; then one cut for each full segment while half a one is left."""
    seconds, videos = cut(np.array([100.0, 450.0, 451.0, 750.0, 1000.0]), 300.0)
    assert videos.tolist() == [0, 1, 2, 2, 3, 3, 3, 4, 4, 4]
    assert seconds.tolist() == [100, 450, 300, 151, 300, 300, 150, 300, 300, 400]
    whole, _ = cut(np.array([1e6]), math.inf)
    assert whole.tolist() == [1e6]


@given(st.lists(st.floats(0, 1e5), min_size=1, max_size=30), st.floats(1, 1000))
def test_cutting_loses_nothing(durations: list[float], segment: float) -> None:
    seconds, videos = cut(np.array(durations), segment)
    assert np.bincount(videos, weights=seconds) == pytest.approx(np.array(durations), abs=1e-6)
    assert (seconds <= 1.5 * segment * (1 + 1e-9)).all()


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_manifest_of_durations(tmp_path: Path, suffix: str) -> None:
    table = pd.DataFrame({"name": ["a", "b"], "duration_seconds": [60.0, 30.0], "bytes": [5, 7]})
    path = tmp_path / f"archive{suffix}"
    table.to_csv(path) if suffix == ".csv" else table.to_parquet(path)
    archive = read_archive(path)
    assert archive.total_seconds == 90.0 and archive.num_bytes is not None
    assert archive.num_bytes.sum() == 12


def test_bytes_stand_in_for_durations(tmp_path: Path) -> None:
    path = tmp_path / "archive.csv"
    path.write_text("bytes\n1000000\n500000\n")
    archive = read_archive(path, fallback_bytes_per_second=1e5)
    assert archive.durations_seconds.tolist() == [10.0, 5.0] and "100 kB" in archive.described
    with pytest.raises(UserError, match="no durations"):
        read_archive(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name\na\n", "none of the columns duration_seconds"),
        ("duration\n5\nlong\n", "row 3: duration is not a number"),
        ("duration\n-1\n", "row 2: duration"),
        ("duration\n", "no rows"),
        ("", "is no table"),
    ],
)
def test_bad_manifests_are_one_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "archive.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=words):
        read_archive(path)
    with pytest.raises(UserError, match="no such file"):
        read_archive(tmp_path / "nowhere.csv")


def test_a_drawn_archive_has_the_total_and_the_spread() -> None:
    archive = drawn_archive(5000, 1000.0, spread=0.8)
    assert archive.total_seconds == pytest.approx(3.6e6) and len(archive) == 5000
    assert fitted_spread(archive.durations_seconds) == pytest.approx(0.8, abs=0.03)
    assert drawn_archive(3, 1.0, spread=0.0).durations_seconds.tolist() == pytest.approx([1200.0] * 3)
    assert fitted_spread(np.array([1.0, 2.0])) is None
    with pytest.raises(UserError, match="at least one video"):
        drawn_archive(0, 1.0)


# --- rates ---------------------------------------------------------------------------------------


def test_cost_of_a_job_and_of_a_second_are_told_apart() -> None:
    rates = rates_of(report_of(costs(2, 5, 20, 60, 100, 300)), "x")
    assert rates.job_seconds == pytest.approx(0.5)
    assert rates.per_second == pytest.approx(np.full(6, 0.1))
    assert rates.mean_per_second == pytest.approx(0.1) and rates.interval() == pytest.approx((0.1, 0.1))


def test_videos_of_one_length_tell_only_the_sum() -> None:
    sample = costs(10, 10, 10, 10, 10)
    assert fit_job_seconds(sample) == 0.0
    assert rates_of(report_of(sample), "x").mean_per_second == pytest.approx(0.15)


def test_blinks_do_not_tell_the_cost_of_a_second() -> None:
    """A clip of 0.1 s takes 0.1 s to open: that is not a second for a second."""
    blinks = [VideoCost(f"b{n}", 0.1, 3, 1, 1, 0.11) for n in range(50)]
    rates = rates_of(report_of([*blinks, *costs(50, 60, 70, 80, per_job=0.1)]), "x")
    assert rates.job_seconds == pytest.approx(0.1, rel=0.01) and rates.per_second.max() < 0.11
    assert len(rates_of(report_of(blinks), "x").per_second) == 50


def test_longer_videos_count_more() -> None:
    sample = [VideoCost("a", 90.0, 1, 1, 1, 9.0), VideoCost("b", 10.0, 1, 1, 1, 10.0)]
    rates = rates_of(report_of(sample, num_failed=2, num_workers_lost=4), "x")
    assert rates.mean_per_second == pytest.approx(0.19)
    low, high = rates.interval()
    assert low == pytest.approx(0.1) and high == pytest.approx(1.0)
    assert rates.failed_share == 0.5 and rates.deaths_per_worker_hour == pytest.approx(4 / (16 / 3600))
    assert set(rates.draw(100, np.random.default_rng(0))) <= {0.1, 1.0}


def test_the_newest_report_of_a_store_is_read(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    report_of(costs(10), started_utc="2026-01-01T00:00:00Z").save(tmp_path)
    newest = report_of(costs(20, 40), started_utc="2026-01-02T00:00:00Z").save(tmp_path)
    report_of([], started_utc="2026-01-03T00:00:00Z").save(tmp_path)  # nothing was to do
    assert read_rates(tmp_path).described == str(newest)
    assert len(read_rates(newest).per_second) == 2


def test_what_is_no_report_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="neither a run report nor a store"):
        read_rates(tmp_path)
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(UserError, match=r"x\.json is no report"):
        read_rates(tmp_path / "x.json")
    with pytest.raises(UserError, match="no video was finished"):
        rates_of(report_of([]), "x")
    report_of([]).save(tmp_path)
    with pytest.raises(UserError, match="none of the 1 reports"):
        read_rates(tmp_path)


# --- plans ---------------------------------------------------------------------------------------


def test_a_plan_by_hand() -> None:
    """8 videos of 100 s at 0.1 on 4 workers: 80 worker seconds, two rounds of 10 s."""
    plan = make_plan(archive_of(*[100.0] * 8), RATES, SETUP, FREE)
    assert plan.worker_seconds == pytest.approx(80.0) and plan.wall_seconds == pytest.approx(20.0)
    assert plan.utilisation == pytest.approx(1.0) and plan.num_nodes == 2
    assert plan.bytes_written == pytest.approx(8e6) and plan.bytes_read == pytest.approx(8e7)


def test_a_straggler_is_cut() -> None:
    """One hour beside 36 short videos: whole, it is the run; in segments it is shared."""
    archive = archive_of(3600.0, *[100.0] * 36)
    whole = make_plan(archive, RATES, replace(SETUP, segment_seconds=math.inf), FREE)
    assert whole.wall_seconds == pytest.approx(360.0)
    parts = make_plan(archive, RATES, SETUP, FREE)
    assert parts.num_jobs == 36 + 12
    assert parts.wall_seconds == pytest.approx(parts.worker_seconds / 4, rel=0.05)
    assert parts.worker_seconds == pytest.approx(720 + 12 * 2 * 0.1)  # the leads


def test_order_of_the_jobs() -> None:
    archive = archive_of(10.0, 200.0, 50.0)
    assert make_jobs(archive, RATES, SETUP).tolist() == pytest.approx([20, 5, 1])
    assert make_jobs(archive, RATES, replace(SETUP, order="as listed")).tolist() == pytest.approx([1, 20, 5])
    assert sorted(make_jobs(archive, RATES, replace(SETUP, order="random"))) == pytest.approx([1, 5, 20])


def test_nodes_for_a_deadline() -> None:
    """80 worker seconds in 10 s: 8 workers, 4 nodes of 2; in 9 s no number helps, a job takes 10 s."""
    archive = archive_of(*[100.0] * 8)
    assert plan_for_deadline(archive, RATES, SETUP, 10.0, FREE).num_nodes == 4
    assert plan_for_deadline(archive, RATES, SETUP, 30.0, FREE).num_nodes == 2
    with pytest.raises(UserError, match="the longest job alone"):
        plan_for_deadline(archive, RATES, SETUP, 9.0, FREE)
    with pytest.raises(UserError, match="one driver needs"):
        plan_for_deadline(archive, RATES, SETUP, 12.0, replace(FREE, job_seconds=2.0))


def test_lost_nodes_cost_time_but_no_job() -> None:
    archive = archive_of(*[100.0] * 400)
    calm = make_plan(archive, RATES, SETUP, FREE)
    hit = make_plan(archive, RATES, replace(SETUP, num_node_losses=1), FREE)
    assert hit.wall_seconds > 1.2 * calm.wall_seconds and hit.run.num_deaths == 2
    with pytest.raises(UserError, match="all 2 nodes are lost"):
        make_plan(archive, RATES, replace(SETUP, num_node_losses=2), FREE)


def test_a_driver_that_watches_many_hands_out_less() -> None:
    """10 workers at 0.05 s a second leave half of the driver: 100 jobs of 0.1 s take it 20 s."""
    archive = archive_of(*[1.0] * 100)
    setup, busy = Setup(10, 10), replace(FREE, job_seconds=0.1, watch_seconds=0.05)
    plan = make_plan(archive, RATES, setup, busy)
    assert plan.wall_seconds == pytest.approx(20.0, abs=0.2)
    assert plan.driver_share == pytest.approx(1.0, abs=0.01)
    with pytest.raises(UserError, match="at most 18 workers, and not 20"):
        make_plan(archive, RATES, Setup(20, 10), busy)


def test_text_and_json_say_the_same() -> None:
    archive = archive_of(*[100.0] * 8)
    plan = make_plan(archive, RATES, SETUP)
    text = text_of(plan, archive, RATES, upper=plan)
    for words in ("8 videos", "2 nodes of 2 cores", "few videos were measured", "jobs/s", "not simulated"):
        assert words in text
    data = json.loads(json.dumps(to_json(plan, archive, RATES)))
    assert data["num_jobs"] == 8 and data["wall_hours"] == pytest.approx(plan.wall_seconds / 3600)


def test_overheads_are_kept(tmp_path: Path) -> None:
    Overheads(0.1, 0.2, 0.3, 0.4, 0.5, 0.6).save(tmp_path / "o.json")
    assert read_overheads(tmp_path / "o.json") == Overheads(0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
    (tmp_path / "bad.json").write_text('{"job_secs": 1}')
    with pytest.raises(UserError, match="job_seconds"):
        read_overheads(tmp_path / "bad.json")
