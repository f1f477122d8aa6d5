import pytest
from torch import nn

from generative import LatentSpec
from tests.small import small_config
from worldmodels import RunError
from worldmodels.agent.build import check_config
from worldmodels.vision.contract import Vision, check_vision
from worldmodels.vision.registry import VISIONS


class Mute(nn.Module):
    """A vision that encodes and learns, but does not judge itself."""

    latent_spec = LatentSpec("continuous", 8)

    def encode(self, obs):
        return obs.flatten(1)[:, :8], obs.flatten(1)[:, :8]

    def loss(self, obs, generator):
        return obs.mean(), {}


def test_every_vision_keeps_the_contract():
    for name in VISIONS.names():
        vision = VISIONS.create(name, {}, seed=0)
        assert isinstance(vision, Vision), name
        check_vision(vision)


def test_a_vision_that_cannot_judge_itself_is_refused_before_anything_is_collected(monkeypatch):
    monkeypatch.setattr("worldmodels.agent.build.new_vision", lambda config, shape, seed: Mute())
    with pytest.raises(
        RunError, match=r"vision.type=vae: Mute has no `diagnose`; see `worldmodels.vision.contract.Vision`"
    ):
        check_config(small_config())


def test_all_that_is_lacking_is_named():
    with pytest.raises(ValueError, match="Linear has no `latent_spec` and no `encode` and no `loss` and no `diagnose`"):
        check_vision(nn.Linear(1, 1))
