"""Small stories in which people walk and carry things, with questions whose answers follow from them.

After the tasks of Weston et al. 2015 (arXiv 1502.05698): to answer, a model has to know who went where last, and that
a thing is where the person is who has it. The sentences and the world behind them are our own.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from generative.data.fields import Data, Field
from generative.data.text.languages import Language
from generative.data.text.padded import END, sequence_data

PEOPLE = ("Anna", "Ben", "Clara", "David", "Emma", "Felix")
PLACES = ("kitchen", "garden", "office", "hallway", "bedroom", "cellar")
THINGS = ("milk", "book", "ball", "lamp", "apple", "key")
NOBODY = "nobody"


@dataclass(frozen=True)
class Sentence:
    """What somebody does."""

    person: str
    verb: Literal["went to", "took", "dropped"]
    thing: str
    """The thing, or the place."""

    @property
    def words(self) -> list[str]:
        """The sentence as tokens: words with the space before them."""
        return [f" {self.person}", *(f" {word}" for word in self.verb.split()), " the", f" {self.thing}", "."]


@dataclass
class World:
    """Where people are and what they have."""

    people: tuple[str, ...] = PEOPLE
    places: tuple[str, ...] = PLACES
    things: tuple[str, ...] = THINGS
    place: dict[str, str] = field(default_factory=dict)
    """Of people, as far as it is known."""
    owner: dict[str, str] = field(default_factory=dict)
    """Of things that somebody has."""
    left_at: dict[str, str] = field(default_factory=dict)
    """Where things were dropped, as far as it is known."""

    def sentence(self, generator: np.random.Generator) -> Sentence:
        """Return what happens next, after it happened."""
        found = self.possible(generator)
        self.happen(found)
        return found

    def possible(self, generator: np.random.Generator) -> Sentence:
        """Return something that may happen next."""
        person = _one(self.people, generator)
        has = sorted(thing for thing, owner in self.owner.items() if owner == person)
        free = [thing for thing in self.things if thing not in self.owner and self._reachable(thing, person)]
        ways = ["went to", *(["took"] if free and person in self.place else []), *(["dropped"] if has else [])]
        verb = ways[generator.integers(len(ways))]
        if verb == "took":
            return Sentence(person, "took", _one(free, generator))
        if verb == "dropped":
            return Sentence(person, "dropped", _one(has, generator))
        elsewhere = [each for each in self.places if each != self.place.get(person)]
        return Sentence(person, "went to", _one(elsewhere, generator))

    def happen(self, sentence: Sentence) -> None:
        """Change what a sentence says."""
        if sentence.verb == "went to":
            self.place[sentence.person] = sentence.thing
        elif sentence.verb == "took":
            self.owner[sentence.thing] = sentence.person
            self.left_at.pop(sentence.thing, None)
        else:
            del self.owner[sentence.thing]
            self.left_at[sentence.thing] = self.place[sentence.person]

    def questions(self) -> list[tuple[list[str], str]]:
        """Return what can be asked, as tokens, with the answer."""
        found = [([" Where", " is", f" {person}", "?"], place) for person, place in sorted(self.place.items())]
        for thing in THINGS:
            owner = self.owner.get(thing)
            if owner is None and thing not in self.left_at:
                continue
            where = self.left_at[thing] if owner is None else self.place[owner]
            found.append(([" Where", " is", " the", f" {thing}", "?"], where))
            found.append(([" Who", " has", " the", f" {thing}", "?"], owner or NOBODY))
        return found

    def _reachable(self, thing: str, person: str) -> bool:
        return thing not in self.left_at or self.left_at[thing] == self.place.get(person)


def story(sentences: int, generator: np.random.Generator) -> tuple[list[Sentence], World]:
    """Return what happens, and how things stand after it."""
    world, told = World(), []
    for _ in range(sentences):
        told.append(world.sentence(generator))
    return told, world


@dataclass(frozen=True)
class StoriesConfig(Language):
    """Small stories of people, places and things, each with a question; the answer is a word."""

    sentences: int = 6
    """Sentences of a story at most; at least half of them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.sentences <= 100:
            raise ValueError(f"sentences={self.sentences}: give 1 to 100")

    def load(self) -> Data:
        """Return stories with their questions as sources, and answers as targets."""
        sources, targets = zip(*self.answered(), strict=True)
        return sequence_data("stories", {"source": sources, "target": targets}, vocabulary())

    def told(self) -> Iterator[tuple[list[Sentence], World, np.random.Generator]]:
        """Yield stories and how things stand after each."""
        for generator in self.rows():
            yield *story(int(generator.integers(-(-self.sentences // 2), self.sentences + 1)), generator), generator

    def answered(self) -> Iterator[tuple[list[str], list[str]]]:
        """Yield stories with a question, and the answer."""
        for told, world, generator in self.told():
            asked = world.questions()
            question, answer = asked[generator.integers(len(asked))]
            yield [*(word for each in told for word in each.words), *question], [f" {answer}"]


@dataclass(frozen=True)
class QuestionsConfig(StoriesConfig):
    """The same stories with a word marked: ask the question that this word of its sentence answers."""

    def load(self) -> Data:
        """Return stories as sources, the marked word as "answer" (1 where it stands), and questions as targets."""
        sources, targets, marks = zip(*self.asked(), strict=True)
        data = sequence_data("questions", {"source": sources, "target": targets}, vocabulary())
        rows = np.zeros((len(sources), *data.fields["source"].shape), np.int64)
        rows[np.arange(len(sources)), list(marks)] = 1
        fields = {**data.fields, "answer": Field("tags", rows.shape[1:], "int64", ("", "answer"), (2,))}
        readers = {**data.readers, "answer": lambda items: rows[items]}
        return replace(data, fields=fields, readers=readers)

    def asked(self) -> Iterator[tuple[list[str], list[str], int]]:
        """Yield stories, the question, and the place of the word that answers it."""
        for told, _, generator in self.told():
            place = int(generator.integers(len(told)))
            sentence = told[place]
            before = sum(len(each.words) for each in told[:place])
            if generator.random() < 0.5:  # the person
                verb = [f" {word}" for word in sentence.verb.split()]
                question, marked = [" Who", *verb, " the", f" {sentence.thing}", "?"], before
            else:
                question, marked = _question_of_thing(sentence), before + len(sentence.words) - 2
            yield [word for each in told for word in each.words], question, marked


def _question_of_thing(sentence: Sentence) -> list[str]:
    if sentence.verb == "went to":
        return [" Where", " did", f" {sentence.person}", " go", "?"]
    verb = {"took": "take", "dropped": "drop"}[sentence.verb]
    return [" What", " did", f" {sentence.person}", f" {verb}", "?"]


def vocabulary() -> list[str]:
    """Return the names of all tokens."""
    words = ("went", "to", "took", "dropped", "the", "Where", "Who", "What", "is", "has", "did", "go", "take", "drop")
    return [END, ".", "?", *(f" {word}" for word in (*words, *PEOPLE, *PLACES, *THINGS, NOBODY))]


def _one(names: tuple[str, ...] | list[str], generator: np.random.Generator) -> str:
    return names[generator.integers(len(names))]
