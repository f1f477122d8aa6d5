"""A trained agent: frame by frame with `act`, or as Stable-Baselines3's models with `predict`."""

import json
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from envs import model_frame
from generative.report.glance import Glance
from worldmodels.agent.bundle import Bundle
from worldmodels.agent.controller_policy import ControllerPolicy
from worldmodels.agent.features import Remembered
from worldmodels.errors import RunError


class AgentState(NamedTuple):
    """What an agent knows of N episodes between two calls of `predict`; it never changes."""

    remembered: Remembered
    episodes: Int[np.ndarray, " N"]
    """Episodes that each row has begun, which seed the noise of sampled latents."""


class Agent:
    """Drives one environment with `act`, `reset` before each episode, or N of them with `predict`.

    The evolved controller draws nothing: the same past and frame lead to the same action.
    """

    def __init__(self, bundle: Bundle, parameters: np.ndarray):
        self.bundle = bundle
        self.env_config = bundle.env
        self._parameters = parameters[None]
        self._policies: dict[int, ControllerPolicy] = {}
        self._policy = self._new_policy(1)
        self.reset()

    def reset(self, seed: int = 0) -> None:
        """Forget the past; `seed` is that of the latent noise, where latents are sampled."""
        self._policy.begin(0, seed)

    def act(self, obs: np.ndarray) -> Any:
        """Return the action for a frame, as the environment's `step` takes it.

        Args:
            obs: uint8 (H W C), or (H W) where it is grey, either at the model's size, as `make_env` gives it, or as
                the environment draws it.

        Raises:
            RunError: it is no frame.
        """
        return self.bundle.spec.to_env(self._policy.act(self._frame(obs)[None], np.ones(1, dtype=bool)))[0]

    def predict(
        self,
        obs: np.ndarray,
        state: AgentState | None = None,
        episode_start: Bool[np.ndarray, " N"] | None = None,
        deterministic: bool = True,
    ) -> tuple[np.ndarray, AgentState]:
        """Return actions and what to hand back in with the next frames: the interface of Stable-Baselines3's models.

        `stable_baselines3.common.evaluation.evaluate_policy(agent, env)` measures an agent through it.

        Args:
            obs: uint8 (N H W C), or one frame (H W C); without C where frames are grey; of a size as in `act`.
            state: from the call before; None at the beginning.
            episode_start: bool (N), which rows begin an episode with these frames; all where there is no state.
            deterministic: accepted as other libraries pass it; the controller has no other way of acting.

        Returns:
            actions (N ...) as the environment's `step` takes them, or one action for one frame; and the new state.
            `state` itself is left as it was.

        Raises:
            RunError: `obs` are no frames, or are not as many as `state` or `episode_start` is for.
        """
        obs = np.asarray(obs)
        if obs.ndim not in (2, 3, 4):
            raise RunError(f"obs must be frames, uint8 (N H W C), or one, uint8 (H W C); got {obs.dtype} {obs.shape}")
        many = obs.ndim == 4 or (obs.ndim == 3 and obs.shape[2] not in (1, 3))
        frames = np.stack([self._frame(frame) for frame in (obs if many else obs[None])])
        rows = len(frames)
        starts = np.zeros(rows, dtype=bool) if episode_start is None else np.atleast_1d(episode_start).astype(bool)
        if starts.shape != (rows,) or (state is not None and len(state.episodes) != rows):
            known = "no" if state is None else len(state.episodes)
            raise RunError(f"{rows} frames, {known} rows of state, {len(starts)} episode_start: give as many of each")
        if rows not in self._policies:
            self._policies[rows] = self._new_policy(rows)
        policy = self._policies[rows]
        episodes = np.zeros(rows, dtype=np.int64) if state is None else state.episodes.copy()
        if state is not None:
            policy.perception.recall(state.remembered)
        for row in range(rows):
            if state is None or starts[row]:
                policy.begin(row, int(episodes[row]) * rows + row)
                episodes[row] += 1
        actions = self.bundle.spec.to_env(policy.act(frames, np.ones(rows, dtype=bool)))
        after = AgentState(policy.perception.remembered(), episodes)
        return (actions if many else actions[0]), after

    def _repr_html_(self) -> str:
        """Return what a notebook shows of the agent: what it sees, remembers and decides with."""
        env, features, controller = self.env_config, self.bundle.features, self.bundle.controller
        parts = {"vision": self.bundle.vision, "memory": self.bundle.memory}
        kinds = {name: json.loads(part["config"])["type"] for name, part in parts.items() if part}
        rows = [
            ("environment", f"{env.id}, action repeat {env.action_repeat}"),
            ("sees", f"{env.size} x {env.size} pixels through a {kinds['vision']}"),
            ("remembers", f"{kinds.get('memory', 'memory')}, {features.memory}" if features.uses_memory else "nothing"),
            ("reads", f"{features.reads}: {self.bundle.feature_size} numbers a frame"),
            ("acts", f"{controller.type} controller of {self._parameters.size:,} parameters"),
        ]
        return Glance("Agent", "act(obs) returns an action", rows=rows)._repr_html_()

    def _new_policy(self, rows: int) -> ControllerPolicy:
        return ControllerPolicy(
            self.bundle.perception(rows), self.bundle.build_controller(), self.bundle.spec, self._parameters
        )

    def _frame(self, obs: np.ndarray) -> np.ndarray:
        size = self.env_config.size
        obs = obs[:, :, None] if obs.ndim == 2 else obs
        if obs.dtype != np.uint8 or obs.ndim != 3:
            raise RunError(f"obs must be a frame, uint8 (H W C); got {obs.dtype} {obs.shape}")
        return obs if obs.shape[:2] == (size, size) else model_frame(obs, size, self.env_config.crop)
