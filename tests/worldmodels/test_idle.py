"""A field that would do nothing beside the others is refused where it is asked for."""

import pytest

from generative.core.strict_yaml import read_yaml, write_yaml
from scripts.cli import main
from scripts.terminal.request import parse
from tests.worldmodels.probes import names
from worldmodels.config import RunConfig, changed_fields, check_acting, config_from, nested
from worldmodels.config_files import PRESETS, known_presets, preset, read_config
from worldmodels.errors import RunError
from worldmodels.idle import TABLE

IDLE = {
    "collect.noise": 0.3, "collect.correlation_time": 3.0, "collect.perturbation": 0.3, "collect.bias": [0.0, 0.0, 1.0],
    "collect.agent": "somewhere", "memory.reward.window": 3, "memory.termination.off_road_steps": 3,
    "features.stack": 7, "features.memory": "shuffled", "controller.layers": [5],
    "evolve.validation.top_k_tracks": 9, "loop.final": {"dream": {"horizon": 9}}, "loop.vision_every": 3,
    "loop.warm_start": False, "accuracy.histories": ["somewhere"],
    "accuracy.controller_tracks": 5, "accuracy.controller_dreams": 5,
    "executor.address": "auto", "executor.item_timeout": 9.0,
}  # fmt: skip
"""Values of fields that need another one."""
NOT_ACTING = {
    "memory.reward": {"memory.reward.type": "raw"},
    "memory.termination": {"memory.termination.type": "env"},
    "features": {"features.reads": "vision"},
    "accuracy": {"accuracy.controllers": 0},
    "executor": {"executor.type": "serial"},
}
"""What else is said, by the beginning of the field's name, so that it does nothing."""


def written(folder, fields):
    """A file that asks for fields by their dotted names."""
    path = folder / "asked.yaml"
    path.write_text(write_yaml({"preset": "toy", **nested(fields)}))
    return path


@pytest.mark.parametrize("name", IDLE)
def test_what_would_do_nothing_is_refused_in_a_file(name, tmp_path):
    around = next((fields for begin, fields in NOT_ACTING.items() if name.startswith(begin)), {})
    with pytest.raises(RunError, match=rf"{name}=.* does nothing here: it needs"):
        read_config(written(tmp_path, around | {name: IDLE[name]}))


def test_every_idle_field_is_tried():
    assert {field for idle in TABLE for field in idle.fields} == set(IDLE)


def test_what_would_do_nothing_is_refused_on_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "new", "--preset", "toy", "--controller.layers", "9", "--dry-run"]) == 1
    assert "controller.layers=(9,) does nothing here: it needs controller.type=mlp" in capsys.readouterr().err
    assert not (tmp_path / "runs" / "new").exists()


def test_what_a_later_round_needs_is_accepted(tmp_path):
    asked = {"collect.noise": 0.3, "loop.rounds": 3, "loop.later": {"collect": {"policies": ["agent"]}}}
    assert read_config(written(tmp_path, asked)).collect.noise == 0.3


@pytest.mark.parametrize("name", known_presets())
def test_a_preset_sets_nothing_in_vain(name):
    mapping = read_yaml(PRESETS.joinpath(f"{name}.yaml").read_text(), name)
    given = [field for field in names(RunConfig()) if said(mapping, field.split("."))]
    assert given
    check_acting(preset(name), given)


def said(mapping, parts):
    for part in parts:
        if not isinstance(mapping, dict) or part not in mapping:
            return False
        mapping = mapping[part]
    return True


LOOP = {"loop.rounds": 3, "loop.vision_every": 2}


@pytest.mark.parametrize("where", ["loop.later", "loop.final"])
def test_what_does_nothing_in_the_rounds_that_it_is_for_is_refused(where, tmp_path):
    with pytest.raises(RunError, match=rf"{where}\.features\.stack=7 does nothing here: it needs features\.reads"):
        read_config(written(tmp_path, LOOP | {f"{where}.features.stack": 7}))
    found = read_config(written(tmp_path, LOOP | {f"{where}.features": {"stack": 7, "reads": "frame-stack"}}))
    assert dict(found.loop.later | found.loop.final)["features"]["stack"] == 7


def test_what_acts_in_the_final_rounds_only_is_accepted_for_later_ones(tmp_path):
    read_config(written(tmp_path, LOOP | {"loop.later.features.stack": 7, "loop.final.features.reads": "frame-stack"}))
    with pytest.raises(RunError, match=r"loop\.final\.features\.stack=7 does nothing"):
        read_config(written(tmp_path, LOOP | {"loop.final.features.stack": 7, "loop.later.features.reads": "vision"}))


@pytest.mark.parametrize("inner", ["later", "final"])
def test_the_command_line_refuses_it_too(inner):
    words = ["x", "--preset", "toy", "--loop.rounds", "3", "--loop.vision-every", "2"]
    with pytest.raises(RunError, match=rf"loop\.{inner}\.collect\.bias=\(0\.5, 0\.0, 0\.0\) does nothing"):
        parse("run", [*words, f"--loop.{inner}.collect.bias", "0.5", "0", "0"])


def test_fields_that_differ_are_named_one_by_one():
    old, new = (
        preset("quick"),
        config_from({"seed": 3, "loop": {"later": {"evolve": {"generations": 3}}}}, preset("quick")),
    )
    assert list(changed_fields(old, old)) == []
    assert list(changed_fields(old, new)) == ["seed", "loop.later.evolve.generations"]
