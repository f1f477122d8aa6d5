"""The console command: `worldmodels STAGE [RUN] [--preset NAME] [--config FILE] [--FIELD VALUE ...]`.

One clear message and an exit code that is not 0 for whatever goes wrong: 1 for a run that cannot go on, 2 for a command
that cannot be understood, 130 for Ctrl-C. What is finished is kept, and the same command takes it up.
"""

import difflib
import os
import sys
from collections.abc import Sequence
from dataclasses import fields, make_dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from scripts.estimate import estimate, plan_parts
from scripts.info import info, score_line
from scripts.rates import Rates
from scripts.stages import STAGE_FUNCTIONS, stages_of
from scripts.terminal.ending import carry_out, unread
from scripts.terminal.environment import remarks, take_environment
from scripts.terminal.failures import report
from scripts.terminal.progress import Display
from scripts.terminal.words import UsageError, folder_of, parsed, take, take_flag
from worldmodels.agent.export import PRETRAINED, shipped_agent, ships_agent, unpack_pretrained
from worldmodels.run.plan import Pace, Plan
from worldmodels.version import __version__

COMMANDS = {
    "run": "all stages in order, each from where it stands",
    "collect": "record rollouts: who drives, how many episodes",
    "train-vision": "train V, the VAE or another vision: frames -> latents",
    "train-memory": "train M, the MDN-RNN or another memory: latents, actions -> what comes next",
    "evolve": "evolve C, the controller, with CMA-ES in the real world or in the dream",
    "loop": "rounds of collect, train and evolve, each on what the last one could do",
    "evaluate": "measure the chosen controller on held-out test tracks",
    "dream": "film the agent driving in its dream beside a real drive, and what its memory predicts of it",
    "accuracy": "measure the world model itself on held-out tracks: one HTML page and JSON",
    "report": "one HTML page with scores, curves, pictures and the drive",
    "export": "write the agent of a run alone, small enough to ship",
    "info": "what a run folder holds and how far it got",
    "study": "a list or grid of configurations times seeds, sharing what they have in common: one table, one plot",
    "benchmark": "speed and exactness on this machine, beside gymnasium, EnvPool and plain loops",
}

SECTIONS = {
    "collect": ("seed", "env", "collect", "executor"),
    "train-vision": ("device", "vision"),
    "train-memory": ("device", "memory", "dream"),
    "evolve": ("features", "controller", "evolve", "dream", "executor"),
    "loop": (
        *("seed", "device", "env", "collect", "vision", "memory", "features", "controller", "evolve", "dream"),
        *("loop", "executor"),
    ),
    "evaluate": ("evaluate", "executor"),
    "dream": ("film",),
    "accuracy": ("accuracy",),
    "report": (),
}
"""The sections of the configuration that a command can set."""

SHORT = {
    "--world": "--evolve.world",
    "--features": "--features.reads",
    "--memory": "--features.memory",
    "--ray-address": "--executor.ray-address",
    "--workers": "--executor.workers",
    "--tracks": "--evaluate.tracks",
    "--baseline": "--evaluate.baseline",
}
"""Short names for fields that are often set."""

LONG = ("run", "collect", "train-vision", "train-memory", "evolve", "loop", "evaluate")
"""Commands that know `--dry-run`."""


PLANNED = ("run", "loop")
"""Commands of several stages, whose remaining time is planned."""


class Request(NamedTuple):
    """What a command line asks for."""

    command: str
    run: Path
    config: Any
    dry_run: bool


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    if arguments[0] in ("-V", "--version"):
        print(f"worldmodels {__version__}")
        return 0
    arguments, shown = take_flag(arguments, "--traceback")
    command = arguments[0] if arguments else "--traceback"
    try:
        return _carry_out(command, arguments[1:])
    except UsageError as error:
        print(f"worldmodels: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            f"\nworldmodels {command}: interrupted. What is finished is kept; the same command goes on.",
            file=sys.stderr,
        )
        return 130
    except Exception as error:
        if isinstance(error, BrokenPipeError) and unread():
            raise
        return report(f"worldmodels {command}", error, shown)


