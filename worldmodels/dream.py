"""The dream: the memory as a world (Ha and Schmidhuber 2018, section 4).

`imagine` evolves controllers in it: many candidates times many dreams as few batched operations, never decoding a
frame.
`worldmodels.dream_env` is the same world behind gymnasium's face.

Dreams start from real latents: at the standstill of an episode's first frame, or inside an episode after the memory has
been warmed up on its real steps. The noise of a dream is a function of its seed alone and shared by all candidates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save
from torch import Tensor, nn

from agents import Controller
from generative import native_bfloat16
from worldmodels.dream_step import dream_step
from worldmodels.errors import RunError
from worldmodels.files import write_bytes
from worldmodels.latents import LatentFile
from worldmodels.perception import Perception


@dataclass(frozen=True)
class DreamConfig:
    """How dreams go when controllers are evolved in them."""

    horizon: int = 100
    """Steps in a dream."""
    temperature: float = 1.0
    """Of the mixture: above 1 dreams are more random, which makes them harder to exploit."""
    standstill: float = 0.3
    """Share of dreams that start at an episode's first frame; the others start inside one."""
    warmup: int = 20
    """Real steps the memory sees before a dream that starts inside an episode."""
    terminates: bool = True
    """Whether the termination head ends dreams (drawn with its probability)."""
    termination_charge: float = 0.1
    """Cost of each step that a terminated dream does not play."""
    starts: int = 1000
    """Starting points kept of the rollouts."""
    block: int = 16
    """Candidates imagined in one batch."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number type of the memory's products in dreams; auto: bfloat16 where the processor has it."""

    def __post_init__(self) -> None:
        for name in ("horizon", "starts", "block"):
            if getattr(self, name) < 1:
                raise ValueError(f"dream.{name}={getattr(self, name)}: must be at least 1")
        if self.temperature < 0:
            raise ValueError(f"dream.temperature={self.temperature}: must be at least 0; 1 is the memory's own")
        if not 0 <= self.standstill <= 1:
            raise ValueError(f"dream.standstill={self.standstill}: is a share between 0 and 1")
        if self.warmup < 0:
            raise ValueError(f"dream.warmup={self.warmup}: must not be negative")

    @property
    def torch_dtype(self) -> torch.dtype:
        """The number type that `dtype` stands for on this processor."""
        native = self.dtype != "float32" and native_bfloat16()
        return torch.bfloat16 if native else torch.float32


@dataclass(frozen=True)
class Starts:
    """Where dreams begin."""

    still: np.ndarray
    """float32 (S Z): latents of first frames."""
    z: np.ndarray
    """float32 (S K+1 Z): latents along K real steps, and where the dream begins."""
    action: np.ndarray
    """float32 (S K A): the real actions between them."""

    def save(self, path: Path) -> None:
        """Write the starts to a safetensors file."""
        write_bytes(path, save({"still": self.still, "z": self.z, "action": self.action}))

    @classmethod
    def load(cls, path: Path) -> "Starts":
        """Read the starts that `save` wrote."""
        try:
            return cls(**load_file(path))
        except (OSError, SafetensorError, TypeError) as error:
            raise RunError(f"{path} holds no dream starts ({error}): run `worldmodels train-memory` first") from error


def gather_starts(files: Sequence[LatentFile], config: DreamConfig, seed: int) -> Starts:
    """Draw starting points from encoded episodes; latents are drawn from their posteriors."""
    rng = np.random.default_rng(seed)

    def draw(file: LatentFile, begin: int, end: int) -> np.ndarray:
        mean, std = file.read("mean", begin, end), file.read("std", begin, end)
        return (mean + std * rng.standard_normal(mean.shape)).astype(np.float32)

    still, z, action = [], [], []
    for count in range(config.starts):
        file = files[count % len(files)]
        still.append(draw(file, 0, 1)[0])
        if file.steps >= config.warmup:
            begin = int(rng.integers(file.steps - config.warmup + 1))
            z.append(draw(file, begin, begin + config.warmup + 1))
            action.append(file.read("action", begin, begin + config.warmup))
    if not z:
        longest = max(file.steps for file in files)
        raise RunError(f"no episode has {config.warmup} steps to warm up on (longest: {longest}): lower dream.warmup")
    return Starts(np.stack(still), np.stack(z), np.stack(action))


