"""Where dreams begin: at the first frame of an episode, or inside one after the memory has seen real steps of it.

Starts are drawn from a run's latents when the dream is built, by the settings of the dream. They are kept in a file
that names these settings.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from generative.core.facts import Facts
from worldmodels.dream.config import DreamConfig
from worldmodels.dream.residuals import ResidualBootstrap, Residuals, record_residuals
from worldmodels.errors import RunError
from worldmodels.files import write_bytes
from worldmodels.memories import Memory
from worldmodels.vision.latent_files import LatentFile

STARTS = 1000
"""Starting points that are drawn, as many at first frames as inside episodes."""

SETTINGS = ("noise", "warmup", "recent_episodes", "min_steps_to_end")
"""The fields of `DreamConfig` that starts follow from."""


@dataclass(frozen=True)
class Starts:
    """Where dreams begin."""

    initial: np.ndarray
    """float32 (S Z): latents of first frames."""
    z: np.ndarray
    """float32 (S K+1 Z): latents along K real steps, and where the dream begins."""
    action: np.ndarray
    """float32 (S K A): the real actions between them."""
    step_value: np.ndarray = field(default_factory=lambda: np.zeros((), np.float32))
    """float32 (): size of the mean reward per recorded step, before the end: the unit of the termination penalty."""
    residuals: Residuals | None = None
    """The memory's errors at recorded steps; None where the noise is drawn from the memory's mixture."""

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all arrays by name, those of the residuals as `residuals.<name>`."""
        own = {name: array for name, array in vars(self).items() if isinstance(array, np.ndarray)}
        recorded = {} if self.residuals is None else self.residuals._asdict()
        return own | {f"residuals.{name}": array for name, array in recorded.items()}

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> "Starts":
        """Return the starts that `arrays` took apart; a TypeError names what is missing."""
        parted = {name.removeprefix("residuals."): array for name, array in arrays.items() if "." in name}
        own = {name: array for name, array in arrays.items() if "." not in name}
        return cls(**own, residuals=Residuals(**parted) if parted else None)

    def spread(self) -> np.ndarray:
        """Return the standard deviation of each latent dimension over all starts, float32 (Z)."""
        every = np.concatenate([self.initial, self.z.reshape(-1, self.z.shape[2])]).astype(np.float32)
        return np.maximum(every.std(0), 1e-6)

    def bootstrap(self, device: torch.device | str = "cpu") -> ResidualBootstrap:
        """Return what the residuals are drawn with on a device; a RunError where none were recorded."""
        if self.residuals is None:
            raise RunError(
                "dream.noise=residual: these starts were made with dream.noise=mixture and hold no residuals; make "
                "them anew, in a run that has its latents"
            )
        return ResidualBootstrap(self.residuals, self.spread(), device)


def settings(config: DreamConfig) -> Facts:
    """Return the settings that starts follow from, by name."""
    return {name: getattr(config, name) for name in SETTINGS}


def save_starts(path: Path, starts: Starts, config: DreamConfig) -> None:
    """Write starts to a safetensors file, with the settings they were made with."""
    write_bytes(path, save(starts.arrays(), {"settings": json.dumps(settings(config))}))


def read_starts(path: Path) -> tuple[Starts, Facts]:
    """Return the starts that `save_starts` wrote, as float32, and the settings they were made with.

    Raises:
        RunError: the file is damaged or something else.
    """
    try:
        with safe_open(path, "np") as file:
            arrays = {name: file.get_tensor(name).astype(np.float32) for name in file.keys()}
            return Starts.of(arrays), json.loads(file.metadata()["settings"])
    except (OSError, SafetensorError, TypeError, KeyError, ValueError) as error:
        raise RunError(
            f"{path} holds no dream starts ({error}): delete it and run `worldmodels evolve` again"
        ) from error


def gather_starts(
    files: Sequence[LatentFile],
    config: DreamConfig,
    seed: int,
    ended: Sequence[np.ndarray] | None = None,
    latent: Literal["sample", "mean"] = "sample",
    memory: Memory | None = None,
) -> Starts:
    """Draw starting points from encoded episodes.

    Args:
        files: the episodes, the newest last.
        config: how many steps before a start inside an episode, which episodes these may be, and the noise.
        seed: of the draw.
        ended: for each episode (T), 1 where a dream would be over after the step: none starts there, nor within
            `config.min_steps_to_end` steps before it.
        latent: whether latents are drawn from their posteriors or are their means.
        memory: whose residuals are recorded where they are the noise of dreams.

    Raises:
        RunError: no episode has a place to start from.
    """
    rng = np.random.default_rng(seed)

    def draw(file: LatentFile, begin: int, end: int) -> np.ndarray:
        mean, std = file.read("mean", begin, end), file.read("std", begin, end)
        if latent == "mean":
            return mean.astype(np.float32)
        return (mean + std * rng.standard_normal(mean.shape)).astype(np.float32)

    recent = min(config.recent_episodes, len(files))
    initial, z, action = [], [], []
    for count in range(STARTS):
        initial.append(draw(files[count % len(files)], 0, 1)[0])
        place = len(files) - 1 - count % recent if config.recent_episodes else count % len(files)
        file = files[place]
        begins = np.arange(file.steps - config.warmup + 1)
        if ended is not None:
            begins = begins[_goes_on(ended[place], begins + config.warmup, config.min_steps_to_end)]
        if len(begins):
            begin = int(rng.choice(begins))
            z.append(draw(file, begin, begin + config.warmup + 1))
            action.append(file.read("action", begin, begin + config.warmup))
    if not z:
        longest = max(file.steps for file in files)
        raise RunError(
            f"no episode has {config.warmup} steps to warm up on before it is over (longest: {longest}): "
            f"lower dream.warmup{' or dream.min_steps_to_end' if config.min_steps_to_end else ''}"
        )
    drivers = range(len(files) - recent if recent else 0, len(files))
    starts = Starts(np.stack(initial), np.stack(z), np.stack(action), _step_value(files, drivers, ended))
    if config.noise == "mixture":
        return starts
    assert memory is not None, "residuals are a memory's"
    seen = None if ended is None else [ended[place] for place in drivers]
    return replace(starts, residuals=record_residuals(memory, [files[place] for place in drivers], seen, latent, rng))


def _step_value(files: Sequence[LatentFile], places: Sequence[int], ended: Sequence[np.ndarray] | None) -> np.ndarray:
    """Return the size of the mean reward per step of some episodes, up to where each is over: float32 ().

    Where rewards are negative it is what a step costs: the penalty stays a penalty.
    """
    rewards = []
    for place in places:
        over: list[int] = [] if ended is None else np.flatnonzero(ended[place]).tolist()
        rewards.append(files[place].read("reward", 0, over[0] if over else None))
    every = np.concatenate(rewards)
    return np.array(abs(float(every.mean())) if len(every) else 0.0, dtype=np.float32)


def _goes_on(ended: np.ndarray, step: np.ndarray, least: int) -> np.ndarray:
    """Return whether nothing ends in the step that leads to each of the steps, nor in the next ones, bool as `step`.

    The end of the recording itself is no end.
    """
    ends = np.concatenate([[0], np.cumsum(ended != 0)])  # (T+1): ends in the first t steps
    return ends[np.minimum(step + least, len(ended))] == ends[np.maximum(step - 1, 0)]
