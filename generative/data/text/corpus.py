"""Text as tokens: the user's own files, or English that is there offline.

A text is a stream. An item is a piece of it, and the next item goes on where it ends, so that contiguous batches (see
`Batches`) can be read with a state that is carried on. Whole documents are held out, chosen by their content, so that a
copy is never on both sides; of a single document the last tenth is.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
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
    """What a token is. byte-pair and word-piece need `pip install 'worldmodels[text]'`; word-piece does not keep
    line ends, nor whether a space stands before a mark."""

    def __post_init__(self) -> None:
        for name, least in (("length", 1), ("vocabulary", 2)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)}: give {least} or more")

    def load(self) -> Data:
        """Return the pieces as the field "tokens"; raise ComponentError where there is too little text, or none."""
        left_out: dict[str, list[str]] = {}
        documents = _files(Path(self.path), left_out) if self.path else english()
        notes = [] if self.path else [f"prose out of {', '.join(f'{name} ({it})' for name, it in LICENCES.items())}"]
        parts = _parted(documents)
        # Characters of both parts are known, so that any held-out text has a likelihood; others are learnt.
        known = "\n".join(documents.values()) if self.tokens == "characters" else parts[0]
        tokeniser = Tokeniser.of(self.tokens, known, self.vocabulary)
        names = tokeniser.names
        if self.tokens == "characters" and UNKNOWN in set(names) - set(known):
            rare = sorted(set(known) - set(names))
            notes.append(f"rare characters read as {UNKNOWN}: {counted(rare)}")
        numbers = [tokeniser.encode(part) for part in parts]
        pieces = [_pieces(each, self.length) for each in numbers]
        for part, what in zip(pieces, ("train on", "hold out"), strict=True):
            if not len(part):
                raise ComponentError(
                    f"{self.path or 'English'}: less than length={self.length} {self.tokens} to {what}; "
                    "give more text, or lower length"
                )
        tokens = np.concatenate(pieces)

        def read(items: Items) -> Int64[np.ndarray, "N T"]:
            return tokens[items].astype(np.int64)

        return Data(
            Path(self.path).name if self.path else "text",
            {"tokens": Field("tokens", (self.length,), "int64", names, (len(names),))},
            {"tokens": read},
            np.arange(len(pieces[0])),
            np.arange(len(pieces[0]), len(tokens)),
            Origin(
                root=self.path or "what is installed",
                what="documents",
                used=len(documents),
                found=len(documents) + sum(map(len, left_out.values())),
                left_out={reason: tuple(each) for reason, each in left_out.items()},
                notes=(*notes, _said(self.tokens, sum(map(len, parts)), numbers, names)),
                files=_digests(documents, bool(self.path)),
            ),
        )


def _said(kind: Kind, characters: int, numbers: list[np.ndarray], names: tuple[str, ...]) -> str:
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
