"""Text as tokens: the user's own files, or English that is there offline.

A text is a stream. An item is a piece of it, and the next item goes on where it ends, so that contiguous batches (see
`Batches`) can be read with a state that is carried on. Whole documents are held out, chosen by their content, so that a
copy is never on both sides; of a single document the last tenth is.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import Int64

from generative.core.options import ComponentError
from generative.data.draws import HELD_OUT_EVERY, held_out_by_digest
from generative.data.fields import Data, Field
from generative.data.orders import Items
from generative.data.origin import Origin, counted
from generative.data.text.english import LICENCES, english
from generative.data.text.tokenisers import UNKNOWN, Kind, Tokeniser


@dataclass(frozen=True)
class TextConfig:
    """Text as characters, words or parts of words: yours, or English out of what is installed."""

    path_options: ClassVar[tuple[str, ...]] = ("path",)
    path: str = ""
    """A text file in UTF-8, or a folder of such; empty for English prose out of docstrings of installed packages."""
    length: int = 128
    """Tokens of a piece."""
    vocabulary: int = 256
    """Different tokens at most, the commonest; what else there is becomes one that stands for it all."""
    tokens: Kind = "characters"
    """What a token is. byte-pair and word-piece need `pip install 'worldmodels-dream[text]'`; word-piece does not keep
    line ends, nor whether a space stands before a mark."""

    def __post_init__(self) -> None:
        for name, least in (("length", 1), ("vocabulary", 2)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)}: give {least} or more")

    def load(self) -> Data:
        """Return the pieces as the field "tokens"; raise ComponentError where there is too little text, or none."""
        read = self._read()
        numbers = [read.tokeniser.encode(part) for part in _parted(read.documents)]
        pieces = [_pieces(each, self.length) for each in numbers]
        for part, what in zip(pieces, ("train on", "hold out"), strict=True):
            if not len(part):
                raise ComponentError(
                    f"{self.path or 'English'}: less than length={self.length} {self.tokens} to {what}; "
                    "give more text, or lower length"
                )
        return replace(self._data(read, pieces[0], pieces[1], numbers, "text"), stream=True)

    def _read(self) -> "Read":
        """Return the documents and what makes tokens of them."""
        left_out: dict[str, list[str]] = {}
        documents = _files(Path(self.path), left_out) if self.path else english()
        notes = [] if self.path else [f"prose out of {', '.join(f'{name} ({it})' for name, it in LICENCES.items())}"]
        # Characters of both parts are known, so that any held-out text has a likelihood; others are learnt.
        known = "\n".join(documents.values()) if self.tokens == "characters" else _parted(documents)[0]
        tokeniser = Tokeniser.of(self.tokens, known, self.vocabulary)
        names = tokeniser.names
        if self.tokens == "characters" and UNKNOWN in set(names) - set(known):
            rare = sorted(set(known) - set(names))
            notes.append(f"rare characters read as {UNKNOWN}: {counted(rare)}")
        return Read(documents, tokeniser, left_out, notes)

    def _data(
        self, read: "Read", training: np.ndarray, held: np.ndarray, numbers: Sequence[np.ndarray], name: str
    ) -> Data:
        """Return rows of tokens to train on and those held out as data; `numbers` are all tokens that were read."""
        tokens = np.concatenate([training, held])
        names = read.tokeniser.names

        def reader(items: Items) -> Int64[np.ndarray, "N T"]:
            return tokens[items].astype(np.int64)

        said = _said(self.tokens, sum(map(len, _parted(read.documents))), numbers, names)
        return Data(
            Path(self.path).name if self.path else name,
            {"tokens": Field("tokens", (self.length,), "int64", names, (len(names),))},
            {"tokens": reader},
            np.arange(len(training)),
            np.arange(len(training), len(tokens)),
            Origin(
                root=self.path or "what is installed",
                what="documents",
                used=len(read.documents),
                found=len(read.documents) + sum(map(len, read.left_out.values())),
                left_out={reason: tuple(each) for reason, each in read.left_out.items()},
                notes=(*read.notes, said),
                files=_digests(read.documents, bool(self.path)),
            ),
        )


@dataclass(frozen=True)
class Read:
    """What stands in files."""

    documents: Mapping[str, str]
    """Texts by name."""
    tokeniser: Tokeniser
    left_out: Mapping[str, Sequence[str]]
    """Names of files without text, by reason."""
    notes: Sequence[str]


@dataclass(frozen=True)
class PassagesConfig(TextConfig):
    """Pieces of the same text, each of one document, with where it comes from: its package, or its folder."""

    count: int = 0
    """Pieces to train on at most, evenly spread; 0 for all. Those held out stay the same."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.count < 0:
            raise ValueError(f"count={self.count}: must not be negative; 0 takes all")

    def load(self) -> Data:
        """Return pieces as "tokens" and where they come from as "label".

        Raises:
            ComponentError: there is too little text, or all of it comes from one place.
        """
        read = self._read()
        places = [name.split("/")[0] if "/" in name else "" for name in read.documents]
        known = sorted(set(places))
        if len(known) < 2:
            raise ComponentError(
                f"{self.path or 'English'}: it comes from one place; give a folder with two folders of texts or more"
            )
        held = set(held_out_by_digest([_digest(text) for text in read.documents.values()]).tolist())
        rows: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
        labels: tuple[list[int], list[int]] = ([], [])
        numbers = [read.tokeniser.encode(text) for text in read.documents.values()]
        for number, tokens in enumerate(numbers):
            pieces = _pieces(tokens, self.length)
            rows[number in held].extend(pieces)
            labels[number in held].extend([known.index(places[number])] * len(pieces))
        if not rows[0] or not rows[1]:
            raise ComponentError(
                f"{self.path or 'English'}: {len(rows[0])} pieces of length={self.length} to train on and "
                f"{len(rows[1])} to hold out; give more text, or lower length"
            )
        count = min(self.count or len(rows[0]), len(rows[0]))
        kept = np.linspace(0, len(rows[0]) - 1, count).astype(np.int64)
        training = np.array(rows[0])[kept]
        stands = np.array([*np.array(labels[0])[kept], *labels[1]])
        data = self._data(read, training, np.array(rows[1]), numbers, "passages")
        fields = {**data.fields, "label": Field("label", (), "int64", tuple(known), (len(known),))}
        return replace(data, fields=fields, readers={**data.readers, "label": lambda items: stands[items]})


