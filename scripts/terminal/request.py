"""What a command line of a stage asks for: the run, and its configuration with the fields that the words set."""

from dataclasses import dataclass, fields, make_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import tyro

from scripts.terminal.commands import BEGINNING, COMMANDS, DRY, SECTIONS, SHORT, settings
from scripts.terminal.parsing import UsageError, first_of, folder_of, parsed, peeked, section, wants_help
from scripts.terminal.short_help import notes

if TYPE_CHECKING:
    from worldmodels.config import RunConfig

RUNS = Path("runs")
REMOTE = "hf://"
"""What the name of an agent on the Hub begins with."""


class Request(NamedTuple):
    """What a command line asks for."""

    command: str
    run: Path
    config: "RunConfig"
    dry_run: bool


@dataclass(frozen=True)
class Begin:
    """What a run starts from. It decides which fields there are and what they are by default."""

    preset: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """Configuration that ships with the project; `worldmodels --help` lists them."""
    config: Annotated[str | None, tyro.conf.arg(metavar="FILE")] = None
    """Configuration of your own, as a YAML file."""


@dataclass(frozen=True)
class Start(Begin):
    """The same for commands that take long."""

    dry_run: bool = False
    """Only estimate time, disk and frames; write nothing."""


@dataclass(frozen=True)
class Named:
    """The run that a command is about."""

    run: Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="[RUN]")] = None
    """Folder of the run; a bare name means runs/NAME, none means runs/PRESET."""


@dataclass(frozen=True)
class Kinds:
    """Fields that decide which others there are."""

    env: Annotated[str | None, tyro.conf.arg(name="env.id")] = None
    vision: Annotated[str | None, tyro.conf.arg(name="vision.type")] = None
    memory: Annotated[str | None, tyro.conf.arg(name="memory.type")] = None


def parse(command: str, arguments: list[str]) -> Request:
    """Understand a command's arguments; `--help` and `--help-all` print and exit.

    Raises:
        UsageError: if they cannot be understood.
        RunError: if a preset, a file or a value is wrong.
    """
    words = [_in_full(word) for word in arguments]
    start, others = peeked(Start, words)
    if start.dry_run and command not in DRY:
        raise UsageError(f"`{command}` has no --dry-run; those that take long do: {', '.join(DRY)}")
    if start.preset and start.config:
        raise UsageError("give --preset or --config, not both: a config file is complete in itself")
    name = first_of(others)
    path = run_path(name) if name is not None else RUNS / (start.preset or "default")
    base = _base(command, name, path, start, wants_help(words))
    base, words = _for_kinds(command, base, words)
    return Request(command, path, _overridden(command, base, words, name), start.dry_run)


def run_path(name: str) -> Path:
    """Return the folder that a RUN argument means; a UsageError where it is empty."""
    if name.startswith(REMOTE):
        from worldmodels.agent.hub import local_name

        return RUNS / local_name(name)
    return folder_of(name, RUNS)


def run_folder(name: str) -> Path:
    """Return the folder of a run that should be there.

    The shipped agent, and one on the Hub, are unpacked when they are first named.
    """
    from worldmodels.agent.pretrained import PRETRAINED, unpack_agent

    path = run_path(name)
    return unpack_agent(name, path) if name == PRETRAINED or name.startswith(REMOTE) else path


def _in_full(word: str) -> str:
    """Return a word with its short name written out: `--workers=2` as `--executor.workers=2`.

    An alias of tyro stands beside its field. These fields stand in the library, which knows no command line.
    """
    name, equals, value = word.partition("=")
    return SHORT.get(name, name) + equals + value


def _base(command: str, name: str | None, path: Path, start: Start, helping: bool) -> "RunConfig":
    """Return the configuration before the command line sets its fields."""
    from worldmodels.agent.pretrained import PRETRAINED, agent_folder
    from worldmodels.config_files import preset, read_config
    from worldmodels.run.folder import Run

    if start.config:
        base = read_config(Path(start.config))
        if name is None and not helping:
            raise UsageError("name the new run too: worldmodels run NAME --config FILE")
        return base
    if start.preset:
        return preset(start.preset)
    if name is not None and (name == PRETRAINED or name.startswith(REMOTE)) and not path.exists() and not helping:
        return Run(agent_folder(name) if start.dry_run else run_folder(name)).config
    if (path / "config.yaml").exists():
        return Run(path).config
    if command in BEGINNING or helping:
        return preset("default")
    raise UsageError(f"{path} is no run yet: start with `worldmodels run {path.name} --preset quick`")


def _for_kinds(command: str, base: "RunConfig", words: list[str]) -> tuple["RunConfig", list[str]]:
    """Return the configuration for the environment and the components that are named, and the words still to read.

    tyro must know all fields before it reads the first. Which there are depends on these.
    """
    from scripts.terminal.environment import with_options
    from worldmodels.config import config_from, for_environment
    from worldmodels.renamed import refuse_old_words

    refuse_old_words(words)
    kinds, _ = peeked(Kinds, words)
    if "env" in SECTIONS[command]:
        base, words = with_options(for_environment(base, kinds.env) if kinds.env else base, words)
    for part in ("vision", "memory"):
        chosen = getattr(kinds, part)
        if chosen and part in SECTIONS[command]:
            base = config_from({part: {"type": chosen}}, base)
    return base, words


def _overridden(command: str, base: "RunConfig", words: list[str], name: str | None) -> "RunConfig":
    """Return the configuration with the fields that the words set."""
    from scripts.terminal.round_fields import take_rounds
    from worldmodels.config import RunConfig, changed_fields, check_acting
    from worldmodels.errors import RunError

    begun = base
    if "loop" in SECTIONS[command]:
        base, words = take_rounds(base, words)
    said, kinds = notes(RunConfig), {each.name: each for each in fields(RunConfig)}
    sections = [(each, section(kinds[each].type, said.get(each)), kinds[each]) for each in SECTIONS[command]]
    start = Start if command in DRY else Begin
    view = make_dataclass("Words", sections, bases=(start, Named), frozen=True)
    values = {each: getattr(base, each) for each in SECTIONS[command]}
    shown = dict.fromkeys(("run", "preset", "config", "dry_run"), "") | settings(command)
    found: Any = parsed(view, words, f"worldmodels {command}", COMMANDS[command], view(**values), shown)
    if found.run != name:
        raise UsageError(f"name the run first: worldmodels {command} {found.run} --FIELD VALUE ...")
    try:
        config = replace(base, **{each: getattr(found, each) for each in values})
    except ValueError as error:
        raise RunError(f"configuration: {error}") from error
    check_acting(config, changed_fields(begun, config))
    return config
