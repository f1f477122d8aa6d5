"""GPT-2: a Transformer that says at every place of a text how probable each next token is (Radford et al. 2019).

Pre-norm blocks with a last normalisation, learnt positions, and scores by the vectors that embed the tokens. Weights
begin at a spread of 0.02, those that add to the residual stream at `0.02 / sqrt(2 layers)`. Weight decay is of matrices
alone. Sizes and rates of small ones follow nanoGPT (A. Karpathy, MIT; nothing of it is copied).

A text longer than the context W is read in windows that begin W/2 tokens apart. A window begins with the start token in
place of its first, as pieces in training do, and answers for its second half. So every token has at least W/2 tokens
before it, and what is cached while writing equals what is read at once: `cached` and `forward` are the same function.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from generative.core.component import Part
from generative.core.views import Views
from generative.models.checks import check_sizes, check_tokens
from generative.models.writing.attention_maps import TextAttention
from generative.models.writing.language_model import LanguageModel
from generative.networks.attention.transformer import TransformerBlock
from generative.objectives.variational import at_least_float32
from generative.sampling.decoding import Reading, State

SPREAD = 0.02
"""Standard deviation of weights at first."""


@dataclass(frozen=True)
class GPT2Config:
    """Sizes of the model, and its decay."""

    vocabulary: int = 100
    """K, different tokens."""
    width: int = 128
    """Numbers that stand for a token."""
    layers: int = 4
    """Blocks, one after the other."""
    heads: int = 4
    """Attention heads in a block; `width` is divided among them."""
    context: int = 64
    """W, tokens that are read together."""
    dropout: float = 0.0
    """Probability that a number of an embedding, or of what a block adds, is left out while training."""
    decay: float = 0.1
    """Weight decay of matrices, apart from the gradient."""
    masked: bool = False
    """Texts are padded, and a mask says where they end."""

    def __post_init__(self) -> None:
        check_sizes(self, "vocabulary", "width", "layers", "heads")
        if self.context < 2:
            raise ValueError(f"context={self.context}: give 2 tokens or more")
        if self.width % self.heads:
            raise ValueError(f"width={self.width}: must be a multiple of heads={self.heads}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout={self.dropout}: give 0 or more, but less than 1")
        if not self.decay >= 0:
            raise ValueError(f"decay={self.decay}: must not be negative; 0 turns it off")


class Cache(NamedTuple):
    """What has been read of the window that is being read."""

    tokens: Int[Tensor, "B P *C"]
    keys: list[Tensor]
    """Of every block, (B P H)."""
    values: list[Tensor]


class GPT2(LanguageModel):
    """The distribution of sequences of tokens."""

    type_name = "gpt-2"
    fixed_step = True
    Config = GPT2Config
    views: ClassVar[Views] = {"attention": TextAttention}

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary + self._starts(config), config.width)  # the last begin a text
        self.position = self._positions(config)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(self._block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        for name, weight in self.named_parameters():
            if weight.ndim == 2:
                adds = name.endswith(("merge.weight", "network.2.weight"))
                nn.init.normal_(weight, std=SPREAD / math.sqrt(2 * config.layers) if adds else SPREAD)
            elif name.endswith("bias"):
                nn.init.zeros_(weight)

    def _block(self, config: GPT2Config) -> nn.Module:
        """Return one of the blocks."""
        return TransformerBlock(config.width, config.heads, dropout=config.dropout, activation="gelu-tanh")

    def _positions(self, config: GPT2Config) -> nn.Module:
        """Return what makes vectors (T H) of places (T)."""
        return nn.Embedding(config.context, config.width)

    def _starts(self, config: GPT2Config) -> int:
        """Return how many tokens there are that begin a text."""
        return 1

    @property
    def parts(self) -> Mapping[str, Part]:
        """How it is trained: AdamW, whose decay is of matrices alone."""
        return {"": Part(betas=(0.9, 0.99), optimiser="adamw", decay=self.config.decay, decays="matrices")}

    def forward(self, tokens: Int[Tensor, "B T *C"]) -> Float[Tensor, "B T K"]:
        """Return the scores of the token after each of these, of which the first is the start; all windows at once.

        A model may read more of every token than its number: columns of its own.
        """
        context, half = self.config.context, self.config.context // 2
        found = [self._read(tokens[:, :context], None)[0]]
        more = tokens.shape[1] - context
        if more > 0:
            count = -(-more // half)
            filling = tokens[:, -1:].expand(-1, count * half - more, *tokens.shape[2:])  # which nothing looks at
            row = torch.cat([tokens, filling], 1)
            begins = range(half, half * (count + 1), half)
            windows = torch.stack([row[:, first : first + context] for first in begins], 1).flatten(0, 1)  # (B*count W)
            second = self._read(self._begun(windows), None)[0][:, context - half :]
            found.append(second.reshape(len(tokens), count * half, -1)[:, :more])
        return torch.cat(found, 1)

    def cached(self, tokens: Int[Tensor, "B T *C"], cache: Cache | None) -> tuple[Float[Tensor, "B T K"], Cache]:
        """Return the scores after each of these tokens, which follow on those of the cache, and the new cache."""
        context, half, found = self.config.context, self.config.context // 2, []
        while tokens.shape[1]:
            if cache is not None and cache.tokens.shape[1] == context:
                _, cache = self._read(self._begun(cache.tokens[:, half:]), None)
            room = context - (0 if cache is None else cache.tokens.shape[1])
            scores, cache = self._read(tokens[:, :room], cache)
            found.append(scores)
            tokens = tokens[:, room:]
        assert cache is not None
        return torch.cat(found, 1), cache

    def maps(self, tokens: Int[Tensor, "B T"]) -> list[Float[Tensor, "B heads T+1 T+1"]]:
        """Return where every block looks while it reads texts of at most W - 1 tokens; the start token is the first."""
        check_tokens(tokens, self.config.vocabulary)
        found: list[Tensor] = []
        self._read(self._whole(tokens), None, found)
        return found

    def loss(
        self, batch: Int[Tensor, "B T"] | Sequence[Tensor], generator: torch.Generator
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Return the negative log-probability per token in nats, and `bits_per_token`; padding counts for nothing."""
        tokens, *masks = [batch] if isinstance(batch, Tensor) else batch
        loss = -self._log_probs(tokens)
        loss = (loss * masks[0]).sum() / masks[0].sum() if masks else loss.mean()
        return loss, {"bits_per_token": loss.detach() / math.log(2)}

    def log_prob(self, tokens: Int[Tensor, "B T"], mask: Bool[Tensor, "B T"] | None = None) -> Float[Tensor, " B"]:
        """Return the log-probability in nats of whole texts, as far as a mask says.

        Raises:
            ValueError: a token is out of range.
        """
        found = self._log_probs(tokens)
        return (found if mask is None else found * mask).sum(1)

    @torch.no_grad()
    def _reading(self, prompt: Int[Tensor, "B T"], *given: Tensor) -> Reading:
        scores, cache = self.cached(self._whole(prompt, *given), None)
        return Reading(scores[:, -1], (cache.tokens, *cache.keys, *cache.values), self._advance)

    def _advance(self, tokens: Int[Tensor, " B"], state: State) -> tuple[Float[Tensor, "B K"], State]:
        """Return the scores after one more token, and the state then: what the cache has, tensor by tensor."""
        read, *known = state
        cache = Cache(read, known[: len(self.blocks)], known[len(self.blocks) :])
        scores, cache = self.cached(self._next(tokens, read[:, -1:]), cache)
        return scores[:, -1], (cache.tokens, *cache.keys, *cache.values)

    def _log_probs(self, tokens: Int[Tensor, "B T"], *given: Tensor) -> Float[Tensor, "B T"]:
        check_tokens(tokens, self.config.vocabulary)
        scores = self(self._whole(tokens, *given)[:, :-1])
        nats = functional.cross_entropy(scores.flatten(0, 1), tokens.flatten(), reduction="none")
        return -nats.view_as(tokens)

    def _read(
        self, tokens: Int[Tensor, "B T *C"], cache: Cache | None, maps: list[Tensor] | None = None
    ) -> tuple[Float[Tensor, "B T K"], Cache]:
        """Read tokens that still fit into the window."""
        rows, steps = tokens.shape[:2]
        if cache is None:
            none = self.embedding.weight.new_empty(rows, 0, self.config.width)
            cache = Cache(tokens[:, :0], [none] * len(self.blocks), [none] * len(self.blocks))
            visible = None
        else:
            earlier = cache.tokens.shape[1]
            visible = torch.ones(steps, earlier + steps, dtype=torch.bool, device=tokens.device).tril(earlier)[
                None, None
            ]
        place = cache.tokens.shape[1] + torch.arange(steps, device=tokens.device)
        features = self.dropout(self._embedded(tokens, place))
        keys, values = [], []
        for block, old_keys, old_values in zip(self.blocks, cache.keys, cache.values, strict=True):
            features, key, value = block(features, None, visible, old_keys, old_values, None, maps)
            keys.append(key)
            values.append(value)
        scores = self.norm(features) @ self.embedding.weight[: self.config.vocabulary].T
        return at_least_float32(scores), Cache(torch.cat([cache.tokens, tokens], 1), keys, values)

    def _embedded(self, tokens: Int[Tensor, "B T *C"], place: Int[Tensor, " T"]) -> Float[Tensor, "B T H"]:
        """Return the vectors of tokens at places of the window."""
        vectors: Tensor = self.embedding(tokens) + self.position(place)
        return vectors

    def _whole(self, tokens: Int[Tensor, "B T"], *given: Tensor) -> Int[Tensor, "B T+1 *C"]:
        """Return texts as they are read, their start before them."""
        return torch.cat([self._start(len(tokens)), tokens], 1)

    def _next(self, tokens: Int[Tensor, " B"], last: Int[Tensor, "B 1 *C"]) -> Int[Tensor, "B 1 *C"]:
        """Return tokens as they are read, which follow on the last ones that were."""
        return tokens[:, None]

    def _begun(self, tokens: Int[Tensor, "B T *C"]) -> Int[Tensor, "B T *C"]:
        """Return windows that begin with the start token."""
        return torch.cat([self._start(len(tokens)), tokens[:, 1:]], 1)
