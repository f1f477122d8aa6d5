import json

import pytest
import yaml

from generative import MODELS, ComponentError, FitConfig, config_from_mapping
from generative.core.files import append_line, read_json, read_lines, write_json
from generative.runs.run_folder import Choice, TrainingConfig, TrainingRun, preset, preset_names
from scripts.generative.data.data_sets import DATA

CONFIG = TrainingConfig(Choice("vae", {"latent": 4}), Choice("faces", {"size": 16}), FitConfig(steps=10), batch=8)


def changed(**values):
    return TrainingConfig(**{**{name: getattr(CONFIG, name) for name in TrainingConfig.__dataclass_fields__}, **values})


@pytest.mark.parametrize(("model", "name"), [(model, name) for model in MODELS.names() for name in preset_names(model)])
def test_every_preset_is_made_of_options_that_there_are(model, name):
    config = preset(model, name)
    assert config.model.type == model and config.preset == name
    config_from_mapping(MODELS.config_class(model), config.model.options)
    config_from_mapping(DATA.find(config.data.type), config.data.options)
    assert preset_names(model)[name]


def test_a_preset_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(ComponentError, match=r"vae has no preset 'bok'; did you mean 'book'\? known: fast"):
        preset("vae", "bok")
    with pytest.raises(ComponentError, match="nothing has no preset 'fast'; known: none"):
        preset("nothing")


@pytest.mark.parametrize("values", [{"batch": 0}, {"shown": 0}, {"show_every": -1}, {"seed": -1}])
def test_senseless_values_are_refused_by_name(values):
    (name,) = values
    with pytest.raises(ValueError, match=f"{name}="):
        changed(**values)


def test_a_folder_gives_its_configuration_back(tmp_path):
    run = TrainingRun.create(tmp_path / "run", CONFIG)
    assert run.config == CONFIG and TrainingRun(tmp_path / "run").config == CONFIG
    assert json.loads((tmp_path / "run" / "versions.json").read_text())["torch"]
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["model"]["options"] == {"latent": 4}


def test_what_determines_the_result_cannot_change_and_the_rest_can(tmp_path):
    TrainingRun.create(tmp_path / "run", CONFIG)
    with pytest.raises(ComponentError, match=r"fit.learning_rate was 0.001, is 0.1; batch was 8, is 9"):
        TrainingRun.create(tmp_path / "run", changed(batch=9, fit=FitConfig(steps=10, learning_rate=0.1)))
    with pytest.raises(ComponentError, match=r"model.options.latent was 4, is 5"):
        TrainingRun.create(tmp_path / "run", changed(model=Choice("vae", {"latent": 5})))
    longer = changed(fit=FitConfig(steps=20), device="cpu", shown=9, show_every=3)
    assert TrainingRun.create(tmp_path / "run", longer).config == longer
    assert TrainingRun(tmp_path / "run").config == longer


def test_a_foreign_folder_is_left_alone(tmp_path):
    (tmp_path / "letters").write_text("dear")
    with pytest.raises(ComponentError, match="no run folder"):
        TrainingRun.create(tmp_path, CONFIG)
    with pytest.raises(ComponentError, match="generative train"):
        TrainingRun(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("format_version: 99\n", "format_version is 99"),
        ("- a\n", "format_version is None"),
        ("a: [", r"config\.yaml, line 1: "),
    ],
)
def test_a_damaged_or_newer_configuration_is_refused(tmp_path, content, message):
    (tmp_path / "config.yaml").write_text(content)
    with pytest.raises(ComponentError, match=message):
        TrainingRun(tmp_path)


