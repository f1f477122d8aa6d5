"""What costs nothing as a model of tokens: how common each is, what follows it, and a 5-gram of Kneser and Ney.

Figures are bits per token of held-out text; of characters they are bits per character. The 5-gram is interpolated with
three discounts for each order (Chen & Goodman 1999, "An empirical study of smoothing techniques", section 4.1.6). It
was the best model of text that counts can make, and a small network has to be better on more than its training text.

Tokens are rows, each a sequence of its own. A row begins with a mark that no other token is, which is written <s> in
that literature: no run of tokens goes from one row to the next, and the first tokens are known as first ones.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int, Int64

from generative.core.options import ComponentError

ORDER = 5
FALLBACK = (0.5, 1.0, 1.5)
"""Discounts where there are too few runs to estimate them, as in KenLM."""
LEAST_DISCOUNTS = (0.1, 0.1, 0.1)
"""So much is always left for what was not seen."""
MOST_GRAMS = 2**62
"""Runs of tokens are numbered by 64 bits."""


def token_baselines(
    train: Int[np.ndarray, "N T"],
    held_out: Int[np.ndarray, "M S"],
    vocabulary: int,
    *,
    order: int = ORDER,
    train_mask: Bool[np.ndarray, "N T"] | None = None,
    held_out_mask: Bool[np.ndarray, "M S"] | None = None,
) -> Mapping[str, float]:
    """Return the bits per token of held-out tokens under each baseline, by name.

    Args:
        train: rows of tokens in their order, each below `vocabulary`; a text is one row.
        held_out: others.
        vocabulary: how many tokens there are.
        order: length of the runs that the last baseline counts.
        train_mask: tokens to count, all by default; see `KneserNey.of`.
        held_out_mask: tokens to predict, all by default.

    Raises:
        ComponentError: no tokens, one outside the vocabulary, or so many that runs of them cannot be numbered.
    """
    names = {1: "unigram", 2: "Markov chain", order: f"Kneser-Ney {order}-gram"}
    return {
        name: KneserNey.of(train, vocabulary, each, train_mask).bits(held_out, held_out_mask)
        for each, name in names.items()
    }


def longest_order(vocabulary: int, order: int = ORDER) -> int:
    """Return the longest runs, up to an order, that can be numbered with so many different tokens."""
    return max(1, min(order, int(math.log(MOST_GRAMS - 1) / math.log(vocabulary + 1))))


def neighbour_guesses(
    train: Int[np.ndarray, "N T"], read: Int[np.ndarray, "M S"], hidden: Bool[np.ndarray, "M S"], vocabulary: int
) -> Mapping[str, Int64[np.ndarray, " H"]]:
    """Return guesses of hidden tokens: the commonest one, the likeliest after the one before it, and between both.

    Neighbours are the true ones even where they are hidden too. Counts are of pairs within the texts trained on, each
    with half a count more in proportion to how common its second token is.

    Args:
        train: texts to count in.
        read: others, with what is to be guessed.
        hidden: which of their tokens are.
        vocabulary: how many tokens there are.
    """
    common = np.bincount(train.ravel(), minlength=vocabulary) + 1e-3
    pairs = np.zeros((vocabulary, vocabulary), np.float32)
    np.add.at(pairs, (train[:, :-1].ravel(), train[:, 1:].ravel()), 1)
    pairs += 0.5 * (common / common.sum()).astype(np.float32)
    after = np.log(pairs / pairs.sum(1, keepdims=True))  # (before token)
    before = np.ascontiguousarray(after.T)
    found: dict[str, list[int]] = {"unigram": [], "bigram": [], "both neighbours": []}
    for row, place in np.argwhere(hidden):
        scores = after[read[row, place - 1]] if place else np.log(common / common.sum())
        both = scores + before[read[row, place + 1]] if place + 1 < read.shape[1] else scores
        for name, each in (("unigram", common), ("bigram", scores), ("both neighbours", both)):
            found[name].append(int(each.argmax()))
    return {name: np.array(each, np.int64) for name, each in found.items()}


@dataclass(frozen=True)
class GramCounts:
    """Runs of one length that were seen in training, by the number of their context and of themselves."""

    runs: Int64[np.ndarray, " R"]
    """In rising order."""
    counts: Float64[np.ndarray, " R"]
    """How often each was seen; of shorter runs than the longest, after how many different tokens."""
    contexts: Int64[np.ndarray, " C"]
    """What stands before their last token, in rising order."""
    totals: Float64[np.ndarray, " C"]
    """Counts of all runs with a context."""
    left: Float64[np.ndarray, " C"]
    """What discounts leave for shorter runs, as a share of the total."""
    discounts: Float64[np.ndarray, " 4"]
    """For runs seen never, once, twice and more often."""


@dataclass(frozen=True)
class KneserNey:
    """A model of the next token after at most `len(levels) - 1` others."""

    levels: tuple[GramCounts, ...]
    """Of runs of 1, 2, ... tokens."""
    vocabulary: int

    @classmethod
    def of(
        cls,
        train: Int[np.ndarray, "N T"],
        vocabulary: int,
        order: int = ORDER,
        mask: Bool[np.ndarray, "N T"] | None = None,
    ) -> "KneserNey":
        """Count runs within rows; errors as of `token_baselines`.

        Args:
            train: rows of tokens, each below `vocabulary`.
            vocabulary: how many tokens there are.
            order: length of the longest runs, 1 or more.
            mask: tokens at which runs that count end, all by default. What is no text, as padding, is left out, and so
                is what an earlier row has, which is then read as context alone.
        """
        _check(train, vocabulary, mask)
        if (vocabulary + 1) ** order >= MOST_GRAMS or order < 1:
            raise ComponentError(f"order={order}: not for {vocabulary} different tokens; lower it, and give 1 or more")
        found = _runs(train, order, vocabulary)
        runs, counts = np.unique(found if mask is None else found[mask], return_counts=True)
        levels = []
        for length in range(order, 0, -1):
            levels.append(_level(runs, counts.astype(np.float64), vocabulary + 1))
            runs, counts = np.unique(runs % (vocabulary + 1) ** (length - 1), return_counts=True)
        return cls(tuple(reversed(levels)), vocabulary)

    def probabilities(self, tokens: Int[np.ndarray, "M S"]) -> Float64[np.ndarray, "M S"]:
        """Return the probability of each token after those before it in its row."""
        _check(tokens, self.vocabulary)
        found = np.full(tokens.size, 1 / self.vocabulary)
        for length, level in enumerate(self.levels, 1):
            runs = _runs(tokens, length, self.vocabulary).ravel()
            found = _interpolated(level, runs, self.vocabulary + 1, found)
        return found.reshape(tokens.shape)

    def bits(self, tokens: Int[np.ndarray, "M S"], mask: Bool[np.ndarray, "M S"] | None = None) -> float:
        """Return the mean of minus the binary logarithms of the probabilities, of what a mask says or all."""
        _check(tokens, self.vocabulary, mask)
        found = -np.log2(self.probabilities(tokens))
        return float((found if mask is None else found[mask]).mean())


def _interpolated(
    level: GramCounts, runs: Int64[np.ndarray, " M"], base: int, shorter: Float64[np.ndarray, " M"]
) -> Float64[np.ndarray, " M"]:
    """Return the probability of the last token of each run, given that after one token less."""
    context, known = _found(level.contexts, runs // base)
    place, seen = _found(level.runs, runs)
    count = np.where(seen, level.counts[place], 0)
    kept = np.maximum(count - level.discounts[np.minimum(count, 3).astype(np.int64)], 0) / level.totals[context]
    return np.where(known, kept + level.left[context] * shorter, shorter)


def _level(runs: Int64[np.ndarray, " R"], counts: Float64[np.ndarray, " R"], base: int) -> GramCounts:
    seen = [int((counts == times).sum()) for times in range(1, 5)]
    if min(seen):
        share = seen[0] / (seen[0] + 2 * seen[1])
        full = [times - (times + 1) * share * seen[times] / seen[times - 1] for times in (1, 2, 3)]
        discounts = np.clip([0.0, *full], [0, *LEAST_DISCOUNTS], [0, 1, 2, 3])
    else:
        discounts = np.array([0, *FALLBACK])
    contexts, where = np.unique(runs // base, return_inverse=True)
    totals = np.bincount(where, counts)
    taken = np.bincount(where, np.minimum(counts, discounts[np.minimum(counts, 3).astype(np.int64)]))
    return GramCounts(runs, counts, contexts, totals, taken / totals, discounts)


def _runs(tokens: Int[np.ndarray, "N T"], length: int, vocabulary: int) -> Int64[np.ndarray, "N T"]:
    """Return the number of the run that ends at each token: tokens as digits, the mark of a beginning the highest."""
    begun = np.pad(tokens.astype(np.int64), ((0, 0), (length - 1, 0)), constant_values=vocabulary)
    number = np.zeros(tokens.shape, np.int64)
    for place in range(length):
        number = number * (vocabulary + 1) + begun[:, place : place + tokens.shape[1]]
    return number


def _found(sorted_: Int64[np.ndarray, " R"], wanted: Int64[np.ndarray, " M"]) -> tuple[np.ndarray, np.ndarray]:
    """Return places among sorted numbers, and whether each is really there."""
    place = np.minimum(np.searchsorted(sorted_, wanted), len(sorted_) - 1)
    return place, sorted_[place] == wanted


def _check(tokens: Int[np.ndarray, "N T"], vocabulary: int, mask: Bool[np.ndarray, "N T"] | None = None) -> None:
    if tokens.ndim != 2 or not tokens.size or tokens.min() < 0 or tokens.max() >= vocabulary:
        raise ComponentError(
            f"tokens of shape {tokens.shape}: give rows of whole numbers from 0 to {vocabulary - 1}; a text is one row"
        )
    if mask is not None and not mask.any():
        raise ComponentError("mask: true for no token; give one that leaves some")
