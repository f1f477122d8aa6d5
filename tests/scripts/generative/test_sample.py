"""`generative sample`: the dials of the run's model are its options, and labels choose what is drawn."""

import cv2
import numpy as np
import pytest

from generative import ComponentError
from generative.data import Field
from scripts.generative import sample
from scripts.generative.cli import main
from scripts.generative.runs.making import told
from scripts.generative.sample import SampleOptions
from tests.scripts.generative.small import RING, finished


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return {name: finished(folder / name, name) for name in ("vae", "conditional-vae", "naive-bayes", "pca")}


def drawn(run, *words):
    assert main(["sample", str(run.path), *words]) == 0
    return cv2.imread(str(run.path / "samples" / "drawn.png"))


@pytest.mark.parametrize("model", ["vae", "naive-bayes", "pca"])
def test_the_temperature_of_the_command_line_reaches_the_model(runs, model):
    usual, same, calm = (drawn(runs[model], *words) for words in ([], ["--temperature", "1"], ["--temperature", "0"]))
    assert np.array_equal(usual, same) and not np.array_equal(usual, calm)
    assert np.array_equal(calm, drawn(runs[model], "--temperature", "0", "--seed", "5"))  # nothing is left to chance


def test_the_options_stand_before_or_behind_the_run(runs):
    path = str(runs["vae"].path)
    assert main(["sample", "--count", "4", path]) == 0
    assert main(["sample", "--count", "4", path, "--temperature", "0.5"]) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--temperature", "-1"], "temperature=-1.0: must be 0 or more"),
        (["--temperature", "hot"], "temperature"),
        (["--top-k", "3"], "--top-k"),
        (["--tempreature", "3"], "did you mean --temperature"),
    ],
)
def test_a_dial_that_the_model_does_not_have_is_refused(runs, capsys, words, message):
    assert main(["sample", str(runs["vae"].path), *words]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1


def test_help_shows_the_dials_of_the_run_with_what_they_do(runs, capsys):
    for model, said in (("vae", "Times the variance"), ("naive-bayes", "Divides the log-probabilities")):
        with pytest.raises(SystemExit):
            main(["sample", str(runs[model].path), "--help"])
        (line,) = [line for line in capsys.readouterr().out.splitlines() if "--temperature" in line]
        assert said in line and "1.0" in line


def classes(*names):
    return {"label": Field("label", (), "int64", names, (len(names),))}


def test_labels_are_drawn_in_turn(runs):
    run = runs["conditional-vae"]
    module = sample.open_model(run)
    usual = drawn(run, "--count", "10", "--columns", "10")
    assert np.array_equal(usual, drawn(run, "--count", "10", "--columns", "10", "--labels", *map(str, range(10))))
    assert not np.array_equal(usual, drawn(run, "--count", "10", "--columns", "10", "--labels", "3"))
    assert told(module, ("cat", "1"), 5, classes("dog", "fish", "cat")).tolist() == [2, 1, 2, 1, 2]
    assert told(module, ("1",), 2, classes("3", "2", "1")).tolist() == [2, 2]  # the name


def test_labels_that_say_nothing_are_refused(runs, tmp_path, capsys):
    with pytest.raises(ComponentError, match="vae is told no labels"):
        sample.main(runs["vae"], SampleOptions(labels=("3",)))
    run = runs["conditional-vae"]
    for wrong in ("10", "-1", "seven"):
        with pytest.raises(ValueError, match=f"labels={wrong}: no such class"):
            sample.main(run, SampleOptions(labels=(wrong,)))
    points = finished(tmp_path / "ring", "dcgan", RING)
    assert "samples: " in sample.main(points, SampleOptions(count=4))[0]
