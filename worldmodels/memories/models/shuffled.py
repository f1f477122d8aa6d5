"""A control: features that are as likely as a trained memory's and have nothing to do with the episode.

The controller reads what the trained memory remembered at some moment of the rollouts, another one at each step. Every
feature, and every combination of features of one moment, is as frequent as in the trained memory; what they tell of
this episode is gone. (Exchanging hidden units would not do: a controller learns to read them in any order.)
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from worldmodels.memories.contract import State


class ShuffledMemory(nn.Module):
    """Reads from a bank of features; the moment is a function of the episode's seed and of the step alone.

    Its state is the seed and the step, int64 (B 1) each.
    """

    bank: Tensor

    def __init__(self, bank: Float[Tensor, "S H"]) -> None:
        super().__init__()
        self.register_buffer("bank", bank)

    @property
    def feature_size(self) -> int:
        """H."""
        return int(self.bank.shape[1])

    def initial(self, batch: int) -> State:
        """Return the state in which episodes of seed 0 start."""
        return self.seeded(torch.zeros(batch, dtype=torch.int64))

    def seeded(self, seeds: Int[Tensor, " B"]) -> State:
        """Return the state in which episodes of these seeds start."""
        return seeds.unsqueeze(1).clone(), torch.zeros(len(seeds), 1, dtype=torch.int64, device=seeds.device)

    def feature(self, state: State) -> Float[Tensor, "B H"]:
        """Return the features of the moment that goes with seed and step."""
        seed, step = state
        return self.bank[_mixed(_mixed(seed[:, 0]) + step[:, 0]) % len(self.bank)]

    def advance(self, z: Tensor, action: Tensor, state: State) -> State:
        """Go on to the next step, whatever was seen."""
        return state[0], state[1] + 1


def _mixed(number: Tensor) -> Tensor:
    """Return 31-bit numbers that look random: a multiply-and-shift hash, all of it within int64."""
    number = number & 0x7FFFFFFF
    for factor in (0x7FEB352D, 0x46C9BCA5):
        number = ((number ^ (number >> 15)) * factor) & 0x7FFFFFFF
    return number ^ (number >> 16)
