"""Agents of other libraries drive like ours: by the same protocol, on the same tracks, to the last bit."""

import csv
import sys

import numpy as np
import pytest

from scripts.collect import collect
from scripts.evaluate import evaluate
from tests.small import small_config
from worldmodels import Run, RunError
from worldmodels.agent.build import env_shape
from worldmodels.agent.export import export_agent
from worldmodels.config import config_from
from worldmodels.rollouts.dataset import episode_files
from worldmodels.run.preflight import check_plan

OURS = """
from worldmodels import load_agent
class Foreign:
    def __init__(self): self.agent = load_agent({path!r})
    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        assert deterministic
        return self.agent.predict(observation, state, episode_start)
def driver(): return Foreign()
"""
STILL = """
import numpy as np
class Still:
    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        return np.full((len(observation), {size}), {value}, np.float32), None
def driver(): return Still()
def nobody(): return 3
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a module of the user's into the current folder; each has a new name, as Python keeps modules."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return lambda name, text: (tmp_path / f"{name}.py").write_text(text)


def rows(run, arm="episodes"):
    return list(csv.DictReader((run.folder("evaluate") / f"{arm}.csv").read_text().splitlines()))


@pytest.mark.slow
def test_a_foreign_agent_is_measured_as_our_controller_is(copy, module):
    module("theirs_a", OURS.format(path=str(copy.path)))
    ours, before = rows(copy), copy.done("evaluate")
    copy.change(config_from({"evaluate": {"agent": "theirs_a:driver"}}, copy.config))
    list(evaluate(copy))
    assert rows(copy) == ours
    found = copy.done("evaluate")
    assert found["env"] == f"{before['env']} by theirs_a:driver" and found["driver"]
    assert found["paired"][before["env"]]["mean"] == 0 and "env_frames_before" not in found
    export_agent(copy, copy.path.parent / "exported")
    assert "Not evaluated yet" in (copy.path.parent / "exported" / "README.md").read_text()


def test_an_agent_that_has_changed_is_played_anew(tmp_path, module):
    config = {"evaluate": {"tracks": 2, "baseline": False, "agent": "theirs_b:driver"}}
    run = Run.create(tmp_path / "run", config_from(config, small_config()))
    size = env_shape(small_config().env).spec.size
    module("theirs_b", STILL.format(size=size, value=0.0))
    list(evaluate(run))  # no stage has to be finished
    first = run.done("evaluate")
    del sys.modules["theirs_b"]
    module("theirs_b", STILL.format(size=size, value=0.5) + "\n")
    list(evaluate(run))
    assert run.done("evaluate")["driver"] != first["driver"]
    assert len((run.folder("evaluate") / "episodes.jsonl").read_text().splitlines()) == 4
    list(evaluate(run))
    assert len((run.folder("evaluate") / "episodes.jsonl").read_text().splitlines()) == 4


@pytest.mark.slow
def test_it_collects_as_our_agent_does_and_with_noise(copy, module, tmp_path):
    module("theirs_c", OURS.format(path=str(copy.path)))

    def actions(name, agent, **collect_):
        options = {"policies": ["agent"], "agent": agent, "episodes": 2, "max_frames": 12, "noise": 0.0, **collect_}
        run = Run.create(tmp_path / name, config_from({"collect": options, "vision": {"batch": 4}}, small_config()))
        list(collect(run))
        return [file.steps()[0] for file in episode_files(run.folder("collect"))]

    ours, theirs = actions("ours", str(copy.path)), actions("theirs", "theirs_c:driver")
    assert all(np.array_equal(one, other) for one, other in zip(ours, theirs, strict=True))
    quick = actions("quick", "theirs_c:driver", noise=0.2, correlation_time=0.0)
    slow = actions("slow", "theirs_c:driver", noise=0.2, correlation_time=8.0)
    assert not np.array_equal(quick[0][:5], ours[0][:5]) and not np.array_equal(quick[0], slow[0])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"evaluate": {"agent": "no_such_module:driver"}}, "evaluate.agent=no_such_module:driver: ImportError"),
        ({"evaluate": {"agent": "theirs_d:pilot"}}, "has no attribute 'pilot'"),
        ({"evaluate": {"agent": "theirs_d:nobody"}}, "returns a int without `predict`"),
        ({"evaluate": {"agent": "theirs_d:driver"}}, "does not act on frames"),
        ({"evaluate": {"agent": "runs/quick"}}, "name a function as module:function"),
        ({"collect": {"policies": ["agent"], "agent": "theirs_d:driver"}}, "collect.agent=theirs_d:driver"),
        ({"collect": {"policies": ["perturbed-agent"], "agent": "theirs_d:driver"}}, "no parameters"),
    ],
)
def test_what_cannot_drive_is_refused_before_anything_is_played(module, tmp_path, config, message):
    module("theirs_d", STILL.format(size=7, value=0.0))
    with pytest.raises(RunError) as caught:
        check_plan(config_from(config, small_config()), tmp_path / "run")
    assert message in str(caught.value)
