import numpy as np
import pytest

from generative.data.drawn.keeping import Drawings
from generative.runs.run_folder import Choice, TrainingConfig
from generative.training.fit_config import FitConfig
from scripts.generative.data.data_sets import draw_ahead, load


def config(name, options):
    return TrainingConfig(Choice("vae", {}), Choice(name, options), FitConfig(steps=10), batch=8)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GENERATIVE_CACHE", str(tmp_path))
    monkeypatch.setattr("scripts.generative.data.data_sets.usable_cores", lambda: 1)


@pytest.mark.slow
def test_what_a_training_reads_first_is_drawn_and_then_nothing_waits(monkeypatch):
    monkeypatch.setattr("scripts.generative.data.data_sets.WORTH_IT", 300)
    chosen = config("pen-digits", {"size": 12, "count": 700})
    data = load(chosen.data)
    states = list(draw_ahead(chosen, data, taken=320))
    assert states[-1].done == states[-1].total == 320 and {state.stage for state in states} == {"draw"}
    drawings = data.readers["image"]
    assert isinstance(drawings, Drawings)
    drawn = []
    monkeypatch.setattr(type(drawings.config), "draw", lambda self, items: drawn.extend(items))
    stream = data.batches(8, chosen.seed)(0)
    for _ in range(320 // 8):
        next(stream)
    assert not drawn
    assert not list(draw_ahead(chosen, data, taken=320))


def test_few_images_and_data_that_are_not_drawn_begin_at_once():
    few = config("pen-digits", {"size": 12, "count": 500})
    assert not list(draw_ahead(few, load(few.data), taken=10_000))
    read = config("digits", {})
    assert not list(draw_ahead(read, load(read.data), taken=10_000))
    assert np.array(load(read.data).get("image", np.arange(2))).any()
