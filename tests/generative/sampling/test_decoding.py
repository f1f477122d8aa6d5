import math

import pytest
import torch

from generative.sampling.decoding import AnswerDecoding, Decoding, Reading, choose, decode, shares

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


def test_the_likeliest_token_is_chosen_whatever_is_drawn(monkeypatch):
    uniform = torch.full((1, 4), 0.5)
    uniform[0, LOGITS.argmax()] = 0.0  # as the generator gives it now and then
    monkeypatch.setattr(torch, "rand", lambda *sizes, **options: uniform)
    assert choose(LOGITS[None], Decoding(temperature=0.0), noise()) == LOGITS.argmax()


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
        ({"beams": 0}, "beams=0: give 1"),
        ({"beams": 2, "temperature": 0.5}, "beams=2: beams draw nothing; leave out temperature"),
        ({"beams": 2, "top_k": 3}, "beams=2: beams draw nothing"),
        ({"beams": 2, "top_p": 0.9}, "beams=2: beams draw nothing"),
    ],
)
def test_a_senseless_dial_is_refused(dials, message):
    with pytest.raises(ValueError, match=message):
        Decoding(**dials)


TABLE = torch.randn(5, 5, generator=torch.Generator().manual_seed(4)) * 2
"""Scores of the next of five tokens after each; token 0 ends."""


def follows(tokens, state):
    """A model whose state counts the steps, and which knows the last token alone."""
    return TABLE[tokens] + state[0], (state[0] + 0.1 * TABLE[tokens].flip(1),)


def found_by(rows=2, **dials):
    start, state = torch.tensor([1, 3])[:rows], (torch.zeros(rows, 5),)
    begun, dials = Reading(*follows(start, state), follows), AnswerDecoding(**dials)
    return decode(begun, dials.length, dials, noise(), (0,))


def best_of_all(start, length, penalty):
    """The likeliest of all sequences, by trying them all; one without an end is as long as may be."""
    found, waiting = [], [((), 0.0, torch.tensor([start]), (torch.zeros(1, 5),))]
    while waiting:
        text, total, token, state = waiting.pop()
        scores, state = follows(token, state)
        for each, value in enumerate(scores.log_softmax(1)[0].tolist()):
            longer, sum_ = (*text, each), total + value
            if each == 0 or len(longer) == length:
                found.append((sum_ / ((5 + len(longer)) / 6) ** penalty, longer))
            else:
                waiting.append((longer, sum_, torch.tensor([each]), state))
    return max(found)[1]


@pytest.mark.parametrize("penalty", [0.0, 0.6, 3.0])
def test_enough_beams_find_the_likeliest_of_all(penalty):
    rows = found_by(beams=600, length=4, length_penalty=penalty).tolist()
    for row, start in zip(rows, (1, 3), strict=True):
        best = best_of_all(start, 4, penalty)
        assert tuple(row)[: len(best)] == best and not any(row[len(best) :])


def test_a_length_penalty_makes_longer_answers():
    short, long = (found_by(beams=200, length=4, length_penalty=each) for each in (0.0, 9.0))
    assert (long != 0).sum() > (short != 0).sum()


def test_one_beam_is_greedy_and_a_row_does_not_see_the_others():
    assert found_by(length=4).tolist()[0][0] == TABLE[1].argmax()
    both, one = found_by(beams=3, length=4), found_by(rows=1, beams=3, length=4)
    assert both[0, : one.shape[1]].tolist() == one[0].tolist()


@pytest.mark.parametrize(
    "dials", [{"length": 0}, {"beams": 0}, {"length_penalty": -1.0}, {"length_penalty": math.nan}, {"top_k": -1}]
)
def test_senseless_dials_of_answers_are_refused(dials):
    with pytest.raises(ValueError, match="{}={}".format(*next(iter(dials.items())))):
        AnswerDecoding(**dials)
