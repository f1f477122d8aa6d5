"""An encoder-decoder: reads one sequence and writes another, and may look back while it writes.

The encoder is a bidirectional GRU, the decoder a GRU that begins with what the encoder has at its ends (Sutskever et
al. 2014, arXiv 1409.3215; Cho et al. 2014, arXiv 1406.1078). How it looks back is a lever, `attention`, and so is when,
`order`; see `networks.source_attention` and `networks.attentive_decoder`. Where the data mark a word of the source as
the answer, the mark is embedded and added to it: so the model asks the question to an answer.
"""

from dataclasses import dataclass

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from generative.models.checks import check_sizes
from generative.models.writing.answering_model import AnsweringModel
from generative.networks.attention.attentive_decoder import AttentionOrder, AttentiveDecoder
from generative.networks.attention.source_attention import AttentionKind
from generative.networks.recurrent import BidirectionalGRU
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
    order: AttentionOrder = "bahdanau"
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
    fixed_step = True
    Config = EncoderDecoderConfig

    def __init__(self, config: EncoderDecoderConfig) -> None:
        super().__init__(config, config.embedding)
        self.dropout = nn.Dropout(config.dropout)
        self.encoder = BidirectionalGRU(config.embedding, config.hidden // 2)
        self.decoder = AttentiveDecoder(
            config.embedding,
            config.hidden,
            config.vocabulary,
            config.attention,
            config.order,
            config.heads,
            config.dropout,
        )

    def read(self, source: Int[Tensor, "B S"], mask: Bool[Tensor, "B S"], marks: Tensor | None = None) -> State:
        """Return the decoder's first state: what the encoder has at its ends, and what is looked back at."""
        features, ends = self.encoder(self.dropout(self._embedded(source, marks)), mask)
        return self.decoder.begin(ends, features, mask)

    def step(
        self, token: Int[Tensor, " B"], state: State
    ) -> tuple[Float[Tensor, "B K"], State, Float[Tensor, "B heads S"]]:
        """Return the scores after one more token, the state then, and where the decoder looked."""
        found: tuple[Tensor, State, Tensor] = self.decoder(self.dropout(self.embedding(token)), state)
        return found
