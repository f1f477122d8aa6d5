"""One driver: the worlds that are driven in, who holds the wheel, and what there is to see; without any network."""

from dataclasses import dataclass
from threading import Lock
from typing import Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import UInt8

from generative.core.facts import Facts
from worldmodels.dream.dials import Dials
from worldmodels.play.dream_side import DreamSide
from worldmodels.play.parts import RunParts
from worldmodels.play.real_side import RealSide
from worldmodels.play.recording import DriveFilm
from worldmodels.play.wheel import Wheel

Worlds = Literal["dream", "real", "both"]
Start = Literal["initial", "recorded", "here"]


@dataclass(frozen=True)
class Restart:
    """Where the next drive is, and how it begins."""

    worlds: Worlds = "dream"
    """One world, or both side by side with the same actions."""
    start: Start = "initial"
    """initial: the first frame of an episode; side by side the dream begins at the real one. recorded: the dream
    begins inside a recorded episode, after the memory has seen some steps of it. here: the dream begins at the present
    moment of the real drive, which goes on."""
    seed: int = 0
    """Of the dream's start and noise, and of the real track."""

    def __post_init__(self) -> None:
        for name, kind in (("worlds", Worlds), ("start", Start)):
            if getattr(self, name) not in get_args(kind):
                raise ValueError(f"{name}={getattr(self, name)!r}: choose {', '.join(get_args(kind))}")
        if not 0 <= self.seed < 2**31:
            raise ValueError(f"seed={self.seed}: must be from 0 to 2147483647")
        if self.start == "here" and self.worlds == "real":
            raise ValueError("start='here': is where a dream begins; choose worlds dream or both")


class DriverView(NamedTuple):
    """What the driver sees."""

    frames: dict[str, UInt8[np.ndarray, "H W C"]]
    """By name: dream, dream_expected, real, real_expected, as far as they are there."""
    facts: Facts
    """Of each world by its name: step, return, over, and the newest reward and probability of the end; `latent`: the
    dream's latent; `agent`: whether it has driven; `has_agent`, `residuals`: whether there are any; `recorded`: frames.
    """


class DriverSession:
    """A drive of one person, from `restart` to `restart`.

    Attributes:
        film: what is recorded.
        lock: to be held while a thread does anything with the session.
        expectation: whether what the memory expected is shown.
        agent_sees: which world the agent looks at where both are driven in.
        worlds: that are driven in.
    """

    def __init__(self, parts: RunParts, request: Restart | None = None) -> None:
        """Begin a drive.

        Args:
            parts: of the run.
            request: where.
        """
        self.parts, self.film, self.lock = parts, DriveFilm(), Lock()
        self.expectation, self.agent_sees = True, "real"
        self._dials = Dials.of(parts.dream)
        self._dream: DreamSide | None = None
        self._real: RealSide | None = None
        self.worlds: Worlds = "dream"
        self._drove = False
        self.restart(request or Restart())

    def restart(self, request: Restart) -> DriverView:
        """Begin a drive anew.

        Raises:
            ValueError: a dream is to begin `here`, where no real drive is.
        """
        here = request.start == "here"
        if here and (self._real is None or self.worlds == "dream"):
            raise ValueError("start='here': there is no real drive to begin at; drive in the real environment first")
        self.worlds, self._drove = request.worlds, False
        if request.worlds != "dream" and not here:
            if self._real is None:
                self._real = RealSide(self.parts)
            self._real.begin(request.seed)
        if request.worlds != "real":
            if self._dream is None:
                self._dream = DreamSide(self.parts)
                self._dream.env.turn(self._dials)
            self._dream.begin(request.seed, self._start(request))
        return self.look()

    def _start(self, request: Restart) -> Facts:
        """Return where the dream begins, as `DreamEnv.reset` takes it."""
        if request.start == "recorded":
            return {"start": "warm"}
        if request.start == "here" or request.worlds == "both":
            assert self._real is not None
            z, action = self._real.path()
            return {"start": "given", "z": z, "action": action}
        return {"start": "initial"}

    def turn(self, dials: Dials) -> DriverView:
        """Turn the dials of the dream.

        Raises:
            ValueError: the latent has no such dimension.
            RunError: the run has recorded no residuals to dream with.
        """
        if self._dream is None:
            self._dream = DreamSide(self.parts)
            self._dream.begin(0, {"start": "initial"})
        self._dream.turn(dials)
        self._dials = dials
        return self.look()

    def step(self, wheel: Wheel | None) -> DriverView:
        """Take a step in all worlds that are not over, with the same action.

        Args:
            wheel: where the driver holds it; None where the agent drives.

        Raises:
            ValueError: the run has no agent, or no such action.
        """
        sides = [side for side in self._sides() if not side.over]
        self._drove = wheel is None
        if sides:
            action = self._chauffeurs_action(sides) if wheel is None else wheel.action(self.parts.shape.spec)
            for side in sides:
                side.step(action)
        seen = self.look()
        self.film.add(seen.frames)
        return seen

    def _chauffeurs_action(self, sides: list[DreamSide | RealSide]) -> np.ndarray:
        """Return what the agent does; side by side it looks at the world that it is told to, or at the one left."""
        wanted = RealSide if self.agent_sees == "real" else DreamSide
        side = next((each for each in sides if isinstance(each, wanted)), sides[0])
        if side.chauffeur is None:
            raise ValueError("this run has no agent to drive: evolve one, or take that of another run")
        return side.chauffeur.action()

    def swap(self, part: str, parts: RunParts) -> DriverView:
        """Drive on with other parts.

        Args:
            part: which one is another.
            parts: with it.

        Raises:
            RunError: as of `DreamSide.adopt`.
        """
        for side in (self._dream, self._real):
            if side is not None:
                side.adopt(parts)
        self.parts = parts
        return self.look()

    def look(self) -> DriverView:
        """Return what there is to see now."""
        frames: dict[str, UInt8[np.ndarray, "H W C"]] = {}
        facts: Facts = {
            "agent": self._drove,
            "recorded": len(self.film),
            "has_agent": self.parts.agent is not None,
            "residuals": self.parts.starts.residuals is not None,
        }
        for side in self._sides():
            frames |= side.frames(self.expectation)
            name = "dream" if isinstance(side, DreamSide) else "real"
            facts[name] = {"step": side.steps, "return": side.gained, "over": side.over, **side.facts}
        if self._dream is not None and self.worlds != "real":
            facts["latent"] = self._dream.env.z.tolist()
        return DriverView(frames, facts)

    def close(self) -> None:
        """Close the real environment, when nothing is being done any more."""
        with self.lock:
            if self._real is not None:
                self._real.close()

    def _sides(self) -> list[DreamSide | RealSide]:
        """Return the worlds that are driven in; the real one first, as it is quicker to fail."""
        both = [(self._real, "dream"), (self._dream, "real")]
        return [side for side, without in both if side is not None and self.worlds != without]
