"""What drivers share in these tests: untrained networks of four latents, and an agent that nobody evolved."""

import numpy as np
import pytest

from agents import ControllerConfig
from envs import EnvConfig
from tests.worldmodels.dreaming import candidates, endless, make_parts, make_starts
from worldmodels.agent.build import env_shape
from worldmodels.agent.bundle import Bundle, bundle_parts
from worldmodels.agent.config import FeaturesConfig
from worldmodels.dream.config import DreamConfig
from worldmodels.play.parts import EvolvedAgent, RunParts


def make(env="WorldModels/Toy-v0", **changes):
    """Return parts over an environment with three actions."""
    config = EnvConfig(id=env, size=32)
    vision, memory = endless(make_parts())
    shape = env_shape(config)
    parts = bundle_parts(vision, memory)
    bundle = Bundle(config, shape.spec, FeaturesConfig(), ControllerConfig(), **parts)
    agent = EvolvedAgent(bundle, 0.1 * np.asarray(candidates(1)[0]))
    dream = DreamConfig(horizon=30, warmup=4)
    return RunParts(config, shape, vision, memory, make_starts(), dream, "float32", **{"agent": agent, **changes})


@pytest.fixture(scope="package")
def parts():
    return make()
