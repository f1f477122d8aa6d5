"""BERT: a Transformer that reads a text from both sides (Devlin et al. 2018, arXiv 1810.04805).

A piece of running text is two segments, its halves: `[CLS] A [SEP] B [SEP]`. For half of the pieces B is that of
another. The model learns by two objectives whose losses are added:

    masked tokens    -log softmax(E h_t)_{x_t} for the 15 % that were hidden, see `objectives.masking`
    next sentence    does B go on where A ends? read off the features of [CLS]

Vectors of tokens, places (sinusoids at first) and segments are added; blocks are post-norm. Given labels in their
place, a model learns to classify texts from the features of [CLS]. It may begin with the weights of a run that learnt
to read (`generative train bert --start RUN`), and reads texts in halves as that did. A small model's [CLS] knows what
next sentences ask for. So that helps where a label is a matter of both halves, and not where it is of words anywhere.
It writes nothing: what a token may be depends on both sides.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from generative.core.component import Part
from generative.core.facts import Facts
from generative.core.options import ComponentError
from generative.core.views import Views
from generative.data.fields import Field
from generative.data.needs import needed
from generative.models.checks import check_labels, check_sizes, check_tokens
from generative.models.writing.attention_maps import TextAttention
from generative.networks.attention.transformer import TransformerBlock, sinusoids
from generative.objectives.masking import hidden_tokens
from generative.objectives.variational import at_least_float32

SPREAD = 0.02 * math.sqrt(768)
"""Standard deviation of weights at first, times the root of the width: the paper's 0.02 at its own."""
CLS, SEP, MASK = range(3)
"""Tokens of its own, counted from the end of the data's."""


@dataclass(frozen=True)
class BERTConfig:
    """Sizes of the model, and what it learns."""

    vocabulary: int = 100
    """K, different tokens of the data."""
    width: int = 128
    """Numbers that stand for a token, H."""
    layers: int = 4
    """Blocks, one after the other."""
    heads: int = 4
    """Attention heads in a block; `width` is divided among them."""
    context: int = 128
    """Tokens of a text at most."""
    dropout: float = 0.1
    """Probability that a number of an embedding, or of what a block adds, is left out while training."""
    decay: float = 0.01
    """Weight decay of matrices, apart from the gradient."""
    labelled: bool = False
    """The data have labels, which it learns in the place of hidden tokens and next sentences."""
    classes: int = 2
    """Different labels, where it learns them."""

    def __post_init__(self) -> None:
        check_sizes(self, "vocabulary", "width", "layers", "heads", "classes")
        if self.context < 2:
            raise ValueError(f"context={self.context}: give 2 tokens or more")
        if self.width % self.heads or self.width % 2:
            raise ValueError(f"width={self.width}: must be even and a multiple of heads={self.heads}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout={self.dropout}: give 0 or more, but less than 1")
        if not self.decay >= 0:
            raise ValueError(f"decay={self.decay}: must not be negative; 0 turns it off")


