"""A small lane-keeping task, made for tests and for trying the whole pipeline in a minute.

It has CarRacing's parts at a hundredth of the cost: images, three bounded actions, a step cost, rewards for
progress, a lane to leave, and an end for those who stay off it. Two pixels of every frame hold the episode's
seed and the step counter as plain bytes, so a test can tell exactly which frame it got, wherever a pipeline
may have carried it.
"""

from typing import Any, TypeVar

import gymnasium as gym
import numpy as np
from gymnasium.error import ResetNeeded
from jaxtyping import Float32, UInt8

from envs.info import Info

Number = TypeVar("Number", float, np.ndarray)

LANE_HALF_WIDTH = 0.25
CAR_HALF_WIDTH = 0.1
FIELD_HALF_WIDTH = 1.2  # the car cannot leave the field
VIEW_HALF_WIDTH = 1.2  # what the frame shows to either side of the car
VIEW_AHEAD = 2.0  # distance from the bottom to the top of the frame
CAR_ROW = 0.75  # share of the frame's height above the car
GATE_DISTANCE = 0.5
STEP_COST, CENTRE_REWARD, GATE_REWARD, LOST_REWARD = 0.1, 0.2, 1.0, -2.0
LOST_OFFSET, LOST_STEPS = 0.6, 10
SEED_BITS = 24

GRASS, ROAD, GATE, CAR = np.array([[100, 220, 100], [100, 100, 100], [240, 240, 240], [200, 0, 0]], np.float32)


def decode(obs: UInt8[np.ndarray, "H W 3"]) -> tuple[int, int]:
    """Read `(seed, t)` from a frame: the low 24 bits of the episode's seed, and the steps since its reset.

    Pixel (0, 0) holds t and pixel (0, 1) holds the seed, both as three bytes with the lowest in the first
    channel.
    """
    step, seed = (int.from_bytes(pixel.tobytes(), "little") for pixel in obs[0, :2])
    return seed, step


