"""The console command: `worldmodels COMMAND [RUN] [--preset NAME] [--config FILE] [--FIELD VALUE ...]`.

What a command needs is imported when it is carried out, as PyTorch takes seconds. What is finished is kept, and the
same command goes on from there.
"""

import importlib
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

from scripts.terminal.commands import COMMANDS, PLANNED, SHORT
from scripts.terminal.console import answer
from scripts.terminal.request import Request, parse
from scripts.terminal.short_help import COLUMNS, cut
from scripts.terminal.signals import carry_out

if TYPE_CHECKING:
    from scripts.terminal.progress import Display
    from worldmodels.config import RunConfig
    from worldmodels.run.folder import Run

OTHERS = ("play", "export", "push", "info", "study", "benchmark")
"""Commands that are no stages of a run: each has a module of its name with a `main`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return the exit code."""
    return answer("worldmodels", sys.argv[1:] if argv is None else argv, COMMANDS, overview, _carry_out)


def overview() -> str:
    """Return the help of the bare command."""
    short = ", ".join(f"{name} for {field}" for name, field in SHORT.items())
    return (
        "worldmodels: train an agent to drive inside its own dream\n\n"
        "usage: worldmodels COMMAND [RUN] [--preset NAME] [--config FILE] [--FIELD VALUE ...]\n\n"
        f"commands\n{_listed(COMMANDS)}\n\npresets\n{_listed(presets())}\n\n"
        "RUN is a folder. A bare name means runs/NAME; none means runs/PRESET. `pretrained` is the agent\n"
        "that ships with the project, hf://USER/NAME one on the Hugging Face Hub.\n"
        "Run a command again and it goes on where it stopped.\n\n"
        "`worldmodels COMMAND --help` shows the settings that people change, `--help-all` all fields.\n"
        "`--dry-run` estimates what a command takes, `--traceback` shows where a failure comes from.\n"
        f"{fill(f'Short names: {short}.', COLUMNS, break_on_hyphens=False)}\n\n"
        "examples\n"
        "  worldmodels run --preset quick\n"
        "  worldmodels evaluate runs/quick --tracks 100 --baseline True"
    )


def presets() -> dict[str, str]:
    """Return the presets with what they are for, as `known_presets` does, but without importing the library."""
    package = find_spec("worldmodels")
    assert package is not None and package.origin is not None
    files = sorted((Path(package.origin).parent / "presets").glob("*.yaml"))
    return {path.stem: path.read_text().splitlines()[0].lstrip("# ") for path in files}


def _listed(named: dict[str, str]) -> str:
    return "\n".join(f"  {name:13} {cut(said, COLUMNS - 16)}" for name, said in named.items())


def _carry_out(command: str, words: list[str]) -> int:
    if command in OTHERS:
        return importlib.import_module(f"scripts.{command}").main(words)
    return _stages(parse(command, words))


def _stages(request: Request) -> int:
    """Carry out a stage, or all of them, and say what came of each."""
    from scripts.stages import STAGE_FUNCTIONS, stages_of
    from scripts.terminal.dry_run import estimate
    from scripts.terminal.environment import remarks
    from scripts.terminal.progress import Display
    from worldmodels.parallel.open import kept_workers
    from worldmodels.run.folder import Run
    from worldmodels.run.plan import Pace
    from worldmodels.run.preflight import check_plan, unfinished

    said = [] if (request.run / "config.yaml").exists() else remarks(request.config)
    stages = stages_of(request.command, request.config)
    check_plan(request.config, request.run, unfinished(request.run, stages))
    if request.dry_run:
        print("\n".join([*said, estimate(request.config, stages)]))
        return 0
    run = Run.create(request.run, request.config)
    print("\n".join([f"{request.command}: {run.path} (preset {run.config.preset}, seed {run.config.seed})", *said]))
    with Display("", Pace()) as display:
        if request.command in PLANNED and unfinished(request.run, stages):
            _forecast(display, run.config, stages)
        with kept_workers():
            for stage in stages:
                display.follow(STAGE_FUNCTIONS[stage](run))
                display.say(_said(run, stage))
    return 0


def _forecast(display: "Display", config: "RunConfig", stages: list[str]) -> None:
    """Measure this machine, so that the display knows how long the stages take."""
    from worldmodels.run.estimate import plan_parts
    from worldmodels.run.plan import Plan
    from worldmodels.run.rates import Rates

    rates = Rates(config)
    try:
        display.follow(rates.measure())
    except Exception:  # of an environment or a part that does not work: the stage that meets it says what is wrong
        return
    display.plan("run", Plan(plan_parts(config, stages, rates)))


def _said(run: "Run", stage: str) -> str:
    """Return what came of a stage, in a line."""
    from scripts.info import info
    from worldmodels.report.states import score_line

    if stage == "evaluate":
        return f"score: {score_line(run.done(stage) or {})}"
    if stage in ("accuracy", "report"):
        return f"{stage}: {run.folder(stage) / 'index.html'}"
    return next(line for line in info(run).splitlines() if line.startswith(f"  {stage} "))


def entry() -> None:
    """Run as a console command."""
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    sys.exit(carry_out(main))
