"""`worldmodels benchmark`: measure speed and exactness on this machine, and print what was measured."""

import datetime
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import tyro

from generative.core.facts import Facts
from scripts.terminal.commands import COMMANDS
from scripts.terminal.console import nearest
from scripts.terminal.parsing import UsageError, parsed

if TYPE_CHECKING:
    from worldmodels.benchmark import BenchmarkFigure

FORMAT_VERSION = 1


@dataclass(frozen=True)
class BenchmarkRequest:
    """What `worldmodels benchmark` is asked for."""

    names: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="[NAME ...]")] = ()
    """Figures to measure, all by default: a quarter of an hour on two cores."""
    json: bool = False
    """Print one JSON document instead of a table."""
    list: bool = False
    """Print the names of the figures and stop."""
    pairs: int = 7
    """Pairs of windows, ours and theirs in turn; a ratio is their median."""
    seconds: float = 2.0
    """Length of a window."""


def main(arguments: Sequence[str]) -> int:
    """Carry out the command line that follows `worldmodels benchmark`, and return the exit code.

    0 also where a target is missed, 130 for Ctrl-C, which prints what is measured.

    Raises:
        UsageError: a name or an option is wrong.
    """
    chosen = parsed(BenchmarkRequest, arguments, "worldmodels benchmark", COMMANDS["benchmark"])
    from worldmodels.benchmark import FIGURES, BenchmarkFigure, Settings, describe_machine, disturbed, measure

    if chosen.list:
        for name, subject in FIGURES.items():
            print(f"{name:13} {subject.blank.title}; target {subject.blank.target} {subject.blank.unit}")
        return 0
    names = _known(chosen.names, list(FIGURES))
    try:
        settings = Settings(pairs=chosen.pairs, seconds=chosen.seconds)
    except ValueError as error:
        raise UsageError(str(error)) from error
    begun = datetime.datetime.now(datetime.UTC)
    machine = describe_machine()
    if disturbed(machine):
        print(f"warning: {disturbed(machine)}", file=sys.stderr)
    found: list[BenchmarkFigure] = []
    code = 0
    try:
        for number, name in enumerate(names, start=1):
            print(f"[{number}/{len(names)}] {name}: {FIGURES[name].blank.title}", file=sys.stderr, flush=True)
            found.append(measure(name, settings))
    except KeyboardInterrupt:
        print("\nworldmodels benchmark: interrupted; this is what was measured", file=sys.stderr)
        code = 130
    finally:  # whatever else went wrong, minutes of measuring are not thrown away
        seconds = (datetime.datetime.now(datetime.UTC) - begun).total_seconds()
        if chosen.json:
            options = {"names": names, "pairs": settings.pairs, "seconds": settings.seconds}
            print(_document(machine, begun, seconds, options, found))
        else:
            print(table(machine, found, seconds))
    return code


def _known(names: Sequence[str], known: Sequence[str]) -> list[str]:
    """Return the names in the order of `known`, all for none."""
    for name in names:
        if name not in known:
            raise UsageError(f"unknown figure `{name}`; {nearest(name, known)}known: {', '.join(known)}")
    return [name for name in known if name in names or not names]


def _document(
    machine: Facts,
    begun: datetime.datetime,
    seconds: float,
    options: Facts,
    found: "list[BenchmarkFigure]",
) -> str:
    document = {
        "format_version": FORMAT_VERSION,
        "date": begun.isoformat(timespec="seconds"),
        "machine": machine,
        "options": options,
        "elapsed_seconds": round(seconds, 1),
        "figures": [asdict(figure) for figure in found],
    }
    return json.dumps(document, indent=2, allow_nan=False)


def table(machine: Facts, found: "Sequence[BenchmarkFigure]", seconds: float) -> str:
    """Return the machine, one line for each figure, and below them what else is to be known of each."""
    versions = ", ".join(f"{name} {version or 'missing'}" for name, version in machine["versions"].items())
    lines = [
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['system']}, bfloat16 "
        f"{'yes' if machine['bfloat16'] else 'no'}, {machine['gpu'] or 'no GPU'}, load {machine['load']}",
        versions,
        "",
        *_aligned([("figure", "value", "target", "met", "ours", "theirs", "pairs"), *(_row(one) for one in found)]),
        "",
        *(f"{one.name}: {one.title}. {one.skipped or _said(one.detail)}".rstrip() for one in found),
        f"{seconds:.0f} seconds in all",
    ]
    return "\n".join(lines)


def _row(figure: "BenchmarkFigure") -> tuple[str, ...]:
    met = "skipped" if figure.met is None else "yes" if figure.met else "no"
    spread = (
        f"{len(figure.pairs)}, {_number(min(figure.pairs))} to {_number(max(figure.pairs))}" if figure.pairs else ""
    )
    value = "" if figure.value is None else f"{_number(figure.value)} {figure.unit}"
    rates = (
        f"{_number(one)} {figure.rate}".rstrip() if one is not None else "" for one in (figure.ours, figure.theirs)
    )
    return (figure.name, value, figure.target, met, *rates, spread)


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _said(detail: Facts) -> str:
    return "; ".join(f"{name.replace('_', ' ')}: {_plain(value)}" for name, value in detail.items() if value != "")


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_plain(one) for one in value)
    return _number(value) if isinstance(value, float) else "none" if value is None else str(value)


def _number(value: float) -> str:
    """Return a number with three significant digits, and the whole of it where it is large."""
    return f"{value:,.0f}" if abs(value) >= 1000 or value == 0 else f"{value:.3g}"
