import dataclasses

import pytest

from generative.core.options import differences
from generative.core.strict_yaml import read_yaml, write_yaml
from worldmodels.config import RunConfig, config_from, config_mapping
from worldmodels.config_files import known_presets, preset, read_config, write_config
from worldmodels.errors import RunError


@pytest.mark.parametrize("name", known_presets())
def test_presets_survive_a_round_trip_through_yaml(name, tmp_path):
    config = preset(name)
    write_config(tmp_path / "config.yaml", config)
    assert read_config(tmp_path / "config.yaml") == config
    assert config.preset == name and known_presets()[name]


def test_the_paper_preset_holds_the_paper_s_numbers():
    config = preset("paper")
    assert (config.collect.episodes, config.collect.policies) == (10_000, ("random-agent",))
    assert (config.vision.options.layout, config.vision.options.kl_floor, config.vision.batch) == ("paper", 16.0, 100)
    assert config.vision.fit.steps == 10 * 10_000 * 1000 // 100 and config.vision.fit.learning_rate == 1e-4
    assert (config.memory.options.hidden, config.memory.options.mixtures, config.memory.sequence) == (256, 5, 999)
    assert (config.memory.fit.steps, config.memory.batch, config.memory.fit.clip_value) == (4000, 100, 1.0)
    assert (config.evolve.optimiser.population, config.evolve.episodes, config.evolve.optimiser.sigma) == (64, 16, 0.1)
    assert config.evolve.agreement == 0 and config.env.action_repeat == 1 and config.env.no_reward_limit == 0
    assert config.features.latent == "sample"


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"colect": {}}, "unknown field `colect`; did you mean `collect`"),
        ({"vision": {"bach": 3}}, "did you mean `vision.batch`"),
        ({"vision": {"type": "vea"}}, "vae"),
        ({"vision": {"options": {"latnt": 3}}}, "latent"),
        ({"collect": {"policies": ["unifrom"]}}, "uniform"),
        ({"evolve": {"episodes": "many"}}, "episodes"),
        ({"evolve": {"episodes": 1}}, "at least 2"),
        ({"evolve": 3}, "must be a mapping"),
        ({"seed": -1}, "must not be negative"),
        ({"dream": {"initial_state_fraction": 1.5}}, "between 0 and 1"),
    ],
)
def test_wrong_fields_and_values_are_named(mapping, message):
    with pytest.raises(RunError, match=message):
        config_from(mapping)


def test_exponents_need_no_point(tmp_path):
    (tmp_path / "c.yaml").write_text("vision: {fit: {learning_rate: 1e-4}}")  # text in YAML 1.1
    assert read_config(tmp_path / "c.yaml").vision.fit.learning_rate == 1e-4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "says nothing"),
        ("seed: 1\nseed: 2", "there twice"),
        ("seed: 010", "write 10"),
        ("collect: {early_stop: no}", "write false"),
        ("collect: {early_stop: 'no'}", "collect.early_stop='no': expected bool"),
        ("collect: {episodes: 12:30}", "collect.episodes='12:30': expected int"),
        ("collect: {episodes: 1e3}", "write 1000"),
        ("seed:", "there is no value"),
        ("vision: {fit: {learning_rate: '0.1'}}", "without quotes"),
    ],
)
def test_traps_of_yaml(tmp_path, text, message):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(RunError, match=message):
        read_config(tmp_path / "c.yaml")


def test_unknown_preset_has_a_suggestion():
    with pytest.raises(RunError, match="did you mean `quick`"):
        preset("qick")


@pytest.mark.parametrize("content", ["a: [", "3", "\x00"])
def test_files_that_are_no_configuration(tmp_path, content):
    (tmp_path / "c.yaml").write_text(content)
    with pytest.raises(RunError, match=r"c\.yaml"):
        read_config(tmp_path / "c.yaml")


def test_a_file_builds_on_the_preset_it_names(tmp_path):
    (tmp_path / "mine.yaml").write_text("preset: quick\nvision: {batch: 7}\n")
    (tmp_path / "none.yaml").write_text("seed: 3\n")
    quick = preset("quick")
    assert read_config(tmp_path / "mine.yaml") == dataclasses.replace(
        quick, vision=dataclasses.replace(quick.vision, batch=7)
    )
    assert read_config(tmp_path / "none.yaml") == dataclasses.replace(preset("default"), seed=3)
    (tmp_path / "mine.yaml").write_text("preset: qick")
    with pytest.raises(RunError, match=r"mine\.yaml: unknown preset `qick`; did you mean `quick`"):
        read_config(tmp_path / "mine.yaml")


