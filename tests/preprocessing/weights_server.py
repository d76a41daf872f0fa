"""A web server on this machine that serves files as such servers do, and fails as they do."""

from __future__ import annotations

import hashlib
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from preprocessing.weights import Weight
from preprocessing.weights.transfer import Patience

QUICK = Patience(tries=3, pause_seconds=0.01)
"""Tries anew at once, but gives a busy machine its time."""
IMPATIENT = Patience(silent_seconds=2.0, crawl_seconds=1.0, crawl_bytes=1000, tries=2, pause_seconds=0.01)
"""Where silence is what the test is about."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one answer."""

    status: int | None = None
    cut: int | None = None  # the connection ends after so many bytes
    silent: bool = False  # ... or stays open and nothing more comes
    crawl: bool = False  # a byte now and then
    ignore_range: bool = False
    shift_range: int = 0  # the part that comes is another than was asked for
    hide_length: bool = False
    content_type: str = "application/octet-stream"
    location: str | None = None


@dataclass
class Served:
    """What lies at the server, what goes wrong with the next answers, and what was asked for so far."""

    files: dict[str, bytes] = field(default_factory=dict)
    etags: dict[str, str] = field(default_factory=dict)  # else one of the content; empty: none
    faults: list[Fault] = field(default_factory=list)  # one for each of the next answers
    asked: list[tuple[str, str]] = field(default_factory=list)  # path and Range of each request
    address: str = ""
    stop: threading.Event = field(default_factory=threading.Event)

    def weight(self, file: str, content: bytes, **changes: Any) -> Weight:
        """A file that is served, as the registry would know it."""
        self.files[f"/{file}"] = content
        known: dict[str, Any] = {
            "name": file.partition(".")[0],
            "file": file,
            "purpose": "a test",
            "engines": ("test",),
            "licence": "MIT",
            "commercial": True,
            "citation": "nobody",
            "url": f"{self.address}/{file}",
            "sha256": hashlib.sha256(content).hexdigest(),
            "num_bytes": len(content),
        }
        return Weight(**{**known, **changes})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    served: Served

    def do_GET(self) -> None:
        served, wanted = self.served, self.headers.get("Range", "")
        served.asked.append((self.path, wanted))
        fault = served.faults.pop(0) if served.faults else Fault()
        self.close_connection = True
        if fault.status is not None:
            self.send_error(fault.status)
            return
        if fault.location is not None:
            self.send_response(302)
            self.send_header("Location", fault.location)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = served.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        self._send(content, wanted, fault)

    def _send(self, content: bytes, wanted: str, fault: Fault) -> None:
        etag = self.served.etags.get(self.path, f'"{hashlib.sha256(content).hexdigest()[:8]}"')
        found = re.fullmatch(r"bytes=(\d+)-", wanted)
        same = self.headers.get("If-Range") == etag
        begin = int(found[1]) if found and same and not fault.ignore_range else 0
        if begin >= len(content) and begin:
            self.send_error(416)
            return
        begin += fault.shift_range if begin else 0
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        if etag:
            self.send_header("ETag", etag)
        self.send_header("Content-Type", fault.content_type)
        if not fault.hide_length:
            self.send_header("Content-Length", str(len(content) - begin))
        self.end_headers()
        body, sent = content[begin:], fault.cut or 0
        self.wfile.write(body if fault.cut is None else body[:sent])
        while fault.crawl and not self.served.stop.wait(0.05):
            self.wfile.write(body[sent : sent + 1])
            sent += 1
        if fault.silent:
            self.served.stop.wait(20)

    def log_message(self, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what many of these tests are about."""


@contextmanager
def serve() -> Iterator[Served]:
    """Runs it; the address is free of others."""
    served = Served()
    handler = type("Handler", (_Handler,), {"served": served})
    server = _Server(("127.0.0.1", 0), handler)
    served.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield served
    finally:
        served.stop.set()
        server.shutdown()
        server.server_close()
        thread.join()


def closed_port() -> int:
    """A port of this machine at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
