"""`videofer timeline` as a user meets it: options, errors of one line, one video from file to files."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cache.errors import UserError
from preprocessing.spec import PreprocessSpec
from tests.videofer.export_helpers import make_run
from tests.videofer.test_cli import complaint, videofer
from tests.videos import write_video
from videofer.cli.timeline import tell_warnings
from videofer.cli.timeline_options import names_of, products_of, settings_of
from videofer.cli.timeline_progress import study_state
from videofer.study.run import StudyTotals
from videofer.timeline.timeline import Timeline


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    contract = PreprocessSpec(faces="precropped", pose="none", crop_size=48).contract()
    return make_run(tmp_path_factory.mktemp("model") / "run", "face", contract=contract)


def test_the_set_of_options_is_the_documented_one() -> None:
    text = videofer("timeline", "--help").stdout
    options = {word for word in text.split() if word.startswith("--") and not word.startswith("--follow ")}
    assert {word.rstrip(",;.") for word in options} == {
        "--model", "--out", "--formats", "--faces", "--pose", "--frames-fps", "--modality", "--smooth",
        "--min-confidence", "--set", "--name", "--video", "--blur", "--focus", "--skeleton",
        "--metadata", "--group-by",
        "--follow", "--weights-dir", "--workers", "--ray-address", "--gpu", "--help",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--out", "T", "--smooth", "median"], "smoothing.method must be"),
        (["--out", "T", "--modality", "voice"], "modality must be"),
        (["--out", "T", "--min-confidence", "2"], "min_confidence"),
        (["--out", "T", "--set", "smothing.method=hmm"], "did you mean 'smoothing'?"),
        (["--out", "T", "--set", "segmentation.enter=0.2"], "leave is 0.35, above enter, which is 0.2"),
        (["--out", "T", "--set", "steps_per_hop=100000"], "steps_per_hop must be less than or equal to 100"),
        (["--out", "T", "--name", "Anna"], "must have the form NUMBER=NAME"),
        (["--out", "T", "--video", "tape"], "--video is 'tape', must be auto, link, embed, proxy or none"),
        (["--out", "T", "--blur", "me"], "--blur is 'me', must be none, others or all"),
        (["--out", "T", "--focus", "1"], "--focus 1 goes with --blur others"),
        (["--out", "T", "--formats", "csv,docx"], "'docx'"),
        (["--out", "T", "--group-by", "wave"], "there is no --metadata with such a column"),
        (["--out", "T", "--metadata", "nowhere.csv"], "nowhere.csv"),
        ([], "--out is missing"),
        (["y.mp4", "--follow"], "--follow takes one input, not 2"),
        (["--follow", "--out", "T"], "--out is not for --follow"),
        (["--follow", "--formats", "html"], "--formats is not for --follow"),
        (["--follow", "--blur", "all"], "--blur is not for --follow"),
        (["--follow", "--gpu"], "--gpu is not for --follow"),
        (["--follow", "--frames-fps", "5"], "which --follow does not take"),
        (["--follow", "--focus", "0"], "--focus is not for --follow"),
    ],
    ids=lambda value: " ".join(value[-2:]) if isinstance(value, list) else "",
)
def test_usage_errors_are_one_line(tmp_path: Path, more: list[str], words: str) -> None:
    assert words in complaint(videofer("timeline", "x.mp4", "--model", "nowhere", *more, cwd=tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_options_win_over_set() -> None:
    settings = settings_of(
        ["smoothing.method=viterbi", "smoothing.dwell_seconds=3", "steps_per_hop=2"],
        modality="body", smooth="kernel", min_confidence=0.4,
    )  # fmt: skip
    assert (settings.smoothing.method, settings.smoothing.dwell_seconds) == ("kernel", 3.0)
    assert (settings.modality, settings.min_confidence, settings.steps_per_hop) == ("body", 0.4, 2)
    plain = settings_of([], modality=None, smooth=None, min_confidence=None)
    assert plain == type(plain)()


def test_names_of_persons() -> None:
    assert names_of(["0=Anna", "12 = Jean=Luc "]) == {0: "Anna", 12: "Jean=Luc"}
    for texts in (["0="], ["=Anna"], ["a=Anna"], ["-1=Anna"], ["\u0661=Anna"]):
        with pytest.raises(UserError, match="NUMBER=NAME"):
            names_of(texts)
    with pytest.raises(UserError, match="person 0 has the name 'Anna'"):
        names_of(["0=Anna", "0=Ben"])


def test_formats_and_what_is_asked_of_them() -> None:
    wanted, options = products_of(" csv, html,", video="link", blur="all", focus=None, skeleton=False)
    assert wanted == ("csv", "html") and (options.video, options.blur) == ("link", "all")
    with pytest.raises(UserError, match="no format given"):
        products_of(",", video="auto", blur="none", focus=None, skeleton=False)


def test_one_video_from_file_to_files(model: Path, tmp_path: Path) -> None:
    video = write_video(tmp_path / "interview.mp4", pts=tuple(range(40)))
    arguments = ["timeline", video, "--model", model, "--out", tmp_path / "T"]
    result = videofer(
        *arguments, "--name", "0=Anna", "--smooth", "none", "--set", "steps_per_hop=2", "--formats",
        "csv,parquet,summary",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert [Path(line).name for line in result.stdout.splitlines()] == [
        "interview.csv", "interview.parquet", "interview_summary.json",
    ]  # fmt: skip
    timeline = Timeline.load(tmp_path / "T" / "interview.parquet")
    assert timeline.settings.smoothing.method == "none" and timeline.settings.steps_per_hop == 2
    assert timeline.name_of(0) == "Anna" and timeline.duration_seconds == pytest.approx(1.6)
    assert "Anna" in set(pd.read_csv(tmp_path / "T" / "interview.csv")["person_name"])
    assert not (tmp_path / "T" / "index.html").exists()

    wrong = videofer(*arguments, "--name", "5=Ben")
    assert wrong.returncode == 2 and "Traceback" not in wrong.stderr
    body = videofer(*arguments, "--modality", "body")
    assert body.returncode == 2 and "modality is 'body'" in body.stderr


def test_a_folder_of_frames_has_the_rate_that_is_said(model: Path, tmp_path: Path) -> None:
    frames = tmp_path / "frames"
    frames.mkdir()
    for number in range(10):
        Image.new("RGB", (64, 48), (20 * number, 90, 90)).save(frames / f"{number:03}.png")
    arguments = ["timeline", frames, "--model", model, "--formats", "parquet"]
    said = videofer(*arguments, "--out", tmp_path / "T", "--frames-fps", "5")
    assert said.returncode == 0, said.stderr
    (path,) = (tmp_path / "T").rglob("frames.parquet")
    assert Timeline.load(path).duration_seconds == pytest.approx(2.0)
    wrong = videofer(*arguments, "--out", tmp_path / "U", "--frames-fps", "0", cwd=tmp_path)
    assert "frames_fps must be greater than 0" in complaint(wrong)


def test_groups_by_folder_need_folders_before_anything_is_done(model: Path, tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4")
    arguments = ["a.mp4", "--model", model, "--out", "T", "--group-by", "folder"]
    words = "--group-by folder: the study has no such column"
    assert words in complaint(videofer("timeline", *arguments, cwd=tmp_path))
    assert not (tmp_path / "T").exists()


def test_ctrl_c_while_it_starts_is_one_line(model: Path, tmp_path: Path) -> None:
    """The terminal sends it to every process there is; at any moment of imports and of the child's start."""
    video = write_video(tmp_path / "a.mp4", pts=tuple(range(2000)))
    code = "print('begun', flush=True); from videofer.cli import main; main()"
    told = 0
    for turn, delay in enumerate(np.random.default_rng(0).uniform(0.1, 2.5, 8)):
        out = tmp_path / f"T{turn}"
        command = [sys.executable, "-c", code, "timeline", video, "--model", model, "--out", out]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        ) as process:
            assert process.stdout is not None and process.stdout.readline() == "begun\n"
            time.sleep(delay)
            is_over = process.poll() is not None
            if not is_over:
                os.killpg(process.pid, signal.SIGINT)
            said = process.communicate(timeout=60)[1]
        done = process.returncode == 0 and (out / "a.html").exists()  # it came too late
        assert "Traceback" not in said and (done or process.returncode == 130), (delay, said)
        told += not is_over and said.count("videofer: interrupted") == 1
    assert told >= 1


