"""`videofer preprocess`: dry runs, reports, URLs, and what Ctrl-C leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cache.errors import UserError
from cache.store import Store
from preprocessing.stage.report import RunReport
from tests.videos import write_video
from videofer.cli import app
from videofer.cli.errors import INTERRUPTED, one_line_errors

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: object) -> int:
    return one_line_errors(app, [str(argument) for argument in arguments])


def test_a_dry_run_measures_what_a_plan_needs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_video(tmp_path / "in.mp4", pts=range(100))
    rates, store = tmp_path / "rates.json", tmp_path / "S"
    arguments = ["preprocess", tmp_path / "in.mp4", "--out", store, "--faces", "precropped", "--dry-run"]
    arguments += ["--dry-run-seconds", 1, "--workers", 1, "--deadline", 1, "--report", rates]
    assert run(*arguments) == 0
    text = capsys.readouterr().out
    assert "'in.mp4': video, 64x48, h264, 4.00 s" in text and "1 h: one node of" in text
    assert not store.exists()
    assert run("plan", "--rates", rates, "--videos", 1000, "--hours", 100, "--workers", 8) == 0
    assert "1,000 videos, 100 h" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--dry-run", "--ray-address", "head:6379"], "not the cluster at --ray-address head:6379"),
        (["--dry-run", "--retry-failed"], "leave out --retry-failed"),
        (["--dry-run-seconds", "5"], "--dry-run-seconds is for --dry-run"),
    ],
)
def test_what_would_be_left_unheard_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    write_video(tmp_path / "in.mp4")
    assert run("preprocess", tmp_path / "in.mp4", "--out", tmp_path / "S", *arguments) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1 and not (tmp_path / "S").exists()


def test_where_a_report_cannot_be_written_nothing_begins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_video(tmp_path / "in.mp4")
    (tmp_path / "file").write_text("no folder")
    arguments = ["preprocess", tmp_path / "in.mp4", "--out", tmp_path / "S", "--faces", "precropped"]
    assert run(*arguments, "--report", tmp_path / "file" / "report.json") == 2
    assert f"{tmp_path / 'file'}: " in capsys.readouterr().err and not (tmp_path / "S").exists()
    assert run(*arguments, "--report", tmp_path) == 2
    assert "is a folder, not a file" in capsys.readouterr().err and not (tmp_path / "S").exists()
    assert run(*arguments, "--report", tmp_path / "new" / "report.json") == 0
    assert (tmp_path / "new" / "report.json").is_file()


def test_the_report_is_printed_kept_and_copied(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_video(tmp_path / "in.mp4", pts=range(50))
    store, copy = tmp_path / "S", tmp_path / "report.json"
    arguments = ["preprocess", tmp_path / "in.mp4", "--out", store, "--faces", "precropped", "--report", copy]
    assert run(*arguments) == 0
    text = capsys.readouterr().out
    assert text.startswith("stored 1 video in ") and "time went to " in text and "50 frames" in text
    (kept,) = (store / "runs").glob("*.json")
    assert kept.read_bytes() == copy.read_bytes()
    report = RunReport.from_json(json.loads(copy.read_bytes()))
    assert report.ended == "finished" and report.num_done == 1 and report.media_seconds == pytest.approx(2.0)
    assert [cost.name for cost in report.sample] == ["in.mp4"] and report.bytes_written > 0
    assert report.bytes_read == (tmp_path / "in.mp4").stat().st_size
    assert run(*arguments, "--dry-run") == 2  # all is stored: nothing can be measured
    out = capsys.readouterr()
    assert (
        "1 input is in the store already, not counted above" in out.out
        and "no video could be timed" in out.err
    )


def test_only_what_the_manifest_names_is_an_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, place in enumerate(("clips/a.mp4", "clips/b.mp4", "other form/a.mp4")):
        (tmp_path / "set" / place).parent.mkdir(parents=True, exist_ok=True)
        write_video(tmp_path / "set" / place, pts=range(5 + number))
    (tmp_path / "set" / "sound").mkdir()
    (tmp_path / "set" / "sound" / "a.wav").write_bytes(b"RIFF")
    (tmp_path / "labels.csv").write_text("name,label\nclips/a.mp4,anger\n")
    arguments = ["preprocess", tmp_path / "set", "--faces", "precropped", "--workers", 1]
    arguments += ["--manifest", tmp_path / "labels.csv"]
    assert run(*arguments, "--only-manifest", "--out", tmp_path / "S") == 0
    assert "stored 1 video in" in capsys.readouterr().out
    assert [video.names for video in Store.open(tmp_path / "S").videos()] == [["clips/a.mp4"]]
    assert run(*arguments, "--out", tmp_path / "all") == 3  # the sound is no video
    assert "stored 3 videos in" in capsys.readouterr().out


def test_only_manifest_without_one_or_with_one_of_another_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_video(tmp_path / "a.mp4", pts=range(5))
    (tmp_path / "labels.csv").write_text("name,label\nset/a.mp4,anger\n")
    arguments = ["preprocess", tmp_path, "--out", tmp_path / "S", "--only-manifest"]
    assert run(*arguments) == 2
    assert "--only-manifest needs --manifest" in capsys.readouterr().err
    assert run(*arguments, "--manifest", tmp_path / "labels.csv") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "none of its 1 videos is in" in error and "'set/a.mp4'" in error
    assert not (tmp_path / "S").exists()


def test_gpu_without_one_is_one_line_before_anything_begins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(_library: str) -> None:
        raise OSError

    for name in ("a.mp4", "b.mp4"):
        write_video(tmp_path / name)
    monkeypatch.setattr("preprocessing.device.ctypes.CDLL", none)
    inputs = ["preprocess", tmp_path, "--out", tmp_path / "S", "--faces", "precropped", "--gpu"]
    assert run(*inputs) == 2
    said = capsys.readouterr()
    assert said.out == "" and len(said.err.splitlines()) == 1
    assert "no GPU: there is no libcuda.so.1 of a driver (see `videofer doctor`)" in said.err
    assert not (tmp_path / "S").exists()

    assert run(*inputs, "--dry-run") == 2
    said = capsys.readouterr()
    assert "--dry-run times excerpts on single cores" in said.err and "videofer plan" in said.err


def test_a_run_whose_workers_cannot_start_has_no_account(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise UserError("no GPU: Ray found none on this machine or cluster")

    write_video(tmp_path / "in.mp4")
    monkeypatch.setattr("preprocessing.stage.run._pool", refuse)
    assert run("preprocess", tmp_path / "in.mp4", "--out", tmp_path / "S", "--faces", "precropped") == 2
    said = capsys.readouterr()
    assert said.out == "" and "no GPU: Ray found none" in said.err
    assert not (tmp_path / "S" / "runs").exists()


def test_a_store_at_a_url_is_worked_on_here_and_pushed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_video(tmp_path / "in.mp4", pts=range(50))
    there, here = tmp_path / "there", tmp_path / "here"
    arguments = ["preprocess", tmp_path / "in.mp4", "--out", there.as_uri(), "--local", here]
    assert run(*arguments, "--faces", "precropped") == 0, capsys.readouterr().err
    assert [video.names for video in Store.open(there).videos()] == [["in.mp4"]]
    assert run(*arguments, "--faces", "precropped") == 0
    assert "nothing to do: 1 of 1 inputs" in capsys.readouterr().out


def test_ctrl_c_reports_and_says_how_to_go_on(tmp_path: Path) -> None:
    write_video(tmp_path / "in.mp4", pts=range(6_000))
    command = [sys.executable, "-c", "from videofer.cli import main; main()"]
    command += ["preprocess", "in.mp4", "--out", "S", "--faces", "precropped"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        limit = time.monotonic() + 60
        while not list((tmp_path / "S" / "shards").glob("*.partial")) and time.monotonic() < limit:
            time.sleep(0.05)  # until the worker has begun
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED, err
    assert out.startswith("interrupted: stored 0 videos in ") and "1 left to do" in out
    assert "to go on: videofer preprocess in.mp4 --out S --faces precropped" in err
    assert "Traceback" not in err
    (kept,) = (tmp_path / "S" / "runs").glob("*.json")
    assert json.loads(kept.read_bytes())["ended"] == "interrupted"


def test_landmarks_without_their_weights_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_video(tmp_path / "in.mp4")
    arguments = ["preprocess", tmp_path / "in.mp4", "--out", tmp_path / "S", "--faces", "precropped"]
    assert run(*arguments, "--landmarks", "mesh") == 2
    error = capsys.readouterr().err
    assert "put facemesh_468.onnx into --weights-dir or $VIDEOFER_WEIGHTS" in error and error.count("\n") == 1
    assert run(*arguments, "--landmarks", "dlib") == 2
    error = capsys.readouterr().err
    assert "landmarks" in error and "mesh468" in error and error.count("\n") == 1
    assert not (tmp_path / "S").exists()
