"""The one reader and writer of YAML: what a file says is what a person reads in it, or it is refused.

YAML 1.1, which PyYAML reads, takes `no` for false, `010` for 8, `12:30` for 750, `1e3` for text and the last of two
equal keys for the value. Here numbers and words are those of YAML 1.2's core schema, and what the two versions read as
different things (`no`, `010`, `1_000`) is refused with the line it stands in, and so is a key that is there twice.
"""

import copy
import functools
import re
from collections.abc import Hashable
from typing import Any

import yaml

from generative.core.options import ComponentError

UNCLEAR = "!unclear"
"""Tag of words and numbers that YAML's versions read as different things."""
_WORDS = {
    **dict.fromkeys(("yes", "on", "y"), "true"),
    **dict.fromkeys(("no", "off", "n"), "false"),
}
_PLAIN = (
    ("tag:yaml.org,2002:null", r"~|null|Null|NULL|", "~nN"),
    ("tag:yaml.org,2002:bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    (UNCLEAR, r"yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF|y|Y|n|N", "yYnNoO"),
    (UNCLEAR, r"[-+]?0[0-9_]+|[-+]?[0-9][0-9.]*_[0-9_.]*", "-+0123456789"),
    ("tag:yaml.org,2002:int", r"[-+]?(?:0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "tag:yaml.org,2002:float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("tag:yaml.org,2002:merge", r"<<", "<"),
)
"""What plain words stand for, the first that fits: tag, pattern, first characters."""


def _resolvers() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    found: dict[str, list[tuple[str, re.Pattern[str]]]] = {"": [(_PLAIN[0][0], re.compile(r"\Z"))]}
    for tag, pattern, starts in _PLAIN:
        for start in starts:
            found.setdefault(start, []).append((tag, re.compile(rf"(?:{pattern})\Z")))
    return found


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = _resolvers()


class _Dumper(yaml.SafeDumper):
    """Quotes every text that `_Loader`, or a reader of YAML 1.1, would take for something else."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        start: [*_resolvers().get(start, ()), *yaml.SafeDumper.yaml_implicit_resolvers.get(start, ())]
        for start in {*_resolvers(), *yaml.SafeDumper.yaml_implicit_resolvers}
    }


def _refused(node: yaml.Node, problem: str) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def _mapping(loader: _Loader, node: yaml.MappingNode) -> Any:
    seen: dict[str, int] = {}
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
            if key.value in seen:
                raise _refused(key, f"`{key.value}` is there twice, first in line {seen[key.value]}; keep one")
            seen[key.value] = key.start_mark.line + 1
    mapping: dict[Hashable, Any] = {}
    yield mapping
    mapping.update(loader.construct_mapping(node))


def _number(loader: _Loader, node: yaml.ScalarNode) -> int | float:
    text = str(loader.construct_scalar(node)).lower()
    try:
        if node.tag.endswith("float"):
            return float(text.replace(".inf", "inf").replace(".nan", "nan"))
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    except ValueError as error:  # Python converts no more than 4,300 digits
        raise _refused(node, f"`{text[:20]}` is no number, or one of too many digits; give a smaller one") from error


def _bool(loader: _Loader, node: yaml.ScalarNode) -> bool:
    text = str(loader.construct_scalar(node)).lower()
    if text not in ("true", "false"):
        raise _refused(node, f"`{text[:20]}` is neither true nor false")
    return text == "true"


def _unclear(loader: _Loader, node: yaml.ScalarNode) -> Any:
    text = str(loader.construct_scalar(node))
    if text.lower() in _WORDS:
        meant = _WORDS[text.lower()]
        raise _refused(node, f'`{text}` may be a word or {meant}; write {meant}, or "{text}" for the word')
    plain = text.replace("_", "")
    sign, digits = (plain[0], plain[1:]) if plain[0] in "-+" else ("", plain)
    raise _refused(
        node, f'`{text}` is read in different ways; write {sign}{digits.lstrip("0") or "0"}, or "{text}" for the text'
    )


_Loader.yaml_constructors = {  # no bytes, sets, dates: what a tag could ask for besides plain types
    **{
        f"tag:yaml.org,2002:{kind}": yaml.SafeLoader.yaml_constructors[f"tag:yaml.org,2002:{kind}"]
        for kind in ("null", "seq", "str")
    },
    "tag:yaml.org,2002:map": _mapping,
    "tag:yaml.org,2002:bool": _bool,
    "tag:yaml.org,2002:int": _number,
    "tag:yaml.org,2002:float": _number,
    UNCLEAR: _unclear,
    None: yaml.SafeLoader.construct_undefined,
}


@functools.lru_cache(64)
def _read(text: str) -> Any:
    """Read a text, once for all who ask for it: a command reads a preset or a run's configuration several times."""
    return yaml.load(text, _Loader)  # a SafeLoader


def read_yaml(text: str | bytes, name: str) -> Any:
    """Return what a YAML text says in plain types.

    Args:
        text: its content; bytes are UTF-8.
        name: of the file, for messages.

    Raises:
        ComponentError: it is no YAML, has a key twice, or says something that YAML's versions read differently; names
            file, line and remedy.
    """
    try:
        return copy.deepcopy(_read(text.decode() if isinstance(text, bytes) else text))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}" if mark else ""
        raise ComponentError(f"{name}{place}: {' '.join((error.problem or str(error)).split())}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ComponentError(f"{name} is no valid YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise ComponentError(f"{name} is no valid YAML for us: it is nested too deeply") from error


def write_yaml(content: object) -> str:
    """Return plain types as a YAML text that `read_yaml` reads as the same."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False)
