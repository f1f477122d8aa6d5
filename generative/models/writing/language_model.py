"""What language models share: texts as their data, and writing one token after the other."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Int
from torch import Tensor, nn

from generative.core.facts import Facts
from generative.data.fields import Field
from generative.data.needs import needed
from generative.models.checks import check_sizes, check_tokens
from generative.sampling.decoding import Decoding


@dataclass(frozen=True)
class TextSampling(Decoding):
    """How a text is written."""

    length: int = 200
    """Tokens of a sample."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sizes(self, "length")


class LanguageModel(nn.Module):
    """A distribution of sequences of tokens, whose config has `vocabulary` and `masked`, with an `embedding`."""

    seam = "model"
    Sampling: ClassVar[type] = TextSampling
    refusals: ClassVar[Mapping[str, str]] = {
        name: "a language model has no latents: a text is written token by token"
        for name in ("encode", "decode", "reconstruct", "interpolate")
    }
    config: Any
    embedding: nn.Embedding

    @property
    def inputs(self) -> tuple[str, ...]:
        """Texts, and where they end if they are padded."""
        return ("tokens", "tokens_mask") if self.config.masked else ("tokens",)

    @classmethod
    def sizes(cls, fields: Mapping[str, Field]) -> Facts:
        """Return the number of tokens, and whether texts are padded; errors as of `FitsData`."""
        return {"vocabulary": needed(cls, fields, "tokens").sizes[0], "masked": "tokens_mask" in fields}

    def sample(self, n: int, sampling: TextSampling, generator: torch.Generator) -> Int[Tensor, "n T"]:
        """Return texts from their beginning on."""
        nothing = torch.empty(n, 0, dtype=torch.int64, device=self.embedding.weight.device)
        return self.generate(nothing, sampling.length, sampling, generator)

    def generate(
        self, prompt: Int[Tensor, "B T"], steps: int, sampling: Decoding, generator: torch.Generator, *given: Any
    ) -> Int[Tensor, "B S"]:
        """Return the next `steps` tokens of texts; `given` is what else a model is told of each.

        Raises:
            ValueError: a token of the prompt is out of range, or `steps` is below 1.
        """
        if steps < 1:
            raise ValueError(f"steps={steps}: give 1 or more")
        check_tokens(prompt, self.config.vocabulary)
        drawn = self._drawn(prompt, sampling, generator, *given)
        return torch.stack([next(drawn) for _ in range(steps)], 1)

    def stream(self, prompt: Int[Tensor, " T"], sampling: Decoding, generator: torch.Generator) -> Iterator[int]:
        """Yield the tokens of one text that goes on from a prompt, each as soon as it is drawn, without end.

        Raises:
            ValueError: a token of the prompt is out of range.
        """
        check_tokens(prompt[None], self.config.vocabulary)
        return (int(token) for token in self._drawn(prompt[None], sampling, generator))

    def _drawn(
        self, prompt: Int[Tensor, "B T"], sampling: Decoding, generator: torch.Generator, *given: Any
    ) -> Iterator[Int[Tensor, " B"]]:
        """Yield the tokens that follow on prompts, one of each text at a time."""
        raise NotImplementedError

    def _start(self, n: int) -> Int[Tensor, "n 1"]:
        """Return the token that begins a text, which is the last one of the embedding."""
        return torch.full((n, 1), self.config.vocabulary, device=self.embedding.weight.device)
