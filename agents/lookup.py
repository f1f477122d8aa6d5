"""Looking an implementation up by its name."""

import difflib
from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


def choose(classes: Mapping[str, T], name: str, kind: str) -> T:
    """Return the implementation of this name; `kind` is what it is called in messages.

    Raises:
        ValueError: the name is unknown; says which one was probably meant and lists them all.
    """
    if name in classes:
        return classes[name]
    near = difflib.get_close_matches(name, classes, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ValueError(f"{kind}={name!r}: unknown; {hint}known are {', '.join(sorted(classes))}")
