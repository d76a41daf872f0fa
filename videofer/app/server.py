"""The pages and the requests of the app; everything that takes long is the worker's."""

from __future__ import annotations

import contextlib
import io
import mimetypes
import zipfile
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from videofer.app.gate import PAGE_POLICY, Gate
from videofer.app.library import Item, Library
from videofer.app.uploads import MAX_BYTES, UploadError, receive
from videofer.app.worker import Worker

HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}
PARTS = {  # of the page: whose they are, and what
    "app.html": ("videofer.app", "text/html"),
    "app.css": ("videofer.app", "text/css"),
    "app.js": ("videofer.app", "text/javascript"),
    "base.css": ("videofer.report", "text/css"),
}
RESULTS, ORIGINAL = "results", "video"  # folders of an item that are shown; its store is nobody's


def make_app(
    library: Library,
    worker: Worker,
    *,
    key: str,
    hosts: tuple[str, ...],
    about: dict[str, Any],
    max_bytes: int = MAX_BYTES,
    shows_originals: bool = True,
) -> Starlette:
    """The ASGI app.

    about: what the page says of the model and of itself, JSON-able. shows_originals: whether uploads are
    handed out again, to reports that play them; not where faces are to be hidden.
    """
    shown_folders = (RESULTS, ORIGINAL) if shows_originals else (RESULTS,)

    async def page(request: Request) -> Response:
        name = request.path_params.get("part", "app.html")
        if name not in PARTS:
            return _problem(404, "no such page")
        package, media_type = PARTS[name]
        text = (files(package) / "templates" / name).read_text(encoding="utf-8")
        return Response(text, headers={**HEADERS, "Content-Security-Policy": PAGE_POLICY},
                        media_type=media_type)  # fmt: skip

    async def overview(_request: Request) -> Response:
        items = [_told(library, item) for item in library.items()]
        return JSONResponse({"about": about, "items": items}, headers=HEADERS)

    async def upload(request: Request) -> Response:
        length = request.headers.get("content-length", "")
        declared = int(length) if length.isdecimal() else None
        try:
            item = await receive(
                library, request.query_params.get("name", ""), declared, request.stream(), max_bytes
            )
        except UploadError as refused:
            # The rest of the body is not read: the connection ends.
            return _problem(refused.status, refused.reason, {"Connection": "close"})
        worker.wake()
        return JSONResponse(_told(library, item), 201, headers=HEADERS)

    async def one(request: Request) -> Response:
        item = library.get(request.path_params["id"])
        if item is None:
            return _problem(404, "no such video")
        if request.method == "DELETE":
            worker.forget(item.id)
            return Response(status_code=204, headers=HEADERS)
        return JSONResponse(_told(library, item), headers=HEADERS)

    async def again(request: Request) -> Response:
        item = library.get(request.path_params["id"])
        if item is None or item.state != "failed":
            return _problem(404 if item is None else 409, "no such failed video")
        library.update(item.id, state="waiting", reason="", stage="", share=0.0)
        worker.wake()
        return Response(status_code=204, headers=HEADERS)

    async def file(request: Request) -> Response:
        path = _file_of(library, request.path_params["id"], request.path_params["path"], shown_folders)
        if path is None:
            return _problem(404, "no such file")
        disposition = "attachment" if "download" in request.query_params else "inline"
        return FileResponse(
            path, headers=HEADERS, filename=path.name, content_disposition_type=disposition,
            media_type=_media_type(path),
        )  # fmt: skip

    async def archive(request: Request) -> Response:
        item = library.get(request.path_params["id"])
        if item is None or item.state != "done":
            return _problem(404, "no such finished video")
        name = quote(Path(item.file).stem + ".zip")
        disposition = f"attachment; filename*=utf-8''{name}"
        return StreamingResponse(
            zipped(library.path(item.id) / RESULTS), media_type="application/zip",
            headers={**HEADERS, "Content-Disposition": disposition},
        )  # fmt: skip

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        worker.start()
        try:
            yield
        finally:
            worker.stop()

    return Starlette(
        routes=[
            Route("/", page),
            Route("/api/videos", overview, methods=["GET"]),
            Route("/api/videos", upload, methods=["POST"]),
            Route("/api/videos/{id}", one, methods=["GET", "DELETE"]),
            Route("/api/videos/{id}/again", again, methods=["POST"]),
            Route("/videos/{id}/exports.zip", archive),
            Route("/videos/{id}/{path:path}", file),
            Route("/{part}", page),
        ],
        middleware=[Middleware(Gate, key=key, hosts=hosts)],
        lifespan=lifespan,
    )


def _told(library: Library, item: Item) -> dict[str, Any]:
    """What the page learns of an item."""
    values = asdict(item)
    if item.state == "done":
        results = library.path(item.id) / RESULTS
        made = sorted(path for path in results.iterdir() if path.is_file())
        values["exports"] = [{"name": path.name, "num_bytes": path.stat().st_size} for path in made]
    return values


def _file_of(library: Library, item_id: str, inside: str, shown_folders: Sequence[str]) -> Path | None:
    """A file of an item that may be seen, None where there is none."""
    if library.get(item_id) is None or "\0" in inside:  # no system has such a name
        return None
    folder = library.path(item_id).resolve()
    path = (folder / inside).resolve()
    shown = any(path.is_relative_to(folder / name) for name in shown_folders)
    return path if shown and path.is_file() else None


def _media_type(path: Path) -> str:
    """How a browser takes a file: only our report is a page, and nothing else can ever be one."""
    guessed = mimetypes.guess_type(path.name)[0] or ""
    is_report = path.parent.name == RESULTS and path.suffix == ".html"
    is_seen = is_report or guessed == "image/png" or guessed.startswith("video/")
    return guessed if is_seen else "application/octet-stream"


def _problem(status: int, reason: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"reason": reason}, status, headers={**HEADERS, **(headers or {})})


class _Pipe(io.RawIOBase):
    """What a zip file is written to, taken out piece by piece: it never lies whole in memory."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(self._parts[-1])

    def take(self) -> bytes:
        taken, self._parts = b"".join(self._parts), []
        return taken


def zipped(folder: Path, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
    """All files of a folder as one zip file, in pieces. Nothing is compressed twice: it is a parcel."""
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as parcel:  # type: ignore[arg-type]
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo.from_file(path, path.relative_to(folder).as_posix())
            with path.open("rb") as source, parcel.open(entry, "w", force_zip64=True) as target:
                while chunk := source.read(chunk_bytes):
                    target.write(chunk)
                    yield pipe.take()
    yield pipe.take()
