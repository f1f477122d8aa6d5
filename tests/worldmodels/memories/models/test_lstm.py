import pytest
import torch

from tests.worldmodels.memories.batches import generator, random_batch
from worldmodels.memories import LSTMConfig, LSTMMemory
from worldmodels.memories.heads import STD_FLOOR

SMALL = LSTMConfig(latent=3, action=2, hidden=16)


def make(config=SMALL):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        memory = LSTMMemory(config)
        memory.log_spread.data.copy_(torch.tensor([-1.0, 0.0, 1.0]))
        return memory


def test_the_density_is_a_gaussian_of_the_same_spread_everywhere():
    memory, batch = make(), random_batch()
    prediction, _ = memory.forward_sequence(batch.mean[:, :-1], batch.action)
    std = memory.log_spread.exp() + STD_FLOOR
    expected = torch.distributions.Normal(prediction.expected_latent(), std).log_prob(batch.mean[:, 1:])
    torch.testing.assert_close(prediction.log_prob(batch.mean[:, 1:]), expected)
    nll = memory.loss(batch._replace(std=torch.zeros_like(batch.std)), generator())[1]["nll"]
    torch.testing.assert_close(nll, -expected.mean())


def test_a_sample_is_the_prediction_whatever_the_noise():
    memory = make()
    prediction, _ = memory.step(torch.zeros(2, 3), torch.zeros(2, 2), memory.initial(2))
    for temperature in (0.0, 1.0, 3.0):
        drawn = prediction.sample(temperature, torch.full((2, 3), 0.9), torch.full((2, 3), 2.0))
        assert torch.equal(drawn, prediction.expected_latent())


@pytest.mark.slow
def test_the_spread_is_learnt():
    memory, draw = make(), generator(1)
    batch = random_batch(episodes=32)
    batch = batch._replace(mean=0.1 * batch.mean, std=torch.zeros_like(batch.std))
    optimiser = torch.optim.Adam(memory.parameters(), lr=0.02)
    for _ in range(200):
        optimiser.zero_grad()
        memory.loss(batch, draw)[0].backward()
        optimiser.step()
    spread = memory.log_spread.exp() + STD_FLOOR
    assert (spread < 0.15).all() and (spread > 0.02).all()
