"""Points in the plane around known modes: the ring and the grid on which mode collapse shows (Metz et al. 2016).

"Unrolled Generative Adversarial Networks" (arXiv 1611.02163) introduced the ring, Srivastava et al. 2017 (VEEGAN,
arXiv 1705.07761) the grid; a sample within three standard deviations of a mode is usually counted as one of it.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from generative.data.draws import normal, split, uniform
from generative.data.fields import Data, Field, Modes
from generative.data.orders import Items


@dataclass(frozen=True)
class RingConfig:
    """Gaussians at equal distances on a circle around 0."""

    modes: int = 8
    """Number of Gaussians."""
    radius: float = 2.0
    """Of the circle."""
    spread: float = 0.02
    """Standard deviation of a Gaussian."""
    count: int = 100_000
    """Number of points, a tenth of them held out."""
    seed: int = 0
    """Determines every point."""

    def __post_init__(self) -> None:
        _check(self, ("modes", "radius", "spread"))

    def load(self) -> Data:
        """Return the points."""
        angle = 2 * np.pi * np.arange(self.modes) / self.modes
        return _around("ring", self.radius * np.stack([np.cos(angle), np.sin(angle)], 1), self)


@dataclass(frozen=True)
class GridConfig:
    """Gaussians on a square grid around 0."""

    side: int = 5
    """Gaussians along each side; side squared in all."""
    spacing: float = 2.0
    """Distance of neighbours."""
    spread: float = 0.05
    """Standard deviation of a Gaussian."""
    count: int = 100_000
    """Number of points, a tenth of them held out."""
    seed: int = 0
    """Determines every point."""

    def __post_init__(self) -> None:
        _check(self, ("side", "spacing", "spread"))

    def load(self) -> Data:
        """Return the points."""
        ticks = self.spacing * (np.arange(self.side) - (self.side - 1) / 2)
        return _around("grid", np.stack(np.meshgrid(ticks, ticks, indexing="ij"), -1).reshape(-1, 2), self)


def _around(name: str, modes: np.ndarray, config: RingConfig | GridConfig) -> Data:
    centres = modes.astype(np.float32)

    def labels(items: Items) -> Int64[np.ndarray, " N"]:
        return (uniform(2 * config.seed, items, 1)[:, 0] * len(centres)).astype(np.int64)

    def points(items: Items) -> Float32[np.ndarray, "N D"]:
        noise = normal(2 * config.seed + 1, items, 2)
        return (centres[labels(items)] + config.spread * noise).astype(np.float32)

    known, names = Modes(centres, config.spread), tuple(str(number) for number in range(len(centres)))
    return Data(
        name,
        {"point": Field("point", (2,), "float32"), "label": Field("label", (), "int64", names, (len(names),))},
        {"point": points, "label": labels},
        *split(config.count),
        log_prob=known.log_prob,
        modes=known,
    )


def _check(config: RingConfig | GridConfig, positive: tuple[str, ...]) -> None:
    for name in positive:
        if not getattr(config, name) > 0:
            raise ValueError(f"{name}={getattr(config, name)}: must be above 0")
    if config.count < 2:
        raise ValueError(f"count={config.count}: must be at least 2, as one point is held out")
    if config.seed < 0:
        raise ValueError(f"seed={config.seed}: must not be negative; give 0 or more")
