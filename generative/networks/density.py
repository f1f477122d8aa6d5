"""A mixture of Gaussians with full covariances over latents: what a model without a prior samples from.

Fitted by expectation maximisation (Dempster, Laird & Rubin 1977; Bishop 2006, section 9.2.2), its means
started by k-means++ (Arthur & Vassilvitskii 2007). Everything is a buffer, so it is saved with its model.

`sklearn.mixture` fits the same, from other starts: other samples, and other figures than the published ones.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

RIDGE = 1e-4
"""Added to the diagonal of covariances, as a share of the data's mean variance: no component can become a point."""


class GaussianMixture(nn.Module):
    """K Gaussians over Z dimensions; of no use before `fit`."""

    weight: Tensor
    mean: Tensor
    cholesky: Tensor
    fitted: Tensor

    def __init__(self, components: int, dims: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.full((components,), 1 / components))
        self.register_buffer("mean", torch.zeros(components, dims))
        self.register_buffer("cholesky", torch.eye(dims).repeat(components, 1, 1))  # (K Z Z)
        self.register_buffer("fitted", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def fit(
        self, x: Float[Tensor, "B Z"], generator: torch.Generator, iterations: int = 100, tolerance: float = 1e-4
    ) -> list[float]:
        """Set the mixture by expectation maximisation and return the log-likelihood per row after every round.

        Args:
            x: the latents.
            generator: for the rows that the means start from.
            iterations: rounds at most.
            tolerance: gain in nats per row below which it ends.

        Raises:
            ValueError: there are fewer rows than components, or all rows are the same.
        """
        components, dims = self.mean.shape
        data = x.double()
        variance = data.var(0).mean() if len(data) > 1 else data.new_zeros(())
        if len(data) < components or not variance > 0:
            raise ValueError(f"latents: {len(data)} rows for {components} components; give more, different ones")
        ridge = RIDGE * variance * torch.eye(dims, dtype=data.dtype, device=data.device)
        mean = _spread_rows(data, components, generator)
        cholesky = torch.linalg.cholesky(torch.atleast_2d(torch.cov(data.T)) + ridge).repeat(components, 1, 1)
        weight = data.new_full((components,), 1 / components)
        history: list[float] = []
        for _ in range(iterations):
            joint = weight.log() + _log_normal(data, mean, cholesky)  # (B K)
            history.append(torch.logsumexp(joint, 1).mean().item())
            if len(history) > 1 and history[-1] - history[-2] < tolerance:
                break
            share = torch.softmax(joint, 1)  # (B K)
            mass = share.sum(0).clamp(min=1e-9)
            weight, mean = mass / len(data), share.T @ data / mass[:, None]
            apart = data[None] - mean[:, None]  # (K B Z)
            scatter = torch.einsum("bk,kbi,kbj->kij", share, apart, apart) / mass[:, None, None]
            cholesky = torch.linalg.cholesky(scatter + ridge)
        self.weight.copy_(weight)
        self.mean.copy_(mean)
        self.cholesky.copy_(cholesky)
        self.fitted.fill_(1)
        return history

    def log_prob(self, x: Float[Tensor, "B Z"]) -> Float[Tensor, " B"]:
        """Return the log-density in nats."""
        return torch.logsumexp(self.weight.log() + _log_normal(x, self.mean, self.cholesky), 1)

    def sample(self, n: int, temperature: float, generator: torch.Generator) -> Float[Tensor, "n Z"]:
        """Return latents: a component each, and its Gaussian with the variance times `temperature`."""
        chosen = torch.multinomial(self.weight.to(generator.device), n, replacement=True, generator=generator)
        noise = torch.randn(n, self.mean.shape[1], generator=generator, device=generator.device).to(self.mean)
        chosen = chosen.to(self.mean.device)
        return self.mean[chosen] + temperature**0.5 * torch.einsum("nij,nj->ni", self.cholesky[chosen], noise)


def _spread_rows(data: Float[Tensor, "B Z"], count: int, generator: torch.Generator) -> Float[Tensor, "K Z"]:
    """Return rows far from each other: each is drawn in proportion to its squared distance from those before."""
    rows = [data[torch.randint(len(data), (1,), generator=generator, device=generator.device).to(data.device)]]
    for _ in range(count - 1):
        distance = torch.cdist(data, torch.cat(rows)).amin(1).square()
        if not distance.sum() > 0:  # fewer different rows than components
            distance = torch.ones_like(distance)
        rows.append(data[torch.multinomial(distance.to(generator.device), 1, generator=generator).to(data.device)])
    return torch.cat(rows)


def _log_normal(
    x: Float[Tensor, "B Z"], mean: Float[Tensor, "K Z"], cholesky: Float[Tensor, "K Z Z"]
) -> Float[Tensor, "B K"]:
    apart = (x[None] - mean[:, None]).transpose(1, 2)  # (K Z B)
    white = torch.linalg.solve_triangular(cholesky, apart, upper=False)
    log_scale = cholesky.diagonal(dim1=1, dim2=2).log().sum(1)  # (K)
    return (-0.5 * white.square().sum(1) - log_scale[:, None] - 0.5 * x.shape[1] * math.log(2 * math.pi)).T
