"""A deterministic memory: the same LSTM, and one next latent instead of a distribution.

What it predicts is the centre of a Gaussian whose spread, one number a dimension, is learnt beside it and is the same
at every step. That makes its likelihood comparable to other memories', and its loss a squared error that weighs each
dimension by how well it can be predicted. Its dreams have no noise: they are drawn from nothing.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative.networks.mixture import Mixture
from worldmodels.memories.contract import PointPrediction, Prediction
from worldmodels.memories.heads import STD_FLOOR
from worldmodels.memories.models.mdn_rnn import RecurrentConfig, RecurrentMemory


@dataclass(frozen=True)
class LSTMConfig(RecurrentConfig):
    """Sizes and heads of the deterministic LSTM."""


class LSTMMemory(RecurrentMemory):
    """An LSTM that predicts the next latent itself.

    `sample` returns the prediction whatever the temperature: with a spread that does not depend on where the dream is,
    noise would shake every dimension alike, and the memory would no longer be the deterministic one of a comparison.
    """

    type_name: ClassVar[str] = "lstm"
    fixed_step: ClassVar[bool] = True
    draws: ClassVar[tuple[str, ...]] = ()
    Config = LSTMConfig

    def add_latent_head(self) -> None:
        """Make the head: the next latent, linear in the features, and a spread that is the same everywhere."""
        self.latent_head = nn.Linear(self.config.hidden, self.config.latent)
        self.log_spread = nn.Parameter(torch.zeros(self.config.latent))

    def next_latent(self, hidden: Float[Tensor, "*B H"]) -> Mixture:
        """Return one Gaussian a dimension: the prediction and the learnt spread."""
        mean = self.latent_head(hidden).unsqueeze(-1)  # (*B Z 1)
        floor = self.log_spread.new_full((), math.log(STD_FLOOR))
        log_std = torch.logaddexp(self.log_spread, floor).unsqueeze(-1).expand(mean.shape)
        return Mixture(torch.zeros_like(mean), mean, log_std)

    def predict(self, hidden: Float[Tensor, "*B H"]) -> Prediction:
        """Read the heads; a sample of the result is its mean."""
        return PointPrediction(*super().predict(hidden))
