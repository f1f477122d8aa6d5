"""The web server of a model's page: its controls, what they make, and texts while they are written.

The page asks for one thing at a time. One thread works for all tabs, as a model uses all cores by itself.
"""

import asyncio
import base64
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from generative.core.facts import Facts
from generative.core.options import check_seed, did_you_mean
from generative.play.controls import Control
from generative.web import Loopback, add_page

PAGE = Path(__file__).parent / "page"
LONGEST_QUESTION = 64 * 1024


@dataclass(frozen=True)
class ShownModel:
    """A model with what it can be asked for."""

    title: str
    """Of the page: the run."""
    about: str
    """What the model is and was trained on, in a few words."""
    controls: Mapping[str, Control]


class ModelServer:
    """Serves one model; `open` it, `wait` or do something else, and `close` it."""

    def __init__(self, played: ShownModel) -> None:
        self._played = played
        self._worker = ThreadPoolExecutor(1, "model")
        app = web.Application(client_max_size=LONGEST_QUESTION)
        app.router.add_get("/controls", self._controls)
        app.router.add_post("/make", self._make)
        app.router.add_post("/write", self._write)
        add_page(app, PAGE)
        self._loopback = Loopback(app, ("/make", "/write"))

    async def open(self, port: int) -> str:
        """Listen on loopback and return the page's address; port 0 takes a free one.

        Raises:
            ComponentError: the port is taken or not allowed.
        """
        return await self._loopback.open(port)

    async def close(self) -> None:
        """Stop listening, and end what is being made."""
        await self._loopback.close()
        self._worker.shutdown(wait=True)

    async def _controls(self, request: web.Request) -> web.StreamResponse:
        played = self._played
        controls = [control.facts(name) for name, control in played.controls.items()]
        return web.json_response({"title": played.title, "about": played.about, "controls": controls})

    async def _make(self, request: web.Request) -> web.StreamResponse:
        """Answer with files by ending, in base64."""
        try:
            control, dials, seed = await self._asked(request)
            if control.make is None:
                raise ValueError("this control writes a text: ask /write")
            files = await asyncio.get_running_loop().run_in_executor(self._worker, control.make, dials, seed)
        except Exception as error:  # a fault of ours or of a foreign model: the page says it, and goes on
            return _refusal(error)
        return web.json_response({ending: base64.b64encode(content).decode() for ending, content in files.items()})

    async def _write(self, request: web.Request) -> web.StreamResponse:
        """Answer with a text, piece by piece, until it ends or the page leaves."""
        try:
            control, dials, seed = await self._asked(request)
            if control.stream is None:
                raise ValueError("this control makes files: ask /make")
            pieces = control.stream(dials, seed)
            begun = await self._next(pieces)  # what is wrong with a prompt is said before the answer has begun
        except Exception as error:
            return _refusal(error)
        response = web.StreamResponse(
            headers={"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"}
        )
        await response.prepare(request)
        while begun is not None:
            await response.write(begun.encode())
            begun = await self._next(pieces)
        await response.write_eof()
        return response

    async def _next(self, pieces: Iterator[str]) -> str | None:
        return await asyncio.get_running_loop().run_in_executor(self._worker, next, pieces, None)

    async def _asked(self, request: web.Request) -> tuple[Control, list[Any], int]:
        """Return what a question asks for.

        Raises:
            ValueError: it is no such question; says which word is wrong.
        """
        try:
            question = json.loads(await request.text())
        except (ValueError, RecursionError) as error:
            raise ValueError(f"question: not JSON ({error})") from error
        if not isinstance(question, dict) or not isinstance(question.get("dials", {}), dict):
            raise ValueError("question: a JSON object with `control`, `dials` and `seed` is needed")
        name, seed = str(question.get("control"))[:40], question.get("seed", 0)
        if name not in self._played.controls:
            raise ValueError(f"control={name!r}: no such control;{did_you_mean(name, self._played.controls)}")
        if not isinstance(seed, int) or isinstance(seed, bool):
            raise ValueError(f"seed={str(seed)[:40]!r}: give a whole number")
        check_seed(seed)
        control = self._played.controls[name]
        return control, control.turned(question.get("dials", {})), seed


def _refusal(error: Exception) -> web.StreamResponse:
    said = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
    facts: Facts = {"error": said[:500]}
    return web.json_response(facts, status=400 if isinstance(error, ValueError) else 500)
