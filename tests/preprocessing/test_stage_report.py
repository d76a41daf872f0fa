"""The account of a run: sums in bounded memory, a file for machines and a text for people."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.schema import FailureRecord
from preprocessing.stage.costs import NUM_SAMPLED, NUM_SLOWEST, Costs, VideoCost
from preprocessing.stage.plan import Plan
from preprocessing.stage.report import FINISHED, INTERRUPTED, MAX_FAILURES, RunReport, make_report, text_of
from preprocessing.stage.totals import Totals
from preprocessing.stage.usage import DeviceUsage, NetworkUsage


def cost(number: int, worker_seconds: float = 1.0) -> VideoCost:
    return VideoCost(f"v{number}", 10.0, 250, 2, 1000, worker_seconds, {"decode": 0.6, "detect": 0.2})


def failure(number: int, reason: str = "empty file") -> FailureRecord:
    return FailureRecord(f"bad{number}", f"/in/bad{number}", None, "probe", "InputError", reason)


def a_report(num_done: int = 3, num_failures: int = 1, ended: str = FINISHED) -> RunReport:
    totals = Totals(num_done + 2)
    for number in range(num_done):
        totals.costs.saw(cost(number, 1.0 + number))
    totals.num_done, totals.num_failed = num_done, num_failures
    totals.num_frames, totals.media_seconds, totals.bytes_written = 250 * num_done, 10.0 * num_done, 5000
    return make_report(
        ended=ended,
        started=0.0,
        num_inputs=7,
        plan=Plan(jobs=[None] * (num_done + 2), num_stored=2),  # type: ignore[list-item]
        totals=totals,
        failures=[failure(n) for n in range(num_failures)],
        wall_seconds=5.0,
        work_seconds=4.0,
        num_workers=2,
        engines={"decoder": "pyav"},
    )


def test_sums_and_the_slowest() -> None:
    costs = Costs()
    for number in range(30):
        costs.saw(cost(number, worker_seconds=float(number)))
    assert costs.num_videos == 30 and costs.num_segments == 60 and costs.media_seconds == 300.0
    assert costs.stage_seconds == pytest.approx({"decode": 18.0, "detect": 6.0})
    assert [c.name for c in costs.slowest] == [f"v{n}" for n in range(29, 29 - NUM_SLOWEST, -1)]
    assert len(costs.sample) == 30


def test_a_million_videos_take_no_more_memory_than_some() -> None:
    costs = Costs()
    for number in range(5 * NUM_SAMPLED):
        costs.saw(cost(number))
    assert len(costs.sample) == NUM_SAMPLED and len(costs.slowest) == NUM_SLOWEST
    late = sum(int(c.name[1:]) >= NUM_SAMPLED for c in costs.sample)
    assert 0.7 * NUM_SAMPLED < late < 0.9 * NUM_SAMPLED  # four fifths came after the first ones


def test_warnings_are_counted_and_the_first_is_said() -> None:
    report = a_report()
    assert "warning" not in text_of(report)
    warned = replace(report, num_with_warnings=2, first_warning="'b.mov': decoded by pyav")
    *_, headline, first = text_of(warned).splitlines()
    assert headline.startswith("2 videos with warnings") and first == "  'b.mov': decoded by pyav"
    assert RunReport.from_json(json.loads(warned.to_bytes())) == warned
    costs = Costs()
    for number, text in enumerate(["", "decoded by pyav", "other"]):
        costs.saw(replace(cost(number), warning=text))
    assert (costs.num_with_warnings, costs.first_warning) == (2, "'v1': decoded by pyav")


@given(st.lists(st.floats(0, 100), max_size=40))
def test_slowest_are_sorted(seconds: list[float]) -> None:
    costs = Costs()
    for number, value in enumerate(seconds):
        costs.saw(cost(number, value))
    assert [c.worker_seconds for c in costs.slowest] == sorted(seconds, reverse=True)[:NUM_SLOWEST]


def test_devices_and_their_networks_have_a_line() -> None:
    faces, pose = NetworkUsage("yunet", 1200, 150, 0.8), NetworkUsage("tinypose", 300, 100, 0.4)
    busy = DeviceUsage("cuda:0", 1.0, [faces, pose])
    lines = text_of(replace(a_report(), devices=[busy, DeviceUsage("cuda:1", 0.0, num_restarts=2)]))
    of_each = "(yunet 1,200 in 8.0, tinypose 300 in 3.0)"
    shown = f"  cuda:0       busy 25 % of 4.00 s, 1,500 pictures in batches of 6.0 {of_each}"
    assert shown in lines.splitlines()
    assert "  cuda:1       busy 0 % of 4.00 s, 0 pictures; died and came back 2 times" in lines.splitlines()
    assert "cuda" not in text_of(a_report())
    alone = text_of(replace(a_report(), devices=[replace(busy, networks=[faces])]))
    assert "1,200 pictures in batches of 8.0\n" in alone


def test_devices_are_read_back_and_older_reports_have_none(tmp_path: Path) -> None:
    report = replace(a_report(), devices=[DeviceUsage("cuda:0", 1.0, [NetworkUsage("yunet", 4, 2, 1.0)])])
    data = json.loads(report.save(tmp_path).read_bytes())
    assert RunReport.from_json(data) == report
    del data["devices"]
    assert RunReport.from_json(data) == replace(report, devices=[])


def test_the_file_is_read_back(tmp_path: Path) -> None:
    report = a_report()
    path = report.save(tmp_path)
    assert path.parent == tmp_path / "runs" and path.name.startswith("19700101T000000Z-")
    data = json.loads(path.read_bytes())
    assert data["rates"] == {"frames_per_second": 187.5, "video_hours_per_hour": 7.5}
    assert RunReport.from_json(data) == report
    with pytest.raises(KeyError):
        RunReport.from_json({"started_utc": "1970"})


def test_the_text_says_what_was_done_and_where_the_time_went() -> None:
    text = text_of(a_report())
    assert text.startswith("stored 3 videos in 5.00 s; 1 failed; 2 were in the store already; 1 left to do")
    assert "188 frames/s, 7.5 hours of video per hour (750 frames, 30.0 s of video)" in text
    assert "time went to decode 75 %, detect 25 %" in text
    assert "2, busy 75 % of 4.00 s" in text
    assert "3.00 kB read, 5.00 kB written (600 kB an hour of video)" in text
    assert "slowest      'v2' 3.00 s for 10.0 s, 'v1' 2.00 s for 10.0 s" in text
    assert text.endswith("failed: 1 (all in failures.jsonl of the store)\n  'bad0': probe: empty file")


def test_the_text_of_runs_that_were_cut_short() -> None:
    assert text_of(a_report(ended=INTERRUPTED)).startswith("interrupted: stored 3 videos")
    full = a_report(ended="the store cannot be written: No space left on device")
    assert text_of(full).startswith("ended early (the store cannot be written: No space left on device): ")
    assert text_of(replace(full, num_jobs=0, num_failures=0)).endswith(
        "before the first video was handed out"
    )
    nothing = replace(a_report(), num_jobs=0, num_failures=0)
    assert text_of(nothing) == "nothing to do: 2 of 7 inputs are in the store"


def test_many_failures_are_grouped_by_reason() -> None:
    report = a_report(num_failures=MAX_FAILURES + 5)
    assert len(report.failures) == MAX_FAILURES and report.num_failures == MAX_FAILURES + 5
    mixed = [failure(n, f"decoding ended at {n}.5 s") for n in range(30)] + [failure(99, "no video stream")]
    text = text_of(replace(report, failures=mixed))
    assert "30 times probe: decoding ended at 0.5 s (first: 'bad0')" in text
    assert "1 time probe: no video stream (first: 'bad99')" in text
