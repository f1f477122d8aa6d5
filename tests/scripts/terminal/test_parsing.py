"""The words of a command line, in both programs: what an empty one means, and which folder a name."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts import cli
from scripts.generative import cli as generative
from scripts.generative.runs.folders import run_path
from scripts.terminal.parsing import UsageError, first_of, folder_of, parsed, peeked

RUNS = Path("runs")


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@dataclass(frozen=True)
class Start:
    preset: str | None = None
    dry_run: bool = False


@pytest.mark.parametrize(
    ("words", "others", "preset"),
    [
        (["x", "--preset", "toy", "y"], ["x", "y"], "toy"),
        (["x", "--preset=toy", "y"], ["x", "y"], "toy"),
        (["--preset=a=b"], [], "a=b"),
        (["x", "--presets", "toy"], ["x", "--presets", "toy"], None),
        ([], [], None),
    ],
)
def test_what_is_needed_first_is_read_and_the_rest_stands_in_its_order(words, others, preset):
    assert peeked(Start, words) == (Start(preset), others)
    assert peeked(Start, [*words, "--dry-run"]) == (Start(preset, True), others)


@pytest.mark.parametrize("words", [["--preset"], ["--preset="], ["--preset", ""], ["--preset", " "], ["--preset= "]])
def test_an_option_without_a_value_is_refused(words):
    for read in (lambda: peeked(Start, words), lambda: parsed(Start, words, "worldmodels", "")):
        with pytest.raises(UsageError, match=r"^--preset needs a value; leave it out"):
            read()


def test_the_run_is_the_first_word():
    assert first_of(["x", "--env.id", "y"]) == "x" and first_of([]) is None and first_of(["--env.id", "y"]) is None
    with pytest.raises(UsageError, match="name the run first: worldmodels run x --FIELD"):
        cli.parse("run", ["--preset", "toy", "--workers", "3", "x"])
    assert cli.parse("run", ["--preset", "toy", "x", "--workers", "3"]).run == Path("runs/x")


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
    assert run_path("./x") == Path("x")
    assert run_path("x") == Path("runs/generative/x")
