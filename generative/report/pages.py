"""Pages for the eye: one HTML file each, that needs no other file, from jinja2 templates that escape what they show.

A page's template builds on `base.html` and uses the macros of `macros.html`. Its values are prepared as plain text and
numbers; the only markup among them are the drawings of `generative.report.plots.svg`.
"""

import base64
import functools
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from jinja2 import Environment
else:
    Environment = Any

TYPES = {
    b"\x89PNG": "image/png",
    b"GIF8": "image/gif",
    b"RIFF": "image/webp",
    b"\x1aE\xdf\xa3": "video/webm",
    b"MThd": "audio/midi",
}
"""The first bytes of files that a page can show, play or hand out."""


class Remark(NamedTuple):
    """A cell of a table with something smaller after it, such as an interval."""

    text: str
    note: str


class Share(NamedTuple):
    """A cell of a table that shows a share of 1 as a bar."""

    share: float | int


def render(package: str, template: str, **values: Any) -> str:
    """Return a page.

    Args:
        package: the package in whose folder `templates` the template lies.
        template: its name.
        values: `title`, `kind` (what page it is), `facts` (names and values for its end), `warnings` with their title
            `warned`, and what the template reads besides.
    """
    defaults = {"facts": {}, "warnings": (), "warned": "Read this first"}
    return _environment(package).get_template(template).render(defaults | values)


@functools.cache
def _environment(package: str) -> Environment:
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined  # only for pages

    loader = ChoiceLoader([PackageLoader(package), PackageLoader(__package__)])
    found = Environment(autoescape=True, loader=loader, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    found.filters |= {each.__name__: each for each in (number, duration, media_type, data_url)}
    return found


def number(value: float | int, significant: int | None = None) -> str:
    """Return a number with one decimal, or so many significant digits, and a typographic minus."""
    return (f"{value:,.1f}" if significant is None else f"{value:.{significant}g}").replace("-", "−")


def duration(seconds: float | int) -> str:
    """Return seconds as text, in seconds, minutes or hours by their size."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def media_type(content: bytes, name: str) -> str:
    """Return the MIME type of a picture, film or sound; ValueError, with its name, where a page cannot show it."""
    found = "audio/wav" if content[:4] == b"RIFF" and content[8:12] == b"WAVE" else TYPES.get(content[:4])
    if found is None or (found == "image/webp" and content[8:12] != b"WEBP"):
        raise ValueError(f"{name}: no PNG, GIF, WebP, WebM, WAV or MIDI; write it with generative.report.media")
    return found


def data_url(content: bytes, name: str) -> str:
    """Return a picture, film or sound as a data URL."""
    return f"data:{media_type(content, name)};base64,{base64.b64encode(content).decode('ascii')}"
