"""The exported page in a real browser, from a host that serves files and nothing else."""

import asyncio
import contextlib
import json

import numpy as np
import pytest
from aiohttp import web

from agents import ActionSpec
from tests.browser import PROGRAM, opened
from tests.worldmodels.play.exported.reference import dreamt
from worldmodels.play.wheel import Wheel

DREAM = """(async () => {
  const [{ loaded }, { Dream }] = await Promise.all([import("./page/load.js"), import("./page/dream.js")]);
  const parts = await loaded(() => {}), found = [];
  for (const [seed, start, noise, temperature] of %s) {
    const dream = new Dream(parts);
    dream.turn({ ...dream.dials, noise, temperature });
    dream.begin(seed, start);
    const steps = [];
    for (let step = 0; step < 80; step += 1) {
      await dream.step(await dream.agent());
      steps.push([[...dream.z], dream.facts.reward, dream.facts.end_probability]);
    }
    found.push([dream.gained, steps]);
  }
  return JSON.stringify(found);
})()"""
DREAMS = [
    (0, "initial", "mixture", 1.0),
    (9, "initial", "mixture", 0.0),
    (2**31 - 1, "recorded", "mixture", 0.5),
    (5, "recorded", "residual", 1.0),
]
RULES = """(async () => {
  const [{ loaded }, { Dream }] = await Promise.all([import("./page/load.js"), import("./page/dream.js")]);
  const { sheet, ...rest } = await loaded(() => {});
  const ends = (rewards, changes) => {
    const dream = new Dream({ sheet: { ...sheet, horizon: 4, penalty: 10, ...changes }, ...rest });
    for (const [reward, end] of rewards) if (!dream.over) dream.take(reward, end, 0.5);
    return [dream.over, dream.steps, dream.gained];
  };
  const dream = new Dream({ sheet, ...rest }), wheels = [[-0.5, 1, 0], [0.5, -0.25, 2]];
  const turned = async (dials) => {
    dream.turn({ ...dream.dials, noise: "mixture", temperature: 0, held: [], pushed: [], ...dials });
    dream.begin(3, "initial");
    await dream.step(Float32Array.of(0.1, 0.2, 0.3));
    return [...dream.z];
  };
  const at = (spec, choices) => wheels.map(([x, y, choice]) => {
    dream.sheet = { ...sheet, spec, choices };
    return [...dream.action({ x, y, choice })];
  });
  return JSON.stringify({
    ends: [
      ends([[1, 0.4], [1, 0.6], [1, 0]], {}),
      ends([[1, 0], [0, 0], [-1, 0], [1, 0]], { no_reward_limit: 2 }),
      ends([[1, 0], [0, 0], [1, 0], [0, 0], [1, 0]], { no_reward_limit: 2 }),
    ],
    actions: [at({ low: [-2, 0, 0], high: [4, 1, 2] }, 0), at({ low: [0, 0, 0], high: [1, 1, 1] }, 3)],
    turned: [await turned({}), await turned({ pushed: [[0, 0.25]] }), await turned({ held: [[1, 0.5]] })],
  });
})()"""
HOSTS = "[...new Set(performance.getEntriesByType('resource').map((each) => new URL(each.name).host))].join()"
SHOWN = "document.querySelector('[data-fact={}]').textContent"


@contextlib.asynccontextmanager
async def served(folder):
    """Serve a folder's files, and return its address."""
    app = web.Application()
    app.router.add_static("/", folder)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


@pytest.mark.slow
@pytest.mark.xdist_group("exported page")
@pytest.mark.skipif(PROGRAM is None, reason="no Chromium here: the page is not opened")
def test_the_page_dreams_by_itself_what_the_run_dreams(exported, page, tmp_path):
    async def look():
        async with served(page) as host, opened(f"{host}index.html", tmp_path) as tab:
            await tab.until("document.querySelector('#run').textContent === 'run'")
            assert await tab.value("[...document.styleSheets].every((sheet) => sheet.cssRules.length > 5)")
            for each, (gained, steps) in zip(
                DREAMS, json.loads(await tab.value(DREAM % json.dumps(DREAMS))), strict=True
            ):
                seed, start, noise, temperature = each
                ours = dreamt(exported, 80, seed, start, noise, temperature)
                for own, mine in zip(ours, zip(*steps, strict=True), strict=True):
                    np.testing.assert_allclose(np.array(mine), own, atol=1e-3, err_msg=str(each))
                assert gained == pytest.approx(float(ours[1].sum()), rel=0.01)

            rules = json.loads(await tab.value(RULES))
            assert rules["ends"] == [["terminated", 2, -8], ["no reward", 3, -10], ["time is up", 4, 2]]
            specs = (
                ActionSpec(3, (-2, 0, 0), (4, 1, 2), ("tanh",) * 3, False),
                ActionSpec(3, (0,) * 3, (1,) * 3, (), True),
            )
            for spec, taken in zip(specs, rules["actions"], strict=True):
                for wheel, action in zip((Wheel(-0.5, 1), Wheel(0.5, -0.25, 2)), taken, strict=True):
                    np.testing.assert_allclose(action, wheel.action(spec))
            (first, *others), pushed, held = rules["turned"]
            assert pushed == [pytest.approx(first + 0.25), *others]
            assert held[1] == 0.5 != others[0] and held[0] != first  # the memory has seen it held

            await tab.value("[document.querySelector('#seed').value = 0, document.querySelector('#restart').click()]")
            await tab.key("KeyG")
            for step in range(1, 4):
                await tab.key("Period")
                await tab.until(f"{SHOWN.format('step')} === '{step}'")
            own = dreamt(exported, 3, 1)[1]  # a restart is a dream of the next seed
            assert float(await tab.value(SHOWN.format("return"))) == pytest.approx(float(own.sum()), abs=0.06)
            await tab.key("KeyG")
            await tab.key("ArrowLeft")
            await tab.until(f"Number({SHOWN.format('step')}) > 9")
            await tab.key("Space")

            hidden = "['films', 'parts', 'choice'].every((id) => document.getElementById(id).hidden)"
            assert await tab.value(hidden) and await tab.value(HOSTS) == host.split("/")[2]
            for width in (390, 1280):
                await tab.resize(width, 844)
                assert await tab.value("document.documentElement.scrollWidth - innerWidth") == 0
            assert tab.said == []

            await tab.call("Page.navigate", url=f"{page.as_uri()}/index.html")
            await tab.until("document.querySelector('#error')?.textContent.includes('python -m http.server')")

    asyncio.run(look())
