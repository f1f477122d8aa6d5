import dataclasses
import json
import math
import subprocess
import sys

import pytest

from tests.small import small_config
from worldmodels import Run, RunError
from worldmodels.config_files import read_config
from worldmodels.files import append_line, read_lines, write_bytes
from worldmodels.run.folder import STAGES


@pytest.fixture
def run(tmp_path):
    return Run.create(tmp_path / "run", small_config())


def test_a_run_says_what_it_was_made_with(run):
    versions = json.loads((run.path / "versions.json").read_text())
    assert {"torch", "gymnasium", "box2d", "ray", "commit", "cores", "processor"} <= set(versions)
    assert Run(run.path).config == small_config()


def test_a_folder_that_is_no_run_is_left_alone(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("x")
    with pytest.raises(RunError, match="is no run folder"):
        Run.create(tmp_path / "thesis", small_config())
    with pytest.raises(RunError, match="worldmodels run"):
        Run(tmp_path / "thesis")


def test_a_changed_field_is_refused_once_its_stage_has_begun(run):
    (run.folder("collect")).mkdir()
    (run.folder("collect") / "episode_000000.zip").write_bytes(b"")
    with pytest.raises(RunError) as caught:
        Run.create(run.path, small_config(collect={"episodes": 13}))
    message = str(caught.value)
    assert "collect.episodes: 12 -> 13" in message and "start a new run" in message
    assert Run(run.path).config.collect.episodes == 12


def test_a_field_of_a_later_stage_may_still_change(run):
    (run.folder("collect")).mkdir()
    (run.folder("collect") / "episode_000000.zip").write_bytes(b"")
    Run.create(run.path, small_config(evolve={"generations": 4}))
    assert Run(run.path).config.evolve.generations == 4


def test_where_it_runs_may_always_change(run):
    for stage in STAGES:
        run.folder(stage).mkdir()
        (run.folder(stage) / "x").write_text("")
    Run.create(run.path, small_config(executor={"type": "ray", "workers": 3}, evaluate={"tracks": 7}))
    assert Run(run.path).config.executor.workers == 3


@pytest.mark.slow
def test_two_processes_do_not_work_in_one_run(run):
    code = f"from worldmodels import Run\nwith Run({str(run.path)!r}).working('collect'): pass"
    with run.working("collect"):
        second = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert second.returncode != 0 and "another process is working" in second.stderr
    with run.working("collect"):
        pass


def test_time_is_noted_even_when_a_stage_fails(run):
    with pytest.raises(KeyError), run.working("collect", cores=2):
        raise KeyError
    (line,) = read_lines(run.path / "spent.jsonl")
    assert line["stage"] == "collect" and line["cores"] == 2 and line["seconds"] >= 0


def test_a_missing_stage_names_its_command(run):
    with pytest.raises(RunError, match=f"worldmodels train-vision {run.path}"):
        run.require("train-vision")


def test_history_counts_a_step_once(run):
    for step, loss in ((1, 5.0), (2, 4.0), (2, 3.0)):
        run.log("train-vision", step, {"loss": loss})
    assert [row["loss"] for row in run.history("train-vision")] == [5.0, 3.0]


def test_a_line_cut_short_does_not_count_and_is_cut_by_the_next_writer(tmp_path):
    path = tmp_path / "log.jsonl"
    append_line(path, {"a": 1})
    with open(path, "a") as file:
        file.write('{"a": 2')
    before = path.read_bytes()
    assert read_lines(path) == [{"a": 1}]
    assert path.read_bytes() == before  # another process may be writing this line just now
    append_line(path, {"a": 3})
    assert read_lines(path) == [{"a": 1}, {"a": 3}]


@pytest.mark.parametrize("damage", [
    lambda text: text.replace('"a": 1', '"a": 2'), lambda text: text.replace('"a"', '"b"'),
    lambda text: text.replace("{", "["), lambda text: "7\n" + text,
])  # fmt: skip
def test_a_damaged_line_is_named(tmp_path, damage):
    path = tmp_path / "log.jsonl"
    for number in (1, 5):
        append_line(path, {"a": number})
    path.write_text(damage(path.read_text()))
    with pytest.raises(RunError, match=r"line 1 of .*log\.jsonl .*take this line out"):
        read_lines(path)


def test_the_log_of_another_name_is_refused(tmp_path):
    append_line(tmp_path / "spent.jsonl", {"seconds": 1})
    (tmp_path / "metrics.jsonl").write_bytes((tmp_path / "spent.jsonl").read_bytes())
    with pytest.raises(RunError, match=r"line 1 of .*metrics"):
        read_lines(tmp_path / "metrics.jsonl")


def test_a_torn_line_of_figures_does_not_stop_the_stage_or_its_history(run):
    run.log("train-vision", 1, {"loss": 5.0})
    with open(run.path / "metrics.jsonl", "a") as file:
        file.write('{"stage": "tra')
    run.log("train-vision", 2, {"loss": 4.0})
    assert [row["loss"] for row in run.history("train-vision")] == [5.0, 4.0]


@pytest.mark.parametrize("left", [(), ("versions.json",), (".lock", ".versions.json.0a.partial"),
                                  ("versions.json", ".config.yaml.0a.partial")])  # fmt: skip
def test_a_folder_whose_making_was_killed_goes_on(tmp_path, left):
    (tmp_path / "run").mkdir()
    for name in left:
        (tmp_path / "run" / name).write_text("{")
    run = Run.create(tmp_path / "run", small_config())
    assert run.config == small_config() and "torch" in run.versions()
    with run.working("collect"):
        pass
    assert not list(run.path.glob(".*.partial"))


def test_a_file_in_the_place_of_a_run_is_left_alone(tmp_path):
    (tmp_path / "run").write_text("mine")
    with pytest.raises(RunError, match="is no run folder"):
        Run.create(tmp_path / "run", small_config())
    assert (tmp_path / "run").read_text() == "mine"


def test_what_could_not_be_read_again_is_not_begun(tmp_path):
    config = small_config()
    fit = dataclasses.replace(config.memory.fit)
    object.__setattr__(fit, "learning_rate", math.inf)  # as by options of a package that look at nothing
    memory, config = dataclasses.replace(config.memory), dataclasses.replace(config)
    object.__setattr__(memory, "fit", fit)
    object.__setattr__(config, "memory", memory)
    with pytest.raises(RunError, match=r"memory\.fit\.learning_rate=inf.*finite"):
        Run.create(tmp_path / "run", config)
    assert not (tmp_path / "run").exists()
    run = Run.create(tmp_path / "run", small_config())
    with pytest.raises((RunError, ValueError), match="finite"):
        run.change(config)
    assert Run(run.path).config == small_config() == run.config


def test_an_edited_configuration_is_refused_and_can_begin_a_new_run(run, tmp_path):
    path = run.path / "config.yaml"
    path.write_text(path.read_text().replace("action_repeat: 1", "action_repeat: 2"))
    with pytest.raises(RunError, match=r"config\.yaml is not what was written.*restore it.*--config"):
        Run(run.path)
    assert Run.create(tmp_path / "new", read_config(path)).config.env.action_repeat == 2


def test_half_written_files_are_swept_but_not_those_of_a_run_inside(run):
    inside = run.path / "rounds" / "00"
    inside.mkdir(parents=True)
    (inside / ".lock").touch()
    mine, theirs = run.path / "rollouts" / ".episode_000000.zip.0a.partial", inside / ".config.yaml.0a.partial"
    for path in (mine, theirs):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"half")
    (run.path / "vision" / "checkpoints" / ".00000001.0a.partial").mkdir(parents=True)
    with run.working("collect"):
        pass
    assert list(run.path.rglob(".*.partial")) == [theirs]


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    write_bytes(tmp_path / "f", b"old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_bytes(tmp_path / "f", b"new")
    assert (tmp_path / "f").read_bytes() == b"old" and [path.name for path in tmp_path.iterdir()] == ["f"]
