"""Environments played side by side, in batches; finished ones rest until they are reset.

Gymnasium's own vector environments either reset finished slots at once and without a seed, which breaks lists
of tracks, or (with autoreset disabled) refuse to step while one slot is finished. Here a finished slot just
rests.
"""

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from jaxtyping import Bool, Float32, Float64, UInt8

from envs.info import Info


class VectorEnv(gym.vector.VectorEnv):
    """Steps image environments in order in this process; autoreset is disabled.

    `envs` is a list of equal environments, or a function that makes one together with their number
    `num_envs`. A slot is finished before its first reset and after its episode's end; until it is reset it is
    not stepped, keeps its last observation, stays terminated or truncated, and its reward is 0.

    All calls return the same array of observations, uint8 (W, H, W, C), and overwrite it: copy what you keep.
    """

    metadata: Info = {"autoreset_mode": AutoresetMode.DISABLED}  # noqa: RUF012 (gymnasium's declaration)

    def __init__(self, envs: Sequence[gym.Env] | Callable[[], gym.Env], num_envs: int | None = None) -> None:
        if callable(envs):
            if num_envs is None or num_envs < 1:
                raise ValueError(f"num_envs={num_envs}: say how many environments to make, at least 1.")
            envs = [envs() for _ in range(num_envs)]
        self.envs = list(envs)
        if not self.envs or num_envs not in (None, len(self.envs)):
            raise ValueError(f"num_envs={num_envs}: got {len(self.envs)} environments; pass at least 1.")
        self.num_envs = len(self.envs)
        self.single_observation_space = self.envs[0].observation_space
        self.single_action_space = self.envs[0].action_space
        for index, env in enumerate(self.envs):
            spaces = env.observation_space, env.action_space
            if spaces != (self.single_observation_space, self.single_action_space):
                raise ValueError(f"envs[{index}]: spaces {spaces} differ from envs[0]'s; use one config.")
        shape = self.single_observation_space.shape or ()
        if self.single_observation_space.dtype != np.uint8 or len(shape) != 3:
            raise ValueError(f"envs: obs must be uint8 (H, W, C), not {self.single_observation_space}.")
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.metadata = {**self.envs[0].metadata, **type(self).metadata}
        self.render_mode = self.envs[0].render_mode
        self._obs = np.zeros((self.num_envs, *shape), dtype=np.uint8)
        self._begun = np.zeros(self.num_envs, dtype=bool)
        self._terminated = np.zeros(self.num_envs, dtype=bool)
        self._truncated = np.ones(self.num_envs, dtype=bool)
        names = getattr(self.envs[0].unwrapped, "simulator_state_names", ())
        self.simulator_state_names: tuple[str, ...] = tuple(names)

    @property
    def finished(self) -> Bool[np.ndarray, " slots"]:
        """Which slots rest until their next reset."""
        return self._terminated | self._truncated

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: Info | None = None,
    ) -> tuple[UInt8[np.ndarray, "slots H W C"], Info]:
        """Reset the slots in `options["reset_mask"]` (bool (W), default all), each with its entry of `seed`.

        An int seeds slot i with seed + i; entries of slots that are not reset are ignored. Other options go
        to the environments.
        """
        options = dict(options or {})
        mask = self._checked_mask(options.pop("reset_mask", np.ones(self.num_envs, dtype=bool)))
        if seed is None or isinstance(seed, (int, np.integer)):
            seed = [None if seed is None else int(seed) + index for index in range(self.num_envs)]
        if len(seed) != self.num_envs:
            raise ValueError(f"seed: {len(seed)} seeds for {self.num_envs} slots; give one per slot.")
        for index in np.flatnonzero(mask).tolist():
            self._obs[index], _ = self.envs[index].reset(seed=seed[index], options=options or None)
            self._terminated[index] = self._truncated[index] = False
            self._begun[index] = True
        return self._obs, {}

    def step(
        self, actions: np.ndarray
    ) -> tuple[
        UInt8[np.ndarray, "slots H W C"],
        Float64[np.ndarray, " slots"],
        Bool[np.ndarray, " slots"],
        Bool[np.ndarray, " slots"],
        Info,
    ]:
        """Step the slots that are not finished with their rows of `actions`.

        Actions are the environment's own: (W, A) for Box, clipped to its bounds, or integers (W,) for
        Discrete; rows of finished slots are ignored. Infos are arrays over slots: `frames` (environment
        frames this step took), `lap_finished` and `goal_reached` (the episode ended in
        success, which environments or wrappers declare by an attribute of that name). ValueError for a wrong
        shape, or an action that is not a number.
        """
        active = ~self.finished
        native = self._native_actions(actions, active)
        rewards = np.zeros(self.num_envs)
        infos: Info = {
            "frames": np.zeros(self.num_envs, dtype=np.int64),
            "lap_finished": np.zeros(self.num_envs, dtype=bool),
            "goal_reached": np.zeros(self.num_envs, dtype=bool),
        }
        for index in np.flatnonzero(active):
            obs, reward, terminated, truncated, info = self.envs[index].step(native[index])
            self._obs[index] = obs
            rewards[index] = float(reward)
            self._terminated[index], self._truncated[index] = terminated, truncated
            infos["frames"][index] = info.get("frames", 1)
            infos["lap_finished"][index] = info.get("lap_finished", False)
            infos["goal_reached"][index] = terminated and _goal_reached(self.envs[index])
        return self._obs, rewards, self._terminated.copy(), self._truncated.copy(), infos

    def simulator_states(self) -> Float32[np.ndarray, "slots S"]:
        """True state of every slot, zeros before its first reset; S = 0 if the environments tell none."""
        states = np.zeros((self.num_envs, len(self.simulator_state_names)), dtype=np.float32)
        if self.simulator_state_names:
            for index in np.flatnonzero(self._begun):
                base: Any = self.envs[index].unwrapped
                states[index] = base.simulator_state()
        return states

    def render(self) -> tuple[Any, ...]:
        """What each environment renders."""
        return tuple(env.render() for env in self.envs)

    def close_extras(self, **kwargs: object) -> None:
        """Close all environments."""
        for env in self.envs:
            env.close()

    def _checked_mask(self, mask: object) -> np.ndarray:
        mask = np.asarray(mask)
        if mask.dtype != bool or mask.shape != (self.num_envs,):
            raise ValueError(
                f"options['reset_mask']: got {mask.dtype} of shape {mask.shape}; "
                f"needs one bool per slot, shape ({self.num_envs},)."
            )
        return mask

    def _native_actions(self, actions: np.ndarray, active: np.ndarray) -> np.ndarray:
        space = self.single_action_space
        actions = np.asarray(actions)
        shape = (self.num_envs, *(space.shape or ()))
        if actions.shape != shape:
            raise ValueError(f"actions: got shape {actions.shape}, needs {shape}: one {space} per slot.")
        if not isinstance(space, gym.spaces.Box):
            return actions
        broken = ~np.isfinite(actions).reshape(self.num_envs, -1).all(axis=1) & active
        if broken.any():
            raise ValueError(
                f"actions: not finite in slots {np.flatnonzero(broken).tolist()}; the policy has diverged."
            )
        return np.clip(actions, space.low, space.high).astype(space.dtype)


