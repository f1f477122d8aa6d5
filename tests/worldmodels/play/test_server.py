import asyncio
import dataclasses
import gc
import json
import struct
import weakref

import numpy as np
import pytest
from aiohttp import ClientSession, WSMsgType, WSServerHandshakeError

from tests.worldmodels.play.conftest import make
from worldmodels.agent.pretrained import shipped_agent
from worldmodels.errors import RunError
from worldmodels.play.parts import PARTS, EvolvedAgent, RunParts
from worldmodels.play.server import Served, Server
from worldmodels.play.session import DriverSession, Restart
from worldmodels.play.wheel import Wheel


def served(parts, **changes):
    return Served("run", parts, {}, **changes)


def with_server(what, each):
    """Open a server on a free port, let a coroutine have it with a client, and close it."""

    async def work():
        server = Server(what)
        address = await server.open(0)
        try:
            async with ClientSession() as client, asyncio.timeout(60):
                return await each(server, client, address)
        finally:
            await server.close()

    return asyncio.run(work())


def drive(client, address, **headers):
    return client.ws_connect(f"{address}drive", headers={"Origin": address.rstrip("/"), **headers})


async def heard(socket):
    """Return the next answer: what was said, or the header of what is seen and the frames' bytes."""
    message = await socket.receive()
    if message.type is WSMsgType.TEXT:
        return json.loads(message.data), b""
    assert message.type is WSMsgType.BINARY, message
    length = struct.unpack("<I", message.data[:4])[0]
    return json.loads(message.data[4 : 4 + length]), message.data[4 + length :]


async def asked(socket, **question):
    await socket.send_str(json.dumps(question))
    return await heard(socket)


def test_a_driver_sees_what_the_session_sees(parts):
    async def each(server, client, address):
        async with drive(client, address) as socket:
            greeting, _ = await heard(socket)
            assert greeting["run"] == "run" and len(greeting["latents"]) == 4
            await heard(socket)
            await asked(socket, do="restart", worlds="both", seed=3)
            return await asked(socket, do="step", x=0.5, y=1)

    header, content = with_server(served(parts), each)
    seen = DriverSession(parts, Restart("both", seed=3)).step(Wheel(0.5, 1.0))
    assert [name for name, *_ in header["frames"]] == list(seen.frames)
    assert content == b"".join(frame.tobytes() for frame in seen.frames.values())
    np.testing.assert_allclose(header["latent"], seen.facts["latent"], atol=1e-4)


def test_each_tab_drives_for_itself_up_to_a_limit(parts):
    async def each(server, client, address):
        tabs = [await drive(client, address) for _ in range(2)]
        for tab in tabs:
            await heard(tab), await heard(tab)
        late = await asyncio.gather(*(drive(client, address) for _ in range(50)))
        for tab in late:
            assert "all 2 seats are taken" in (await heard(tab))[0]["refused"]
            assert (await tab.receive()).type is WSMsgType.CLOSE
        one = [await asked(tabs[0], do="step", y=1) for _ in range(3)][-1][0]
        two = (await asked(tabs[1], do="step", y=1))[0]
        assert (one["dream"]["step"], two["dream"]["step"]) == (3, 1)
        await tabs[0].close()
        while len(server.seats) > 1:
            await asyncio.sleep(0.01)
        async with drive(client, address) as another:
            assert "run" in (await heard(another))[0]

    with_server(served(parts, limit=2), each)


def test_a_closed_tab_frees_its_session(parts):
    async def each(server, client, address):
        tab = await drive(client, address)
        await heard(tab), await heard(tab)
        await asked(tab, do="restart", worlds="both")
        known = weakref.ref(next(iter(server.seats.values())))
        await tab.send_str('{"do": "step"}')  # and gone before the answer
        await tab.close()
        while server.seats or known() is not None:
            gc.collect()
            await asyncio.sleep(0.01)

    with_server(served(parts), each)


def test_what_is_malformed_is_answered_and_the_drive_goes_on(parts):
    async def each(server, client, address):
        async with drive(client, address) as socket:
            await heard(socket), await heard(socket)
            for text in ("", "{", "[]", '{"do": "fly"}', '{"do": "step", "x": 9}', '{"do": "turn", "held": [[99, 1]]}'):
                await socket.send_str(text)
                assert (await heard(socket))[0]["error"], text
            await socket.send_bytes(b"\x00" * 100)
            assert "binary" in (await heard(socket))[0]["error"]
            assert (await asked(socket, do="step"))[0]["dream"]["step"] == 1
            await socket.send_str("x" * 100_000)
            assert (await socket.receive()).type in (WSMsgType.CLOSE, WSMsgType.CLOSED)
        async with drive(client, address) as socket:
            assert "run" in (await heard(socket))[0]

    with_server(served(parts), each)


