"""`generative table`: every model with its fast preset over several seeds, as one page of Markdown with sample grids.

A row is written as soon as its seeds are trained and measured; what is finished in the folder of runs is not done
again, so the command goes on where it was stopped.
"""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from generative import MODELS, ComponentError
from generative.core.facts import Facts
from generative.core.files import write_bytes, write_text
from generative.core.options import did_you_mean
from generative.core.run_folder import TrainingRun, preset, preset_names
from scripts.generative import evaluate
from scripts.generative.assembly import open_run, resolve
from scripts.generative.report import write_report
from scripts.generative.train import train
from scripts.terminal.progress import show

HEAD = """# Generative models

Every model with its `{preset}` preset on data that is there offline, trained from {seeds} seeds. Each figure is
compared with the same figure of real data (the mean of several draws, and the interval that one more lies in) and of
the strongest cheap baseline. The spread is the standard
deviation over seeds. Figures compare only where data, extractor and number of samples agree. Seconds are those of one
training, on a machine that may have done other work too. Made by `generative table`, which does only what is missing.

"""
COLUMNS = (
    *("model", "data", "steps", "seconds", "figure", "model (± over seeds)", "real data", "baseline", "beats it"),
    *("failures found", "samples"),
)


@dataclass(frozen=True)
class TableOptions:
    """Which rows, and where they go."""

    models: tuple[str, ...] = ()
    """Which models; all that have the preset by default."""
    preset: str = "fast"
    """Which preset of each."""
    seeds: int = 3
    """Trainings of each, from seed 0 on."""
    samples: int = 1000
    """Samples that figures are made of."""
    runs: str = "runs/generative/table"
    """Folder of the runs; delete one to do it again."""
    out: str = "docs/results/generative.md"
    """The page; its pictures go into a folder of the same name next to it."""
    device: str = "auto"
    """Where to train."""

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise ValueError(f"seeds={self.seeds}: give 1 or more")


def main(options: TableOptions) -> Iterator[str]:
    """Do the rows and write the page after each; yield a line for every row.

    Raises:
        ComponentError: a model is unknown or has no such preset.
    """
    head = HEAD.format(preset=options.preset, seeds=options.seeds)
    head += f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}\n"
    rows: list[str] = []
    for model in chosen(options):
        measured = [(run, facts) for run, facts in (_one(model, seed, options) for seed in range(options.seeds))]
        rows.append(_row(model, measured, options))
        write_text(Path(options.out), "".join([head, *rows]))
        yield rows[-1].strip()
    yield f"table: {options.out}"


def chosen(options: TableOptions) -> list[str]:
    """Return the models of the table; raise ComponentError for one that is unknown or has no such preset."""
    able = [name for name in MODELS.names() if options.preset in preset_names(name)]
    for name in options.models:
        if name not in able:
            raise ComponentError(f"{name!r}: no model with a preset {options.preset!r};{did_you_mean(name, able)}")
    return list(options.models) or able


def _one(model: str, seed: int, options: TableOptions) -> tuple[TrainingRun, Facts]:
    """Return the run of a model and seed, trained and measured now where it is not yet."""
    config = resolve(replace(preset(model, options.preset), seed=seed, device=options.device))
    run = TrainingRun.create(Path(options.runs) / f"{model}-{seed}", config)
    if run.facts() is None:
        show(train(run))
    facts = run.facts("evaluation")
    if facts is None or facts["samples"] != options.samples:
        module, data = open_run(run)
        facts = evaluate.evaluate(run, module, data, evaluate.EvaluateOptions(samples=options.samples))
        write_report(run)
    return run, facts


def _row(model: str, measured: Sequence[tuple[TrainingRun, Facts]], options: TableOptions) -> str:
    run = measured[0][0]
    trained = [each.require_trained() for each, _ in measured]
    seconds = statistics.mean(each["seconds"] for each in trained)
    headlines = [each["headline"] for _, each in measured if each["headline"]]
    failures = sorted({verdict["problem"] for _, each in measured for verdict in each["verdicts"]})
    cells = [f"`{model}`", _data(run), f"{trained[0]['steps']:,}", f"{seconds:.0f}"]
    if headlines:
        name, better = headlines[0]["name"], headlines[0]["better"]
        wins = sum(bool(each["beats_baseline"]) for each in headlines)
        cells += [
            f"{name}, {better} is better",
            _spread([each["value"] for each in headlines]),
            _real(headlines),
            f"{statistics.mean(each['baseline_value'] for each in headlines):.3g} ({headlines[0]['baseline']})",
            f"{wins} of {len(headlines)}",
        ]
    else:
        cells += ["none", "", "", "", ""]
    return "| " + " | ".join([*cells, ", ".join(failures) or "none", _picture(model, run, options)]) + " |\n"


def _data(run: TrainingRun) -> str:
    size = run.config.data.options.get("size")
    return run.config.data.type + (f" {size} px" if size else "")


def _real(rows: Sequence[Facts]) -> str:
    """Return the mean reference with the widest interval, as far as there are any."""
    known = [row for row in rows if row["reference"] is not None]
    if not known:
        return "none"
    said = f"{statistics.mean(row['reference'] for row in known):.3g}"
    ends = [(row["low"], row["high"]) for row in known if row["low"] is not None]
    return f"{said} ({min(low for low, _ in ends):.3g} to {max(high for _, high in ends):.3g})" if ends else said


def _spread(values: Sequence[float]) -> str:
    if len(values) < 2:
        return f"{values[0]:.3g}"
    return f"{statistics.mean(values):.3g} ± {statistics.stdev(values):.2g}"


def _picture(model: str, run: TrainingRun, options: TableOptions) -> str:
    """Copy the last grid next to the page and return what shows it there."""
    grids = [path for path in sorted((run.path / "samples").glob("*.png")) if path.stem.isdigit()]
    if not grids:
        return ""
    page = Path(options.out)
    target = page.with_suffix("") / f"{model}.png"
    write_bytes(target, grids[-1].read_bytes())
    return f'<img src="{page.stem}/{model}.png" width="240" alt="{model}">'
