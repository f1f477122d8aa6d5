"""The dream as an ordinary gymnasium environment, with the real one's spaces."""

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn

from agents import ActionSpec
from generative import to_uint8
from worldmodels.dream.dream import DreamConfig, Starts, bootstrap, disagreement_price
from worldmodels.dream.world import Variants, World, draw_variants
from worldmodels.memories import Ensemble


class DreamEnv(gym.Env[np.ndarray, Any]):
    """The dream behind gymnasium's face, with the real environment's spaces.

    `observe="frames"` decodes every observation; with `"latents"` the observation is the latent itself, float32 (Z),
    and a frame is decoded only when someone calls `render`. `info` holds `z`, and `start`: standstill or warm. As in
    evolution, each dream has a member of an ensemble and a dropout mask of its own, and disagreement is charged.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 50}  # noqa: RUF012

    def __init__(
        self,
        vision: nn.Module,
        memory: nn.Module,
        starts: Starts,
        spaces: tuple[gym.Space[Any], gym.Space[Any]],
        spec: ActionSpec,
        config: DreamConfig | None = None,
        observe: str = "frames",
        fps: float = 50.0,
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
            fps: steps that make a second.
        """
        if observe not in ("frames", "latents"):
            raise ValueError(f"observe={observe!r}: choose 'frames' or 'latents'")
        self.vision: Any = vision.eval()
        self.memory: Any = memory.eval()
        self.starts, self.action_spec, self.config = starts, spec, config or DreamConfig()
        self._spaces = spaces
        self.observe, self.render_mode = observe, "rgb_array"
        self.metadata = {**type(self).metadata, "render_fps": fps}
        self.action_space = spaces[1]
        latent = starts.still.shape[1]
        self.observation_space = (
            spaces[0] if observe == "frames" else gym.spaces.Box(-np.inf, np.inf, (latent,), dtype=np.float32)
        )
        self._real = bootstrap(starts, self.config)
        self._z: Tensor | None = None
        self._world: World | None = None
        self._member = torch.zeros(1, dtype=torch.int64)
        self._steps = self._idle = 0
        self._gained = 0.0

    def sibling(self) -> "DreamEnv":
        """Return another dream of the same run, at its beginning; the networks are shared."""
        return DreamEnv(
            self.vision,
            self.memory,
            self.starts,
            self._spaces,
            self.action_spec,
            self.config,
            self.observe,
            self.metadata["render_fps"],
        )

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
        self._steps, self._idle, self._gained, still = 0, 0, 0.0, start == "standstill"
        latent, actions = self.starts.still.shape[1], self.starts.action.shape[2]
        if still:
            path, action = pool[index].reshape(1, 1, latent), np.zeros((1, 0, actions), dtype=np.float32)
        else:
            path, action = pool[index : index + 1], self.starts.action[index : index + 1]
        self._z = torch.from_numpy(path[:, -1].copy())
        variants = self._draw_variants()
        self._world = World(self.memory, None, variants, 1, price=disagreement_price(self.starts, self.config))
        self._member = variants.member
        self._world.wake(torch.from_numpy(path.copy()), torch.from_numpy(action.copy()), torch.tensor([still]))
        return self._observe(), {"z": self._z[0].numpy().copy(), "start": start}

    def _draw_variants(self) -> Variants:
        """Return what is one dream's own; only what differs between worlds is drawn."""
        differs = self.config.dropout > 0 or isinstance(self.memory, Ensemble)
        seed = int(self.np_random.integers(2**31)) if differs else 0
        return draw_variants([seed], self.memory, self.config.dropout)

    @torch.inference_mode()
    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Dream one step."""
        if self._z is None or self._world is None:
            raise RuntimeError("call reset() before step()")
        if not self.action_space.contains(action):
            raise ValueError(f"{action!r} is not in {self.action_space}")
        row = torch.from_numpy(self.action_spec.from_env(np.asarray(action)[None]))
        uniform, spread = self._chance(self._z, row)
        self._z, rewards, logit = self._world.step(self._z, row, self.config.temperature, uniform, spread)
        self._steps += 1
        chance = float(torch.sigmoid(logit)[0])
        reward = float(rewards[0])
        self._idle = 0 if reward > 0 else self._idle + 1
        gave_up = 0 < self.config.patience <= self._idle
        terminated = self.config.terminates and (self.np_random.random() < chance or gave_up)
        self._gained += reward
        terminated |= 0 < self.config.goal <= self._gained
        info = {"z": self._z[0].numpy().copy(), "termination_probability": chance}
        return self._observe(), reward, bool(terminated), self._steps >= self.config.horizon, info

    def _chance(self, z: Tensor, action: Tensor) -> tuple[Tensor | None, Tensor]:
        if self._real is not None:
            part = torch.from_numpy(self.np_random.integers(self._real.parts, size=1))
            return None, self._real.draw(z, action, part, self._member)
        uniform = torch.from_numpy(self.np_random.random(tuple(z.shape), dtype=np.float32))
        return uniform, torch.from_numpy(self.np_random.standard_normal(tuple(z.shape), dtype=np.float32))

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
