import math

import pytest
import torch

from generative.sampling.decoding import Decoding, choose, shares

LOGITS = torch.tensor([0.1, 0.4, 0.3, 0.2]).log()


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("dials", "expected"),
    [
        ({}, [0.1, 0.4, 0.3, 0.2]),
        ({"temperature": 0.5}, [0.01, 0.16, 0.09, 0.04]),
        ({"temperature": 0.0}, [0, 1, 0, 0]),
        ({"temperature": 1e-30}, [0, 1, 0, 0]),
        ({"top_k": 2}, [0, 0.4, 0.3, 0]),
        ({"top_k": 9}, [0.1, 0.4, 0.3, 0.2]),
        ({"top_p": 0.65}, [0, 0.4, 0.3, 0]),
        ({"top_p": 0.75}, [0, 0.4, 0.3, 0.2]),
        ({"top_p": 1e-9}, [0, 1, 0, 0]),
        ({"top_k": 3, "top_p": 0.7}, [0, 0.4, 0.3, 0]),  # of the three that are left, 7/9 are enough
        ({"temperature": 0.5, "top_p": 0.8}, [0, 0.16, 0.09, 0]),  # 25 of 30 once the temperature is in
    ],
)
def test_tokens_keep_the_probabilities_that_the_dials_leave_them(dials, expected):
    wanted = torch.tensor(expected) / sum(expected)
    torch.testing.assert_close(shares(LOGITS, Decoding(**dials)), wanted)
    both = torch.stack([LOGITS, LOGITS.flip(0)])
    torch.testing.assert_close(shares(both, Decoding(**dials)), torch.stack([wanted, wanted.flip(0)]))


def test_equal_tokens_at_the_border_do_not_all_slip_in():
    assert (shares(torch.zeros(5), Decoding(top_k=2)) > 0).tolist() == [True, True, False, False, False]
    assert (shares(torch.zeros(5), Decoding(top_p=0.4)) > 0).tolist() == [True, True, False, False, False]


def test_draws_come_as_often_as_their_probability_says():
    found = choose(LOGITS.expand(20_000, -1), Decoding(), noise())
    counts = torch.bincount(found, minlength=4) / 20_000
    assert (counts - LOGITS.exp()).abs().max() < 4 * math.sqrt(0.25 / 20_000)
    assert torch.equal(found, choose(LOGITS.expand(20_000, -1), Decoding(), noise()))
    assert not torch.equal(found, choose(LOGITS.expand(20_000, -1), Decoding(), noise(1)))


def test_a_token_that_was_cut_off_is_never_drawn():
    logits = torch.randn(2000, 50, generator=noise())
    found = choose(logits, Decoding(temperature=5.0, top_k=3), noise(1))
    assert (found[:, None] == logits.topk(3).indices).any(1).all()
    assert torch.equal(choose(logits, Decoding(temperature=0.0), noise(2)), logits.argmax(1))


def test_all_dials_use_the_same_random_numbers():
    after = []
    for dials in ({}, {"temperature": 0.0}, {"top_k": 1, "top_p": 0.5}):
        generator = noise()
        choose(LOGITS, Decoding(**dials), generator)
        after.append(torch.rand((), generator=generator).item())
    assert len(set(after)) == 1


@pytest.mark.parametrize(
    ("dials", "message"),
    [
        ({"temperature": -1.0}, "temperature=-1"),
        ({"temperature": math.nan}, "temperature=nan"),
        ({"top_k": -1}, "top_k=-1"),
        ({"top_p": 0.0}, "top_p=0"),
        ({"top_p": 1.5}, "top_p=1.5"),
    ],
)
def test_a_senseless_dial_is_refused(dials, message):
    with pytest.raises(ValueError, match=message):
        Decoding(**dials)
