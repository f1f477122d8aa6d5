"""The next latent, one step ahead of real ones: likelihood compared with simple guesses, and sensitivity to the action.

Densities are of latents drawn from their posteriors, as the memory was trained on them, and of *standardised* latents:
each dimension in units of its spread over the held-out episodes, so that -log p(z / s) = -log p(z) + log s. That
makes numbers of one encoder independent of the scale it happens to use, but not of how predictable its latents are: an
encoder that says nothing is perfectly predictable. Between encoders only gains over the baselines can be compared, and
these only loosely.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from generative.core.facts import Facts
from worldmodels.accuracy.data import HeldOut, pad
from worldmodels.memories import Memory
from worldmodels.memories.baselines import SPREAD_FLOOR, shuffle_actions
from worldmodels.statistics import estimate_mean

RIDGE = 1e-6
"""Penalty of the linear baselines' weights, as a share of the inputs' mean power."""


@dataclass(frozen=True)
class Guess:
    """A Gaussian guess of the next latent: `z' ~ N(weight [z, action, 1], std^2)`, per dimension."""

    weight: Float[Tensor, "inputs Z"]
    std: Float[Tensor, " Z"]

    def log_prob(
        self, z: Float[Tensor, "*B Z"], action: Float[Tensor, "*B A"], after: Float[Tensor, "*B Z"]
    ) -> Float[Tensor, "*B Z"]:
        """Measure the log-density of what followed, in nats for each dimension."""
        mean = (_inputs(z, action).double() @ self.weight.to(z.device)).float()
        return torch.distributions.Normal(mean, self.std.to(z.device)).log_prob(after)


def fit_guesses(latents: Sequence[Tensor], actions: Sequence[Tensor]) -> dict[str, Guess]:
    """Fit the baselines on training episodes.

    Args:
        latents: sampled, (T+1 Z) for each episode.
        actions: (T A) for each.

    Returns:
        `persistence` (the next latent is this one), `linear` (least squares over latent and action) and
        `linear_no_action` (over the latent alone), each with the spread of its errors.
    """
    before = torch.cat([z[:-1] for z in latents]).double()
    after = torch.cat([z[1:] for z in latents]).double()
    x = _inputs(before, torch.cat(list(actions)).double())  # (N Z+A+1)
    size, width = before.shape[1], x.shape[1]
    still = torch.eye(width, size, dtype=torch.float64)
    blind = torch.cat([torch.arange(size), torch.tensor([width - 1])])
    without = torch.zeros(width, size, dtype=torch.float64)
    without[blind] = _least_squares(x[:, blind], after)
    weights = {"persistence": still, "linear": _least_squares(x, after), "linear_no_action": without}
    return {
        name: Guess(weight, (after - x @ weight).square().mean(0).sqrt().clamp(min=SPREAD_FLOOR).float())
        for name, weight in weights.items()
    }


def _inputs(z: Tensor, action: Tensor) -> Tensor:
    return torch.cat([z, action, torch.ones_like(z[..., :1])], dim=-1)


def _least_squares(x: Tensor, y: Tensor) -> Tensor:
    from sklearn.linear_model import Ridge  # takes long to import

    ridge = Ridge(RIDGE * float(x.square().sum(0).mean()), fit_intercept=False, solver="cholesky")
    return torch.from_numpy(ridge.fit(x.numpy(), y.numpy()).coef_.T.copy())


@torch.inference_mode()
def one_step(
    memory: Memory, episodes: Sequence[HeldOut], guesses: dict[str, Guess], scale: Float[Tensor, " Z"], seed: int
) -> Facts:
    """Measure the negative log-likelihood of the next latent, in nats per dimension of standardised latents.

    Args:
        memory: with `forward_sequence`.
        episodes: of one set.
        guesses: the baselines, of `fit_guesses`.
        scale: the unit of each dimension.
        seed: of sampled latents, shuffled actions and resamples.

    Returns:
        `nll`: of the memory, of the memory with another episode's actions (`shuffled_action`) and of each guess;
        `gain`: by how much the memory is better than each; `action_sensitivity`: that over shuffled actions, 0 if it is
        blind; all with intervals over episodes, differences paired. `per_episode`: the raw values.
    """
    z, action, mask = pad([item.sampled(seed + row) for row, item in enumerate(episodes)],
                          [item.action for item in episodes])  # fmt: skip
    before, after = z[:, :-1], z[:, 1:]
    generator = torch.Generator().manual_seed(seed)
    shuffled = shuffle_actions(action, mask, generator)
    density = {
        "memory": memory.forward_sequence(before, action)[0].log_prob(after),
        "shuffled_action": memory.forward_sequence(before, shuffled)[0].log_prob(after),
        **{name: guess.log_prob(before, action, after) for name, guess in guesses.items()},
    }
    unit = float(scale.log().mean())
    nll = {name: _per_episode(-value.mean(-1), mask) - unit for name, value in density.items()}  # (B) each
    gain = {name: asdict(estimate_mean(values - nll["memory"], seed)) for name, values in nll.items()
            if name != "memory"}  # fmt: skip
    return {
        "nll": {name: asdict(estimate_mean(values, seed)) for name, values in nll.items()},
        "gain": gain,
        "action_sensitivity": gain["shuffled_action"],
        "per_episode": [
            {"track": item.track, **{name: float(values[row]) for name, values in nll.items()}}
            for row, item in enumerate(episodes)
        ],
    }


def _per_episode(values: Float[Tensor, "B T"], mask: Tensor) -> np.ndarray:
    """Average over each episode's real steps."""
    total = torch.where(mask, values, 0.0).double().sum(1)
    return (total / mask.sum(1)).cpu().numpy()
