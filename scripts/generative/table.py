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
from generative.core.strict_yaml import read_yaml
from generative.runs.run_folder import TrainingRun, preset, preset_names
from scripts.generative import evaluate
from scripts.generative.report import write_report
from scripts.generative.runs.assembly import open_run, resolve
from scripts.generative.train import train
from scripts.terminal.progress import show

HEAD = """# Generative models

Every model with its `{preset}` preset on data that is there offline, trained from {seeds} seeds, and some with a larger
preset, named beside the model, from {seeds_large}. Each figure is compared with the same figure of real data (the mean
of several draws, and the interval that one more lies in) and of the strongest cheap baseline. The spread is the
standard deviation over seeds. Figures compare only where data, extractor and number of samples agree. Seconds are those
of one training, on a machine that may have done other work too. A row that loses to its baseline says why in its last
column. Made by `generative table`, which does only what is missing.

"""
COLUMNS = (
    *("model", "data", "steps", "seconds", "figure", "model (± over seeds)", "real data", "baseline", "beats it"),
    *("failures found", "samples", "why not better"),
)
LARGE = ("faces", "car-racing")
"""Presets that have rows beside the usual one: images in colour of 64 pixels."""
UNEXPLAINED = "not known"
"""Said of a row that loses to its baseline, and of which there is no remark."""


@dataclass(frozen=True)
class TableOptions:
    """Which rows, and where they go."""

    models: tuple[str, ...] = ()
    """Which models, `MODEL` or `MODEL:PRESET`; by default all that have the preset, and the larger ones."""
    preset: str = "fast"
    """Which preset of each."""
    seeds: int = 3
    """Trainings of each, from seed 0 on."""
    seeds_large: int = 1
    """Trainings of each larger preset."""
    samples: int = 1000
    """Samples that figures are made of."""
    runs: str = "runs/generative/table"
    """Folder of the runs; delete one to do it again."""
    out: str = "docs/results/generative.md"
    """The page; its pictures go into a folder of the same name next to it. Why rows lose is read from NAME-remarks.yaml
    beside it: a text for each, under its name in `models`."""
    device: str = "auto"
    """Where to train."""

    def __post_init__(self) -> None:
        for name in ("seeds", "seeds_large"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: give 1 or more")


@dataclass(frozen=True)
class TableRow:
    """A model with a preset, trained from some seeds."""

    model: str
    preset: str
    seeds: int
    name: str
    """The model, and the preset unless it is the usual one: `vae:faces`."""

    @property
    def stem(self) -> str:
        """What its runs and its picture are called."""
        return self.name.replace(":", "-")


def main(options: TableOptions) -> Iterator[str]:
    """Do the rows and write the page after each; yield a line for every row.

    Raises:
        ComponentError: a model is unknown or has no such preset.
    """
    head = HEAD.format(preset=options.preset, seeds=options.seeds, seeds_large=options.seeds_large)
    head += f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}\n"
    page, remarks = Path(options.out), _remarks(options)
    rows: list[str] = []
    for row in chosen(options):
        measured = [(run, facts) for run, facts in (_one(row, seed, options) for seed in range(row.seeds))]
        rows.append(_line(row, measured, page, remarks.get(row.name, UNEXPLAINED)))
        write_text(page, "".join([head, *rows]))
        yield rows[-1].strip()
    yield f"table: {options.out}"


def chosen(options: TableOptions) -> list[TableRow]:
    """Return the rows of the table; raise ComponentError for a model that is unknown or has no such preset."""
    able = {}
    for model in MODELS.names():
        known = preset_names(model)
        if options.preset in known:
            able[model] = TableRow(model, options.preset, options.seeds, model)
        for name in known:
            seeds = options.seeds_large if name in LARGE else options.seeds
            able[f"{model}:{name}"] = TableRow(model, name, seeds, f"{model}:{name}")
    for name in options.models:
        if name not in able:
            usual = [each for each in able if ":" not in each]
            raise ComponentError(
                f"{name!r}: no model with a preset {options.preset!r}, nor MODEL:PRESET;{did_you_mean(name, usual)}"
            )
    by_default = [name for name, row in able.items() if name == row.model or row.preset in LARGE]
    return [able[name] for name in options.models or by_default]


def _remarks(options: TableOptions) -> Facts:
    page = Path(options.out)
    path = page.with_name(f"{page.stem}-remarks.yaml")
    return dict(read_yaml(path.read_bytes(), str(path)) or {}) if path.is_file() else {}


def _one(row: TableRow, seed: int, options: TableOptions) -> tuple[TrainingRun, Facts]:
    """Return the run of a model and seed, trained and measured now where it is not yet."""
    config = resolve(replace(preset(row.model, row.preset), seed=seed, device=options.device))
    run = TrainingRun.create(Path(options.runs) / f"{row.stem}-{seed}", config)
    if run.facts() is None:
        show(train(run))
    facts = run.facts("evaluation")
    if facts is None or facts["samples"] != options.samples:
        module, data = open_run(run)
        facts = evaluate.evaluate(run, module, data, evaluate.EvaluateOptions(samples=options.samples))
        write_report(run)
    return run, facts


def _line(row: TableRow, measured: Sequence[tuple[TrainingRun, Facts]], page: Path, remark: str) -> str:
    run = measured[0][0]
    trained = [each.require_trained() for each, _ in measured]
    seconds = statistics.mean(each["seconds"] for each in trained)
    headlines = [each["headline"] for _, each in measured if each["headline"]]
    failures = sorted({verdict["problem"] for _, each in measured for verdict in each["verdicts"]})
    cells = [f"`{row.name}`", _data(run), f"{trained[0]['steps']:,}", f"{seconds:.0f}"]
    wins = sum(bool(each["beats_baseline"]) for each in headlines)
    if headlines:
        name, better = headlines[0]["name"], headlines[0]["better"]
        cells += [
            f"{name}, {better} is better",
            _spread([each["value"] for each in headlines]),
            _real(headlines),
            f"{statistics.mean(each['baseline_value'] for each in headlines):.3g} ({headlines[0]['baseline']})",
            f"{wins} of {len(headlines)}",
        ]
    else:
        cells += ["none", "", "", "", ""]
    cells += [", ".join(failures) or "none", _picture(row, run, page)]
    return "| " + " | ".join([*cells, remark if wins < len(headlines) else ""]) + " |\n"


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


def _picture(row: TableRow, run: TrainingRun, page: Path) -> str:
    """Copy the last grid next to the page and return what shows it there."""
    grids = [path for path in sorted((run.path / "samples").glob("*.png")) if path.stem.isdigit()]
    if not grids:
        return ""
    write_bytes(page.with_suffix("") / f"{row.stem}.png", grids[-1].read_bytes())
    return f'<img src="{page.stem}/{row.stem}.png" width="240" alt="{row.name}">'
