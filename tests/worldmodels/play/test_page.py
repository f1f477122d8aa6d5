"""The page in a real browser: keys, dials and buttons do what they say."""

import asyncio
import base64

import numpy as np
import pytest

from tests.accessibility import faults
from tests.browser import PATIENCE, PROGRAM, opened
from tests.worldmodels.play.conftest import make
from worldmodels.play.server import Served, Server

PICTURE = """(() => {{
  const canvas = document.querySelector("#{0} .came"), {{ width, height }} = canvas;
  return btoa(String.fromCharCode(...canvas.getContext("2d").getImageData(0, 0, width, height).data));
}})()"""
UNUSABLE = """(() => {
  document.body.insertAdjacentHTML("beforeend",
    '<div id="unusable"><p>faint</p><button></button><button tabindex="-1">far</button></div>');
  Object.assign(document.querySelector("#unusable p").style, { color: "#bbb", background: "#fff" });
})()"""
STEP = "Number(document.querySelector('#real [data-fact=step]').textContent)"


async def picture(tab, world):
    """Return what a world's canvas shows, uint8 (32 32 3)."""
    pixels = np.frombuffer(base64.b64decode(await tab.value(PICTURE.format(world))), np.uint8)
    return pixels.reshape(32, 32, 4)[..., :3]


async def shows(tab, session, world):
    """Wait until the page shows what the session sees; a step may still be on its way."""
    async with asyncio.timeout(PATIENCE):
        while (await picture(tab, world)).tobytes() != session.look().frames[world].tobytes():
            await asyncio.sleep(0.05)


async def wider(tab, width):
    """Return by how much the page is wider than a screen."""
    await tab.resize(width, 844)
    return await tab.value("document.documentElement.scrollWidth - innerWidth")


async def turned(tab, session, code):
    """Drive on with a key held, and return by how much the car has turned to the left (rad)."""
    await tab.value("document.querySelector('#restart').click()")
    await tab.until(f"{STEP} === 0")
    await tab.key("ArrowUp")
    await tab.until(f"{STEP} > 12")
    await tab.key(code)
    before = session._real.env.unwrapped.car.hull.angle
    await tab.until(f"{STEP} > 30")
    for each in (code, "ArrowUp"):
        await tab.key(each, down=False)
    await tab.key("Space")
    await tab.until("document.querySelector('#play').textContent === 'Drive'")
    return session._real.env.unwrapped.car.hull.angle - before


async def slide(tab, selector, value):
    await tab.value(
        f"(() => {{ const slider = document.querySelector({selector!r}); slider.value = {value};"
        "slider.dispatchEvent(new Event('input', {bubbles: true})); })()"
    )


@pytest.mark.slow
@pytest.mark.skipif(PROGRAM is None, reason="no Chromium here: the page is not opened")
def test_keys_turn_the_car_and_sliders_change_the_frame(tmp_path):
    async def look():
        server = Server(Served("run", make("WorldModels/FastCarRacing-v3"), {}))
        address = await server.open(0)
        try:
            async with opened(address, tmp_path) as tab:
                await tab.until("document.querySelector('#run').textContent === 'run'")
                session = next(iter(server.seats.values()))
                assert await tab.value("document.querySelectorAll(':is(#films, #parts, #choice)[hidden]').length") == 0
                await tab.value(UNUSABLE)
                found = [each.split(": ")[2] for each in await faults(tab)]
                assert found == 2 * ["contrast 1.92", "no name", "not reached by keyboard"]
                await tab.value("document.querySelector('#unusable').remove()")
                for width in (390, 1280):
                    assert await wider(tab, width) == 0 and await faults(tab) == []

                await shows(tab, session, "dream")
                before = await picture(tab, "dream")
                await slide(tab, "#latents .latent:nth-child(2) input", 3)
                await tab.until("document.querySelector('#latents .latent:nth-child(2) select').value === 'hold'")
                while (await picture(tab, "dream")).tobytes() == before.tobytes():
                    await asyncio.sleep(0.05)
                await shows(tab, session, "dream")
                assert session.look().facts["latent"][1] == pytest.approx(3, abs=0.01)

                await tab.value("document.querySelector('[value=both]').click()")
                await tab.until("!document.querySelector('#real').hidden")
                assert await faults(tab) == []
                assert await turned(tab, session, "ArrowLeft") > 0.05
                assert await turned(tab, session, "KeyD") < -0.05
                await shows(tab, session, "real")

                await tab.key("KeyG")
                await tab.key("Period")
                await tab.until("document.querySelector('#agent').textContent === 'Take the wheel'")
                while not session.look().facts["agent"]:
                    await asyncio.sleep(0.05)
                assert tab.said == []
        finally:
            await server.close()

    asyncio.run(look())
