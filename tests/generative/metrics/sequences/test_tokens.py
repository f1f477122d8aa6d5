import numpy as np
import pytest

from generative.core.options import ComponentError
from generative.metrics.sequences.tokens import KneserNey, longest_order, neighbour_guesses, token_baselines

CHAIN = np.array([[0.8, 0.1, 0.05, 0.05], [0.05, 0.05, 0.8, 0.1], [0.1, 0.1, 0.1, 0.7], [0.4, 0.4, 0.1, 0.1]])


def chain(count, seed):
    draws, tokens = np.random.default_rng(seed).random(count), [0]
    for draw in draws:
        tokens.append(int(np.searchsorted(np.cumsum(CHAIN[tokens[-1]]), draw)))
    return np.array([tokens[1:]])


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_probabilities_of_the_next_token_sum_to_one_after_seen_and_unseen_contexts(order):
    model = KneserNey.of(np.random.default_rng(0).integers(6, size=(4, 50)) ** 2 % 7, 7, order)
    for context in ([], [0], [0, 1, 4, 2], [6, 6, 6, 6], [2, 2, 4, 1]):
        found = model.probabilities(np.array([[*context, token] for token in range(7)]))[:, -1]
        assert found.sum() == pytest.approx(1) and found.min() > 0


def test_rows_are_apart_and_their_first_tokens_are_known_as_first_ones():
    """By hand: pairs are "begins with 0" and "0, 1", twice each and less 1; each token follows one other, less 0.5."""
    model = KneserNey.of(np.array([[0, 1], [0, 1]]), 2, 2)
    alone = (1 - 0.5) / 2 + (2 * 0.5 / 2) / 2
    likely = (2 - 1) / 2 + 1 / 2 * alone
    found = model.probabilities(np.array([[0, 1, 0], [1, 0, 0]]))
    assert found.ravel().tolist() == pytest.approx([likely, likely, alone, 1 - likely, alone, 1 - likely])
    in_a_row = KneserNey.of(np.array([[0, 1, 0, 1]]), 2, 2).probabilities(np.array([[0, 1, 0]]))
    assert in_a_row[0, 2] > 0.7 > alone  # there 0 comes after 1


@pytest.mark.parametrize("order", [1, 2, 3])
def test_what_rows_share_is_counted_once_and_after_all_that_stands_before_it(order):
    text = np.array([[0, 1, 1, 0, 2, 1, 0, 0]])
    windows = np.stack([text[0, first : first + 4] for first in (0, 2, 4)])
    new = np.array([[True] * 4, [False, False, True, True], [False, False, True, True]])
    held = np.random.default_rng(0).integers(3, size=(5, 6))
    found = [KneserNey.of(*each).probabilities(held) for each in ((text, 3, order), (windows, 3, order, new))]
    assert found[0] == pytest.approx(found[1])
    assert np.abs(KneserNey.of(windows, 3, order).probabilities(held) - found[0]).max() > 0.01


def test_padding_is_neither_counted_nor_predicted():
    rows, mask = (
        np.array([[0, 1, 3, 3], [0, 2, 1, 3]]),
        np.array([[True, True, False, False], [True, True, True, False]]),
    )
    model = KneserNey.of(rows, 4, 3, mask)
    assert model.bits(rows, mask) == pytest.approx(-np.log2(model.probabilities(rows)[mask]).mean())
    found = token_baselines(rows, rows, 4, train_mask=mask, held_out_mask=mask)
    others = np.where(mask, rows, 2)
    assert found == token_baselines(others, others, 4, train_mask=mask, held_out_mask=mask)
    assert found["unigram"] < token_baselines(rows, rows, 4, train_mask=mask)["unigram"]


def test_a_chain_is_known_as_well_as_it_can_be_by_whom_it_is_counted_in_pairs():
    train, held = chain(20_000, 0), chain(5_000, 1)
    found = token_baselines(train, held, 4)
    entropy = -np.log2(CHAIN[held[:, :-1], held[:, 1:]]).mean()
    assert found["Markov chain"] == pytest.approx(entropy, abs=0.03)
    assert found["Kneser-Ney 5-gram"] == pytest.approx(entropy, abs=0.06)
    assert found["unigram"] > entropy + 0.3


def test_longer_runs_help_where_the_next_token_depends_on_them():
    word = np.array([0, 1, 0, 2, 0, 1, 3, 2, 2, 0, 3])
    train, held = np.tile(word, (1, 200)), np.tile(word, (1, 20))
    found = token_baselines(train, held, 4)
    assert found["Kneser-Ney 5-gram"] < 0.05 < found["Markov chain"] < found["unigram"]


def test_shorter_runs_count_by_what_they_follow_and_not_how_often():
    """A token that is common after one other only says little of new contexts (Kneser & Ney 1995)."""
    train = np.array([[1, 2] * 50 + [3, 0, 4, 0, 5, 0]])
    model = KneserNey.of(train, 8, 2)
    after_unseen = model.probabilities(np.array([[7, 2], [7, 0]]))[:, 1]
    assert after_unseen[1] > after_unseen[0]


def test_tokens_outside_the_vocabulary_are_refused():
    with pytest.raises(ComponentError, match="0 to 3"):
        token_baselines(np.array([[0, 4]]), np.array([[0]]), 4)
    with pytest.raises(ComponentError, match="mask: true for no token"):
        KneserNey.of(np.array([[0, 1]]), 4, 2, np.zeros((1, 2), bool))


@pytest.mark.parametrize("vocabulary", [1, 2, 255, 256, 5000, 2**61])
def test_runs_are_as_long_as_they_can_be_numbered(vocabulary):
    order, text = longest_order(vocabulary, 8), np.zeros((1, 3), np.int64)
    assert KneserNey.of(text, vocabulary, order).bits(text) >= 0
    if order < 8:
        with pytest.raises(ComponentError, match=f"order={order + 1}: not for {vocabulary} different tokens"):
            KneserNey.of(text, vocabulary, order + 1)


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
