import asyncio
import re
from pathlib import Path

import pytest
from aiohttp import ClientSession, web

from generative import ComponentError
from generative.web import SHARED, Loopback, add_page


def served(each):
    """Serve one page and one question, and let a coroutine ask."""

    async def answer(request):
        return web.Response(text=request.path)

    async def work():
        app = web.Application()
        app.router.add_get("/", answer)
        app.router.add_post("/ask", answer)
        loopback = Loopback(app, ("/ask",))
        address = await loopback.open(0)
        try:
            async with ClientSession() as client, asyncio.timeout(30):
                return await each(client, address)
        finally:
            await loopback.close()

    return asyncio.run(work())


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "", {}, 200),
        ("GET", "", {"Host": "evil.example"}, 403),
        ("GET", "", {"Host": "127.0.0.1.evil.example"}, 403),
        ("GET", "", {"Host": "[::1"}, 403),
        ("GET", "", {"Origin": "http://evil.example"}, 403),
        ("GET", "nowhere", {}, 404),
        ("POST", "ask", {}, 403),
        ("POST", "ask", {"Origin": "null"}, 403),
        ("POST", "ask", {"Origin": "http://127.0.0.1:1"}, 403),
        ("POST", "ask", {"Origin": "own"}, 200),
    ],
)
def test_only_our_own_page_is_answered(method, path, headers, status):
    async def each(client, address):
        own = {name: address.rstrip("/") if value == "own" else value for name, value in headers.items()}
        async with client.request(method, address + path, headers=own) as answer:
            return answer.status, answer.headers

    found, said = served(each)
    assert found == status
    if status != 403:
        assert "default-src 'self'" in said["Content-Security-Policy"] and said["X-Content-Type-Options"] == "nosniff"


def test_a_page_has_its_own_files_and_those_that_all_pages_share(tmp_path):
    (tmp_path / "index.html").write_text("mine")
    (tmp_path / "style.css").write_text("own")

    names = ("page/style.css", "page/base.css")

    async def work():
        app = web.Application()
        add_page(app, tmp_path)
        loopback = Loopback(app, ())
        address = await loopback.open(0)
        try:
            async with ClientSession() as client, asyncio.timeout(30):
                return [await (await client.get(address + name)).text() for name in ("", *names)]
        finally:
            await loopback.close()

    assert asyncio.run(work()) == ["mine", "own", (SHARED / "base.css").read_text()]


@pytest.mark.parametrize("page", ["generative/play/page", "worldmodels/play/page"])
def test_every_sheet_that_a_page_names_is_there_and_no_rule_stands_twice(page):
    folder = Path(__file__).parents[3] / page
    sheets = re.findall(r'rel="stylesheet" href="/?page/([^"]+)"', (folder / "index.html").read_text())
    assert sheets == ["base.css", "style.css"] and not (folder / "base.css").exists()
    twice = {*(SHARED / "base.css").read_text().splitlines()} & {*(folder / "style.css").read_text().splitlines()}
    assert not twice


def test_a_taken_port_is_one_clear_error():
    async def each(client, address):
        other = Loopback(web.Application(), ())
        with pytest.raises(ComponentError, match=r"port \d+ is taken by another program: choose another with --port"):
            await other.open(int(address.rstrip("/").rpartition(":")[2]))

    served(each)
