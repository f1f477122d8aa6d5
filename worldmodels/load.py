"""What Python users open first: a run, its agent, its environment and its dream, all by the run's name.

    agent, env, dream = load_agent("quick"), make_env("quick"), load_dream("quick")

Importing this module registers the dream with gymnasium: `gym.make("WorldModels/Dream-v0", run="quick")`.
"""

import os
from pathlib import Path

import gymnasium as gym

import envs
from envs import EnvConfig, VectorEnv
from worldmodels.agent.agent import Agent
from worldmodels.agent.pretrained import agent_folder
from worldmodels.agent.trained import load_bundle
from worldmodels.dream.env import DreamEnv
from worldmodels.dream.of_run import build_dream
from worldmodels.errors import RunError
from worldmodels.run.folder import Run

DREAM_ID = "WorldModels/Dream-v0"
"""Under which gymnasium knows a run's dream."""

Named = str | os.PathLike[str] | Run


def open_run(run: Named) -> Run:
    """Open a run that is there, by its folder or name, as the command line does.

    Args:
        run: an open run; a folder; a bare name, which means the folder of that name or else `runs/NAME`; or
            `pretrained`, the agent that the package ships; or `hf://USER/NAME`, one on the Hub.

    Raises:
        RunError: there is no such run.
    """
    if isinstance(run, Run):
        return run
    folder = agent_folder(run)
    if len(folder.parts) == 1 and not folder.exists() and ("runs" / folder).exists():
        folder = "runs" / folder
    return Run(folder)


def load_agent(run: Named) -> Agent:
    """Return the evolved agent of a run; `run` as of `open_run`.

    Raises:
        RunError: if the run is not there, not finished, or damaged.
    """
    bundle, parameters, _ = load_bundle(open_run(run))
    return Agent(bundle, parameters)


def load_dream(run: Named, observe: str = "frames") -> DreamEnv:
    """Return the dream of a run as a gymnasium environment, with the real one's spaces.

    Args:
        run: as of `open_run`.
        observe: "frames", decoded, uint8 (H W C); or "latents", float32 (Z).

    Raises:
        RunError: if the run is not there, has no trained memory, or is damaged.
    """
    return build_dream(open_run(run), observe)


def make_env(env: Named | EnvConfig, training: bool = False, render_mode: str | None = None) -> gym.Env:
    """Build the environment of a run, of a configuration, or of a gymnasium id, with the frames that a model sees.

    Args:
        env: a run as of `open_run`; a configuration; or the id of an environment, such as
            "WorldModels/FastCarRacing-v3" or "package:ID", which gets the default configuration: all of its frame.
        training: whether episodes end early as in training.
        render_mode: as of `gym.make`.

    Raises:
        RunError: there is neither such a run nor such an environment, or the environment is not supported.
    """
    try:
        return envs.make_env(env if isinstance(env, EnvConfig) else _config(env), training, render_mode)
    except ValueError as error:
        raise RunError(f"env: {error}") from error


def _config(env: Named) -> EnvConfig:
    try:
        return open_run(env).config.env
    except RunError as error:
        name = str(env)
        if isinstance(env, Run) or Path(name).exists() or (":" not in name and name not in gym.registry):
            raise RunError(f"{error}; nor is {name!r} the id of a known environment") from None
        return EnvConfig(id=name)


def make_dream(run: Named, observe: str = "frames", render_mode: str | None = "rgb_array") -> DreamEnv:
    """Return what `gym.make("WorldModels/Dream-v0", run=..., observe=...)` makes; see `load_dream`."""
    if render_mode not in (None, "rgb_array"):
        raise RunError(f"render_mode={render_mode!r}: a dream is only drawn as 'rgb_array'")
    return load_dream(run, observe)


def make_dreams(run: Named, num_envs: int = 1, render_mode: str | None = "rgb_array") -> VectorEnv:
    """Return what `gym.make_vec("WorldModels/Dream-v0", num_envs=..., run=...)` makes: dreams with one set of networks.

    Raises:
        RunError: as of `load_dream`.
    """
    first = make_dream(run, render_mode=render_mode)
    return VectorEnv([first, *(first.sibling() for _ in range(num_envs - 1))])


if DREAM_ID not in gym.registry:
    gym.register(
        DREAM_ID,
        entry_point="worldmodels.load:make_dream",
        vector_entry_point="worldmodels.load:make_dreams",
    )