class BERT(nn.Module):
    """Features of texts, with heads for hidden tokens and next sentences, or for labels."""

    type_name = "bert"
    fixed_step = True
    seam = "model"
    Config = BERTConfig
    views: ClassVar[Views] = {"attention": TextAttention}

    def __init__(self, config: BERTConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.embedding = nn.Embedding(config.vocabulary + 3, width)  # and CLS, SEP, MASK
        self.position = nn.Embedding(config.context + 3, width)
        self.segment = nn.Embedding(2, width)
        self.norm, self.dropout = nn.LayerNorm(width), nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(
            TransformerBlock(width, config.heads, dropout=config.dropout, pre_norm=False) for _ in range(config.layers)
        )
        self.pool = nn.Linear(width, width)
        if config.labelled:
            self.classifier = nn.Linear(width, config.classes)
        else:
            self.next_sentence = nn.Linear(width, 1)
            self.guess = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width))
            self.bias = nn.Parameter(torch.zeros(config.vocabulary))
        spread = SPREAD / math.sqrt(width)
        for name, weight in self.named_parameters():
            if weight.ndim == 2:
                nn.init.normal_(weight, std=spread)
            elif name.endswith("bias"):
                nn.init.zeros_(weight)
        with torch.no_grad():  # of the same spread, and near places are alike at once
            self.position.weight.copy_(math.sqrt(2) * spread * sinusoids(torch.arange(config.context + 3), width))

    @property
    def refusals(self) -> Mapping[str, str]:
        """What it does not do, by what it learns."""
        writing = "it reads from both sides, and writes nothing"
        never = ("encode", "decode", "reconstruct", "interpolate", "sample", "log_prob", "generate", "stream")
        not_now = ("fill", "it learnt labels") if self.config.labelled else ("classify", "it learnt no labels")
        return {**dict.fromkeys(never, writing), not_now[0]: not_now[1]}

    @property
    def inputs(self) -> tuple[str, ...]:
        """Texts, and their labels where it learns these."""
        return ("tokens", "label") if self.config.labelled else ("tokens",)

    @property
    def parts(self) -> Mapping[str, Part]:
        """How it is trained: AdamW, whose decay is of matrices alone."""
        return {"": Part(optimiser="adamw", decay=self.config.decay, decays="matrices")}

    @classmethod
    def sizes(cls, fields: Mapping[str, Field]) -> Facts:
        """Return the number of tokens, and whether there are labels and how many; errors as of `FitsData`."""
        if "tokens_mask" in fields:
            raise ComponentError("bert needs pieces of running text, and these are padded; train gpt-2, or give text")
        known: Facts = {"vocabulary": needed(cls, fields, "tokens").sizes[0], "labelled": "label" in fields}
        return {**known, "classes": fields["label"].sizes[0]} if "label" in fields else known

    def loss(
        self, batch: Int[Tensor, "B T"] | Sequence[Tensor], generator: torch.Generator
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Return what is to be made small in nats, and the shares of right answers.

        Without labels: of hidden tokens, `right`, and of pairs, `next_right`. With labels: `right`.
        """
        tokens, *labels = [batch] if isinstance(batch, Tensor) else batch
        if labels:
            scores = self.classify(tokens)
            check_labels(labels[0], self.config.classes)
            right = (scores.argmax(1) == labels[0]).float().mean()
            return functional.cross_entropy(scores, labels[0]), {"right": right}
        tokens, follows = self._pairs(tokens, generator)
        seen, places = hidden_tokens(tokens, self.config.vocabulary, self._own(MASK), generator)
        features, first = self._read(seen, tokens.shape[1] // 2)
        asked = features.gather(1, places[..., None].expand(-1, -1, self.config.width))
        scores, truth = self._guesses(asked), tokens.gather(1, places)
        said = self._said(first)
        masked = functional.cross_entropy(scores.flatten(0, 1), truth.flatten())
        pairs = functional.binary_cross_entropy_with_logits(said, follows.to(said.dtype))
        return masked + pairs, {
            "bits_per_token": masked.detach() / math.log(2),
            "right": (scores.argmax(2) == truth).float().mean(),
            "next_right": ((said > 0) == follows).float().mean(),
        }

    def fill(self, tokens: Int[Tensor, "B T"], hidden: Bool[Tensor, "B T"]) -> Float[Tensor, "B T K"]:
        """Return the scores of what may stand at every place, of which the hidden ones are not looked at."""
        check_tokens(tokens, self.config.vocabulary)
        features, _ = self._read(tokens.masked_fill(hidden, self._own(MASK)), tokens.shape[1] // 2)
        return self._guesses(features)

    def goes_on(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, " B"]:
        """Return the log-odds that the second halves of texts go on where the first ones end."""
        check_tokens(tokens, self.config.vocabulary)
        return self._said(self._read(tokens, tokens.shape[1] // 2)[1])

    def classify(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B classes"]:
        """Return a score for each label."""
        check_tokens(tokens, self.config.vocabulary)
        scores: Tensor = self.classifier(self._pooled(self._read(tokens, tokens.shape[1] // 2)[1]))
        return at_least_float32(scores)

    def maps(self, tokens: Int[Tensor, "B T"]) -> list[Float[Tensor, "B heads T T"]]:
        """Return where every block looks, of the texts themselves."""
        check_tokens(tokens, self.config.vocabulary)
        found: list[Tensor] = []
        self._read(tokens, tokens.shape[1], found)
        return [each[:, :, 1:-1, 1:-1] for each in found]

    def _pairs(
        self, tokens: Int[Tensor, "B T"], generator: torch.Generator
    ) -> tuple[Int[Tensor, "B T"], Bool[Tensor, " B"]]:
        """Return pieces of which about half have the second half of another, and which go on as the text does."""
        check_tokens(tokens, self.config.vocabulary)
        rows, half = len(tokens), tokens.shape[1] // 2
        if rows == 1:
            return tokens, torch.ones(1, dtype=torch.bool, device=tokens.device)
        follows = torch.rand(rows, generator=generator, device=generator.device).to(tokens.device) < 0.5
        second = torch.where(follows[:, None], tokens[:, half:], tokens.roll(1, 0)[:, half:])
        return torch.cat([tokens[:, :half], second], 1), follows

    def _read(
        self, tokens: Int[Tensor, "B T"], first: int, maps: list[Tensor] | None = None
    ) -> tuple[Float[Tensor, "B T H"], Float[Tensor, "B H"]]:
        """Return the features of texts whose first segment has so many tokens, and those of [CLS]."""
        rows, length = tokens.shape
        if length > self.config.context:
            raise ValueError(f"context={self.config.context}: texts have {length} tokens; raise context, or cut them")
        start, end = (tokens.new_full((rows, 1), self._own(each)) for each in (CLS, SEP))
        two = [tokens[:, :first], end, tokens[:, first:]] if first < length else [tokens]
        read = torch.cat([start, *two, end], 1)
        place = torch.arange(read.shape[1], device=read.device)
        added = self.position(place) + self.segment((place > first + 1).long() * (first < length))
        features = self.dropout(self.norm(self.embedding(read) + added))
        none, visible = features[:, :0], torch.ones(1, 1, 1, len(place), dtype=torch.bool, device=read.device)
        for block in self.blocks:
            features, *_ = block(features, None, visible, none, none, None, maps)
        inside = [features[:, 1 : first + 1], features[:, first + 2 : -1]] if first < length else [features[:, 1:-1]]
        return torch.cat(inside, 1), features[:, 0]

    def _pooled(self, first: Float[Tensor, "B H"]) -> Float[Tensor, "B H"]:
        return self.dropout(self.pool(first).tanh())

    def _said(self, first: Float[Tensor, "B H"]) -> Float[Tensor, " B"]:
        return at_least_float32(self.next_sentence(self._pooled(first)))[:, 0]

    def _guesses(self, features: Float[Tensor, "B C H"]) -> Float[Tensor, "B C K"]:
        return at_least_float32(self.guess(features) @ self.embedding.weight[: self.config.vocabulary].T + self.bias)

    def _own(self, token: int) -> int:
        return self.config.vocabulary + token
