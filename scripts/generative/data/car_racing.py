"""CarRacing's recorded frames as a data set of images, with the simulator's state as true factors."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import Float32, UInt8

from generative.data import Data, Field, Origin, array_data
from generative.data.origin import file_digest
from worldmodels.errors import RunError
from worldmodels.rollouts.dataset import episode_files
from worldmodels.rollouts.episode import EpisodeFile

BEND = 0.005
"""Radians per metre, on average over the next 40 metres of road, from which on it counts as a bend: 11 degrees."""
CLASSES = tuple(f"{way}, {pace}" for way in ("left", "straight", "right") for pace in ("slow", "fast"))
"""Where the road goes, and whether the car is faster than in half of all frames."""


@dataclass(frozen=True)
class CarRacingConfig:
    """Frames of the rollouts that a `worldmodels` run collected."""

    path_options: ClassVar[tuple[str, ...]] = ("run",)
    run: str
    """The run's folder, or a folder of episodes."""
    frames: int = 10_000
    """Frames to take at most, at even distances from all episodes; they are kept in memory."""

    def __post_init__(self) -> None:
        if self.frames < 2:
            raise ValueError(f"frames={self.frames}: give 2 or more")

    def load(self) -> Data:
        """Return the frames, the tracks of which are either in the training or in the held-out part.

        Raises:
            RunError: there are no episodes, or a file is damaged.
        """
        folder = Path(self.run)
        files = episode_files(folder / "rollouts" if (folder / "rollouts").is_dir() else folder)
        every = max(1, -(-sum(file.frames for file in files) // self.frames))
        images, states, tracks = [], [], []
        for file in files:
            episode = file.read()
            images.append(episode.obs[::every].copy())
            states.append(episode.state[::every])
            tracks += [int(file.meta["track"])] * len(images[-1])
        names = _factor_names(files[0], states[0].shape[1])
        known = np.concatenate(states)
        data = array_data(
            "car-racing", np.concatenate(images), factors=known, factor_names=names, groups=np.array(tracks)
        )
        total = sum(file.frames for file in files)
        origin = Origin(
            root=self.run,
            what="frames",
            used=len(known),
            found=total,
            notes=(f"one frame in {every} of each episode",) if every > 1 else (),
            files={file.path.name: file_digest(file.path) for file in files},
        )
        return with_attributes(replace(data, origin=origin), known, names)


def _factor_names(file: EpisodeFile, columns: int) -> tuple[str, ...]:
    names = tuple(file.env().get("simulator_state_names") or ())
    if len(names) == columns:
        return names
    if columns == 0:
        raise RunError(f"{file.path}: was recorded without the simulator's state; collect from CarRacing")
    return tuple(f"state_{number}" for number in range(columns))


def with_attributes(data: Data, state: Float32[np.ndarray, "N F"], names: tuple[str, ...]) -> Data:
    """Add what one would say of a frame (bends of the road ahead, speed, beside the road), and bend and speed as class.

    A model of classes is thereby told where the road goes and how fast the car is.
    """
    column = {name: state[:, number] for number, name in enumerate(names)}
    rules = {}
    if {"curvature_40", "speed", "on_road", "lateral_offset"} <= set(column):
        rules = {
            "left_bend": column["curvature_40"] > BEND,
            "right_bend": column["curvature_40"] < -BEND,
            "fast": column["speed"] > np.median(column["speed"]),
            "off_road": column["on_road"] < 0.5,
            "left_of_middle": column["lateral_offset"] > 0,
        }
    if not rules:
        return data
    table: UInt8[np.ndarray, "N A"] = np.stack(list(rules.values()), 1).astype(np.uint8)
    attributes = Field("attributes", (len(rules),), "uint8", tuple(rules), (2,))
    label = Field("label", (), "int64", CLASSES, (len(CLASSES),))
    way = np.where(rules["left_bend"], 0, np.where(rules["right_bend"], 2, 1))
    classes = (2 * way + rules["fast"]).astype(np.int64)
    return replace(
        data,
        fields={**data.fields, "label": label, "attributes": attributes},
        readers={**data.readers, "label": lambda items: classes[items], "attributes": lambda items: table[items]},
    )