def test_a_python_object_in_the_configuration_is_not_made(tmp_path):
    (tmp_path / "config.yaml").write_text("format_version: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(ComponentError, match=r"config\.yaml, line 1: could not determine a constructor"):
        TrainingRun(tmp_path)


def test_rows_written_twice_count_once_and_a_torn_one_not_at_all(tmp_path):
    run = TrainingRun.create(tmp_path / "run", CONFIG)
    for step, loss in ((1, 5.0), (2, 4.0), (3, 3.0), (2, 4.5)):
        run.log({"step": step, "loss": loss})
    with open(run.path / "metrics.jsonl", "a") as file:
        file.write('{"step": 4, "lo')
    assert [row["loss"] for row in run.history()] == [5.0, 4.5, 3.0]
    run.log({"step": 5, "loss": 1.0})  # after a torn line, not behind it
    assert [row["step"] for row in run.history()] == [1, 2, 3, 5]


def test_nobody_else_works_in_the_folder_meanwhile(tmp_path):
    run = TrainingRun.create(tmp_path / "run", CONFIG)
    with run.working():
        with pytest.raises(ComponentError, match="another process"), TrainingRun(run.path).working():
            pass
    with TrainingRun(run.path).working():
        pass
    assert len(read_lines(run.path / "spent.jsonl")) == 2 and run.seconds() >= 0


def test_what_is_not_trained_says_how_to_go_on(tmp_path):
    run = TrainingRun.create(tmp_path / "run", CONFIG)
    assert run.facts() is None
    with pytest.raises(ComponentError, match=r"has not ended.*generative train"):
        run.require_trained()
    write_json(run.path / "trained.json", {"steps": 3})
    assert run.require_trained() == {"steps": 3}


def test_json_takes_no_nan_and_keeps_the_old_file(tmp_path):
    write_json(tmp_path / "a.json", {"a": 1})
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", {"a": float("nan")})
    assert read_json(tmp_path / "a.json", "") == {"a": 1}
    append_line(tmp_path / "b.jsonl", {"b": 2})
    assert read_lines(tmp_path / "b.jsonl") == [{"b": 2}] and read_lines(tmp_path / "c.jsonl") == []


@pytest.mark.parametrize("left", [(), ("versions.json",), (".lock", ".config.yaml.0a.partial")])
def test_a_folder_whose_making_was_killed_goes_on(tmp_path, left):
    (tmp_path / "run").mkdir()
    for name in left:
        (tmp_path / "run" / name).write_text("{")
    run = TrainingRun.create(tmp_path / "run", CONFIG)
    assert run.config == CONFIG
    with run.working():
        pass
    assert not list(run.path.glob(".*.partial"))


@pytest.mark.parametrize("change", [
    lambda: {"fit": FitConfig(learning_rate=float("inf"))},
    lambda: {"model": Choice("vae", {"beta": float("inf")})},
    lambda: {"data": Choice("faces", {"sizes": [1.0, float("nan")]})},
])  # fmt: skip
def test_what_could_not_be_read_again_is_not_begun(tmp_path, change):
    with pytest.raises(ValueError, match=r"=(inf|nan|\[1.0, nan\]): "):
        TrainingRun.create(tmp_path / "run", changed(**change()))
    assert not (tmp_path / "run").exists()


def test_an_edited_configuration_is_refused(tmp_path):
    path = TrainingRun.create(tmp_path / "run", CONFIG).path / "config.yaml"
    path.write_text(path.read_text().replace("batch: 8", "batch: 9"))
    with pytest.raises(ComponentError, match=r"config\.yaml is not what was written.*restore it"):
        TrainingRun(tmp_path / "run")


def test_edited_facts_are_refused(tmp_path):
    run = TrainingRun.create(tmp_path / "run", CONFIG)
    write_json(run.path / "trained.json", {"steps": 3})
    (run.path / "trained.json").write_text((run.path / "trained.json").read_text().replace("3", "4", 1))
    with pytest.raises(ComponentError, match=r"trained\.json is not what was written"):
        run.require_trained()


def test_figures_of_older_names_are_refused_with_the_remedy(tmp_path):
    run = TrainingRun.create(tmp_path / "run", CONFIG)
    write_json(run.path / "evaluation.json", {"figures": [{"name": "FD", "floor": 0.1, "ceiling": 1.0}]})
    with pytest.raises(
        ComponentError, match=r"evaluation\.json.*`reference` and `baseline_value`.*generative evaluate"
    ):
        run.facts("evaluation")
