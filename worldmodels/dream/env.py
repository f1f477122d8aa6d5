"""The dream as an ordinary gymnasium environment, with the real one's spaces."""

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from agents import ActionSpec
from generative import to_uint8
from generative.capabilities import Decodes
from generative.core.facts import Facts
from worldmodels.dream.config import DreamConfig
from worldmodels.dream.ends import Ends
from worldmodels.dream.noise import Noise, StepNoise
from worldmodels.dream.starts import Starts
from worldmodels.dream.world import DreamWorld, draw_members
from worldmodels.memories import MemoryModule
from worldmodels.vision.contract import VisionModule


class DreamEnv(gym.Env[np.ndarray, Any]):
    """The dream behind gymnasium's face, with the real environment's spaces.

    `observe="frames"` decodes every observation; with `"latents"` the observation is the latent itself, float32 (Z),
    and a frame is decoded only when someone calls `render`. `info` holds `z`, where the dream started (`start`: initial
    or warm) and why it ended (`end`). The dream of a seed is that of evolution: the same start, noise, rewards and end.
    """

    metadata: Facts = {"render_modes": ["rgb_array"], "render_fps": 50}  # noqa: RUF012

    def __init__(
        self,
        vision: VisionModule,
        memory: MemoryModule,
        starts: Starts,
        spaces: tuple[gym.Space[Any], gym.Space[Any]],
        spec: ActionSpec,
        config: DreamConfig | None = None,
        observe: str = "frames",
        fps: float = 50.0,
        dtype: torch.dtype = torch.float32,
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
            dtype: of the memory's products, where it is a choice.
        """
        if observe not in ("frames", "latents"):
            raise ValueError(f"observe={observe!r}: choose 'frames' or 'latents'")
        self.vision, self.memory = vision.eval(), memory.eval()
        self.starts, self.action_spec, self.config = starts, spec, config or DreamConfig()
        self._spaces = spaces
        self.observe, self.render_mode = observe, "rgb_array"
        self.metadata = {**type(self).metadata, "render_fps": fps}
        self.action_space = spaces[1]
        latent = starts.initial.shape[1]
        self.observation_space = (
            spaces[0] if observe == "frames" else gym.spaces.Box(-np.inf, np.inf, (latent,), dtype=np.float32)
        )
        self._dtype = dtype
        self._residuals = starts.bootstrap() if self.config.noise == "residual" else None
        self._z: Tensor | None = None

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
            self._dtype,
        )

    @torch.inference_mode()
    def reset(self, *, seed: int | None = None, options: Facts | None = None) -> tuple[np.ndarray, Facts]:
        """Begin the dream of a seed, or another one each time without a seed.

        `options={"start": "initial" | "warm", "index": i}` chooses where it starts.
        """
        super().reset(seed=seed)
        options, dreamt = options or {}, int(self.np_random.integers(2**31)) if seed is None else seed
        noise = Noise.draw([dreamt], self.starts, self.config)
        start = options.get("start", "initial" if noise.initial[0] else "warm")
        if start not in ("initial", "warm"):
            raise ValueError(f"options['start']={start!r}: choose 'initial' or 'warm'")
        initial = start == "initial"
        pool = self.starts.initial if initial else self.starts.z
        index = int(options.get("index", (noise.initial_index if initial else noise.warm_index)[0])) % len(pool)
        latent, actions = self.starts.initial.shape[1], self.starts.action.shape[2]
        if initial:
            path, action = pool[index].reshape(1, 1, latent), np.zeros((1, 0, actions), dtype=np.float32)
        else:
            path, action = pool[index : index + 1], self.starts.action[index : index + 1]
        self._z = torch.from_numpy(path[:, -1].copy())
        member = draw_members([dreamt], self.memory)
        self._world = DreamWorld(self.memory, None, member, 1, self._dtype)
        first = self._world.first_states(torch.tensor([dreamt]))
        self._world.wake(torch.from_numpy(path.copy()), torch.from_numpy(action.copy()), torch.tensor([initial]), first)
        self._noise = StepNoise(noise, self._residuals, member, 1)
        self._ends, self._steps = Ends(self.config, float(self.starts.step_value), 1), 0
        return self._observe(), {"z": self._z[0].numpy().copy(), "start": start}

    @torch.inference_mode()
    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, Facts]:
        """Dream one step; the reward of the last one is less the termination penalty, where there is one."""
        if self._z is None or not self._ends.playing[0]:
            raise RuntimeError("the dream has not begun or is over: call reset() before step()")
        if not self.action_space.contains(action):
            raise ValueError(f"{action!r} is not in {self.action_space}")
        row = torch.from_numpy(self.action_spec.from_env(np.asarray(action)[None]))
        noise = self._noise.draw(self._steps, self._z, row)
        self._z, reward, logit = self._world.step(self._z, row, self.config.temperature, *noise)
        outcome = self._ends.step(reward, logit, self._noise.end(self._steps))
        self._steps += 1
        earned = float(outcome.reward[0]) - float(outcome.penalty[0])
        info = {"z": self._z[0].numpy().copy(), "termination_probability": float(torch.sigmoid(logit)[0])}
        if end := outcome.end(0):
            info["end"] = end
        return self._observe(), earned, end not in ("", "horizon"), end == "horizon", info

    @torch.inference_mode()
    def render(self) -> np.ndarray:
        """Return the decoded frame, uint8 (H W C)."""
        if self._z is None:
            raise RuntimeError("call reset() before render()")
        if not isinstance(self.vision, Decodes):
            raise TypeError(
                f"{type(self.vision).__name__} has no `decode`: observe latents, or choose a vision that has it"
            )
        return to_uint8(self.vision.decode(self._z))[0].numpy()

    def _observe(self) -> np.ndarray:
        assert self._z is not None
        return self.render() if self.observe == "frames" else self._z[0].numpy().copy()
