import asyncio
import base64
import json
from dataclasses import dataclass

import pytest
from aiohttp import ClientSession

from generative.play.controls import Control, dials_of
from generative.play.server import ModelServer, ShownModel


@dataclass(frozen=True)
class Turned:
    times: int = 2


def written(dials, seed):
    if dials[0].times < 0:
        raise ValueError("times=-1: give 0 or more")
    for number in range(dials[0].times):
        yield f"{seed}:{number} "


def faulty(dials, seed):
    raise KeyError("deep within")


CONTROLS = {
    "draw": Control("d", (Turned,), dials_of(Turned, {}), make=lambda d, seed: {".txt": b"%d %d" % (d[0].times, seed)}),
    "write": Control("w", (Turned,), dials_of(Turned, {}), stream=written),
    "faulty": Control("f", (Turned,), dials_of(Turned, {}), make=faulty),
}


def with_server(each):
    async def work():
        server = ModelServer(ShownModel("run", "about", CONTROLS))
        address = await server.open(0)
        try:
            async with ClientSession() as client, asyncio.timeout(30):
                return await each(client, address)
        finally:
            await server.close()

    return asyncio.run(work())


def asked(path, question):
    """Return the status and the text of an answer."""

    async def each(client, address):
        text = question if isinstance(question, str) else json.dumps(question)
        async with client.post(address + path, data=text, headers={"Origin": address.rstrip("/")}) as answer:
            return answer.status, await answer.text()

    return with_server(each)


def test_the_page_hears_of_every_control():
    async def each(client, address):
        async with client.get(f"{address}controls") as answer:
            return await answer.json()

    told = with_server(each)
    assert told["title"] == "run" and [each["name"] for each in told["controls"]] == ["draw", "write", "faulty"]
    assert [each["streams"] for each in told["controls"]] == [False, True, False]
    assert told["controls"][0]["dials"][0]["value"] == 2


def test_files_come_by_their_endings():
    status, text = asked("make", {"control": "draw", "dials": {"times": 7}, "seed": 3})
    assert status == 200 and {name: base64.b64decode(each) for name, each in json.loads(text).items()} == {
        ".txt": b"7 3"
    }


def test_a_text_comes_piece_by_piece():
    assert asked("write", {"control": "write", "dials": {"times": 3}, "seed": 5}) == (200, "5:0 5:1 5:2 ")
    assert asked("write", {"control": "write", "dials": {"times": 0}}) == (200, "")


def test_a_text_ends_when_the_page_leaves():
    """Its generator is asked for nothing more, and others are answered."""

    async def each(client, address):
        headers = {"Origin": address.rstrip("/")}
        question = json.dumps({"control": "write", "dials": {"times": 10**8}})
        async with client.post(f"{address}write", data=question, headers=headers) as answer:
            assert (await answer.content.readany()).startswith(b"0:0 ")
        async with client.post(f"{address}make", data=json.dumps({"control": "draw"}), headers=headers) as answer:
            return answer.status

    assert with_server(each) == 200


@pytest.mark.parametrize(
    ("path", "question", "status", "said"),
    [
        ("make", "{", 400, "not JSON"),
        ("make", "[" * 2000, 400, "not JSON"),
        ("make", "[]", 400, "a JSON object"),
        ("make", {"control": "darw"}, 400, "did you mean 'draw'"),
        ("make", {"control": "draw", "dials": []}, 400, "a JSON object"),
        ("make", {"control": "draw", "dials": {"time": 1}}, 400, "did you mean 'times'"),
        ("make", {"control": "draw", "seed": "x"}, 400, "give a whole number"),
        ("make", {"control": "draw", "seed": 2**64}, 400, "seed"),
        ("make", {"control": "write"}, 400, "ask /write"),
        ("write", {"control": "draw"}, 400, "ask /make"),
        ("write", {"control": "write", "dials": {"times": -1}}, 400, "times=-1"),
        ("make", {"control": "faulty"}, 500, "KeyError"),
    ],
)
def test_whatever_is_wrong_is_said(path, question, status, said):
    found, text = asked(path, question)
    assert found == status and said in json.loads(text)["error"]
