import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from generative import save_component
from scripts.cli import main
from tests.worldmodels.agent.cards import table
from worldmodels import Run, RunError, load_agent, load_dream, make_env
from worldmodels.agent.export import export_agent, thin_starts
from worldmodels.agent.trained import load_memory, load_vision
from worldmodels.config import config_from
from worldmodels.config_files import write_config
from worldmodels.dream.of_run import load_starts
from worldmodels.dream.starts import Starts
from worldmodels.files import read_lines


def actions(agents, run):
    """What agents do on the same frames, (agents, steps, A): the first one drives."""
    env = make_env(run.config.env)
    obs, _ = env.reset(seed=1)
    done = []
    for agent in agents:
        agent.reset()
    for _ in range(30):
        done.append([agent.act(obs) for agent in agents])
        obs, _, terminated, truncated, _ = env.step(done[-1][0])
        if terminated or truncated:
            break
    return np.array(done).swapaxes(0, 1)


@pytest.mark.slow
def test_an_exported_agent_acts_as_the_runs_does(finished, _exported):
    agents = [load_agent(finished), load_agent(_exported[True]), load_agent(_exported[False])]
    original, half, full = actions(agents, finished)
    assert len(original) > 10 and np.ptp(original) > 0
    np.testing.assert_array_equal(full, original)
    np.testing.assert_allclose(half, original, atol=0.02)


def test_half_weights_are_stored_half_and_loaded_as_float32(finished, _exported):
    for stage, load in (("train-vision", load_vision), ("train-memory", load_memory)):
        stored = load_file(Run(_exported[True]).folder(stage) / "model.safetensors")
        assert {array.dtype for array in stored.values()} == {np.dtype(np.float16)}
        loaded, original = load(Run(_exported[True])).state_dict(), load(finished).state_dict()
        for name, tensor in original.items():
            assert loaded[name].dtype == torch.float32
            assert torch.equal(loaded[name], tensor.half().float())
    parameters = load_file(Run(_exported[True]).folder("evolve") / "agent.safetensors")["parameters"]
    original = load_file(finished.folder("evolve") / "agent.safetensors")["parameters"]
    assert parameters.dtype == np.float32 and np.array_equal(parameters, original)


def test_it_is_smaller_and_holds_what_an_agent_needs(finished, _exported):
    names = {path.relative_to(_exported[True]).as_posix() for path in _exported[True].rglob("*") if path.is_file()}
    assert names == {
        "README.md", "config.yaml", "versions.json", "spent.jsonl", "rollouts/done.json",
        "vision/config.json", "vision/metadata.json", "vision/model.safetensors", "vision/done.json",
        "memory/config.json", "memory/metadata.json", "memory/model.safetensors", "memory/done.json",
        "controller/agent.json", "controller/agent.safetensors", "controller/starts.safetensors",
        "controller/done.json",
    }  # fmt: skip
    weights = [folder / "vision" / "model.safetensors" for folder in (finished.path, _exported[True])]
    whole, half = (path.stat().st_size for path in weights)
    assert half < 0.55 * whole
    assert not list(_exported[True].parent.glob(".*"))


def test_where_the_run_worked_stays_behind(copy, tmp_path):
    places = {
        "executor": {"workers": 7, "address": "head:6379"},
        "collect": {"policies": ["agent"], "agent": "/home/me/first", "extends": "/home/me/first"},
        "vision": {"start": "/home/me/first"},
        "memory": {"start": "/home/me/first"},
        "evolve": {"start": "/home/me/second"},
    }
    write_config(copy.path / "config.yaml", config_from(places, copy.config))
    copy = Run(copy.path)
    copy.finish("evolve", copy.done("evolve") | {"start_frames": 1_000_000, "start_core_hours": 500.0})
    export_agent(copy, tmp_path / "agent")
    config = Run(tmp_path / "agent").config
    assert (config.executor.workers, config.executor.address) == (0, "")
    assert (config.collect.agent, config.collect.extends, config.evolve.start) == ("first", "first", "second")
    assert config.evolve == replace(copy.config.evolve, start="second") and config.features == copy.config.features
    written = [path.read_bytes() for path in (tmp_path / "agent").rglob("*") if path.is_file()]
    assert not any(b"/home/me" in content for content in written)
    rows = table((tmp_path / "agent" / "README.md").read_text())
    assert rows["evolution"][0].startswith("3 generations in the real world, from what the agent of `second` knew;")
    assert int(rows["real frames in all"][0].replace(",", "")) > 1_000_000
    assert float(rows["core-hours"][0]) >= 500