class Toy(gym.Env):
    """Keep a car on a winding lane, seen from above by a camera that follows the car.

    Actions are (steer, gas, brake) in [-1, 1] x [0, 1] x [0, 1], or with `discrete` left, straight and right
    at a little gas. A step costs 0.1, earns up to 0.2 the nearer the car is to the lane's centre, and 1 for
    every gate passed on the road. Ten steps in a row far off the lane end the episode with -2. Everything to
    the right is positive. Dynamics know no chance: the seed shapes the lane, the rest is up to the actions.
    """

    metadata: Info = {"render_modes": ["rgb_array"], "render_fps": 25}  # noqa: RUF012
    draw: bool = True
    action_squash: tuple[str, ...] = ("tanh", "tanh", "relu-tanh")
    simulator_state_names: tuple[str, ...] = (
        "x",
        "speed",
        "distance",
        "lane_centre",
        "lateral_offset",
        "lane_slope",
        "reward_rate",
        "on_road",
    )

    def __init__(self, render_mode: str | None = None, size: int = 64, discrete: bool = False) -> None:
        if size < 16:
            raise ValueError(f"size={size}: the lane needs at least 16 pixels to be seen.")
        self.render_mode = render_mode
        self.size = size
        self.observation_space = gym.spaces.Box(0, 255, (size, size, 3), np.uint8)
        low, high = np.array([-1, 0, 0], np.float32), np.array([1, 1, 1], np.float32)
        self.action_space = gym.spaces.Discrete(3) if discrete else gym.spaces.Box(low, high)
        self._discrete = discrete
        self._phases: tuple[float, float] | None = None  # None until the first reset
        self._frame: np.ndarray | None = None
        # float32 throughout: it halves the time to draw.
        self._columns = ((np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1) * VIEW_HALF_WIDTH
        self._ahead = (CAR_ROW - (np.arange(size, dtype=np.float32) + 0.5) / size) * VIEW_AHEAD

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[np.ndarray, Info]:
        """Shape a new lane and put the car in its middle, at little speed."""
        super().reset(seed=seed)
        if seed is None:
            seed = int(self.np_random.integers(2**SEED_BITS))
        self._seed = seed
        slow, fast = np.random.default_rng(seed).uniform(0, 2 * np.pi, size=2)
        self._phases = float(slow), float(fast)
        self._t, self._lost_steps = 0, 0
        self._distance, self._speed = 0.0, 0.3
        self._x = float(self._lane_centre(0.0))
        self._frame = None
        return self._observe(), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, Info]:
        """Move by one step; `truncated` is left to the registered time limit."""
        if self._discrete:
            steer, gas, brake = float(action) - 1.0, 0.3, 0.0
        else:
            steer, gas, brake = (float(value) for value in np.clip(action, (-1, 0, 0), 1))
        gates_before = int(self._distance / GATE_DISTANCE)
        self._speed = min(max(self._speed + 0.1 * gas - 0.2 * brake - 0.03 * self._speed, 0.0), 1.0)
        self._distance += 0.1 * self._speed
        self._x = min(max(self._x + 0.12 * steer, -FIELD_HALF_WIDTH), FIELD_HALF_WIDTH)
        self._t += 1
        offset = abs(self._x - self._lane_centre(self._distance))
        reward = CENTRE_REWARD * max(0.0, 1 - offset / LANE_HALF_WIDTH) - STEP_COST
        if offset < LANE_HALF_WIDTH:
            reward += GATE_REWARD * (int(self._distance / GATE_DISTANCE) - gates_before)
        self._lost_steps = self._lost_steps + 1 if offset > LOST_OFFSET else 0
        terminated = self._lost_steps >= LOST_STEPS
        if terminated:
            reward += LOST_REWARD
        return self._observe(), float(reward), terminated, False, {}

    def render(self) -> np.ndarray | None:
        """The frame of this moment, as an agent sees it."""
        return self.draw_state_pixels() if self.render_mode == "rgb_array" else None

    def draw_state_pixels(self) -> UInt8[np.ndarray, "H W 3"]:
        """Draw the observation of this moment."""
        pixel = 2 * VIEW_HALF_WIDTH / self.size
        along = self._distance + self._ahead  # (H,)
        beside = self._columns[None] + self._x - self._lane_centre(along)[:, None]  # (H, W)
        lane = _covered(beside, LANE_HALF_WIDTH, pixel)  # (H, W)
        gate = along % GATE_DISTANCE < VIEW_AHEAD / 32  # (H,)
        road = np.where(gate[:, None], GATE, ROAD)  # (H, 3)
        image = GRASS + lane[:, :, None] * (road[:, None] - GRASS)  # (H, W, 3)
        car = _covered(self._columns, CAR_HALF_WIDTH, pixel)[None]  # (1, W)
        car = car * (np.abs(self._ahead) < VIEW_AHEAD * 0.06)[:, None]  # (H, W)
        image += car[:, :, None] * (CAR - image)
        frame = (image + 0.5).astype(np.uint8)
        frame[-2:, : round(self._speed * self.size)] = 255  # the only trace of the speed in a single frame
        frame[0, 0] = np.frombuffer(self._t.to_bytes(3, "little"), np.uint8)
        frame[0, 1] = np.frombuffer((self._seed % 2**SEED_BITS).to_bytes(3, "little"), np.uint8)
        return frame

    def simulator_state(self) -> Float32[np.ndarray, " S"]:
        """True state in the order of `simulator_state_names`; `on_road` is the share of the car in the lane.

        `lane_slope` is the change of the lane's centre per distance, `reward_rate` what a step like the last one
        earns on average. Raises `ResetNeeded` before the first reset.
        """
        if self._phases is None:
            raise ResetNeeded("simulator_state() needs a lane: call reset() first.")
        centre = self._lane_centre(self._distance)
        slope = (self._lane_centre(self._distance + 0.01) - self._lane_centre(self._distance - 0.01)) / 0.02
        offset = self._x - centre
        on_road = _covered(offset, LANE_HALF_WIDTH, 2 * CAR_HALF_WIDTH)
        gates = 0.1 * self._speed / GATE_DISTANCE if abs(offset) < LANE_HALF_WIDTH else 0.0
        rate = CENTRE_REWARD * max(0.0, 1 - abs(offset) / LANE_HALF_WIDTH) - STEP_COST + GATE_REWARD * gates
        values = (self._x, self._speed, self._distance, centre, offset, slope, rate, on_road)
        return np.array(values, dtype=np.float32)

    def _observe(self) -> np.ndarray:
        if self.draw or self._frame is None:
            self._frame = self.draw_state_pixels()
        return self._frame

    def _lane_centre(self, distance: Number) -> Number:
        """Centre of the lane at a distance (number or array), within +-0.6."""
        assert self._phases is not None
        slow, fast = self._phases
        return 0.4 * np.sin(2 * np.pi * distance / 5 + slow) + 0.2 * np.sin(2 * np.pi * distance / 2.2 + fast)


def _covered(offset: Number, half_width: float, pixel: float) -> Number:
    """Share of cells of width `pixel`, centred at `offset` (number or array), within +-half_width."""
    return np.clip((half_width - np.abs(offset)) / pixel + 0.5, 0.0, 1.0)
