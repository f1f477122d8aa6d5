"""How a dream ends and what its steps earn: the one rule of evolution, of the gymnasium environment and of the film.

A dream is terminated with the probability that the memory predicts, or where nothing was earned for too long; either
costs the termination penalty. At the horizon it ends without cost.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from worldmodels.dream.config import DreamConfig


class Outcome(NamedTuple):
    """What a step meant to B dreams. At most one of the three ends is true in a row, and none after the end."""

    reward: Float[Tensor, " B"]
    """What the memory predicts, 0 in dreams that were over before."""
    penalty: Float[Tensor, " B"]
    """float64: what the end of the dream in this step costs; 0 where it goes on."""
    playing: Bool[Tensor, " B"]
    """Whether the dream was not over before."""
    terminated: Bool[Tensor, " B"]
    """Whether the termination head ends it here."""
    unrewarded: Bool[Tensor, " B"]
    """Whether it ends here because it has earned nothing for too long."""
    truncated: Bool[Tensor, " B"]
    """Whether it ends here because it has reached the horizon."""

    def end(self, row: int) -> str:
        """Return why a dream ends here: termination, no reward or horizon; empty where it goes on."""
        ends = {
            "termination": self.terminated,
            "no reward": self.unrewarded,
            "horizon": self.truncated,
        }
        return next((name for name, flags in ends.items() if flags[row]), "")


class Ends:
    """Follows B dreams and says when each is over."""

    def __init__(self, config: DreamConfig, step_value: float, rows: int) -> None:
        """Begin the dreams.

        Args:
            config: horizon, limits and the penalty.
            step_value: unit of the penalty, at least 0 (`Starts.step_value`).
            rows: B.
        """
        self.config, self.penalty = config, config.termination_penalty * step_value
        self.playing = torch.ones(rows, dtype=torch.bool)
        self._steps = 0
        self._unrewarded = torch.zeros(rows, dtype=torch.int64)

    def step(self, reward: Tensor, termination_logit: Tensor, uniform: Tensor) -> Outcome:
        """Take in a step of all dreams.

        Args:
            reward: that the memory predicts (B).
            termination_logit: log-odds of the end (B).
            uniform: numbers in [0, 1) (B); a dream ends where its number is below the probability of the end.
        """
        config, playing = self.config, self.playing
        self._steps += 1
        none = torch.zeros_like(playing)
        terminated = playing & (uniform < torch.sigmoid(termination_logit))
        going, unrewarded = playing & ~terminated, none
        if config.no_reward_limit:
            self._unrewarded = torch.where(reward > 0, 0, self._unrewarded + 1)
            unrewarded = going & (self._unrewarded >= config.no_reward_limit)
            going = going & ~unrewarded
        truncated = going if self._steps >= config.horizon else none
        self.playing = going & ~truncated
        penalty = (terminated | unrewarded).double() * self.penalty
        return Outcome(torch.where(playing, reward, 0), penalty, playing, terminated, unrewarded, truncated)
