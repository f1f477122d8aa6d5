"""A Transformer that composes in a style, after MuseNet (Payne 2019, openai.com/research/musenet; there is no paper).

A piece is the tokens of a roll, step by step and in each step voice by voice, behind a token for its style: a prefix
that everything after it sees. Every token comes with what MuseNet tells of it: when it sounds, its place in the chord,
and where in the piece it stands,

    x = token + place in the window + step of the bar + bar + voice + which 128th of the piece + bars that are left.

Time follows from the place of a token and from the field `place` of the data: the first step of a window and the steps
of its piece. A piece that is composed has the same vectors, so an end comes in sight. MuseNet read a window of 4,096
tokens of many instruments with sparse attention; here the window is an item of the data, and attention is full.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from generative.core.facts import Facts
from generative.data.fields import Field
from generative.data.music.pieces import bar_steps
from generative.data.needs import needed
from generative.models.checks import check_labels, check_sizes
from generative.models.composing.music_transformer import MusicTransformer, MusicTransformerConfig, Sinusoids
from generative.models.writing.gpt2 import GPT2Config
from generative.models.writing.language_model import TextSampling
from generative.sampling.decoding import Decoding

PARTS = 128
"""Of a piece, and bars that are counted at most."""


@dataclass(frozen=True)
class MuseNetConfig(MusicTransformerConfig):
    """Sizes of the model, its decay, and what the data say of pieces."""

    relative: bool = False
    """Attention knows distances, as that of `music-transformer` does."""
    classes: int = 1
    """Different styles, as many as there are labels; 1 where pieces have none."""
    voices: int = 4
    """V, tokens of a step."""
    bar: int = 16
    """Steps of a bar."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sizes(self, "classes", "voices", "bar")


