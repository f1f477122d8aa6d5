"""An encoder-decoder: reads one sequence and writes another, and may look back while it writes.

The encoder is a bidirectional GRU, the decoder a GRU that begins with what the encoder has at its ends (Sutskever et
al. 2014, arXiv 1409.3215; Cho et al. 2014, arXiv 1406.1078). How it looks back is a lever, `attention`, and so is when:

    bahdanau   c_t = attend(s_t-1),  s_t = GRU([y_t-1, c_t], s_t-1)      (arXiv 1409.0473)
    luong      s_t = GRU(y_t-1, s_t-1),  c_t = attend(s_t)               (arXiv 1508.04025, without input feeding)

The next token is scored from `tanh(W [s_t, c_t])`. Where the data mark a word of the source as the answer, the mark is
embedded and added to it: so the model asks the question to an answer, as the question generator of Foster, *Generative
Deep Learning*, first edition, chapter 6 (after Du & Cardie 2018, arXiv 1805.05942).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from generative.models.checks import check_sizes
from generative.models.writing.answering_model import AnsweringModel
from generative.networks.recurrent import BidirectionalGRU
from generative.networks.source_attention import AttentionKind, SourceAttention
from generative.objectives.variational import at_least_float32
from generative.sampling.decoding import State


@dataclass(frozen=True)
class EncoderDecoderConfig:
    """Sizes of both halves, and how one attends to the other."""

    vocabulary: int = 100
    """K, different tokens, of sources and targets together."""
    embedding: int = 64
    """Numbers that stand for a token."""
    hidden: int = 128
    """Units of the decoder, and of both directions of the encoder together."""
    attention: AttentionKind = "additive"
    """How the decoder looks back; none, and pooling without a query, are levers to compare with."""
    order: Literal["bahdanau", "luong"] = "bahdanau"
    """Attend before the decoder's step, or after it."""
    heads: int = 4
    """Of multi-head attention; `hidden` is divided among them."""
    dropout: float = 0.0
    """Probability that a number of an embedding, or of what scores are made of, is left out while training."""
    marked: bool = False
    """The data mark the answer in the source."""

    def __post_init__(self) -> None:
        check_sizes(self, "vocabulary", "embedding", "hidden", "heads")
        if self.hidden % (2 * self.heads):
            raise ValueError(f"hidden={self.hidden}: must be a multiple of twice the heads, {2 * self.heads}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout={self.dropout}: give 0 or more, but less than 1")


class EncoderDecoder(AnsweringModel):
    """The distribution of targets given sources."""

    type_name = "encoder-decoder"
    Config = EncoderDecoderConfig

    def __init__(self, config: EncoderDecoderConfig) -> None:
        super().__init__(config, config.embedding)
        self.encoder = BidirectionalGRU(config.embedding, config.hidden // 2)
        self.attention = SourceAttention(config.attention, config.hidden, config.heads)
        context = config.hidden if config.order == "bahdanau" else 0
        self.cell = nn.GRUCell(config.embedding + context, config.hidden)
        self.join = nn.Linear(2 * config.hidden, config.hidden)
        self.head = nn.Linear(config.hidden, config.vocabulary)
        self.dropout = nn.Dropout(config.dropout)

    def scores(self, source: Sequence[Tensor], target: Int[Tensor, "B T"]) -> Float[Tensor, "B T K"]:
        """Return the scores of every target token after those before it (teacher forcing)."""
        state, found = self.read(*source), []
        for token in self._before(target).unbind(1):
            scores, state = self.advance(token, state)
            found.append(scores)
        return torch.stack(found, 1)

    @torch.no_grad()
    def maps(self, source: Sequence[Tensor], target: Int[Tensor, "B T"]) -> list[Float[Tensor, "B heads T S"]]:
        """Return where the decoder looks in the source for every token of a target."""
        state, found = self.read(*source), []
        for token in self._before(target).unbind(1):
            _, state, shares = self._step(token, state)
            found.append(shares)
        return [torch.stack(found, 2)]

    def read(self, source: Int[Tensor, "B S"], mask: Bool[Tensor, "B S"], marks: Tensor | None = None) -> State:
        """Return what the encoder has at its ends, and what the decoder looks back at."""
        features, ends = self.encoder(self.dropout(self._embedded(source, marks)), mask)
        return ends, self.attention.keys(features), features, mask

    def advance(self, token: Int[Tensor, " B"], state: State) -> tuple[Float[Tensor, "B K"], State]:
        """Return the scores after one more token, and the state then."""
        scores, state, _ = self._step(token, state)
        return scores, state

    def _step(
        self, token: Int[Tensor, " B"], state: State
    ) -> tuple[Float[Tensor, "B K"], State, Float[Tensor, "B heads S"]]:
        hidden, *source = state
        embedded = self.dropout(self.embedding(token))
        if self.config.order == "bahdanau":
            context, shares = self.attention(hidden, *source)
            hidden = self.cell(torch.cat([embedded, context], 1), hidden)
        else:
            hidden = self.cell(embedded, hidden)
            context, shares = self.attention(hidden, *source)
        joined = self.dropout(self.join(torch.cat([hidden, context], 1)).tanh())
        return at_least_float32(self.head(joined)), (hidden, *source), shares
