"""What stands between an image environment and an agent: repeats, early stops and the model's frames.

The order is environment (with its `TimeLimit` in frames), `ActionRepeat`, `EarlyStop`, `ModelFrame`: so every
limit counts frames of the environment, whatever the repeat, and only frames that somebody sees are resized.
"""

from collections.abc import Sequence
from typing import Any, SupportsFloat

import cv2
import gymnasium as gym
import numpy as np
from gymnasium.utils import RecordConstructorArgs
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, TimeLimit

from envs.info import Info

StepResult = tuple[Any, SupportsFloat, bool, bool, Info]


class ActionRepeat(gym.Wrapper, RecordConstructorArgs):
    """Takes every action `repeat` times and returns the last frame and the sum of the rewards.

    Stops when the episode ends. An environment that draws on demand (see `envs.car_racing.CarRacing`) draws only
    the frame that is returned. `info["frames"]` is the number of environment frames that the step
    took.
    """

    def __init__(self, env: gym.Env, repeat: int) -> None:
        if repeat < 1:
            raise ValueError(f"repeat={repeat}: an action is taken at least once; use 1 for no repetition.")
        RecordConstructorArgs.__init__(self, repeat=repeat)
        gym.Wrapper.__init__(self, env)
        self.repeat = repeat
        self._on_demand = draws_on_demand(env)

    def step(self, action: Any) -> StepResult:
        """Step the environment up to `repeat` times with the same action."""
        base: Any = self.unwrapped  # has `draw` and `draw_state_pixels` where it draws on demand
        draw = base.draw if self._on_demand else None  # None: the environment draws as it likes
        total, frames = 0.0, 0
        try:
            for remaining in reversed(range(self.repeat)):
                if draw is not None:
                    base.draw = draw and remaining == 0
                obs, reward, terminated, truncated, info = self.env.step(action)
                total += float(reward)
                frames += 1
                if terminated or truncated:
                    break
        finally:
            if draw is not None:
                base.draw = draw
        if draw and remaining > 0:  # ended within the repetition, on a frame not drawn
            obs = base.draw_state_pixels()
        return obs, total, terminated, truncated, {**info, "frames": frames}


class EarlyStop(gym.Wrapper, RecordConstructorArgs):
    """Truncates an episode that is going nowhere; for training only, because it changes the task.

    It ends after `no_reward_limit` frames in a row without a positive reward.
    """

    def __init__(self, env: gym.Env, no_reward_limit: int) -> None:
        if no_reward_limit < 1:
            raise ValueError(f"no_reward_limit={no_reward_limit}: must be at least 1 frame; or leave the wrapper out.")
        RecordConstructorArgs.__init__(self, no_reward_limit=no_reward_limit)
        gym.Wrapper.__init__(self, env)
        self.no_reward_limit = no_reward_limit
        self._frames_without_reward = 0

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Any, Info]:
        """Reset the environment and the counter."""
        self._frames_without_reward = 0
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> StepResult:
        """Step the environment, and end the episode at the limit."""
        obs, reward, terminated, truncated, info = self.env.step(action)
        frames = info.get("frames", 1)
        self._frames_without_reward = 0 if float(reward) > 0 else self._frames_without_reward + frames
        if self._frames_without_reward >= self.no_reward_limit and not terminated:
            truncated = True
        return obs, reward, terminated, truncated, info


class ModelFrame(gym.ObservationWrapper, RecordConstructorArgs):
    """Crops rows and resizes the frame to the square uint8 (size, size, C) image that models see.

    Rows `crop[0]` to `crop[1]` (exclusive) are kept; (0, 0) keeps all. A frame less than twice as large as the
    image is resized bilinearly, which then still sees every pixel; a larger one by averaging areas. A frame that
    needs none of this is passed on as it is, without a copy. Two-dimensional frames get a channel axis.
    """

    def __init__(self, env: gym.Env, size: int, crop: Sequence[int] = (0, 0)) -> None:
        RecordConstructorArgs.__init__(self, size=size, crop=list(crop))
        gym.Wrapper.__init__(self, env)
        height, _, channels = image_shape(env.observation_space)
        top, bottom = crop
        if bottom > height:
            raise ValueError(
                f"crop={tuple(crop)}: the frames have only {height} rows; "
                f"keep rows within (0, {height}), or all of them with (0, 0)."
            )
        self.size = size
        self.crop = (top, bottom)
        self.observation_space = gym.spaces.Box(0, 255, (size, size, channels), np.uint8)

    def observation(self, observation: np.ndarray) -> np.ndarray:
        """Return the frame at the model's size."""
        return model_frame(observation, self.size, self.crop)


def draws_on_demand(env: gym.Env) -> bool:
    """Whether an environment has our switch `draw`, and no wrapper stands around it that may look at its frames."""
    while isinstance(env, gym.Wrapper):
        if not isinstance(env, BLIND):
            return False
        env = env.env
    return isinstance(getattr(env, "draw", None), bool) and hasattr(env, "draw_state_pixels")


def model_frame(frame: np.ndarray, size: int, crop: Sequence[int] = (0, 0)) -> np.ndarray:
    """Return a frame (H W) or (H W C) as models see it: rows cropped, resized, uint8 (size, size, C)."""
    top, bottom = crop
    if bottom:
        frame = frame[top:bottom]
    if frame.shape[:2] != (size, size):
        fine = max(frame.shape[:2]) < 2 * size  # bilinear is four times as fast
        frame = cv2.resize(frame, (size, size), interpolation=cv2.INTER_LINEAR if fine else cv2.INTER_AREA)
    return frame if frame.ndim == 3 else frame[:, :, None]


BLIND = (TimeLimit, OrderEnforcing, PassiveEnvChecker, ActionRepeat, EarlyStop, ModelFrame)
"""Wrappers to which it is the same what frames show."""


def image_shape(space: gym.Space[object]) -> tuple[int, int, int]:
    """Height, width and channels of an image space; ValueError with the reason if the space is none."""
    supported = "supported are uint8 images of shape (H, W), (H, W, 1) or (H, W, 3), if need be by env.wrappers"
    entries = getattr(space, "spaces", None)
    if isinstance(space, gym.spaces.Dict | gym.spaces.Tuple) and entries:
        keys = list(entries) if isinstance(entries, dict) else list(range(len(entries)))
        images = [key for key in keys if len(entries[key].shape or ()) in (2, 3)]
        picked = (images or keys)[0]
        raise ValueError(
            f"observations are a {type(space).__name__} of {keys}; name the one with the picture, as in env.wrappers "
            f"'envs:PickObservation {{key: {picked}}}'; {supported}."
        )
    if not isinstance(space, gym.spaces.Box):
        raise ValueError(f"observations are {space}, not images; {supported}.")
    if space.dtype != np.uint8:
        raise ValueError(f"observations are {space.dtype} {space.shape}, not uint8 images; {supported}.")
    if len(space.shape) not in (2, 3) or space.shape[2:] not in ((), (1,), (3,)):
        raise ValueError(f"observations of shape {space.shape} are not images; {supported}.")
    height, width, *channels = space.shape
    return height, width, channels[0] if channels else 1
