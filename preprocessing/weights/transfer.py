"""Bytes from an address into a part on disk, over as many connections as it takes.

A connection that breaks off, falls silent or crawls is taken up again where it stopped, as long as each try
brings something. Where the server's file has become another meanwhile, it begins anew. What goes wrong for
good is an `UnreachableError` of one line; the part stays for a later run.
"""

from __future__ import annotations

import http.client
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from preprocessing.quantities import as_bytes
from preprocessing.weights.part import Part, Version
from preprocessing.weights.registry import WeightsError

BLOCK = 1 << 18
LARGEST_BYTES = 8 << 30  # where nobody says how long a file is, it ends here
USER_AGENT = "videofer"

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are here and, where it is known, how many there will be."""


class UnreachableError(WeightsError):
    """It could not be fetched: no network, no such address, no room. Another time it may."""


class BrokenOffError(Exception):
    """One connection ended early; the next may bring the rest."""


@dataclass(frozen=True)
class Patience:
    """How long a download is waited for."""

    silent_seconds: float = 30.0  # without a connection or a byte
    crawl_seconds: float = 60.0  # in so long a time ...
    crawl_bytes: int = 1 << 16  # ... at least so much must come
    tries: int = 4  # one after the other that bring nothing
    pause_seconds: float = 1.0  # before the second try; doubled each time


def transfer(
    url: str,
    part: Part,
    *,
    num_bytes: int | None = None,
    patience: Patience = Patience(),
    progress: Progress | None = None,
) -> None:
    """Brings the whole file at `url` into `part`, beginning with what is in it of the same file.

    num_bytes: what it must measure, if that is known. Raises UnreachableError, and WeightsError if the file
    there is longer or shorter than that.
    """
    idle = 0
    while not _is_whole(url, part):
        before = part.num_bytes
        try:
            with _open(url, part, patience) as response:
                _begin(response, url, part, num_bytes)
                _read(response, part, num_bytes, patience, progress)
            return
        except BrokenOffError as error:
            idle = 0 if part.num_bytes > before else idle + 1
            if idle >= patience.tries:
                raise UnreachableError(f"{url}: {error}") from error
            time.sleep(min(30.0, patience.pause_seconds * 2**idle))


def _is_whole(url: str, part: Part) -> bool:
    """Whether an earlier run stopped when all bytes were here, and only the check was left to do."""
    version = part.version()
    return version is not None and version.url == url and part.num_bytes == version.num_bytes


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows a server elsewhere, but not from an encrypted connection to an open one."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if req.type == "https" and not newurl.startswith("https:"):
            fp.close()
            raise UnreachableError(f"{req.full_url} leads to {newurl}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def check_address(url: str) -> None:
    """WeightsError unless the address is https; http is for this machine alone."""
    parts = urlsplit(url)
    if parts.scheme == "https" or (
        parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")
    ):
        return
    raise WeightsError(f"weights are fetched by https only, not from {url}")


def _open(url: str, part: Part, patience: Patience) -> http.client.HTTPResponse:
    """A connection that gives the rest of the file if the server still has the same, else all of it."""
    check_address(url)
    headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
    version = part.version()
    if part.num_bytes and version is not None and version.url == url and version.validator:
        headers["Range"] = f"bytes={part.num_bytes}-"
        headers["If-Range"] = version.validator
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 (checked above)
    opener = urllib.request.build_opener(_SafeRedirects)
    try:
        response: http.client.HTTPResponse = opener.open(request, timeout=patience.silent_seconds)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:  # more is here than there: it is another file
            part.restart()
            raise BrokenOffError("the server has a shorter file now") from error
        if error.code == 429 or error.code >= 500:
            raise BrokenOffError(f"HTTP {error.code} {error.reason}") from error
        raise UnreachableError(f"{url}: HTTP {error.code} {error.reason}") from error
    except (urllib.error.URLError, http.client.InvalidURL, UnicodeError) as error:
        raise UnreachableError(f"{url}: {_said(error)}") from error
    except TimeoutError as error:
        raise BrokenOffError(f"no answer for {patience.silent_seconds:g} s") from error
    except (OSError, http.client.HTTPException) as error:
        raise BrokenOffError(_said(error)) from error
    return response


def _begin(response: http.client.HTTPResponse, url: str, part: Part, num_bytes: int | None) -> None:
    """Makes the part ready for what comes: the rest of it, or all of another."""
    if response.headers.get_content_type() == "text/html":
        raise UnreachableError(f"{url} answers with a page for people, not with a file")
    if response.status == 206:
        if _continues(response, part):
            return
        part.restart()
        raise BrokenOffError("the server sent another part than was asked for")
    length = response.headers.get("Content-Length", "")
    total = int(length) if length.isdigit() else None
    if total is None and num_bytes is None and not response.chunked:
        raise UnreachableError(
            f"{url} does not say how long the file is, so nobody can tell when it is whole"
        )
    if num_bytes is not None and total is not None and total != num_bytes:
        raise WeightsError(f"{url} has {total} bytes, the published file {num_bytes}; not used")
    headers = response.headers
    part.restart(Version(url, headers.get("ETag", ""), headers.get("Last-Modified", ""), total))
    _check_room(part, total)


def _continues(response: http.client.HTTPResponse, part: Part) -> bool:
    """Whether a partial answer begins where the part ends, and belongs to a file as long as before."""
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    version = part.version()
    if found is None or version is None or int(found[1]) != part.num_bytes:
        return False
    return found[2] == "*" or version.num_bytes in (None, int(found[2]))


def _read(
    response: http.client.HTTPResponse,
    part: Part,
    num_bytes: int | None,
    patience: Patience,
    progress: Progress | None,
) -> None:
    version = part.version()
    total = num_bytes or (version.num_bytes if version else None)
    watch = _Watch(patience)
    while True:
        try:
            block = response.read1(BLOCK)
        except TimeoutError as error:
            raise BrokenOffError(f"nothing came for {patience.silent_seconds:g} s") from error
        except (OSError, http.client.HTTPException) as error:
            raise BrokenOffError(_said(error)) from error
        if not block:
            break
        try:
            part.append(block)
        except OSError as error:  # a full disk: what is here stays, and is the beginning of the next try
            raise UnreachableError(f"{part.path}: {error.strerror}; what came is kept") from error
        if part.num_bytes > (total or LARGEST_BYTES):
            part.restart()
            raise WeightsError(f"{response.url} is longer than {total or LARGEST_BYTES} bytes; not used")
        if progress is not None:
            progress(part.num_bytes, total)
        watch.saw(len(block))
    if total is not None and part.num_bytes < total:
        raise BrokenOffError(f"broke off after {part.num_bytes} of {total} bytes")


class _Watch:
    """Ends a connection over which next to nothing comes."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._since = time.monotonic()
        self._num_bytes = 0

    def saw(self, num_bytes: int) -> None:
        self._num_bytes += num_bytes
        if self._num_bytes >= self._patience.crawl_bytes:
            self._since, self._num_bytes = time.monotonic(), 0
        elif time.monotonic() - self._since > self._patience.crawl_seconds:
            raise BrokenOffError(f"only {self._num_bytes} bytes came in {self._patience.crawl_seconds:g} s")


def free_bytes(folder: Path) -> int:
    """What still goes onto the disk that a folder is on."""
    return shutil.disk_usage(folder).free


def _check_room(part: Part, num_bytes: int | None) -> None:
    free = free_bytes(part.path.parent)
    if num_bytes is not None and num_bytes > free:
        raise UnreachableError(
            f"{part.path.parent} has room for {as_bytes(free)}, {as_bytes(num_bytes)} are needed"
        )


def _said(error: Exception) -> str:
    """What an error of a library says, in one line."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    text = reason.strerror if isinstance(reason, OSError) and reason.strerror else str(reason)
    return " ".join(text.split()) or type(reason).__name__
