"""How a dream ends and what its steps earn: the one rule of evolution, of the gymnasium environment and of the film.

A dream is terminated with the probability that the memory predicts, or where nothing was earned for too long; either
costs the termination penalty. At the horizon it ends without cost.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from generative.hardware.cuda_graphs import fused
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

    def __init__(self, config: DreamConfig, step_value: float, rows: int, device: torch.device | str = "cpu") -> None:
        """Begin the dreams.

        Args:
            config: horizon, limits and the penalty.
            step_value: unit of the penalty, at least 0 (`Starts.step_value`).
            rows: B.
            device: where they are dreamt.
        """
        self.config = config
        self.penalty = torch.full((), config.termination_penalty * step_value, dtype=torch.float64, device=device)
        self.playing = torch.ones(rows, dtype=torch.bool, device=device)
        self._steps, self._none = 0, torch.zeros_like(self.playing)
        self._unrewarded = torch.zeros(rows, dtype=torch.int64, device=device)

    def step(self, reward: Tensor, termination_logit: Tensor, uniform: Tensor) -> Outcome:
        """Take in a step of all dreams.

        Args:
            reward: that the memory predicts (B).
            termination_logit: log-odds of the end (B).
            uniform: numbers in [0, 1), one a dream (E), for all its candidates; a dream ends where its number is below
                the probability of the end.
        """
        playing, self._steps = self.playing, self._steps + 1
        going, self._unrewarded, taken = _after(
            reward, termination_logit, uniform, playing, self._unrewarded, self.penalty, self.config.no_reward_limit
        )
        last = self._steps >= self.config.horizon
        self.playing, truncated = (self._none, going) if last else (going, self._none)
        reward, penalty, terminated, unrewarded = taken
        return Outcome(reward, penalty, playing, terminated, unrewarded, truncated)


@fused
def _after(
    reward: Tensor,
    termination_logit: Tensor,
    uniform: Tensor,
    playing: Tensor,
    unrewarded_steps: Tensor,
    penalty: Tensor,
    limit: int,
) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """Return who goes on, everybody's steps without a reward, and what the step earned, cost and ended."""
    uniform = uniform.repeat(len(playing) // len(uniform))
    terminated = playing & (uniform < torch.sigmoid(termination_logit))
    going, unrewarded = playing & ~terminated, torch.zeros_like(playing)
    if limit:
        unrewarded_steps = torch.where(reward > 0, 0, unrewarded_steps + 1)
        unrewarded = going & (unrewarded_steps >= limit)
        going = going & ~unrewarded
    cost = (terminated | unrewarded).double() * penalty
    return going, unrewarded_steps, (torch.where(playing, reward, 0), cost, terminated, unrewarded)
