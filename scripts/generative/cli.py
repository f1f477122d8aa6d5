"""The console command: `generative COMMAND [MODEL | RUN] [--OPTION VALUE ...]`.

Exit codes: 1 for what cannot go on, 2 for a command line that cannot be understood, 130 for Ctrl-C. What is finished is
kept, and the same command takes it up.
"""

import dataclasses
import difflib
import importlib
import sys
from collections.abc import Sequence
from dataclasses import make_dataclass, replace
from pathlib import Path
from typing import Any

from generative.plain import Facts

from scripts.terminal.ending import carry_out, unread
from scripts.terminal.failures import report
from scripts.terminal.words import UsageError, folder_of, parsed, take, take_flag
from worldmodels.version import __version__

COMMANDS = {
    "train": "train a model on data; again, and it goes on where it stopped",
    "sample": "draw from a trained model: a grid as PNG",
    "reconstruct": "held-out images and what comes back of them",
    "interpolate": "from one image to another, by the line and by the arc; a morph as GIF",
    "traverse": "one dimension of the latent moved while the others rest",
    "attribute": "an attribute vector, as in add a smile: effect, side effects, independent judges, picture",
    "evaluate": "figures with floor and baseline, as JSON",
    "diagnose": "what went wrong, with evidence and remedy; nothing for a healthy model",
    "report": "one HTML page: samples over time, curves, figures",
    "table": "every model with its fast preset over several seeds, row by row, as Markdown",
    "list": "models with what they can do, presets, data sets and metrics",
}
RUNS = Path("runs") / "generative"
"""Where a run goes that is given a bare name."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    if arguments[0] in ("-V", "--version"):
        print(f"generative {__version__}")
        return 0
    arguments, shown = take_flag(arguments, "--traceback")
    command, rest = (arguments or ["--traceback"])[0], arguments[1:]
    try:
        for line in _carry_out(command, rest):
            print(line)
    except UsageError as error:
        print(f"generative: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            f"\ngenerative {command}: interrupted; the same command goes on from the last checkpoint", file=sys.stderr
        )
        return 130
    except Exception as error:
        if isinstance(error, BrokenPipeError) and unread():
            raise
        return report(f"generative {command}", error, shown)
    return 0


def overview() -> str:
    """Return the help of the bare command."""
    commands = "\n".join(f"  {name:12} {said}" for name, said in COMMANDS.items())
    return (
        "generative: models that make images, each trained with one command on data that is there offline\n\n"
        "usage: generative COMMAND [MODEL | RUN] [--OPTION VALUE ...]\n\n"
        f"commands\n{commands}\n\n"
        f"RUN is a folder; a bare name means {RUNS}/NAME. `generative train MODEL` makes {RUNS}/MODEL.\n"
        "`generative COMMAND --help` explains every option, `generative list` names models, presets and data;\n"
        "with `--traceback` a failure shows where in the code it came from.\n\n"
        "examples\n"
        "  generative train vae\n"
        "  generative train vae --data shapes --data.size 32 --model.latent 10 --seed 1 --out shapes-vae\n"
        "  generative interpolate vae\n"
        "  generative attribute vae --attribute smiling\n"
        "  generative train vae --data car-racing --data.run runs/quick --out road"
    )


def _carry_out(command: str, words: list[str]) -> Sequence[str]:
    if command not in COMMANDS:
        near = difflib.get_close_matches(command, COMMANDS, 1)
        guess = f"did you mean `{near[0]}`? " if near else ""
        raise UsageError(f"unknown command `{command}`; {guess}known: {', '.join(COMMANDS)}")
    if command == "train":
        return _train(words)
    module = importlib.import_module(f"scripts.generative.{'catalogue' if command == 'list' else command}")
    if command in ("list", "table"):
        return module.main(_options(command, module.Options, words))
    from generative.run import Run

    names = words[:1] if words and not words[0].startswith("-") else []
    options = _options(command, module.Options, words[len(names) :])
    if not names:
        raise UsageError(f"name the run: generative {command} RUN")
    return module.main(Run(run_path(names[0])), options)


def _train(words: list[str]) -> Sequence[str]:
    from generative import resolve_device
    from scripts.generative.feed import begin, load_again
    from scripts.generative.preflight import check_sizes
    from scripts.generative.report import write_report
    from scripts.generative.train import train
    from scripts.terminal.progress import show
    from worldmodels.run.preflight import check_folder

    path, config, data = parse_train(words)
    resolve_device(config.device)
    check_folder(path)
    data = load_again(path, config.data) if data is None else data
    if not (path / "trained.json").exists():
        check_sizes(config, data)
    run = begin(path, config, data)
    print(f"train: {config.model.type} on {config.data.type}, {run.path} (preset {config.preset}, seed {config.seed})")
    for line in data.origin.lines():
        print(f"data: {line}")
    show(train(run, data))
    facts = run.require_trained()
    page = write_report(run)
    return [f"trained: {facts['steps']:,} steps in {facts['seconds']:.0f} s", f"report: {page}"]


def parse_train(words: list[str]) -> tuple[Path, Any, Any]:
    """Return the folder and the configuration that a `train` command line asks for; `--help` prints and exits.

    The third result is the data, or None where they had no need to be loaded yet.

    Raises:
        UsageError: the words cannot be understood.
        ValueError: a name or a value is wrong.
    """
    from generative import MODELS, config_from_mapping, config_to_mapping
    from generative.run import Choice, preset
    from scripts.generative.feed import absolute, data_config, load, sizes

    words, out = take(words, "--out")
    words, chosen = take(words, "--preset")
    words, data_name = take(words, "--data")
    names = words[:1] if words and not words[0].startswith("-") else []
    words = words[len(names) :]
    if not (names or chosen or data_name) and out is not None and (run_path(out) / "config.yaml").is_file():
        again = _again(run_path(out), words)
        if again is not None:
            return run_path(out), again, None
    if not names:
        raise UsageError(f"name the model: generative train MODEL; known: {', '.join(MODELS.names())}")
    model_class = MODELS.config_class(names[0])  # names near by, where there is none of this name
    base = preset(names[0], chosen or "fast") if chosen or _has_preset(names[0]) else _bare(names[0], data_name)
    data = base.data if data_name in (None, base.data.type) else Choice(str(data_name), {})
    data_words, words = _split(words, "--data.")
    data = absolute(replace(data, options=_data_options(data, data_words, data_config(data.type))))
    loaded = None if "-h" in words or "--help" in words else load(data)
    helping = loaded is None
    model = base.model.options if loaded is None else {**sizes(names[0], loaded), **base.model.options}
    view = make_dataclass(
        "Training",
        [("model", model_class), ("data", data_config(data.type))][: 2 if helping and not _needed(data) else 1]
        + [(each.name, each.type, each) for each in dataclasses.fields(base) if each.name not in _APART],
        frozen=True,
    )
    values = {each.name: getattr(base, each.name) for each in dataclasses.fields(base) if each.name not in _APART}
    values["model"] = config_from_mapping(model_class, model)
    if "data" in {each.name for each in dataclasses.fields(view)}:
        values["data"] = config_from_mapping(data_config(data.type), data.options)
    said = f"{COMMANDS['train']}.\n\ngenerative train MODEL [--preset NAME] [--data NAME] [--out RUN] [OPTIONS]"
    found: Any = _tyro(view, view(**values), words, "generative train", said)
    config = replace(
        base,
        model=Choice(names[0], config_to_mapping(found.model)),
        data=data,
        **{name: getattr(found, name) for name in values if name not in ("model", "data")},
    )
    return run_path(out or names[0]), config, loaded


def _again(path: Path, words: list[str]) -> Any:
    """Return the configuration of a run, its data perhaps in another place; None if more is to change than that."""
    from generative.run import Run
    from scripts.generative.feed import absolute, path_options

    config = Run(path).config
    options = dict(config.data.options)
    for name in path_options(config.data.type):
        words, value = take(words, f"--data.{name}")
        if value is not None:
            options[name] = value
    return None if words else replace(config, data=absolute(replace(config.data, options=options)))


_APART = ("model", "data", "preset")


def _has_preset(model: str) -> bool:
    from generative.run import preset_names

    return "fast" in preset_names(model)


def _bare(model: str, data: str | None) -> Any:
    """Return a configuration for a model without presets, such as one of another package."""
    from generative.run import Choice, RunConfig

    if data is None:
        raise UsageError(f"{model} has no preset; name the data: generative train {model} --data faces")
    return RunConfig(model=Choice(model), data=Choice(data), preset="none")


def _needed(data: Any) -> list[str]:
    """Return the options without default that a data set still lacks."""
    from scripts.generative.feed import data_config

    fields = dataclasses.fields(data_config(data.type))
    return [
        each.name
        for each in fields
        if each.default is dataclasses.MISSING
        and each.default_factory is dataclasses.MISSING
        and each.name not in data.options
    ]


def _data_options(data: Any, words: list[str], config_class: Any) -> Facts:
    """Return a data set's options in full, those of the preset under those of the command line."""
    from generative import config_from_mapping, config_to_mapping
    from generative.options import check_numbers

    for name in _needed(data):
        words, value = take(words, f"--data.{name}")
        if value is None:
            raise UsageError(f"{data.type} needs --data.{name}")
        data = replace(data, options={**data.options, name: value})
    default = config_from_mapping(config_class, data.options, "data")
    plain = [f"--{word.removeprefix('--data.')}" if word.startswith("--data.") else word for word in words]
    found = _tyro(config_class, default, plain, f"generative train --data {data.type}", "")
    try:
        check_numbers(found, "data")
    except ValueError as error:
        raise UsageError(str(error)) from error
    return config_to_mapping(found)


def _options(command: str, config_class: Any, words: list[str]) -> Any:
    said = f"{COMMANDS[command]}.\n\ngenerative {command} {'' if command in ('list', 'table') else 'RUN '}[OPTIONS]"
    return _tyro(config_class, config_class(), words, f"generative {command}", said)


def _tyro(config_class: Any, default: Any, words: list[str], program: str, said: str) -> Any:
    import tyro

    kinds = (tyro.conf.FlagConversionOff, tyro.conf.AvoidSubcommands)
    return parsed(config_class, words, program, said, default=default, config=kinds)


def _split(words: list[str], prefix: str) -> tuple[list[str], list[str]]:
    """Return the words of options with a prefix, their values included, and all others."""
    ours: list[str] = []
    others: list[str] = []
    target = others
    for word in words:
        if word.startswith("--"):
            target = ours if word.startswith(prefix) else others
        target.append(word)
    return ours, others


def run_path(name: str) -> Path:
    """Return the folder that a RUN argument means; a UsageError where it is empty."""
    return folder_of(name, RUNS)


def entry() -> None:
    """Run as a console command."""
    sys.exit(carry_out(main))
