"""An agent may be evaluated in another drawing of its world, and in nothing else."""

from dataclasses import replace

import gymnasium as gym
import pytest

from envs.toy import Toy
from tests.small import small_config
from worldmodels import RunError
from worldmodels.evolution.config import EvaluateConfig
from worldmodels.run.preflight import check_plan


class Unsquashed(Toy):
    """The toy, which does not say how outputs become actions, as gymnasium's own CarRacing does not."""

    action_squash = None


@pytest.fixture(autouse=True)
def registered():
    gym.register("WorldModels/ToyChoice-v0", entry_point="envs.toy:Toy", kwargs={"discrete": True})
    gym.register("WorldModels/ToyPlain-v0", entry_point=Unsquashed, max_episode_steps=50)
    yield
    del gym.registry["WorldModels/ToyChoice-v0"], gym.registry["WorldModels/ToyPlain-v0"]


def test_how_outputs_become_actions_is_the_agent_s_own():
    check_plan(replace(small_config(), evaluate=EvaluateConfig(env="WorldModels/ToyPlain-v0")), None, ["evaluate"])


def test_other_actions_are_refused():
    config = replace(small_config(), evaluate=EvaluateConfig(env="WorldModels/ToyChoice-v0"))
    with pytest.raises(
        RunError, match=r"evaluate\.env=WorldModels/ToyChoice-v0: has .*Discrete\(3\), the agent was made"
    ):
        check_plan(config, None, ["evaluate"])
