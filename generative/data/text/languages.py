"""Small languages with known answers: what stands in the source says what the target is.

They are the tasks on which sequence models show whether they can copy, reverse order, translate and look something up
(Graves et al. 2014, arXiv 1410.5401; Zhang & Zhou 2017, *associative recall*).
"""

import calendar
import datetime
from collections.abc import Iterator
from dataclasses import dataclass, replace
from string import ascii_lowercase, digits

import numpy as np

from generative.data.draws import HELD_OUT_EVERY
from generative.data.fields import Data, Field
from generative.data.text.padded import END, sequence_data

Pair = tuple[list[str], list[str]]
"""A source and its target, as tokens."""


@dataclass(frozen=True)
class Language:
    """How many items of a language are drawn."""

    count: int = 20_000
    """Number of items, about a tenth held out; a source is never in both parts."""
    seed: int = 0
    """Determines which."""

    def __post_init__(self) -> None:
        if self.count < HELD_OUT_EVERY:
            raise ValueError(f"count={self.count}: must be at least {HELD_OUT_EVERY}, as a tenth is held out")
        if self.seed < 0:
            raise ValueError(f"seed={self.seed}: must not be negative; give 0 or more")

    def rows(self) -> Iterator[np.random.Generator]:
        """Yield the generator once for every item; those of a smaller count are the first of a larger one."""
        generator = np.random.default_rng(self.seed)
        for _ in range(self.count):
            yield generator


def pair_data(name: str, pairs: Iterator[Pair], symbols: str | list[str]) -> Data:
    """Return sources and targets as data; both have the same vocabulary."""
    sources, targets = zip(*pairs, strict=True)
    return sequence_data(name, {"source": sources, "target": targets}, [END, *symbols])


@dataclass(frozen=True)
class CopyConfig(Language):
    """Random letters to repeat."""

    length: int = 12
    """Letters at most; at least half of them."""
    letters: int = 10
    """How many different ones."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.length < 2:
            raise ValueError(f"length={self.length}: give 2 or more")
        if not 2 <= self.letters <= len(ascii_lowercase):
            raise ValueError(f"letters={self.letters}: give 2 to {len(ascii_lowercase)}")

    def load(self) -> Data:
        """Return sources and targets."""
        return pair_data("copy", ((source, source) for source in self.sources()), ascii_lowercase[: self.letters])

    def sources(self) -> Iterator[list[str]]:
        """Yield random words."""
        for generator in self.rows():
            length = generator.integers(-(-self.length // 2), self.length + 1)
            yield [ascii_lowercase[each] for each in generator.integers(self.letters, size=length)]


@dataclass(frozen=True)
class ReverseConfig(CopyConfig):
    """Random letters to say backwards."""

    def load(self) -> Data:
        """Return sources and targets."""
        pairs = ((source, source[::-1]) for source in self.sources())
        return pair_data("reverse", pairs, ascii_lowercase[: self.letters])


FIRST, LAST = datetime.date(1900, 1, 1).toordinal(), datetime.date(2099, 12, 31).toordinal()
FORMS = (
    "{day} {month} {year}",
    "{month} {day}, {year}",
    "{weekday}, {day} {month} {year}",
    "{short} {day}, {year}",
    "{day:02}.{number:02}.{year}",
    "{weekday} the {day}{nth} of {month} {year}",
)
"""How people write a date."""


@dataclass(frozen=True)
class DatesConfig(Language):
    """Dates as people write them, in six forms, to write as 1999-12-31."""

    def load(self) -> Data:
        """Return sources and targets."""
        symbols = sorted({each for source, target in self.pairs() for each in (*source, *target)})
        return pair_data("dates", self.pairs(), symbols)

    def pairs(self) -> Iterator[Pair]:
        """Yield dates of two centuries, each as likely."""
        for generator in self.rows():
            date = datetime.date.fromordinal(int(generator.integers(FIRST, LAST + 1)))
            form = FORMS[generator.integers(len(FORMS))]
            yield list(_written(date, form)), list(date.isoformat())


def _written(date: datetime.date, form: str) -> str:
    nth = "th" if date.day in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(date.day % 10, "th")
    return form.format(
        day=date.day, number=date.month, year=date.year, nth=nth, month=calendar.month_name[date.month],
        short=calendar.month_abbr[date.month], weekday=calendar.day_name[date.weekday()],
    )  # fmt: skip


@dataclass(frozen=True)
class RecallConfig(Language):
    """Pairs of a letter and a digit, then one of the letters: which digit came with it?"""

    pairs: int = 8
    """Pairs in a source, their letters all different."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.pairs <= len(ascii_lowercase):
            raise ValueError(f"pairs={self.pairs}: give 1 to {len(ascii_lowercase)}")

    def load(self) -> Data:
        """Return sources, such as a3k7x0k, and targets, such as 7; "lag" says how far back the answer stands."""
        pairs = list(self.questions())
        data = pair_data("recall", iter(pairs), ascii_lowercase + digits)
        lags = np.array([len(source) - 2 - source.index(source[-1]) for source, _ in pairs])
        lag = Field("lag", (), "int64", (), (2 * self.pairs,))
        return replace(
            data, fields={**data.fields, "lag": lag}, readers={**data.readers, "lag": lambda items: lags[items]}
        )

    def questions(self) -> Iterator[Pair]:
        """Yield sources and targets; the pair that is asked for is any one."""
        for generator in self.rows():
            keys = [ascii_lowercase[each] for each in generator.permutation(len(ascii_lowercase))[: self.pairs]]
            values = [digits[each] for each in generator.integers(len(digits), size=self.pairs)]
            asked = generator.integers(self.pairs)
            known = [each for pair in zip(keys, values, strict=True) for each in pair]
            yield [*known, keys[asked]], [values[asked]]
