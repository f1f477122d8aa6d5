"""A judge: one small network that learned what is known of a data set, and to tell intact images from spoiled ones.

It answers questions by their names: the class, every attribute, every factor by quarters of its range. Its last hidden
layer is the extractor of the figures (a network that knows the data sees what random filters do not, Kynkaanniemi et
al. 2023, arXiv 2203.06026). While it trains, half of every batch is spoiled (see `spoiling`), and what was done to an
image is one more question; only intact images are asked the others.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from generative.core.registry import Registry
from generative.features.spoiling import KINDS, spoil

SPOILED = "spoiled"
"""The question of what was done to an image."""
BATCH = 256
SLOPE = 0.2
SETTLED_BY = 0
"""Seed of the spoiled images that features are settled on."""
LEAST_SPREAD = 0.01
"""Variance added in every direction, in shares of the mean one, or rounding errors would be blown up."""


@dataclass(frozen=True)
class JudgeConfig:
    """Sizes of a judge, and what it is asked."""

    height: int = 32
    """Of the images, in pixels."""
    width: int = 32
    """Of the images, in pixels."""
    channels: int = 3
    """Colour channels of the images."""
    questions: Mapping[str, int] = field(default_factory=dict)
    """How many answers each question has, by its name; what was done to an image is always asked."""
    widths: tuple[int, ...] = (12, 24, 32, 40)
    """Channels of the convolutions; all but the first halve the image."""
    hidden: int = 64
    """Units of the last hidden layer: the features."""

    def __post_init__(self) -> None:
        for name in ("height", "width", "channels", "hidden"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: a size; give 1 or more")
        if min(self.height, self.width) < 8:
            raise ValueError(f"height={self.height}, width={self.width}: a judge needs images of 8 pixels or more")
        if not self.widths or min(self.widths) < 1:
            raise ValueError(f"widths={self.widths}: give the channels of one convolution or more")
        for name, count in self.questions.items():
            if count < 2 or name == SPOILED:
                raise ValueError(f"questions={{{name!r}: {count}}}: give 2 answers or more, and not {SPOILED!r}")


class Judge(nn.Module):
    """Convolutions, a coarse grid of their averages, a hidden layer, and a score for every answer."""

    type_name = "judge"
    seam = "judge"
    Config = JudgeConfig
    centre: Tensor
    whitening: Tensor
    fixed_step: ClassVar[bool] = False  # which images are spoiled is looked up by their numbers

    def __init__(self, config: JudgeConfig) -> None:
        super().__init__()
        self.config = config
        layers: list[nn.Module] = []
        before = config.channels
        for number, after in enumerate(config.widths):
            layers += [nn.Conv2d(before, after, 3, stride=1 + (number > 0), padding=1), nn.LeakyReLU(SLOPE)]
            before = after
        layers += [nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16 * before, config.hidden), nn.LeakyReLU(SLOPE)]
        self.body = nn.Sequential(*layers)
        self.answers = {**config.questions, SPOILED: len(KINDS)}
        self.head = nn.Linear(config.hidden, sum(self.answers.values()))
        self.register_buffer("centre", torch.zeros(config.hidden))
        self.register_buffer("whitening", torch.eye(config.hidden))
        for layer in self.body:
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, SLOPE)

    def features(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
        """Return the last hidden layer, of unit spread in every direction over the images that it was settled on.

        Without that a few directions that vary most, such as light against dark, would be all that figures see. A
        quarter of those images are spoiled: over intact ones alone nothing varies in the directions of noise and blur,
        so that noise too faint for an eye would count for more than a digit that is none.

        Raises:
            ValueError: images of another shape.
        """
        return (self._hidden(images) - self.centre) @ self.whitening

    @torch.no_grad()
    def settle(self, images: Float[Tensor, "N C H W"]) -> None:
        """Set the spread of the features by images and spoiled copies of a third, many more than there are features."""
        spoiled, _ = spoil(images[::3], torch.Generator(images.device).manual_seed(SETTLED_BY))
        hidden = torch.cat([self._hidden(part) for part in torch.cat([images, spoiled]).split(BATCH)]).double()
        values, vectors = torch.linalg.eigh(torch.cov(hidden.T))
        spread = (values.clamp(min=0) + LEAST_SPREAD * values.mean()).sqrt()
        self.centre.copy_(hidden.mean(0))
        self.whitening.copy_(vectors / spread)

    def _hidden(self, images: Tensor) -> Tensor:
        config = self.config
        if tuple(images.shape[1:]) != (config.channels, config.height, config.width):
            raise ValueError(
                f"images of shape {tuple(images.shape)}: this judge knows those of "
                f"({config.channels}, {config.height}, {config.width}); train one with `generative judge`"
            )
        return self.body(2 * images - 1)

    def forward(self, images: Float[Tensor, "B C H W"]) -> dict[str, Float[Tensor, "B A"]]:
        """Return a score (logit) for every answer, by question."""
        scores = self.head(self._hidden(images)).split(list(self.answers.values()), 1)
        return dict(zip(self.answers, scores, strict=True))

    @torch.no_grad()
    def says(self, images: Float[Tensor, "B C H W"]) -> dict[str, Float[Tensor, "B A"]]:
        """Return the probability of every answer, by question, in batches."""
        parts = [{name: each.softmax(1) for name, each in self(part).items()} for part in images.split(BATCH)]
        return {name: torch.cat([part[name] for part in parts]) for name in self.answers}

    def loss(
        self, batch: tuple[Tensor, Tensor], generator: torch.Generator
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Return the mean over questions of their cross-entropies, and the share of right answers.

        Args:
            batch: images (B C H W) in [0, 1], and the numbers of their answers (B Q) in the order of the questions.
            generator: chooses what is spoiled, and how.
        """
        images, truth = batch
        half = len(images) // 2
        spoiled, kind = spoil(images[half:], generator)
        said = self(torch.cat([images[:half], spoiled]))
        kind = torch.cat([kind.new_zeros(half), kind])
        intact = kind == 0
        losses, right = [], []
        for number, name in enumerate(self.answers):
            scores, answer = (said[name], kind) if name == SPOILED else (said[name][intact], truth[intact, number])
            losses.append(nn.functional.cross_entropy(scores, answer) / math.log(scores.shape[1]))
            right.append((scores.argmax(1) == answer).float().mean())
        return torch.stack(losses).mean(), {"right": torch.stack(right).mean().detach()}


def accuracies(judge: Judge, images: Float[Tensor, "N C H W"], truth: Int[Tensor, "N Q"]) -> dict[str, float]:
    """Return the share of images that a judge answers rightly, by question but that of what was done to them."""
    said = judge.says(images)
    return {
        name: float((said[name].argmax(1) == truth[:, number]).double().mean())
        for number, name in enumerate(judge.config.questions)
    }


JUDGES = Registry("judge", {"judge": Judge})
"""Networks that judge; for the loading of their folders."""
