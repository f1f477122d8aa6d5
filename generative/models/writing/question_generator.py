"""The question generator of Foster, *Generative Deep Learning*, first edition, chapter 6 (after Trischler et al. 2016).

A bidirectional GRU reads a story. From its features h_s one layer says of every word how probable it is to be an answer
that somebody could ask for, and a GRU over the features of the answer's words alone gives the state from which a second
one writes the question:

    p(word s is the answer) = sigmoid(w h_s),     s_0 = GRU(h_s of the answer's words)

The losses of tags and of questions are added. In training the answers are those of the data; a story without one can be
given what `tagged` finds.

The book's decoder does not look back, so s_0 alone has to carry every name of the question over the words that stand
between it and the answer. `attention` is the lever of `encoder-decoder`: the decoder looks back at h_s + d_s, where d_s
is a vector for how many words before or after the answer s stands (Sun et al. 2018, "Answer-focused and position-aware
neural question generation", section 3.3). Which of many names is meant is a matter of that distance.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from generative.core.facts import Facts
from generative.data.fields import Field
from generative.data.needs import needed
from generative.models.checks import check_sizes
from generative.models.writing.answering_model import AnsweringModel
from generative.networks.attention.attentive_decoder import AttentiveDecoder
from generative.networks.attention.source_attention import AttentionKind
from generative.networks.recurrent import BidirectionalGRU
from generative.objectives.variational import at_least_float32
from generative.sampling.decoding import State

FARTHEST = 10
"""Words before or after an answer, up to which each distance has a vector of its own."""


@dataclass(frozen=True)
class QuestionGeneratorConfig:
    """Sizes; those by default are the book's."""

    vocabulary: int = 100
    """K, different tokens, of stories and questions together."""
    embedding: int = 100
    """Numbers that stand for a token."""
    hidden: int = 200
    """Units of the decoder, and of both directions of the encoder together."""
    attention: AttentionKind = "none"
    """How the decoder looks back at the story, after its step; words are known by their distance from the answer."""
    dropout: float = 0.0
    """Probability that a number of an embedding, or of what scores are made of, is left out while training."""

    def __post_init__(self) -> None:
        check_sizes(self, "vocabulary", "embedding", "hidden")
        if self.hidden % 4:
            raise ValueError(f"hidden={self.hidden}: must be a multiple of 4")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout={self.dropout}: give 0 or more, but less than 1")


class QuestionGenerator(AnsweringModel):
    """The distributions of answers in a story, and of questions to them."""

    type_name = "question-generator"
    fixed_step = True
    Config = QuestionGeneratorConfig
    inputs: ClassVar[tuple[str, ...]] = ("source", "source_mask", "answer", "target", "target_mask")

    def __init__(self, config: QuestionGeneratorConfig) -> None:
        super().__init__(config, config.embedding)
        half, whole = config.hidden // 2, config.hidden
        self.dropout = nn.Dropout(config.dropout)
        self.encoder = BidirectionalGRU(config.embedding, half)
        self.tag = nn.Linear(whole, 1)
        self.of_answer = nn.GRU(whole, whole, batch_first=True)
        self.distance = nn.Embedding(2 * FARTHEST + 1, whole) if config.attention != "none" else None
        self.decoder = AttentiveDecoder(
            config.embedding, whole, config.vocabulary, config.attention, "luong", 2, config.dropout
        )

    @classmethod
    def sizes(cls, fields: Mapping[str, Field]) -> Facts:
        """Return the number of tokens; errors as of `FitsData`."""
        needed(cls, fields, "answer")
        known = dict(super().sizes(fields))
        return {"vocabulary": known["vocabulary"]}

    def loss(
        self, batch: Sequence[Tensor], generator: torch.Generator
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Return the nats per word of a question and per word of a story together; `tag_bits` are of the latter."""
        source, mask, marks, target, target_mask = batch
        features = self._features(source, mask)
        nats, metrics = self._of_target(self._written(self._begun(features, mask, marks), target), target, target_mask)
        scores = self._tags(features)
        tags = functional.binary_cross_entropy_with_logits(scores, marks.to(scores.dtype), reduction="none")
        tags = self._mean(tags, mask)
        return nats + tags, {**metrics, "tag_bits": tags.detach() / math.log(2)}

    @torch.no_grad()
    def tagged(self, source: Int[Tensor, "B S"], mask: Bool[Tensor, "B S"]) -> Float[Tensor, "B S"]:
        """Return how probable each word of stories is to be an answer; 0 for padding."""
        return self._tags(self._features(source, mask)).sigmoid() * mask

    def read(self, source: Int[Tensor, "B S"], mask: Bool[Tensor, "B S"], marks: Tensor | None = None) -> State:
        """Return the decoder's first state: of the words that are marked, or else of the most probable answer."""
        features = self._features(source, mask)
        if marks is None:
            best = (self._tags(features).masked_fill(~mask, -torch.inf)).argmax(1)
            marks = functional.one_hot(best, source.shape[1])
        return self._begun(features, mask, marks)

    def step(
        self, token: Int[Tensor, " B"], state: State
    ) -> tuple[Float[Tensor, "B K"], State, Float[Tensor, "B heads S"]]:
        """Return the scores after one more token, the state then, and where the decoder looked."""
        found: tuple[Tensor, State, Tensor] = self.decoder(self.dropout(self.embedding(token)), state)
        return found

    def _begun(self, features: Float[Tensor, "B S H"], mask: Bool[Tensor, "B S"], marks: Int[Tensor, "B S"]) -> State:
        """Return the decoder's first state, of the words that are marked."""
        order = (1 - marks).sort(dim=1, stable=True).indices[..., None]  # the answer's words first
        states, _ = self.of_answer(features.gather(1, order.expand_as(features)))
        last = (marks.sum(1).clamp(min=1) - 1)[:, None, None].expand(-1, 1, states.shape[2])
        if self.distance is not None:
            place = torch.arange(marks.shape[1], device=marks.device)
            gap = (place[:, None] - place).abs()  # (S S)
            away = place - torch.where(marks[:, None] > 0, gap, len(place)).argmin(2)  # from the nearest marked word
            features = features + self.distance(away.clamp(-FARTHEST, FARTHEST) + FARTHEST)
        first = states.gather(1, last)[:, 0]
        return self.decoder.begin(first, features, mask)

    def _features(self, source: Int[Tensor, "B S"], mask: Bool[Tensor, "B S"]) -> Float[Tensor, "B S H"]:
        features: Tensor = self.encoder(self.dropout(self._embedded(source, None)), mask)[0]
        return features

    def _tags(self, features: Float[Tensor, "B S H"]) -> Float[Tensor, "B S"]:
        return at_least_float32(self.tag(features))[..., 0]
