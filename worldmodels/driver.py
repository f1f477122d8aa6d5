"""A trained agent for one environment: `agent = load_agent(run)`, then `agent.act(obs)` frame by frame."""

import os
from typing import Any

import numpy as np

from envs import model_frame
from worldmodels.assembly import load_bundle
from worldmodels.bundle import Bundle
from worldmodels.errors import RunError
from worldmodels.export import agent_folder
from worldmodels.pilot import Pilot
from worldmodels.run import Run


class Driver:
    """Drives one environment with deterministic actions; `reset` before each episode."""

    def __init__(self, bundle: Bundle, parameters: np.ndarray):
        self.bundle = bundle
        self.env_config = bundle.env
        self._pilot = Pilot(bundle.perception(1), bundle.build_controller(), bundle.spec, parameters[None])
        self.reset()

    def reset(self, seed: int = 0) -> None:
        """Forget the past; `seed` is that of the latent noise, where latents are sampled."""
        self._pilot.begin(0, seed)

    def act(self, obs: np.ndarray) -> Any:
        """Return the action for a frame, as the environment's `step` takes it.

        Args:
            obs: uint8 (H W C), or (H W) where it is grey, either at the model's size, as `make_env` gives it, or as
                the environment draws it.
        """
        size = self.env_config.size
        obs = obs[:, :, None] if obs.ndim == 2 else obs
        if obs.dtype != np.uint8 or obs.ndim != 3:
            raise RunError(f"obs must be a frame, uint8 (H W C); got {obs.dtype} {obs.shape}")
        if obs.shape[:2] != (size, size):
            obs = model_frame(obs, size, self.env_config.crop)
        action = self._pilot.act(obs[None], np.ones(1, dtype=bool))
        return self.bundle.spec.to_env(action)[0]


def load_agent(run: str | os.PathLike[str] | Run) -> Driver:
    """Return the evolved agent of a run folder; `pretrained` is the one that the package ships.

    Raises:
        RunError: if the run is not there, not finished, or damaged.
    """
    opened = run if isinstance(run, Run) else Run(agent_folder(run))
    bundle, parameters, _ = load_bundle(opened)
    return Driver(bundle, parameters)
