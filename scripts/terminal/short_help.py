"""The short help of a command: what it does, and the settings that people change, each in one line.

tyro explains every field in full, which for a whole run takes many screens. This reads the same dataclasses.
"""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from itertools import pairwise
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import tyro

COLUMNS = 100
"""Most characters of a line."""
VALUE = 10
"""Characters of the column of defaults; longer ones take some of the line's other words."""


class Setting(NamedTuple):
    """One field of a command line."""

    name: str
    """Dotted, as in a configuration file."""
    word: str
    """What is typed: `--collect.episodes`, or `RUN` for a positional."""
    value: str
    """The default; empty where there is none."""
    said: str


def brief(program: str, about: str, kind: type, default: object = None, shown: Mapping[str, str] | None = None) -> str:
    """Return the short help of a command.

    Args:
        program: what is typed before its words.
        about: what it does, in a sentence; further paragraphs stand below it, indented ones as they are.
        kind: the dataclass that its words fill.
        default: an instance with the defaults; None for those of the class.
        shown: dotted names of the fields to show, in this order, with what is said of each; empty for the first
            sentence below the field. Unknown ones are left out. None for all.
    """
    found = list(settings_of(kind, default))
    if shown is not None:
        named = {each.name: each for each in found}
        found = [named[name]._replace(said=said or named[name].said) for name, said in shown.items() if name in named]
    positional = [each.word for each in found if not each.word.startswith("--")]
    options = ["[--OPTION VALUE ...]"] if len(found) > len(positional) else []
    parts = [
        " ".join(["usage:", program, *positional, *options]),
        *(textwrap.fill(each, COLUMNS) if each[0] != " " else each for each in sentence(about).split("\n\n")),
        "\n".join(_table([each for each in found if "." not in each.name])),
        "\n".join(_table([each for each in found if "." in each.name])),
        ("The middle column has the defaults. " if options else "")
        + f"`{program} --help-all` shows all fields in full.",
    ]
    return "\n\n".join(part for part in parts if part)


def sentence(said: str) -> str:
    """Return what a command does as a sentence, with the paragraphs that follow."""
    first, gap, more = said.partition("\n\n")
    return f"{first[:1].upper()}{first[1:].rstrip('.')}.{gap}{more}"


def settings_of(kind: type, default: object = None, prefix: str = "") -> Iterator[Setting]:
    """Yield the fields of a dataclass and of those in it, in their order."""
    hints, said = get_type_hints(kind, include_extras=True), notes(kind)
    for item in fields(kind):
        hint = hints[item.name]
        own = {key: value for each in get_args(hint)[1:] for key, value in _own(each)}
        name = f"{prefix}{own.get('name') if own.get('name') is not None else item.name}".rstrip(".")
        value = _default(item) if default is None else getattr(default, item.name)
        if is_dataclass(value) and not hasattr(value, "of_word"):
            yield from settings_of(type(value), value, f"{name}." if name else "")
            continue
        positional = tyro.conf.Positional in get_args(hint)[1:]
        word = f"--{name.replace('_', '-')} {own.get('metavar', '')}".rstrip()
        if positional:
            word = own.get("metavar", item.name.upper())
        switch = value is False and not prefix
        note = own.get("help") or said.get(item.name, "")
        yield Setting(name, word, "" if positional or switch else _plain(value), _with_choices(note, hint))


def notes(kind: type) -> dict[str, str]:
    """Return what stands below the fields of a dataclass, its parents' included."""
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        if not is_dataclass(each):
            continue
        try:
            (tree,) = ast.parse(textwrap.dedent(inspect.getsource(each))).body
        except (OSError, TypeError):  # made while running, without a source
            continue
        body = tree.body if isinstance(tree, ast.ClassDef) else []
        for line, below in pairwise(body):
            if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and isinstance(below, ast.Expr):
                found[line.target.id] = " ".join(str(ast.literal_eval(below.value)).split())
    return found


def _own(marker: object) -> list[tuple[str, Any]]:
    """Return what `tyro.conf.arg` says otherwise of a field."""
    return [
        (key, getattr(marker, key)) for key in ("name", "metavar", "help") if getattr(marker, key, None) is not None
    ]


def _default(item: Field[object]) -> object:
    return item.default if item.default_factory is MISSING else item.default_factory()


def _plain(value: object) -> str:
    """Return a default as it would be typed, cut where it is long."""
    if value is MISSING:
        return "needed"
    if value is None:
        return ""
    if value in ("", (), {}) or str(value) == "":
        return "-"
    if isinstance(value, dict):
        value = [f"{key} {each}" for key, each in value.items()]
    return " ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _with_choices(note: str, hint: object) -> str:
    """Return the first sentence of a note, and the values that a field can have where it does not name them."""
    said = re.split(r"\.(?:\s|$)", note, maxsplit=1)[0]
    while get_origin(hint) is not Literal and get_args(hint):
        hint = get_args(hint)[0]
    choices = [str(each) for each in get_args(hint)]
    return f"{said} ({', '.join(choices)})" if choices and any(each not in said for each in choices) else said


def _table(settings: Sequence[Setting]) -> list[str]:
    width = max((len(each.word) for each in settings), default=0)
    lines = []
    for each in settings:
        begun = f"  {each.word:{width}}  {cut(each.value, 3 * VALUE):{VALUE}}  "
        lines.append(begun + cut(each.said, COLUMNS - len(begun)))
    return [line.rstrip() for line in lines]


def cut(text: str, room: int) -> str:
    """Return a text, or what of it fits: to the last mark after a whole thought, else to the last word."""
    if len(text) <= room:
        return text
    marks = [mark.start() for mark in re.finditer(r"; | \(", text[: room + 2])]
    if marks and marks[-1] >= room // 2:
        return text[: marks[-1]]
    words = text[: room - 1].rpartition(" ")[0] or text[: room - 1]
    return f"{words.rstrip(',:')}…"
