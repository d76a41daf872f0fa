"""Weight files: the order of the folders, the hash check, and the download with all that can go wrong."""

from __future__ import annotations

import hashlib
import pickle
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from preprocessing.weights import (
    EngineChoice,
    Registry,
    Weight,
    WeightFile,
    WeightsError,
    find,
    locate,
    user_cache_dir,
)

CONTENT = b"weights" * 1000
NAME = "model.onnx"


class Handler(BaseHTTPRequestHandler):
    body = CONTENT
    status = 200
    length: int | None = None  # what the header claims, if not the truth

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body) if self.length is None else self.length))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def handler(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Handler]]:
    """A web server on this machine that has `NAME`, known by its hash."""
    handler = type("FreshHandler", (Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/{NAME}"
    known = Weight(
        name="model",
        file=NAME,
        purpose="a test",
        engines=("test",),
        licence="MIT",
        commercial=True,
        citation="none",
        url=url,
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        num_bytes=len(CONTENT),
    )
    monkeypatch.setattr(locate, "REGISTRY", Registry([known]))
    monkeypatch.setenv("VIDEOFER_OFFLINE", "0")
    monkeypatch.setenv("no_proxy", "*")
    yield handler
    server.shutdown()
    server.server_close()
    thread.join()


def test_named_folder_comes_before_environment_and_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named, environment = tmp_path / "named", tmp_path / "environment"
    for folder in (named, environment, user_cache_dir()):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "any.bin").write_bytes(b"x")
    monkeypatch.setenv("VIDEOFER_WEIGHTS", str(environment))
    assert find("any.bin", named) == named / "any.bin"
    assert find("any.bin") == environment / "any.bin"
    monkeypatch.delenv("VIDEOFER_WEIGHTS")
    assert find("any.bin") == user_cache_dir() / "any.bin"
    assert find("other.bin", named) is None


def test_missing_folder_is_named() -> None:
    with pytest.raises(WeightsError, match="no such folder of weights: /nowhere"):
        find("any.bin", Path("/nowhere"))


def test_download_lands_whole_in_the_cache(handler: type[Handler]) -> None:
    path = find(NAME)
    assert path == user_cache_dir() / NAME
    assert path.read_bytes() == CONTENT
    handler.status = 500
    assert find(NAME) == path  # the second time it is there
    path.unlink()


@pytest.mark.parametrize(
    ("change", "logged"),
    [
        ({"status": 404}, "404"),
        ({"body": CONTENT[:-10]}, "broke off after 6990 of 7000 bytes"),
        ({"body": CONTENT[:-10], "length": len(CONTENT)}, "broke off after 6990 of 7000 bytes"),
    ],
)
def test_failed_download_gives_none_and_one_line(
    handler: type[Handler], caplog: pytest.LogCaptureFixture, change: dict[str, object], logged: str
) -> None:
    for key, value in change.items():
        setattr(handler, key, value)
    assert find(NAME) is None
    (record,) = caplog.records
    assert logged in record.getMessage()
    assert "\n" not in record.getMessage()
    assert list(user_cache_dir().glob(f"{NAME}*")) == []


@pytest.mark.parametrize("body", [CONTENT[:-1] + b"X", CONTENT + b"more"])
def test_poisoned_download_is_refused(handler: type[Handler], body: bytes) -> None:
    handler.body = body
    with pytest.raises(WeightsError, match="not used"):
        find(NAME)
    assert list(user_cache_dir().glob(f"{NAME}*")) == []


def test_offline_does_not_ask(handler: type[Handler], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEOFER_OFFLINE", "1")
    assert find(NAME) is None
    monkeypatch.setenv("VIDEOFER_OFFLINE", "0")
    assert find(NAME, download=False) is None


def test_poisoned_file_is_refused(tmp_path: Path, handler: type[Handler]) -> None:
    (tmp_path / NAME).write_bytes(CONTENT[:-1] + b"X")
    with pytest.raises(WeightsError, match=r"model\.onnx is not the published file"):
        find(NAME, tmp_path)


def test_choice_survives_json_and_pickle(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(CONTENT)
    choice = EngineChoice("yunet", {"pose": WeightFile.of(path)}, "because")
    assert EngineChoice.from_json(choice.to_json()) == choice
    assert pickle.loads(pickle.dumps(choice)) == choice
    assert str(tmp_path) not in str(choice.provenance())
    assert choice.weights["pose"].checked() == path


def test_file_that_changed_since_it_was_chosen_is_refused(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(CONTENT)
    file = WeightFile.of(path)
    path.write_bytes(CONTENT + b"!")
    with pytest.raises(WeightsError, match="the run was started with"):
        file.checked()
    path.unlink()
    with pytest.raises(WeightsError, match="not on this machine"):
        file.checked()
