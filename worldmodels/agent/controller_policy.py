"""A controller at the wheel: the batched policy that evolution, evaluation and collection play with."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from agents import ActionSpec, Controller
from worldmodels.agent.features import Perception


class ControllerPolicy:
    """Plays one candidate a slot: perception, controller, and the memory's advance with the action really taken."""

    def __init__(
        self,
        perception: Perception,
        controller: Controller,
        spec: ActionSpec,
        parameters: np.ndarray,
        noise: float = 0.0,
        plan: Sequence[tuple[int, int]] | None = None,
        spread: float = 0.0,
        correlation_time: float = 0.0,
    ):
        """Hold the parts.

        Args:
            perception: with as many rows as the environment has slots.
            controller: population-batched.
            spec: of the environment's actions.
            parameters: (P N), one row a candidate.
            noise: standard deviation of Gaussian exploration noise, as a part of each dimension's range; a discrete
                action is the largest entry after it.
            plan: `(candidate, seed)` of each key that `begin` will be given; by default a key is the seed of candidate
                `key % P`.
            spread: standard deviation of what is added to a candidate's parameters for an episode.
            correlation_time: steps over which the noise loses all but 1/e of itself; 0 draws it anew at every step.
        """
        self.spread = spread
        self._keep = math.exp(-1 / correlation_time) if correlation_time > 0 else 0.0
        self._deviation = np.zeros((perception.rows, spec.size))
        self._plan = plan
        self.perception, self.controller, self.spec, self.noise = perception, controller, spec, noise
        self._candidates = torch.from_numpy(np.ascontiguousarray(parameters, dtype=np.float32))
        self._rows = torch.zeros(perception.rows, self._candidates.shape[1])
        self._generators: list[np.random.Generator] = [np.random.default_rng(0) for _ in range(perception.rows)]

    def begin(self, slot: int, seed: int) -> None:
        """Start the candidate that the plan has under this seed, or candidate `seed % P`."""
        candidate, seed = self._plan[seed] if self._plan is not None else (seed % len(self._candidates), seed)
        self.perception.begin(slot, seed)
        self._rows[slot] = self._candidates[candidate]
        if self.spread > 0:
            moved = np.random.default_rng([seed, 4]).standard_normal(self._rows.shape[1], dtype=np.float32)
            self._rows[slot] += self.spread * torch.from_numpy(moved)
        self._generators[slot] = np.random.default_rng([seed, 2])
        self._deviation[slot] = self._generators[slot].standard_normal(self.spec.size) if self._keep else 0.0

    @torch.inference_mode()
    def act(self, obs: np.ndarray, active: np.ndarray) -> np.ndarray:
        """Return actions float32 (W A)."""
        features = self.perception.observe(obs)
        action = self.controller.act(features, self._rows)
        if self.noise > 0:
            action = self._explore(action)
        self.perception.advance(action)
        return action.numpy()

    def _explore(self, action: Tensor) -> Tensor:
        """Add a slot's own noise, as `agents.WithNoise` does; here, so that the memory sees the action really taken."""
        fresh = np.stack([rng.standard_normal(self.spec.size) for rng in self._generators])
        self._deviation = self._keep * self._deviation + math.sqrt(1 - self._keep**2) * fresh
        spread = self.noise * (np.array(self.spec.high) - np.array(self.spec.low))
        return torch.from_numpy(self.spec.clip(action.numpy() + spread * self._deviation))
