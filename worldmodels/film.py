"""What the agent sees and what it dreams, frame by frame: real, reconstructed, and dreamt with the same actions."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from envs import VectorEnv, make_env
from generative import to_float, to_uint8
from generative.options import check_numbers
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
        check_numbers(self, "film")
        if not 0 <= self.track < 2**31 - 1:
            raise ValueError(f"film.track={self.track}: tracks are seeds from 0 to 2**31 - 2")
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


def film(bundle: Bundle, parameters: np.ndarray, memory: nn.Module, config: FilmConfig) -> Iterator[Shot]:
    """Let the agent drive a real track and yield what it sees beside what the memory dreams of the same actions."""
    env = VectorEnv([make_env(bundle.env)])
    everyone = np.ones(1, dtype=bool)
    pilot = Pilot(bundle.perception(1), bundle.build_controller(), bundle.spec, parameters[None])
    pilot.begin(0, config.track)
    projector = _Projector(bundle.load_vision(), memory, config)
    obs, _ = env.reset(seed=[config.track], options={"reset_mask": everyone})
    reward, ended = 0.0, False
    for _ in range(config.steps):
        yield projector.show(obs, reward)
        if ended:
            break
        action = pilot.act(obs, everyone)
        projector.advance(action)
        obs, rewards, terminated, truncated, _ = env.step(bundle.spec.to_env(action))
        reward, ended = float(rewards[0]), bool(terminated[0] or truncated[0])
    env.close()


class _Projector:
    """Encodes what is real, and lets the memory dream on from where its context ends."""

    def __init__(self, vision: Any, memory: Any, config: FilmConfig):
        self.vision, self.memory, self.config = vision.eval(), memory, config
        self._state: tuple[Tensor, ...] = memory.initial(1)
        self._generator = torch.Generator().manual_seed(config.seed)
        self._mean: Tensor | None = None
        self._dreamt: Tensor | None = None
        self._step, self._reward = 0, 0.0

    @torch.inference_mode()
    def show(self, obs: np.ndarray, reward: float) -> Shot:
        """Return the moment of a real frame, uint8 (1 H W C)."""
        self._mean, _ = self.vision.encode(to_float(torch.from_numpy(obs)))
        seen = self._decode(self._mean)
        shown = seen if self._dreamt is None else self._decode(self._dreamt)
        return Shot(obs[0].copy(), seen, shown, self._dreamt is not None, reward, self._reward)

    @torch.inference_mode()
    def advance(self, action: np.ndarray) -> None:
        """Let the memory see the real latent, or its own dream once the context is over, and the action."""
        current = self._mean if self._dreamt is None else self._dreamt
        assert current is not None
        prediction, self._state = self.memory.step(current, torch.from_numpy(action), self._state)
        self._reward = float(prediction.reward[0])
        self._step += 1
        if self._step >= self.config.context:
            uniform = torch.rand(current.shape, generator=self._generator)
            normal = torch.randn(current.shape, generator=self._generator)
            self._dreamt = prediction.sample(self.config.temperature, uniform, normal)

    def _decode(self, z: Tensor) -> np.ndarray:
        frame: np.ndarray = to_uint8(self.vision.decode(z))[0].numpy()
        return frame