def test_a_fault_within_a_session_is_said_and_others_drive_on(parts, monkeypatch):
    async def each(server, client, address):
        async with drive(client, address) as socket:
            await heard(socket), await heard(socket)
            with monkeypatch.context() as patch:
                patch.setattr(DriverSession, "step", lambda *_: 1 / 0)
                assert (await asked(socket, do="step"))[0]["error"] == "ZeroDivisionError: division by zero"
            assert (await asked(socket, do="step"))[0]["dream"]["step"] == 1

    with_server(served(parts), each)


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("", {}, 200),
        ("page/main.js", {}, 200),
        ("page/base.css", {}, 200),
        ("page/../server.py", {}, 404),
        ("page/%2e%2e/server.py", {}, 404),
        ("other", {}, 404),
        ("", {"Host": "localhost:8000"}, 200),
        ("", {"Host": "evil.example"}, 403),
        ("", {"Host": "127.0.0.1.evil.example"}, 403),
        ("", {"Host": "[::1"}, 403),
        ("", {"Origin": "http://evil.example"}, 403),
        ("drive", {}, 403),
    ],
)
def test_only_our_own_page_is_answered(parts, path, headers, status):
    async def each(server, client, address):
        async with client.get(address + path, headers=headers) as answer:
            assert answer.status == status, await answer.text()
            if status == 200:
                assert "default-src 'self'" in answer.headers["Content-Security-Policy"]

    with_server(served(parts), each)


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1"])
def test_a_page_of_another_origin_cannot_drive(parts, origin):
    async def each(server, client, address):
        with pytest.raises(WSServerHandshakeError) as refused:
            await drive(client, address, Origin=origin)
        assert refused.value.status == 403 and not server.seats

    with_server(served(parts), each)


def test_a_taken_port_is_one_clear_error(parts):
    async def each(server, client, address):
        other, port = Server(server.served), int(address.rsplit(":", 1)[1].rstrip("/"))
        with pytest.raises(RunError, match=f"port {port} is taken.*--port"):
            await other.open(port)

    with_server(served(parts), each)


def test_parts_come_from_runs_beside_this_one_as_long_as_they_are_there(parts, tmp_path):
    what = dataclasses.replace(served(parts), others={"gone": tmp_path / "gone"})

    async def each(server, client, address):
        async with drive(client, address) as socket:
            assert (await heard(socket))[0]["runs"] == ["gone"]
            await heard(socket)
            said = [(await asked(socket, do="swap", part="agent", run=run))[0]["error"] for run in ("gone", "../x")]
            assert "no run folder" in said[0] and "no such run" in said[1]
            assert (await asked(socket, do="step"))[0]["dream"]["step"] == 1

    with_server(what, each)


def test_parts_of_another_run_are_swapped_while_the_drive_goes_on(parts, monkeypatch):
    other = make()
    other.vision.decoder[0].weight.data.neg_()
    other.memory.lstm.weight_hh_l0.data.neg_()
    other = dataclasses.replace(other, agent=EvolvedAgent(other.agent.bundle, -other.agent.parameters))
    monkeypatch.setattr(RunParts, "of", lambda run: other)
    what = dataclasses.replace(served(parts), others={"other": shipped_agent()})

    async def each(server, client, address):
        async with drive(client, address) as socket:
            await heard(socket), await heard(socket)
            before = await asked(socket, do="step", x=0.5, y=1)
            session = next(iter(server.seats.values()))
            for part in PARTS:
                seen = await asked(socket, do="swap", part=part, run="other")
                assert getattr(session.parts, part) is getattr(other, part)
                assert seen[0]["dream"] == before[0]["dream"] and (seen[1] != before[1]), part
            return (await asked(socket, do="step", agent=True))[0]

    header = with_server(what, each)
    assert (header["dream"]["step"], header["agent"]) == (2, True)


def test_a_server_that_ends_tells_its_tabs(parts):
    async def each(server, client, address):
        socket = await drive(client, address)
        await heard(socket), await heard(socket)
        await server.close()
        assert (await socket.receive()).type in (WSMsgType.CLOSE, WSMsgType.CLOSING)

    with_server(served(parts), each)
