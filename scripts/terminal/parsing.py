"""The words of a command line: tyro reads them into dataclasses, and its errors become one line."""

import contextlib
import io
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, make_dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

T = TypeVar("T")
SWITCH = {**dict.fromkeys(("true", "yes", "on"), True), **dict.fromkeys(("false", "no", "off"), False)}
"""What can be given for a field that is True or False, in letters of either case."""
REGISTRY = ConstructorRegistry()


class UsageError(Exception):
    """A command line that cannot be understood."""


def folder_of(name: str, runs: Path) -> Path:
    """Return the folder that a RUN argument means: a bare name is one in `runs`, unless such a folder is here.

    Raises:
        UsageError: the name is empty.
    """
    if not name.strip():
        raise UsageError("the name of the run is empty; give a name or a folder")
    named = os.sep in name or (os.altsep or os.sep) in name or name in (os.curdir, os.pardir)
    path = Path(name)
    return path if named or path.is_absolute() or path.exists() else runs / name


def wants_help(words: Sequence[str]) -> bool:
    """Return whether the words ask for help of either length."""
    return not {"-h", "--help", "--help-all"}.isdisjoint(words)


def parsed(
    kind: type[T],
    words: Sequence[str],
    program: str,
    said: str,
    default: T | None = None,
    shown: Mapping[str, str] | None = None,
) -> T:
    """Return a dataclass with the fields that the words set; `--help` and `--help-all` print and exit.

    Args:
        kind: the dataclass.
        words: of the command line.
        program: what is typed before them.
        said: what the command does, in a sentence.
        default: an instance with the defaults; None for those of the class.
        shown: dotted names of the fields that `--help` shows, with what it says of each; None for all.

    Raises:
        UsageError: an option is unknown or a value is wrong, in one line.
    """
    from scripts.terminal.short_help import brief, sentence

    if "--help-all" in words:
        return _tyro(kind, ["--help"], default, prog=program, description=sentence(said))
    if wants_help(words):
        print(brief(program, said, kind, default, shown))
        raise SystemExit(0)
    with _in_one_line():
        return _named(_tyro(kind, words, default, prog=program))


def peeked(kind: type[T], words: Sequence[str], default: T | None = None) -> tuple[T, list[str]]:
    """Return a dataclass with the fields that the words set, and the words that it does not know, in their order.

    What is read so is needed before all other fields are known; then all words are read together (`parsed`).

    Raises:
        UsageError: a value is missing or empty.
    """
    with _in_one_line():
        found, others = _tyro(kind, words, default, return_unknown_args=True, add_help=False)
    return _named(found), others


def peeked_below(name: str, words: Sequence[str]) -> tuple[dict[str, list[str]], list[str]]:
    """Return the values given for a field and for what lies in it, by dotted names, and the other words.

    tyro knows no keys of a mapping but those that its default has. It is told of the keys in the words here.
    """
    typed = [word.partition("=")[0].removeprefix("--").replace("-", "_") for word in words if word.startswith("--")]
    found = [each for each in dict.fromkeys(typed) if each == name or each.startswith(f"{name}.")]
    kinds = [(f"key{n}", Annotated[tuple[str, ...], tyro.conf.arg(name=each)]) for n, each in enumerate(found)]
    values: Any = None
    values, others = peeked(make_dataclass("Below", kinds, frozen=True), words)
    return {each: list(value) for each, value in zip(found, vars(values).values(), strict=True)}, others


def first_of(others: Sequence[str]) -> str | None:
    """Return the RUN or MODEL among the words that `peeked` does not know: the first, if it is no option.

    Only the first word can be told from the value of an option that is not known yet.
    """
    return others[0] if others and not others[0].startswith("-") else None


def in_one_word(kind: object) -> bool:
    """Return whether a dataclass is written in one word, such as a reference to a run."""
    return is_dataclass(kind) and hasattr(kind, "of_word")


def section(kind: Any, said: str | None = None, name: str | None = None) -> Any:
    """Return the type of a field as tyro shall read it: with `True` and `False` as values, this help and this name."""
    return Annotated[kind, tyro.conf.FlagConversionOff, tyro.conf.arg(help=said, name=name)]


def _tyro(kind: Any, words: Sequence[str], default: Any, **options: Any) -> Any:
    marks = (tyro.conf.AvoidSubcommands, tyro.conf.FlagCreatePairsOff, tyro.conf.PositionalMetavarFromFieldName)
    if default is not None:
        options["default"] = default
    return tyro.cli(kind, args=words, config=marks, registry=REGISTRY, **options)


@REGISTRY.primitive_rule
def _switch(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[bool] | None:
    """Say how tyro reads True and False: it takes no other words by itself."""
    if info.type is not bool:
        return None

    def read(words: list[str]) -> bool:
        if words[0].lower() not in SWITCH:
            raise ValueError(f"{words[0]} is neither True nor False")
        return SWITCH[words[0].lower()]

    return PrimitiveConstructorSpec(
        1, "{True,False}", read, lambda value: isinstance(value, bool), lambda value: [str(value)]
    )


@REGISTRY.primitive_rule
def _word(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """Say how tyro reads a dataclass that is written in one word."""
    kind: Any = info.type
    if not in_one_word(kind):
        return None
    return PrimitiveConstructorSpec(
        1,
        "RUN",
        lambda words: kind.of_word(words[0]),
        lambda value: isinstance(value, kind),
        lambda value: [str(value)],
    )


def _named(found: T) -> T:
    """Refuse an empty value of an option that may be left out."""
    for item in fields(found):  # type: ignore[arg-type]
        value, positional = getattr(found, item.name), tyro.conf.Positional in get_args(item.type)
        if item.default is None and not positional and isinstance(value, str) and not value.strip():
            option = f"--{item.name.replace('_', '-')}"
            raise UsageError(f"{option} needs a value; leave it out for the default")
    return found


@contextlib.contextmanager
def _in_one_line() -> Iterator[None]:
    """Turn what tyro writes into boxes before it exits into the message of a UsageError."""
    boxes, width = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "4000"  # so that no word is broken
    try:
        with contextlib.redirect_stderr(boxes), contextlib.redirect_stdout(boxes):
            yield
    except SystemExit as error:
        if not error.code:
            raise
        boxes.seek(0)
        raise UsageError(_unboxed(boxes.read())) from None
    finally:
        if width is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = width


def _unboxed(text: str) -> str:
    """Return the first paragraph of tyro's box, and the options that it takes for meant."""
    paragraphs: list[list[str]] = [[]]
    for line in re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines():
        content = line.strip("│ ")
        if content[:1] in ("╭", "╰"):  # the box's title and its end
            continue
        if content and not content.strip("─"):
            paragraphs.append([])
        elif content:
            paragraphs[-1].append(content)
    message = " ".join(paragraphs[0]) or " ".join(text.split())
    if missing := re.match(r"Missing value for argument '([^ ']+)", message):
        return f"{missing[1]} needs a value; leave it out for the default"
    if needed := re.match(r"Missing from ([^:]+): (\S+)", message):
        return f"{needed[2]} is missing; `{needed[1]} --help` explains it"
    meant = [line.split()[0] for part in paragraphs[1:] if "meant" in part[0] for line in part if line[:2] == "--"]
    hint = f"; did you mean {' or '.join(dict.fromkeys(meant))}?" if meant else ""
    place = re.match(r"Error parsing ([\w.]+): (?=[\w.]+=)", message)  # of a dataclass, which does not know where it is
    if place is not None:
        said = message[place.end() :]
        message = said if said.startswith(f"{place[1].partition('.')[0]}.") else f"{place[1]}.{said}"
    return message + hint