def overview() -> str:
    """Return the help of the bare command."""
    from worldmodels.config import known_presets

    commands = "\n".join(f"  {name:13} {said}" for name, said in COMMANDS.items())
    known = "\n".join(f"  {name:13} {said}" for name, said in known_presets().items())
    short = "\n".join(f"  {name:13} {field}" for name, field in SHORT.items())
    shipped = ""
    if ships_agent():
        shipped = f"`{PRETRAINED}` is the agent that ships with the project, unpacked into runs/{PRETRAINED}.\n"
    return (
        "worldmodels: train an agent to drive inside its own dream\n\n"
        "usage: worldmodels COMMAND [RUN] [--preset NAME] [--config FILE] [--FIELD VALUE ...] [--dry-run]\n\n"
        f"commands\n{commands}\n\npresets\n{known}\n\nshort for\n{short}\n\n"
        "RUN is a folder; a bare name means runs/NAME, and without one it is runs/PRESET.\n"
        f"{shipped}"
        "Run a command again and it goes on where it stopped.\n"
        "`worldmodels COMMAND --help` explains every field that the command can set; with `--traceback` a failure\n"
        "shows where in the code it came from.\n\n"
        "example\n"
        "  worldmodels run --preset quick\n"
        "  worldmodels evaluate runs/quick --tracks 100 --baseline True"
    )


def _carry_out(command: str, arguments: list[str]) -> int:
    if command not in COMMANDS:
        near = difflib.get_close_matches(command, COMMANDS, 1)
        hint = f"did you mean `{near[0]}`? " if near else ""
        raise UsageError(f"unknown command `{command}`; {hint}Known: {', '.join(COMMANDS)}")
    if command == "info":
        return _info(arguments)
    if command == "export":
        from scripts.export import main as export

        return export(arguments)
    if command == "benchmark":
        from scripts.benchmark import main as benchmark

        return benchmark(arguments)
    if command == "study":
        from scripts.study import main as study

        return study(arguments)
    request = parse(command, arguments)
    from worldmodels.run.folder import Run
    from worldmodels.run.preflight import check_plan, unfinished

    said = [] if (request.run / "config.yaml").exists() else remarks(request.config)
    stages = stages_of(command, request.config)
    check_plan(request.config, request.run, unfinished(request.run, stages))
    if request.dry_run:
        print("\n".join([*said, estimate(request.config, stages)]))
        return 0
    run = Run.create(request.run, request.config)
    print("\n".join([f"{command}: {run.path} (preset {run.config.preset}, seed {run.config.seed})", *said]))
    with Display("", Pace()) as display:
        if command in PLANNED and unfinished(request.run, stages):
            _forecast(display, run.config, stages)
        for stage in stages:
            display.follow(STAGE_FUNCTIONS[stage](run))
            display.say(_said(run, stage))
    return 0


def _forecast(display: Display, config: Any, stages: list[str]) -> None:
    """Measure this machine, so that the display knows how long the stages take."""
    rates = Rates(config)
    try:
        display.follow(rates.measure())
    except Exception:  # of an environment or a part that does not work: the stage that meets it says what is wrong
        return
    display.plan("run", Plan(plan_parts(config, stages, rates)))


def _said(run: Any, stage: str) -> str:
    done = run.done(stage)
    if stage == "evaluate":
        return f"score: {score_line(done)}"
    if stage == "accuracy":
        return f"accuracy: {run.folder(stage) / 'index.html'}"
    if stage == "report":
        return f"report: {run.folder(stage) / 'index.html'}"
    return next(line for line in info(run).splitlines() if line.startswith(f"  {stage} "))


