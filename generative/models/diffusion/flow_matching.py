"""Flow matching: noise flows to data along paths that are straight for each pair of both.

Lipman et al. 2023 (arXiv 2210.02747, optimal-transport paths); Liu, Gong & Liu 2023 (rectified flow, arXiv 2209.03003).
With x_t = (1 - t) x + t e the network learns the velocity of a path, and goes down

    E | network(x_t, t) - (e - x) |^2                                                                     (eq. 23)

A sample follows the mean velocity of all paths through where it is, from t = 1 to t = 0. It is the sibling of
diffusion, on the same network: another schedule, another target, another solver.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from generative.models.diffusion.denoiser import Denoiser, DenoiserConfig
from generative.objectives.diffusion import straight
from generative.sampling.denoising import FlowSampling, Stage, flow


@dataclass(frozen=True)
class FlowMatchingConfig(DenoiserConfig):
    """Sizes of the network, and what it is told."""


class FlowMatching(Denoiser):
    """Images in [0, 1], or points, out of noise along a flow."""

    type_name = "flow-matching"
    fixed_step = True
    Config: ClassVar[type] = FlowMatchingConfig
    Sampling: ClassVar[type] = FlowSampling

    def __init__(self, config: FlowMatchingConfig) -> None:
        super().__init__(config)
        self.prediction, self.schedule = "flow", straight

    def stages(
        self,
        mixture: Float[Tensor, "B ..."],
        sampling: FlowSampling,
        generator: torch.Generator,
        labels: Int[Tensor, " B"],
        start: float = 1.0,
    ) -> Iterator[Stage]:
        """Yield the stages from a mixture at a time to data, both as the network sees them."""
        said = partial(self.parted, labels=labels, guidance=sampling.guidance)
        return flow(said, mixture, sampling.steps, sampling.solver, start)
