"""The dream as an ordinary gymnasium environment, with the real one's spaces."""

import copy
from dataclasses import replace
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
from worldmodels.dream.dials import Dials
from worldmodels.dream.ends import Ends
from worldmodels.dream.noise import Noise, StepNoise
from worldmodels.dream.starts import Starts
from worldmodels.dream.world import DreamWorld, draw_members
from worldmodels.memories import MemoryModule, draws_of
from worldmodels.vision.contract import VisionModule


class DreamEnv(gym.Env[np.ndarray, Any]):
    """The dream behind gymnasium's face, with the real environment's spaces.

    `observe="frames"` decodes every observation; with `"latents"` the observation is the latent itself, float32 (Z),
    and a frame is decoded only when someone calls `render`. `info` holds `z`, where the dream started (`start`: initial
    or warm) and why it ended (`end`). The dream of a seed is that of evolution: the same start, noise, rewards and end.
    `turn` changes it while it goes on.

    Attributes:
        dials: at which it goes on.
        warmup: latents up to where it began (K+1 Z), and the actions between them (K A).
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
        self.dials = Dials.of(self.config)

    def sibling(self) -> "DreamEnv":
        """Return another dream of the same run, at its beginning; the networks and residuals are shared."""
        other = copy.copy(self)
        other._z, other._np_random, other._np_random_seed = None, None, None
        other.dials = Dials.of(self.config)
        return other

    @torch.inference_mode()
    def reset(self, *, seed: int | None = None, options: Facts | None = None) -> tuple[np.ndarray, Facts]:
        """Begin the dream of a seed, or another one each time without a seed.

        `options={"start": "initial" | "warm", "index": i}` chooses where it starts; `{"start": "given", "z": (K+1 Z),
        "action": (K A)}` starts it after K steps of one's own.
        """
        super().reset(seed=seed)
        options, dreamt = options or {}, int(self.np_random.integers(2**31)) if seed is None else seed
        noise = Noise.draw([dreamt], self.starts, self.config, draws_of(self.memory))
        start, path, action = self._path(noise, options)
        self.warmup = path, action
        self._z = self.dials.hold(torch.from_numpy(path[-1:].copy()))
        member = draw_members([dreamt], self.memory)
        self._world = DreamWorld(self.memory, None, member, 1, self._dtype)
        first = self._world.first_states(torch.tensor([dreamt]))
        seen, done = torch.from_numpy(path[None].copy()), torch.from_numpy(action[None].copy())
        self._world.wake(seen, done, torch.tensor([start == "initial"]), first)
        self._seed, self._member, self._noise = dreamt, member, StepNoise(noise, self._residuals, member, 1)
        self._noises = {self.config.noise: self._noise}
        self._ends, self._steps = Ends(self.config, float(self.starts.step_value), 1), 0
        return self._observe(), {"z": self.z, "start": start}

    def _path(self, noise: Noise, options: Facts) -> tuple[str, np.ndarray, np.ndarray]:
        """Return where the dream starts, the latents up to there (K+1 Z) and the actions between them (K A)."""
        start = options.get("start", "initial" if noise.initial[0] else "warm")
        none = np.zeros((0, self.starts.action.shape[2]), dtype=np.float32)
        if start == "given":
            return start, options["z"].astype(np.float32), options.get("action", none).astype(np.float32)
        if start not in ("initial", "warm"):
            raise ValueError(f"options['start']={start!r}: choose 'initial', 'warm' or 'given'")
        initial, starts = start == "initial", self.starts
        index = int(options.get("index", (noise.initial_index if initial else noise.warm_index)[0]))
        if initial:
            return start, starts.initial[index % len(starts.initial)][None], none
        return start, starts.z[index % len(starts.z)], starts.action[index % len(starts.z)]

    @property
    def z(self) -> np.ndarray:
        """The present latent, float32 (Z)."""
        if self._z is None:
            raise RuntimeError("call reset() before looking at z")
        return self._z[0].numpy().copy()

    def turn(self, dials: Dials) -> None:
        """Turn the dials: what is held is so at once, the rest from the next step on.

        Raises:
            ValueError: the latent has no such dimension.
            RunError: residual noise is asked for, and the run has recorded no residuals.
        """
        dials.check(self.starts.initial.shape[1])
        if dials.noise == "residual" and self._residuals is None:
            self._residuals = self.starts.bootstrap()
        self.dials = dials
        if self._z is not None:
            self._z = dials.hold(self._z)

    def _step_noise(self) -> StepNoise:
        """Return the noise that the dials ask for; that of another kind than configured is drawn when first used."""
        kind = self.dials.noise
        if kind not in self._noises:
            noise = Noise.draw([self._seed], self.starts, replace(self.config, noise=kind), draws_of(self.memory))
            residuals = self._residuals if kind == "residual" else None
            self._noises[kind] = StepNoise(noise, residuals, self._member, 1)
        return self._noises[kind]

    @torch.inference_mode()
    def expect(self, action: Any) -> np.ndarray:
        """Return the latent that the memory expects after an action (Z), which is not taken."""
        if self._z is None:
            raise RuntimeError("call reset() before expect()")
        return self._world.expect(self._z, self._row(action))[0].numpy()

    @torch.inference_mode()
    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, Facts]:
        """Dream one step; the reward of the last one is less the termination penalty, where there is one."""
        if self._z is None or not self._ends.playing[0]:
            raise RuntimeError("the dream has not begun or is over: call reset() before step()")
        if not self.action_space.contains(action):
            raise ValueError(f"{action!r} is not in {self.action_space}")
        row, dials = self._row(action), self.dials
        noise = self._step_noise().draw(self._steps, self._z, row)
        z, reward, logit = self._world.step(self._z, row, dials.temperature, *noise)
        self._z = dials.after(z)
        uniform = self._noise.end(self._steps)
        outcome = self._ends.step(reward, logit, torch.ones_like(uniform) if dials.endless else uniform)
        self._steps += 1
        earned = float(outcome.reward[0]) - float(outcome.penalty[0])
        info = {"z": self.z, "termination_probability": float(torch.sigmoid(logit)[0])}
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

    def _row(self, action: Any) -> Tensor:
        return torch.from_numpy(self.action_spec.from_env(np.asarray(action)[None]))

    def _observe(self) -> np.ndarray:
        return self.render() if self.observe == "frames" else self.z
