import sys
import threading
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from generative import ComponentError
from generative.runs.trackers import TRACKERS, Curves, check_tracker


def curve(folder, name):
    """What TensorBoard shows: steps and values."""
    shown = EventAccumulator(str(folder / "tensorboard"), purge_orphaned_data=False)
    shown.Reload()
    return [(event.step, round(event.value, 3)) for event in shown.Scalars(name)]


def curves(folder, tracker="tensorboard"):
    return Curves(tracker, "tests", folder, {"seed": 1})


def test_all_stages_of_a_run_are_in_one_directory(tmp_path):
    mine = curves(tmp_path)
    mine.log("vision", 5, {"loss": 2.0, "verdict": "healthy"})
    mine.close()
    mine.log("memory", 1, {"loss": 3.0})
    mine.close()
    assert curve(tmp_path, "vision/loss") == [(5, 2.0)] and curve(tmp_path, "memory/loss") == [(1, 3.0)]
    assert {path.parent.name for path in tmp_path.rglob("events.*")} == {"tensorboard"}


def test_a_resumed_stage_goes_on_in_its_curve_and_the_others_stay(tmp_path):
    killed = curves(tmp_path)
    for step in (1, 2, 3):
        killed.log("vision", step, {"loss": float(step)})
        killed.log("memory", 10 * step, {"loss": float(step)})
    killed.close()
    resumed = curves(tmp_path)
    for step in (2, 3, 4):
        resumed.log("vision", step, {"loss": 10.0 + step})
    resumed.log("vision", 3, {"loss": 0.5})  # begun anew, as after a collapse
    resumed.close()
    assert curve(tmp_path, "vision/loss") == [(1, 1.0), (2, 12.0), (3, 0.5)]
    assert curve(tmp_path, "memory/loss") == [(10, 1.0), (20, 2.0), (30, 3.0)]


def test_a_command_that_is_stopped_while_it_logs_ends_soon(tmp_path):
    """The stop may come after a figure is in the writer's queue and before the writer's thread is told."""
    mine = curves(tmp_path)
    mine.log("vision", 1, {"loss": 1.0})
    queue = mine.opened[0]._writer.file_writer.event_writer._async_writer._byte_queue
    queue.join()
    with queue.mutex:
        queue._put(b"a figure")
        queue.unfinished_tasks += 1
    closing = threading.Thread(target=mine.close, daemon=True)
    closing.start()
    closing.join(60)  # TensorBoard's own interval is twice as long
    assert not closing.is_alive()


def test_rounds_are_one_curve_in_one_tracker(tmp_path):
    whole = curves(tmp_path)
    for number in range(3):
        part = whole.after({"evolve": 2 * number})
        for step in (0, 1):
            part.log("evolve", step, {"mean": float(number)})
        part.close()
        assert whole.opened
    whole.close()
    assert not whole.opened and len(list(tmp_path.rglob("events.*"))) == 1
    assert curve(tmp_path, "evolve/mean") == [(step, step // 2) for step in range(6)]


SIGNATURES = {
    "trackio": (
        "project", "name", "group", "space_id", "server_url", "dataset_id", "bucket_id", "config", "resume", "settings",
        "private", "embed", "auto_log_gpu", "gpu_log_interval", "auto_log_cpu", "cpu_log_interval", "webhook_url",
        "webhook_min_level",
    ),
    "wandb": (
        "entity", "project", "dir", "id", "name", "notes", "tags", "config", "config_exclude_keys",
        "config_include_keys", "allow_val_change", "group", "job_type", "mode", "force", "reinit", "resume",
        "resume_from", "fork_from", "save_code", "tensorboard", "sync_tensorboard", "monitor_gym", "settings",
    ),
}  # fmt: skip
"""What `init` of trackio 0.43.0 and wandb 0.31.0 takes. They are heavy, so a stand-in takes their place here."""


class StandIn:
    """A run of either package, which remembers."""

    def __init__(self, asked):
        self.id, self.asked, self.rows, self.finished, self.axes = asked.get("id"), asked, [], 0, {}

    def log(self, metrics, step=None):
        self.rows.append((step, metrics))

    def define_metric(self, name, step_metric):
        self.axes[name] = step_metric

    def finish(self):
        self.finished += 1


@pytest.fixture
def package(request, monkeypatch):
    """A module that stands in for trackio or wandb, and the runs that it was asked for."""
    for name in ("WANDB_MODE", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    module = ModuleType(request.param)
    module.run, module.made = None, []

    def init(**asked):
        assert set(asked) <= set(SIGNATURES[request.param])
        module.run = StandIn(asked)
        module.made.append(module.run)
        return module.run

    module.init = init
    monkeypatch.setitem(sys.modules, request.param, module)
    return module


@pytest.mark.parametrize("package", ["trackio", "wandb"], indirect=True)
def test_others_get_every_number_and_go_on_in_the_same_run(package, tmp_path):
    name = package.__name__
    check_tracker(name)
    for step in (1, 2):
        mine = curves(tmp_path, name)
        mine.log("vision", step, {"loss": 0.5, "verdict": "healthy"})
        mine.close()
        if step == 1:
            package.run = None  # another process
    first, second = (made.asked for made in package.made)
    assert first == second and first["resume"] == "allow" and first["config"] == {"seed": 1}
    assert first["name"].startswith(tmp_path.name) and first["name"] != tmp_path.name
    assert [metrics["vision/loss"] for made in package.made for _, metrics in made.rows] == [0.5, 0.5]
    assert not any("vision/verdict" in metrics for made in package.made for _, metrics in made.rows)


@pytest.mark.parametrize("package", ["wandb"], indirect=True)
def test_wandb_is_offline_and_one_run_unless_told_otherwise(package, tmp_path, monkeypatch):
    mine = curves(tmp_path, "wandb")
    for stage, step in (("vision", 7), ("memory", 1)):
        mine.log(stage, step, {"loss": 1.0})
        mine.close()
    (made,) = package.made
    assert made.asked["mode"] == "offline" and Path(made.asked["dir"]) == tmp_path
    assert made.axes == {"vision/*": "vision/step", "memory/*": "memory/step"}
    assert made.rows == [(None, {"vision/step": 7, "vision/loss": 1.0}), (None, {"memory/step": 1, "memory/loss": 1.0})]
    monkeypatch.setenv("WANDB_MODE", "online")
    (tmp_path / "other").mkdir()
    curves(tmp_path / "other", "wandb").log("vision", 1, {"loss": 1.0})
    assert package.made[1].asked["mode"] == "online" and package.made[1].asked["reinit"] == "finish_previous"


def test_a_tracker_that_is_not_there_is_refused_with_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "trackio", None)
    with pytest.raises(ComponentError, match=r"tracker=trackio.*`pip install trackio`"):
        check_tracker("trackio")
    with pytest.raises(ComponentError, match=r"tracker='tensorbord'.*did you mean 'tensorboard'"):
        check_tracker("tensorbord")


def test_no_tracker_leaves_no_files(tmp_path):
    mine = curves(tmp_path, "none")
    mine.log("vision", 1, {"loss": 1.0})
    mine.close()
    assert not list(tmp_path.iterdir())


def test_what_is_no_tracker_is_refused():
    with pytest.raises(ComponentError, match="is no tracker"):
        TRACKERS.add("broken", SimpleNamespace)
