import json
import shutil
import sys
from pathlib import Path

import pytest
import torch

from generative import ComponentError, to_float
from scripts.stages import train_vision
from scripts.train_vision import examine, mean_frame
from tests.small import small_config
from worldmodels import Run
from worldmodels.agent.trained import load_vision
from worldmodels.errors import RunError
from worldmodels.rollouts.dataset import episode_files, sample_frames


def collected(trained: Run, path: Path, **vision) -> Run:
    """A run with another vision over the same rollouts."""
    run = Run.create(path, small_config(vision=vision))
    shutil.copytree(trained.folder("collect"), run.folder("collect"))
    return run


def train(run: Run) -> dict:
    rows = list(train_vision(run))
    assert rows[-1].done == rows[-1].total == run.config.vision.fit.steps
    return json.loads((run.folder("train-vision") / "verdict.json").read_text())


def frames(run: Run) -> torch.Tensor:
    return to_float(sample_frames(episode_files(run.folder("collect")), 200, 0))


OPTIONS = {
    "beta-vae": {"latent": 8, "width": 8},
    "autoencoder": {"latent": 8, "width": 8},
    "vq-vae": {"width": 8},
    "pca": {"latent": 8, "frames": 256},
    "random-convolutions": {"width": 8},
    "frames": {"side": 8},
}


@pytest.fixture
def taken_as_it_is(monkeypatch):
    """A vision of few steps is kept where it would be refused; one that is only estimated has to pass."""

    def judged(module, *given):
        facts = examine(module, *given)
        return facts | {"verdict": "healthy"} if any(one.requires_grad for one in module.parameters()) else facts

    monkeypatch.setattr(sys.modules["scripts.train_vision"], "examine", judged)


@pytest.mark.slow
@pytest.mark.usefixtures("taken_as_it_is")
@pytest.mark.parametrize("kind", list(OPTIONS))
def test_every_vision_is_trained_or_estimated_and_loads(kind, trained, tmp_path):
    run = collected(trained, tmp_path / kind, type=kind, options=OPTIONS[kind])
    facts = train(run)
    vision = load_vision(run)
    z, std = vision.encode(frames(run))
    assert vision.type_name == kind and z.shape == (200, vision.latent_spec.size) and z.isfinite().all()
    if kind != "beta-vae":  # it has a prior instead
        assert not std.any()
        assert kind == "frames" or 0.7 < z.std(0).median() < 1.4
    history = run.history("train-vision")
    assert history[-1]["step"] == run.config.vision.fit.steps and {"loss", "held_out_loss"} <= set(history[-1])
    decodes = kind != "random-convolutions"
    assert (run.folder("train-vision") / "reconstructions.png").exists() == decodes
    assert ({"squared_error", "car_error"} <= set(facts)) == decodes
    if kind in ("pca", "random-convolutions", "frames"):  # nothing that 60 steps could be too few for
        assert facts["verdict"] == "healthy"
    if kind == "vq-vae":
        assert 1 <= facts["used_codes"] <= 256


@pytest.mark.slow
@pytest.mark.usefixtures("taken_as_it_is")
@pytest.mark.parametrize("kind", ["vq-vae", "pca"])
def test_training_again_gives_the_same_numbers(kind, trained, tmp_path):
    fit = {"steps": 10}
    runs = [collected(trained, tmp_path / name, type=kind, options=OPTIONS[kind], fit=fit) for name in ("one", "two")]
    for run in runs:
        train(run)
    first, second = (load_vision(run).state_dict() for run in runs)
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def test_a_vision_that_sees_nothing_stops_the_run_and_says_why(trained, tmp_path, monkeypatch):
    from generative import PCA

    monkeypatch.setattr(PCA, "estimate", lambda self, batches, generator: self.spread.fill_(1e6))
    run = collected(trained, tmp_path / "blind", type="pca", options=OPTIONS["pca"])
    monkeypatch.setattr(sys.modules["scripts.train_vision"], "ATTEMPTS", 2)
    with pytest.raises(RunError, match="vision failed 2 times: none of the 8 latent") as found:
        list(train_vision(run))
    assert "learning-rate" not in str(found.value)  # there is none
    assert run.done("train-vision") is None


def test_a_latent_that_no_controller_can_take_is_refused_before_anything_is_trained(trained, tmp_path):
    run = collected(trained, tmp_path / "wide", type="vq-vae", options={"grid": 8})
    with pytest.raises((ComponentError, RunError), match="at most 64"):
        list(train_vision(run))
    assert not run.history("train-vision")


def test_the_crop_around_the_car_is_judged_on_its_own(trained):
    vision, obs = load_vision(trained), sample_frames(episode_files(trained.folder("collect")), 50, 0)
    facts = examine(vision, obs, mean_frame(obs))
    assert 0 < facts["car_baseline_error"] < facts["baseline_squared_error"]
