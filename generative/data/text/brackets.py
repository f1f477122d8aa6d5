"""Balanced brackets of several kinds, the Dyck language: every string of a length is as likely, so all is known.

There are `C_n k^n` strings of n pairs in k kinds, with the Catalan number `C_n = (2n)! / (n! (n + 1)!)`. A string is
drawn bracket by bracket, opening with the share of all ways to go on that begin so.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from jaxtyping import Float64, Int

from generative.data.fields import Data
from generative.data.text.languages import Language
from generative.data.text.padded import END, sequence_data, until_end

OPENING, CLOSING = "([{<", ")]}>"
MOST_PAIRS = 256


@dataclass(frozen=True)
class BracketsConfig(Language):
    """Balanced brackets, such as ([])(), all strings of a length equally likely."""

    pairs: int = 16
    """Pairs at most; at least half of them, each number as likely."""
    kinds: int = 2
    """Kinds of brackets."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 2 <= self.pairs <= MOST_PAIRS:
            raise ValueError(f"pairs={self.pairs}: give 2 to {MOST_PAIRS}")
        if not 1 <= self.kinds <= len(OPENING):
            raise ValueError(f"kinds={self.kinds}: give 1 to {len(OPENING)}")

    def load(self) -> Data:
        """Return the strings as the field "tokens"."""
        names = [END, *OPENING[: self.kinds], *CLOSING[: self.kinds]]
        data = sequence_data("brackets", {"tokens": list(self.strings())}, names)
        return replace(data, log_prob=self.log_prob)

    def strings(self) -> Iterator[list[str]]:
        """Yield random strings."""
        for generator in self.rows():
            pairs = int(generator.integers(-(-self.pairs // 2), self.pairs + 1))
            yield _string(pairs, self.kinds, generator)

    def log_prob(self, tokens: Int[np.ndarray, "N T"]) -> Float64[np.ndarray, " N"]:
        """Return the log-probability in nats of strings up to their first end; minus infinity where that is none."""
        names = [END, *OPENING[: self.kinds], *CLOSING[: self.kinds]]
        least = -(-self.pairs // 2)
        found = np.full(len(tokens), -np.inf)
        for place, row in enumerate(tokens.tolist()):
            brackets = until_end(names, row)
            pairs = len(brackets) // 2
            if least <= pairs <= self.pairs and len(brackets) < len(row) and balanced(brackets):
                ways = math.comb(2 * pairs, pairs) // (pairs + 1)
                found[place] = -math.log(self.pairs - least + 1) - math.log(ways) - pairs * math.log(self.kinds)
        return found


def balanced(brackets: Sequence[str]) -> bool:
    """Return whether every bracket is closed by its own kind, the last opened first."""
    waiting: list[str] = []
    for each in brackets:
        if each in OPENING:
            waiting.append(CLOSING[OPENING.index(each)])
        elif not waiting or waiting.pop() != each:
            return False
    return not waiting


def _string(pairs: int, kinds: int, generator: np.random.Generator) -> list[str]:
    found: list[str] = []
    waiting: list[str] = []
    for left in range(2 * pairs, 0, -1):
        opens = _ways(left - 1, len(waiting) + 1) / _ways(left, len(waiting))  # whole numbers of any size
        if generator.random() < opens:
            kind = int(generator.integers(kinds))
            found.append(OPENING[kind])
            waiting.append(CLOSING[kind])
        else:
            found.append(waiting.pop())
    return found


@cache
def _ways(left: int, depth: int) -> int:
    """Return in how many ways so many brackets of one kind close all that are open."""
    if depth > left or depth < 0:
        return 0
    if not left:
        return 1
    return _ways(left - 1, depth + 1) + _ways(left - 1, depth - 1)
