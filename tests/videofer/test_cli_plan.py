"""`videofer plan`: from a report and an archive to hours and nodes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from preprocessing.stage.costs import VideoCost
from preprocessing.stage.report import FINISHED, RunReport
from videofer.cli import app
from videofer.cli.errors import one_line_errors


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    """The report of a run: 40 videos, 0.1 core seconds a second."""
    sample = [VideoCost(f"v{n}", 10.0 + n, 250, 1, 10**6, 0.2 + 0.1 * (10 + n)) for n in range(40)]
    report = RunReport(
        started_utc="2026-01-31T23:59:59Z", ended=FINISHED, num_inputs=40, num_stored_before=0, num_jobs=41,
        num_done=40, num_failed=1, num_skipped=0, num_frames=10_000, num_segments=40,
        media_seconds=sum(cost.media_seconds for cost in sample), wall_seconds=60.0, work_seconds=50.0,
        num_workers=4, num_workers_lost=0, worker_seconds=150.0, bytes_read=4 * 10**7, bytes_written=10**6,
        stage_seconds={}, engines={}, sample=sample,
    )  # fmt: skip
    return report.save(tmp_path)


def test_a_plan_by_counts(measured: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["plan", "--rates", str(measured), "--videos", "2000", "--hours", "500", "--workers", "64"]
    assert one_line_errors(app, [*arguments, "--cores-per-node", "16"]) == 0
    text = capsys.readouterr().out
    assert "2,000 videos, 500 h (log-normal" in text and "4 nodes of 16 cores" in text
    assert "about 49 videos will fail" in text


def test_a_plan_of_a_table_for_a_deadline(
    measured: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, picture = tmp_path / "archive.csv", tmp_path / "new" / "plan.png"
    table.write_text("name,duration_seconds\n" + "".join(f"v{n},3600\n" for n in range(200)))
    arguments = ["plan", str(table), "--rates", str(measured.parent.parent), "--deadline", "0.5", "--json"]
    arguments += ["--cores-per-node", "8", "--picture", str(picture)]
    assert one_line_errors(app, arguments) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["core_hours"] == pytest.approx(20.1, abs=0.6) and data["wall_hours"] <= 0.5
    assert data["num_nodes"] == 6  # 41 cores would do
    assert picture.stat().st_size > 20_000


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "both --videos and --hours"),
        (["--videos", "3"], "both --videos and --hours"),
        (["nowhere.csv"], "nowhere.csv: no such file"),
        (["nowhere.csv", "--videos", "3"], "either a table or"),
        (["--videos", "3", "--hours", "1", "--order", "shortest"], "largest first"),
        (["--videos", "3", "--hours", "1", "--workers", "2", "--deadline", "1"], "either --workers or"),
        (["--videos", "3", "--hours", "1", "--deadline", "0"], "above 0 hours"),
        (["--videos", "3", "--hours", "1", "--picture", "plan.xyz"], "must end in .png"),
        (["--videos", "3", "--hours", "-1"], "--hours is -1; an archive has hours above 0"),
        (["--videos", "3", "--hours", "1", "--spread", "-1"], "'--spread'"),
        (["--videos", "3", "--hours", "1", "--segment-seconds", "-1"], "'--segment-seconds'"),
        (["--videos", "3", "--hours", "1", "--deaths-per-hour", "-1"], "'--deaths-per-hour'"),
        (["--videos", "3", "--hours", "9", "--deadline", "0.0001"], "longest job|watches at most"),
        (["--videos", "3", "--hours", "1", "--overheads", "nowhere.json"], "nowhere.json"),
    ],
)
def test_usage_errors(
    measured: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert one_line_errors(app, ["plan", "--rates", str(measured), *arguments]) == 2
    complaint = capsys.readouterr().err
    assert any(word in complaint for word in words.split("|")) and complaint.count("\n") == 1


def test_rates_are_measured_or_there_is_no_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert one_line_errors(app, ["plan", "--rates", str(tmp_path), "--videos", "3", "--hours", "1"]) == 2
    assert "neither a run report nor a store" in capsys.readouterr().err
