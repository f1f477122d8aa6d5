"""An environment that has nothing of CarRacing, in a package of its own, goes through every stage on Ray."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from scripts.cli import main
from tests.strange import folder, on_path  # noqa: F401  # a fixture
from worldmodels import Run, load_agent, make_env
from worldmodels.parallel.open import kept_workers
from worldmodels.rollouts.episode import EpisodeFile

TINY = {
    "preset": "toy",
    "env": {"id": "strange:Strange-v0", "wrappers": ["strange:Shown {above: 10}"], "size": 16, "action_repeat": 8},
    "collect": {"episodes": 4, "max_frames": 96},
    "vision": {"options": {"latent": 2, "width": 4}, "fit": {"steps": 6, "warmup": 1},
               "batch": 8},
    "memory": {"sequence": 10, "batch": 2, "options": {"hidden": 4}, "fit": {"steps": 4}},
    "evolve": {"generations": 1, "episodes": 2, "agreement": 0.0, "validation": {"tracks": 2},
               "optimiser": {"population": 4}},
    "dream": {"horizon": 5, "warmup": 2},
    "evaluate": {"tracks": 2},
    "accuracy": {"controllers": 3, "controller_tracks": 2, "controller_dreams": 2},
    "executor": {"workers": 1, "envs": 2},
}  # fmt: skip


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.ray
def test_every_stage_from_the_command_line(on_path, tmp_path, capsys):  # noqa: F811
    run, config = tmp_path / "strange", tmp_path / "tiny.yaml"
    config.write_text(yaml.safe_dump(TINY))
    said = console("run", run, "--config", config)  # the package lies in the current folder
    assert "what it sets for that one is left out: env.max_steps=0" in said and "memory.termination.type=env" in said
    assert "has no step limit of its own: episodes are cut after 1000 frames" in said and "score:" in said

    recorded = EpisodeFile(run / "rollouts" / "episode_000000.zip").read()
    assert (
        recorded.obs.shape == (13, 16, 16, 1) and recorded.state.shape == (13, 0) and recorded.action.shape == (12, 2)
    )
    assert recorded.truncated and not recorded.terminated and recorded.obs.min() >= 54  # the wrapper's greys
    rows = (run / "evaluation" / "episodes.jsonl").read_text().splitlines()
    assert [json.loads(row)["frames"] for row in rows] == [1000, 1000]
    assert "around the car" not in (run / "report" / "index.html").read_text()
    assert frames_a_second(run / "evaluation" / "drive.webm") == frames_a_second(run / "dream" / "dream.webm") == 1.5

    dream = tmp_path / "dream"
    for name in ("rollouts", "vision", "memory"):
        shutil.copytree(run / name, dream / name)
    shutil.copy(run / "config.yaml", dream), shutil.copy(run / "versions.json", dream)
    with kept_workers():  # Ray starts once for all
        for words in (
            ["evolve", dream, "--world", "dream"],  # the package is on Python's path
            ["accuracy", run],
            ["report", run],
            ["info", run],
            ["export", run, tmp_path / "agent"],
        ):
            assert main([str(word) for word in words]) == 0, capsys.readouterr().err
    assert Run(dream).done("evolve")["generations"] == 1
    assert json.loads((run / "accuracy" / "card.json").read_text())["sets"]

    agent = load_agent(tmp_path / "agent")
    env = make_env(agent.env_config)
    obs, _ = env.reset(seed=0)
    assert agent.act(obs) in env.action_space
    assert agent.act(np.full((120, 90), 100, np.uint8)) in env.action_space  # as the environment draws it


def console(*words: object) -> str:
    """What the console command says, run where the package lies, which is on no path."""
    root = Path(__file__).parents[2]
    code = (
        f"import sys; sys.path[0] = {str(root)!r}; from scripts.cli import entry; "
        "from tests.small import accept_every_vision, hurry; accept_every_vision(); hurry(); entry()"
    )
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        cwd=folder(), env=environment, capture_output=True, text=True, check=False, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def frames_a_second(film: Path) -> float:
    import cv2

    return round(cv2.VideoCapture(str(film)).get(cv2.CAP_PROP_FPS), 3)
