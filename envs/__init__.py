"""Gymnasium environments with images for observations; they know no agent and no model.

Importing this package registers `WorldModels/CarRacing-v3` and `WorldModels/Toy-v0`. `make_env` builds either
of them, or any other Gymnasium environment with image observations, with the frames a model sees.
"""

import os

import gymnasium

# pygame greets on standard output when CarRacing imports it; a library stays silent.
os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")

from envs.adapters import BoxActions, PickObservation
from envs.check import check_environment
from envs.ids import CAR_RACING, same_world
from envs.make import EnvConfig, env_facts, frame_rate, make_env
from envs.vector import VectorEnv
from envs.wrappers import ActionRepeat, EarlyStop, ModelFrame, draws_on_demand, model_frame

__all__ = [
    "CAR_RACING",
    "ActionRepeat",
    "BoxActions",
    "EarlyStop",
    "EnvConfig",
    "ModelFrame",
    "PickObservation",
    "VectorEnv",
    "check_environment",
    "draws_on_demand",
    "env_facts",
    "frame_rate",
    "make_env",
    "model_frame",
    "same_world",
]

gymnasium.register(
    id="WorldModels/CarRacing-v3",
    entry_point="envs.car_racing:CarRacing",
    vector_entry_point="envs.vector:car_racing",
    max_episode_steps=1000,
    reward_threshold=900,
)
gymnasium.register(
    id="WorldModels/FastCarRacing-v3",
    entry_point="envs.fast_car_racing:FastCarRacing",
    vector_entry_point="envs.vector:fast_car_racing",
    max_episode_steps=1000,
    reward_threshold=900,
)
gymnasium.register(
    id="WorldModels/RecolouredCarRacing-v3",
    entry_point="envs.recoloured:RecolouredCarRacing",
    vector_entry_point="envs.vector:recoloured_car_racing",
    max_episode_steps=1000,
    reward_threshold=900,
)
gymnasium.register(
    id="WorldModels/NightCarRacing-v3",
    entry_point="envs.night:NightCarRacing",
    vector_entry_point="envs.vector:night_car_racing",
    max_episode_steps=1000,
    reward_threshold=900,
)
gymnasium.register(
    id="WorldModels/Toy-v0",
    entry_point="envs.toy:Toy",
    vector_entry_point="envs.vector:toy",
    max_episode_steps=50,
)