def test_a_video_that_is_none_exits_3(model: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"nothing")
    result = videofer("timeline", tmp_path / "broken.mp4", "--model", model, "--out", tmp_path / "T")
    assert result.returncode == 3 and "failed 'broken.mp4': probe: " in result.stderr and not result.stdout


def damaged_video(path: Path) -> Path:
    """Bits are wrong in the midst of it: less than half a second is lost, which is no failure."""
    write_video(path, pts=tuple(range(60)), size_wh=(128, 96), codec_options={"g": "10"})
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200] = b"\xff" * 200
    path.write_bytes(data)
    return path


def test_what_could_not_be_decoded_is_said(model: Path, tmp_path: Path) -> None:
    """Of one video what it was, of many how many; the exit code is that of success."""
    (tmp_path / "videos").mkdir()
    video = damaged_video(tmp_path / "videos" / "bad.mp4")
    good = write_video(tmp_path / "videos" / "good.mp4")
    result = videofer("timeline", video, "--model", model, "--out", tmp_path / "T", "--formats", "parquet")
    assert result.returncode == 0, result.stderr
    warnings = Timeline.load(tmp_path / "T" / "bad.parquet").provenance["warnings"]
    told = [line for line in result.stderr.splitlines() if line.startswith("warning 'bad.mp4': ")]
    assert len(told) == min(len(warnings), 5) >= 1 and told[0].endswith(warnings[0])
    sound = videofer("timeline", good, "--model", model, "--out", tmp_path / "G", "--formats", "csv")
    assert sound.returncode == 0 and "warning" not in sound.stderr


