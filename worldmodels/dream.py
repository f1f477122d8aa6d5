"""The dream: the memory as a world (Ha and Schmidhuber 2018, section 4).

Two faces of the same thing. `imagine` evolves controllers in it: many candidates times many dreams as few batched
operations, never decoding a frame. `DreamEnv` is an ordinary gymnasium environment with the real one's spaces.

Dreams start from real latents: at the standstill of an episode's first frame, or inside an episode after the memory has
been warmed up on its real steps. The noise of a dream is a function of its seed alone and shared by all candidates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save
from torch import Tensor, nn

from agents import ActionSpec, Controller
from generative import to_uint8
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
    block: int = 8
    """Candidates imagined in one batch."""

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

    def all_candidates(rows: Tensor) -> Tensor:
        return rows.repeat(candidates, *[1] * (rows.dim() - 1))  # (E ...) -> (C*E ...)

    score = torch.zeros(candidates * dreams, dtype=torch.float64)
    alive = torch.ones(candidates * dreams, dtype=torch.bool)
    for step in range(config.horizon):
        if shared:
            perception.adopt(state)
        features = perception.features(z)
        action = controller.act_population(features.view(candidates, dreams, -1), padded).flatten(0, 1)
        prediction, state = world.step(z, action, state)
        if not shared:
            perception.advance(action)
        z = prediction.sample(
            config.temperature, all_candidates(noise.uniform[:, step]), all_candidates(noise.normal[:, step])
        )
        score += torch.where(alive, prediction.reward, 0).double()
        if config.terminates:
            ended = alive & (all_candidates(noise.end[:, step]) < torch.sigmoid(prediction.termination_logit))
            score -= ended.double() * config.termination_charge * (config.horizon - step - 1)
            alive &= ~ended
    return score.view(candidates, dreams)[: len(parameters)].numpy()


def _wake(
    world: Any, perception: Perception, starts: Starts, noise: Noise, candidates: int, shared: bool
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Return the first latent and the memory's state of every row, warmed up on real steps, and warm perception too."""
    warm_z = torch.from_numpy(starts.z)[noise.warm_index].repeat(candidates, 1, 1)  # (C*E K+1 Z)
    warm_action = torch.from_numpy(starts.action)[noise.warm_index].repeat(candidates, 1, 1)  # (C*E K A)
    still = noise.still.repeat(candidates)
    rows = len(still)
    for row in range(rows):
        perception.begin(row)
    state = world.initial(rows)
    for step in range(warm_action.shape[1]):
        state = world.advance(warm_z[:, step], warm_action[:, step], state)
        if not shared:
            perception.features(warm_z[:, step])
            perception.advance(warm_action[:, step])
    fresh = world.initial(rows)
    state = tuple(torch.where(still[:, None], new, old) for new, old in zip(fresh, state, strict=True))
    for row in torch.nonzero(still).flatten().tolist():
        perception.begin(row)
    first = torch.from_numpy(starts.still)[noise.still_index].repeat(candidates, 1)
    return torch.where(still[:, None], first, warm_z[:, -1]), state


class DreamEnv(gym.Env[np.ndarray, Any]):
    """The dream behind gymnasium's face, with the real environment's spaces.

    `observe="frames"` decodes every observation; with `"latents"` the observation is the latent itself, float32 (Z),
    and a frame is decoded only when someone calls `render`. `info` holds `z`, and `start`: standstill or warm.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 50}  # noqa: RUF012

    def __init__(
        self,
        vision: nn.Module,
        memory: nn.Module,
        starts: Starts,
        spaces: tuple[gym.Space[Any], gym.Space[Any]],
        spec: ActionSpec,
        config: DreamConfig | None = None,
        observe: str = "frames",
    ):
        """Hold the parts.

        Args:
            vision: decodes latents.
            memory: dreams.
            starts: where dreams begin.
            spaces: observation and action space of the real environment, at the model's size.
            spec: of its actions.
            config: horizon, temperature and the like.
            observe: "frames" or "latents".
        """
        if observe not in ("frames", "latents"):
            raise ValueError(f"observe={observe!r}: choose 'frames' or 'latents'")
        self.vision: Any = vision.eval()
        self.memory: Any = memory.eval()
        self.starts, self.action_spec, self.config = starts, spec, config or DreamConfig()
        self.observe, self.render_mode = observe, "rgb_array"
        self.action_space = spaces[1]
        latent = starts.still.shape[1]
        self.observation_space = (
            spaces[0] if observe == "frames" else gym.spaces.Box(-np.inf, np.inf, (latent,), dtype=np.float32)
        )
        self._z: Tensor | None = None
        self._state: tuple[Tensor, ...] = ()
        self._steps = 0

    @torch.inference_mode()
    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin a dream; `options={"start": "standstill" | "warm", "index": i}` chooses where."""
        super().reset(seed=seed)
        options = options or {}
        drawn = "standstill" if self.np_random.random() < self.config.standstill else "warm"
        start = options.get("start", drawn)
        if start not in ("standstill", "warm"):
            raise ValueError(f"options['start']={start!r}: choose 'standstill' or 'warm'")
        pool = self.starts.still if start == "standstill" else self.starts.z
        index = int(options.get("index", self.np_random.integers(len(pool)))) % len(pool)
        self._state, self._steps = self.memory.initial(1), 0
        if start == "standstill":
            self._z = torch.from_numpy(pool[index : index + 1].copy())
        else:
            z, action = torch.from_numpy(pool[index].copy()), torch.from_numpy(self.starts.action[index].copy())
            for step in range(len(action)):
                self._state = self.memory.advance(z[step : step + 1], action[step : step + 1], self._state)
            self._z = z[-1:]
        return self._observe(), {"z": self._z[0].numpy().copy(), "start": start}

    @torch.inference_mode()
    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Dream one step."""
        if self._z is None:
            raise RuntimeError("call reset() before step()")
        if not self.action_space.contains(action):
            raise ValueError(f"{action!r} is not in {self.action_space}")
        row = torch.from_numpy(self.action_spec.from_env(np.asarray(action)[None]))
        prediction, self._state = self.memory.step(self._z, row, self._state)
        shape = tuple(self._z.shape)
        uniform = torch.from_numpy(self.np_random.random(shape, dtype=np.float32))
        normal = torch.from_numpy(self.np_random.standard_normal(shape, dtype=np.float32))
        self._z = prediction.sample(self.config.temperature, uniform, normal)
        self._steps += 1
        chance = float(torch.sigmoid(prediction.termination_logit)[0])
        terminated = self.config.terminates and self.np_random.random() < chance
        info = {"z": self._z[0].numpy().copy(), "termination_probability": chance}
        reward = float(prediction.reward[0])
        return self._observe(), reward, bool(terminated), self._steps >= self.config.horizon, info

    @torch.inference_mode()
    def render(self) -> np.ndarray:  # type: ignore[override]
        """Return the decoded frame, uint8 (H W C)."""
        if self._z is None:
            raise RuntimeError("call reset() before render()")
        frame: np.ndarray = to_uint8(self.vision.decode(self._z))[0].numpy()
        return frame

    def _observe(self) -> np.ndarray:
        assert self._z is not None
        return self.render() if self.observe == "frames" else self._z[0].numpy().copy()
