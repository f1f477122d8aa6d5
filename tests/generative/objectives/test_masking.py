import pytest
import torch

from generative.objectives.masking import hidden_tokens


def test_statistics_are_those_of_the_paper_over_100_000_tokens():
    """15 % are chosen; of these 80 % are hidden, 10 % replaced by any token, of which a thousandth is the same."""
    tokens = torch.randint(0, 1000, (800, 140), generator=torch.Generator().manual_seed(0))
    seen, places = hidden_tokens(tokens, 1000, 1002, torch.Generator().manual_seed(1))
    chosen = torch.zeros_like(tokens, dtype=torch.bool).scatter(1, places, True)
    assert chosen.double().mean().item() == pytest.approx(0.15, abs=0.01)
    assert torch.equal(seen[~chosen], tokens[~chosen])
    of = seen[chosen], tokens[chosen]
    masked, same = (of[0] == 1002), (of[0] == of[1])
    assert masked.double().mean().item() == pytest.approx(0.8, abs=0.01)
    assert same.double().mean().item() == pytest.approx(0.1, abs=0.01)
    others = of[0][~masked & ~same]
    assert len(others) / len(of[0]) == pytest.approx(0.1, abs=0.01) and others.max() < 1000
    assert chosen.sum(1).unique().tolist() == [21]  # as many in every text
    shares = chosen.double().mean(0)
    assert 0.1 < shares.min() and shares.max() < 0.2  # anywhere


def test_one_token_is_chosen_of_the_shortest_texts():
    assert hidden_tokens(torch.zeros(3, 2, dtype=torch.int64), 5, 7, torch.Generator())[1].shape == (3, 1)