def car_racing(num_envs: int, **kwargs: Any) -> VectorEnv:
    """Return what `gym.make_vec("WorldModels/CarRacing-v3", num_envs=...)` makes."""
    return _made("WorldModels/CarRacing-v3", num_envs, kwargs)


def fast_car_racing(num_envs: int, **kwargs: Any) -> VectorEnv:
    """Return what `gym.make_vec("WorldModels/FastCarRacing-v3", num_envs=...)` makes."""
    return _made("WorldModels/FastCarRacing-v3", num_envs, kwargs)


def recoloured_car_racing(num_envs: int, **kwargs: Any) -> VectorEnv:
    """Return what `gym.make_vec("WorldModels/RecolouredCarRacing-v3", num_envs=...)` makes."""
    return _made("WorldModels/RecolouredCarRacing-v3", num_envs, kwargs)


def night_car_racing(num_envs: int, **kwargs: Any) -> VectorEnv:
    """Return what `gym.make_vec("WorldModels/NightCarRacing-v3", num_envs=...)` makes."""
    return _made("WorldModels/NightCarRacing-v3", num_envs, kwargs)


def toy(num_envs: int, **kwargs: Any) -> VectorEnv:
    """Return what `gym.make_vec("WorldModels/Toy-v0", num_envs=...)` makes."""
    return _made("WorldModels/Toy-v0", num_envs, kwargs)


def _made(env_id: str, num_envs: int, kwargs: Info) -> VectorEnv:
    return VectorEnv(lambda: gym.make(env_id, **kwargs), num_envs)


def _goal_reached(env: gym.Env) -> bool:
    """Whether the episode that has just ended did so in success; of an environment that does not say, not."""
    return env.has_wrapper_attr("goal_reached") and bool(env.get_wrapper_attr("goal_reached"))
