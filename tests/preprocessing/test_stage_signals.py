"""A run that is interrupted or killed, as a user does it: nothing is left running, the next run goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cache.store import Store
from cache.verify import verify
from tests.videos import repeat_video, write_video

NUM_FRAMES = 6000
RUN = """
import sys
from pathlib import Path
from preprocessing.spec import PreprocessSpec
from preprocessing.stage.run import StageInterrupted, preprocess

if __name__ == "__main__":
    spec = PreprocessSpec(faces="precropped", segment_seconds=20)
    try:
        preprocess([Path(sys.argv[1])], Path(sys.argv[2]), spec, num_workers=2)
    except StageInterrupted as error:
        sys.exit(str(error))
"""


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("video")
    options = {"g": "25", "keyint_min": "25", "sc_threshold": "0", "bf": "0"}
    short = write_video(folder / "short.mp4", pts=range(250), codec_options=options)
    return repeat_video(short, NUM_FRAMES // 250, folder / "long.mp4")


@pytest.fixture
def run(video: Path, tmp_path: Path) -> list[str]:
    """The command that stores a long video in tmp_path/store."""
    (tmp_path / "run.py").write_text(RUN)
    return [sys.executable, str(tmp_path / "run.py"), str(video), str(tmp_path / "store")]


def begin(command: list[str], store: Path) -> tuple[subprocess.Popen[str], list[int]]:
    """The run once workers are at work, and their processes."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    limit = time.monotonic() + 60
    while not list((store / "shards").glob("*.partial")):
        assert process.poll() is None and time.monotonic() < limit
        time.sleep(0.02)
    return process, children(process.pid)


def children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        below = [int(child) for child in (task / "children").read_text().split()]
        found += below + [grandchild for child in below for grandchild in children(child)]
    return found


def wait_until_gone(pids: list[int]) -> None:
    limit = time.monotonic() + 20
    while alive := [pid for pid in pids if _state(pid) not in ("", "Z")]:
        assert time.monotonic() < limit, f"still there: {alive}"
        time.sleep(0.05)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def goes_on(command: list[str], store: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    subprocess.run(command, check=True, env=environment, timeout=120)
    (video,) = Store.open(store).videos()
    assert video.num_frames == NUM_FRAMES and len(video.segments) == 12 and len(video.persons) == 1
    assert verify(Store.open(store), deep=True) == []
    assert [path.name for path in (store / "shards").iterdir() if path.suffix != ".h5"] == []
    assert not (store / "crashes").exists()


def test_a_killed_driver_leaves_no_worker_behind(run: list[str], tmp_path: Path) -> None:
    process, workers = begin(run, tmp_path / "store")
    assert workers
    process.kill()
    process.communicate()
    wait_until_gone(workers)
    goes_on(run, tmp_path / "store")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_how_to_go_on(number: signal.Signals, run: list[str], tmp_path: Path) -> None:
    process, workers = begin(run, tmp_path / "store")
    process.send_signal(number)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 1 and "run the same command again" in said
    assert "Traceback" not in said
    wait_until_gone(workers)
    goes_on(run, tmp_path / "store")
