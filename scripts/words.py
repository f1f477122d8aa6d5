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
    boxes, width = io.StringIO(), os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "4000"  # so that no word is broken
    try:
        with contextlib.redirect_stderr(boxes), contextlib.redirect_stdout(boxes):
            yield
    except SystemExit as error:
        if not error.code:
            raise
        raise UsageError(_unboxed(boxes.getvalue())) from None
    finally:
        if width is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = width


def _unboxed(text: str) -> str:
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).strip("│╭╮╰╯─ ") for line in text.splitlines() if "╭" not in line]
    parts = " ".join(line or "|" for line in lines).split("|")
    message = parts[0].strip() or " ".join(text.split())
    names = re.findall(r"(?:^|\s)(--[a-z0-9._-]+)", parts[1]) if len(parts) > 1 and "meant" in parts[1] else []
    hint = f"; did you mean {' or '.join(dict.fromkeys(names))}?" if names else ""
    return re.sub(r"^Error parsing [\w.-]+: (?=\S+=)", "", message) + hint
