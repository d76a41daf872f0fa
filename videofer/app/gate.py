"""Who may come in: the person at this machine, and no page of another site that the browser has open.

Every request must carry the key that the start of the app printed (in the address once, then as a cookie),
and name a host that is ours, so that another site cannot reach the app by pointing its own name at it. What
changes something must come from our own page.
"""

from __future__ import annotations

import hashlib
import secrets
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

SAFE_METHODS = ("GET", "HEAD")
LOOPBACK = ("127.0.0.1", "localhost", "::1")

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


class Gate:
    """ASGI middleware. `hosts`: names under which the app may be asked for; empty: any."""

    def __init__(self, app: ASGIApp, key: str, hosts: tuple[str, ...]) -> None:
        self._app, self._key, self._hosts = app, key, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        request = Request(scope)
        answer = self._refusal(request)
        if answer is not None:
            await answer(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refusal(self, request: Request) -> Response | None:
        """What is answered in the app's place, None where the request may pass."""
        if self._hosts and (request.url.hostname or "") not in self._hosts:
            return PlainTextResponse("this app does not go by that host name", 421)
        given = request.query_params.get("key", "")
        if request.url.path == "/" and given and secrets.compare_digest(given.encode(), self._key.encode()):
            welcome = RedirectResponse("/", 303)  # the key leaves the address bar
            welcome.set_cookie(cookie_of(self._key), self._key, httponly=True, samesite="strict")
            return welcome
        cookie = request.cookies.get(cookie_of(self._key), "")
        if not secrets.compare_digest(cookie.encode(), self._key.encode()):
            return PlainTextResponse("open the address that `videofer app` printed: it holds the key", 403)
        if request.method not in SAFE_METHODS and not _is_own(request):
            return PlainTextResponse("this request does not come from the app's own page", 403)
        return None


def cookie_of(key: str) -> str:
    """The name of the cookie that holds the key. Cookies know no ports: several apps of one machine need each
    its own.
    """
    return f"videofer_{hashlib.sha256(key.encode()).hexdigest()[:8]}"


def _is_own(request: Request) -> bool:
    """Whether a request comes from a page of this app, as the browser tells."""
    origin = request.headers.get("origin")
    if origin is not None:
        return urlsplit(origin).netloc == request.url.netloc
    return request.headers.get("sec-fetch-site") in (None, "same-origin")


def hosts_for(host: str) -> tuple[str, ...]:
    """Names that a request may ask for, of an app bound to `host`; any where it listens to all."""
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 - compared, not bound
        return ()
    return (*LOOPBACK, host) if host in LOOPBACK else (host,)
