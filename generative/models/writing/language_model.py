"""What language models share: texts as their data, and writing one token after the other."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Int
from torch import Tensor, nn

from generative.core.facts import Facts
from generative.data.fields import Field
from generative.data.needs import needed
from generative.models.checks import check_sizes, check_tokens
from generative.sampling.decoding import Decoding, EndingDecoding, Reading, decode, draws


@dataclass(frozen=True)
class TextSampling(EndingDecoding):
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
        self,
        prompt: Int[Tensor, "B T"],
        steps: int,
        sampling: Decoding,
        generator: torch.Generator,
        *given: Any,
        stop: Collection[int] = (),
    ) -> Int[Tensor, "B S"]:
        """Return what follows on texts: `steps` tokens, or fewer where all texts have ended before.

        Args:
            prompt: the texts.
            steps: tokens at most.
            sampling: how tokens are chosen. Beams draw nothing, so texts that begin alike go on alike.
            generator: for the draws.
            given: what else a model is told of each text.
            stop: tokens that end a text. The one that does fills it up behind.

        Raises:
            ValueError: a token is out of range, or `steps` is below 1.
        """
        if steps < 1:
            raise ValueError(f"steps={steps}: give 1 or more")
        self._check(prompt, stop)
        return decode(self._reading(prompt, *given), steps, sampling, generator, stop)

    def stream(
        self, prompt: Int[Tensor, " T"], sampling: TextSampling, generator: torch.Generator, stop: Collection[int] = ()
    ) -> Iterator[int]:
        """Yield the tokens of one text that goes on from a prompt, each as soon as it is drawn.

        Without end, or up to the first token of `stop`. With beams a text of `sampling.length` tokens is found first.

        Raises:
            ValueError: a token is out of range.
        """
        self._check(prompt[None], stop)
        return self._streamed(prompt[None], sampling, generator, stop)

    def _streamed(
        self, prompt: Int[Tensor, "1 T"], sampling: TextSampling, generator: torch.Generator, stop: Collection[int]
    ) -> Iterator[int]:
        begun = self._reading(prompt)
        if sampling.beams > 1:
            yield from decode(begun, sampling.length, sampling, generator, stop)[0].tolist()
        else:
            yield from map(int, draws(begun, sampling, generator, stop))

    def _reading(self, prompt: Int[Tensor, "B T"], *given: Any) -> Reading:
        """Return texts as they are read before the first token is chosen; without gradients."""
        raise NotImplementedError

    def _check(self, prompt: Tensor, stop: Collection[int]) -> None:
        """Raise a ValueError where tokens of a prompt, or those that end a text, are out of range."""
        check_tokens(prompt, self.config.vocabulary)
        for token in stop:
            if not 0 <= token < self.config.vocabulary:
                raise ValueError(
                    f"stop={token}: there is no such token; give numbers from 0 to {self.config.vocabulary - 1}"
                )

    def _start(self, n: int) -> Int[Tensor, "n 1"]:
        """Return the token that begins a text, which is the last one of the embedding."""
        return torch.full((n, 1), self.config.vocabulary, device=self.embedding.weight.device)
