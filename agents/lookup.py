"""Looking an implementation up by its name."""

import difflib
import importlib.metadata
from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")
ENTRY_POINT_GROUP = "worldmodels.components"


def choose(classes: Mapping[str, T], name: str, kind: str, seam: str = "") -> T:
    """Return the implementation of this name; `kind` is what it is called in messages.

    With a `seam`, those of installed packages count too: their entry points are called `<seam>.<name>`.

    Raises:
        ValueError: the name is unknown; says which one was probably meant and lists them all. Or a package's
            implementation cannot be imported.
    """
    if name in classes:
        return classes[name]
    points = importlib.metadata.entry_points(group=ENTRY_POINT_GROUP) if seam else ()
    installed = {point.name.removeprefix(f"{seam}."): point for point in points if point.name.startswith(f"{seam}.")}
    if name in installed:
        try:
            found: T = installed[name].load()
        except Exception as error:  # a package may fail in any way while being imported
            value = installed[name].value
            raise ValueError(f"{kind}={name}: cannot import {value!r} ({error}); repair or uninstall it") from error
        return found
    known = sorted({*classes, *installed})
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ValueError(f"{kind}={name!r}: unknown; {hint}known are {', '.join(known)}")
