"""`videofer app` as a user starts it: whom it listens to, what the key opens, how it ends."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from preprocessing.spec import PreprocessSpec
from tests.videofer.export_helpers import make_run
from tests.videofer.test_cli import complaint, videofer
from tests.videos import write_video
from videofer.app.gate import cookie_of
from videofer.cli import app_command


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    contract = PreprocessSpec(faces="precropped", pose="none", crop_size=48).contract()
    return make_run(tmp_path_factory.mktemp("model") / "run", "face", contract=contract)


@contextmanager
def started(model: Path, folder: Path, *more: str) -> Iterator[tuple[int, str]]:
    """A running app: its port and its key. Ctrl-C ends it."""
    words = ["app", "--model", str(model), "--folder", str(folder), "--port", "0", *more]
    code = "from videofer.cli import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", code, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:  # fmt: skip
        assert process.stdout is not None and process.stderr is not None
        try:
            said = process.stdout.readline()
            assert said.startswith("videofer app: http://127.0.0.1:"), said + process.stderr.read()
            assert process.stdout.readline() == f"videos and results: {folder}\n"
            address = urlsplit(said.split()[-1])
            assert address.port is not None
            yield address.port, address.query.removeprefix("key=")
        finally:
            process.send_signal(signal.SIGINT)
            try:
                errors = process.communicate(timeout=60)[1]
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        assert "Traceback" not in errors


def ask(port: int, path: str, key: str = "", body: bytes | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        headers = {"Cookie": f"{cookie_of(key)}={key}"} if key else {}
        connection.request("GET" if body is None else "POST", path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def listens_elsewhere(port: int) -> bool:
    """Whether another address of this machine than 127.0.0.1 answers."""
    with socket.socket() as other:
        other.settimeout(2)
        return other.connect_ex(("127.0.0.2", port)) == 0


def test_only_this_computer_and_only_with_the_key(model: Path, tmp_path: Path) -> None:
    with started(model, tmp_path / "A", "--faces", "precropped") as (port, key):
        assert not listens_elsewhere(port)
        assert len(key) >= 32 and ask(port, "/")[0] == 403
        assert ask(port, f"/?key={key}")[0] == 303 and ask(port, "/", key)[0] == 200
        told = json.loads(ask(port, "/api/videos", key)[1])
        assert told["about"]["model"] == "run" and told["items"] == []
        busy = videofer("app", "--model", model, "--folder", tmp_path / "B", "--port", port)
        assert f"cannot listen on 127.0.0.1, port {port}" in complaint(busy)


@pytest.mark.parametrize(("blur", "status"), [("none", 200), ("all", 404)])
def test_the_upload_is_handed_out_unless_faces_are_hidden(
    model: Path, tmp_path: Path, blur: str, status: int
) -> None:
    clip = write_video(tmp_path / "clip.mp4").read_bytes()
    with started(model, tmp_path / "A", "--blur", blur) as (port, key):
        created, text = ask(port, "/api/videos?name=clip.mp4", key, clip)
        assert created == 201
        assert ask(port, f"/videos/{json.loads(text)['id']}/video/clip.mp4", key)[0] == status


def test_the_folder_of_weights_serves_the_search_for_faces_to_hide(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a lesser detector would look for the faces that must not be seen."""
    from videofer.app import analysis

    plans: list[analysis.Plan] = []

    def keep(plan: analysis.Plan, *_: object) -> dict[str, object]:
        plans.append(plan)
        return {}

    monkeypatch.setattr(analysis, "about", keep)
    monkeypatch.setattr(app_command, "_serve", lambda _app, listening: listening.close())
    weights = tmp_path / "weights"
    app_command.app(model=model, folder=tmp_path / "A", port=0, blur="all", weights_dir=weights)
    (plan,) = plans
    assert plan.weights_dir == plan.options.weights_dir == weights and plan.options.blur == "all"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--formats", "docx"], "'docx'"),
        (["--smooth", "median"], "smoothing.method must be"),
        (["--blur", "me"], "--blur is 'me'"),
        (["--pose", "sidecar"], "--pose sidecar: keypoint files cannot be dropped in"),
        (["--host", "203.0.113.7", "--port", "0"], "cannot listen on 203.0.113.7"),
    ],
)
def test_usage_errors_are_one_line(model: Path, tmp_path: Path, more: list[str], words: str) -> None:
    result = videofer("app", "--model", model, "--folder", tmp_path / "A", *more)
    assert words in complaint(result)
