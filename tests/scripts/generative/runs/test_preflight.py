"""Sizes that cannot fit into memory are refused before a run folder is made, and before they are allocated."""

import pytest

from generative import MODELS
from generative.runs.run_folder import Choice, TrainingRun
from scripts.generative.cli import main
from scripts.generative.data.data_sets import load
from worldmodels.errors import RunError
from worldmodels.run.preflight import imagined

SHAPES = ["--data", "shapes", "--data.size", "16", "--data.count", "200", "--model.width", "8"]
RING = ["--data", "ring", "--data.count", "200"]


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("worldmodels.machine.memory_limit", lambda: 8 * 2**30)  # whatever machine this is


@pytest.mark.parametrize(
    ("words", "message", "code"),
    [
        (["vae", *SHAPES, "--shown", "1000000000"], "shown=1000000000: takes 2,861.0 GiB", 1),
        (["vae", *SHAPES, "--model.width", "1000000"], "model.options: a network=of 576,001,042,000,067 weights", 1),
        (["vae", *SHAPES, "--data.size", "100000"], "the shape of an item=(100000, 100000, 3): takes 111.8 GiB", 1),
        (["vae", *SHAPES, "--data.size", "8000", "--data.count", "2000", "--batch", "1024"], "batch=1024: takes", 1),
        (["vae", *SHAPES, "--data.count", "1000000000"], "data.count=1000000000: takes 44.7 GiB", 1),
        (["vae", *SHAPES, "--data.count", "10000000000000"], "data.count=1e+13: too large to mean anything", 2),
        (["vae", "--data", "faces", "--data.size", "100000"], "the shape of an item=(100000, 100000, 3)", 1),
        (["wgan", *RING, "--shown", "1000000000"], "shown=1000000000: takes 29.8 GiB", 1),
        (["wgan", *RING, "--data.count", "1000000000"], "data.count=1000000000: takes 44.7 GiB", 1),
    ],
)
def test_what_cannot_fit_is_refused_and_nothing_is_made(words, message, code, tmp_path, capsys):
    assert main(["train", *words]) == code
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1 and "Traceback" not in said and "Error" not in said
    assert list(tmp_path.iterdir()) == []


def test_data_of_a_configuration_are_refused_too():
    with pytest.raises(ValueError, match=r"data\.count=1e\+13: too large"):
        load(Choice("shapes", {"count": 10**13}))
    with pytest.raises(RunError, match=r"data\.count=1000000000: takes"):
        load(Choice("grid", {"count": 10**9}))


@pytest.mark.slow
def test_what_is_finished_is_read_on_a_machine_where_it_could_not_be_trained(monkeypatch, capsys):
    words = ["train", "vae", *SHAPES, "--fit.steps", "1", "--fit.warmup", "1", "--batch", "8", "--shown", "8"]
    assert main(words) == 0
    assert TrainingRun("runs/generative/vae").facts()["steps"] == 1
    monkeypatch.setattr("worldmodels.machine.memory_limit", lambda: 2**15)
    assert main([*words, "--out", "other"]) == 1
    assert "model.options" in capsys.readouterr().err
    assert main(words) == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in MODELS.names() if name != "naive-bayes"])
def test_a_model_can_be_imagined(name):
    """Otherwise its sizes would go unchecked; the tables of naive Bayes are as large as an item."""
    assert imagined(lambda: MODELS.create(name, {})) is not None
