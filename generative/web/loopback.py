"""A web server on loopback, for the pages of this program in browsers on this machine, and for nobody else.

It needs no token: names of other hosts in `Host` and pages of other origins are refused, so that no web site can reach
it through somebody's browser.
"""

import errno
import os
import socket
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from generative.core.options import ComponentError

SHARED = Path(__file__).parent / "page"
"""What all pages have in common: their first style sheet."""
HOST = "127.0.0.1"
LOOPBACK = (HOST, "localhost", "::1")
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def listen(port: int) -> socket.socket:
    """Take a port on loopback, 0 for a free one; whoever asks there waits until something is served.

    Raises:
        ComponentError: the port is taken or not allowed.
    """
    listening = socket.socket()
    try:
        if os.name == "posix":  # a port that was just left is free; elsewhere the option would share a taken one
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((HOST, port))
        listening.listen(128)
    except (OSError, OverflowError) as error:
        listening.close()
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        why = "is taken by another program" if taken else f"cannot be listened on ({error})"
        raise ComponentError(f"port {port} {why}: choose another with --port, or 0 for a free one") from error
    return listening


def add_page(app: web.Application, folder: Path) -> None:
    """Serve the files of a page under /page, with those that all pages share, and its index.html as /."""
    files = {"/": folder / "index.html"} | {f"/page/{file.name}": file for file in SHARED.iterdir()}
    for place, file in files.items():
        app.router.add_get(place, partial(_file, file))
    app.router.add_static("/page", folder)


async def _file(path: Path, request: web.Request) -> web.StreamResponse:
    return web.FileResponse(path)


class Loopback:
    """Serves an application; `open` it, `wait` or do something else, and `close` it."""

    def __init__(self, app: web.Application, questions: Collection[str]) -> None:
        """Guard an application.

        Args:
            app: what is served.
            questions: paths that only the page asks for, so that a request without an origin is refused too.
        """
        app.middlewares.append(_guard(frozenset(questions)))
        self._app = app
        self._runner: web.AppRunner | None = None

    async def open(self, port: int | socket.socket) -> str:
        """Serve on a port, or on one that `listen` has taken, and return the page's address.

        Raises:
            ComponentError: the port is taken or not allowed.
        """
        listening = listen(port) if isinstance(port, int) else port
        self._runner = web.AppRunner(self._app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.SockSite(self._runner, listening).start()
        return f"http://{HOST}:{self._runner.addresses[0][1]}/"

    async def close(self) -> None:
        """Close all connections and stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()


def _guard(questions: frozenset[str]) -> Any:
    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse what does not come from this machine's own browser and from our own page."""
        host = request.headers.get("Host", "")
        with suppress(ValueError):
            if urlsplit(f"//{host}").hostname in LOOPBACK:
                origin, own = request.headers.get("Origin"), f"http://{host}"
                if origin == own or (origin is None and request.path not in questions):
                    return await _with_headers(request, handler)
                raise web.HTTPForbidden(text=f"this server answers its own page only, not {origin or 'a program'}\n")
        raise web.HTTPForbidden(text=f"this server is {HOST} or localhost, not {host[:100]!r}\n")

    return guard


async def _with_headers(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        response = await handler(request)
    except web.HTTPException as error:
        error.headers.update(HEADERS)
        raise
    if not response.prepared:
        response.headers.update(HEADERS)
    return response
