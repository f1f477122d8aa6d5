"""The book's first model: a uniform distribution over the smallest box around the points seen."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative.core.facts import Facts
from generative.data.fields import Field
from generative.data.needs import needed
from generative.models.checks import check_not_negative, check_points, check_sizes
from generative.sampling.dials import PriorSampling

REFUSALS: Mapping[str, str] = {
    name: "it counts data and has no latents" for name in ("encode", "decode", "reconstruct", "interpolate")
}


@dataclass(frozen=True)
class ToyDistributionConfig:
    """Size of the box."""

    dimensions: int = 2
    """Numbers of a point."""
    count: int = 10_000
    """Points that the box is put around, at most."""
    margin: float = 0.0
    """How far the box reaches beyond the outermost points, as a share of its sides."""

    def __post_init__(self) -> None:
        check_sizes(self, "dimensions", "count")
        check_not_negative(self, "margin")


class ToyDistribution(nn.Module):
    """A uniform distribution over the smallest box, sides along the axes, that holds all points seen."""

    type_name = "toy-distribution"
    seam = "model"
    Config = ToyDistributionConfig
    Sampling: ClassVar[type] = PriorSampling
    refusals: ClassVar[Mapping[str, str]] = REFUSALS
    low: Tensor
    high: Tensor

    def __init__(self, config: ToyDistributionConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("low", torch.full((config.dimensions,), -100.0))
        self.register_buffer("high", torch.full((config.dimensions,), 100.0))

    @property
    def inputs(self) -> tuple[str, ...]:
        """Points alone."""
        return ("point",)

    @classmethod
    def sizes(cls, fields: Mapping[str, Field]) -> Facts:
        """Return the dimensions; errors as of `FitsData`."""
        return {"dimensions": needed(cls, fields, "point").shape[0]}

    @torch.no_grad()
    def estimate(self, batches: Iterator[Tensor | Sequence[Tensor]], generator: torch.Generator) -> None:
        """Put the box around `count` points (B D) at most; raise ValueError where they are all equal in a dimension."""
        points = take_items(batches, self.config.count)
        self._check(points)
        low, high = points.amin(0), points.amax(0)
        if not (high > low).all():
            raise ValueError(f"points: all {len(points)} are equal in a dimension, so the box has no volume; give more")
        beyond = self.config.margin * (high - low)
        self.low.copy_(low - beyond)
        self.high.copy_(high + beyond)

    def log_prob(self, obs: Float[Tensor, "B D"]) -> Float[Tensor, " B"]:
        """Return the log-density in nats: minus the log-volume inside, minus infinity outside."""
        self._check(obs)
        inside = ((obs >= self.low) & (obs <= self.high)).all(1)
        density = -(self.high - self.low).log().sum()
        return torch.where(inside, density, -torch.inf)

    def sample(self, n: int, sampling: PriorSampling, generator: torch.Generator) -> Float[Tensor, "n D"]:
        """Return points of the box, their variance times `temperature`."""
        share = torch.rand(n, len(self.low), generator=generator, device=generator.device).to(self.low)
        return (self.low + self.high) / 2 + sampling.temperature**0.5 * (share - 0.5) * (self.high - self.low)

    def loss(
        self, obs: Float[Tensor, "B D"], generator: torch.Generator
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Return the negative log-density per point, infinite when one is outside; has no gradient."""
        loss = -self.log_prob(obs).mean()
        return loss, {"outside": self.log_prob(obs).isinf().float().mean()}

    def _check(self, points: Tensor) -> None:
        check_points(points, self.config.dimensions)


def take_items(batches: Iterator[Tensor | Sequence[Tensor]], count: int) -> Tensor:
    """Return the first `count` items of a stream of batches, fewer where it ends; what is beside them is left out."""
    found: list[Tensor] = []
    for batch in batches:
        found.append(batch if isinstance(batch, Tensor) else batch[0])
        if sum(map(len, found)) >= count:
            break
    return torch.cat(found)[:count]