@pytest.fixture
def presets(tmp_path, monkeypatch):
    """A folder of presets, each of the text that it is given."""
    monkeypatch.setattr("worldmodels.config_files.PRESETS", tmp_path)
    return lambda **texts: [(tmp_path / f"{name}.yaml").write_text(f"# a\n{text}") for name, text in texts.items()]


def test_a_preset_says_what_it_builds_on_and_what_differs(presets):
    presets(one="seed: 3\nenv: {options: {size: 32}}\n", two="preset: one\nvision: {batch: 7}\n")
    presets(three="preset: two\nseed: 4\nenv: {options: {}}\n")
    one, two, three = preset("one"), preset("two"), preset("three")
    assert two == dataclasses.replace(one, preset="two", vision=dataclasses.replace(one.vision, batch=7))
    assert (three.preset, three.seed, three.vision.batch, three.env.options) == ("three", 4, 7, {})


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"one": "preset: two", "two": "preset: one"}, "in a circle: one -> two -> one"),
        ({"one": "preset: one"}, "in a circle: one -> one"),
        ({"one": "preset: tow", "two": "seed: 1"}, "unknown preset `tow`; did you mean `two`"),
    ],
)
def test_presets_that_lead_nowhere_are_refused(presets, texts, message):
    presets(**texts)
    with pytest.raises(RunError, match=message):
        preset("one")


def test_a_file_lays_its_later_rounds_over_those_of_its_preset(tmp_path):
    (tmp_path / "mine.yaml").write_text("preset: quick\nloop: {later: {collect: {episodes: 9}}}\n")
    quick, mine = preset("quick").loop, read_config(tmp_path / "mine.yaml").loop
    assert mine.later["collect"] == quick.later["collect"] | {"episodes": 9} and quick.later["collect"]["episodes"] == 8
    assert mine.later["evolve"] == quick.later["evolve"] and mine.final == quick.final != {}


@pytest.mark.parametrize("name", known_presets())
@pytest.mark.parametrize("vision", ["pca", "vq-vae"])
def test_another_component_can_be_named_over_any_preset(name, vision):
    base, config = preset(name), config_from({"vision": {"type": vision}}, preset(name))
    assert config.vision.type == vision
    for before, later in ((base.loop.later, config.loop.later), (base.loop.final, config.loop.final)):
        assert "options" not in later.get("vision", {})  # they were of the preset's component
        assert {key: value for key, value in later.items() if key != "vision"} == {
            key: value for key, value in before.items() if key != "vision"
        }
        assert later.get("vision", {}).get("fit") == before.get("vision", {}).get("fit")


def test_options_of_later_rounds_stay_with_the_component_that_they_are_of():
    base = preset("default")
    assert config_from({"vision": {"type": base.vision.type}}, base).loop == base.loop
    mine = {"vision": {"type": "vq-vae"}, "loop": {"later": {"vision": {"options": {"codes": 32}}}}}
    assert config_from(mine, base).loop.later["vision"] == {"options": {"codes": 32}}
    own = {"loop": {"later": {"vision": {"type": "pca", "options": {"frames": 64}}}}}
    again = config_from({"vision": {"type": "vq-vae"}}, config_from(own, base))
    assert again.loop.later["vision"] == {"type": "pca", "options": {"frames": 64}}


def test_a_file_s_options_of_the_environment_stand_as_written(tmp_path):
    for text, options in (("{}", {"size": 32}), ("{options: {}}", {}), ("{options: {size: 16}}", {"size": 16})):
        (tmp_path / "mine.yaml").write_text(f"preset: toy\nenv: {text}\n")
        assert read_config(tmp_path / "mine.yaml").env.options == options


def test_a_saved_configuration_is_complete_in_itself(tmp_path):
    toy = preset("toy")
    bare = dataclasses.replace(toy, preset="of another time", env=dataclasses.replace(toy.env, options={}))
    write_config(tmp_path / "config.yaml", bare)
    assert read_config(tmp_path / "config.yaml") == bare
    shortened = read_yaml((tmp_path / "config.yaml").read_text(), "config.yaml")
    del shortened["vision"]  # what is left of it is a user's own
    (tmp_path / "mine.yaml").write_text(write_yaml({**shortened, "preset": "quick-real"}))
    assert read_config(tmp_path / "mine.yaml").vision == preset("quick-real").vision


def test_a_missing_file(tmp_path):
    with pytest.raises(RunError, match="cannot read"):
        read_config(tmp_path / "none.yaml")


def test_differences_are_named_by_their_path():
    config = RunConfig()
    changed = dataclasses.replace(config, vision=dataclasses.replace(config.vision, batch=99), seed=4)
    assert differences(config, changed) == [("seed", 0, 4), ("vision.batch", config.vision.batch, 99)]
    assert differences(config, config_from(config_mapping(config))) == []
