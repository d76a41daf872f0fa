"""`videofer timeline --follow`, as a user and a shell see it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.videofer.live_helpers import SPEC, counts, model_for_streams, write_people
from tests.videofer.test_live_engine import torn
from videofer.checkpoint import save_checkpoint
from videofer.cli import app
from videofer.cli.errors import one_line_errors
from videofer.live.replay import replay

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = model_for_streams()
    path = tmp_path_factory.mktemp("follow") / "run"
    save_checkpoint(
        path, weights=model.model.state_dict(), recipe=model.recipe, contract=SPEC.contract(),
        calibration=model.calibration.to_json(), metrics={"used": {}}, card="# A tiny model",
    )  # fmt: skip
    return path


@pytest.fixture(scope="module")
def video(run: Path) -> Path:
    return write_people(run.parent / "one.mp4", [(3.0, [0], 90)])


def follow(*arguments: object) -> int:
    words = ["timeline", *map(str, arguments), "--follow", "--faces", "mtcnn"]
    return one_line_errors(app, words)


def printed(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_rows_are_json_lines(run: Path, video: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert follow(video, "--model", run, "--set", "smoothing.lag_seconds=0.5") == 0
    out, err = capsys.readouterr()
    events = printed(out)
    assert counts(events) == {"start": 1, "row": 15, "end": 1}
    first, second = err.splitlines()
    assert first == "model: run (perceived expression: neutral, anger, happiness)" and "faces mtcnn" in second
    start, end = events[0], events[-1]
    assert start["event"] == "start" and start["live"] is False
    assert (start["model"], start["model_version"], start["reports"]) == ("run", "", "perceived expression")
    assert start["lag_seconds"] >= 0.8 / 2 + 0.4 + 1.0
    assert start["settings"]["smoothing"]["lag_seconds"] == 0.5
    assert (end["damage"], end["interrupted"], end["frames_dropped"]) == (None, False, 0)
    rows = replay(events)
    assert rows["person"].eq(0).all() and rows["t_end"].iloc[-1] == 3.0
    assert set(rows["label"]) <= set(start["classes"])


def test_a_torn_file_gives_what_is_there(run: Path, video: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = torn(video, run.parent / "torn.mkv")
    assert follow(path, "--model", run) == 3
    out, err = capsys.readouterr()
    events = printed(out)
    assert events[-1]["damage"] and events[-1]["damage"] in err.splitlines()[-1]
    assert {"ok", "not_decoded"} <= set(replay(events)["state"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["missing.mp4"], "missing.mp4: "),
        (["gopher://x"], "no stream is read by gopher://"),
        (["tcp://127.0.0.1:1"], "cannot be opened: "),
        (["one.mp4", "two.mp4"], "--follow takes one input, not 2"),
        (["one.mp4", "--modality", "voice"], "voice"),
        (["one.mp4", "--workers", "2"], "--workers and --ray-address are not for --follow"),
        (["one.mp4", "--ray-address", "head:6379"], "--workers and --ray-address are not for --follow"),
    ],
)
def test_mistakes_are_one_line(
    run: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert follow(*words, "--model", run) == 2
    out, err = capsys.readouterr()
    assert out == "" and message in err.splitlines()[-1]
    assert "Traceback" not in err


def command(run: Path, text: str) -> list[str]:
    code = "from videofer.cli import main; main()"
    return [sys.executable, "-c", code, "timeline", text, "--follow", "--faces", "mtcnn", "--model", str(run)]


@pytest.mark.slow
def test_a_stream_ends_properly_by_ctrl_c(run: Path, video: Path) -> None:
    stream = run.parent / "one.ts"
    remux(video, stream)
    with subprocess.Popen(
        command(run, "-"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        process.stdin.write(stream.read_bytes())
        process.stdin.flush()  # and it stays open: more could come
        early = [json.loads(process.stdout.readline()) for _ in range(3)]
        process.send_signal(signal.SIGINT)
        late = printed(process.stdout.read().decode())
        assert process.wait(30) == 0, process.stderr.read().decode()
    assert [event["event"] for event in early] == ["start", "row", "row"]
    assert early[0]["live"] is True
    assert late[-1]["event"] == "end" and late[-1]["interrupted"] is True


@pytest.mark.slow
def test_a_reader_may_stop_reading(run: Path, video: Path) -> None:
    reader, writer = os.pipe()
    with subprocess.Popen(command(run, str(video)), stdout=writer, stderr=subprocess.PIPE) as process:
        os.close(writer)
        with os.fdopen(reader) as lines:
            assert json.loads(lines.readline())["event"] == "start"
        assert process.wait(60) == 0
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read().decode()


@pytest.mark.slow
def test_a_full_disk_behind_standard_output_is_one_line(run: Path, video: Path) -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(command(run, str(video)), stdout=full, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 2
    assert result.stderr.splitlines()[2:] == ["videofer: error: standard output: No space left on device"]


def remux(path: Path, to: Path) -> None:
    import av

    with av.open(str(path)) as source, av.open(str(to), "w") as container:
        stream = source.streams.video[0]
        copy = container.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.dts is not None:
                packet.stream = copy
                container.mux(packet)
