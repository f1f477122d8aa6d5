"""What the agent sees and what it dreams, frame by frame: real, reconstructed, and dreamt with the same actions."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from envs import VectorEnv, make_env
from generative import to_float, to_uint8
from worldmodels.bundle import Bundle
from worldmodels.pilot import Pilot


@dataclass(frozen=True)
class FilmConfig:
    """The film that `worldmodels dream` makes."""

    steps: int = 250
    """Steps to show."""
    context: int = 50
    """Real steps that the memory watches before it begins to dream."""
    temperature: float = 1.0
    """Of the mixture the dream is drawn from."""
    track: int = 10_000
    """Seed of the track; the default is the first validation track."""
    seed: int = 0
    """Of the dream's noise."""

    def __post_init__(self) -> None:
        if not 1 <= self.context < self.steps:
            raise ValueError(f"film.context={self.context}: must be at least 1 and below film.steps={self.steps}")
        if self.temperature < 0:
            raise ValueError(f"film.temperature={self.temperature}: must be at least 0")


class Shot(NamedTuple):
    """One moment of the film; frames are uint8 (H W C)."""

    real: np.ndarray
    reconstruction: np.ndarray
    dream: np.ndarray
    """The reconstruction while the memory still watches."""
    dreaming: bool
    real_reward: float
    dream_reward: float


@torch.inference_mode()
def film(bundle: Bundle, parameters: np.ndarray, memory: nn.Module, config: FilmConfig) -> Iterator[Shot]:
    """Let the agent drive a real track and yield what it sees beside what the memory dreams of the same actions."""
    world: Any = memory
    vision: Any = bundle.load_vision().eval()
    env = VectorEnv([make_env(bundle.env)])
    pilot = Pilot(bundle.perception(1), bundle.build_controller(), bundle.spec, parameters[None])
    pilot.begin(0, config.track)
    generator = torch.Generator().manual_seed(config.seed)
    obs, _ = env.reset(seed=[config.track], options={"reset_mask": np.ones(1, dtype=bool)})
    state, dreamt = world.initial(1), None
    real_reward = dream_reward = 0.0
    for step in range(config.steps):
        mean, _ = vision.encode(to_float(torch.from_numpy(obs)))
        seen = to_uint8(vision.decode(mean))[0].numpy()
        dreaming = dreamt is not None and step > config.context
        shown = to_uint8(vision.decode(dreamt))[0].numpy() if dreaming else seen
        yield Shot(obs[0].copy(), seen, shown, dreaming, real_reward, dream_reward)
        action = pilot.act(obs, np.ones(1, dtype=bool))
        current = dreamt if dreamt is not None and step >= config.context else mean
        prediction, state = world.step(current, torch.from_numpy(action), state)
        noise = (torch.rand(mean.shape, generator=generator), torch.randn(mean.shape, generator=generator))
        dreamt = prediction.sample(config.temperature, *noise) if step >= config.context else None
        obs, reward, terminated, truncated, _ = env.step(bundle.spec.to_env(action))
        real_reward, dream_reward = float(reward[0]), float(prediction.reward[0])
        if terminated[0] or truncated[0]:
            break
    env.close()
