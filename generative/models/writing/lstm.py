"""A language model of tokens: an LSTM reads a text and says at every place how probable each next token is.

`p(x) = prod_t softmax(W h_t)_{x_t}`, with h_t of an LSTM that has read a start token and x_1 ... x_t-1 (Mikolov et al.
2010, Graves 2013, arXiv 1308.0850). A text is learnt in pieces: row b of a batch goes on where row b of the batch
before ended, so the state is carried over while gradients end at the piece's border (truncated back-propagation
through time, Williams & Peng 1990). The carried state belongs to the training and is not part of a saved model.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from generative.data.orders import Order
from generative.models.checks import check_sizes, check_tokens
from generative.models.writing.language_model import LanguageModel
from generative.networks.recurrent import Recurrent
from generative.objectives.variational import at_least_float32
from generative.sampling.decoding import Reading, State

PIECE = 512
"""Tokens that are read at once where a long text is evaluated."""


@dataclass(frozen=True)
class LanguageLSTMConfig:
    """Sizes of the language model."""

    vocabulary: int = 100
    """K, different tokens."""
    embedding: int = 128
    """Numbers that stand for a token."""
    hidden: int = 256
    """Units of a layer."""
    layers: int = 1
    """LSTM layers, one on top of the other."""
    dropout: float = 0.2
    """Probability that a number of an embedding or of a layer's output is left out while training."""
    tied: bool = False
    """Score tokens by the vectors that embed them (Press & Wolf 2017, arXiv 1608.05859): fewer weights."""
    rows: int = 128
    """Rows of a training batch at most, whose state is carried on to the next batch."""
    masked: bool = False
    """Every row is a text of its own, and a mask says where it ends; no state is carried on."""

    def __post_init__(self) -> None:
        check_sizes(self, "vocabulary", "embedding", "hidden", "layers", "rows")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout={self.dropout}: give 0 or more, but less than 1")


class LSTM(LanguageModel):
    """The distribution of sequences of tokens, long ones read in pieces."""

    type_name = "lstm"
    fixed_step = True
    Config = LanguageLSTMConfig
    state: Tensor
    last: Tensor

    def __init__(self, config: LanguageLSTMConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary + 1, config.embedding)  # the last one begins a text
        nn.init.normal_(self.embedding.weight, std=config.embedding**-0.5)
        self.dropout = nn.Dropout(config.dropout)
        self.recurrent = Recurrent(config.embedding, config.hidden, config.layers, config.dropout)
        self.project = nn.Linear(config.hidden, config.embedding) if config.tied else nn.Identity()
        self.head = nn.Linear(config.hidden, config.vocabulary) if not config.tied else None
        self.bias = nn.Parameter(torch.zeros(config.vocabulary)) if config.tied else None
        # What training carries from a batch to the next.
        self.register_buffer("state", self.recurrent.first_state(config.rows), persistent=False)
        self.register_buffer("last", torch.full((config.rows,), config.vocabulary), persistent=False)

    @property
    def order(self) -> Order:
        """Pieces of a stream follow one another; texts of their own do not."""
        return "shuffled" if self.config.masked else "contiguous"

    def forward(
        self, tokens: Int[Tensor, "B T"], state: Float[Tensor, "2 L B H"]
    ) -> tuple[Float[Tensor, "B T K"], Float[Tensor, "2 L B H"]]:
        """Return the scores of the token after each of these, and the state after the last."""
        embedded = self.dropout(self.embedding(tokens) * self.config.embedding**0.5)  # at unit spread
        features, state = self.recurrent(embedded, state)
        if self.head is not None:
            return at_least_float32(self.head(features)), state
        scores = self.project(features) @ self.embedding.weight[: self.config.vocabulary].T + self.bias
        return at_least_float32(scores), state

    def loss(
        self, batch: Int[Tensor, "B T"] | Sequence[Tensor], generator: torch.Generator
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Return the negative log-probability per token in nats, and `bits_per_token`; padding counts for nothing.

        In training every row goes on where that row of the last batch ended; else, or with a mask, it is a text of its
        own.
        """
        tokens, *masks = [batch] if isinstance(batch, Tensor) else batch
        check_tokens(tokens, self.config.vocabulary)
        if masks:
            return self._figures(-self.log_prob(tokens, masks[0]).sum() / masks[0].sum())
        if not self.training:
            return self._figures(-self.log_prob(tokens).sum() / tokens.numel())
        rows = len(tokens)
        if rows > self.config.rows:
            raise ValueError(f"rows={self.config.rows}: the batch has {rows}; raise rows of the model, or lower batch")
        before = torch.cat([self.last[:rows, None], tokens[:, :-1]], 1)
        scores, state = self(before, self.state[:, :, :rows].clone())  # the graph must not see the change below
        with torch.no_grad():
            self.state[:, :, :rows] = state.to(self.state.dtype)
            self.last[:rows] = tokens[:, -1]
        return self._figures(functional.cross_entropy(scores.flatten(0, 1), tokens.flatten()))

    def log_prob(self, tokens: Int[Tensor, "B T"], mask: Bool[Tensor, "B T"] | None = None) -> Float[Tensor, " B"]:
        """Return the log-probability in nats of whole texts, as far as a mask says; a long one is read in pieces.

        Raises:
            ValueError: a token is out of range.
        """
        check_tokens(tokens, self.config.vocabulary)
        state, last = self.recurrent.first_state(len(tokens)), self._start(len(tokens))
        total = state.new_zeros(len(tokens))
        counted = torch.ones_like(tokens) if mask is None else mask
        for piece, counts in zip(tokens.split(PIECE, 1), counted.split(PIECE, 1), strict=True):
            scores, state = self(torch.cat([last, piece[:, :-1]], 1), state)
            total = total - (functional.cross_entropy(scores.transpose(1, 2), piece, reduction="none") * counts).sum(1)
            last = piece[:, -1:]
        return total

    def bits_per_token(self, tokens: Int[Tensor, "B T"]) -> float:
        """Return the negative log-probability per token in bits; with characters as tokens, bits per character."""
        with torch.no_grad():
            return -self.log_prob(tokens).double().sum().item() / tokens.numel() / math.log(2)

    @torch.no_grad()
    def _reading(self, prompt: Int[Tensor, "B T"]) -> Reading:
        state = self.recurrent.first_state(len(prompt))
        for piece in torch.cat([self._start(len(prompt)), prompt], 1).split(PIECE, 1):
            scores, state = self(piece, state)
        return Reading(scores[:, -1], (state.permute(2, 0, 1, 3),), self._advance)

    def _advance(self, tokens: Int[Tensor, " B"], state: State) -> tuple[Float[Tensor, "B K"], State]:
        """Return the scores after one more token, and the state then, whose rows come first here: (B 2 L H)."""
        scores, after = self(tokens[:, None], state[0].permute(1, 2, 0, 3))
        return scores[:, 0], (after.permute(2, 0, 1, 3),)

    def _figures(self, loss: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        return loss, {"bits_per_token": loss.detach() / math.log(2)}
