"""A package of its own with an environment that is nothing like CarRacing.

Two choices, grey frames of 120 rows and 90 columns inside a Dict, no step limit, no end, no state to tell, 12 frames
a second; and a wrapper that the environment cannot be seen without.
"""

import gymnasium
import numpy as np

gymnasium.register(id="Strange-v0", entry_point="strange:Strange")


class Strange(gymnasium.Env):
    """Keep a falling bar in the middle: it drifts, and each choice pushes it to one side."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 12}  # noqa: RUF012
    observation_space = gymnasium.spaces.Dict(
        {"clock": gymnasium.spaces.Box(0, np.inf, (1,), np.float32),
         "picture": gymnasium.spaces.Box(0, 255, (120, 90), np.uint8)}
    )  # fmt: skip
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, render_mode=None, noise=1.0):
        self.render_mode, self.noise = render_mode, noise

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.time = float(self.np_random.uniform(30, 60)), 0
        return self.observe(), {}

    def step(self, action):
        push = 2.0 if action == 1 else -2.0
        self.place = float(np.clip(self.place + push + self.noise * self.np_random.normal(), 5, 85))
        self.time += 1
        return self.observe(), 1 - abs(self.place - 45) / 40, False, False, {}

    def observe(self):
        return {"clock": np.array([self.time], np.float32), "picture": self.draw()}

    def draw(self):
        picture = np.full((120, 90), 200, np.uint8)
        picture[20:100, int(self.place) - 4 : int(self.place) + 5] = 30
        return picture

    def render(self):
        return np.repeat(self.draw()[:, :, None], 3, axis=2)


class Shown(gymnasium.ObservationWrapper):
    """The picture alone, its greys turned round."""

    def __init__(self, env, above=0):
        super().__init__(env)
        self.above = above
        self.observation_space = env.observation_space["picture"]

    def observation(self, observation):
        return 255 - np.maximum(observation["picture"], self.above)
