"""An environment of your own: keep a ball in the middle of the picture. Importing this file registers it."""

import gymnasium as gym
import numpy as np


class Ball(gym.Env):
    """A ball drifts to the side. The action, from -1 to 1, pushes it back."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 25}  # noqa: RUF012
    observation_space = gym.spaces.Box(0, 255, (48, 48, 3), np.uint8)
    action_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)  # all chance comes from `self.np_random`
        self.place, self.drift = 24.0, float(self.np_random.uniform(-1, 1))
        return self.render(), {}

    def step(self, action):
        self.place += self.drift + 2 * float(action[0])
        lost = not 4 < self.place < 44
        reward = -10.0 if lost else 1 - abs(self.place - 24) / 20
        return self.render(), reward, lost, False, {}

    def render(self):
        picture = np.full((48, 48, 3), 220, np.uint8)
        left = int(np.clip(self.place, 4, 44)) - 4
        picture[20:28, left : left + 8] = (200, 0, 0)
        return picture


gym.register(id="Ball-v0", entry_point="my_environment:Ball")
