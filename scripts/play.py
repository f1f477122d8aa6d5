"""Drive in a run's dream, in its real environment, or in both, from a browser; or write the dream as a web page."""

import asyncio
import webbrowser
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING

import tyro

from scripts.terminal.commands import COMMANDS
from scripts.terminal.parsing import UsageError, parsed
from scripts.terminal.request import run_folder

if TYPE_CHECKING:
    from worldmodels.play.parts import RunParts
    from worldmodels.play.server import Served


@dataclass(frozen=True)
class PlayRequest:
    """What `worldmodels play` is asked for."""

    run: tyro.conf.Positional[str]
    """Folder of the run, or `pretrained`; vision and memory must be trained."""
    port: int = 8765
    """Port on this machine; 0 takes a free one."""
    drivers: int = 8
    """Tabs that can drive at the same time."""
    browser: tyro.conf.FlagConversionOff[bool] = True
    """Open the page in the browser."""
    export: str = ""
    """Folder, which does not exist yet or is empty: write the dream there as a web page that needs no server of ours,
    and serve nothing."""


def main(arguments: Sequence[str]) -> int:
    """Serve the run that the arguments name until Ctrl-C, or export its page, and return the exit code.

    Raises:
        RunError: the run cannot be driven in, the port or the folder is taken, or the page cannot be written.
    """
    asked = parsed(PlayRequest, arguments, "worldmodels play", COMMANDS["play"])
    if not 0 <= asked.port < 2**16:
        raise UsageError(f"--port {asked.port}: must be from 0 to 65535")
    if asked.drivers < 1:
        raise UsageError(f"--drivers {asked.drivers}: must be at least 1")
    from generative.web import listen
    from worldmodels.play.parts import RunParts, neighbours
    from worldmodels.play.server import Served
    from worldmodels.run.folder import Run

    run = Run(run_folder(asked.run))
    name = run.path.resolve().name
    if asked.export:
        return _export(name, RunParts.of(run), Path(asked.export))
    with suppress(KeyboardInterrupt), listen(asked.port) as port:  # before the networks are loaded, which takes seconds
        served = Served(name, RunParts.of(run), neighbours(run.path), asked.drivers)
        asyncio.run(_serve(served, port, asked.browser))
    print("play: ended")
    return 0


def _export(name: str, parts: "RunParts", folder: Path) -> int:
    from worldmodels.play.exported.folder import export_page

    sizes = export_page(name, parts, folder)
    print("\n".join(f"{size:>12,}  {file}" for file, size in sizes.items()))
    print(f"play: {folder}, {sum(sizes.values()) / 1e6:.2f} MB in {len(sizes)} files, a page for any static host;")
    print(f"      to see it here: python -m http.server --directory {folder}, then open http://localhost:8000/")
    return 0


async def _serve(served: "Served", port: socket, browser: bool) -> None:
    from worldmodels.play.server import Server

    server = Server(served)
    address = await server.open(port)
    print(f"play: {served.name} at {address} (Ctrl-C ends it)", flush=True)
    try:
        if browser:
            await asyncio.to_thread(webbrowser.open, address)
        await asyncio.Event().wait()
    finally:
        await server.close()
