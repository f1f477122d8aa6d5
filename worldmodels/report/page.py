"""Pieces of the report's page: tables, pictures, films and figures as HTML, and the style sheet."""

import base64
from collections.abc import Sequence
from html import escape
from typing import Any

MANY = 3
"""Columns from which on a narrow screen shows a table row by row, each cell beside the name of its column."""


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Column names are escaped here; cells come escaped, since some hold markup."""
    names = [escape(str(column)) for column in columns]
    head = "".join(f"<th>{name}</th>" for name in names)
    kind = ' class="many"' if len(columns) >= MANY else ""
    body = "".join(
        "<tr>"
        + "".join(f"<td{_label(name, kind)}>{cell}</td>" for name, cell in zip(names, row, strict=True))
        + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table{kind}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _label(name: str, kind: str) -> str:
    return f' data-name="{name}"' if kind and name else ""


def details(title: str, body: str) -> str:
    """Return a block that opens on a click; the title is escaped here, the body comes as markup."""
    return f"<details><summary>{escape(title)}</summary>{body}</details>"


def plot(svg: str, caption: str = "") -> str:
    """Return a figure around an SVG drawing, with a caption if there is one."""
    note = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f'<figure class="plot"><div class="wide">{svg}</div>{note}</figure>'


def picture(name: str, png: bytes, caption: str) -> str:
    """Return a PNG picture, embedded in the page, with its caption; another format is a ValueError."""
    if not png.startswith(b"\x89PNG"):
        raise ValueError(f"images[{name!r}] is not a PNG file: encode it with worldmodels.report.video.png_bytes")
    return media(f'<img alt="{escape(name)}" src="{data_url("image/png", png)}">', caption)


def film(name: str, film: bytes, caption: str) -> str:
    """Return a WebM or animated WebP film, embedded in the page, with its caption; another format is a ValueError."""
    if film.startswith(b"\x1aE\xdf\xa3"):
        source = data_url("video/webm", film)
        return media(f'<video autoplay loop muted playsinline controls src="{source}"></video>', caption)
    if film.startswith(b"RIFF") and film[8:12] == b"WEBP":
        return media(f'<img alt="{escape(name)}" src="{data_url("image/webp", film)}">', caption)
    raise ValueError(f"videos[{name!r}] is neither WebM nor WebP: write it with worldmodels.report.video.write_webm")


def media(element: str, caption: str) -> str:
    """Return a figure around a picture or film element, with its escaped caption."""
    return f'<figure class="media">{element}<figcaption>{escape(caption)}</figcaption></figure>'


def data_url(kind: str, content: bytes) -> str:
    """Return content as a data URL of a MIME type, so that the page needs no other file."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def number(value: float | int, significant: int | None = None) -> str:
    """One decimal, or so many significant digits; with a typographic minus."""
    return (f"{value:,.1f}" if significant is None else f"{value:.{significant}g}").replace("-", "−")


def duration(seconds: float | int) -> str:
    """Return seconds as text, in seconds, minutes or hours by their size."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def cell(value: Any) -> str:
    """Return a value as the escaped text of a table cell; None leaves it empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.1f}" if isinstance(value, float) else escape(str(value))


