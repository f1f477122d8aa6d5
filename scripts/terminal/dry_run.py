"""What a dry run prints: a table of what the stages would take on this machine."""

from collections.abc import Sequence

from generative.runs.versions import usable_cores
from scripts.terminal.progress import duration
from worldmodels.config import RunConfig
from worldmodels.machine import available_cores
from worldmodels.run.estimate import plan_parts
from worldmodels.run.other_work import busy, slowdown
from worldmodels.run.plan import StagePart
from worldmodels.run.rates import Rates


def estimate(config: RunConfig, stages: Sequence[str]) -> str:
    """Measure this machine for some seconds and return a table of what the stages would take."""
    rates = Rates(config)
    for _ in rates.measure():
        pass
    return _table(plan_parts(config, stages, rates), rates)


def _table(parts: Sequence[StagePart], rates: Rates) -> str:
    """Return a line for each stage, those of a loop's rounds added up, and one for all."""
    lines = [f"{'stage':16}{'frames':>14}{'time':>12}{'disk':>10}"]
    rows: dict[str, list[StagePart]] = {}
    for part in parts:
        if part.round is not None or part.stage == "loop":
            rows.setdefault("loop", []).append(part)
        if part.stage != "loop":
            rows.setdefault(part.stage if part.round is None else f"  {part.stage}", []).append(part)
    for name, row in [*rows.items(), ("in all", list(parts))]:
        lines.append(_row(name, row))
    lines.append(
        "Frames are those of whole episodes: in training some end early, and evolution may ask for more of them. "
        f"Measured just now: {1 / rates.frame:,.0f} frames a second on one core without networks, "
        f"{rates.vision_step * 1000:.0f} ms a step of vision, {rates.memory_step * 1000:.0f} ms a step of memory; "
        f"{rates.cores} workers on {available_cores()} cores."
    )
    if busy(rates.others):
        longer = slowdown(available_cores(), rates.others, usable_cores())
        lines.append(
            f"Other work takes {rates.others:.1f} of {usable_cores()} cores now: these are the times of a quiet "
            f"machine, and {longer:.1f} times as long is to be expected beside it."
        )
    return "\n".join(lines)


def _row(name: str, parts: Sequence[StagePart]) -> str:
    frames, megabytes = sum(part.frames for part in parts), sum(part.megabytes for part in parts)
    return f"{name:16}{frames:>14,}{duration(sum(part.seconds for part in parts)):>12}{megabytes:>7.0f} MB"