@dataclass(frozen=True)
class Noise:
    """All that chance decides in E dreams of T steps, as a function of their seeds."""

    still: Tensor
    """bool (E): whether the dream starts at standstill."""
    still_index: Tensor
    """int64 (E)."""
    warm_index: Tensor
    """int64 (E)."""
    normal: Tensor
    """float32 (E T Z)."""
    uniform: Tensor
    """float32 (E T Z)."""
    end: Tensor
    """float32 (E T): the dream ends where this is below the termination probability."""

    @classmethod
    def draw(cls, seeds: Sequence[int], starts: Starts, config: DreamConfig) -> "Noise":
        """Draw the noise of one dream per seed."""
        latent = starts.still.shape[1]
        rows: list[tuple[Any, ...]] = []
        for seed in seeds:
            rng = np.random.default_rng(seed)
            rows.append(
                (
                    rng.random() < config.standstill,
                    rng.integers(len(starts.still)),
                    rng.integers(len(starts.z)),
                    rng.standard_normal((config.horizon, latent), dtype=np.float32),
                    rng.random((config.horizon, latent), dtype=np.float32),
                    rng.random(config.horizon, dtype=np.float32),
                )
            )
        return cls(*(torch.from_numpy(np.array(column)) for column in zip(*rows, strict=True)))


@torch.inference_mode()
def imagine(
    generator: nn.Module,
    perception: Perception,
    controller: Controller,
    parameters: np.ndarray,
    seeds: Sequence[int],
    starts: Starts,
    config: DreamConfig,
) -> np.ndarray:
    """Play every candidate in every dream and return the returns, float64 (C E).

    Args:
        generator: the memory that dreams.
        perception: of `config.block` times E rows; it may hold the same memory, which then advances once for both.
        controller: population-batched.
        parameters: (C N), at most `config.block` candidates.
        seeds: of the E dreams, common to all candidates.
        starts: where dreams begin.
        config: how they go.
    """
    world: Any = generator
    candidates, dreams = config.block, len(seeds)
    if len(parameters) > candidates or perception.rows != candidates * dreams:
        raise ValueError(
            f"{len(parameters)} candidates and {perception.rows} rows do not fit blocks of {candidates} x {dreams}"
        )
    padded = torch.zeros(candidates, parameters.shape[1])
    padded[: len(parameters)] = torch.from_numpy(np.asarray(parameters, dtype=np.float32))
    noise = Noise.draw(seeds, starts, config)
    shared = perception.memory is generator
    z, state = _wake(world, perception, starts, noise, candidates, shared)
    advance = dream_step(generator, config.torch_dtype)
    uniform, normal, end = (_by_step(chance, candidates) for chance in (noise.uniform, noise.normal, noise.end))
    score = torch.zeros(candidates * dreams, dtype=torch.float64)
    alive = torch.ones(candidates * dreams, dtype=torch.bool)
    for step in range(config.horizon):
        if shared:
            perception.adopt(state)
        features = perception.features(z)
        action = controller.act_population(features.view(candidates, dreams, -1), padded).flatten(0, 1)
        if not shared:
            perception.advance(action)
        z, reward, end_logit, state = advance(z, action, state, config.temperature, uniform[step], normal[step])
        score += torch.where(alive, reward, 0).double()
        if config.terminates:
            ended = alive & (end[step] < torch.sigmoid(end_logit))
            score -= ended.double() * config.termination_charge * (config.horizon - step - 1)
            alive &= ~ended
    return score.view(candidates, dreams)[: len(parameters)].numpy()


def _by_step(chance: Tensor, candidates: int) -> tuple[Tensor, ...]:
    """Return the noise of each step for all candidates, T times (C*E ...), from that of the dreams, (E T ...)."""
    steps = chance.transpose(0, 1)  # (T E ...)
    return steps.repeat(1, candidates, *[1] * (steps.dim() - 2)).unbind(0)


def _wake(
    world: Any, perception: Perception, starts: Starts, noise: Noise, candidates: int, shared: bool
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Return the first latent and the memory's state of every row, warmed up on real steps, and warm perception too."""
    warm_z = torch.from_numpy(starts.z)[noise.warm_index].repeat(candidates, 1, 1)  # (C*E K+1 Z)
    warm_action = torch.from_numpy(starts.action)[noise.warm_index].repeat(candidates, 1, 1)  # (C*E K A)
    still = noise.still.repeat(candidates)
    rows = len(still)
    perception.begin_dreams(torch.ones(rows, dtype=torch.bool))
    state = world.initial(rows)
    for step in range(warm_action.shape[1]):
        state = world.advance(warm_z[:, step], warm_action[:, step], state)
        if not shared:
            perception.features(warm_z[:, step])
            perception.advance(warm_action[:, step])
    fresh = world.initial(rows)
    state = tuple(torch.where(still[:, None], new, old) for new, old in zip(fresh, state, strict=True))
    perception.begin_dreams(still)
    first = torch.from_numpy(starts.still)[noise.still_index].repeat(candidates, 1)
    return torch.where(still[:, None], first, warm_z[:, -1]), state
