"""A model in a real browser: its dials are on the page, and turning them makes something else."""

import asyncio
import base64
import io
import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest
from PIL import Image

from generative.play.server import ModelServer, ShownModel
from scripts.generative.cli import main
from scripts.generative.play import controls_of
from scripts.generative.runs.assembly import open_model
from tests.browser import PROGRAM, opened
from tests.scripts.generative.small import finished

MADE = """(async () => {
  const image = document.querySelector("#made img");
  await image.decode();
  const size = { width: image.naturalWidth, height: image.naturalHeight };
  const canvas = Object.assign(document.createElement("canvas"), size);
  const drawn = canvas.getContext("2d");
  drawn.drawImage(image, 0, 0);
  const { data } = drawn.getImageData(0, 0, canvas.width, canvas.height);
  return [canvas.height, canvas.width, btoa(String.fromCharCode(...data))];
})()"""
TURN = """(() => {
  const slider = document.querySelectorAll("#dials input[type=range]")[1];
  slider.value = 4;
  slider.dispatchEvent(new Event("input", { bubbles: true }));
})()"""
QUIET = "/ s$/.test(document.querySelector('#status').textContent)"
UNNAMED = """[...document.querySelectorAll("button, input, select, textarea")].filter((control) => !(
  control.labels?.length || control.getAttribute("aria-label") || control.textContent.trim())).length"""


@pytest.fixture(scope="module")
def vae(tmp_path_factory):
    run = finished(tmp_path_factory.mktemp("vae") / "faces", "vae")
    (run.path / "attribute").mkdir()
    (run.path / "attribute" / "bright.json").write_text(json.dumps({"vector": [3.0, 0.0, 0.0, 0.0]}))
    return run


def controls(run):
    return controls_of(run, open_model(run))


async def seen(tab):
    """Return the picture on the page, uint8 (H W 3)."""
    height, width, data = await tab.value(MADE)
    return np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)[..., :3]


@pytest.mark.slow
def test_every_view_and_every_way_to_sample_is_a_control(vae, tmp_path):
    found = controls(vae)
    assert list(found) == ["sample", "edit", "traversal", "interpolation", "morph"]
    assert [dial.name for dial in found["sample"].dials] == ["count", "columns", "temperature"]
    assert [[each.name for each in dial.sliders] for dial in found["edit"].dials] == [
        [],
        ["z0", "z1", "z2", "z3"],
        ["bright"],
    ]
    told = controls(finished(tmp_path / "digits", "conditional-vae"))["sample"]
    assert {dial.name: dial.choices for dial in told.dials}["labels"] == tuple("0123456789")
    files = told.make(told.turned({"count": 3, "labels": ["7"]}), 0)
    assert list(files) == [".png"] and files == told.make(told.turned({"count": 3, "labels": ["7"]}), 0)
    assert files != told.make(told.turned({"count": 3, "labels": ["1"]}), 0)


def test_what_a_control_makes_is_what_its_command_writes(vae):
    view = controls(vae)["interpolation"]
    assert main(["show", str(vae.path), "interpolation", "--pairs", "2", "--seed", "3"]) == 0
    (made,) = view.make(view.turned({"pairs": 2}), 3).values()
    assert made == (vae.path / "pictures" / "interpolation.png").read_bytes()


@pytest.mark.slow
def test_a_text_is_what_write_prints(tmp_path, capsys):
    run = finished(tmp_path / "text", "lstm")
    write = controls(run)["write"]
    said = "".join(write.stream(write.turned({"prompt": "ab", "length": 20}), 4))
    assert main(["write", str(run.path), "--prompt", "ab", "--length", "20", "--seed", "4"]) == 0
    assert capsys.readouterr().out.removesuffix("\n") == said and said.startswith("ab") and len(said) > 4


def test_a_damaged_attribute_is_named(vae, tmp_path):
    run = finished(tmp_path / "damaged", "vae")
    (run.path / "attribute").mkdir()
    (run.path / "attribute" / "bright.json").write_text("{}")
    with pytest.raises(ValueError, match=r"bright\.json: no attribute"):
        controls(run)


@pytest.mark.slow
@pytest.mark.skipif(PROGRAM is None, reason="no Chromium here: the page is not opened")
def test_sliders_change_what_is_seen(vae, tmp_path):
    async def look():
        server = ModelServer(ShownModel("faces", "about", controls(vae)))
        address = await server.open(0)
        try:
            async with opened(address, tmp_path) as tab:
                await tab.until(QUIET)
                assert await tab.value(UNNAMED) == 0
                for width in (390, 1280):
                    await tab.resize(width, 844)
                    assert await tab.value("document.documentElement.scrollWidth - innerWidth") == 0
                await tab.value("document.querySelector('[data-name=edit]').click()")
                await tab.until("document.querySelectorAll('#dials input[type=range]').length === 5")
                await tab.until("Boolean(document.querySelector('#made img'))")
                before = await seen(tab)
                await tab.value(TURN)
                shown = "document.querySelector('#made img').src"
                old = await tab.value(shown)
                await tab.until(f"{shown} !== {old!r}")
                after = await seen(tab)
                assert before.shape == after.shape and (before != after).any()
                edit = controls(vae)["edit"]
                (wanted,) = edit.make(edit.turned({"moved": [0, 4, 0, 0]}), 0).values()
                assert (after == np.asarray(Image.open(io.BytesIO(wanted)).convert("RGB"))).all()
                assert await tab.value("document.querySelector('#error').hidden") and tab.said == []
        finally:
            await server.close()

    asyncio.run(look())


@pytest.mark.slow
def test_a_run_is_served_until_ctrl_c(vae, capsys):
    words = ["play", str(vae.path), "--port", "0", "--browser", "False"]
    entry = "import sys; from scripts.generative.cli import entry; entry()"
    with subprocess.Popen(
        [sys.executable, "-c", entry, *words], cwd=Path(__file__).parents[3], text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as served:  # fmt: skip
        address = re.search(r"play: faces at (http://127\.0\.0\.1:(\d+)/)", served.stdout.readline())
        try:
            assert b"generative play" in urlopen(address[1], timeout=20).read()
            assert main(["play", str(vae.path), "--port", address[2]]) == 1
            assert f"port {address[2]} is taken" in capsys.readouterr().err
        finally:
            served.send_signal(signal.SIGINT)
            said, errors = served.communicate(timeout=60)
        assert (served.returncode, said, errors) == (0, "play: ended\n", "")


def test_a_port_that_is_none_is_refused(vae, capsys):
    assert main(["play", str(vae.path), "--port", "70000"]) != 0
    assert "port=70000: must be from 0 to 65535" in capsys.readouterr().err