CSS = """
:root { color-scheme: light dark; --page: #f6f7f9; --card: #fff; --ink: #1f2431; --muted: #687083;
  --line: #e2e5eb; --accent: #2f6fde; --warn: #9a4a00; --warn-page: #fff4e5;
  --plot-ink: #1f2431; --plot-grid: #e2e5eb }
@media (prefers-color-scheme: dark) { :root { --page: #14171d; --card: #1c2028; --ink: #e8eaf0;
  --muted: #98a1b3; --line: #2f3541; --accent: #7aa7ff; --warn: #ffc078; --warn-page: #33260f;
  --plot-ink: #d5d9e2; --plot-grid: #343b48 } }
* { box-sizing: border-box }
body { margin: 0; background: var(--page); color: var(--ink); -webkit-text-size-adjust: 100%;
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif }
main { max-width: 1000px; margin: 0 auto; padding: 2.5rem 1.25rem 4rem }
h1 { font-size: clamp(1.7rem, 5vw, 2.5rem); line-height: 1.15; margin: 0; overflow-wrap: anywhere;
  letter-spacing: -.02em }
h2 { font-size: 1.3rem; margin: 0 0 .75rem; letter-spacing: -.01em }
h3 { font-size: 1rem; margin: 1.75rem 0 .5rem }
p { margin: 0 0 .75rem } figure { margin: 0 0 1.25rem }
.eyebrow, dt { font-size: .78rem; color: var(--muted); margin: 0 } .eyebrow { font-weight: 600 }
.muted, figcaption { color: var(--muted); font-size: .9rem } figcaption { margin-top: .4rem }
dl, dd { margin: 0 } dd { overflow-wrap: anywhere; font-size: .92rem }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(12rem, 45%), 1fr));
  gap: .7rem 1.5rem; margin: 1.25rem 0 0 }
section, .card, .hero > figure { background: var(--card); border: 1px solid var(--line); border-radius: 14px;
  padding: 1.5rem; margin: 0 0 1.25rem }
.hero { display: flex; flex-wrap: wrap; gap: 0 1.25rem; align-items: stretch } .hero > * { flex: 1 1 20rem }
.score { font-size: clamp(3.4rem, 11vw, 5.2rem); font-weight: 700; line-height: 1; letter-spacing: -.04em;
  margin: .35rem 0; font-variant-numeric: tabular-nums }
.interval { font-size: 1.15rem; font-weight: 600; color: var(--accent) }
.tiles { display: grid; grid-template-columns: repeat(4, 1fr); gap: .75rem;
  border-top: 1px solid var(--line); padding-top: 1rem; margin-top: 1rem }
.tiles dd { font-size: 1.1rem; font-weight: 600; font-variant-numeric: tabular-nums }
.warnings { background: var(--warn-page); color: var(--warn); border-radius: 14px; padding: 1rem 1.5rem;
  margin: 0 0 1.25rem } .warnings ul { margin: .25rem 0 0; padding-left: 1.2rem }
.verdict { border-left: 3px solid var(--accent); padding-left: .8rem }
.wide { overflow-x: auto } .plot svg { display: block; width: 100%; min-width: 17rem; height: auto }
.plot svg text { font-family: inherit !important }
section > :last-child { margin-bottom: 0 }
.media { overflow-x: auto } .wide + .media { margin-top: 1.25rem }
.media img, .media video { display: block; max-width: 100%; height: auto; margin: 0 auto;
  border-radius: 6px; image-rendering: pixelated }
.wide + p { margin-top: .6rem } header { margin-bottom: 1.75rem }
.hero .media { margin-bottom: 1.25rem } .hero .media video, .hero .media img { width: 100% }
table { border-collapse: collapse; width: 100%; font-size: .92rem; font-variant-numeric: tabular-nums }
th { text-align: left; font-weight: 600; color: var(--muted); font-size: .82rem }
th, td { padding: .4rem .9rem .4rem 0; border-bottom: 1px solid var(--line); white-space: nowrap }
td:first-child { white-space: normal } td > span > .muted { display: block; font-size: .86em }
.bar { display: block; width: 12rem; height: .55rem; border-radius: 4px; background: var(--line) }
.bar i { display: block; height: 100%; border-radius: 4px; background: var(--accent) }
details { margin-top: 1rem } summary { cursor: pointer; color: var(--accent); font-weight: 600 }
details .wide { max-height: 28rem; overflow-y: auto; margin-top: .5rem }
pre, code { font: .86rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace }
pre { background: var(--page); border: 1px solid var(--line); border-radius: 8px; padding: .8rem 1rem;
  margin: .5rem 0; overflow-x: auto } code { overflow-wrap: anywhere }
@media (max-width: 40rem) { main { padding: 1.25rem .75rem 2rem } section, .card { padding: 1rem }
  .hero > figure { padding: 1rem } .tiles { grid-template-columns: repeat(2, 1fr) } .bar { width: 4rem }
  section .media img { max-width: none } th, td { white-space: normal } pre { white-space: pre-wrap }
  .many, .many tbody, .many tr { display: block } .many thead { display: none }
  .many tr { border-bottom: 1px solid var(--line); padding: .5rem 0 }
  .many td { display: flex; gap: 1rem; justify-content: space-between; border: 0; padding: .1rem 0;
    text-align: right; overflow-wrap: anywhere }
  .many td:empty { display: none } .many td:first-child { font-weight: 600; text-align: left }
  .many td[data-name]::before { content: attr(data-name); color: var(--muted); font-weight: 400; text-align: left;
    flex: 0 0 auto; max-width: 45% }
  .many .bar { align-self: center } }
@media print { body { background: #fff } section, .card { break-inside: avoid } }
"""
