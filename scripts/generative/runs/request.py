"""What a command line of `generative` asks for: a run with options, or a training with its model and data."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, make_dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import tyro

from scripts.generative.runs.folders import run_path
from scripts.terminal.parsing import UsageError, first_of, parsed, peeked, section, wants_help
from scripts.terminal.short_help import notes, settings_of

if TYPE_CHECKING:
    from generative.runs.run_folder import Choice, TrainingConfig

COMMANDS = {
    "train": "train a model on data; again, and it goes on where it stopped",
    "sample": "draw from a trained model: a grid as PNG; `sample RUN --help` shows the model's dials",
    "reconstruct": "held-out images and what comes back of them",
    "style": "a picture painted in the style of another one, over its pixels",
    "translate": "held-out images of two domains, each turned into the other",
    "show": "a view of a model, with dials of its own: a picture or a film; `show RUN` lists them",
    "play": "a model in the browser: its dials as sliders, what it makes beside them",
    "attribute": "an attribute vector, as in add a smile: effect, side effects, judges, picture",
    "judge": "train what sees the images of a data set, which then judges all models of it",
    "write": "a text that goes on from a prompt, printed while it is written",
    "evaluate": "figures beside real data and what costs nothing, as JSON",
    "diagnose": "what went wrong, with evidence and remedy; nothing for a healthy model",
    "report": "one HTML page: samples over time, curves, figures",
    "table": "every model with its fast preset over several seeds, row by row, as Markdown",
    "list": "models with what they can do, presets, data sets and metrics",
}
SETTINGS = (
    *("preset", "out", "start", "seed", "tracker", "device", "batch"),
    *("fit.steps", "fit.learning_rate", "fit.schedule"),
)
"""Fields of a training that people change, besides its model, its data and their options."""
APART = ("model", "data", "preset")
"""Fields of a configuration that a command line sets by other words."""


@dataclass(frozen=True)
class NamedTraining:
    """The run that a command is about."""

    run: Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="RUN")] = None
    """Folder of the run; a bare name means runs/generative/NAME."""


@dataclass(frozen=True)
class TrainingStart:
    """What a training starts from. It decides which fields there are and what they are by default."""

    data: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """Data set to train on; the preset's by default."""
    preset: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """Configuration that ships with the model; fast by default."""
    out: Annotated[str | None, tyro.conf.arg(metavar="RUN")] = None
    """Folder of the run; runs/generative/MODEL by default."""
    start: Annotated[str | None, tyro.conf.arg(metavar="RUN")] = None
    """Run whose weights the training starts with, as far as they fit; the options of its model are the default."""


@dataclass(frozen=True)
class Training(TrainingStart):
    """A training as far as it is the same for all models and data sets."""

    model: Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="MODEL")] = None
    """Name of the model; `generative list` shows all."""


@dataclass(frozen=True)
class JudgeOptions:
    """How a judge is made."""

    device: str = "cpu"
    """Where it is trained."""
    ship: bool = False
    """Keep it among those that come with the package, in place of the user's cache."""


def parse_options(
    command: str, main: Callable[..., Sequence[str]], words: Sequence[str]
) -> tuple[Path | None, tuple[Any, ...]]:
    """Return the run and the further arguments of a command's `main`; no run for commands that are about none.

    They are its `options`, and where it asks for `dials` those of what the run's model draws or shows.

    Raises:
        UsageError: the words cannot be understood.
        ComponentError: the run's model has no dials.
    """
    hints, program = get_type_hints(main), f"generative {command}"
    kind = hints["options"]
    if command in ("list", "table", "style"):
        return None, (parsed(kind, words, program, COMMANDS[command]),)
    dials = _dials(command, kind, words) if "dials" in hints else None
    kinds = [("dials", section(type(dials), name=""), field(default=dials))] if dials is not None else []
    view = make_dataclass("Words", kinds, bases=(kind, NamedTraining), frozen=True)
    try:
        found: Any = parsed(view, words, program, COMMANDS[command])
    except ValueError as error:  # of the dials, which are a dataclass in another
        raise UsageError(str(error)) from error
    if found.run is None:
        raise UsageError(f"name the run: generative {command} RUN")
    return run_path(found.run), (found,) if "dials" not in hints else (found, found.dials if kinds else None)


