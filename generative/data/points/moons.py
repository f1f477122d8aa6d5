"""Two interleaved half circles in the plane, the points that the book's RealNVP learns.

As scikit-learn's `make_moons`, brought to mean 0 and deviation 1 by their true values. Their density is known: points
lie evenly along each arc, with normal noise around it.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64

from generative.data.draws import normal, split, uniform
from generative.data.fields import Data, Field
from generative.data.orders import Items


@dataclass(frozen=True)
class MoonsConfig:
    """Two interleaved half circles, one of each class."""

    noise: float = 0.05
    """Standard deviation around an arc of radius 1."""
    count: int = 100_000
    """Number of points, a tenth of them held out."""
    seed: int = 0
    """Determines every point."""

    def __post_init__(self) -> None:
        if not self.noise > 0:
            raise ValueError(f"noise={self.noise}: must be above 0")
        if self.count < 2:
            raise ValueError(f"count={self.count}: must be at least 2, as one point is held out")
        if self.seed < 0:
            raise ValueError(f"seed={self.seed}: must not be negative; give 0 or more")

    def load(self) -> Data:
        """Return the points."""
        names = ("upper", "lower")

        def labels(items: Items) -> Int64[np.ndarray, " N"]:
            return (uniform(2 * self.seed, items, 2)[:, 0] < 0.5).astype(np.int64)

        def points(items: Items) -> Float32[np.ndarray, "N 2"]:
            along = np.pi * uniform(2 * self.seed, items, 2)[:, 1]
            upper = np.where(labels(items) == 0, 1.0, -1.0)
            # The lower arc is the upper one turned round their common middle.
            arc = np.stack([np.cos(along) - 0.5, np.sin(along) - 0.25], 1) * upper[:, None]
            noisy = arc + self.noise * normal(2 * self.seed + 1, items, 2)
            return (noisy / self._deviation).astype(np.float32)

        return Data(
            "moons",
            {"point": Field("point", (2,), "float32"), "label": Field("label", (), "int64", names, (2,))},
            {"point": points, "label": labels},
            *split(self.count),
            log_prob=self.log_prob,
        )

    def log_prob(self, points: Float[np.ndarray, "N 2"]) -> Float64[np.ndarray, " N"]:
        """Return the log-density of points in nats, the integral along the arcs by the midpoint rule."""
        pieces = max(64, math.ceil(4 * math.pi / self.noise))  # each a quarter of the noise long
        along = np.pi * (np.arange(pieces) + 0.5) / pieces
        arc = np.stack([np.cos(along) - 0.5, np.sin(along) - 0.25], 1)
        centres = np.concatenate([arc, -arc])
        apart = np.square(points[:, None] * self._deviation - centres).sum(2) / self.noise**2  # (N M)
        scale = math.log(len(centres) * 2 * math.pi * self.noise**2) - float(np.log(self._deviation).sum())
        return np.logaddexp.reduce(-apart / 2, 1) - scale

    @property
    def _deviation(self) -> Float64[np.ndarray, " 2"]:
        """The standard deviations of both coordinates before they are divided by them."""
        height = 2 / math.pi - 0.25  # of an arc's mean above the middle of both
        variance = np.array([0.5 + 0.25, 0.5 - (2 / math.pi) ** 2 + height**2])
        return np.sqrt(variance + self.noise**2)
