"""A real Chromium, told what to do through its DevTools protocol."""

import asyncio
import base64
import contextlib
import itertools
import json
import shutil
import subprocess
from pathlib import Path

from aiohttp import ClientSession

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-port=0"),
    *("--disable-dev-shm-usage", "--disable-extensions"),
)
PATIENCE = 60.0
"""Seconds after which something awaited has failed."""


class Tab:
    """A page in the browser."""

    def __init__(self, socket):
        self._socket, self._numbers, self.said = socket, itertools.count(1), []

    async def call(self, method, **given):
        """Call a DevTools method; uncaught errors, and those on the console, are kept in `said`."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": given})
        while True:
            answer = await self._socket.receive_json(timeout=PATIENCE)
            thrown = answer.get("method") == "Runtime.exceptionThrown"
            if thrown or answer.get("params", {}).get("entry", {}).get("level") == "error":
                self.said.append(json.dumps(answer["params"]))
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    async def value(self, expression):
        """Evaluate JavaScript; a promise is awaited."""
        given = {"expression": expression, "returnByValue": True, "awaitPromise": True}
        return (await self.call("Runtime.evaluate", **given))["result"].get("value")

    async def until(self, expression):
        """Wait until JavaScript is true, and return it."""
        async with asyncio.timeout(PATIENCE):
            while not (found := await self.value(expression)):
                await asyncio.sleep(0.05)
        return found

    async def key(self, code, down=True):
        """Press or release a key by its code, as `ArrowLeft` or `KeyR`."""
        await self.call("Input.dispatchKeyEvent", type="rawKeyDown" if down else "keyUp", code=code, key=code)

    async def resize(self, width, height, scale=1):
        """Give the page another size."""
        given = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 600}
        await self.call("Emulation.setDeviceMetricsOverride", **given)

    async def screenshot(self, path):
        """Write what is seen as a PNG."""
        shot = await self.call("Page.captureScreenshot", captureBeyondViewport=False)
        Path(path).write_bytes(base64.b64decode(shot["data"]))


@contextlib.asynccontextmanager
async def opened(address, profile):
    """Open a page in a browser of its own, and close both; `profile` is a folder that it may write to."""
    process = subprocess.Popen(
        [PROGRAM, *OPTIONS, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(PATIENCE), ClientSession() as client:
            told = Path(profile) / "DevToolsActivePort"
            while not told.exists() or "\n" not in told.read_text():
                await asyncio.sleep(0.05)
            port = told.read_text().split()[0]
            while True:
                async with client.get(f"http://127.0.0.1:{port}/json/list") as answer:
                    pages = [page for page in await answer.json() if page["type"] == "page"]
                if pages:
                    break
                await asyncio.sleep(0.05)
        async with ClientSession() as client:
            socket = await client.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0)
            tab = Tab(socket)
            for domain in ("Runtime", "Log", "Page"):
                await tab.call(f"{domain}.enable")
            await tab.call("Page.navigate", url=address)
            yield tab
            await socket.close()
    finally:
        process.terminate()
        process.wait(20)