def _dials(command: str, kind: type, words: Sequence[str]) -> Any:
    """Return the dials, as they are by default, of the model of the run that is named, or of the view of it.

    None where there are none. Where the run is not the first word, dials before it are not known for what they are.
    """
    from generative import MODELS
    from generative.capabilities import dials
    from generative.latent.views import view_named
    from generative.runs.run_folder import TrainingRun

    found: Any
    found, _ = peeked(make_dataclass("Words", [], bases=(kind, NamedTraining), frozen=True), words)
    named = list(takewhile(lambda word: not word.startswith("-"), words[:2]))
    path = run_path(named[0]) if named else None if found.run is None else run_path(found.run)
    if path is None or not (path / "config.yaml").is_file():
        return None
    model = MODELS.component_class(TrainingRun(path).config.model.type)
    if command != "show":
        return dials(model)() if hasattr(model, "Sampling") else None
    view = named[1] if len(named) == 2 else found.view
    return view_named(view, model)() if view in words else None  # among unknown options tyro says '[]' for no word


def parse_train(words: Sequence[str]) -> tuple[Path, "TrainingConfig", Any]:
    """Return the folder and the configuration that a `train` command line asks for; `--help` prints and exits.

    The third result is the data, or None where they had no need to be loaded yet.

    Raises:
        UsageError: the words cannot be understood.
        ValueError: a name or a value is wrong.
    """
    from generative import MODELS
    from generative.runs.run_folder import Choice
    from scripts.generative.data.data_sets import load
    from scripts.generative.runs.assembly import options_of_start, sizes, with_model

    start, others = peeked(TrainingStart, words)
    name, helping = first_of(others), wants_help(words)
    if name is None:
        again = (
            None if start.preset or start.data or start.start or not start.out else _again(run_path(start.out), others)
        )
        if again is not None:
            return run_path(str(start.out)), again, None
        if helping:
            parsed(Training, words, "generative train", f"{COMMANDS['train']}; models: {', '.join(MODELS.names())}")
        raise UsageError(f"name the model: generative train MODEL; known: {', '.join(MODELS.names())}")
    MODELS.config_class(name)  # names near by, where there is none of this name
    base = _base(name, start)
    data = base.data if start.data in (None, base.data.type) else Choice(str(start.data), {})
    data = _with_options(data, others, helping)
    loaded = None if helping else load(data)
    decided = {} if loaded is None else sizes(name, loaded)
    model = {**decided, **base.model.options, **options_of_start(name, start.start, decided)}
    default = _training(replace(base, model=Choice(name, model), data=data))
    inner = [each.name for each in settings_of(type(default), default) if each.name.startswith(("model.", "data."))]
    shown = dict.fromkeys(("model", "data", *SETTINGS, *inner), "")
    found: Any = parsed(type(default), words, "generative train", COMMANDS["train"], default, shown)
    plain = {each.name: getattr(found, each.name) for each in fields(base) if each.name not in APART}
    config = with_model(replace(base, data=data, **plain), found.model_options)
    return run_path(start.out or name), config, loaded


def parse_judge(words: Sequence[str]) -> tuple["Choice", Any]:
    """Return the data set that a `judge` command line names, its options in full, and how the judge learns.

    Raises:
        UsageError: the words cannot be understood.
        ValueError: a name or a value is wrong.
    """
    from generative import config_from_mapping
    from generative.runs.run_folder import Choice
    from scripts.generative.data.data_sets import DATA

    helping, about = wants_help(words), f"{COMMANDS['judge']}; data: {', '.join(DATA.names())}"
    _, others = peeked(JudgeOptions, words)
    name = first_of(others)
    if name is None:
        if helping:
            parsed(JudgeOptions, words, "generative judge", about)
        raise UsageError(f"name the data: generative judge DATA; known: {', '.join(DATA.names())}")
    kind = DATA.find(name)
    data = _with_options(Choice(name), others, helping)
    place = Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="DATA")]
    fields_ = [("data", place, field(default=None))]
    if not _missing(kind, data.options):
        options: Any = config_from_mapping(kind, data.options, "data")
        fields_.append(("data_options", section(kind, name="data"), field(default=options)))
    view = make_dataclass("Words", fields_, bases=(JudgeOptions,), frozen=True, kw_only=True)
    return data, parsed(view, words, "generative judge", about)


