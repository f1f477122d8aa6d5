"""English prose that is there offline: CPython's reference, and sentences out of docstrings of required packages.

Only packages that this project requires are read, so that everybody has them, and only those whose licence lets anybody
use and pass on their text (see `LICENCES`). Nothing of them is kept here.
"""

import importlib.util
import re
import sysconfig
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

_BSD = "BSD-3-Clause"
LICENCES = {"CPython": "PSF-2.0", "NumPy": _BSD, "SciPy": _BSD, "scikit-learn": _BSD, "PyTorch": _BSD}
"""What is read, and its licence as SPDX names it."""
LEFT_OUT = frozenset(("test", "tests", "testing", "idlelib", "lib2to3", "encodings", "site-packages", "dist-packages"))
"""Folders without prose, or of others."""
SHORTEST = 80
"""Characters of a paragraph at least; shorter ones are mostly headings and signatures."""
WORDS = 0.93
"""Share of letters and spaces at least; tables, code and formulas have less."""
KNOWN_RUN = 5
"""Words of a run by which a paragraph is known again."""
KNOWN = 0.5
"""Share of a paragraph's runs, of which more make it a near copy: docstrings are copied between functions."""
_DOCSTRING = re.compile(r'"""(.*?)"""', re.DOTALL)
_GAP = re.compile(r"\n\s*\n")
_FIELD = re.compile(r"[A-Z][a-z]+( [A-Z][a-z]+)?:|.*(-{3}|={3}|>>>|\.\. )")  # Args:, underlined headings, examples


@cache
def english() -> Mapping[str, str]:
    """Return documents by name, such as "CPython/collections/abc.py"; no paragraph comes twice or nearly so.

    Else text that is held out would in part be text that was trained on.
    """
    seen: set[str] = set()
    found = {}
    for name, source in _sources():
        fresh = [each for each in _prose(source) if _is_new(each, seen)]
        if fresh:
            found[name] = "\n".join(fresh) + "\n"
    return found


def _is_new(paragraph: str, seen: set[str]) -> bool:
    """Return whether a paragraph is no near copy of those before it; notes its runs of words."""
    words = paragraph.split()
    runs = {" ".join(words[first : first + KNOWN_RUN]) for first in range(max(1, len(words) - KNOWN_RUN + 1))}
    known = len(runs & seen)
    seen |= runs
    return known <= KNOWN * len(runs)


def _sources() -> Iterator[tuple[str, list[str]]]:
    """Yield names and the texts in them."""
    from pydoc_data import topics  # half a megabyte that only this reads

    for name, text in sorted(topics.topics.items()):
        yield f"CPython/topics/{name}", [text]
    for package, root in _roots().items():
        for path in sorted(root.rglob("*.py")):
            inner = path.relative_to(root)
            if not LEFT_OUT & set(inner.parts) and "pydoc_data" not in inner.parts:
                text = path.read_text(encoding="utf-8", errors="replace")
                yield f"{package}/{inner.as_posix()}", _DOCSTRING.findall(text)


def _roots() -> dict[str, Path]:
    """Return the folder of the standard library, and those of the packages by their import names."""
    found = {"CPython": Path(sysconfig.get_paths()["stdlib"])}
    for package, name in {"NumPy": "numpy", "SciPy": "scipy", "scikit-learn": "sklearn", "PyTorch": "torch"}.items():
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations:
            found[package] = Path(spec.submodule_search_locations[0])
    return found


def _prose(texts: list[str]) -> Iterator[str]:
    """Yield whole sentences, a paragraph on a line."""
    for text in texts:
        for part in _GAP.split(text):
            paragraph = " ".join(part.split())
            words = sum(letter.isalpha() or letter == " " for letter in paragraph)
            if (
                len(paragraph) >= SHORTEST
                and paragraph[0].isupper()
                and paragraph.endswith(".")
                and words >= WORDS * len(paragraph)
                and not _FIELD.match(paragraph)
            ):
                yield paragraph