@pytest.mark.ray
def test_a_study_says_how_many_could_not_be_decoded(model: Path, tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    damaged_video(tmp_path / "videos" / "bad.mp4")
    write_video(tmp_path / "videos" / "good.mp4")
    result = videofer(
        "timeline", tmp_path / "videos", "--model", model, "--out", tmp_path / "S", "--formats", "csv",
        "--workers", "1",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "1 video with warnings" in result.stderr
    table = pd.read_csv(tmp_path / "S" / "videos.csv").drop_duplicates("video").set_index("video")
    assert table["warnings"]["bad.mp4"] > 0 == table["warnings"]["good.mp4"]


def test_many_warnings_are_summed_up(capsys: pytest.CaptureFixture[str]) -> None:
    tell_warnings("a.mp4", [f"{n} frames skipped:\ncorrupt" for n in range(8)])
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "warning 'a.mp4': 0 frames skipped: corrupt" and lines[5:] == ["and 3 more"]
    tell_warnings("a.mp4", [])
    assert capsys.readouterr().err == ""


def test_what_a_person_sees_of_a_study() -> None:
    totals = StudyTotals(
        num_videos=40, media_seconds=4000.0, num_done=10, num_failed=2, media_seconds_done=1000.0,
        media_seconds_under_way=200.0,
    )  # fmt: skip
    assert study_state(totals, 60.0) == "12/40, 2 failed, 0.2 videos/s, 20.0 h of video per h"


def test_a_model_with_torn_weights_is_one_line_and_no_folder_is_begun(model: Path, tmp_path: Path) -> None:
    """Of one file the model is opened meanwhile; what was preprocessed is kept for the next try."""
    torn = tmp_path / "torn"
    shutil.copytree(model, torn)
    (torn / "model.safetensors").write_bytes(b"torn")
    (tmp_path / "videos").mkdir()
    write_video(tmp_path / "videos" / "a.mp4")
    words = "torn cannot be used as a model"
    assert words in complaint(videofer("timeline", "videos", "--model", "torn", "--out", "T", cwd=tmp_path))
    assert not (tmp_path / "T").exists()
    one = videofer("timeline", "videos/a.mp4", "--model", "torn", "--out", "T", cwd=tmp_path)
    assert words in one.stderr.splitlines()[-1] and one.returncode == 2
    assert [path.name for path in (tmp_path / "T").iterdir()] == ["store"]
