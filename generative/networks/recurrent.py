"""An LSTM whose state is handed in and out, so that a sequence can be read in pieces; a GRU that reads both ways.

Hochreiter & Schmidhuber 1997, with a forget gate (Gers et al. 2000) whose bias starts at 1. So a cell keeps what it
holds until it has learnt what to forget (Jozefowicz et al. 2015). Dropout is between layers and after the last one, not
between steps (Zaremba et al. 2014, arXiv 1409.2329).
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


class Recurrent(nn.Module):
    """An LSTM of some layers; its state is one tensor, hidden numbers and cells of every layer."""

    def __init__(self, inputs: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.lstm = nn.LSTM(inputs, hidden, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0)
        self.dropout = nn.Dropout(dropout)
        with torch.no_grad():
            for name, parameter in self.lstm.named_parameters():
                if name.startswith("bias"):
                    parameter.zero_()
                if name.startswith("bias_ih"):  # torch adds two biases; gates come as input, forget, cell, output
                    parameter[hidden : 2 * hidden] = 1.0

    def forward(
        self, sequence: Float[Tensor, "B T I"], state: Float[Tensor, "2 L B H"]
    ) -> tuple[Float[Tensor, "B T H"], Float[Tensor, "2 L B H"]]:
        """Return the features of every step, and the state after the last."""
        features, (hidden, cells) = self.lstm(sequence, (state[0].contiguous(), state[1].contiguous()))
        return self.dropout(features), torch.stack([hidden, cells])

    def first_state(self, batch: int) -> Float[Tensor, "2 L B H"]:
        """Return the state at the beginning of sequences: zeros."""
        weight: Tensor = next(self.lstm.parameters())
        return weight.new_zeros(2, self.lstm.num_layers, batch, self.lstm.hidden_size)


class BidirectionalGRU(nn.Module):
    """A GRU forwards and one backwards, over sequences of unequal lengths: what is behind an end changes nothing."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.forwards, self.backwards = (nn.GRU(inputs, hidden, batch_first=True) for _ in range(2))

    def forward(
        self, sequence: Float[Tensor, "B S I"], mask: Bool[Tensor, "B S"]
    ) -> tuple[Float[Tensor, "B S F"], Float[Tensor, "B F"]]:
        """Return the features of every step, and what each way has at its end."""
        lengths, step = mask.sum(1, keepdim=True), torch.arange(mask.shape[1], device=mask.device)
        turned = torch.where(step < lengths, lengths - 1 - step, step)[..., None]  # (B S 1), its own inverse
        there, _ = self.forwards(sequence)
        back, _ = self.backwards(sequence.gather(1, turned.expand_as(sequence)))
        last = (lengths - 1)[..., None].expand(-1, 1, there.shape[2])
        ends = torch.cat([each.gather(1, last)[:, 0] for each in (there, back)], 1)
        features = torch.cat([there, back.gather(1, turned.expand_as(back))], 2)
        return features * mask[..., None], ends
