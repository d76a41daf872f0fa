"""A real server of the app on a free port of this machine, for tests."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from videofer.app.gate import cookie_of, hosts_for
from videofer.app.library import Library
from videofer.app.server import make_app
from videofer.app.worker import Analyse, Worker

KEY = "a-key-of-tests"


@dataclass(frozen=True)
class Served:
    """A running app."""

    library: Library
    worker: Worker
    port: int

    @property
    def address(self) -> str:
        """The address that a person would open."""
        return f"http://127.0.0.1:{self.port}/?key={KEY}"

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of one request, with the key as a browser sends it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, {"Cookie": f"{cookie_of(KEY)}={KEY}", **(headers or {})})
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def ask_json(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
        """Status and what the JSON of the answer says."""
        status, _, text = self.ask(method, path, body)
        return status, json.loads(text) if text else None

    def wait_for(self, done: Callable[[], bool], seconds: float = 60.0) -> None:
        """Until `done`; fails after so many seconds."""
        end = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < end, f"still {[item.state for item in self.library.items()]}"
            time.sleep(0.02)


@contextmanager
def served(
    folder: Path, analyse: Analyse, *, max_bytes: int = 50 << 20, shows_originals: bool = True
) -> Iterator[Served]:
    """The app on a folder, until the end of the block."""
    library = Library(folder)
    worker = Worker(library, analyse)
    about = {"model": "tiny", "classes": ["neutral"], "folder": str(folder), "max_bytes": max_bytes}
    app = make_app(
        library, worker, key=KEY, hosts=hosts_for("127.0.0.1"), about=about, max_bytes=max_bytes,
        shows_originals=shows_originals,
    )  # fmt: skip
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive()
                time.sleep(0.01)
            yield Served(library, worker, listening.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join(40)
            assert not thread.is_alive()
