"""What the page says to the server, checked word by word, and what the server answers.

Each message is a JSON object whose `do` names what is wanted, and gets one answer. Errors and facts are JSON. What is
to be seen is binary: the length of a JSON header (4 bytes, the lowest first), the header, then the frames' bytes, RGB,
in the order in which the header names them.
"""

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8

from generative.core.facts import Facts, FactsView
from generative.core.options import check_numbers, config_from_mapping
from generative.report.images import as_rgb
from worldmodels.dream.dials import Dials, NoiseKind
from worldmodels.play.session import Restart
from worldmodels.play.wheel import Wheel


@dataclass(frozen=True)
class TakeStep:
    """Take a step."""

    x: float = 0.0
    y: float = 0.0
    choice: int = 0
    agent: bool = False
    """Whether the agent drives."""
    sees: Literal["dream", "real"] = "real"
    """Which world the agent looks at where both are driven in."""
    expectation: bool = True
    """Whether what the memory expected is shown too."""

    def wheel(self) -> Wheel | None:
        """Return the driver's wheel, None where the agent drives."""
        return None if self.agent else Wheel(self.x, self.y, self.choice)


@dataclass(frozen=True)
class Turn:
    """Turn the dials; latents are `[dimension, value]`."""

    temperature: float = 1.0
    noise: NoiseKind = "mixture"
    endless: bool = False
    held: tuple[tuple[int, float], ...] = ()
    pushed: tuple[tuple[int, float], ...] = ()

    def dials(self) -> Dials:
        """Return the dials."""
        return Dials(self.temperature, self.noise, self.endless, dict(self.held), dict(self.pushed))


@dataclass(frozen=True)
class Record:
    """Begin or end recording."""

    on: bool


@dataclass(frozen=True)
class Develop:
    """Send the film."""

    format: str = "webm"
    fps: float = 25.0

    def __post_init__(self) -> None:
        if not 1 <= self.fps <= 100:
            raise ValueError(f"fps={self.fps}: must be from 1 to 100")


@dataclass(frozen=True)
class Swap:
    """Take a part of another run."""

    part: str
    run: str


Message = TakeStep | Restart | Turn | Record | Develop | Swap
KINDS: dict[str, type[Any]] = {
    "step": TakeStep,
    "restart": Restart,
    "turn": Turn,
    "record": Record,
    "film": Develop,
    "swap": Swap,
}


def parse(text: str) -> Message:
    """Return what a message asks for.

    Raises:
        ValueError: it is no such message; says which word is wrong.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"message: not JSON ({error})") from error
    if not isinstance(content, dict):
        raise ValueError(f"message: a JSON object is needed, got {type(content).__name__}")
    kind = content.pop("do", None)
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"do={str(kind)[:40]!r}: choose {', '.join(KINDS)}")
    check_numbers(content, kind)
    message: Message = config_from_mapping(KINDS[kind], content)
    return message


def as_json(facts: FactsView) -> str:
    """Return facts as JSON, without numbers that JSON does not have."""
    return json.dumps(_plain(facts), allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, str | bool | int | NoneType):
        return value
    if isinstance(value, Sequence):
        return [_plain(each) for each in value]
    return round(float(value), 5) if np.isfinite(value) else None


def as_bytes(facts: Facts, frames: Mapping[str, UInt8[np.ndarray, "H W C"]]) -> bytes:
    """Return facts and frames as one binary message."""
    coloured = {name: np.ascontiguousarray(as_rgb(frame)) for name, frame in frames.items()}
    header = facts | {"frames": [[name, *frame.shape[:2]] for name, frame in coloured.items()]}
    return b"".join([_head(header), *(frame.tobytes() for frame in coloured.values())])


def film_as_bytes(name: str, content: bytes) -> bytes:
    """Return a film as one binary message."""
    return _head({"film": name}) + content


def _head(facts: FactsView) -> bytes:
    header = as_json(facts).encode()
    return struct.pack("<I", len(header)) + header