@pytest.mark.slow
def test_evaluate_dream_report_and_info_run_on_it(exported, finished, capsys):
    assert main(["evaluate", str(exported), "--tracks", "3", "--evaluate.baseline", "False"]) == 0
    assert "over 3 test tracks" in capsys.readouterr().out
    summary = json.loads((exported / "evaluation" / "summary.json").read_text())
    original = json.loads((finished.folder("evaluate") / "summary.json").read_text())
    assert summary["env_frames_before"] == original["env_frames_before"] > 0
    assert summary["core_hours_before"] == original["core_hours_before"] > 0
    played, before = (
        {row["track"]: row["return"] for row in read_lines(folder / "evaluation" / "episodes.jsonl")}
        for folder in (exported, finished.path)
    )
    assert all(played[track] == pytest.approx(before[track], abs=2) for track in played)
    assert main(["dream", str(exported)]) == 0
    assert (exported / "dream" / "dream.webm").exists() and (exported / "dream" / "strip.png").exists()
    assert main(["report", str(exported)]) == 0
    page = (exported / "report" / "index.html").read_text()
    assert "not run yet: <code>worldmodels train" not in page and "an exported agent" in page
    assert main(["info", str(exported)]) == 0
    assert "12 episodes" in capsys.readouterr().out


def test_what_it_was_made_with_cannot_change(exported, capsys):
    assert main(["train-vision", str(exported), "--vision.batch", "9"]) == 1
    assert "was made with another configuration" in capsys.readouterr().err


def test_a_dream_begins_at_the_thinned_starts(finished, _exported):
    whole, kept = load_starts(finished), load_starts(Run(_exported[True]))
    for name in ("initial", "z", "action"):
        array, original = getattr(kept, name), getattr(whole, name)[:100]
        assert array.dtype == np.float32 and len(array) == min(100, len(original))
        np.testing.assert_allclose(array, original, rtol=1e-3, atol=1e-4)
    obs, _ = load_dream(Run(_exported[True])).reset(seed=0)
    assert obs.dtype == np.uint8


def test_starts_are_thinned_to_a_hundred():
    many = Starts(*(np.full(shape, 0.5, np.float32) for shape in ((250, 3), (250, 5, 3), (70, 4, 2))))
    thin = thin_starts(many, half=True)
    assert (len(thin.initial), len(thin.z), len(thin.action)) == (100, 100, 70)
    assert thin.z.dtype == np.float16 and thin_starts(many, half=False).z.dtype == np.float32


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_an_existing_target_is_left_alone(finished, tmp_path, kind, capsys):
    target = tmp_path / "thesis"
    kept = target if kind == "file" else target / "chapter.tex"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("x")
    assert main(["export", str(finished.path), str(target)]) == 1
    assert "is not empty" in capsys.readouterr().err and kept.read_text() == "x"
    with pytest.raises(RunError, match="in the way"):
        export_agent(finished, kept / "below")
    assert {path.name for path in tmp_path.iterdir()} == {"thesis"}


@pytest.mark.parametrize("value", [7e4, float("nan")])
def test_a_weight_beyond_half_precision_is_refused(copy, tmp_path, value, capsys):
    vision = load_vision(copy)
    with torch.no_grad():
        next(vision.parameters())[0] = value
    save_component(vision, copy.folder("train-vision"), {})
    copy.finish("train-vision", copy.done("train-vision"))
    assert main(["export", str(copy.path), str(tmp_path / "agent")]) == 1
    message = capsys.readouterr().err
    assert "beyond the range of half precision" in message and "--half False" in message
    assert {path.name for path in tmp_path.iterdir()} == {"copy"}
    if value == 7e4:
        assert main(["export", str(copy.path), str(tmp_path / "agent"), "--half", "False"]) == 0


def test_a_run_without_a_controller_cannot_be_exported(trained, tmp_path):
    with pytest.raises(RunError, match="worldmodels evolve"):
        export_agent(trained, tmp_path / "agent")


@pytest.mark.parametrize(
    "name",
    [
        "vision/model.safetensors",
        "controller/starts.safetensors",
        "controller/agent.json",
        "controller/agent.safetensors",
    ],
)
def test_a_damaged_file_is_named(exported, capsys, name):
    (exported / name).write_bytes((exported / name).read_bytes()[:100])
    assert main(["evaluate", str(exported)]) == 1
    said = capsys.readouterr().err
    assert "is not what" in said and str(exported / name) in said and "restore it" in said and "Traceback" not in said
    (exported / name).unlink()
    assert main(["evaluate", str(exported)]) == 1
    said = capsys.readouterr().err
    assert "is missing" in said and str(exported / name) in said and "Traceback" not in said


def test_the_command_says_how_big_it_is(finished, tmp_path, monkeypatch, capsys):
    assert main(["export", str(finished.path), str(tmp_path / "agent")]) == 0
    out = capsys.readouterr().out
    total = sum(path.stat().st_size for path in (tmp_path / "agent").rglob("*") if path.is_file())
    assert f"{total / 1e6:.2f} MB in 17 files" in out and "warning" not in out
    monkeypatch.setattr("scripts.export.SHIPPABLE", 1000)
    assert main(["export", str(finished.path), str(tmp_path / "again")]) == 0
    assert "warning" in capsys.readouterr().out
