"""The words of a command line: what both console commands do with them."""

import contextlib
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class UsageError(Exception):
    """A command line that cannot be understood."""


def take(words: list[str], name: str) -> tuple[list[str], str | None]:
    """Take `name VALUE` or `name=VALUE` out of the words.

    Raises:
        UsageError: there is no value, or an empty one.
    """
    for position, word in enumerate(words):
        if word == name and position + 1 < len(words):
            rest, value = words[:position] + words[position + 2 :], words[position + 1]
        elif word == name or word.startswith(f"{name}="):
            rest, value = words[:position] + words[position + 1 :], word.partition("=")[2]
        else:
            continue
        if not value.strip():
            raise UsageError(f"{name} needs a value; leave it out for the default")
        return rest, value
    return words, None


def take_flag(words: list[str], name: str) -> tuple[list[str], bool]:
    """Take a word without a value out of the words and return whether it was there."""
    return [word for word in words if word != name], name in words


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


def parsed(config_class: Any, words: list[str], program: str, said: str, **options: Any) -> Any:
    """Return `config_class` with the fields that the words set; `--help` prints and exits.

    Args:
        config_class: a dataclass.
        words: of the command line.
        program: its command, for the help.
        said: what the command does.
        options: further ones of `tyro.cli`, such as `default`.

    Raises:
        UsageError: an option is unknown or a value is wrong, in one line.
    """
    import tyro

    kinds = options.pop("config", (tyro.conf.FlagConversionOff,))
    helping = "-h" in words or "--help" in words
    with contextlib.nullcontext() if helping else _in_one_line():
        return tyro.cli(config_class, args=words, prog=program, description=said, config=kinds, **options)


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
    meant = [line.split()[0] for part in paragraphs[1:] if "meant" in part[0] for line in part if line[:2] == "--"]
    hint = f"; did you mean {' or '.join(dict.fromkeys(meant))}?" if meant else ""
    place = re.match(r"Error parsing ([\w.]+): (?=[\w.]+=)", message)  # of a dataclass, which does not know where it is
    if place is not None:
        said = message[place.end() :]
        message = said if said.startswith(f"{place[1].partition('.')[0]}.") else f"{place[1]}.{said}"
    return message + hint
