"""A small vision and memory, starts for their dreams, and controllers that dream in them."""

import copy

import numpy as np
import torch

from agents import ActionSpec, ControllerConfig, make_controller
from generative import VAE, VAEConfig
from worldmodels.agent.config import FeaturesConfig
from worldmodels.agent.features import Perception
from worldmodels.dream.config import DreamConfig
from worldmodels.dream.imagine import Imagination
from worldmodels.dream.residuals import Residuals
from worldmodels.dream.starts import Starts
from worldmodels.memories import MDNRNN, MDNRNNConfig
from worldmodels.memories.registry import MEMORIES

SPEC = ActionSpec(3, (-1.0, 0.0, 0.0), (1.0, 1.0, 1.0), ("tanh", "tanh", "relu-tanh"), False)
CONFIG = DreamConfig(horizon=12, warmup=4, initial_state_fraction=0.5, termination_penalty=2.0)
BLOCK = 3
SEEDS = [11, 22, 33, 46]


def make_parts():
    """Return a vision and a memory."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vision = VAE(VAEConfig(latent=4, image_size=32, width=8)).eval()
        memory = MDNRNN(MDNRNNConfig(latent=4, action=3, hidden=16)).eval()
        for parameter in memory.parameters():
            parameter.data *= 3  # a lively world
    return vision, memory


def make_starts():
    """Return seven starts at first frames and five inside episodes, with residuals."""
    rng = np.random.default_rng(0)
    return Starts(
        rng.standard_normal((7, 4), dtype=np.float32),
        rng.standard_normal((5, 5, 4), dtype=np.float32),
        rng.random((5, 4, 3), dtype=np.float32),
        np.array(0.8, np.float32),
        residuals=Residuals(
            rng.standard_normal((50, 4), dtype=np.float32),
            rng.uniform(-1, 1, (50, 3)).astype(np.float32),
            rng.standard_normal((2, 50, 4), dtype=np.float32),
        ),
    )


def candidates(count):
    size = make_controller(ControllerConfig(), 20, SPEC).parameters_size
    return np.random.default_rng(5).normal(size=(count, size)).astype(np.float32)


def dream(parts, starts, parameters, config=CONFIG, seeds=SEEDS, memory=None, features=None, action_cost=0.0, **how):
    vision, generator = parts
    features = features or FeaturesConfig()
    perception = Perception(vision, memory or generator, features, BLOCK * len(seeds), **how)
    controller = make_controller(ControllerConfig(), 20 if features.uses_memory else 4, SPEC)
    return Imagination(generator, perception, controller, starts, config, len(seeds), action_cost)(parameters, seeds)


def lively(name, seed=0, **options):
    """A memory of which every feature and head matters."""
    memory = MEMORIES.create(name, {"latent": 4, "action": 3, **options}, seed).eval()
    for parameter in memory.parameters():
        parameter.data *= 3
    return memory


def endless(parts):
    """Return the parts with a memory that never ends a dream."""
    vision, memory = parts[0], copy.deepcopy(parts[1])
    memory.termination_head.weight.data.zero_()
    memory.termination_head.bias.data.fill_(-50.0)
    return vision, memory