def _training(config: "TrainingConfig") -> Any:
    """Return a configuration as a command line has it: what can be chosen by name, with the fields of the choice."""
    from generative import MODELS, config_from_mapping
    from scripts.generative.data.data_sets import DATA

    values = {each.name: getattr(config, each.name) for each in fields(config) if each.name not in APART}
    notes_of = notes(type(config))
    kinds = [
        (each.name, section(each.type, notes_of.get(each.name)), each) for each in fields(config) if each.name in values
    ]
    for name, choice, kind in (
        ("data", config.data, DATA.find(config.data.type)),
        ("model", config.model, MODELS.config_class(config.model.type)),
    ):
        if not _missing(kind, choice.options):
            values[f"{name}_options"] = config_from_mapping(kind, choice.options, name)
            kinds.append((f"{name}_options", section(kind, name=name), field()))
    return make_dataclass("Words", kinds, bases=(Training,), frozen=True, kw_only=True)(**values)


def _again(path: Path, words: list[str]) -> "TrainingConfig | None":
    """Return the configuration of a run, its data perhaps in another place; None if more is to change than that."""
    from generative.runs.run_folder import TrainingRun
    from scripts.generative.data.data_sets import moved, places_of

    if not (path / "config.yaml").is_file():
        return None
    config = TrainingRun(path).config
    new, words = _data_words(places_of(config.data), words)
    return None if words else replace(config, data=moved(config.data, new))


def _base(model: str, start: TrainingStart) -> "TrainingConfig":
    """Return the preset of a model; for one without presets, as of another package, a bare configuration."""
    from generative.runs.run_folder import Choice, TrainingConfig, preset, preset_names

    if start.preset or "fast" in preset_names(model):
        return preset(model, start.preset or "fast")
    if start.data is None:
        raise UsageError(f"{model} has no preset; name the data: generative train {model} --data faces")
    return TrainingConfig(model=Choice(model), data=Choice(start.data), preset="none")


def _with_options(data: "Choice", words: list[str], helping: bool) -> "Choice":
    """Return a data set with its options in full: those of the command line over those it has.

    They are read before those of the model, which has its sizes from the data. Where help is wanted, needed ones can
    be missing.
    """
    from generative import config_from_mapping, config_to_mapping
    from generative.core.options import check_numbers
    from scripts.generative.data.data_sets import DATA, settled

    kind = DATA.find(data.type)
    given, _ = _data_words(_missing(kind, data.options), words)
    data = replace(data, options={**data.options, **given})
    missing = _missing(kind, data.options)
    if missing and helping:
        return data
    if missing:
        raise UsageError(f"{data.type} needs --data.{missing[0]}")
    view = make_dataclass("Words", [("options", section(kind, name="data"))], frozen=True)
    default = view(config_from_mapping(kind, data.options, "data"))
    found, others = peeked(view, words, default)
    wrong = [word for word in others if word.startswith("--data.")]
    if wrong:
        parsed(view, wrong, f"generative train --data {data.type}", "", default)
    try:
        check_numbers(found.options, "data")
    except ValueError as error:
        raise UsageError(str(error)) from error
    return settled(replace(data, options=config_to_mapping(found.options)))


def _missing(kind: type, options: Mapping[str, object]) -> list[str]:
    """Return the options without default that are not given."""
    nothing = dataclasses.MISSING
    needed = [each.name for each in fields(kind) if each.default is nothing and each.default_factory is nothing]
    return [name for name in needed if name not in options]


def _data_words(names: Sequence[str], words: list[str]) -> tuple[dict[str, str], list[str]]:
    """Return the options of the data that are given by these names, and the other words."""
    if not names:
        return {}, words
    kinds = [(name, Annotated[str | None, tyro.conf.arg(name=f"data.{name}")], field(default=None)) for name in names]
    found: Any
    found, words = peeked(make_dataclass("Words", kinds, frozen=True), words)
    return {name: value for name, value in vars(found).items() if value is not None}, words
