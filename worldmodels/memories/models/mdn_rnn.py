"""MDN-RNN: an LSTM that predicts the next latent as a mixture density, the reward and the end of an episode.

Ha and Schmidhuber, *World Models* (2018), section 2.3: h[t + 1] = LSTM(h[t], [z[t], action[t]]), and every
dimension of z[t + 1] given h[t + 1] is a mixture of Gaussians of its own. Linear heads on the same h[t + 1]
predict reward[t] and whether step t ends the episode: a dream needs them.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from worldmodels.memories.contract import State
from worldmodels.memories.heads import HeadedMemory, HeadsConfig


@dataclass(frozen=True)
class RecurrentConfig(HeadsConfig):
    """Sizes and heads of an LSTM."""

    hidden: int = 256
    """Units of the LSTM: what the controller reads beside the latent."""

    SIZES: ClassVar[tuple[str, ...]] = ("hidden",)


@dataclass(frozen=True)
class MDNRNNConfig(RecurrentConfig):
    """Sizes and heads of the MDN-RNN."""

    mixtures: int = 5
    """Gaussians in the mixture of each latent dimension."""

    SIZES: ClassVar[tuple[str, ...]] = ("hidden", "mixtures")


class RecurrentMemory(HeadedMemory):
    """An LSTM layer under the heads; its state is `(h, c)`, (B H) each.

    Attributes:
        config: the options it was built from; `config.hidden` is the size of `feature`.
    """

    config: RecurrentConfig

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__(config, config.hidden)
        self.lstm = nn.LSTM(config.latent + config.action, config.hidden, batch_first=True)
        self.add_heads()

    def initial(self, batch: int, device: torch.device | str = "cpu") -> State:
        """Make the state `(h, c)`, (B H) each, in which every episode starts: zeros."""
        zeros = torch.zeros(batch, self.feature_size, device=device)
        return zeros, zeros.clone()

    def advance(self, z: Float[Tensor, "B Z"], action: Float[Tensor, "B A"], state: State) -> State:
        """Take in one step without predicting anything: all that acting in the real environment needs."""
        h, c = state
        return torch.lstm_cell(torch.cat([z, action], dim=-1), (h, c), *self.lstm.all_weights[0])

    def unroll(
        self, z: Float[Tensor, "B T Z"], action: Float[Tensor, "B T A"], state: State | None
    ) -> tuple[Float[Tensor, "B T H"], State]:
        """Run the LSTM over whole sequences."""
        start = None if state is None else (state[0].unsqueeze(0), state[1].unsqueeze(0))
        hidden, (h, c) = self.lstm(torch.cat([z, action], dim=-1), start)  # (B T H), (1 B H) twice
        return hidden, (h.squeeze(0), c.squeeze(0))


class MDNRNN(RecurrentMemory):
    """The paper's memory: an LSTM, a mixture head over the next latent, a reward head and a termination head."""

    type_name: ClassVar[str] = "mdn-rnn"
    fixed_step: ClassVar[bool] = True
    Config = MDNRNNConfig
    config: MDNRNNConfig
