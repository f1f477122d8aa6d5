"""Two domains whose pairs are known: frames of CarRacing, and of the same track and drive drawn in another way.

A model that translates between them learns without the pairs; how far it is off is then measured with them. Frames are
drawn once and kept in the user's cache folder.
"""

import dataclasses
import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import cv2
import gymnasium as gym
import numpy as np
from jaxtyping import Float32, UInt8

import envs
from envs import model_frame
from envs.fast_car_racing import FastCarRacing
from envs.night import NightCarRacing
from envs.recoloured import RecolouredCarRacing
from generative.core.cache import cache_folder
from generative.data import Data, array_data
from scripts.generative.data.car_racing import with_attributes

ZOOM = 50
"""Frames at the beginning of an episode that are seen from far above; none of them is taken."""
OTHERS: Mapping[str, type[FastCarRacing]] = {"recoloured": RecolouredCarRacing, "night": NightCarRacing}
_CRUISE = 45.0  # metres a second that the driver keeps to
_SHARE = (0.4, 1.0)  # of it, from track to track


@dataclass(frozen=True)
class CarRacingPairsConfig:
    """Frames of CarRacing beside the same ones by night, or in other colours."""

    other: Literal["recoloured", "night"] = "recoloured"
    """recoloured: a palette for each track, which no frame in the usual colours tells. night: snow in headlights, where
    each frame of either domain has one twin."""

    tracks: int = 200
    """Tracks to drive on, a tenth of them held out."""
    frames: int = 50
    """Frames of each track."""
    every: int = 8
    """Every how many frames one is taken."""
    size: int = 64
    """Height and width in pixels."""
    crop: tuple[int, int] = (0, 84)
    """Rows of the environment's 96 that are seen, up to the second number; 0 96 shows the bar of indicators too."""
    seed: int = 0
    """Determines the tracks and the drives."""

    def __post_init__(self) -> None:
        least = {"tracks": 2, "frames": 1, "every": 1, "size": 16, "seed": 0}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise ValueError(f"{name}={getattr(self, name)}: give {low} or more")
        if not 0 <= self.crop[0] < self.crop[1] <= 96:
            raise ValueError(f"crop={self.crop}: give rows from 0 to 96, the first below the second")

    def load(self) -> Data:
        """Return the frames as "image", their twins as "other"; a track stays on one side of the split."""
        folder = self._folder()
        if not folder.is_dir():
            self._keep(folder)
        usual, other = np.load(folder / "frames.npy", mmap_mode="r")
        state = np.load(folder / "state.npy")
        names = FastCarRacing.simulator_state_names
        tracks = np.arange(self.tracks).repeat(self.frames)
        data = array_data("car-racing-pairs", usual, factors=state, factor_names=names, groups=tracks)
        return with_attributes(
            replace(
                data,
                fields={"image": data.item, "other": data.item, **data.fields},
                readers={"image": data.readers["image"], "other": lambda items: other[items], **data.readers},
                twins=("image", "other"),
            ),
            state,
            names,
        )

    def _folder(self) -> Path:
        """Return where the frames are kept: a folder for these options, this code and this simulator."""
        digest = hashlib.sha256(f"{gym.__version__} {cv2.__version__} {np.__version__}".encode())
        digest.update(repr(dataclasses.astuple(self)).encode())
        for path in sorted([Path(__file__), *Path(envs.__file__).parent.glob("*.py")]):
            digest.update(path.read_bytes())
        return cache_folder() / "car-racing-pairs" / digest.hexdigest()[:20]

    def _keep(self, folder: Path) -> None:
        """Drive and write all frames; the folder appears when they are whole."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as name:
            part = Path(name) / "part"
            part.mkdir()
            shape = (2, self.tracks * self.frames, self.size, self.size, 3)
            frames = np.lib.format.open_memmap(part / "frames.npy", "w+", np.uint8, shape)
            states = []
            for track in range(self.tracks):
                for number, (pair, state) in enumerate(self._drive(track), track * self.frames):
                    frames[:, number] = pair
                    states.append(state)
            frames.flush()
            np.save(part / "state.npy", np.stack(states))
            if not folder.is_dir():  # another process may have been faster
                os.replace(part, folder)

    def _drive(self, track: int) -> Iterator[tuple[UInt8[np.ndarray, "2 H W 3"], Float32[np.ndarray, " F"]]]:
        """Yield frames in both domains and the simulator's state; the same track again when a drive ends early."""
        random = np.random.default_rng([self.seed, track])
        worlds = FastCarRacing(), OTHERS[self.other]()
        for each in worlds:
            each.draw_bar = self.crop[1] > each.bar_top
        wanted, ended = self.frames, True
        while wanted:
            if ended:
                number = int(random.integers(2**31))
                driver, time = Driver(random), 0
                for each in worlds:
                    each.reset(seed=number)
            time += 1
            taken = time > ZOOM and (time - ZOOM) % self.every == 0
            action = driver.act(worlds[0].simulator_state())
            frames = []
            for each in worlds:
                each.draw = taken
                frame, _, terminated, _, _ = each.step(action)
                frames.append(frame)
            ended = terminated
            if taken:
                yield (
                    np.stack([model_frame(each, self.size, self.crop) for each in frames]),
                    worlds[0].simulator_state(),
                )
                wanted -= 1


class Driver:
    """Follows the road at a speed of its own and swerves now and then, so that frames show more than the middle."""

    def __init__(self, random: np.random.Generator) -> None:
        self._random = random
        self._speed = _CRUISE * random.uniform(*_SHARE)
        self._swerve = 0.0

    def act(self, state: Float32[np.ndarray, " F"]) -> Float32[np.ndarray, " 3"]:
        """Return steering (right is positive), gas and brake."""
        said = dict(zip(FastCarRacing.simulator_state_names, state.tolist(), strict=True))
        self._swerve += -0.04 * self._swerve + 0.06 * self._random.normal()
        right = 1.4 * said["heading_error"] + 0.07 * said["lateral_offset"] - 9.0 * said["curvature_20"] + self._swerve
        slower = max(0.4, 1 - 14 * abs(said["curvature_40"]))
        gas = 0.08 * (self._speed * slower - said["speed"])
        return np.clip([right, gas, -0.3 * gas], [-1, 0, 0], [1, 0.6, 0.6]).astype(np.float32)