def _info(arguments: list[str]) -> int:
    from worldmodels.run.folder import Run

    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: worldmodels info RUN\n\nSay what a run folder holds and how far it got.")
        return 0 if arguments in (["-h"], ["--help"]) else 2
    print(info(Run(run_folder(arguments[0]))))
    return 0


def run_path(name: str) -> Path:
    """Return the folder that a RUN argument means; a UsageError where it is empty."""
    return folder_of(name, Path("runs"))


def run_folder(name: str) -> Path:
    """Return the folder of a run that should be there; the shipped agent is unpacked when it is first named."""
    path = run_path(name)
    return unpack_pretrained(path) if name == PRETRAINED else path


def parse(command: str, arguments: list[str]) -> Request:
    """Understand a command's arguments; `--help` prints and exits.

    Raises:
        UsageError: if they cannot be understood.
        RunError: if a preset, a file or a value is wrong.
    """
    from worldmodels.config import preset, read_config
    from worldmodels.run.folder import Run

    positional = [arguments[0]] if arguments and not arguments[0].startswith("-") else []
    rest = [_in_full(word) for word in arguments[len(positional) :]]
    rest, chosen = take(rest, "--preset")
    rest, file = take(rest, "--config")
    dry_run = "--dry-run" in rest
    rest = [word for word in rest if word != "--dry-run"]
    if dry_run and command not in LONG:
        raise UsageError(f"`{command}` has no --dry-run; those that take long do: {', '.join(LONG)}")
    if chosen and file:
        raise UsageError("give --preset or --config, not both: a config file is complete in itself")
    helping = "-h" in rest or "--help" in rest
    path = run_path(positional[0]) if positional else Path("runs") / (chosen or "default")
    if file:
        base = read_config(Path(file))
        if not positional and not helping:
            raise UsageError("name the new run beside --config: worldmodels run NAME --config FILE")
    elif chosen:
        base = preset(chosen)
    elif positional == [PRETRAINED] and not path.exists() and not helping:
        base = Run(shipped_agent() if dry_run else run_folder(PRETRAINED)).config
    elif (path / "config.yaml").exists():
        base = Run(path).config
    elif command in ("run", "collect", "loop") or helping:
        base = preset("default")
    else:
        raise UsageError(f"{path} is no run yet: start with `worldmodels run {path.name} --preset quick`")
    return Request(command, path, override(command, base, rest), dry_run)


def _in_full(word: str) -> str:
    """Return a word with its short name written out: `--workers=2` as `--executor.workers=2`."""
    name, equals, value = word.partition("=")
    return SHORT.get(name, name) + equals + value


def override(command: str, base: Any, words: list[str]) -> Any:
    """Return the configuration with the fields that the words set."""
    from worldmodels.config import SWAPPABLE, RunConfig, config_from
    from worldmodels.errors import RunError

    names = [item.name for item in fields(RunConfig)]
    if command != "run":
        names = [name for name in names if name in SECTIONS[command]]
    if "env" in names:
        base, words = take_environment(base, words, take)
    for section in SWAPPABLE:
        _, chosen = take(words, f"--{section}.type")
        if chosen:
            base = config_from({section: {"type": chosen}}, base)
    kinds = {item.name: item for item in fields(RunConfig)}
    view = make_dataclass(
        "Fields", [(name, kinds[name].type, kinds[name]) for name in names if name != "preset"], frozen=True
    )
    values = {name: getattr(base, name) for name in names if name != "preset"}
    found = parsed(
        view,
        words,
        f"worldmodels {command}",
        f"{COMMANDS[command]}.\n\nworldmodels {command} [RUN] [--preset NAME] [--config FILE] [OPTIONS]"
        + (" [--dry-run]" if command in LONG else "")
        + "\n\nEvery option can also stand as a field in the YAML file that --config names.",
        default=view(**values),
    )
    try:
        return replace(base, **{name: getattr(found, name) for name in values})
    except ValueError as error:
        raise RunError(f"configuration: {error}") from error


def entry() -> None:
    """Run as a console command."""
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    sys.exit(carry_out(main))
