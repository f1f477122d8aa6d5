import pytest

from scripts.cli import main, parse
from scripts.terminal.environment import remarks
from scripts.terminal.parsing import UsageError
from tests.strange import on_path  # noqa: F401  # a fixture
from worldmodels import preset
from worldmodels.config import config_from
from worldmodels.errors import RunError

TOY = ["mine", "--preset", "toy"]


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ([], {"size": 32}),
        (["--env.options", "None"], {}),
        (["--env.options", "{}"], {}),
        (["--env.options={}"], {}),
        (["--env.options"], {}),
        (["--env.options", "{size: 24}"], {"size": 24}),
        (["--env.options", "size", "24", "discrete", "True"], {"size": 24, "discrete": True}),
        (["--env.options.size", "24"], {"size": 24}),
        (["--env.options.discrete", "True"], {"size": 32, "discrete": True}),
        (["--env.options.discrete=True", "--env.options.size=24"], {"size": 24, "discrete": True}),
        (["--env.options", "{}", "--env.options.size", "24"], {"size": 24}),
        (["--env.options.some-key", "a"], {"size": 32, "some_key": "a"}),
    ],
)
def test_options_are_set_added_to_and_emptied(words, options):
    config = parse("run", [*TOY, *words, "--seed", "3"]).config
    assert config.env.options == options and config.seed == 3


@pytest.mark.parametrize("given", [["3"], ["a: ["], ["a", "b", "c"]])
def test_options_that_are_none(given):
    with pytest.raises(RunError, match=r"env\.options=.*give pairs of key and value, or \{\} for none"):
        parse("run", [*TOY, "--env.options", *given])
    with pytest.raises(RunError, match=r"env\.options\.some="):
        parse("run", [*TOY, "--env.options.some", "[1, 2]"])


@pytest.mark.parametrize("words", [["--env.options.some"], ["--env.options.some", "--seed", "1"]])
def test_an_option_of_the_environment_needs_a_value(words):
    with pytest.raises(UsageError, match=r"--env\.options\.some needs one value"):
        parse("run", [*TOY, *words])


def test_commands_that_play_nothing_new_take_no_options():
    with pytest.raises(UsageError, match=r"Unrecognized options: --env\.options"):
        parse("train-vision", [*TOY, "--env.options", "{}"])


def test_another_environment_leaves_what_is_the_preset_s_own():
    words = ["mine", "--preset", "quick", "--env.id", "WorldModels/Toy-v0"]
    config = parse("run", [*words, "--env.crop", "0", "48", "--dream.horizon", "7"]).config
    assert (config.env.crop, config.env.max_steps, config.env.action_repeat) == ((0, 48), 0, 1)
    assert config.env.no_reward_limit == 0 and config.env.limit == 50
    assert config.collect.bias == config.controller.bias == () and config.dream.horizon == 7
    assert (config.memory.reward.type, config.memory.termination.type) == ("smoothed", "env")
    assert config.vision == preset("quick").vision and config.evolve.optimiser == preset("quick").evolve.optimiser
    (line,) = remarks(config)
    assert "another environment than the preset `quick` is for" in line and "env.max_steps=0" in line
    assert "memory.termination.type=env" in line and "collect.bias=()" in line
    assert "env.crop" not in line and "dream.horizon" not in line and "env.id=()" not in line
    fields = {"env": {"id": "WorldModels/Toy-v0", "crop": [0, 48]}, "dream": {"horizon": 7}}
    assert config_from(fields, preset("quick")) == config


def test_another_drawing_of_the_same_world_changes_nothing():
    config = parse("run", ["mine", "--preset", "quick", "--env.id", "WorldModels/CarRacing-v3"]).config
    assert config.env.crop == (0, 96) and config.env.action_repeat == 4 and config.controller.bias
    assert remarks(config) == [] and remarks(preset("paper")) == [] and remarks(preset("toy")) == []


def test_what_an_environment_cannot_do_is_refused_before_a_folder_is_made(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for words, message in (
        (["--env.id", "no_such:Env-v0"], "there is no package `no_such`"),
        (["--env.id", "WorldModels/Tyo-v0"], "did you mean 'WorldModels/Toy-v0'"),
    ):
        assert main(["collect", "x", "--preset", "quick", *words]) == 1
        assert message in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--memory.termination.type", "off-road"], "choose --memory.termination.type env"),
        (["--memory.reward.type", "progress"], "choose --memory.reward.type smoothed"),
        (["--env.wrappers"], "envs:PickObservation {key: picture}"),
        (["--env.options.noise", "loud"], "breaks a rule of gymnasium"),
        (["--env.options.noies", "1"], "does not take them"),
    ],
)
def test_what_an_environment_cannot_do_is_refused_before_the_first_frame(on_path, tmp_path, words, message, capsys):  # noqa: F811
    strange = ["--env.id", "strange:Strange-v0", "--env.size", "32", "--executor.type", "serial"]
    words = ["--env.wrappers", "strange:Shown", *words]
    assert main(["run", str(tmp_path / "r"), "--preset", "toy", *strange, *words]) == 1
    captured = capsys.readouterr()
    said = captured.err.splitlines()
    assert len(said) == 1 and message in said[0]
    assert not list((tmp_path / "r").glob("rollouts/episode*"))
