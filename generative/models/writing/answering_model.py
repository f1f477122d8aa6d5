"""What models share that answer one sequence of tokens by another: their data, their loss and how answers are found."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from generative.core.facts import Facts
from generative.core.views import Views
from generative.data.fields import Field
from generative.data.needs import needed
from generative.models.checks import check_tokens
from generative.models.writing.attention_maps import AnswerAttention
from generative.sampling.decoding import AnswerDecoding, Reading, State, decode

END = 0
"""Ends a sequence, as padded data have it."""


class AnsweringModel(nn.Module):
    """A distribution of targets given sources, whose config has `vocabulary`, K, and perhaps `marked`."""

    seam = "model"
    Sampling: ClassVar[type] = AnswerDecoding
    views: ClassVar[Views] = {"attention": AnswerAttention}
    refusals: ClassVar[Mapping[str, str]] = {
        name: "it answers a source, and has neither latents nor texts of its own"
        for name in ("encode", "decode", "reconstruct", "interpolate", "sample", "log_prob", "generate", "stream")
    }
    smoothing = 0.0
    """In training so much of the probability of the right token is asked for of all tokens alike."""

    def __init__(self, config: Any, width: int) -> None:
        """Build the embeddings, shared by sources and targets.

        Args:
            config: of the model.
            width: numbers that stand for a token, E.
        """
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary + 1, width)  # the last one begins a target
        self.mark = nn.Embedding(2, width) if getattr(config, "marked", False) else None

    @property
    def inputs(self) -> tuple[str, ...]:
        """Sources and targets, where each is no padding, and the mark of an answer."""
        source = ("source", "source_mask", "answer") if self.config.marked else ("source", "source_mask")
        return (*source, "target", "target_mask")

    @classmethod
    def sizes(cls, fields: Mapping[str, Field]) -> Facts:
        """Return the number of tokens, and whether an answer is marked; errors as of `FitsData`."""
        for name in ("source_mask", "target_mask"):
            needed(cls, fields, name)
        counts = [needed(cls, fields, name).sizes[0] for name in ("source", "target")]
        return {"vocabulary": max(counts), "marked": "answer" in fields}

    def read(self, source: Int[Tensor, "B S"], mask: Bool[Tensor, "B S"], marks: Tensor | None = None) -> State:
        """Return the decoder's state before the first token; a row of each tensor for each source."""
        raise NotImplementedError

    def step(
        self, token: Int[Tensor, " B"], state: State
    ) -> tuple[Float[Tensor, "B K"], State, Float[Tensor, "B heads S"]]:
        """Return the scores after one more token, the state then, and where it looked."""
        raise NotImplementedError

    def advance(self, token: Int[Tensor, " B"], state: State) -> tuple[Float[Tensor, "B K"], State]:
        """Return the scores after one more token, and the state then."""
        scores, state, _ = self.step(token, state)
        return scores, state

    def scores(self, source: Sequence[Tensor], target: Int[Tensor, "B T"]) -> Float[Tensor, "B T K"]:
        """Return the scores of every target token after those before it (teacher forcing)."""
        return self._written(self.read(*source), target)

    def _written(self, state: State, target: Int[Tensor, "B T"]) -> Float[Tensor, "B T K"]:
        """Return the scores of every target token, from the state before the first."""
        found = []
        for token in self._before(target).unbind(1):
            scores, state = self.advance(token, state)
            found.append(scores)
        return torch.stack(found, 1)

    @torch.no_grad()
    def maps(self, source: Sequence[Tensor], target: Int[Tensor, "B T"]) -> list[Float[Tensor, "B heads T S"]]:
        """Return where each layer looks in the source for every token of a target."""
        state, found = self.read(*source), []
        for token in self._before(target).unbind(1):
            _, state, shares = self.step(token, state)
            found.append(shares)
        return [torch.stack(found, 2)]

    def loss(
        self, batch: Sequence[Tensor], generator: torch.Generator
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Return the negative log-probability per target token in nats, and `bits_per_token` and `right`.

        Padding counts for nothing. `right` is the share of targets of which every token is the likeliest after those
        before it.
        """
        *source, target, mask = batch
        return self._of_target(self.scores(source, target), target, mask)

    def _of_target(
        self, scores: Float[Tensor, "B T K"], target: Int[Tensor, "B T"], mask: Bool[Tensor, "B T"]
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Return the loss of scores of targets."""
        check_tokens(target, self.config.vocabulary)
        log_probs = scores.log_softmax(2)
        nats = self._mean(-log_probs.gather(2, target[..., None])[..., 0], mask)
        loss = nats
        if self.training and self.smoothing:
            loss = (1 - self.smoothing) * nats + self.smoothing * self._mean(-log_probs.mean(2), mask)
        right = ((scores.argmax(2) == target) | ~mask).all(1).float().mean()
        return loss, {"bits_per_token": nats.detach() / math.log(2), "right": right}

    @torch.no_grad()
    def answer(self, *source: Tensor, sampling: AnswerDecoding, generator: torch.Generator) -> Int[Tensor, "B S"]:
        """Return targets up to their ends, for sources, their masks and perhaps marks."""
        begun = Reading(*self.advance(self._begin(len(source[0])), self.read(*source)), self.advance)
        return decode(begun, sampling.length, sampling, generator, (END,))

    def _embedded(self, source: Int[Tensor, "B S"], marks: Tensor | None) -> Float[Tensor, "B S E"]:
        check_tokens(source, self.config.vocabulary)
        embedded = self.embedding(source)
        return embedded if self.mark is None or marks is None else embedded + self.mark(marks)

    def _before(self, target: Int[Tensor, "B T"]) -> Int[Tensor, "B T"]:
        """Return what stands before each token of a target."""
        return torch.cat([self._begin(len(target))[:, None], target[:, :-1]], 1)

    def _begin(self, n: int) -> Int[Tensor, " n"]:
        """Return the token that begins a target, which is the last one of the embedding."""
        return torch.full((n,), self.config.vocabulary, device=self.embedding.weight.device)

    @staticmethod
    def _mean(values: Float[Tensor, "B T"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, ""]:
        return (values * mask).sum() / mask.sum()
