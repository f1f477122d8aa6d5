"""Small batches of sequences, random or of a world with a known answer."""

import torch

from worldmodels.memories import SequenceBatch

LATENT, ACTION = 3, 2


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_batch(episodes: int = 4, steps: int = 6, seed: int = 0, latent: int = LATENT) -> SequenceBatch:
    draw = generator(seed)
    return SequenceBatch(
        mean=torch.randn(episodes, steps + 1, latent, generator=draw),
        std=torch.rand(episodes, steps + 1, latent, generator=draw),
        action=torch.randn(episodes, steps, ACTION, generator=draw),
        reward=torch.rand(episodes, steps, generator=draw),
        termination=(torch.rand(episodes, steps, generator=draw) < 0.3).float(),
        mask=torch.ones(episodes, steps, dtype=torch.bool),
    )


def action_world(episodes: int, steps: int, seed: int) -> SequenceBatch:
    """z[t + 1] = action[t] = +-1; reward[t] = 3 action[t] - 1; step t ends the episode where action[t] = -1.

    Successive actions are independent: whoever is one step off in any of the three can learn nothing at all.
    """
    action = torch.randint(0, 2, (episodes, steps, 1), generator=generator(seed)).float() * 2 - 1
    mean = torch.cat([torch.zeros(episodes, 1, 1), action], dim=1)
    return SequenceBatch(
        mean=mean,
        std=torch.full_like(mean, 0.05),
        action=action,
        reward=3 * action[..., 0] - 1,
        termination=(action[..., 0] < 0).float(),
        mask=torch.ones(episodes, steps, dtype=torch.bool),
    )


def train(memory, batches: list[SequenceBatch], epochs: int, rate: float = 1e-2) -> dict[str, float]:
    optimiser = torch.optim.Adam(memory.parameters(), lr=rate)
    draw, metrics = generator(1), {}
    for _ in range(epochs):
        for batch in batches:
            loss, metrics = memory.loss(batch, draw)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return {name: value.item() for name, value in metrics.items()}
