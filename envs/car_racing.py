"""Gymnasium's CarRacing that draws only frames somebody looks at, and tells the true state of its simulator.

Physics, tracks, rewards and frames equal `gymnasium.envs.box2d.car_racing.CarRacing` (v3), bit for bit.
Two things are added, both for learning world models: drawing costs over a hundred times more than simulating,
so the skipped frames of a repeated action need not be drawn (`draw`); and the factors behind the pixels
(`simulator_state`) are needed to measure what a latent code knows.

Signs follow one rule: everything that points or turns left (counter-clockwise, seen from above) is positive.
An offset then grows at the rate speed * sin(heading error). Mind that gymnasium's *action* steers right when
positive.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from gymnasium.envs.box2d import car_racing as gymnasium_car_racing
from gymnasium.error import ResetNeeded
from jaxtyping import Bool, Float32, UInt8

from envs.info import Info

Number = TypeVar("Number", float, np.ndarray)

LOOK_AHEAD = (10.0, 20.0, 40.0)  # metres
ROAD_GREY, ROAD_COLOUR = (70, 150), 50  # mean of a road pixel's channels, and how far apart they may be
SHOWS_ROAD = 0.02  # least share of road pixels in a frame that shows road
LAP_REWARD, FRAME_COST = 1000.0, 0.1  # what gymnasium pays for all tiles together, and takes for every frame


class CentreLine:
    """The closed line through the middle of a track, as arrays made for fast look-ups.

    `track` is gymnasium's list of (alpha, beta, x, y) per tile: beta is the heading of the road, so that the
    road runs along (-sin beta, cos beta). Units are metres and radians.
    """

    def __init__(self, track: Sequence[tuple[float, float, float, float]]) -> None:
        _, self.heading, self.x, self.y = np.array(track, dtype=np.float64).T
        self.turn = wrap_angle(np.roll(self.heading, -1) - self.heading)  # from each tile to the next
        self.length = np.hypot(np.roll(self.x, -1) - self.x, np.roll(self.y, -1) - self.y)
        self.curvature = np.stack([self._mean_curvature(d) for d in LOOK_AHEAD], axis=1)  # (tiles, 3)

    def _mean_curvature(self, distance: float) -> np.ndarray:
        """Mean heading change per metre over the next `distance` metres (to whole tiles), at each tile."""
        tiles = max(1, round(distance / gymnasium_car_racing.TRACK_DETAIL_STEP))
        ahead = (np.arange(len(self.x))[:, None] + np.arange(tiles)) % len(self.x)  # (tiles, tiles ahead)
        return self.turn[ahead].sum(axis=1) / self.length[ahead].sum(axis=1)

    def locate(self, x: float, y: float) -> tuple[int, float, float]:
        """Tile nearest to the point (x, y), offset to the left of the line, and heading of the line there."""
        nearest = int(((self.x - x) ** 2 + (self.y - y) ** 2).argmin())
        heading = float(self.heading[nearest])
        dx, dy = x - float(self.x[nearest]), y - float(self.y[nearest])
        along = dy * np.cos(heading) - dx * np.sin(heading)
        # Tiles are 3.5 m long and may turn by 0.3 rad: without interpolation the heading would jump.
        segment = nearest if along > 0 else nearest - 1
        share = min(max(along / max(float(self.length[segment]), 1e-6), -1.0), 1.0)
        neighbour = (nearest + 1) % len(self.x) if along > 0 else nearest - 1
        dx -= abs(share) * float(self.x[neighbour] - self.x[nearest])
        dy -= abs(share) * float(self.y[neighbour] - self.y[nearest])
        heading += share * float(self.turn[segment])
        return nearest, float(-dx * np.cos(heading) - dy * np.sin(heading)), heading


def shows_road(frames: UInt8[np.ndarray, "N H W 3"]) -> Bool[np.ndarray, " N"]:
    """Whether frames show road: grey pixels, of which the upper seven eighths, the scene, hold at least 2 %.

    It holds for frames in gymnasium's usual colours and for what a vision makes of them: on 960 frames of real
    drives the two agreed in 99.6 %. The first frames of an episode, seen from far above, count as without road.
    """
    scene = frames[:, : frames.shape[1] * 7 // 8].astype(np.int16)
    grey, apart = scene.mean(-1), scene.max(-1) - scene.min(-1)
    road = (apart <= ROAD_COLOUR) & (grey >= ROAD_GREY[0]) & (grey <= ROAD_GREY[1])
    return road.mean((1, 2)) >= SHOWS_ROAD


def wrap_angle(angle: Number) -> Number:
    """Return the same angle (radians, a number or an array) in [-pi, pi)."""
    return (angle + np.pi) % (2 * np.pi) - np.pi


class CarRacing(gymnasium_car_racing.CarRacing):
    """Gymnasium's CarRacing-v3 with drawing on demand and a readable simulator state.

    `draw`: while False, `step` returns the previous frame instead of drawing one; the frame after `reset` is
    always drawn.
    `action_squash`: how a network's three unbounded outputs become steering, gas and brake.
    `goal_reached`: whether the lap is finished, which ends an episode too, but not in failure.
    """

    draw: bool = True
    action_squash: tuple[str, ...] = ("tanh", "tanh", "relu-tanh")
    simulator_state_names: tuple[str, ...] = (
        "x",
        "y",
        "heading",
        "speed",
        "forward_velocity",
        "lateral_velocity",
        "angular_velocity",
        "wheel_angle",
        "wheel_speed_front_left",
        "wheel_speed_front_right",
        "wheel_speed_rear_left",
        "wheel_speed_rear_right",
        "lateral_offset",
        "heading_error",
        "curvature_10",
        "curvature_20",
        "curvature_40",
        "tiles_visited",
        "reward_rate",
        "on_road",
    )

    goal_reached: bool = False
    _frame: np.ndarray | None = None
    _centre_line: CentreLine | None = None

    @property
    def usual_colours(self) -> bool:
        """Whether road and grass are grey and green on every track."""
        return not self.domain_randomize

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[np.ndarray, Info]:
        """Make a new track (set by `seed`) and put the car on its first tile."""
        self._frame, self.goal_reached = None, False
        obs, info = super().reset(seed=seed, options=options)
        self._centre_line = CentreLine(self.track)
        return obs, info

    def step(self, action: Any) -> tuple[np.ndarray, Any, bool, bool, Info]:
        """Take gymnasium's step and note whether it finished the lap."""
        obs, reward, terminated, truncated, info = super().step(action)
        self.goal_reached = bool(info.get("lap_finished", False))
        return obs, reward, terminated, truncated, info

    def close(self) -> None:
        """Give back the window and the simulator's bodies; `reset` makes new ones.

        Box2D's bodies and listener hold the environment, and the other way round, in references that Python's garbage
        collection does not see: each environment that is dropped without it costs 140 kB.
        """
        super().close()
        self._destroy()
        self.world.contactListener = None
        self.car, self._centre_line = None, None

    def _render(self, mode: str) -> Any:
        if mode != "state_pixels":
            return super()._render(mode)
        if "t" not in self.__dict__:
            return None  # as gymnasium: nothing to see before the first reset
        if self.draw or self._frame is None:
            self._frame = self.draw_state_pixels()
        return self._frame

    def draw_state_pixels(self) -> UInt8[np.ndarray, "96 96 3"]:
        """Draw the observation of this moment; a subclass with a faster renderer overrides only this."""
        return super()._render("state_pixels")

    def simulator_state(self) -> Float32[np.ndarray, " S"]:
        """True state in the order of `simulator_state_names`: metres, seconds, radians; left is positive.

        `curvature_D` is the mean heading change per metre over the next D metres of road, `wheel_speed_*` are
        radians per second, `lateral_offset` is the distance of the hull's centre to the centre line,
        `tiles_visited` the share of the track driven, `on_road` the share of the four wheels that touch a
        tile. `reward_rate` is what a frame at this speed along the road earns on average, the cost of time
        included: the reward without its spikes, if no tile were ever visited twice. Raises `ResetNeeded` before
        the first reset.
        """
        if self._centre_line is None or self.car is None:
            raise ResetNeeded("simulator_state() needs a car: call reset() first.")
        hull, wheels = self.car.hull, self.car.wheels
        (x, y), angle = hull.position, hull.angle
        vx, vy = hull.linearVelocity
        cos, sin = np.cos(angle), np.sin(angle)
        nearest, offset, road_heading = self._centre_line.locate(x, y)
        on_road = sum(bool(wheel.tiles) for wheel in wheels) / len(wheels)
        along = vy * np.cos(road_heading) - vx * np.sin(road_heading) if on_road else 0.0
        tiles = max(0.0, along) / (gymnasium_car_racing.TRACK_DETAIL_STEP * gymnasium_car_racing.FPS)
        values = (
            x,
            y,
            angle,
            np.hypot(vx, vy),
            vy * cos - vx * sin,
            -vx * cos - vy * sin,
            hull.angularVelocity,
            wheels[0].joint.angle,
            *(wheel.omega for wheel in wheels),
            offset,
            wrap_angle(angle - road_heading),
            *self._centre_line.curvature[nearest],
            self.tile_visited_count / len(self.track),
            tiles * LAP_REWARD / len(self.track) - FRAME_COST,
            on_road,
        )
        return np.array(values, dtype=np.float32)
