import json
import subprocess
import sys

import pytest

from tests.small import small_config
from worldmodels import Run, RunError
from worldmodels.files import append_line, read_lines, write_bytes
from worldmodels.run import STAGES


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


def test_a_line_cut_short_is_dropped(tmp_path):
    append_line(tmp_path / "log.jsonl", {"a": 1})
    with open(tmp_path / "log.jsonl", "a") as file:
        file.write('{"a": 2')
    assert read_lines(tmp_path / "log.jsonl") == [{"a": 1}]
    append_line(tmp_path / "log.jsonl", {"a": 3})
    assert read_lines(tmp_path / "log.jsonl") == [{"a": 1}, {"a": 3}]


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    write_bytes(tmp_path / "f", b"old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_bytes(tmp_path / "f", b"new")
    assert (tmp_path / "f").read_bytes() == b"old" and [path.name for path in tmp_path.iterdir()] == ["f"]
