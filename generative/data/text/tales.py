"""Small stories as running text, each with few people, places and things of its own: what goes together is known.

Two halves of a tale are about the same people, and a person with two places to be in goes from one to the other. So a
model that reads can know whether a half goes on with another one, and what a hidden word is, from words far away.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from generative.data.draws import held_out_by_digest
from generative.data.fields import Data, Field
from generative.data.text.languages import Language
from generative.data.text.stories import PEOPLE, PLACES, THINGS, World, vocabulary

CAST = 2
"""People, places and things of a tale, of each so many."""
NEW = ("nothing", "people", "places")
"""What may be new in the second half of a tale."""


@dataclass(frozen=True)
class TalesConfig(Language):
    """Small stories of two people in two places as running text, cut at the same length."""

    length: int = 32
    """Words of a tale, full stops among them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.length < 8:
            raise ValueError(f"length={self.length}: give 8 or more")

    def load(self) -> Data:
        """Return the tales as the field "tokens"; none is both in training and held out."""
        return _data("tales", [words for words, _ in self.told()])

    def told(self) -> Iterator[tuple[list[str], np.random.Generator]]:
        """Yield tales, with what the next one is drawn from."""
        for generator in self.rows():
            people, places, things = (
                tuple(str(each) for each in generator.choice(names, CAST, replace=False))
                for names in (PEOPLE, PLACES, THINGS)
            )
            world, words = World(people, places, things), list[str]()
            while len(words) < self.length:
                words += world.sentence(generator).words
            yield words[: self.length], generator


@dataclass(frozen=True)
class HalvesConfig(TalesConfig):
    """The same tales, of some the second half with other people or places; what is new in it is the label."""

    trained: int = 0
    """Tales to train on at most, the first ones; 0 for all. Those held out stay the same."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.trained < 0:
            raise ValueError(f"trained={self.trained}: must not be negative; 0 takes all")

    def load(self) -> Data:
        """Return the tales as "tokens" and what is new in their second halves as "label"."""
        texts, labels = zip(*self.changed(), strict=True)
        data, numbers = _data("halves", texts), np.array(labels)
        field = Field("label", (), "int64", NEW, (len(NEW),))
        readers = {**data.readers, "label": lambda items: numbers[items]}
        kept = data.items[: self.trained or None]
        return replace(data, fields={**data.fields, "label": field}, readers=readers, items=kept)

    def changed(self) -> Iterator[tuple[list[str], int]]:
        """Yield tales and the number of what is new in their second halves."""
        for words, generator in self.told():
            label, half = int(generator.integers(len(NEW))), self.length // 2
            others: dict[str, str] = {}
            for kind in (PEOPLE, PLACES)[label - 1 : label] if label else ():
                known = sorted({word[1:] for word in words} & set(kind))
                strangers = [each for each in kind if each not in known]
                others = dict(zip(known, generator.choice(strangers, len(known), replace=False).tolist(), strict=True))
            second = [f" {others[word[1:]]}" if word[1:] in others else word for word in words[half:]]
            yield [*words[:half], *second], label


def _data(name: str, texts: Sequence[Sequence[str]]) -> Data:
    """Return texts of one length as data; none is both in training and held out."""
    names = vocabulary()
    number = {word: place for place, word in enumerate(names)}
    tokens = np.array([[number[word] for word in words] for words in texts])
    held = held_out_by_digest([hashlib.sha256(row.tobytes()).hexdigest() for row in tokens])
    training = np.setdiff1d(np.arange(len(tokens)), held)
    field = Field("tokens", tokens.shape[1:], "int64", tuple(names), (len(names),))
    return Data(name, {"tokens": field}, {"tokens": lambda items: tokens[items]}, training, held)