def _said(kind: Kind, characters: int, numbers: Sequence[np.ndarray], names: tuple[str, ...]) -> str:
    """Return how much text there is."""
    if kind == "characters":
        return f"{characters:,} characters, {len(names)} different ones"
    whole = np.concatenate(numbers)
    unknown = float((whole == names.index(UNKNOWN)).mean())
    return f"{characters:,} characters in {len(whole):,} tokens, {len(names)} different ones, {unknown:.2%} unknown"


def _files(path: Path, left_out: dict[str, list[str]]) -> dict[str, str]:
    """Return texts by name; notes files that hold none."""
    if not path.exists():
        raise ComponentError(f"{path}: no such file or folder; correct path")
    inside = [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
    found = {}
    for each in inside:
        name = each.name if path.is_file() else each.relative_to(path).as_posix()
        hidden = any(part.startswith(".") for part in Path(name).parts)
        try:
            text = "" if hidden else each.read_bytes().decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
        except UnicodeDecodeError:
            text = "\0"
        except OSError as error:
            left_out.setdefault(f"cannot be read ({error.strerror})", []).append(name)
            continue
        if hidden or "\0" in text or not text.strip():
            reason = "hidden" if hidden else "empty" if not text.strip() else "no text in UTF-8"
            left_out.setdefault(reason, []).append(name)
        else:
            found[name] = text
    if not found:
        wrong = "; ".join(f"{reason}: {counted(names)}" for reason, names in left_out.items())
        raise ComponentError(
            f"{path}: no text in UTF-8{wrong and f' ({wrong})'}; give a text file, or a folder of some"
        )
    return found


def _parted(documents: Mapping[str, str]) -> tuple[str, str]:
    """Return the text to train on and the text held out."""
    texts = list(documents.values())
    if len(set(texts)) == 1:
        border = len(texts[0]) - len(texts[0]) // HELD_OUT_EVERY
        return texts[0][:border], texts[0][border:]
    held = set(held_out_by_digest([_digest(text) for text in texts]).tolist())
    training, tested = (
        "\n".join(text for place, text in enumerate(texts) if (place in held) == part) for part in (False, True)
    )
    return training, tested


def _pieces(numbers: np.ndarray, length: int) -> np.ndarray:
    """Return a stream cut into rows, in a small type; what does not fill the last one is dropped."""
    whole = numbers[: len(numbers) // length * length].reshape(-1, length)
    return whole.astype(np.min_scalar_type(int(whole.max(initial=0))))


def _digests(documents: Mapping[str, str], own: bool) -> dict[str, str]:
    """Return the SHA-256 of every file of the user, or of what comes from each package."""
    if own:
        return {name: _digest(text) for name, text in documents.items()}
    return {
        package: _digest("".join(text for name, text in documents.items() if name.startswith(f"{package}/")))
        for package in LICENCES
    }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
