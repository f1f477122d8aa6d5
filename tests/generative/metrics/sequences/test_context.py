import pytest
import torch

from generative.metrics.sequences.context import effective_context, nats_by_context


def looks_back(reach: int):
    """A model of bits that knows the parity rule x_t = x_t-reach, and without it nothing."""

    def log_prob(texts):
        total = torch.zeros(len(texts))
        for place in range(texts.shape[1]):
            right = texts[:, place] == texts[:, place - reach] if place >= reach else None
            total += torch.full((len(texts),), 0.5).log() if right is None else torch.where(right, 0.99, 0.01).log()
        return total

    return log_prob


@pytest.mark.parametrize(("reach", "expected"), [(1, 1), (3, 4), (6, 8), (13, 15)])
def test_the_effective_context_is_as_far_as_a_model_looks(reach, expected):
    texts = torch.randint(0, 2, (50, 16), generator=torch.Generator().manual_seed(0))
    for place in range(reach, 16):
        texts[:, place] = texts[:, place - reach]
    nats = nats_by_context(looks_back(reach), texts)
    assert list(nats) == [1, 2, 4, 8, 15] and effective_context(nats) == expected
    assert nats[15].mean().item() == pytest.approx(0.01, abs=1e-3)
    if reach > 1:
        assert nats[1].mean().item() == pytest.approx(0.693, abs=1e-3)


def test_a_model_that_looks_nowhere_needs_one_token():
    nats = nats_by_context(lambda texts: -texts.shape[1] * torch.ones(len(texts)), torch.zeros(4, 9, dtype=torch.int64))
    assert effective_context(nats) == 1 and list(nats) == [1, 2, 4, 8]
