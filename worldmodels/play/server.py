"""The web server: static files of the page, and one WebSocket a driver, for this machine's own browsers only.

Each driver has a session, up to a limit; the page asks for every step, so a tab that is closed, hidden or slow costs
nothing.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from socket import socket as Socket
from typing import TypeVar, get_args

from aiohttp import WSCloseCode, WSMsgType, web

from generative.core.facts import Facts
from generative.core.options import ComponentError
from generative.web import Loopback, add_page
from worldmodels.errors import RunError
from worldmodels.machine import available_cores, give_back_memory
from worldmodels.play.messages import (
    Develop,
    Message,
    Record,
    Swap,
    TakeStep,
    Turn,
    as_bytes,
    as_json,
    film_as_bytes,
    parse,
)
from worldmodels.play.parts import PARTS, RunParts
from worldmodels.play.recording import formats
from worldmodels.play.session import DriverSession, DriverView, Restart, Worlds
from worldmodels.run.folder import Run

PAGE = Path(__file__).parent / "page"
LONGEST_MESSAGE = 64 * 1024
ALIVE = 20.0
"""Seconds between the server's questions whether a browser is still there."""
T = TypeVar("T")


@dataclass(frozen=True)
class Served:
    """What is driven in."""

    name: str
    """Of the run."""
    parts: RunParts
    others: Mapping[str, Path]
    """Runs whose parts can be taken, by name."""
    limit: int = 8
    """Drivers at a time."""

    def __post_init__(self) -> None:
        if self.limit < 1:
            raise ValueError(f"limit={self.limit}: at least 1 driver")


class Server:
    """Serves one run; `open` it, `wait` or do something else, and `close` it."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.seats: dict[web.WebSocketResponse, DriverSession | None] = {}
        """Who drives: the connection of each tab, and its session as soon as there is one."""
        self._workers = ThreadPoolExecutor(available_cores(), "drive")
        app = web.Application()
        app.router.add_get("/drive", self._drive)
        add_page(app, PAGE)
        app.on_shutdown.append(self._say_goodbye)
        self._loopback = Loopback(app, ("/drive",))

    async def open(self, port: int | Socket) -> str:
        """Serve on a port on loopback, 0 for a free one, or on one that `listen` has taken; return the address.

        Raises:
            RunError: the port is taken or not allowed.
        """
        try:
            return await self._loopback.open(port)
        except ComponentError as error:
            raise RunError(str(error)) from error

    async def close(self) -> None:
        """Close all tabs' connections and stop listening."""
        await self._loopback.close()
        self._workers.shutdown(wait=True)

    async def _say_goodbye(self, app: web.Application) -> None:
        for socket in list(self.seats):
            await socket.close(code=WSCloseCode.GOING_AWAY, message=b"the server has ended")

    async def _drive(self, request: web.Request) -> web.StreamResponse:
        """Be one driver's server, from the first message to the last."""
        socket = web.WebSocketResponse(max_msg_size=LONGEST_MESSAGE, heartbeat=ALIVE, compress=False)
        await socket.prepare(request)
        limit = self.served.limit
        if len(self.seats) >= limit:
            full = f"all {limit} seats are taken: close another tab, or start the server with a larger --drivers"
            await socket.send_str(as_json({"refused": full}))
            await socket.close(code=WSCloseCode.TRY_AGAIN_LATER)
            return socket
        self.seats[socket] = None
        try:
            session: DriverSession = await self._work(DriverSession, self.served.parts)
            self.seats[socket] = session
            await socket.send_str(as_json(greeting(self.served.name, self.served.parts, list(self.served.others))))
            await socket.send_bytes(_shown(session.look()))
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._answer(socket, session, message.data)
                elif message.type is WSMsgType.BINARY:
                    await socket.send_str(as_json({"error": "message: binary; send JSON as text"}))
        except ConnectionError:
            pass  # the tab has gone
        finally:
            if (left := self.seats.pop(socket)) is not None:
                self._workers.submit(left.close).add_done_callback(lambda _: give_back_memory())
        return socket

    async def _answer(self, socket: web.WebSocketResponse, session: DriverSession, text: str) -> None:
        """Answer one message; whatever is wrong with it is said, and the drive goes on."""
        try:
            answer = await self._work(self._carry_out, session, parse(text))
        except (RunError, ValueError) as error:
            answer = as_json({"error": str(error)[:500]})
        except (
            Exception
        ) as error:  # a fault of ours or of a foreign environment: the driver hears of it, others drive on
            answer = as_json({"error": f"{type(error).__name__}: {str(error)[:400]}"})
        await (socket.send_str(answer) if isinstance(answer, str) else socket.send_bytes(answer))

    async def _work(self, function: Callable[..., T], *given: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._workers, function, *given)

    def _carry_out(self, session: DriverSession, message: Message) -> str | bytes:
        """Do what a message asks for, and return the answer."""
        with session.lock:
            return self._answered(session, message)

    def _answered(self, session: DriverSession, message: Message) -> str | bytes:
        if isinstance(message, TakeStep):
            session.expectation, session.agent_sees = message.expectation, message.sees
            return _shown(session.step(message.wheel()))
        if isinstance(message, Restart):
            return _shown(session.restart(message))
        if isinstance(message, Turn):
            return _shown(session.turn(message.dials()))
        if isinstance(message, Record):
            (session.film.start if message.on else session.film.stop)()
            return _shown(session.look())
        if isinstance(message, Develop):
            return film_as_bytes(f"drive.{message.format}", session.film.content(message.format, message.fps))
        return self._swapped(session, message)

    def _swapped(self, session: DriverSession, message: Swap) -> bytes:
        path = self.served.others.get(message.run)
        if path is None:
            raise RunError(f"run={message.run!r}: no such run beside this one; known: {', '.join(self.served.others)}")
        return _shown(session.swap(message.part, session.parts.with_part(message.part, Run(path))))


def greeting(name: str, parts: RunParts, others: Sequence[str]) -> Facts:
    """Return what a page has to know of a run before it drives; `others` are runs whose parts it can take."""
    starts, spread, dream = parts.starts, parts.starts.spread(), parts.dream
    centre = starts.initial.mean(0)
    return {
        "run": name,
        "env": parts.env.id,
        "fps": parts.shape.fps,
        "choices": parts.shape.spec.size if parts.shape.spec.discrete else 0,
        "dials": {"temperature": dream.temperature, "noise": dream.noise},
        "latents": [
            [float(middle - 4 * std), float(middle + 4 * std)] for middle, std in zip(centre, spread, strict=True)
        ],
        "seed": Restart().seed,
        "worlds": list(get_args(Worlds)),
        "films": formats(),
        "parts": list(PARTS),
        "runs": list(others),
    }


def _shown(seen: DriverView) -> bytes:
    return as_bytes(seen.facts, seen.frames)
