import torch

from worldmodels.memories import ShuffledMemory


def bank(size=50):
    return torch.arange(size).float().unsqueeze(1).repeat(1, 3)


def moments(memory, seeds, steps):
    state, found = memory.seeded(torch.tensor(seeds)), []
    for _ in range(steps):
        found.append(memory.feature(state)[:, 0])
        state = memory.advance(torch.randn(len(seeds), 2), torch.randn(len(seeds), 1), state)
    return torch.stack(found, dim=1)  # (B T)


def test_a_seed_and_a_step_decide_alone():
    memory = ShuffledMemory(bank())
    found = moments(memory, [7, 8, 7, 10_007], 200)
    assert torch.equal(found[0], found[2]) and torch.equal(found, moments(memory, [7, 8, 7, 10_007], 200))
    for other in (1, 3):
        assert (found[0] == found[other]).float().mean() < 0.1
    assert memory.feature_size == 3


def test_every_moment_is_as_likely_and_tells_nothing_of_the_next():
    found = moments(ShuffledMemory(bank()), list(range(400)), 100)
    counts = torch.bincount(found.long().flatten(), minlength=50).float()
    assert (counts / counts.mean() - 1).abs().max() < 0.2
    for lag, rows in ((1, 0), (0, 1)):
        one, two = found[: len(found) - rows, : 100 - lag].flatten(), found[rows:, lag:].flatten()
        assert abs(float(torch.corrcoef(torch.stack([one, two]))[0, 1])) < 0.03


def test_all_dimensions_come_from_one_moment():
    memory = ShuffledMemory(bank())
    features = memory.feature(memory.seeded(torch.arange(20)))
    assert (features == features[:, :1]).all()
