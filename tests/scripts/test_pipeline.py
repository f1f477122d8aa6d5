import dataclasses
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from envs.toy import Toy
from generative.runs.run_folder import Choice
from scripts.cli import main
from scripts.stages import collect, dream, evaluate, evolve, report, train_memory, train_vision
from tests.scripts.generative.small import finished as trained_translator
from tests.small import small_config, tiny_config
from worldmodels import Run, load_agent, load_dream, make_env
from worldmodels.agent.export import thin_starts
from worldmodels.config import config_from
from worldmodels.dream.of_run import load_starts
from worldmodels.files import read_lines
from worldmodels.rollouts.dataset import episode_files, split
from worldmodels.rollouts.translated import Translator
from worldmodels.vision.encode import latent_file

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def finished(_trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("finished") / "run"
    shutil.copytree(_trained.path, path)
    run = Run(path)
    for stage in (evolve, evaluate, dream, report):
        for _ in stage(run):
            pass
    return run


@pytest.mark.slow
def test_every_stage_leaves_what_the_architecture_says(finished):
    for name in (
        "config.yaml", "versions.json", "metrics.jsonl", "rollouts/episode_000000.zip", "rollouts/contact_sheet.png",
        "vision/model.safetensors", "vision/reconstructions.png", "memory/model.safetensors",
        "controller/starts.safetensors", "controller/generations.jsonl", "controller/agent.safetensors",
        "evaluation/episodes.csv", "evaluation/summary.json", "evaluation/drive.webm", "dream/dream.webm",
        "dream/prediction.webm", "dream/strip.png", "report/index.html", "tensorboard",
    ):  # fmt: skip
        assert (finished.path / name).exists(), name
    assert not list(finished.path.rglob("*.pkl")) and not list(finished.path.rglob("*.pt"))


@pytest.mark.slow
def test_the_score_is_that_of_the_episodes(finished):
    rows = read_lines(finished.folder("evaluate") / "episodes.jsonl")
    summary = json.loads((finished.folder("evaluate") / "summary.json").read_text())
    assert [row["track"] for row in sorted(rows, key=lambda row: row["track"])] == [0, 1, 2, 3]
    assert summary["summary"]["mean"] == pytest.approx(np.mean([row["return"] for row in rows]))
    assert summary["baseline"]["episodes"] == 4


@pytest.mark.slow
def test_a_loaded_agent_drives_as_it_was_evaluated(finished):
    agent = load_agent(finished)
    env = make_env(finished.config.env)
    rows = {row["track"]: row for row in read_lines(finished.folder("evaluate") / "episodes.jsonl")}
    obs, _ = env.reset(seed=2)
    agent.reset()
    total, ended = 0.0, False
    while not ended:
        obs, reward, terminated, truncated, _ = env.step(agent.act(obs))
        total, ended = total + reward, terminated or truncated
    assert total == pytest.approx(rows[2]["return"], abs=1e-3)


@pytest.mark.slow
def test_an_agent_drives_in_its_dream_as_it_drives_outside(finished):
    agent, env = load_agent(finished), load_dream(finished)
    obs, _ = env.reset(seed=0)
    rewards = []
    for _ in range(10):
        obs, reward, terminated, truncated, _ = env.step(agent.act(obs))
        rewards.append(reward)
        if terminated or truncated:
            break
    assert obs.shape == (32, 32, 3) and np.isfinite(rewards).all()


@pytest.mark.slow
def test_more_tracks_keep_the_ones_played(finished, capsys):
    before = {row["track"]: row for row in read_lines(finished.folder("evaluate") / "episodes.jsonl")}
    assert main(["evaluate", str(finished.path), "--tracks", "6"]) == 0
    after = read_lines(finished.folder("evaluate") / "episodes.jsonl")
    assert len(after) == 6 and {row["track"]: row for row in after if row["track"] in before} == before
    assert "over 6 test tracks" in capsys.readouterr().out


@pytest.mark.slow
def test_another_drawing_is_compared_track_by_track(finished):
    gym.register("WorldModels/ToyAgain-v0", entry_point="envs.toy:Toy", max_episode_steps=50)
    try:
        assert main(["evaluate", str(finished.path), "--evaluate.env", "WorldModels/ToyAgain-v0"]) == 0
        paired = json.loads((finished.folder("evaluate") / "summary.json").read_text())["paired"]
        assert set(paired) == {"WorldModels/Toy-v0"}
        assert paired["WorldModels/Toy-v0"]["mean"] == paired["WorldModels/Toy-v0"]["ci_high"] == 0.0
        assert main(["evaluate", str(finished.path), "--evaluate.env", ""]) == 0
        assert json.loads((finished.folder("evaluate") / "summary.json").read_text())["env"] == "WorldModels/Toy-v0"
    finally:
        del gym.registry["WorldModels/ToyAgain-v0"]


class NegativeToy(Toy):
    """The toy in the colours of a photographic negative."""

    def reset(self, *, seed=None, options=None):
        obs, info = super().reset(seed=seed, options=options)
        return 255 - obs, info

    def step(self, action):
        obs, *rest = super().step(action)
        return (255 - obs, *rest)


def negative(images):
    return 1 - images


@pytest.mark.slow
def test_an_agent_drives_in_other_colours_through_a_translator_as_in_its_own(finished, tmp_path, monkeypatch):
    gym.register("WorldModels/NegativeToy-v0", entry_point=NegativeToy, max_episode_steps=50)
    try:
        there = ["evaluate", str(finished.path), "--evaluate.env", "WorldModels/NegativeToy-v0"]
        assert main(there) == 0
        summary = finished.folder("evaluate") / "summary.json"
        assert json.loads(summary.read_text())["paired"]["WorldModels/Toy-v0"]["mean"] != 0.0
        with monkeypatch.context() as patch:
            patch.setattr("scripts.evaluate.translator_of", lambda _: Translator(colours=negative))
            assert main([*there, "--evaluate.translator", "somewhere"]) == 0
        facts = json.loads(summary.read_text())
        assert facts["env"] == "WorldModels/NegativeToy-v0 through somewhere"
        assert {"WorldModels/Toy-v0", "WorldModels/NegativeToy-v0"} <= set(facts["paired"])
        own = facts["paired"]["WorldModels/Toy-v0"]
        assert own["mean"] == own["ci_low"] == own["ci_high"] == 0.0
        run = trained_translator(tmp_path / "translator", "cycle-gan", Choice("outlines", {"size": 32, "count": 40}))
        for more, said in (([], str(run.path)), (["--evaluate.colours", "true"], f"colours of {run.path}")):
            assert main([*there, "--evaluate.translator", str(run.path), *more]) == 0
            facts = json.loads(summary.read_text())
            assert facts["env"] == f"WorldModels/NegativeToy-v0 through {said}"
            assert facts["paired"]["WorldModels/Toy-v0"]["mean"] != 0.0
    finally:
        del gym.registry["WorldModels/NegativeToy-v0"]
        main(["evaluate", str(finished.path), "--evaluate.env", "", "--evaluate.translator", ""])


@pytest.mark.slow
def test_info_tells_how_far_a_run_got(finished, trained, capsys):
    assert main(["info", str(finished.path)]) == 0
    assert "validation" in capsys.readouterr().out
    assert main(["info", str(trained.path)]) == 0
    assert "evolve        not run yet" in capsys.readouterr().out


@pytest.mark.slow
def test_the_report_shows_the_score_with_its_interval(finished):
    for _ in report(finished):
        pass
    page = (finished.folder("report") / "index.html").read_text()
    summary = json.loads((finished.folder("evaluate") / "summary.json").read_text())["summary"]
    assert f"{summary['ci_low']:.1f}".replace("-", "") in page.replace("\u2212", "")
    assert "data:video/webm" in page and "WorldModels/Toy-v0" in page


@pytest.mark.slow
def test_dreams_with_residual_noise_go_through_every_stage(_trained, tmp_path):
    """The newest episodes' steps, and the memory's residuals at them, are kept, dreamt of and exported."""
    dreams = {"noise": "residual", "recent_episodes": 4, "horizon": 15}
    evolution = {"world": "dream", "generations": 2}
    config = small_config(dream=dreams, evolve=evolution, memory={"latent": "mean"})
    run = Run.create(tmp_path / "real", config)
    for stage in ("collect", "train-vision"):
        shutil.copytree(_trained.folder(stage), run.folder(stage))
    for stage in (train_memory, evolve, dream):
        for _ in stage(run):
            pass
    starts, half = load_starts(run), thin_starts(load_starts(run), half=True)
    newest = [latent_file(run, file).read("mean") for file in split(episode_files(run.folder("collect")))[0][-4:]]
    assert {tuple(row) for row in starts.residuals.z} <= {tuple(row) for mean in newest for row in mean}
    assert half.residuals.value.dtype == np.float16
    np.testing.assert_allclose(half.residuals.value, starts.residuals.value, atol=1e-2)
    env = load_dream(run)
    env.action_space.seed(0)
    for seed in range(4):
        env.reset(seed=seed)
        steps, over = 0, False
        while not over:
            _, reward, terminated, truncated, _ = env.step(env.action_space.sample())
            steps, over = steps + 1, terminated or truncated
            assert np.isfinite(reward)
        assert terminated or steps == 15


@pytest.mark.slow
def test_training_again_gives_the_same_weights_and_another_seed_others(hasty_vision, tmp_path):
    steps = {"fit": {"steps": 10}}
    found = []
    for number, seed in enumerate((0, 0, 1)):
        config = config_from({"seed": seed, "vision": steps, "memory": steps}, tiny_config())
        run = Run.create(tmp_path / str(number), config)
        for stage in (collect, train_vision, train_memory):
            for _ in stage(run):
                pass
        found.append(
            [(run.folder(name) / "model.safetensors").read_bytes() for name in ("train-vision", "train-memory")]
        )
    same, again, other = found
    assert same == again and same[0] != other[0] and same[1] != other[1]


class GreyToy(Toy):
    """Another environment: grey images without a channel axis, three discrete actions, no simulator state."""

    simulator_state = None
    simulator_state_names = ()

    def __init__(self, **options):
        super().__init__(size=32, discrete=True, **options)
        self.observation_space = gym.spaces.Box(0, 255, (32, 32), np.uint8)

    def draw_state_pixels(self):
        return super().draw_state_pixels().mean(-1).astype(np.uint8)


@pytest.mark.slow
def test_another_environment_goes_through_every_stage(hasty_vision, tmp_path):
    gym.register(id="Tests/GreyToy-v0", entry_point=GreyToy, max_episode_steps=50)
    changes = {
        "env": {"id": "Tests/GreyToy-v0", "options": {}},
        "collect": {"episodes": 4, "policies": ["uniform", "action-hold", "brownian", "random-agent"]},
        "memory": {"termination": {"type": "env"}},
    }
    config = config_from(changes, tiny_config())
    # Options of the environment are a mapping: those of the toy do not go away by themselves.
    config = dataclasses.replace(config, env=dataclasses.replace(config.env, options={}))
    run = Run.create(tmp_path / "grey", config)
    for stage in (collect, train_vision, train_memory, evolve, evaluate, dream, report):
        for _ in stage(run):
            pass
    assert run.done("evaluate")["summary"]["episodes"] == 2
    agent, env = load_agent(run), make_env(run.config.env)
    obs, _ = env.reset(seed=0)
    assert obs.shape == (32, 32, 1) and env.action_space.contains(agent.act(obs))


@pytest.mark.slow
@pytest.mark.parametrize("stage", [train_vision, train_memory])
def test_a_stopped_training_ends_in_the_same_weights(_trained, trained, stage):
    import shutil

    name = stage.__name__.replace("_", "-")
    whole = (trained.folder(name) / "model.safetensors").read_bytes()
    shutil.rmtree(trained.folder(name))
    for _ in range(2):
        generator = stage(trained)
        for progress in generator:
            if progress.unit == "steps" and progress.done >= 20:
                break
        generator.close()
    for _ in stage(trained):
        pass
    assert (trained.folder(name) / "model.safetensors").read_bytes() == whole


@pytest.mark.slow
@pytest.mark.ray
def test_the_toy_preset_learns_to_drive_in_one_command(tmp_path, capsys):
    command = [
        sys.executable,
        "-c",
        "from tests.small import hurry; hurry(); from scripts.cli import entry; entry()",
        "run",
        str(tmp_path / "a toy"),
        "--preset",
        "toy",
    ]
    first = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=400)
    assert first.returncode == 0, first.stderr
    done = Run(tmp_path / "a toy").done("evaluate")
    assert done["summary"]["ci_low"] > done["baseline"]["ci_high"] + 2
    assert main(command[3:]) == 0  # again: all is there
    assert re.search(r"score: .*random policy", capsys.readouterr().out)


@pytest.mark.long
@pytest.mark.slow
def test_the_paper_preset_starts(hasty_vision, tmp_path):
    """Every number of the paper but the counts, which are days. The toy preset is carried out on Ray."""
    words = ["run", str(tmp_path / "paper"), "--preset", "paper", "--collect.episodes", "4",
             "--collect.max-frames", "12", "--executor.envs", "2", "--vision.fit.steps", "2",
             "--memory.fit.steps", "2", "--memory.batch", "2", "--vision.batch", "16", "--evolve.generations", "1",
             "--evolve.episodes", "2", "--evolve.optimiser.population", "4",
             "--evolve.validation.tracks", "2", "--evaluate.tracks", "2", "--env.max-steps", "12",
             "--dream.warmup", "3", "--dream.horizon", "5", "--executor.type", "serial"]  # fmt: skip
    assert main(words) == 0
    run = Run(tmp_path / "paper")
    assert run.done("evolve")["parameters"] == 867
