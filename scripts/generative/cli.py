"""The console command: `generative COMMAND [MODEL | RUN] [--OPTION VALUE ...]`.

What a command needs is imported when it is carried out, as PyTorch takes seconds. What is finished is kept, and the
same command goes on from there.
"""

import importlib
import shutil
import sys
from collections.abc import Sequence

from scripts.generative.runs.folders import RUNS
from scripts.generative.runs.request import COMMANDS, parse_judge, parse_options, parse_train
from scripts.terminal.console import answer
from scripts.terminal.signals import carry_out


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return the exit code."""
    return answer("generative", sys.argv[1:] if argv is None else argv, COMMANDS, overview, _carry_out)


def overview() -> str:
    """Return the help of the bare command."""
    commands = "\n".join(f"  {name:12} {said}" for name, said in COMMANDS.items())
    return (
        "generative: models that make images, each trained with one command on data that is there offline\n\n"
        "usage: generative COMMAND [MODEL | RUN] [--OPTION VALUE ...]\n\n"
        f"commands\n{commands}\n\n"
        f"RUN is a folder. A bare name means {RUNS}/NAME.\n"
        "`generative train MODEL` makes the run MODEL; `generative list` shows what there is to choose from.\n\n"
        "`generative COMMAND --help` shows the options that people change, `--help-all` all of them in full.\n"
        "`--traceback` shows where in the code a failure comes from.\n\n"
        "examples\n"
        "  generative train vae\n"
        "  generative train vae --data shapes --data.size 32 --model.latent 10 --seed 1 --out shapes-vae\n"
        "  generative show vae traversal --most 5\n"
        "  generative attribute vae --attribute smiling\n"
        "  generative judge faces --data.size 32\n"
        "  generative train vae --data car-racing --data.run runs/quick --out road"
    )


def _carry_out(command: str, words: list[str]) -> int:
    own = {"train": _train, "judge": _judge}
    for line in own[command](words) if command in own else _other(command, words):
        print(line)
    return 0


def _other(command: str, words: list[str]) -> Sequence[str]:
    module = importlib.import_module(f"scripts.generative.{'catalogue' if command == 'list' else command}")
    path, arguments = parse_options(command, module.main, words)
    if path is None:
        return module.main(*arguments)
    from generative.runs.run_folder import TrainingRun

    return module.main(TrainingRun(path), *arguments)


def _judge(words: list[str]) -> Sequence[str]:
    from scripts.generative.judge import main

    return main(*parse_judge(words))


def _train(words: list[str]) -> Sequence[str]:
    path, config, data = parse_train(words)
    from generative import resolve_device
    from scripts.generative.data.data_sets import load_again
    from scripts.generative.report import write_report
    from scripts.generative.runs.assembly import begin, build, start
    from scripts.generative.runs.preflight import check_sizes
    from scripts.generative.train import train
    from scripts.terminal.progress import show
    from worldmodels.run.preflight import check_folder

    resolve_device(config.device)
    check_folder(path)
    data = load_again(path, config.data) if data is None else data
    if not (path / "trained.json").exists():
        check_sizes(config, data)
    new = not (path / "config.yaml").exists()
    run = begin(path, config, data)
    print(f"train: {config.model.type} on {config.data.type}, {run.path} (preset {config.preset}, seed {config.seed})")
    for line in data.origin.lines():
        print(f"data: {line}")
    try:
        if run.facts() is None and (found := start(run, build(run.config, data), data)):
            for line in found.lines():
                print(f"start: {line}")
        show(train(run, data))
    except Exception:
        if new and not run.history() and not (run.model / "checkpoints").exists():
            shutil.rmtree(path)  # nothing was learned in it, and it would stand in the way of the next attempt
        raise
    facts = run.require_trained()
    page = write_report(run)
    return [f"trained: {facts['steps']:,} steps in {facts['seconds']:.0f} s", f"report: {page}"]


def entry() -> None:
    """Run as a console command."""
    sys.exit(carry_out(main))
