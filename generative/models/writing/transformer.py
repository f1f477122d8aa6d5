"""The Transformer: attention alone reads one sequence and writes another (Vaswani et al. 2017, arXiv 1706.03762).

Encoder blocks look at the whole source, decoder blocks at what is written and then at the source; each block normalises
what it has added to (post-norm). One matrix embeds the tokens of both sides, times `sqrt(width)`, and scores the next
one. Positions come in as

    PE(t, 2i) = sin(t / 10000^(2i / width)),   PE(t, 2i+1) = cos(t / 10000^(2i / width))

so a sequence may be longer than those of the training. The loss asks for `1 - smoothing` of the probability for the
right token and for the rest of all tokens alike (label smoothing, Szegedy et al. 2016, arXiv 1512.00567). The paper's
rate is FitConfig's schedule `inverse-root`. What is cached while writing and what is read at once are one function.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from generative.core.component import Part
from generative.models.checks import check_sizes
from generative.models.writing.answering_model import AnsweringModel
from generative.networks.attention.transformer import TransformerBlock, sinusoids
from generative.objectives.variational import at_least_float32
from generative.sampling.decoding import State


@dataclass(frozen=True)
class Seq2SeqTransformerConfig:
    """Sizes of both halves, and the paper's regularisation."""

    vocabulary: int = 100
    """K, different tokens, of sources and targets together."""
    width: int = 128
    """Numbers that stand for a token, H."""
    layers: int = 2
    """Blocks of the encoder, and as many of the decoder."""
    heads: int = 4
    """Attention heads in a block; `width` is divided among them."""
    dropout: float = 0.0
    """Probability that a number of an embedding, or of what a block adds, is left out while training (paper: 0.1)."""
    smoothing: float = 0.1
    """Probability that training asks for of all tokens alike, not of the right one; 0 turns it off."""
    marked: bool = False
    """The data mark the answer in the source."""

    def __post_init__(self) -> None:
        check_sizes(self, "vocabulary", "width", "layers", "heads")
        if self.width % self.heads or self.width % 2:
            raise ValueError(f"width={self.width}: must be even and a multiple of heads={self.heads}")
        for name in ("dropout", "smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: give 0 or more, but less than 1")


class Seq2SeqTransformer(AnsweringModel):
    """The distribution of targets given sources."""

    type_name = "transformer"
    fixed_step = True
    Config = Seq2SeqTransformerConfig

    def __init__(self, config: Seq2SeqTransformerConfig) -> None:
        super().__init__(config, config.width)
        self.smoothing = config.smoothing

        def blocks(cross: bool) -> nn.ModuleList:
            options = {"dropout": config.dropout, "activation": "relu", "pre_norm": False, "cross": cross}
            return nn.ModuleList(
                TransformerBlock(config.width, config.heads, **options)  # type: ignore[arg-type]
                for _ in range(config.layers)
            )

        self.encoder, self.decoder = blocks(False), blocks(True)
        self.dropout = nn.Dropout(config.dropout)
        for name, weight in self.named_parameters():
            if name.startswith(("embedding", "mark")):
                nn.init.normal_(weight, std=config.width**-0.5)  # of unit spread where it comes in
            elif weight.ndim == 2:
                nn.init.xavier_uniform_(weight)

    @property
    def parts(self) -> Mapping[str, Part]:
        """How it is trained: by the paper's Adam."""
        return {"": Part(betas=(0.9, 0.98))}

    def scores(self, source: Sequence[Tensor], target: Int[Tensor, "B T"]) -> Float[Tensor, "B T K"]:
        """Return the scores of every target token after those before it (teacher forcing), all at once."""
        return self._write(self._before(target), self.read(*source))[0]

    @torch.no_grad()
    def maps(self, source: Sequence[Tensor], target: Int[Tensor, "B T"]) -> list[Float[Tensor, "B heads T S"]]:
        """Return where each decoder block looks in the source for every token of a target."""
        found: list[Tensor] = []
        self._write(self._before(target), self.read(*source), found)
        return found[1::2]  # after what it sees of the target itself

    def read(self, source: Int[Tensor, "B S"], mask: Bool[Tensor, "B S"], marks: Tensor | None = None) -> State:
        """Return the source's mask, and for each decoder block keys and values of targets (none yet) and of sources."""
        features = self._placed(self._embedded(source, marks), 0)
        none, visible = features[:, :0], mask[:, None, None]  # (B 1 1 S)
        for block in self.encoder:
            features, *_ = block(features, None, visible, none, none)
        state = [mask]
        for block in self.decoder:
            state += [none, none, *cast(Any, block).remember(features)]
        return tuple(state)

    def advance(self, token: Int[Tensor, " B"], state: State) -> tuple[Float[Tensor, "B K"], State]:
        """Return the scores after one more token, and the state then."""
        scores, state = self._write(token[:, None], state)
        return scores[:, 0], state

    def _write(
        self, tokens: Int[Tensor, "B T"], state: State, maps: list[Tensor] | None = None
    ) -> tuple[Float[Tensor, "B T K"], State]:
        """Return the scores after each of these tokens, which follow on those of the state, and the new state."""
        mask, *known = state
        earlier, steps = known[0].shape[1], tokens.shape[1]
        visible = torch.ones(steps, earlier + steps, dtype=torch.bool, device=tokens.device).tril(earlier)[None, None]
        features, later = self._placed(self.embedding(tokens), earlier), [mask]
        for layer, block in enumerate(self.decoder):
            keys, values, *source = known[4 * layer : 4 * layer + 4]
            features, keys, values = block(
                features, None, visible if earlier else None, keys, values, (*source, mask[:, None, None]), maps
            )
            later += [keys, values, *source]
        scores = features @ self.embedding.weight[: self.config.vocabulary].T
        return at_least_float32(scores), tuple(later)

    def _placed(self, embedded: Float[Tensor, "B T H"], first: int) -> Float[Tensor, "B T H"]:
        """Return embedded tokens at unit spread with the positions from `first` on."""
        place = first + torch.arange(embedded.shape[1], device=embedded.device)
        return self.dropout(embedded * math.sqrt(self.config.width) + sinusoids(place, self.config.width))
