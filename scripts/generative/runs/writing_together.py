"""A text that a person and a model write together, word by word."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch

from generative.data.text.padded import until_end
from generative.data.text.tokenisers import Tokeniser

DRAWS = 100
"""Continuations that words to choose from are taken from."""
AHEAD = 16
"""Tokens of each; a word ends within them, or is offered as far as it goes."""
_WORD = re.compile(r"\s*(\w+|[^\w\s])|\s+")


def written_together(
    model: Any, tokeniser: Tokeniser, dials: Any, generator: torch.Generator, prompt: str, stop: str, offers: int
) -> str:
    """Return a text that a person writes with a model, word by word; an empty line or the end of the input ends it.

    Args:
        model: writes on.
        tokeniser: of its tokens.
        dials: of its draws; their length is that of a look ahead for whole words.
        generator: for the draws.
        prompt: the beginning of the text.
        stop: what ends the text once it was written; nothing does where it is empty.
        offers: words to choose from.
    """
    text = prompt
    print("Type the number of a word, words of your own, or nothing to end.")
    while not (stop and stop in text[len(prompt) :]):
        known = words_offered(model, tokeniser, text, dials, generator, offers)
        print(f"\n{text}_")
        print("  ".join(f"{number} {word.strip() or 'new line'}" for number, word in enumerate(known, 1)))
        text, again = _with_answer(text, known, tokeniser.encode)
        if not again:
            break
    return text


def _with_answer(text: str, known: Sequence[str], understood: Callable[[str], object]) -> tuple[str, bool]:
    """Return the text with what a person adds to it, and whether it goes on."""
    while True:
        try:
            said = input("> ").strip()
        except EOFError:
            said = ""
        if not said:
            return text, False
        if said.isdecimal() and 1 <= int(said) <= len(known):
            return text + known[int(said) - 1], True
        own = said if not text or text[-1].isspace() or not said[0].isalnum() else f" {said}"
        try:
            understood(text + own)
        except ValueError as error:
            print(error)
            continue
        return text + own, True


def words_offered(
    model: Any, tokeniser: Tokeniser, text: str, dials: Any, generator: torch.Generator, count: int
) -> list[str]:
    """Return the words that most draws of what follows begin with; a word begins with the space before it."""
    prompt = torch.from_numpy(tokeniser.encode(text)).expand(DRAWS, -1)
    drawn = model.generate(prompt, dials.length, dials, generator).tolist()
    found = (_WORD.match("".join(until_end(tokeniser.names, each))) for each in drawn)
    counts = Counter(word[0] for word in found if word is not None)
    return [word for word, _ in counts.most_common(count)]
