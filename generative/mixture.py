"""Mixture density heads: K Gaussians for each of D dimensions, chosen apart or all together.

The output layer of the MDN-RNN (Ha & Schmidhuber 2018, after Bishop 1994): every dimension of the next latent
has its own mixture, `p(x_d) = sum_k softmax(logits)_dk N(x_d; mean_dk, std_dk^2)`. A joint mixture chooses once for
all dimensions, `p(x) = sum_k softmax(logits)_k prod_d N(x_d; mean_dk, std_dk^2)`: what happens to all of them at once
can then happen in a sample too. All noise is an argument, so that a dream is a function of its seed. The temperature
follows the paper's code: logits are divided by it, variances multiplied.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

LOG_STD_RANGE = (-12.0, 12.0)  # keeps densities and their gradients finite in float32


class Mixture(NamedTuple):
    """K Gaussians for each of D dimensions."""

    logits: Float[Tensor, "*B D K"] | Float[Tensor, "*B 1 K"]
    """Unnormalised log-weights of the components; of one row where all dimensions have the same component."""
    mean: Float[Tensor, "*B D K"]
    """Mean of each component."""
    log_std: Float[Tensor, "*B D K"]
    """Natural logarithm of each component's standard deviation."""


class MixtureHead(nn.Module):
    """A linear layer from features to a mixture, with `std = std_floor + exp(output)`.

    The floor is added rather than clamped: a likelihood cannot become infinite on a constant dimension, and
    the gradient never vanishes below the floor.
    """

    def __init__(
        self, in_features: int, dims: int, components: int, std_floor: float = 1e-3, joint: bool = False
    ) -> None:
        super().__init__()
        for name, value in (("in_features", in_features), ("dims", dims), ("components", components)):
            if value < 1:
                raise ValueError(f"{name}={value}: a size; give 1 or more")
        if not std_floor > 0:
            raise ValueError(f"std_floor={std_floor}: must be above 0, or densities of constants are infinite")
        self.dims = dims
        self.components = components
        self.choices = 1 if joint else dims
        self.log_floor = math.log(std_floor)
        self.linear = nn.Linear(in_features, (self.choices + 2 * dims) * components)

    def forward(self, features: Float[Tensor, "*B F"]) -> Mixture:
        """Return the mixture (*B D K) for each row of features (*B F)."""
        out = self.linear(features).unflatten(-1, (-1, self.components))  # (*B choices+2D K)
        logits, mean, raw = out.split([self.choices, self.dims, self.dims], dim=-2)
        floor = torch.full((), self.log_floor, dtype=raw.dtype, device=raw.device)
        return Mixture(logits, mean, torch.logaddexp(raw, floor))


def mixture_log_prob(mixture: Mixture, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
    """Return the log-density in nats of each dimension of `x`; in a joint mixture, given the dimensions before it.

    The sum over dimensions is the log-density of `x`.
    """
    log_std = mixture.log_std.clamp(*LOG_STD_RANGE)
    standardised = (x.unsqueeze(-1) - mixture.mean) * torch.exp(-log_std)  # (*B D K)
    component = -0.5 * standardised.square() - log_std - 0.5 * math.log(2 * math.pi)
    if mixture.logits.shape[-2] < component.shape[-2]:
        so_far = torch.logsumexp(torch.log_softmax(mixture.logits, dim=-1) + component.cumsum(-2), dim=-1)  # (*B D)
        return torch.diff(so_far, prepend=torch.zeros_like(so_far[..., :1]))
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
        uniform: numbers in [0, 1) that choose the components; the first one alone in a joint mixture.
        normal: standard normal numbers.

    Raises:
        ValueError: the temperature is negative or not finite.
    """
    if not 0 <= temperature < math.inf:
        raise ValueError(f"temperature={temperature}: must be 0 or more and finite")
    one_row = (*mixture.mean.shape[:-1], 1)  # (*B D 1)
    if temperature == 0:
        chosen = mixture.logits.argmax(-1, keepdim=True).expand(one_row)
        return mixture.mean.gather(-1, chosen).squeeze(-1)
    logits = (
        mixture.logits - mixture.logits.amax(-1, keepdim=True)
    ) / temperature  # a tiny temperature gives -inf, not NaN
    level = uniform[..., : logits.shape[-2]].unsqueeze(-1)
    below = torch.softmax(logits, dim=-1).cumsum(-1) <= level  # (*B D K)
    chosen = below[..., :-1].sum(-1, keepdim=True)  # the last is chosen where rounding leaves the sum below 1
    chosen = chosen.expand(one_row)
    mean = mixture.mean.gather(-1, chosen).squeeze(-1)
    log_std = mixture.log_std.gather(-1, chosen).squeeze(-1).clamp(*LOG_STD_RANGE)
    return mean + math.sqrt(temperature) * torch.exp(log_std) * normal
