"""The notebooks of docs/notebooks run from the first cell to the last, on tiny data, and show what they promise."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest

from generative.report.glance import Glance
from generative.report.plots import NotebookFigure
from generative.runs.run_folder import Choice, preset
from tests.notebooks import PARAMETERS, cells, executed
from tests.page import Page
from tests.small import tiny_config
from worldmodels.memories.registry import MEMORIES

DOCS = Path(__file__).parent.parent / "docs"
NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.py"))
MOST_LINES = 20
KNOWN = "The function returns "
"""What a notebook has a model go on from; this file is the text that it learns from."""
OPTIONS = {
    "vae": {"latent": 4, "width": 8},
    "autoencoder": {"latent": 4, "width": 8, "density": 2},
    "dcgan": {"latent": 4, "width": 8},
    "wgan-gp": {"latent": 4, "width": 8},
    "real-nvp": {"couplings": 2, "width": 8, "hidden": 1},
    "energy": {"width": 8, "walk": 2, "replay": 64},
    "diffusion": {"widths": [8], "blocks": 1},
    "pixel-cnn": {"width": 4, "layers": 2, "levels": 4},
    "transformer": {"width": 16, "layers": 1, "heads": 2},
    "gpt-2": {"width": 8, "layers": 1, "heads": 2, "context": 16},
    "stylegan": {"latent": 4, "styles": 4, "width": 4, "mapping": 1},
    "music-transformer": {"width": 8, "layers": 1, "heads": 2},
    "muse-gan": {"width": 16, "critic_width": 4, "critic_steps": 1},
}
DATA = {"faces": {"size": 16, "count": 80}, "pen-digits": {"size": 16, "count": 80}, "digits": {"size": 8},
        "moons": {"count": 600}, "ring": {"count": 600}, "dates": {"count": 200},
        "text": {"length": 16, "path": __file__}, "progressions": {"count": 100, "bars": 2}}  # fmt: skip


def less(model, name="fast"):
    """A preset of few and small things."""
    config = preset(model, name)
    data = Choice(config.data.type, {**config.data.options, **DATA[config.data.type]})
    options = {name: value for name, value in config.model.options.items() if name in ("norm", "conditional")}
    small = Choice(model, {**options, **OPTIONS[model]})
    return replace(config, data=data, model=small, batch=4, shown=4, show_every=1000, device="cpu")


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_what_it_made(notebook, tmp_path, monkeypatch, hasty_vision):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("scripts.generative.notebook.preset", less)
    monkeypatch.setattr("worldmodels.preset", lambda name: tiny_config())
    monkeypatch.setattr(MEMORIES, "_catalogue", copy.deepcopy(MEMORIES._catalogue))
    steps = {"STEPS": 2} if "STEPS" in notebook.read_text() else {}
    shown = executed(notebook, **steps)
    assert len(shown) >= 4
    for each in shown:
        if isinstance(each, NotebookFigure):
            assert each.subfigs
        elif not isinstance(each, str):
            page = Page(each._repr_html_())
            assert page.loads == []
            if isinstance(each, Glance):  # something made: a picture, a sound or a text
                assert each.media or each.text


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_read_with_ease(notebook):
    """It begins with its title, has one cell of parameters, short cells, and a sentence before most of them."""
    found = cells(notebook)
    assert found[0].words and found[0].text.startswith("# # ")
    assert [cell.head for cell in found].count(PARAMETERS) == 1
    for cell in found:
        assert cell.head in ("", "[markdown]", PARAMETERS)
        assert all(line.startswith("#") for line in cell.text.splitlines()) or not cell.words
        assert len([line for line in cell.text.splitlines() if line]) <= (6 if cell.words else MOST_LINES)
    assert sum(cell.words for cell in found) >= 5


def test_every_notebook_is_on_its_page_with_a_picture():
    page = (DOCS / "notebooks.md").read_text()
    for notebook in NOTEBOOKS:
        assert f"notebooks/{notebook.name}" in page and f"notebooks/{notebook.stem}.png" in page
