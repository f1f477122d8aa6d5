import numpy as np
import pytest

from generative.core.options import ComponentError
from generative.metrics.sequences.tokens import KneserNey, neighbour_guesses, token_baselines

CHAIN = np.array([[0.8, 0.1, 0.05, 0.05], [0.05, 0.05, 0.8, 0.1], [0.1, 0.1, 0.1, 0.7], [0.4, 0.4, 0.1, 0.1]])


def chain(count, seed):
    draws, tokens = np.random.default_rng(seed).random(count), [0]
    for draw in draws:
        tokens.append(int(np.searchsorted(np.cumsum(CHAIN[tokens[-1]]), draw)))
    return np.array(tokens[1:])


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_probabilities_of_the_next_token_sum_to_one_after_seen_and_unseen_contexts(order):
    model = KneserNey.of(np.random.default_rng(0).integers(6, size=200) ** 2 % 7, 7, order)
    for context in ([0, 1, 4, 2], [6, 6, 6, 6], [2, 2, 4, 1]):
        total = sum(model.probabilities(np.array([*context, token]))[-1] for token in range(7))
        assert total == pytest.approx(1)
        assert min(model.probabilities(np.array([*context, token]))[-1] for token in range(7)) > 0


def test_a_chain_is_known_as_well_as_it_can_be_by_whom_it_is_counted_in_pairs():
    train, held = chain(20_000, 0), chain(5_000, 1)
    found = token_baselines(train, held, 4)
    entropy = -np.log2(CHAIN[held[:-1], held[1:]]).mean()
    assert found["Markov chain"] == pytest.approx(entropy, abs=0.03)
    assert found["Kneser-Ney 5-gram"] == pytest.approx(entropy, abs=0.06)
    assert found["unigram"] > entropy + 0.3


def test_longer_runs_help_where_the_next_token_depends_on_them():
    word = np.array([0, 1, 0, 2, 0, 1, 3, 2, 2, 0, 3])
    train, held = np.tile(word, 200), np.tile(word, 20)
    found = token_baselines(train, held, 4)
    assert found["Kneser-Ney 5-gram"] < 0.05 < found["Markov chain"] < found["unigram"]


def test_shorter_runs_count_by_what_they_follow_and_not_how_often():
    """A token that is common after one other only says little of new contexts (Kneser & Ney 1995)."""
    train = np.array([1, 2] * 50 + [3, 0, 4, 0, 5, 0])
    model = KneserNey.of(train, 8, 2)
    after_unseen = [model.probabilities(np.array([7, token]))[-1] for token in (2, 0)]
    assert after_unseen[1] > after_unseen[0]


def test_tokens_outside_the_vocabulary_are_refused():
    with pytest.raises(ComponentError, match="0 to 3"):
        token_baselines(np.array([0, 4]), np.array([0]), 4)
    with pytest.raises(ComponentError, match="order=5"):
        token_baselines(np.array([0, 1]), np.array([0]), 4)


def test_neighbours_guess_what_counts_say():
    train = np.array([[0, 1, 2, 0, 1, 2], [0, 1, 2, 3, 1, 2]])  # after 0 comes 1, before 2 stands 1, 1 is common
    read = np.array([[0, 3, 2, 0, 1], [3, 1, 2, 3, 2]])
    hidden = np.array([[False, True, False, False, True], [True, False, False, True, False]])
    found = neighbour_guesses(train, read, hidden, 4)
    assert {name: each.tolist() for name, each in found.items()} == {
        "unigram": [1, 1, 1, 1],
        "bigram": [1, 1, 1, 0],  # after 2 comes 0 or 3: once each, and 0 is commoner
        "both neighbours": [1, 1, 0, 1],
    }
