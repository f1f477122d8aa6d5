"""Mixture density heads: K Gaussians for each of D dimensions.

The output layer of the MDN-RNN (Ha & Schmidhuber 2018, after Bishop 1994): every dimension of the next latent
has its own mixture, `p(x_d) = sum_k softmax(logits)_dk N(x_d; mean_dk, std_dk^2)`. All noise is an argument, so
that a dream is a function of its seed. The temperature follows the paper's code: logits are divided by it,
variances multiplied.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

LOG_STD_RANGE = (-12.0, 12.0)  # keeps densities and their gradients finite in float32


class Mixture(NamedTuple):
    """K Gaussians for each of D dimensions."""

    logits: Float[Tensor, "*B D K"]
    """Unnormalised log-weights of the components."""
    mean: Float[Tensor, "*B D K"]
    """Mean of each component."""
    log_std: Float[Tensor, "*B D K"]
    """Natural logarithm of each component's standard deviation."""


class MixtureHead(nn.Module):
    """A linear layer from features to a mixture, with `std = std_floor + exp(output)`.

    The floor is added rather than clamped: a likelihood cannot become infinite on a constant dimension, and
    the gradient never vanishes below the floor.
    """

    def __init__(self, in_features: int, dims: int, components: int, std_floor: float = 1e-3) -> None:
        super().__init__()
        for name, value in (("in_features", in_features), ("dims", dims), ("components", components)):
            if value < 1:
                raise ValueError(f"{name}={value}: a size; give 1 or more")
        if not std_floor > 0:
            raise ValueError(f"std_floor={std_floor}: must be above 0, or densities of constants are infinite")
        self.dims = dims
        self.components = components
        self.log_floor = math.log(std_floor)
        self.linear = nn.Linear(in_features, 3 * dims * components)

    def forward(self, features: Float[Tensor, "*B F"]) -> Mixture:
        """Return the mixture (*B D K) for each row of features (*B F)."""
        out = self.linear(features).unflatten(-1, (3, self.dims, self.components))
        logits, mean, raw = out.unbind(-3)  # (*B D K) each
        floor = torch.full((), self.log_floor, dtype=raw.dtype, device=raw.device)
        return Mixture(logits, mean, torch.logaddexp(raw, floor))


def mixture_log_prob(mixture: Mixture, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
    """Return the log-density in nats of each dimension of `x`; their sum is the log-density of `x`."""
    log_std = mixture.log_std.clamp(*LOG_STD_RANGE)
    standardised = (x.unsqueeze(-1) - mixture.mean) * torch.exp(-log_std)  # (*B D K)
    component = -0.5 * standardised.square() - log_std - 0.5 * math.log(2 * math.pi)
    return torch.logsumexp(torch.log_softmax(mixture.logits, dim=-1) + component, dim=-1)


def mixture_mean(mixture: Mixture) -> Float[Tensor, "*B D"]:
    """Return the expectation of each dimension."""
    return (torch.softmax(mixture.logits, dim=-1) * mixture.mean).sum(-1)


def mixture_sample(
    mixture: Mixture, temperature: float, uniform: Float[Tensor, "*B D"], normal: Float[Tensor, "*B D"]
) -> Float[Tensor, "*B D"]:
    """Draw a sample by inverting the component weights at `uniform` and scaling `normal`.

    Args:
        mixture: the distribution.
        temperature: 1 samples the mixture itself; below it, likely components and small deviations; 0 returns
            the likeliest component's mean.
        uniform: numbers in [0, 1) that choose the components.
        normal: standard normal numbers.

    Raises:
        ValueError: the temperature is negative or not finite.
    """
    if not 0 <= temperature < math.inf:
        raise ValueError(f"temperature={temperature}: must be 0 or more and finite")
    if temperature == 0:
        chosen = mixture.logits.argmax(-1, keepdim=True)  # (*B D 1)
        return mixture.mean.gather(-1, chosen).squeeze(-1)
    logits = (
        mixture.logits - mixture.logits.amax(-1, keepdim=True)
    ) / temperature  # a tiny temperature gives -inf, not NaN
    below = torch.softmax(logits, dim=-1).cumsum(-1) <= uniform.unsqueeze(-1)  # (*B D K)
    chosen = below[..., :-1].sum(-1, keepdim=True)  # the last is chosen where rounding leaves the sum below 1
    mean = mixture.mean.gather(-1, chosen).squeeze(-1)
    log_std = mixture.log_std.gather(-1, chosen).squeeze(-1).clamp(*LOG_STD_RANGE)
    return mean + math.sqrt(temperature) * torch.exp(log_std) * normal
