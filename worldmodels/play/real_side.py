"""A drive in the real environment, and what the memory expects of it, step by step."""

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from generative import to_float, to_uint8
from generative.core.facts import Facts
from worldmodels.memories import agent_memory, first_state
from worldmodels.play.chauffeur import Chauffeur
from worldmodels.play.parts import RunParts
from worldmodels.seeds import VALIDATION

KEPT = 100
"""Steps of the drive that are kept: a dream that begins here is warmed up on them."""


class RealSide:
    """One real environment, opened with the first drive."""

    def __init__(self, parts: RunParts) -> None:
        self.env = parts.new_env()
        self._use(parts)
        self.begin(0)

    def adopt(self, parts: RunParts) -> None:
        """See with other parts from now on; the memory begins anew, and so does an agent."""
        self._use(parts)
        self._watch(self._seed)

    def _use(self, parts: RunParts) -> None:
        self.parts, self._memory = parts, agent_memory(parts.memory)
        self.chauffeur = None if parts.agent is None else Chauffeur(parts.agent)

    def begin(self, seed: int) -> None:
        """Begin a drive at the first frame, on one of the validation tracks."""
        self._seed = seed
        self.frame: UInt8[np.ndarray, "H W C"] = self.env.reset(seed=VALIDATION[seed % len(VALIDATION)])[0].copy()
        self.steps, self.gained, self.over = 0, 0.0, ""
        self.facts: Facts = {}
        self._watch(seed)

    def _watch(self, seed: int) -> None:
        """Let memory and agent see the present frame as their first one."""
        self._state = first_state(self._memory, torch.tensor([seed]))
        self.expected: Tensor | None = None
        self._z = [self._encoded()]
        self._actions: list[np.ndarray] = []
        if self.chauffeur is not None:
            self.chauffeur.begin(seed)
            self.chauffeur.see(self.frame)

    @torch.inference_mode()
    def step(self, action: Float32[np.ndarray, " A"]) -> None:
        """Take a step; what the memory expected of it is in `expected` and `facts`."""
        prediction, self._state = self._memory.step(self._z[-1], torch.from_numpy(action[None].copy()), self._state)
        self.expected = prediction.expected_latent()
        obs, reward, terminated, truncated, _ = self.env.step(self.parts.shape.spec.to_env(action[None])[0])
        if self.chauffeur is not None:
            self.chauffeur.taken(action)
        self.frame, self.steps, self.gained = obs.copy(), self.steps + 1, self.gained + float(reward)
        self.over = "terminated" if terminated else "time is up" if truncated else ""
        self.facts = {
            "reward": float(reward),
            "expected_reward": float(prediction.reward[0]),
            "end_probability": float(torch.sigmoid(prediction.termination_logit)[0]),
        }
        self._z, self._actions = [*self._z[-KEPT:], self._encoded()], [*self._actions[1 - KEPT :], action]
        if self.chauffeur is not None:
            self.chauffeur.see(self.frame)

    def path(self) -> tuple[Float32[np.ndarray, "frames Z"], Float32[np.ndarray, "steps A"]]:
        """Return the latents up to here and the actions between them, of the last steps."""
        size = self.parts.shape.spec.size
        return torch.cat(self._z).numpy(), np.array(self._actions, dtype=np.float32).reshape(-1, size)

    @torch.inference_mode()
    def frames(self, expectation: bool) -> dict[str, UInt8[np.ndarray, "H W C"]]:
        """Return what is seen, and what the memory had expected to be seen."""
        frames = {"real": self.frame}
        if expectation and self.expected is not None:
            frames["real_expected"] = to_uint8(self.parts.vision.decode(self.expected))[0].numpy()
        return frames

    def close(self) -> None:
        """Close the environment."""
        self.env.close()

    @torch.inference_mode()
    def _encoded(self) -> Tensor:
        return self.parts.vision.encode(to_float(torch.from_numpy(self.frame[None])))[0]
