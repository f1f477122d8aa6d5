"""Langevin dynamics: data out of noise by walking down an energy, with noise in every step.

Du & Mordatch 2019 (arXiv 1903.08689, eq. 1), after Welling & Teh 2011:

    x <- x - (step / 2) dE(x)/dx + noise n,      n from N(0, I)

With noise = sqrt(step) small steps come to the distribution exp(-E) itself. For images the gradient counts for more
and is clipped, as in Foster's book (2nd ed., ch. 7): walks are shorter, and lead to typical data of that distribution
in place of fair draws from it.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

Energy = Callable[[Tensor], Tensor]
"""Energies (B) of data (B ...)."""


@dataclass(frozen=True)
class Walk:
    """How a step of Langevin dynamics goes."""

    step: float
    """Factor of the gradient, twice."""
    noise: float
    """Standard deviation of the noise."""
    clip: float = 0.0
    """Largest magnitude of a number of the gradient; 0 turns it off."""
    bound: float = math.inf
    """Largest magnitude of a number of the data."""


def langevin(
    energy: Energy, x: Float[Tensor, "B ..."], steps: int, walk: Walk, generator: torch.Generator
) -> Iterator[Float[Tensor, "B ..."]]:
    """Yield the data after each step; no gradient leads out of here to the energy's weights.

    Args:
        energy: of data.
        x: where to start, left as it is.
        steps: how many.
        walk: how long they are.
        generator: of the noise.
    """
    for _ in range(steps):
        noise = torch.randn(x.shape, generator=generator, device=generator.device).to(x)
        with torch.enable_grad():
            here = x.detach().requires_grad_()
            (slope,) = torch.autograd.grad(energy(here).sum(), here)
        if walk.clip:
            slope = slope.clamp(-walk.clip, walk.clip)
        x = (x - walk.step / 2 * slope + walk.noise * noise).clamp(-walk.bound, walk.bound).detach()
        yield x
