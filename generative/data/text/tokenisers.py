"""Texts as numbers of tokens: characters, words, byte-pair and WordPiece.

The names of tokens joined together are the text, so a space stands at the beginning of the word that follows it. What
a tokeniser does follows from its kind and its names alone: a model's record of its data is enough to read a prompt.

Byte-pair (Sennrich et al. 2016, arXiv 1508.07909) joins the commonest neighbours until the vocabulary is full.
WordPiece (Schuster & Nakajima 2012; as in BERT, arXiv 1810.04805) takes the longest known beginning of what is left of
a word. Both are learnt and applied by Hugging Face's `tokenizers` (Apache-2.0), the extra `text`.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from jaxtyping import Int64

from generative.core.options import ComponentError

Kind = Literal["characters", "words", "byte-pair", "word-piece"]
UNKNOWN = "\N{REPLACEMENT CHARACTER}"
"""Stands for what is outside the vocabulary."""
_WORD = re.compile(r" ?\w+| ?[^\w\s]|\s")
_CONTINUED = "##"


@dataclass(frozen=True)
class Tokeniser:
    """What turns a text into numbers and back."""

    kind: Kind
    names: tuple[str, ...]
    """Of the tokens, as they stand in a text."""

    @classmethod
    def of(cls, kind: Kind, text: str, most: int) -> "Tokeniser":
        """Learn a vocabulary of at most so many tokens from a text.

        Raises:
            ComponentError: a package is missing, or there are more characters than tokens.
        """
        if kind == "characters":
            return cls(kind, tuple(sorted(_commonest(Counter(text), most))))
        if kind == "words":
            return cls(kind, tuple(sorted(_commonest(Counter(_WORD.findall(text)), most, always=True))))
        return cls(kind, tuple(_learnt(kind, text, most)))

    def encode(self, text: str) -> Int64[np.ndarray, " N"]:
        """Return the numbers of a text's tokens; what is unknown is read as `UNKNOWN`.

        Raises:
            ValueError: something is unknown, and the vocabulary has no token for that.
        """
        if self.kind in ("byte-pair", "word-piece"):
            return np.array(self._ready.encode(text, add_special_tokens=False).ids, np.int64)
        parts = text if self.kind == "characters" else _WORD.findall(text)
        rest = self._number.get(UNKNOWN)
        unknown = sorted(set(parts) - self._number.keys())
        if unknown and rest is None:
            said = ", ".join(map(repr, unknown))
            raise ValueError(f"the model knows no {said}; leave these {self.kind} out")
        return np.array([self._number.get(each, rest) for each in parts], np.int64)

    def decode(self, numbers: Sequence[int]) -> str:
        """Return the text of tokens."""
        return "".join(self.names[each] for each in numbers)

    @cached_property
    def _number(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.names)}

    @cached_property
    def _ready(self) -> Any:
        return _byte_pair(self.names) if self.kind == "byte-pair" else _word_piece(self.names)


def _commonest(counts: Counter[str], most: int, always: bool = False) -> set[str]:
    """Return the tokens that fit, and `UNKNOWN` where others are left out or it is asked for."""
    if len(counts) <= most - always:
        return set(counts) | ({UNKNOWN} if always else set())
    return {token for token, _ in counts.most_common(most - 1)} | {UNKNOWN}


def _learnt(kind: Kind, text: str, most: int) -> list[str]:
    """Return the names of a vocabulary that `tokenizers` learns."""
    library = _library()
    characters = [each for each, _ in Counter(text).most_common()]
    if len(characters) + 1 > most:
        raise ComponentError(
            f"vocabulary={most}: the text has {len(characters)} different characters; raise vocabulary"
        )
    ready = (_byte_pair if kind == "byte-pair" else _word_piece)((UNKNOWN,))
    trainers = library.trainers
    make = trainers.BpeTrainer if kind == "byte-pair" else trainers.WordPieceTrainer
    options = {} if kind == "byte-pair" else {"continuing_subword_prefix": _CONTINUED}
    trainer = make(vocab_size=most, special_tokens=[UNKNOWN], show_progress=False, **options)
    ready.train_from_iterator(text.splitlines(keepends=True), trainer)
    known = sorted(ready.get_vocab().items(), key=lambda pair: pair[1])
    return [_seen(kind, name) for name, _ in known]


def _seen(kind: Kind, name: str) -> str:
    """Return how a token of the library stands in a text."""
    if name == UNKNOWN:
        return name
    if kind == "byte-pair":
        return name.replace("\N{LOWER ONE EIGHTH BLOCK}", " ")
    return name.removeprefix(_CONTINUED) if name.startswith(_CONTINUED) else f" {name}"


def _byte_pair(names: Sequence[str]) -> Any:
    """Return the library's tokeniser; names are in the order in which they were joined, which gives the pairs."""
    library = _library()
    inner = [UNKNOWN, *(name.replace(" ", "\N{LOWER ONE EIGHTH BLOCK}") for name in names if name != UNKNOWN)]
    number = {name: place for place, name in enumerate(inner)}
    merges: list[tuple[str, str]] = []
    for name in inner[1:]:
        if len(name) > 1:
            merges.append(_parts(name, {pair: place for place, pair in enumerate(merges)}))
    ready = library.Tokenizer(library.models.BPE(number, merges, unk_token=UNKNOWN))
    split = library.pre_tokenizers.Split("\n", "isolated")
    space = library.pre_tokenizers.Metaspace(prepend_scheme="never")
    ready.pre_tokenizer = library.pre_tokenizers.Sequence([split, space])
    return ready


def _parts(name: str, ranks: dict[tuple[str, str], int]) -> tuple[str, str]:
    """Return the two tokens that earlier pairs leave of a token."""
    parts = list(name)
    while len(parts) > 2:
        places = [(ranks.get(pair, len(ranks)), place) for place, pair in enumerate(pairwise(parts))]
        _, place = min(places)
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    return parts[0], parts[1]


def _word_piece(names: Sequence[str]) -> Any:
    library = _library()
    inner = [UNKNOWN if name == UNKNOWN else name[1:] if name[0] == " " else _CONTINUED + name for name in names]
    number = {name: place for place, name in enumerate(inner)}
    model = library.models.WordPiece(number, unk_token=UNKNOWN, continuing_subword_prefix=_CONTINUED)
    ready = library.Tokenizer(model)
    ready.pre_tokenizer = library.pre_tokenizers.BertPreTokenizer()
    return ready


def _library() -> Any:
    try:
        import tokenizers
    except ImportError as error:
        message = "tokens: byte-pair and word-piece need the package tokenizers; pip install 'worldmodels-dream[text]'"
        raise ComponentError(message) from error
    return tokenizers