@dataclass(frozen=True)
class MuseNetSampling(TextSampling):
    """How a piece is composed."""

    style: int = -1
    """Number of the style of all pieces; -1 for the one that a label says, or each in turn."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.style < -1:
            raise ValueError(f"style={self.style}: give the number of a style, or -1 for each in turn")


class Times(nn.Module):
    """The vectors of what is known of tokens beside their numbers."""

    def __init__(self, config: MuseNetConfig) -> None:
        super().__init__()
        self.voices, self.bar = config.voices, config.bar
        self.places = Sinusoids(config.width)
        self.beat = nn.Embedding(config.bar, config.width)
        self.voice = nn.Embedding(config.voices, config.width)
        self.bars, self.part, self.left = (nn.Embedding(PARTS, config.width) for _ in range(3))

    def forward(
        self,
        place: Int[Tensor, " T"],
        number: Int[Tensor, "B T"],
        first: Int[Tensor, "B T"],
        steps: Int[Tensor, "B T"],
    ) -> Float[Tensor, "B T H"]:
        """Return the sum of the vectors.

        Args:
            place: of tokens in the window that is read.
            number: of each token in its item, from 0 on; -1 for the style before them.
            first: step of the piece at which the item begins.
            steps: of the piece.
        """
        now = first + number.div(self.voices, rounding_mode="floor")
        bar = now.div(self.bar, rounding_mode="floor").clamp(0, PARTS - 1)
        part = (now * PARTS).div(steps, rounding_mode="floor").clamp(0, PARTS - 1)
        left = (steps - 1 - now).div(self.bar, rounding_mode="floor").clamp(0, PARTS - 1)
        found: Tensor = self.places(place) + self.beat(now % self.bar) + self.voice(number % self.voices)
        return found + self.bars(bar) + self.part(part) + self.left(left)


class MuseNet(MusicTransformer):
    """The distribution of rolls in a style. It reads rows: token, number in the item, style, first step, steps."""

    type_name = "muse-net"
    fixed_step = True
    Config = MuseNetConfig
    Sampling: ClassVar[type] = MuseNetSampling
    config: MuseNetConfig

    def _positions(self, config: GPT2Config) -> nn.Module:
        return Times(self.config)

    def _starts(self, config: GPT2Config) -> int:
        return self.config.classes

    @property
    def inputs(self) -> tuple[str, ...]:
        """Pieces, their styles where there are several, and where they stand in longer pieces."""
        return ("tokens", "label", "place") if self.config.classes > 1 else ("tokens", "place")

    @classmethod
    def sizes(cls, fields: Mapping[str, Field]) -> Facts:
        """Return the number of tokens, those of an item, voices, steps of a bar and styles; errors as of `FitsData`."""
        needed(cls, fields, "place")
        roll, styles = needed(cls, fields, "roll"), len(fields["label"].names) if "label" in fields else 1
        known = {"voices": roll.shape[1], "bar": bar_steps(roll.rate), "classes": styles}
        return {**super().sizes(fields), **known}

    def loss(
        self, batch: Int[Tensor, "B T"] | Sequence[Tensor], generator: torch.Generator
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Return the negative log-probability per token in nats, and `bits_per_token`."""
        nats = -self._log_probs(*([batch] if isinstance(batch, Tensor) else batch)).mean()
        return nats, {"bits_per_token": nats.detach() / math.log(2)}

    def log_prob(self, tokens: Int[Tensor, "B T"], *given: Tensor) -> Float[Tensor, " B"]:  # type: ignore[override]
        """Return the log-probability in nats of pieces.

        Args:
            tokens: the pieces.
            given: of each the number of its style (B), by default each in turn, and the first step and the steps of
                the piece that it is of (B 2), by default an item from a beginning to an end.

        Raises:
            ValueError: a token or a style is out of range.
        """
        return self._log_probs(tokens, *given).sum(1)

    def sample(
        self, n: int, sampling: TextSampling, generator: torch.Generator, labels: Int[Tensor, " n"] | None = None
    ) -> Int[Tensor, "n T"]:
        """Return whole pieces in styles by number, by default each in turn."""
        nothing = torch.empty(n, 0, dtype=torch.int64, device=self.embedding.weight.device)
        return self.generate(nothing, sampling.length, sampling, generator, *([] if labels is None else [labels]))

    def generate(
        self,
        prompt: Int[Tensor, "B T"],
        steps: int,
        sampling: Decoding,
        generator: torch.Generator,
        *given: Tensor,
        stop: Collection[int] = (),
    ) -> Int[Tensor, "B S"]:
        """Return what follows on openings, as of `gpt-2`.

        `given` is as of `log_prob`, by default a piece that ends after `steps` tokens.
        """
        whole = -(-(prompt.shape[1] + steps) // self.config.voices)
        given = (*given, (whole * torch.arange(2, device=prompt.device)).expand(len(prompt), 2))
        style = getattr(sampling, "style", -1)
        if style >= 0:
            given = (torch.full((len(prompt),), style, device=prompt.device), *given)
        return super().generate(prompt, steps, sampling, generator, *given, stop=stop)

    def _whole(self, tokens: Int[Tensor, "B T"], *given: Tensor) -> Int[Tensor, "B T+1 5"]:
        """Return pieces as they are read; the first of several styles or places that are given counts."""
        config, (rows, length) = self.config, tokens.shape
        piece = (config.context // config.voices * torch.arange(2, device=tokens.device)).expand(rows, 2)
        number = torch.arange(rows, device=tokens.device)
        labels, piece = (next(each for each in (*given, usual) if each.ndim == usual.ndim)
                         for usual in (number % config.classes, piece))  # fmt: skip
        check_labels(labels, config.classes)
        read = torch.cat([(config.vocabulary + labels)[:, None], tokens], 1)
        place = torch.arange(-1, length, device=tokens.device).expand(rows, -1)
        known = (each[:, None].expand(-1, length + 1) for each in (labels, *piece.unbind(1)))
        return torch.stack([read, place, *known], 2)

    def _embedded(self, tokens: Int[Tensor, "B T 5"], place: Int[Tensor, " T"]) -> Float[Tensor, "B T H"]:
        read, number, _, *piece = tokens.unbind(2)
        vectors: Tensor = self.embedding(read) + self.position(place, number, *piece)
        return vectors

    def _next(self, tokens: Int[Tensor, " B"], last: Int[Tensor, "B 1 5"]) -> Int[Tensor, "B 1 5"]:
        return torch.cat([tokens[:, None, None], last[..., 1:2] + 1, last[..., 2:]], 2)

    def _begun(self, tokens: Int[Tensor, "B T 5"]) -> Int[Tensor, "B T 5"]:
        """Return windows that begin with their style."""
        first = torch.cat([self.config.vocabulary + tokens[:, :1, 2:3], tokens[:, :1, 1:]], 2)
        return torch.cat([first, tokens[:, 1:]], 1)
