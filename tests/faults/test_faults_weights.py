"""Downloads of weights in a storm: servers that fail at random, processes that are killed at random moments,
several at once, disks that fill up. At every moment the file is right or not there, and in the end it is.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from preprocessing.weights import Weight
from preprocessing.weights.download import fetch
from preprocessing.weights.record import read_record
from preprocessing.weights.transfer import UnreachableError
from tests.preprocessing.weights_server import QUICK, Fault, Served, serve

pytestmark = pytest.mark.faults

CONTENT = random.Random(1).randbytes(6_000_000)
NAME = "model.onnx"
ROUNDS = int(os.environ.get("VIDEOFER_STORM_ROUNDS", "4"))  # of each kind
IN_A_PROCESS = """
import json, sys
from pathlib import Path
from preprocessing.weights import Weight, WeightsError
from preprocessing.weights.download import fetch
from preprocessing.weights.transfer import Patience
known = json.loads(sys.argv[1])
weight = Weight(**{**known, "engines": tuple(known["engines"])})
patience = Patience(silent_seconds=1.0, crawl_seconds=0.5, crawl_bytes=1000, tries=3, pause_seconds=0.02)
try:
    fetch(weight, Path(sys.argv[2]), patience=patience)
except WeightsError as error:
    assert "\\n" not in str(error)
    sys.exit(3)
"""


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setenv("no_proxy", "*")
    with serve() as served:
        yield served


def weight_of(kind: str, served: Served) -> Weight:
    weight = served.weight(NAME, CONTENT)
    if kind == "hash unknown":
        return replace(weight, sha256=None)
    if kind == "zip":
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("folder/end2end.onnx", CONTENT)
        served.files["/sdk.zip"] = buffer.getvalue()
        return replace(weight, url=f"{served.address}/sdk.zip", member="end2end.onnx")
    return weight


def faults(chance: random.Random) -> list[Fault]:
    """What goes wrong with the next answers."""

    def one() -> Fault:
        cut = chance.randrange(len(CONTENT))
        return chance.choice(
            [
                Fault(),
                Fault(cut=0),
                Fault(cut=cut),
                Fault(cut=cut, silent=True),
                Fault(cut=cut, crawl=True),
                Fault(cut=cut, ignore_range=True),
                Fault(cut=cut, shift_range=chance.choice([-1, 1])),
                Fault(cut=cut, hide_length=True),
                Fault(status=chance.choice([416, 429, 503])),
                Fault(content_type="text/html"),
            ]
        )

    return [one() for _ in range(chance.randrange(6))]


@contextmanager
def watched(path: Path) -> Iterator[None]:
    """Looks at the file all the time; fails if it ever is another."""
    stop, wrong = threading.Event(), []

    def look() -> None:
        while not stop.wait(0.005):
            if path.is_file() and path.read_bytes() != CONTENT:
                wrong.append(path.stat().st_size)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()
    assert not wrong


@pytest.mark.parametrize("kind", ["plain", "hash unknown", "zip"])
@pytest.mark.parametrize("seed", range(ROUNDS))
def test_a_storm(served: Served, tmp_path: Path, kind: str, seed: int) -> None:
    chance = random.Random(f"{kind} {seed}")
    weight = weight_of(kind, served)
    with watched(tmp_path / NAME):
        for _ in range(chance.randrange(1, 5)):
            served.faults = faults(chance)
            processes = [start(weight, tmp_path) for _ in range(chance.choice([1, 1, 3]))]
            for process in processes:
                if chance.random() < 0.6:
                    time.sleep(chance.random())
                    process.send_signal(chance.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]))
            for process in processes:
                _, err = process.communicate(timeout=120)
                assert process.returncode in (0, 3, -signal.SIGKILL, -signal.SIGTERM), err
        served.faults = []
        fetch(weight, tmp_path, patience=QUICK)
    assert (tmp_path / NAME).read_bytes() == CONTENT
    record = read_record(tmp_path / NAME)
    assert record is not None and record.sha256 == hashlib.sha256(CONTENT).hexdigest()
    left = {path.name for path in tmp_path.iterdir() if not path.name.startswith(".")}  # of atomic writes
    assert left == {NAME, f"{NAME}.json"}


def start(weight: Weight, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", IN_A_PROCESS, json.dumps(asdict(weight)), str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for the file and little more."""
    mount = tmp_path / "small"
    mount.mkdir()
    size = len(CONTENT) + (1 << 20)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(mount)]
    done = subprocess.run(command, capture_output=True)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.decode().strip()}")
    yield mount
    subprocess.run(["umount", "-l", mount], check=True)


@pytest.mark.parametrize("kind", ["plain", "zip"])
def test_a_disk_that_fills_up(served: Served, small_disk: Path, kind: str) -> None:
    """While it comes, or while it is unpacked. One line; later it goes on from what is here."""
    weight = weight_of(kind, served)
    room = 2_000_000 if kind == "plain" else len(CONTENT) + 500_000  # the zip of noise is as large as it
    (small_disk / "ballast").write_bytes(bytes(max(0, shutil.disk_usage(small_disk).free - room)))
    if kind == "plain":
        served.faults = [Fault(hide_length=True)]  # else it is said before a byte comes
    with pytest.raises(UnreachableError, match=r"No space left on device|has room for|: room for") as error:
        fetch(weight, small_disk, patience=QUICK)
    assert "\n" not in str(error.value)
    assert not (small_disk / NAME).exists() and (small_disk / f"{NAME}.partial").stat().st_size > 1_000_000
    served.asked, served.faults = [], []
    (small_disk / "ballast").unlink()
    if kind == "zip":
        subprocess.run(["mount", "-o", f"remount,size={3 * len(CONTENT)}", small_disk], check=True)
    fetch(weight, small_disk, patience=QUICK)
    assert (small_disk / NAME).read_bytes() == CONTENT
    assert all(wanted.startswith("bytes=") for _, wanted in served.asked)
