"""The words of a command line, in both programs: what an empty one means, and which folder a name."""

from pathlib import Path

import pytest

from scripts import cli
from scripts.generative import cli as generative
from scripts.terminal.words import UsageError, folder_of, take, take_flag

RUNS = Path("runs")


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("words", "rest", "value"),
    [
        (["x", "--preset", "toy", "y"], ["x", "y"], "toy"),
        (["x", "--preset=toy", "y"], ["x", "y"], "toy"),
        (["--preset=a=b"], [], "a=b"),
        (["x", "--presets", "toy"], ["x", "--presets", "toy"], None),
        ([], [], None),
    ],
)
def test_an_option_is_taken_with_its_value(words, rest, value):
    assert take(words, "--preset") == (rest, value)


@pytest.mark.parametrize("words", [["--preset"], ["--preset="], ["--preset", ""], ["--preset", " "], ["--preset= "]])
def test_an_option_without_a_value_is_refused(words):
    with pytest.raises(UsageError, match=r"--preset needs a value; leave it out"):
        take(["x", *words], "--preset")


def test_a_flag_is_taken_wherever_it_stands():
    assert take_flag(["run", "--traceback", "x"], "--traceback") == (["run", "x"], True)
    assert take_flag(["run", "x"], "--traceback") == (["run", "x"], False)


@pytest.mark.parametrize("name", ["./x", "x/", "../x", "deep/x", ".", "..", "/x"])
def test_a_folder_that_is_named_as_one_stands_as_it_is(name):
    assert folder_of(name, RUNS) == Path(name)


def test_a_bare_name_is_a_run_unless_such_a_folder_is_here(tmp_path):
    assert folder_of("x", RUNS) == RUNS / "x"
    (tmp_path / "x").mkdir()
    assert folder_of("x", RUNS) == Path("x")


@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_name_is_no_run(name):
    with pytest.raises(UsageError, match="the name of the run is empty"):
        folder_of(name, RUNS)


@pytest.mark.parametrize(
    ("main", "words", "message"),
    [
        (cli.main, ["run", "x", "--preset="], "worldmodels: --preset needs a value"),
        (cli.main, ["run", "x", "--preset", ""], "worldmodels: --preset needs a value"),
        (cli.main, ["run", "x", "--config", ""], "worldmodels: --config needs a value"),
        (cli.main, ["run", "x", "--config="], "worldmodels: --config needs a value"),
        (cli.main, ["run", "", "--preset", "toy"], "worldmodels: the name of the run is empty"),
        (cli.main, ["info", ""], "worldmodels: the name of the run is empty"),
        (cli.main, ["study", ""], "worldmodels: the name of the run is empty"),
        (cli.main, ["study", "x", "--file="], "worldmodels: --file needs a value"),
        (generative.main, ["train", "vae", "--preset="], "generative: --preset needs a value"),
        (generative.main, ["train", "vae", "--out", ""], "generative: --out needs a value"),
        (generative.main, ["train", "vae", "--data="], "generative: --data needs a value"),
        (generative.main, ["sample", ""], "generative: the name of the run is empty"),
    ],
)
def test_an_empty_word_is_refused_before_anything_is_made(main, words, message, capsys, tmp_path):
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith(message) and said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_both_programs_take_a_folder_where_it_is_named():
    assert cli.parse("run", ["./x", "--preset", "toy"]).run == Path("x")
    assert cli.parse("run", ["x", "--preset", "toy"]).run == Path("runs/x")
    assert generative.run_path("./x") == Path("x")
    assert generative.run_path("x") == Path("runs/generative/x")
